//! The one clock of the server.

use model::Moment;
use rustix::time::{ClockId, clock_gettime};
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the present time. Reads the wall clock once, when it is made, and counts on from there by
/// the clock that includes suspended time: setting the wall clock neither ends a lease early nor
/// lets time go back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Moment,
    boot_ms: u64,
}

fn boot_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let (secs, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    secs * 1_000 + nanos / 1_000_000
}

impl Clock {
    /// A clock that starts at the wall clock's time, or at `not_before` if that is later: the log
    /// may have been written on a host whose clock was ahead.
    #[must_use]
    pub(crate) fn start(not_before: Moment) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = Moment(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX));
        Self { start: wall.max(not_before), boot_ms: boot_ms() }
    }

    /// The present time.
    #[must_use]
    pub(crate) fn now(&self) -> Moment {
        self.start + model::Span(boot_ms().saturating_sub(self.boot_ms))
    }
}
