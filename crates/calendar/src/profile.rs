//! How much is free, as a step function of time.

mod cursor;

use crate::Work;
use crate::block::{Block, HALF, Step};
pub(crate) use cursor::Cursor;
use model::{Moment, Span};
use std::fmt;
use std::iter::{once, repeat};

/// Why an amount cannot be taken or given. The profile is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// More was asked for than is free.
    #[error("only {free} free at {at}, asked for {amount}")]
    TooFew {
        /// The first moment that has too little.
        at: Moment,
        /// What is free then.
        free: u64,
        /// What was asked for.
        amount: u64,
    },
    /// More was given back than had been taken.
    #[error("only {taken} taken at {at}, asked to give back {amount}")]
    NotTaken {
        /// The first moment at which less is taken.
        at: Moment,
        /// What is taken then.
        taken: u64,
        /// What was to be given back.
        amount: u64,
    },
}

/// An amount that holds over a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// From when.
    pub from: Moment,
    /// Until when, not included; `Moment::MAX` for ever.
    pub until: Moment,
    /// How much of it.
    pub amount: u64,
}

/// How much of `capacity` is free at every moment from [`Profile::start`] on.
///
/// Steps lie in blocks that know their least and most free amount: finding a moment is a binary
/// search, skipping a stretch passes whole blocks by, a change lifts whole blocks and rewrites at
/// most two. Two profiles are equal when they say the same, however they came to say it.
///
/// What lies before the start is over: taking, giving and asking there touches nothing, and an
/// interval that begins there counts from the start.
#[derive(Clone)]
pub struct Profile {
    capacity: u64,
    /// At least one block; neighboring steps differ in what is free.
    blocks: Vec<Block>,
}

impl Profile {
    /// All of `capacity` free, always.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let all = Block::of(once(Step { at: Moment::ZERO, free: capacity }).collect());
        Self { capacity, blocks: vec![all] }
    }

    /// What there is when nothing is taken.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The first moment the profile still knows about.
    #[must_use]
    pub fn start(&self) -> Moment {
        self.blocks[0].first
    }

    /// How much is free at `at`.
    #[must_use]
    pub fn free_at(&self, at: Moment) -> u64 {
        let (b, i) = self.locate(at);
        self.blocks[b].step(i).free
    }

    /// The least free at any moment of `[from, until)`; the capacity when there is no such moment.
    #[must_use]
    pub fn least(&self, from: Moment, until: Moment) -> u64 {
        self.blocks_in(from, until).fold(self.capacity, |least, (block, first)| {
            if block.low >= least {
                return least;
            }
            let steps = block.steps_from(first).take_while(|step| step.at < until);
            steps.fold(least, |least, step| least.min(step.free))
        })
    }

    /// The earliest start, not before `from`, such that `amount` is free for the whole of `span`
    /// (`Span::MAX`: for ever). `None` when there never is one.
    #[must_use]
    pub fn earliest(
        &self,
        from: Moment,
        span: Span,
        amount: u64,
        work: &mut Work,
    ) -> Option<Moment> {
        work.count(1);
        let from = from.max(self.start());
        if amount > self.capacity || span == Span::ZERO {
            return (amount <= self.capacity).then_some(from);
        }
        let (b, first) = self.locate(from);
        // Since when there was enough without a break; a unit is counted for each break.
        let mut since = Some(from);
        for (block, first) in self.blocks[b..].iter().zip(once(first).chain(repeat(0))) {
            if since.is_some_and(|start| block.first >= start + span) {
                return since;
            }
            match since {
                Some(_) if block.low >= amount => continue,
                None if block.high < amount => continue,
                _ => {}
            }
            for step in block.steps_from(first) {
                match since {
                    Some(start) if step.at >= start + span => return since,
                    Some(_) if step.free < amount => {
                        work.count(1);
                        since = None;
                    }
                    None if step.free >= amount => since = Some(step.at),
                    _ => {}
                }
            }
        }
        since
    }

    /// Takes `amount` in all of `[from, until)`, or says where it does not fit.
    pub fn take(&mut self, from: Moment, until: Moment, amount: u64) -> Result<(), Misfit> {
        if let Some(Step { at, free }) = self.first_below(from, until, amount) {
            return Err(Misfit::TooFew { at, free, amount });
        }
        self.shift(from, until, amount.wrapping_neg());
        Ok(())
    }

    /// Gives `amount` back in all of `[from, until)`, or says where less is taken.
    pub fn give(&mut self, from: Moment, until: Moment, amount: u64) -> Result<(), Misfit> {
        let too_much = |free: u64| amount > self.capacity - free;
        let over = self.first(from, until, |b| too_much(b.high), |step| too_much(step.free));
        if let Some(Step { at, free }) = over {
            return Err(Misfit::NotTaken { at, taken: self.capacity - free, amount });
        }
        self.shift(from, until, amount);
        Ok(())
    }

    /// Forgets what was before `now`, which becomes the start.
    pub fn forget_before(&mut self, now: Moment) {
        // Nothing begins at the end of time, not even the rest of it.
        let now = now.min(Moment(Moment::MAX.0 - 1));
        if now <= self.start() {
            return;
        }
        let (b, i) = self.locate(now);
        let blocks = &mut self.blocks;
        blocks.drain(..b);
        blocks[0].edit(|steps| {
            steps.drain(..i);
            steps[0].at = now;
        });
    }

    /// Every stretch from the start on, in order; the last one never ends.
    pub fn segments(&self) -> impl Iterator<Item = Segment> {
        let steps = || self.blocks.iter().flat_map(|block| block.steps_from(0));
        let ends = steps().skip(1).map(|step| step.at).chain([Moment::MAX]);
        steps().zip(ends).map(|(step, until)| Segment { from: step.at, until, amount: step.free })
    }

    /// Where the step is that holds at `at`: its block, and its number in there.
    fn locate(&self, at: Moment) -> (usize, usize) {
        locate(&self.blocks, at.max(self.start()))
    }

    /// When step `i` of block `b` ends.
    fn end_of(&self, b: usize, i: usize) -> Moment {
        if i + 1 < self.blocks[b].len() {
            self.blocks[b].step(i + 1).at
        } else {
            self.blocks.get(b + 1).map_or(Moment::MAX, |next| next.first)
        }
    }

    /// The first moment of `[from, until)` with less than `amount` free.
    fn first_below(&self, from: Moment, until: Moment, amount: u64) -> Option<Step> {
        self.first(from, until, |block| block.low < amount, |step| step.free < amount)
    }

    /// The first moment of `[from, until)` that is `wanted`, passing blocks that cannot hold one.
    fn first(
        &self,
        from: Moment,
        until: Moment,
        may: impl Fn(&Block) -> bool,
        wanted: impl Fn(&Step) -> bool,
    ) -> Option<Step> {
        let found = self.blocks_in(from, until).filter(|(block, _)| may(block)).find_map(
            |(block, first)| {
                block.steps_from(first).take_while(|step| step.at < until).find(&wanted)
            },
        );
        found.map(|step| Step { at: step.at.max(from).max(self.start()), ..step })
    }

    /// The blocks that reach into `[from, until)`, each with the number of its first step that does.
    fn blocks_in(&self, from: Moment, until: Moment) -> impl Iterator<Item = (&Block, usize)> {
        let (b, first) = self.locate(from);
        let blocks = if from.max(self.start()) < until { &self.blocks[b..] } else { &[] };
        let firsts = once(first).chain(repeat(0));
        blocks.iter().take_while(move |block| block.first < until).zip(firsts)
    }

    /// Adds `delta`, modulo 2^64, in all of `[from, until)`. It fits.
    fn shift(&mut self, from: Moment, until: Moment, delta: u64) {
        let from = from.max(self.start());
        if from >= until || delta == 0 {
            return;
        }
        let blocks = &mut self.blocks;
        cut(blocks, from);
        cut(blocks, until);
        let (mut b, mut i) = locate(blocks, from);
        while b < blocks.len() && blocks[b].first < until {
            let whole = i == 0 && blocks.get(b + 1).map_or(Moment::MAX, |next| next.first) <= until;
            if whole {
                blocks[b].lift(delta);
            } else {
                blocks[b].edit(|steps| {
                    for step in steps[i..].iter_mut().take_while(|step| step.at < until) {
                        step.free = step.free.wrapping_add(delta);
                    }
                });
            }
            (b, i) = (b + 1, 0);
        }
        join(blocks, until);
        join(blocks, from);
    }
}

