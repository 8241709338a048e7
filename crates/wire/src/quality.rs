//! Whom agents measure the way to, and what filler they fetch to learn what a link delivers.

use crate::PaceStep;
use model::{CenterId, Digest, Span, TransferId};
use serde::{Deserialize, Serialize};

/// What an agent should measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// How long a window is; each ends in a report.
    pub window: Span,
    /// The other ends.
    pub peers: Vec<Peer>,
}

/// The other end of a way to be measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Whose agent it is.
    pub center: CenterId,
    /// Where it answers test packets, as `host:port`.
    pub address: String,
    /// The secret of these two agents, for the authenticated mode (RFC 8762 §4.4). Deciding knows
    /// no secrets: the server's edge fills this in as it answers.
    pub key: Option<Digest>,
    /// Whether this agent sends; else it only answers. Of a pair one sends.
    pub sends: bool,
}

/// Filler to be fetched and thrown away, to learn what a link delivers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkTest {
    /// Its number.
    pub transfer: TransferId,
    /// From whose door.
    pub from: CenterId,
    /// Where that door is.
    pub url: String,
    /// What opens it. Deciding knows no secrets: the server's edge fills this in as it answers.
    pub ticket: Option<String>,
    /// At which rate when, counted from the moment the order is received. Nothing comes after the
    /// last one.
    pub steps: Vec<PaceStep>,
    /// How long connections are given to find their speed; what comes in this time is not told.
    pub warm_up: Span,
    /// How long each of the two windows is that follow; each ends in a [`Delivered`] report.
    ///
    /// [`Delivered`]: crate::Report::Delivered
    pub window: Span,
}
