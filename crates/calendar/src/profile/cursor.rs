//! Going along a profile in time.

use super::Profile;
use model::Moment;

/// Goes along a profile: what lies ahead is nearly always near.
pub(crate) struct Cursor<'a> {
    profile: &'a Profile,
    block: usize,
    step: usize,
    /// When the stretch ends it stands at.
    until: Moment,
}

impl Profile {
    /// Stands at the stretch around `at`, from where it goes on in time.
    pub(crate) fn cursor(&self, at: Moment) -> Cursor<'_> {
        let (block, step) = self.locate(at);
        Cursor { profile: self, block, step, until: self.end_of(block, step) }
    }
}

impl Cursor<'_> {
    /// How much is free at `at`, which is not before where it stands, and until when that holds.
    pub(crate) fn at(&mut self, at: Moment) -> (u64, Moment) {
        if self.until <= at && self.goes_on() {
            // The next stretch is the likeliest.
            if self.until <= at {
                *self = self.profile.cursor(at);
            }
        }
        (self.free(), self.until)
    }

    /// The first moment behind where it stands with `amount` free; it stands there then.
    pub(crate) fn next_free(&mut self, amount: u64) -> Option<Moment> {
        while self.goes_on() {
            while self.profile.blocks[self.block].high < amount {
                (self.block, self.step) = (self.block + 1, 0);
                self.profile.blocks.get(self.block)?;
            }
            if self.free() >= amount {
                self.until = self.profile.end_of(self.block, self.step);
                return Some(self.profile.blocks[self.block].step(self.step).at);
            }
        }
        None
    }

    fn free(&self) -> u64 {
        self.profile.blocks[self.block].step(self.step).free
    }

    /// Goes to the next stretch, if there is one.
    fn goes_on(&mut self) -> bool {
        let blocks = &self.profile.blocks;
        let next = match self.step + 1 < blocks[self.block].len() {
            true => (self.block, self.step + 1),
            false => (self.block + 1, 0),
        };
        let is_there = next.0 < blocks.len();
        if is_there {
            (self.block, self.step) = next;
            self.until = self.profile.end_of(self.block, self.step);
        }
        is_there
    }
}
