//! What a gang takes of each of its nodes.

use model::job::{JobSpec, Variant, Within};
use model::{Bytes, Chips, Cores, Pool};

/// What a gang asks of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Nodes.
    pub nodes: u32,
    /// Chips on each; less than one is a share of one chip.
    pub chips: Chips,
    /// Cores on each.
    pub cores: Cores,
    /// Memory on each.
    pub memory: Bytes,
    /// All nodes in one block.
    pub one_block: bool,
}

impl Ask {
    /// What one variant of a job asks.
    pub(crate) fn of(spec: &JobSpec, variant: &Variant) -> Self {
        Self {
            nodes: variant.nodes,
            chips: variant.chips_per_node,
            cores: variant.cores,
            memory: variant.memory,
            one_block: spec.together.within == Within::Block,
        }
    }

    /// The same of a pool where cores and memory go with chips, unless they are asked for.
    pub(crate) fn with_its_share(self, pool: &Pool) -> Self {
        let of = |all: u64| {
            let chips = u128::from(self.chips.0.min(pool.node_chips().0));
            let share = u128::from(all) * chips / u128::from(pool.node_chips().0.max(1));
            u64::try_from(share).unwrap_or(all)
        };
        let (cores, memory) = (Cores(of(pool.cores.0)), Bytes(of(pool.memory.0)));
        Self {
            cores: if self.cores == Cores::ZERO { cores } else { self.cores },
            memory: if self.memory == Bytes::ZERO { memory } else { self.memory },
            ..self
        }
    }

    /// Chips of the whole gang.
    pub(crate) fn gang_chips(&self) -> Chips {
        self.chips.times(self.nodes.into())
    }

    /// Whole chips it takes on a node; none for a share of one.
    pub(crate) fn whole(&self) -> u32 {
        if self.is_share() { 0 } else { u32::try_from(self.chips.touched()).unwrap_or(u32::MAX) }
    }

    /// Whether it takes less than a chip.
    pub(crate) fn is_share(&self) -> bool {
        self.chips > Chips::ZERO && self.chips < Chips::ONE
    }

    /// How much of each chip it takes.
    pub(crate) fn share(&self) -> Chips {
        if self.is_share() { self.chips } else { Chips::ONE }
    }
}
