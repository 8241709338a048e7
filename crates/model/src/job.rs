//! What a tenant wants run, and how far it has come.

mod promise;
mod spec;

pub use promise::{Cause, GRACE, Horizon, Kept, Promise};
pub use spec::{
    Array, Checkpoint, Dependency, DependencyKind, Duration, Input, InputMode, JobKind, JobSpec,
    Objective, On, Output, Part, SecretRef, Together, Variant, WhenCutOff, Within,
};

use crate::attempt::{Attempt, AttemptState, Outcome, Placement, Stop};
use crate::fact::Fact;
use crate::{CenterId, JobId, Moment, Span};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A job's way from submission to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Accepted, not to be planned before somebody releases it.
    Held,
    /// Accepted, not to be planned before other jobs have ended: those it is to come after, or others of
    /// its array where few may run at once.
    Blocked,
    /// Waits for a place.
    Waiting {
        /// Not to be tried again before this moment.
        not_before: Moment,
    },
    /// Has a place: one live attempt.
    Placed(Box<Attempt>),
    /// Has ended; never changes again.
    Ended {
        /// How.
        end: JobEnd,
        /// When.
        at: Moment,
    },
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobEnd {
    /// It did what it was to do.
    Completed,
    /// It failed, for this reason, and may not be tried again.
    Failed(Outcome),
    /// It reached its limit.
    TimedOut,
    /// Somebody canceled it.
    Canceled,
    /// A reservation that was not used, or a job that still waited when its reservation was over.
    Lapsed,
    /// A job that it was to come after did not complete.
    Unmet {
        /// Which.
        job: JobId,
    },
}

impl JobEnd {
    /// One word for tables.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed(_) => "failed",
            Self::TimedOut => "timed-out",
            Self::Canceled => "canceled",
            Self::Lapsed => "lapsed",
            Self::Unmet { .. } => "unmet",
        }
    }
}

impl Phase {
    /// The phase after `fact`, which happened at `at` and is about this job; `None` where the fact
    /// cannot follow this phase.
    #[must_use]
    pub fn after(&self, fact: &Fact, at: Moment) -> Option<Self> {
        match (self, fact) {
            (Self::Ended { .. }, _) => None,
            (Self::Waiting { .. } | Self::Blocked, Fact::JobHeld(_)) => Some(Self::Held),
            (Self::Held, Fact::JobReleased(released)) if released.blocked => Some(Self::Blocked),
            (Self::Held, Fact::JobReleased(_)) | (Self::Blocked, Fact::JobUnblocked(_)) => {
                Some(Self::Waiting { not_before: at })
            }
            (Self::Waiting { .. }, Fact::JobOffered(offer)) => {
                Some(Self::Placed(Box::new(Attempt::offered(offer.attempt, &offer.placement))))
            }
            (Self::Placed(attempt), Fact::JobRequeued(requeued)) if attempt.is_over() => {
                Some(if requeued.held {
                    Self::Held
                } else {
                    Self::Waiting { not_before: requeued.not_before }
                })
            }
            (Self::Held | Self::Blocked | Self::Waiting { .. }, Fact::JobEnded(ended)) => {
                Some(Self::Ended { end: ended.end.clone(), at })
            }
            (Self::Placed(attempt), Fact::JobEnded(ended)) if attempt.is_over() => {
                Some(Self::Ended { end: ended.end.clone(), at })
            }
            (Self::Placed(attempt), _) => {
                attempt.after(fact, at).map(|attempt| Self::Placed(Box::new(attempt)))
            }
            _ => None,
        }
    }

    /// The attempt in force, if any.
    #[must_use]
    pub fn attempt(&self) -> Option<&Attempt> {
        match self {
            Self::Placed(attempt) => Some(attempt),
            Self::Held | Self::Blocked | Self::Waiting { .. } | Self::Ended { .. } => None,
        }
    }

    /// One word for tables: `held`, `blocked`, `waiting`, `offered`, `staging`, `running`, `stopping`,
    /// `ending`, or how it ended.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Blocked => "blocked",
            Self::Waiting { .. } => "waiting",
            Self::Placed(attempt) => attempt.state.word(),
            Self::Ended { end, .. } => end.word(),
        }
    }
}

/// Which of an array a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Task {
    /// The number of the array's first job, by which the array is known.
    pub array: JobId,
    /// Its index.
    pub index: u32,
}

/// A job with its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its number.
    pub job: JobId,
    /// Which of its array it is, if it is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// What was asked for.
    pub spec: Arc<JobSpec>,
    /// When it was accepted.
    pub submitted: Moment,
    /// How far it has come.
    pub phase: Phase,
    /// Attempts so far, the live one included: the fencing epoch of the newest.
    pub epoch: u32,
    /// Attempts that ended by the job's own fault.
    pub failures: u32,
    /// Attempts that are over.
    pub past: Vec<PastAttempt>,
    /// The start it was first told.
    pub promise: Option<Promise>,
    /// Whether its tenant wants it to end as soon as nothing of it is alive.
    pub canceled: bool,
    /// What its checkpoints kept of the work of attempts that are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<SavedWork>,
}

impl Job {
    /// One word for tables: its phase's, but that a reservation is `booked` until its window is `open`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match &self.phase {
            Phase::Placed(attempt) if self.spec.is_reservation() => match attempt.state {
                AttemptState::Offered | AttemptState::Accepted => "booked",
                _ => "open",
            },
            phase => phase.word(),
        }
    }

    /// The number by which it is known with all others of its array, or its own.
    #[must_use]
    pub fn first(&self) -> JobId {
        self.task.map_or(self.job, |task| task.array)
    }

    /// Whether it is the first of an array.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.task.is_some_and(|task| task.array == self.job)
    }

    /// Its name for people: that of its spec, with its index where it is of an array.
    #[must_use]
    pub fn name(&self) -> String {
        match self.task {
            Some(task) => format!("{}[{}]", self.spec.name, task.index),
            None => self.spec.name.clone(),
        }
    }

    /// How often it was preempted so far.
    #[must_use]
    pub fn preemptions(&self) -> u32 {
        let preempted = Outcome::Stopped(Stop::Preempted);
        let times = self.past.iter().filter(|past| past.outcome == preempted).count();
        u32::try_from(times).unwrap_or(u32::MAX)
    }
}

/// Work that outlives the attempts that did it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SavedWork {
    /// Where the checkpoint is: an attempt in another center begins anew.
    pub center: CenterId,
    /// How long it took to get so far.
    pub work: Span,
}

/// An attempt that is over, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAttempt {
    /// Which try.
    pub epoch: u32,
    /// Where and when it was to run.
    pub placement: Arc<Placement>,
    /// When the offer was made.
    pub offered: Moment,
    /// When it really started.
    pub started: Option<Moment>,
    /// When it was over.
    pub ended: Moment,
    /// How.
    pub outcome: Outcome,
    /// The job it made room for, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preempted_by: Option<JobId>,
    /// What the batch system of its center called it, where one had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<Arc<str>>,
}
