//! One try of a job in one place: offered, staged, run, over.

mod placement;

pub use placement::{PartPlacement, Placement, Slots};

use crate::fact::Fact;
use crate::job::JobSpec;
use crate::link::Hop;
use crate::{
    AttemptId, Bytes, CenterId, DatasetVersion, JobId, LinkId, Moment, Money, Rate, Span,
    TransferId,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A dataset version on its way to a center, at rates reserved on the links it crosses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staging {
    /// Its number.
    pub transfer: TransferId,
    /// What moves.
    pub data: DatasetVersion,
    /// How much.
    pub bytes: Bytes,
    /// From whose store.
    pub from: CenterId,
    /// Into whose store.
    pub to: CenterId,
    /// Over which links, in order.
    pub hops: Vec<Hop>,
    /// At which rate when: half-open intervals, sorted, apart.
    pub steps: Vec<RateStep>,
    /// What comes of it from other stores meanwhile, from none twice; version 1 of the fact knows none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<Leg>,
    /// When it is planned to be there.
    pub arrives: Moment,
    /// What the reservation costs.
    pub price: Money,
    /// Whether its source moves it, into the receiver's door: the source has none itself.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sent: bool,
    /// Whether the copy is to be there only in passing: its center lends the room, as a relay.
    #[serde(default, skip_serializing_if = "is_false")]
    pub passing: bool,
}

impl Staging {
    /// The center that moves it: the one without whose doing nothing does.
    #[must_use]
    pub const fn mover(&self) -> &CenterId {
        if self.sent { &self.from } else { &self.to }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Staging {
    /// From whose stores it comes, over which links, at which rates when; one at least.
    pub fn legs(&self) -> impl Iterator<Item = (&CenterId, &[Hop], &[RateStep])> {
        let Self { from, hops, steps, beside, .. } = self;
        let beside = beside.iter().map(|leg| (&leg.from, &*leg.hops, &*leg.steps));
        std::iter::once((from, &**hops, &**steps)).chain(beside)
    }

    /// The links it crosses.
    pub fn links(&self) -> impl Iterator<Item = &LinkId> {
        self.legs().flat_map(|(_, hops, _)| hops).map(|hop| &hop.link)
    }

    /// Whether anything of it comes from there.
    #[must_use]
    pub fn is_from(&self, center: &CenterId) -> bool {
        self.legs().any(|(from, ..)| from == center)
    }
}

/// What another store sends of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// Whose store.
    pub from: CenterId,
    /// Over which links, in order.
    pub hops: Vec<Hop>,
    /// At which rate when: half-open intervals, sorted, apart.
    pub steps: Vec<RateStep>,
}

/// A dataset version read over the network while an attempt runs, at a rate that is reserved on the
/// links it crosses for as long as the attempt holds its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// The name the job knows the input by.
    pub input: String,
    /// What is read.
    pub data: DatasetVersion,
    /// From whose store.
    pub from: CenterId,
    /// Over which links, in order.
    pub hops: Vec<Hop>,
    /// What is reserved on each, headers included.
    pub rate: Rate,
    /// Before which nothing is.
    pub since: Moment,
    /// What the reservation costs if the attempt holds its nodes to the last.
    pub price: Money,
}

/// A rate reserved over an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateStep {
    /// From when.
    pub from: Moment,
    /// Until when, not included.
    pub until: Moment,
    /// How fast.
    pub rate: Rate,
}

/// The live attempt of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which one.
    pub attempt: AttemptId,
    /// Where and when.
    pub placement: Arc<Placement>,
    /// When the offer was made.
    pub offered: Moment,
    /// How far it has come.
    pub state: AttemptState,
    /// When its newest checkpoint was written, if its center told of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<Moment>,
    /// For whom it makes room, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preempted: Option<Preempted>,
    /// What the batch system of its center calls it, where one has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<Arc<str>>,
}

/// For whom an attempt makes room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preempted {
    /// The job that is to run where it does; none where the owner takes the place back.
    pub by: Option<JobId>,
    /// When its nodes are free at the latest.
    pub until: Moment,
}

