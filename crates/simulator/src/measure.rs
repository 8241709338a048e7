//! What is left of a job once it is over: enough to measure a run by, whoever ran it.

use model::{Bytes, CenterId, ChipTime, Chips, Span, TenantId};
use serde::Serialize;

/// A job that is over. Times count from the scenario's start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finished {
    /// Its place among the arrivals, from 0.
    pub arrival: u64,
    /// Who it was for.
    pub tenant: TenantId,
    /// When it was submitted.
    pub submitted: Span,
    /// The start it was first told, if it was told one.
    pub promised: Option<Span>,
    /// When its last attempt started; none if it never ran.
    pub started: Option<Span>,
    /// When it was over.
    pub ended: Span,
    /// How.
    pub fate: Fate,
    /// How long it would have run at speed 1: the same whoever ran it, so slowdowns compare.
    pub work: Span,
    /// Chips of its gang, all nodes together.
    pub chips: Chips,
    /// Where its last attempt ran.
    pub center: Option<CenterId>,
    /// Chips held over time, by all its attempts.
    pub held: ChipTime,
    /// What all its attempts cost by the pools' prices, in millionths of the currency's unit.
    pub price_micros: i64,
    /// Bytes moved between centers because of it.
    pub moved: Bytes,
}

/// How a job was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It did what it was to do.
    Completed,
    /// It failed.
    Failed,
    /// It reached its limit.
    TimedOut,
    /// It was canceled.
    Canceled,
    /// No pool is large enough or allowed: nobody waited for it.
    Refused,
}
