//! What a session tells of a stretch of its time.

use crate::Nanos;
use crate::figures::Figures;
use std::time::Duration;

/// A stretch of a session: all packets that were due in it, told once the last of them had all its
/// patience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Counts from zero. A gap: whoever listens did not keep up, and windows were dropped.
    pub number: u64,
    /// When it began, by the wall clock, in UTC counted from 1970.
    pub opened: Nanos,
    /// How long it was.
    pub lasted: Duration,
    /// What it says about the link.
    pub figures: Figures,
    /// Whether packets went as they should.
    pub pace: Pace,
    /// Whose moments the figures rest on.
    pub stamps: Stamps,
    /// What arrived and answers nothing awaited: forged, with a wrong tag, or late beyond the window.
    pub strays: u32,
}

/// How well the sender kept its schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Packets that were not sent because this machine was too busy when they were due.
    pub skipped: u32,
    /// Packets that the system refused to send (no route, no buffer). They count as not sent.
    pub failed: u32,
    /// Packets that arrived here and were dropped, as this process did not read them in time. They
    /// are among the lost ones of this window or those before.
    pub overrun: u32,
    /// How much later than due a packet left, at worst.
    pub latest: Nanos,
}

impl Pace {
    /// Whether all packets that were due left, and no answer was dropped on this machine.
    #[must_use]
    pub fn kept(&self) -> bool {
        self.skipped == 0 && self.failed == 0 && self.overrun == 0
    }
}

/// How many moments are the kernel's. The rest were read in user space, and contain what the process
/// waited for the processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// Of packets sent.
    pub sent: u32,
    /// Of first answers received.
    pub received: u32,
}
