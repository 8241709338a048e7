//! A node over time: who holds which of its chips when, and what else fits beside them.

use crate::ask::Ask;
use crate::packing::Room;
use model::attempt::Slots;
use model::{AttemptId, Bytes, Chips, Cores, Moment, Pool, Span};
use smallvec::SmallVec;
use std::sync::Arc;

/// The most chips of one node that are planned with: a node's chips are one word of bits.
const MOST_CHIPS: u16 = 64;

/// What a node has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) chips: u32,
    cores: Cores,
    memory: Bytes,
}

/// A stretch of time in which an attempt holds part of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) attempt: AttemptId,
    pub(crate) from: Moment,
    pub(crate) until: Moment,
    /// A bit for each chip.
    chips: u64,
    /// How much of each of them.
    share: Chips,
    cores: Cores,
    memory: Bytes,
}

/// Who holds what of a node: most often a few, who lie where they are looked for.
pub(crate) type Holds = SmallVec<[Hold; 4]>;

/// A node and who holds what of it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    holds: Arc<Holds>,
    /// When it has no whole chip free: most nodes that cannot do are passed by thus.
    pub(crate) shut: Shut,
}

impl Node {
    /// One that nobody holds anything of.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { holds: Arc::default(), shut: limits.shut(&[]) }
    }

    /// Who holds what of it, in no order.
    pub(crate) fn holds(&self) -> &[Hold] {
        &self.holds
    }

    /// Changes who holds what of it.
    pub(crate) fn change(&mut self, limits: &Limits, edit: impl FnOnce(&mut Holds)) {
        edit(Arc::make_mut(&mut self.holds));
        self.shut = limits.shut(&self.holds);
    }
}

impl Hold {
    pub(crate) fn of(attempt: AttemptId, slots: &Slots, from: Moment, until: Moment) -> Self {
        Self {
            attempt,
            from,
            until,
            chips: bits(slots),
            share: slots.share,
            cores: slots.cores,
            memory: slots.memory,
        }
    }

    pub(crate) const fn overlaps(&self, from: Moment, until: Moment) -> bool {
        self.from.0 < until.0 && from.0 < self.until.0
    }
}

fn bits(slots: &Slots) -> u64 {
    slots.chips.iter().filter(|c| **c < MOST_CHIPS).fold(0, |bits, chip| bits | 1 << chip)
}

/// A stretch of time in which a node has no whole chip free.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shut {
    from: Moment,
    until: Moment,
}

impl Shut {
    pub(crate) fn at(&self, at: Moment) -> bool {
        self.from <= at && at < self.until
    }
}

/// What is held at some time of a stretch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// Chips somebody holds any part of.
    pub(crate) chips: u64,
    /// Whether any is held in part only.
    shared: bool,
    cores: Cores,
    memory: Bytes,
}

impl Held {
    pub(crate) fn over(holds: &[Hold], from: Moment, until: Moment) -> Self {
        let mut held = Self { chips: 0, shared: false, cores: Cores(0), memory: Bytes(0) };
        for hold in holds.iter().filter(|hold| hold.overlaps(from, until)) {
            held.chips |= hold.chips;
            held.shared |= hold.share < Chips::ONE;
            held.cores = held.cores.saturating_add(hold.cores);
            held.memory = held.memory.saturating_add(hold.memory);
        }
        held
    }

    /// Chips of which there may be a part left.
    fn parts(&self) -> impl Iterator<Item = u16> {
        let chips = if self.shared { self.chips } else { 0 };
        ones(chips)
    }
}

/// How much of a chip nobody holds at any time of `[from, until)`.
fn free_of(holds: &[Hold], chip: u16, from: Moment, until: Moment) -> Chips {
    Chips(Chips::ONE.0.saturating_sub(load(holds, chip, from, until)))
}

/// How much of a chip is held at some time of `[from, until)`, summed over all who hold it.
fn load(holds: &[Hold], chip: u16, from: Moment, until: Moment) -> u64 {
    let holds = holds.iter().filter(|h| h.chips >> chip & 1 == 1 && h.overlaps(from, until));
    holds.map(|hold| hold.share.0).sum()
}

impl Limits {
    pub(crate) fn of(pool: &Pool) -> Self {
        let chips = u32::from(pool.chips_per_node.min(MOST_CHIPS));
        Self { chips, cores: pool.cores, memory: pool.memory }
    }

    /// All that a node has.
    pub(crate) fn whole(&self, node: u32) -> Slots {
        Slots {
            node,
            chips: ones(self.all()).collect(),
            share: Chips::ONE,
            cores: self.cores,
            memory: self.memory,
        }
    }

