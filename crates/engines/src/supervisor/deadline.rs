//! A timer on the clock of leases.

use crate::BootTime;
use model::Span;
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::os::fd::OwnedFd;

/// How long the supervisor sleeps at most: it then reaps adopted orphans and looks at its files,
/// so that a lost hint delays a stop, but does not lose it.
const LONGEST_SLEEP: Span = Span::from_secs(30);

/// Rings at a time of `CLOCK_BOOTTIME`, also when the machine slept through it.
pub(super) struct Alarm {
    timer: OwnedFd,
    rang: bool,
}

impl Alarm {
    pub(super) fn new() -> Result<Self, Errno> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        // As if it had rung: files written before the supervisor began are looked at once.
        Ok(Self { timer: timerfd_create(TimerfdClockId::Boottime, flags)?, rang: true })
    }

    pub(super) const fn fd(&self) -> &OwnedFd {
        &self.timer
    }

    /// Whether it rang during the last sleep.
    pub(super) const fn rang(&self) -> bool {
        self.rang
    }

    /// Rings at `at`, or after the longest sleep if that is earlier.
    pub(super) fn set(&self, at: Option<BootTime>) {
        let latest = BootTime::now().after(LONGEST_SLEEP);
        // A time of zero would disarm it.
        let at = at.map_or(latest, |at| at.min(latest)).0.max(1);
        let seconds = i64::try_from(at / 1_000).unwrap_or(i64::MAX);
        let nanos = i64::try_from(at % 1_000).expect("less than a thousand") * 1_000_000;
        let spec = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: seconds, tv_nsec: nanos },
        };
        // Fails only for a time out of range, and this one is within seconds.
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &spec);
    }

    /// Notes whether it rang, and silences it.
    pub(super) fn acknowledge(&mut self) {
        self.rang = rustix::io::read(&self.timer, &mut [0; 8]).is_ok();
    }
}
