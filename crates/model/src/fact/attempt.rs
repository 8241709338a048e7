//! What facts say that are about an attempt. Fields are never renamed.

use crate::attempt::{Ended, Stop, Stream};
use crate::{AttemptId, CenterId, JobId, Moment};
use serde::{Deserialize, Serialize};

/// Content of facts that touch an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptTouched {
    /// Which attempt.
    pub attempt: AttemptId,
}

/// Content of `attempt-entered`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptEntered {
    /// Which attempt.
    pub attempt: AttemptId,
    /// Whose batch system has it.
    pub center: CenterId,
    /// What it is called there, by people who look for it with the batch system's own tools.
    pub called: String,
}

/// Content of `attempt-stopping`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptStopping {
    /// Which attempt.
    pub attempt: AttemptId,
    /// Why.
    pub why: Stop,
}

/// Content of `attempt-preempted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptPreempted {
    /// Which attempt.
    pub attempt: AttemptId,
    /// The job that is to run where it does; none where the owner takes the place back.
    pub by: Option<JobId>,
    /// When its nodes are free at the latest: it was given its grace by then.
    pub until: Moment,
}

/// Content of `attempt-checkpointed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptCheckpointed {
    /// Which attempt.
    pub attempt: AttemptId,
    /// When the checkpoint was written, by the server's clock.
    pub at: Moment,
}

/// Content of `attempt-rerouted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptRerouted {
    /// Which attempt.
    pub attempt: AttemptId,
    /// All it reads over the network from now on.
    pub streams: Vec<Stream>,
}

/// Content of `attempt-ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttemptEnded {
    /// Which attempt.
    pub attempt: AttemptId,
    /// How, and what it used.
    pub ended: Ended,
}
