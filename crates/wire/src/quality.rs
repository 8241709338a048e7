//! Whom agents measure the way to.

use model::{CenterId, Digest, Span};
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
