//! A node over time: who holds which of its chips when, and what else fits beside them.

use crate::ask::Ask;
use model::attempt::Slots;
use model::{AttemptId, Bytes, Chips, Cores, Moment, Pool, Span};

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

    const fn all(&self) -> u64 {
        if self.chips >= 64 { u64::MAX } else { (1 << self.chips) - 1 }
    }

    /// Chips for `ask` that are free in all of `[from, until)`, and how many whole ones that leaves
    /// free; the lowest of them, or for a share the fullest chip it fits on.
    pub(crate) fn fit(
        &self,
        holds: &[Hold],
        from: Moment,
        until: Moment,
        ask: &Ask,
    ) -> Option<(u32, u64)> {
        let held = Held::over(holds, from, until);
        let free = self.all() & !held.chips;
        if free.count_ones() < ask.whole()
            || held.cores.saturating_add(ask.cores) > self.cores
            || held.memory.saturating_add(ask.memory) > self.memory
        {
            return None;
        }
        let taken = if ask.is_share() {
            self.shared_chip(holds, &held, from, until, ask.chips)?
        } else {
            lowest(free, ask.whole())
        };
        Some(((free & !taken).count_ones(), taken))
    }

    /// The chip with the least room that still has `share` free in `[from, until)`, as a bit.
    fn shared_chip(
        &self,
        holds: &[Hold],
        held: &Held,
        from: Moment,
        until: Moment,
        share: Chips,
    ) -> Option<u64> {
        let in_part = if held.shared { held.chips } else { 0 };
        let chips = (0..MOST_CHIPS).filter(|chip| in_part >> chip & 1 == 1);
        let fullest = chips
            .map(|chip| (load(holds, chip, from, until), chip))
            .filter(|(load, _)| load + share.0 <= Chips::ONE.0)
            .max_by_key(|(load, chip)| (*load, std::cmp::Reverse(*chip)));
        if let Some((_, chip)) = fullest {
            return Some(1 << chip);
        }
        let free = self.all() & !held.chips;
        (free != 0).then(|| lowest(free, 1))
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

/// The lowest `count` bits that are set.
fn lowest(mut bits: u64, count: u32) -> u64 {
    let all = bits;
    for _ in 0..count {
        bits &= bits.wrapping_sub(1);
    }
    all & !bits
}