    const fn all(&self) -> u64 {
        if self.chips >= 64 { u64::MAX } else { (1 << self.chips) - 1 }
    }

    /// What is held in `[from, until)`, if that leaves enough for `ask` all the time.
    fn beside(&self, holds: &[Hold], from: Moment, until: Moment, ask: &Ask) -> Option<Held> {
        let held = Held::over(holds, from, until);
        let free = (self.all() & !held.chips).count_ones();
        let has_part = |share| {
            let mut parts = held.parts().map(|chip| free_of(holds, chip, from, until));
            parts.any(|free| free >= share)
        };
        let fits = held.cores.saturating_add(ask.cores) <= self.cores
            && held.memory.saturating_add(ask.memory) <= self.memory
            && free >= ask.whole()
            && (!ask.is_share() || free > 0 || has_part(ask.chips));
        fits.then_some(held)
    }

    /// Whether there is enough for `ask` in all of `[from, until)`.
    pub(crate) fn fits(&self, holds: &[Hold], from: Moment, until: Moment, ask: &Ask) -> bool {
        self.beside(holds, from, until, ask).is_some()
    }

    /// What is free in all of `[from, until)`, if that is enough for `ask`.
    pub(crate) fn room(
        &self,
        holds: &[Hold],
        from: Moment,
        until: Moment,
        ask: &Ask,
    ) -> Option<Room> {
        let held = self.beside(holds, from, until, ask)?;
        let whole = (self.all() & !held.chips).count_ones();
        let parts = held.parts().map(|chip| free_of(holds, chip, from, until));
        let cores = Cores(self.cores.0.saturating_sub(held.cores.0));
        let memory = Bytes(self.memory.0.saturating_sub(held.memory.0));
        Some(Room::new(cores, memory, parts).with_whole(whole.into()))
    }

    /// The first chips for `ask` that are free in all of `[from, until)`, as bits: whole ones, or for
    /// a share one with exactly `on` free.
    pub(crate) fn chips(
        &self,
        holds: &[Hold],
        (from, until): (Moment, Moment),
        ask: &Ask,
        on: Option<Chips>,
    ) -> u64 {
        let held = Held::over(holds, from, until);
        let free = self.all() & !held.chips;
        match on {
            None => lowest(free, ask.whole()),
            Some(Chips::ONE) => lowest(free, 1),
            Some(on) => {
                let mut parts = held.parts();
                let part = parts.find(|chip| free_of(holds, *chip, from, until) == on);
                part.map_or(0, |chip| 1 << chip)
            }
        }
    }

    /// The first stretch of time in which no whole chip of the node is free; an empty one when some
    /// always is.
    pub(crate) fn shut(&self, holds: &[Hold]) -> Shut {
        let is_full = |at| Held::over(holds, at, at + Span(1)).chips == self.all();
        let starts = holds.iter().map(|hold| hold.from);
        let Some(from) = starts.filter(|at| self.chips > 0 && is_full(*at)).min() else {
            return Shut { from: Moment::MAX, until: Moment::MAX };
        };
        let next = |at| holds.iter().map(|hold| hold.until).filter(|until| *until > at).min();
        let mut until = from;
        while is_full(until)
            && let Some(later) = next(until)
        {
            until = later;
        }
        Shut { from, until }
    }

    /// Whether exactly this slot is free in all of `[from, until)`.
    pub(crate) fn is_free(
        &self,
        holds: &[Hold],
        slot: &Slots,
        from: Moment,
        until: Moment,
    ) -> bool {
        let held = Held::over(holds, from, until);
        let room = |chip: &u16| {
            u32::from(*chip) < self.chips
                && load(holds, *chip, from, until) + slot.share.0 <= Chips::ONE.0
        };
        held.cores.saturating_add(slot.cores) <= self.cores
            && held.memory.saturating_add(slot.memory) <= self.memory
            && slot.chips.iter().all(room)
    }
}

/// The numbers of the bits that are set.
pub(crate) fn ones(bits: u64) -> impl Iterator<Item = u16> {
    let mut rest = bits;
    std::iter::from_fn(move || {
        let lowest = (rest != 0).then(|| rest.trailing_zeros())?;
        rest &= rest - 1;
        u16::try_from(lowest).ok()
    })
}

/// The lowest `count` bits that are set.
fn lowest(mut bits: u64, count: u32) -> u64 {
    let all = bits;
    for _ in 0..count {
        bits &= bits.wrapping_sub(1);
    }
    all & !bits
}
