//! Which chips of which nodes are in use.

use model::Chips;
use std::collections::BTreeMap;
use wire::Run;

/// What attempts take of each chip.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    chips: BTreeMap<(String, u32, u16), u64>,
}

impl Taken {
    /// Whether all that `run` wants is free.
    pub(crate) fn is_free(&self, run: &Run) -> bool {
        run.nodes.iter().all(|slots| {
            slots.chips.iter().all(|chip| {
                let taken = self.chips.get(&(run.pool.clone(), slots.node, *chip));
                taken.copied().unwrap_or(0) + slots.share.0 <= Chips::ONE.0
            })
        })
    }

    /// Takes all that `run` wants.
    pub(crate) fn take(&mut self, run: &Run) {
        for slots in &run.nodes {
            for chip in &slots.chips {
                let key = (run.pool.clone(), slots.node, *chip);
                *self.chips.entry(key).or_default() += slots.share.0;
            }
        }
    }
}