/// How far an attempt has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptState {
    /// The center has not answered yet.
    Offered,
    /// The center took it; data is on its way, or its nodes are not free yet.
    Accepted,
    /// Its process runs.
    Running {
        /// Since when.
        started: Moment,
    },
    /// It is to stop.
    Stopping {
        /// Why.
        why: Stop,
        /// Since when it had been running, if it had.
        started: Option<Moment>,
    },
    /// Nothing of it is alive, and nothing ever will be.
    Over {
        /// How it ended.
        outcome: Outcome,
        /// Since when it had been running, if it had.
        started: Option<Moment>,
    },
}

impl AttemptState {
    /// One word for tables.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Accepted => "staging",
            Self::Running { .. } => "running",
            Self::Stopping { .. } => "stopping",
            Self::Over { .. } => "ending",
        }
    }

    /// The stop it is under, if it is.
    #[must_use]
    pub const fn stopping(&self) -> Option<Stop> {
        match self {
            Self::Stopping { why, .. } => Some(*why),
            Self::Offered | Self::Accepted | Self::Running { .. } | Self::Over { .. } => None,
        }
    }

    /// When its process started, if it did.
    #[must_use]
    pub const fn started(&self) -> Option<Moment> {
        match self {
            Self::Offered | Self::Accepted => None,
            Self::Running { started } => Some(*started),
            Self::Stopping { started, .. } | Self::Over { started, .. } => *started,
        }
    }
}

/// Why an attempt is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// Its job was canceled.
    Canceled,
    /// Its nodes are needed for another.
    Preempted,
    /// Its job was put on hold.
    Held,
    /// Its job is to begin anew.
    Requeued,
    /// The plan for it no longer holds.
    Withdrawn,
    /// It is a reservation in which nothing ran for too long.
    Lapsed,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Its process ended by itself; zero is success.
    Exited {
        /// The exit code.
        code: i32,
    },
    /// A signal that was not ours ended it.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// It reached its limit and was stopped.
    TimedOut,
    /// It used more memory than it was given.
    OutOfMemory,
    /// It was stopped as it was told.
    Stopped(Stop),
    /// It stopped itself, for it had no word from the server for its lease.
    LeaseExpired,
    /// The center would not have it.
    Refused(Refused),
    /// It could not be started.
    NotStarted {
        /// Why, for people.
        why: String,
    },
    /// It is gone without a result: its host restarted, or its center was declared lost.
    Lost {
        /// Why, for people.
        why: String,
    },
}

impl Outcome {
    /// Whether the job itself is to blame, so that trying again is its own `retries`' business.
    #[must_use]
    pub const fn is_own_fault(&self) -> bool {
        match self {
            Self::Exited { .. } | Self::Signaled { .. } | Self::TimedOut | Self::OutOfMemory => {
                true
            }
            Self::Stopped(_)
            | Self::LeaseExpired
            | Self::Refused(_)
            | Self::NotStarted { .. }
            | Self::Lost { .. } => false,
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited { code } => write!(f, "exit code {code}"),
            Self::Signaled { signal } => write!(f, "signal {signal}"),
            Self::TimedOut => write!(f, "reached its limit"),
            Self::OutOfMemory => write!(f, "used more memory than it was given"),
            Self::Stopped(Stop::Canceled) => write!(f, "canceled"),
            Self::Stopped(Stop::Preempted) => write!(f, "preempted"),
            Self::Stopped(Stop::Held) => write!(f, "put on hold"),
            Self::Stopped(Stop::Requeued) => write!(f, "requeued"),
            Self::Stopped(Stop::Withdrawn) => write!(f, "plan withdrawn"),
            Self::Stopped(Stop::Lapsed) => write!(f, "lapsed, for nothing ran in it"),
            Self::LeaseExpired => write!(f, "its lease expired"),
            Self::Refused(refused) => write!(f, "the center refused it: {refused}"),
            Self::NotStarted { why } => write!(f, "could not be started: {why}"),
            Self::Lost { why } => write!(f, "lost: {why}"),
        }
    }
}

/// Why a center refuses an offer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refused {
    /// Nodes the plan counts on are not there.
    NoSuchNodes,
    /// The owner takes nothing at present.
    Drained,
    /// It runs no such work: no container runtime, not this tenant's programs.
    Unsupported {
        /// What is missing, for people.
        what: String,
    },
    /// A copy the job needs could not be had.
    NoData {
        /// Why, for people.
        why: String,
    },
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSuchNodes => write!(f, "it does not have these nodes"),
            Self::Drained => write!(f, "its owner takes nothing at present"),
            Self::Unsupported { what } => write!(f, "not supported there: {what}"),
            Self::NoData { why } => write!(f, "no data: {why}"),
        }
    }
}

