//! What an engine knows about an attempt.

use model::AttemptId;
use model::{Moment, Span};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An attempt and what is known about it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Which attempt.
    pub attempt: AttemptId,
    /// How it is.
    pub state: State,
}

/// How an attempt is. `Ended` and `Lost` are final, and nothing of the attempt is alive then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Taken, but its command does not run yet.
    Starting {
        /// Why not, in the words of the batch system that is to run it, where that says so.
        why: Option<String>,
    },
    /// Taken by an engine that was closed before anybody was at it, and nobody is yet: to launch it again has
    /// it run, to stop it ends it.
    Unattended,
    /// Its command, or something it left behind, runs.
    Running {
        /// When the command started, by this machine's wall clock.
        started: Moment,
    },
    /// It ended, and this is how.
    Ended(Outcome),
    /// It is gone without a result, as after a restart of the machine.
    Lost {
        /// What is known, for people.
        why: String,
    },
}

impl State {
    /// Taken, and nothing more is known.
    pub const STARTING: Self = Self::Starting { why: None };

    /// Whether it can no longer change.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Ended(_) | Self::Lost { .. })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting { why: None } => write!(f, "it has not started"),
            Self::Starting { why: Some(why) } => write!(f, "it has not started: {why}"),
            Self::Unattended => write!(f, "nobody is at it"),
            Self::Running { .. } => write!(f, "it runs"),
            Self::Ended(Outcome { exit: Some(exit), .. }) => write!(f, "it ended with {exit}"),
            Self::Ended(Outcome { exit: None, .. }) => write!(f, "it ended before it ran"),
            Self::Lost { why } => write!(f, "it is lost: {why}"),
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How its command ended; none when it never ran.
    pub exit: Option<Exit>,
    /// Why it ended.
    pub cause: Cause,
    /// When the command started; when the attempt was given up, if it never did.
    pub started: Moment,
    /// When the last of its processes was gone.
    pub ended: Moment,
    /// What it used.
    pub usage: Usage,
    /// Whether more was written to stdout or stderr than was kept.
    pub truncated: bool,
}

impl Outcome {
    /// The outcome of an attempt given up at `moment` before its command ran.
    pub(crate) fn never_ran(cause: Cause, moment: Moment) -> Self {
        Self {
            exit: None,
            cause,
            started: moment,
            ended: moment,
            usage: Usage::default(),
            truncated: false,
        }
    }

    /// Whether the command ran to its own end and said it did well.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.cause == Cause::Finished && self.exit == Some(Exit::Exited(0))
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With this code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Signaled(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Why an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// By itself.
    Finished,
    /// It ran longer than its limit.
    TimeLimit,
    /// It was told to stop.
    Stopped,
    /// Its lease passed without being extended.
    LeaseExpired,
    /// The batch system that ran it wanted it gone.
    Evicted,
    /// It used more memory than it asked for.
    OutOfMemory,
    /// Its command could not be run; says why.
    CouldNotStart(String),
}

/// What an attempt used, all its processes together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Processor time in its own code.
    pub user: Span,
    /// Processor time in the kernel for it.
    pub system: Span,
    /// The largest resident memory of any one of its processes, in bytes; never below the few MiB
    /// that its supervisor had when it forked.
    pub max_rss: u64,
}
