//! What is promised, and how it is said that a promise did not hold.

use std::fmt;

/// A promise of the network to those who use it, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// At no moment is a pool given more nodes or chips than it has, running and reserved together.
    Capacity,
    /// No more of a node is in use than it has, as far as was reported: reports come late, and where
    /// one overtakes another this does not hold though nothing went wrong.
    InUse,
    /// At no moment is more bandwidth reserved on a link's direction than it has.
    Links,
    /// All or nothing of a gang.
    Gangs,
    /// At most one live attempt of a job; reports of older attempts change nothing.
    Fencing,
    /// An accepted submission ends in exactly one terminal state.
    NoLoss,
    /// Repeating a submission, an order or a report changes nothing.
    Idempotence,
    /// No tenant beyond nominal and borrowing limit.
    Quota,
    /// Nobody has of an owner's pools what it does not lend, or more, or at other times.
    Lending,
    /// No byte of a dataset outside its allowed regions, and no path across a forbidden one.
    Residency,
    /// No whole copy of a version that is to be kept is let go as the last, and none is in passing where
    /// its owner does not lend the room.
    Copies,
    /// Every entry has two sides, every charge its cause.
    Money,
    /// Folding the log gives the live world, bit for bit.
    Replay,
    /// Every pending job's reasons can be had.
    Explanations,
    /// Only preemptible jobs make room: for a higher priority, for what is taken back of a quota, or for
    /// a center's own; and each has its grace.
    Preemption,
    /// A job comes after those it is to come after, and no more of an array run at once than it says.
    Order,
}

impl Promise {
    /// One word or two for tables and messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Capacity => "capacity",
            Self::InUse => "in use",
            Self::Links => "links",
            Self::Gangs => "gangs",
            Self::Fencing => "fencing",
            Self::NoLoss => "no loss",
            Self::Idempotence => "idempotence",
            Self::Quota => "quota",
            Self::Lending => "lending",
            Self::Residency => "residency",
            Self::Copies => "copies",
            Self::Money => "money",
            Self::Replay => "replay",
            Self::Explanations => "explanations",
            Self::Preemption => "preemption",
            Self::Order => "order",
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A promise that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Which one.
    pub promise: Promise,
    /// Where, who and by how much, for people.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.what)
    }
}

/// Violations on their way to whoever asked.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) list: Vec<Violation>,
}

impl Findings {
    /// Notes that `promise` did not hold.
    pub(crate) fn say(&mut self, promise: Promise, what: String) {
        self.list.push(Violation { promise, what });
    }

    /// Notes it unless `holds`; the words are only made when they are needed.
    pub(crate) fn judge(&mut self, promise: Promise, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.say(promise, what());
        }
    }
}
