//! What attempts read.

use model::{CenterId, DatasetVersion, Rate, Span};
use serde::{Deserialize, Serialize};

/// An input of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInput {
    /// The name the job knows it by.
    pub name: String,
    /// Which data.
    pub data: DatasetVersion,
    /// The job reads it at an address while it runs, not in a directory.
    #[serde(default)]
    pub streamed: bool,
    /// Where that is read from; none where the data is at the center.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<ReadOver>,
}

/// How an attempt reads an input over the network while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadOver {
    /// From whose store.
    pub from: CenterId,
    /// Where that store opens.
    pub url: String,
    /// What opens it. Deciding knows no secrets: the server's edge fills this in as it answers.
    pub ticket: Option<String>,
    /// How fast, counted as data.
    pub rate: Rate,
    /// For how long at the most, counted from the moment the order is received.
    pub lasts: Span,
}
