//! How far copies are on their way, and why attempts do not run yet.

use model::{AttemptId, Bytes, Rate, TransferId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far things are at a center. Never a fact: each message replaces the one before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnderWay {
    /// All that are being fetched now.
    pub copies: Vec<CopyUnderWay>,
    /// Why attempts that the center's engine took do not run yet, in that engine's own words; of those of
    /// which it says so.
    pub waits: BTreeMap<AttemptId, String>,
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
