//! The quality of links: what carriers promise, what was measured, and whether it held.

use crate::attempt::RateStep;
use crate::link::Hop;
use crate::{Bytes, CenterId, LinkId, Rate, Span, TokenId, TransferId};
use serde::{Deserialize, Serialize};

/// What a carrier promises of its link. What is left out is not promised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sla {
    /// 99 of 100 round trips take no more microseconds than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_us: Option<u64>,
    /// Of a million packets no more than this are lost on the way there and back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_ppm: Option<u32>,
    /// Of the bandwidth a transfer was given at least this many percent are delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_percent: Option<u32>,
}

impl Sla {
    /// Whether nothing is promised.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Content of `path-measured`: what a window of time showed of the way between two centers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathMeasured {
    /// Who sent: the side that probed, or whose store was read.
    pub from: CenterId,
    /// The other side.
    pub to: CenterId,
    /// How long the window was. It closed shortly before the fact's time.
    pub lasted: Span,
    /// The path it is judged as: of a transfer the booked one, else the shortest by latency. Empty
    /// where no links join the two. Of a single link it judges that link.
    pub hops: Vec<Hop>,
    /// What was measured.
    pub measured: Measured,
    /// Whether what the path's carriers promise together held.
    pub verdict: Verdict,
}

/// What was measured in a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measured {
    /// By test packets.
    Probed(Probed),
    /// By a transfer or a test under way.
    Delivered(Delivered),
}

/// What test packets said (RFC 8762). Times are microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// Packets that left.
    pub sent: u32,
    /// Those of them without an answer in time (RFC 6673).
    pub lost: u32,
    /// Answers that came after the answer to a later packet (RFC 4737).
    pub reordered: u32,
    /// Round trips without the reflector's stay (RFC 2681); none when nothing came back.
    pub round_trip: Option<Delays>,
    /// Smoothed variation of the round trip (RFC 3550 §6.4.1).
    pub jitter_us: u64,
    /// The way there; none where the two clocks cannot be compared. Never half a round trip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub there: Option<Delays>,
    /// The way back, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<Delays>,
}

impl Probed {
    /// Of a million packets so many were lost; none when none left.
    #[must_use]
    pub fn loss_ppm(&self) -> Option<u32> {
        let lost = u64::from(self.lost) * 1_000_000;
        lost.checked_div(self.sent.into()).and_then(|ppm| u32::try_from(ppm).ok())
    }
}

/// Percentiles by nearest rank, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delays {
    /// The shortest.
    pub min_us: u64,
    /// The median.
    pub p50_us: u64,
    /// Nine of ten are no longer.
    pub p90_us: u64,
    /// 99 of 100 are no longer.
    pub p99_us: u64,
}

/// What a transfer or a test brought against what its plan gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// Which transfer.
    pub transfer: TransferId,
    /// Bytes that could have come at the planned rates.
    pub planned: Bytes,
    /// Bytes that came. As much as planned says nothing of what the path could do beyond it.
    pub delivered: Bytes,
    /// The link on the path that planning thinks the narrowest: a shortfall is laid to it.
    pub narrowest: Option<LinkId>,
    /// Whether it was filler, sent only to learn this.
    #[serde(default, skip_serializing_if = "is_not")]
    pub tested: bool,
}

/// Kept as a function for serde, which passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
const fn is_not(flag: &bool) -> bool {
    !*flag
}

/// Content of `link-test-planned`: for a while filler goes over a link, to learn what it delivers. It
/// reserves what it takes as a transfer does, has a number of the same kind, and ends by
/// `transfer-ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkTest {
    /// Its number.
    pub transfer: TransferId,
    /// Which direction of which link is tested; it is among the hops.
    pub tests: Hop,
    /// From whose door.
    pub from: CenterId,
    /// To whose agent.
    pub to: CenterId,
    /// Over which links, in order.
    pub hops: Vec<Hop>,
    /// At which rate when: half-open intervals, sorted, apart.
    pub steps: Vec<RateStep>,
    /// Who asked for it; none where it was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<TokenId>,
}

/// Whether a promise held in a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All that was promised and measured held.
    Held,
    /// Something did not.
    Broken {
        /// What, at least one.
        by: Vec<Breach>,
    },
    /// Nothing was both promised and measured.
    Unknown,
}

/// A promise that did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breach {
    /// Round trips took longer.
    RoundTrip {
        /// 99 of 100 were to take no more, in microseconds.
        promised_us: u64,
        /// The 99th percentile, in microseconds.
        measured_us: u64,
    },
    /// More packets were lost.
    Loss {
        /// So many of a million at most.
        promised_ppm: u32,
        /// So many of a million were.
        measured_ppm: u32,
    },
    /// Less was delivered.
    Rate {
        /// This share of the planned bandwidth at least.
        promised_percent: u32,
        /// The share that came, rounded down.
        measured_percent: u32,
    },
}

/// Content of `link-rated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkRated {
    /// Which link.
    pub link: LinkId,
    /// What new transfers are planned at, each way, at most; none: at its capacity again.
    pub rate: Option<Rate>,
}
