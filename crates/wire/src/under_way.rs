//! How far copies are on their way.

use model::{Bytes, Rate, TransferId};
use serde::{Deserialize, Serialize};

/// How far the copies are that come to a center. Never a fact: each message replaces the one before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnderWay {
    /// All that are being fetched now.
    pub copies: Vec<CopyUnderWay>,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyUnderWay {
    /// By which transfer it comes.
    pub transfer: TransferId,
    /// How much of it is there and verified.
    pub done: Bytes,
    /// How fast it came lately.
    pub rate: Rate,
}
