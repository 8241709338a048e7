//! The log, and events: its facts as they become durable.

use model::{Digest, Moment};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A fact as an event. `C` is its content, whatever the kind says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event<C = serde_json::Value> {
    /// Its number; events go on after it.
    pub number: u64,
    /// What kind of fact, such as `job-ended`.
    pub kind: String,
    /// When it happened.
    #[schema(value_type = u64)]
    pub at_ms: Moment,
    /// What it is about, such as `job-42` or `center:sh-ssc`.
    pub subjects: Vec<String>,
    /// What it says; absent when it was withheld or erased. Its form is the log's, which differs
    /// from this API's: see the kind's documentation.
    #[schema(value_type = Object, nullable)]
    pub content: Option<C>,
}

/// Facts in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogPage<C = serde_json::Value> {
    /// This page of them.
    pub records: Vec<LogRecord<C>>,
    /// What to ask for as `after` to get the next page; absent on the last.
    pub next: Option<u64>,
}

/// A fact with what the chain holds of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogRecord<C = serde_json::Value> {
    /// The fact.
    #[serde(flatten)]
    pub event: Event<C>,
    /// The version of its kind.
    pub version: u16,
    /// The digest of its content's bytes.
    #[schema(value_type = String)]
    pub payload: Digest,
    /// The digest of its header, which the chain runs over.
    #[schema(value_type = String)]
    pub header: Digest,
}
