//! Which chips, cores and memory of which nodes are in use.

use model::Chips;
use std::collections::BTreeMap;
use wire::Run;

/// A node: its pool and its index there.
type Node<'a> = (&'a str, u32);

/// What attempts take of each node.
#[derive(Debug, Default)]
pub(crate) struct Taken<'a> {
    chips: BTreeMap<(Node<'a>, u16), u64>,
    nodes: BTreeMap<Node<'a>, (u64, u64)>,
}

impl<'a> Taken<'a> {
    /// Whether all that `run` wants is free.
    pub(crate) fn is_free(&self, run: &Run) -> bool {
        run.nodes.iter().all(|slots| {
            let node = (run.pool.as_str(), slots.node);
            let (cores, memory) = self.nodes.get(&node).copied().unwrap_or_default();
            let share = |chip: &u16| self.chips.get(&(node, *chip)).copied().unwrap_or_default();
            cores + slots.cores.0 <= run.node_cores.0
                && memory + slots.memory.0 <= run.node_memory.0
                && slots.chips.iter().all(|chip| share(chip) + slots.share.0 <= Chips::ONE.0)
        })
    }

    /// Takes all that `run` wants.
    pub(crate) fn take(&mut self, run: &'a Run) {
        for slots in &run.nodes {
            let node = (run.pool.as_str(), slots.node);
            let (cores, memory) = self.nodes.entry(node).or_default();
            *cores += slots.cores.0;
            *memory += slots.memory.0;
            for chip in &slots.chips {
                *self.chips.entry((node, *chip)).or_default() += slots.share.0;
            }
        }
    }
}
