//! A run of neighboring steps, summed up so that a search can pass it by and a change can lift it
//! whole.

use arrayvec::ArrayVec;
use model::Moment;

/// Half of a full block. A block that fills up is cut in two of these; two blocks that fit into one
/// become one. Small enough to scan at once, large enough that blocks are few.
pub(crate) const HALF: usize = 8;

/// The steps of a block, beside what they sum up to: a search comes to them without a detour.
pub(crate) type Steps = ArrayVec<Step, { 2 * HALF }>;

/// From `at` until the next step's `at`, `free` is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) at: Moment,
    pub(crate) free: u64,
}

/// One or more steps in order of time.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// The first step's moment.
    pub(crate) first: Moment,
    /// The least free in any step.
    pub(crate) low: u64,
    /// The most free in any step.
    pub(crate) high: u64,
    /// What to add to each stored amount, modulo 2^64: the sum is always the true amount, which is
    /// neither negative nor above the capacity, so nothing is lost by wrapping.
    lift: u64,
    steps: Steps,
}

impl Block {
    /// A block of `steps`, which are at least one.
    pub(crate) fn of(steps: Steps) -> Self {
        let mut block = Self { first: Moment::ZERO, low: 0, high: 0, lift: 0, steps };
        block.sum_up();
        block
    }

    fn sum_up(&mut self) {
        let free = || self.steps.iter().map(|step| step.free.wrapping_add(self.lift));
        let (low, high) = (free().min(), free().max());
        self.low = low.expect("a block has a step");
        self.high = high.expect("a block has a step");
        self.first = self.steps[0].at;
    }

    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Step number `i`, with its true amount.
    pub(crate) fn step(&self, i: usize) -> Step {
        let stored = self.steps[i];
        Step { at: stored.at, free: stored.free.wrapping_add(self.lift) }
    }

    /// Step number `i` and all after it.
    pub(crate) fn steps_from(&self, i: usize) -> impl Iterator<Item = Step> {
        (i..self.len()).map(|i| self.step(i))
    }

    /// The number of the step that holds at `at`, which is not before the block.
    pub(crate) fn index_at(&self, at: Moment) -> usize {
        match self.steps.get(1) {
            Some(next) if next.at <= at => self.steps.partition_point(|step| step.at <= at) - 1,
            _ => 0,
        }
    }

    /// Adds `delta`, modulo 2^64, to every step, without touching one.
    pub(crate) fn lift(&mut self, delta: u64) {
        self.lift = self.lift.wrapping_add(delta);
        self.low = self.low.wrapping_add(delta);
        self.high = self.high.wrapping_add(delta);
    }

    /// Changes the steps, of which at least one is left.
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut Steps)) {
        let lift = std::mem::take(&mut self.lift);
        for step in &mut self.steps {
            step.free = step.free.wrapping_add(lift);
        }
        change(&mut self.steps);
        self.sum_up();
    }

    /// The later half, cut off, if the block is full.
    pub(crate) fn overflow(&mut self) -> Option<Self> {
        let mut later = Steps::new();
        if self.len() >= 2 * HALF {
            self.edit(|steps| later = steps.drain(HALF..).collect());
        }
        (!later.is_empty()).then(|| Self::of(later))
    }
}
