//! External stores of centers, and how data lies in them.

use crate::{Bytes, Rate, Span, StoreId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How soon what is in a store can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// At once.
    #[default]
    Hot,
    /// At once, at a price.
    Warm,
    /// After a recall; reading back what was just written is not possible or not wanted.
    Cold,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hot => "hot",
            Self::Warm => "warm",
            Self::Cold => "cold",
        })
    }
}

/// How data lies in an external store of a center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lies {
    /// What the center calls the store.
    pub store: StoreId,
    /// How soon what is there can be read.
    pub tier: Tier,
    /// How long data there takes before its first byte can be read.
    pub recall: Span,
    /// How fast the center read it when it came to lie there; absent where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Whether the center put it there; else it was there before the network knew of it.
    pub archived: bool,
}

impl Lies {
    /// How long reading `bytes` of it takes from when it is asked for. Where nobody knows how fast that
    /// is, only the recall counts.
    #[must_use]
    pub fn time_to_read(&self, bytes: Bytes) -> Span {
        let reading = self.rate.and_then(|rate| bytes.time_at(rate));
        self.recall + reading.unwrap_or(Span::ZERO)
    }
}

/// An external store as its center's agent tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalStore {
    /// What the center calls it.
    pub store: StoreId,
    /// How it is spoken to, such as `s3`, for people.
    pub kind: String,
    /// How soon what is there can be read.
    pub tier: Tier,
    /// How long data there takes before its first byte can be read.
    pub recall: Span,
    /// How much may be in it; no limit of the center's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Bytes>,
    /// Whether replicas can be put there; else it is only read.
    pub takes: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_takes_the_recall_and_then_what_the_rate_makes_of_the_bytes() {
        let mut lies = Lies {
            store: "tape".parse().unwrap(),
            tier: Tier::Cold,
            recall: Span::from_secs(60),
            rate: Some(Rate(8_000_000)),
            archived: true,
        };
        assert_eq!(lies.time_to_read(Bytes(3_000_000)), Span::from_secs(63));
        lies.rate = None;
        assert_eq!(lies.time_to_read(Bytes(3_000_000)), Span::from_secs(60));
    }
}
