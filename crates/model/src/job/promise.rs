//! The start a job was told, and how it held.

use super::Job;
use crate::attempt::{Attempt, Outcome, Stop};
use crate::{CenterId, Moment, Span};
use serde::{Deserialize, Serialize};

/// A start holds if the job starts no later than this after it. A start is told as it is planned;
/// its center hears of it with its next poll, and its engine begins at its next turn.
pub const GRACE: Span = Span::from_secs(5);

/// The start a job was first told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Promise {
    /// When it is to start at the latest.
    pub start: Moment,
    /// When it was told so.
    pub told: Moment,
    /// Where it was to start; none where the fact of an older program did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub center: Option<CenterId>,
}

impl<'de> Deserialize<'de> for Promise {
    /// Reads also what older programs kept of it: the start alone.
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Whole {
                start: Moment,
                told: Moment,
                #[serde(default)]
                center: Option<CenterId>,
            },
            Start(Moment),
        }
        Ok(match Written::deserialize(from)? {
            Written::Whole { start, told, center } => Self { start, told, center },
            Written::Start(start) => Self { start, told: start, center: None },
        })
    }
}

impl Promise {
    /// How far ahead it was told.
    #[must_use]
    pub fn horizon(&self) -> Horizon {
        Horizon::of(self.start.since(self.told))
    }
}

/// How far ahead a start was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Horizon {
    /// It was to start at once.
    AtOnce,
    /// Less than a minute.
    Minute,
    /// Less than ten minutes.
    TenMinutes,
    /// Less than an hour.
    Hour,
    /// Less than six hours.
    SixHours,
    /// Less than a day.
    Day,
    /// A day or more.
    Longer,
}

impl Horizon {
    /// The horizon of a start told `ahead` of time.
    #[must_use]
    pub const fn of(ahead: Span) -> Self {
        const MINUTE: u64 = 60_000;
        match ahead.0 {
            0 => Self::AtOnce,
            ms if ms < MINUTE => Self::Minute,
            ms if ms < 10 * MINUTE => Self::TenMinutes,
            ms if ms < 60 * MINUTE => Self::Hour,
            ms if ms < 360 * MINUTE => Self::SixHours,
            ms if ms < 1_440 * MINUTE => Self::Day,
            _ => Self::Longer,
        }
    }

    /// In words, for tables.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::AtOnce => "at once",
            Self::Minute => "under 1m",
            Self::TenMinutes => "under 10m",
            Self::Hour => "under 1h",
            Self::SixHours => "under 6h",
            Self::Day => "under 1d",
            Self::Longer => "1d or more",
        }
    }
}

/// Why a job started later than it was told, as far as facts say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A center refused it, or could not start it.
    Refused,
    /// A center was lost or cut off before it had started there.
    Lost,
    /// Its place was given to another before it had started.
    Preempted,
    /// The plan for it no longer held, and it was planned anew.
    Withdrawn,
    /// It was placed too late, and in another center than it was told.
    Moved,
    /// It was placed too late in the center it was told: its nodes were not free in time.
    Busy,
    /// It was placed in time; it had data to wait for.
    Data,
    /// It was placed in time and its data was there; the center started it late.
    Slow,
    /// It never started: it ended while it was overdue.
    Never,
}

impl Cause {
    /// In words, for tables.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Refused => "a center refused it or could not start it",
            Self::Lost => "its center was lost or cut off",
            Self::Preempted => "its place went to another job",
            Self::Withdrawn => "its plan no longer held",
            Self::Moved => "placed too late, in another center",
            Self::Busy => "its nodes were not free in time",
            Self::Data => "placed in time, its data came late",
            Self::Slow => "placed in time, its center started it late",
            Self::Never => "it ended overdue, without a start",
        }
    }

    /// The one token machines and metrics know it by.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Lost => "lost",
            Self::Preempted => "preempted",
            Self::Withdrawn => "withdrawn",
            Self::Moved => "moved",
            Self::Busy => "busy",
            Self::Data => "data",
            Self::Slow => "slow",
            Self::Never => "never",
        }
    }
}

/// What became of a told start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// The job started no later than told, within [`GRACE`].
    Held {
        /// How much sooner than told.
        early: Span,
    },
    /// It started later, or ended overdue without a start.
    Broken {
        /// How much later.
        late: Span,
        /// Why.
        cause: Cause,
    },
}

impl Kept {
    /// What becomes of `promise` when the job starts, or ends without a start, at `at`.
    #[must_use]
    pub fn of(promise: &Promise, at: Moment, cause: impl FnOnce() -> Cause) -> Self {
        if at <= promise.start + GRACE {
            Self::Held { early: promise.start.since(at) }
        } else {
            Self::Broken { late: at.since(promise.start), cause: cause() }
        }
    }
}

impl Job {
    /// Whether any of its attempts that are over had started.
    #[must_use]
    pub fn has_run(&self) -> bool {
        self.past.iter().any(|past| past.started.is_some())
    }

    /// Why it starts late, if it does with this attempt.
    #[must_use]
    pub fn late_because(&self, promise: &Promise, attempt: &Attempt) -> Cause {
        let undone = |outcome: &Outcome| match outcome {
            Outcome::Refused(_) | Outcome::NotStarted { .. } => Some(Cause::Refused),
            Outcome::Lost { .. } | Outcome::LeaseExpired => Some(Cause::Lost),
            Outcome::Stopped(Stop::Preempted) => Some(Cause::Preempted),
            Outcome::Stopped(_) => Some(Cause::Withdrawn),
            Outcome::Exited { .. }
            | Outcome::Signaled { .. }
            | Outcome::TimedOut
            | Outcome::OutOfMemory => None,
        };
        if let Some(cause) = self.past.iter().rev().find_map(|past| undone(&past.outcome)) {
            return cause;
        }
        let (placement, by) = (&attempt.placement, promise.start + GRACE);
        let elsewhere = promise.center.as_ref().is_some_and(|told| told != placement.center());
        match attempt.offered > by || placement.start > by {
            true if elsewhere => Cause::Moved,
            true => Cause::Busy,
            false if !placement.awaits.is_empty() => Cause::Data,
            false => Cause::Slow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_an_older_program_kept_still_reads() {
        let old: Promise = serde_json::from_str("77000").unwrap();
        assert_eq!(old, Promise { start: Moment(77_000), told: Moment(77_000), center: None });
        let new = Promise { center: Some(CenterId::new("c").unwrap()), told: Moment(5), ..old };
        let text = serde_json::to_string(&new).unwrap();
        assert_eq!(serde_json::from_str::<Promise>(&text).unwrap(), new);
    }

    #[test]
    fn a_start_holds_if_it_comes_within_seconds() {
        let promise = Promise { start: Moment(60_000), told: Moment(0), center: None };
        let kept = |at| Kept::of(&promise, Moment(at), || Cause::Busy);
        assert_eq!(kept(40_000), Kept::Held { early: Span(20_000) });
        assert_eq!(kept(65_000), Kept::Held { early: Span::ZERO });
        let broken = Kept::Broken { late: Span(5_001), cause: Cause::Busy };
        assert_eq!(kept(65_001), broken);
        assert_eq!(promise.horizon(), Horizon::TenMinutes);
    }
}
