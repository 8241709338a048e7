//! Chips that are booked.

use model::{CenterId, ChipTime, Chips, JobId, Moment, PoolId, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Reservations, the next to open first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reservations {
    /// Those that are not over, and those that were over lately.
    pub reservations: Vec<Reservation>,
}

/// A window in which chips are kept for jobs that name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reservation {
    /// Its number, which jobs name as their `reservation`.
    #[serde(with = "model::unit::text")]
    #[schema(value_type = String, example = "job-42")]
    pub job: JobId,
    /// Its name.
    pub name: String,
    /// Whose it is.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// `booked` until its window is `open`, or how it ended.
    pub state: String,
    /// Where.
    #[schema(value_type = String)]
    pub center: CenterId,
    /// In which pool.
    #[schema(value_type = String)]
    pub pool: PoolId,
    /// How many of its nodes.
    pub nodes: u32,
    /// Chips of all of them together, in thousandths.
    #[schema(value_type = u64)]
    pub chips_milli: Chips,
    /// When its window opens.
    #[schema(value_type = u64)]
    pub opens_ms: Moment,
    /// When it closes, or was over.
    #[schema(value_type = u64)]
    pub closes_ms: Moment,
    /// When it lapses if nothing runs in it by then; only while it is open and nothing does.
    #[schema(value_type = Option<u64>)]
    pub lapses_ms: Option<Moment>,
    /// Jobs that have a place in it now.
    pub jobs: Vec<String>,
    /// What jobs had of it until now, in chip-milliseconds.
    #[schema(value_type = u64)]
    pub used_ms: ChipTime,
}
