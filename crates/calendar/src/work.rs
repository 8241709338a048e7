//! Counting work, so that planning can stop early at the same place on every machine.

/// Work done so far, and how much there may be.
///
/// A unit is one question asked of a calendar or one stretch skipped to answer it. Units depend only
/// on what the calendars hold, never on how they came to hold it, so that a restarted planner stops
/// exactly where the first one did. Calendars only count; a caller asks [`Work::is_spent`] between
/// questions and stops where it can say what it left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    done: u64,
    limit: u64,
}

impl Work {
    /// Nothing done yet of at most `limit` units.
    #[must_use]
    pub const fn up_to(limit: u64) -> Self {
        Self { done: 0, limit }
    }

    /// Nothing done yet, and never too much.
    #[must_use]
    pub const fn unbounded() -> Self {
        Self::up_to(u64::MAX)
    }

    /// Counts `units` more.
    pub const fn count(&mut self, units: u64) {
        self.done = self.done.saturating_add(units);
    }

    /// Units done so far; may pass the limit by the last question's.
    #[must_use]
    pub const fn done(&self) -> u64 {
        self.done
    }

    /// Whether the limit has been reached.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        self.done >= self.limit
    }
}