/// How an attempt ended and what it used, as its supervisor saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How.
    pub outcome: Outcome,
    /// How long its process ran, by a clock that never jumps.
    pub ran: Span,
    /// Processor time it used.
    pub cpu: Span,
    /// The most memory it held.
    pub memory: Bytes,
}

impl Attempt {
    /// A new attempt, the center's answer outstanding. The moment is set when the fact is folded.
    #[must_use]
    pub fn offered(attempt: AttemptId, placement: &Arc<Placement>) -> Self {
        Self {
            attempt,
            placement: Arc::clone(placement),
            offered: Moment::ZERO,
            state: AttemptState::Offered,
            saved: None,
            preempted: None,
            called: None,
        }
    }

    /// The moment up to which its work outlives it, at `at`, were it to end then: its newest
    /// checkpoint, by what its center told or else by how often its job writes one. Its start where
    /// there is none; `None` when it has not started.
    #[must_use]
    pub fn kept_until(&self, spec: &JobSpec, at: Moment) -> Option<Moment> {
        let started = self.state.started()?;
        let Some(checkpoint) = &spec.checkpoint else { return Some(started) };
        let by_interval = |interval: Span| {
            let whole = at.since(started).0.checked_div(interval.0).unwrap_or(0);
            started + Span(whole * interval.0)
        };
        let guess = || checkpoint.interval.map_or(started, by_interval);
        Some(self.saved.unwrap_or_else(guess).max(started))
    }

    /// Whether nothing of it is alive any more.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, AttemptState::Over { .. })
    }

    /// The attempt after `fact`, which happened at `at`; `None` where the fact cannot follow or is
    /// about another attempt.
    #[must_use]
    pub fn after(&self, fact: &Fact, at: Moment) -> Option<Self> {
        use AttemptState::{Accepted, Offered, Over, Running, Stopping};
        let (mut saved, mut preempted) = (self.saved, self.preempted);
        let mut called = self.called.clone();
        let mut placement = Arc::clone(&self.placement);
        let state = match (&self.state, fact) {
            (Offered, Fact::AttemptAccepted(f)) if f.attempt == self.attempt => Accepted,
            (Offered | Accepted, Fact::AttemptStarted(f)) if f.attempt == self.attempt => {
                Running { started: at }
            }
            (Stopping { why, started: None }, Fact::AttemptStarted(f))
                if f.attempt == self.attempt =>
            {
                Stopping { why: *why, started: Some(at) }
            }
            (Offered | Accepted | Running { .. } | Stopping { .. }, Fact::AttemptEntered(f))
                if f.attempt == self.attempt =>
            {
                called = Some(f.called.as_str().into());
                self.state.clone()
            }
            (Offered | Accepted | Running { .. }, Fact::AttemptStopping(f))
                if f.attempt == self.attempt =>
            {
                Stopping { why: f.why, started: self.state.started() }
            }
            (Offered | Accepted | Running { .. }, Fact::AttemptPreempted(f))
                if f.attempt == self.attempt =>
            {
                preempted = Some(Preempted { by: f.by, until: f.until });
                Stopping { why: Stop::Preempted, started: self.state.started() }
            }
            (Running { .. } | Stopping { started: Some(_), .. }, Fact::AttemptCheckpointed(f))
                if f.attempt == self.attempt =>
            {
                saved = saved.max(Some(f.at));
                self.state.clone()
            }
            (Offered | Accepted | Running { .. } | Stopping { .. }, Fact::AttemptRerouted(f))
                if f.attempt == self.attempt =>
            {
                Arc::make_mut(&mut placement).streams.clone_from(&f.streams);
                self.state.clone()
            }
            (Offered | Accepted | Running { .. } | Stopping { .. }, Fact::AttemptEnded(f))
                if f.attempt == self.attempt =>
            {
                Over { outcome: f.ended.outcome.clone(), started: self.state.started() }
            }
            _ => return None,
        };
        let (attempt, offered) = (self.attempt, self.offered);
        Some(Self { attempt, placement, offered, state, saved, preempted, called })
    }
}
