//! How long a dataset is to be kept, in how many copies and where.

use crate::{CenterId, Moment, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// What is to be kept of a dataset. What nobody said anything about is kept as
/// [`Keeping::default`] says: every version, for ever, in one copy at least, wherever that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keeping {
    /// How many verified copies each version has at least; one or more. The network makes those
    /// that are missing and never removes one that is needed for it.
    pub copies: u32,
    /// How many versions are kept, the newest; all of them where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<u32>,
    /// Until when; for ever where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Expiry>,
    /// Centers whose copies are not removed to make room, and not on demand either.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub pinned: BTreeSet<CenterId>,
}

impl Default for Keeping {
    fn default() -> Self {
        Self { copies: 1, versions: None, expires: None, pinned: BTreeSet::new() }
    }
}

impl Keeping {
    /// When a version that was registered at `registered` expires, if it ever does.
    #[must_use]
    pub fn expiry(&self, registered: Moment) -> Option<Moment> {
        match self.expires? {
            Expiry::After(span) => Some(registered + span),
            Expiry::At(moment) => (registered < moment).then_some(moment),
        }
    }

    /// Whether a version that was registered at `registered` has expired.
    #[must_use]
    pub fn has_expired(&self, registered: Moment, now: Moment) -> bool {
        self.expiry(registered).is_some_and(|expiry| expiry <= now)
    }
}

/// When versions of a dataset expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expiry {
    /// At this moment, those that were registered before it.
    At(Moment),
    /// So long after each was registered.
    After(Span),
}

/// Why a copy goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leave {
    /// Its center's store needs the room.
    Room,
    /// Newer versions are as many as are to be kept.
    Surplus,
    /// The version has expired.
    Expired,
    /// Somebody asked for it.
    Asked,
    /// It was there in passing, and nobody waits for it any more.
    Passed,
}

impl Leave {
    /// It, in a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Surplus => "surplus",
            Self::Expired => "expired",
            Self::Asked => "asked",
            Self::Passed => "passed",
        }
    }
}

impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Room => "the store needs the room",
            Self::Surplus => "newer versions are as many as are to be kept",
            Self::Expired => "the version has expired",
            Self::Asked => "somebody asked for it",
            Self::Passed => "nobody waits for it any more where it was in passing",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_registered_after_the_moment_does_not_expire_by_it() {
        let until = Keeping { expires: Some(Expiry::At(Moment(100))), ..Keeping::default() };
        assert!(until.has_expired(Moment(99), Moment(100)));
        assert!(!until.has_expired(Moment(99), Moment(99)));
        assert!(!until.has_expired(Moment(100), Moment(1_000)));
        let span = Keeping { expires: Some(Expiry::After(Span(10))), ..Keeping::default() };
        assert!(!span.has_expired(Moment(100), Moment(109)));
        assert!(span.has_expired(Moment(100), Moment(110)));
        assert!(!Keeping::default().has_expired(Moment(0), Moment(u64::MAX)));
    }
}