fn locate(blocks: &[Block], at: Moment) -> (usize, usize) {
    // What is asked about is most often the present, where a profile begins.
    let b = match blocks.get(1) {
        Some(next) if next.first <= at => blocks.partition_point(|block| block.first <= at) - 1,
        _ => 0,
    };
    (b, blocks[b].index_at(at))
}

/// Makes a step begin at `at`, unless that is never.
fn cut(blocks: &mut Vec<Block>, at: Moment) {
    let (b, i) = locate(blocks, at);
    let step = blocks[b].step(i);
    if at == Moment::MAX || step.at == at {
        return;
    }
    blocks[b].edit(|steps| steps.insert(i + 1, Step { at, free: step.free }));
    if let Some(later) = blocks[b].overflow() {
        blocks.insert(b + 1, later);
    }
}

/// Removes the step that begins at `at` if it says the same as the one before it.
fn join(blocks: &mut Vec<Block>, at: Moment) {
    let (b, i) = locate(blocks, at);
    let step = blocks[b].step(i);
    let before = match (b, i) {
        (0, 0) => return,
        (_, 0) => blocks[b - 1].step(blocks[b - 1].len() - 1),
        _ => blocks[b].step(i - 1),
    };
    if step.at != at || step.free != before.free {
        return;
    }
    if blocks[b].len() == 1 {
        blocks.remove(b);
        return;
    }
    blocks[b].edit(|steps| _ = steps.remove(i));
    for b in [b, b.saturating_sub(1)] {
        if blocks.get(b + 1).is_some_and(|next| blocks[b].len() + next.len() <= HALF) {
            let next = blocks.remove(b + 1);
            blocks[b].edit(|steps| steps.extend(next.steps_from(0)));
        }
    }
}

impl PartialEq for Profile {
    fn eq(&self, other: &Self) -> bool {
        self.capacity == other.capacity && self.segments().eq(other.segments())
    }
}

impl Eq for Profile {}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} free of {}:", self.free_at(self.start()), self.capacity)?;
        self.segments().try_for_each(|s| write!(f, " {}@{}", s.amount, s.from.0))
    }
}
