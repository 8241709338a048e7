//! Where inside a pool a job does least harm to those that come after it.
//!
//! What typical jobs ask is known from the queue and from recent jobs. A node's *worth* is how many
//! more of them it could take: for each class of typical jobs, as if it came alone, two parts of
//! what its cores, memory and chips have room for, and one part of what is free on chips that would
//! do; counted in chips touched, and weighed by how much of the class is asked for over how much of
//! it empty nodes could take. A job goes to the node, and a share to the chip, whose worth falls
//! least. Equals are told apart by best fit, which is all there is when nothing is typical.
//!
//! Fragmentation gradient descent (Weng et al., "Beware of Fragmentation", USENIX ATC '23) looks at
//! free chips only, and takes a node for usable by a class as long as one job of it fits. Counting
//! how many fit sees cores run out before chips do.

mod placer;
#[cfg(test)]
mod tests;
mod typical;

use crate::ask::Ask;
use model::{Bytes, Chips, Cores};
pub use placer::Placer;
pub use typical::{Demand, NodeKind, Typical, typical};

/// Thousandths of a chip.
const ONE: u64 = Chips::ONE.0;

/// What a job takes of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Less than one is a share of one chip; anything else is rounded up to whole chips.
    pub chips: Chips,
    /// Cores.
    pub cores: Cores,
    /// Memory.
    pub memory: Bytes,
}

impl Need {
    /// What each node of a gang gives.
    #[must_use]
    pub const fn of(ask: &Ask) -> Self {
        Self { chips: ask.chips, cores: ask.cores, memory: ask.memory }
    }

    /// Thousandths of a chip, when it is a share.
    const fn share(&self) -> Option<u64> {
        if 0 < self.chips.0 && self.chips.0 < ONE { Some(self.chips.0) } else { None }
    }

    /// Thousandths of all chips it takes.
    pub(crate) const fn milli(&self) -> u64 {
        match self.share() {
            Some(share) => share,
            None => self.chips.touched().saturating_mul(ONE),
        }
    }
}

/// What is free on one node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Room {
    cores: Cores,
    memory: Bytes,
    /// Chips nobody holds any part of.
    whole: u64,
    /// Thousandths that are free on each of the others, none where nothing is; ascending.
    parts: Vec<u16>,
}

impl Room {
    /// So many cores, so much memory, and so much of each chip; more than a whole one counts as one.
    #[must_use]
    pub fn new(cores: Cores, memory: Bytes, chips: impl IntoIterator<Item = Chips>) -> Self {
        let mut room = Self { cores, memory, whole: 0, parts: Vec::new() };
        for chip in chips {
            match u16::try_from(chip.0) {
                Ok(free) if u64::from(free) < ONE => room.parts.extend((free > 0).then_some(free)),
                Ok(_) | Err(_) => room.whole += 1,
            }
        }
        room.parts.sort_unstable();
        room
    }

    /// So many whole chips more.
    #[must_use]
    pub(crate) const fn with_whole(mut self, whole: u64) -> Self {
        self.whole += whole;
        self
    }

    /// What is free on all chips together.
    #[must_use]
    pub fn chips(&self) -> Chips {
        let parts: u64 = self.parts.iter().map(|part| u64::from(*part)).sum();
        Chips(self.whole.saturating_mul(ONE).saturating_add(parts))
    }

    /// Free cores.
    #[must_use]
    pub const fn cores(&self) -> Cores {
        self.cores
    }

    /// Free memory.
    #[must_use]
    pub const fn memory(&self) -> Bytes {
        self.memory
    }

    /// What is left after `need`. A share goes on a chip with exactly `on` free; `None` when there
    /// is none, or too little of anything.
    #[must_use]
    pub fn after(&self, need: &Need, on: Option<Chips>) -> Option<Self> {
        let mut left = Self {
            cores: Cores(self.cores.0.checked_sub(need.cores.0)?),
            memory: Bytes(self.memory.0.checked_sub(need.memory.0)?),
            whole: self.whole,
            parts: Vec::new(),
        };
        let Some(share) = need.share() else {
            left.whole = left.whole.checked_sub(need.chips.touched())?;
            left.parts.clone_from(&self.parts);
            return Some(left);
        };
        let free = on?.0;
        let rest = u16::try_from(free.checked_sub(share)?).ok()?;
        left.parts.reserve_exact(self.parts.len() + 1);
        if free == ONE {
            left.whole = left.whole.checked_sub(1)?;
            left.parts.extend(&self.parts);
        } else {
            let at = self.parts.binary_search(&u16::try_from(free).ok()?).ok()?;
            left.parts.extend(self.parts[..at].iter().chain(&self.parts[at + 1..]));
        }
        if rest > 0 {
            left.parts.insert(left.parts.partition_point(|part| *part < rest), rest);
        }
        Some(left)
    }

    /// The ways `need` can be met here: for a share one for each different chip that has room.
    fn ways(&self, need: &Need) -> impl Iterator<Item = (Option<Chips>, Self)> {
        let share = need.share();
        let whole = (self.whole > 0).then_some(Chips::ONE);
        let parts = self.parts.chunk_by(|a, b| a == b).map(|same| Chips(u64::from(same[0])));
        let on = parts.chain(whole).map(Some).filter(move |_| share.is_some());
        let on = on.chain(share.is_none().then_some(None));
        on.filter_map(move |on| Some((on, self.after(need, on)?)))
    }
}

/// How a job goes on a node. The least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fit {
    /// By how much the node's worth falls; comparable between all kinds that [`typical`] was told
    /// of together.
    pub lost: u64,
    /// What stays free of the node's chips.
    pub chips_left: Chips,
    /// What stays free of its cores.
    pub cores_left: Cores,
    /// For a share: how much is free now of the chip it goes on. Whole chips are all alike.
    pub on: Option<Chips>,
}
