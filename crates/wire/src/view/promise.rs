//! How told starts held.

use model::{Moment, Span};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How the starts held that jobs were told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Promises {
    /// From when on they are counted: hours are counted whole for two days, then days, then all.
    #[schema(value_type = u64)]
    pub since_ms: Moment,
    /// A start that comes no later than this after the one told has held.
    #[schema(value_type = u64)]
    pub grace_ms: Span,
    /// All of them.
    pub all: Kept,
    /// Starts nobody can say of whether they would have held: the tenant put the job on hold or
    /// ended it before the time came.
    pub withdrawn: u64,
    /// By how far ahead they were told.
    pub horizons: Vec<KeptAhead>,
    /// Why those that did not hold did not, most frequent first.
    pub causes: Vec<Cause>,
    /// By the center jobs were to start in; none where a tenant was asked about.
    pub centers: Vec<KeptBy>,
    /// By tenant, those the asker may see; none where a center was asked about.
    pub tenants: Vec<KeptBy>,
}

/// How many told starts held, and how late the others were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Kept {
    /// Those it is known of how they held.
    pub told: u64,
    /// Those that held or were beaten.
    pub held: u64,
    /// The same as a share, in thousandths; none where none was told.
    pub held_thousandths: Option<u64>,
    /// How much later than told jobs started on average; below zero is sooner.
    pub bias_ms: Option<i64>,
    /// Of those that were late: what half of them were late by at most, told up to a quarter high.
    #[schema(value_type = Option<u64>)]
    pub late_p50_ms: Option<Span>,
    /// The same for 90 %.
    #[schema(value_type = Option<u64>)]
    pub late_p90_ms: Option<Span>,
    /// The same for 99 %.
    #[schema(value_type = Option<u64>)]
    pub late_p99_ms: Option<Span>,
    /// The most of it, exactly.
    #[schema(value_type = Option<u64>)]
    pub late_max_ms: Option<Span>,
}

/// How starts held that were told about equally far ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeptAhead {
    /// How far ahead: `at once`, `under 1m`, `under 10m`, `under 1h`, `under 6h`, `under 1d`, `1d or
    /// more`; each without those before it.
    #[schema(example = "under 10m")]
    pub horizon: String,
    /// How they held.
    #[serde(flatten)]
    pub kept: Kept,
}

/// How the starts held of one tenant or center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeptBy {
    /// Whose.
    pub name: String,
    /// How they held.
    #[serde(flatten)]
    pub kept: Kept,
}

/// Why told starts did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cause {
    /// The cause in one token.
    #[schema(example = "busy")]
    pub cause: String,
    /// The cause in words.
    pub text: String,
    /// How many starts.
    pub starts: u64,
}
