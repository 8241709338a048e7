//! An attempt as the agent knows it.

use crate::Seen;
use model::attempt::Stop;
use model::{AttemptId, DatasetVersion, Moment, Span};
use wire::Run;

/// Whose turn it is among attempts that want the same slots: by planned start.
pub(crate) type Turn = (Moment, AttemptId);

/// An attempt, as ordered and as seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempt {
    pub(crate) run: Option<Box<Run>>,
    pub(crate) stop: Option<Stop>,
    pub(crate) seen: Option<Seen>,
    /// A launch was asked for and has not been observed yet.
    pub(crate) launching: bool,
    /// What the center's batch system calls it, as was last reported.
    pub(crate) called: Option<String>,
    pub(crate) accepted: bool,
    pub(crate) started: bool,
    /// How far its work is kept, while the server has not been told.
    pub(crate) saved: Option<Span>,
    /// A stop was asked of the engine.
    pub(crate) stopped: bool,
    pub(crate) keeping: bool,
    /// The end is in the outbox.
    pub(crate) told: bool,
    pub(crate) lease_until: Option<u64>,
}

/// What an attempt has to do with the nodes it is ordered to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It waits for them.
    Waits,
    /// It has them. What has ended has them until its end is in the outbox: the server is to hear
    /// of the end before it hears of the next start.
    Holds,
    /// Nothing.
    Aside,
}

impl Attempt {
    pub(crate) fn is_alive(&self) -> bool {
        self.launching
            || matches!(self.seen, Some(Seen::Starting | Seen::Unattended | Seen::Running))
    }

    /// Whether nothing has been started of it.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.launching && self.seen.is_none()
    }

    pub(crate) fn standing(&self) -> Standing {
        match (self.is_untouched(), self.stop) {
            _ if self.run.is_none() || self.told => Standing::Aside,
            (true, None) => Standing::Waits,
            (true, Some(_)) => Standing::Aside,
            (false, _) => Standing::Holds,
        }
    }

    /// Whether it reads this data.
    pub(crate) fn reads(&self, data: &DatasetVersion) -> bool {
        self.run.iter().flat_map(|run| &run.inputs).any(|input| input.data == *data)
    }

    /// Whether it is alive under a lease.
    pub(crate) fn is_leased(&self) -> bool {
        self.is_alive() && self.run.as_ref().is_some_and(|run| run.lease.is_some())
    }
}
