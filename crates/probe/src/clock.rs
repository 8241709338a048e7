//! The clocks of this machine.

use crate::packet::{ErrorEstimate, Format};
use crate::{Nanos, OwnClock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What is known of this machine's wall clock. Whoever keeps the time (chrony, ptp4l) knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WallClock {
    /// It may be off by anything.
    #[default]
    Free,
    /// It follows UTC, within this.
    Within(Duration),
}

impl WallClock {
    pub(crate) fn estimate(self, format: Format) -> ErrorEstimate {
        match self {
            Self::Free => ErrorEstimate::unsynchronized(format),
            Self::Within(error) => ErrorEstimate::synchronized(error.into(), format),
        }
    }
}

/// The wall clock, in UTC counted from 1970.
pub(crate) fn wall() -> Nanos {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.into(),
        Err(before) => -Nanos::from(before.duration()),
    }
}

/// Two readings of a clock this far apart are not of one moment: the process was put aside between.
const ONE_MOMENT: Nanos = Nanos(5_000);

/// A wall clock that moved this far against the steady one was set. Slewing moves both.
const SET: Nanos = Nanos::MILLISECOND;

/// A steady clock beside the wall clock, so that setting the latter falsifies no round trip.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// What the wall clock was ahead of the steady one when last read.
    ahead: Nanos,
    /// When it was last found to have been set.
    set: Nanos,
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// The steady clock, from its start.
    pub(crate) steady: Nanos,
    pub(crate) wall: Nanos,
    /// The wall clock was set since the reading before.
    pub(crate) was_set: bool,
    /// From when on the two clocks run alike.
    alike_since: Nanos,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let mut clock = Self { start: Instant::now(), ahead: Nanos::ZERO, set: Nanos::ZERO };
        let (steady, wall) = clock.both();
        clock.ahead = wall - steady;
        clock
    }

    /// The steady clock, which is all that waiting needs.
    pub(crate) fn steady(&self) -> Nanos {
        self.start.elapsed().into()
    }

    /// The moment of the runtime's timers at which the steady clock shows `at`.
    pub(crate) fn instant(&self, at: Nanos) -> tokio::time::Instant {
        (self.start + at.to_std()).into()
    }

    /// Reads both clocks, and looks whether the wall clock was set.
    pub(crate) fn read(&mut self) -> Reading {
        let (steady, wall) = self.both();
        let ahead = wall - steady;
        let was_set = (ahead - self.ahead).abs() > SET;
        self.ahead = ahead;
        if was_set {
            self.set = steady;
        }
        Reading { steady, wall, was_set, alike_since: self.set }
    }

    /// The steady clock and the wall clock, read again if the process was put aside between the two.
    fn both(&self) -> (Nanos, Nanos) {
        let mut best = self.bracket();
        for _ in 0..4 {
            if best.0 <= ONE_MOMENT {
                break;
            }
            best = best.min(self.bracket());
        }
        let (_, steady, wall) = best;
        (steady, wall)
    }

    /// How long it took, the steady clock in the middle of it, the wall clock.
    fn bracket(&self) -> (Nanos, Nanos, Nanos) {
        let before = self.steady();
        let wall = wall();
        let took = self.steady() - before;
        (took, before + Nanos(took.0 / 2), wall)
    }
}

impl Reading {
    /// What the wall clock is ahead of the steady one.
    pub(crate) fn ahead(&self) -> Nanos {
        self.wall - self.steady
    }

    /// The steady moment of a stamp that the kernel took by the wall clock a while before. None if
    /// the wall clock was set between, or the stamp is of the future.
    pub(crate) fn place(&self, stamp: Nanos) -> Option<Nanos> {
        let at = stamp - self.ahead();
        (at >= self.alike_since && at <= self.steady + ONE_MOMENT).then_some(at)
    }

    /// How the wall clock relates to the steady one, for one-way delays.
    pub(crate) fn own(&self, wall: WallClock) -> OwnClock {
        match wall {
            WallClock::Free => OwnClock::Free,
            WallClock::Within(error) => {
                OwnClock::Synchronized { ahead: self.ahead(), error: error.into() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_placed_by_its_age_unless_the_clock_was_set_between() {
        let reading = Reading {
            steady: Nanos(500_000),
            wall: Nanos(9_000_000),
            was_set: false,
            alike_since: Nanos(300_000),
        };
        assert_eq!(reading.place(Nanos(8_900_000)), Some(Nanos(400_000)));
        assert_eq!(reading.place(Nanos(10_000_000)), None);
        assert_eq!(reading.place(Nanos(8_700_000)), None);
    }

    #[test]
    fn a_set_wall_clock_is_noticed_once_and_stamps_from_before_are_not_placed() {
        let mut clock = Clock::start();
        let before = clock.read();
        assert!(before.place(before.wall).is_some());
        clock.ahead = clock.ahead + Nanos(3_600_000_000_000);
        let after = clock.read();
        assert!(after.was_set && after.place(before.wall).is_none());
        assert!(after.place(after.wall).is_some());
    }
}
