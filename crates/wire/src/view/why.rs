//! Why a job is where it is, and what would become of one.

use super::{Attempt, MoneySchema};
use model::{Bytes, CenterId, JobId, Moment, Money, PoolId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a job is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// Which job.
    #[serde(with = "model::unit::text")]
    #[schema(value_type = String, example = "job-42")]
    pub job: JobId,
    /// Its state.
    pub state: String,
    /// The answer in a sentence.
    pub summary: String,
    /// For a waiting job: where it could go and where not.
    pub plan: Option<Plan>,
    /// What was decided before, oldest first.
    pub tries: Vec<Attempt>,
}

/// Where a job could go, and where not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// Places that would do, best first.
    pub candidates: Vec<Candidate>,
    /// Where every center stands, by name.
    pub standings: Vec<Standing>,
    /// Jobs that come before it.
    pub ahead: u64,
}

/// A place that would do, with its terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Candidate {
    /// The center.
    #[schema(value_type = String)]
    pub center: CenterId,
    /// Its pool.
    #[schema(value_type = String)]
    pub pool: PoolId,
    /// The variant, by index.
    pub variant: u16,
    /// When the data it needs would be there.
    #[schema(value_type = u64)]
    pub data_ready_ms: Moment,
    /// When it would start.
    #[schema(value_type = u64)]
    pub start_ms: Moment,
    /// When it is expected to end.
    #[schema(value_type = u64)]
    pub finish_ms: Moment,
    /// When its nodes would be free again at the latest.
    #[schema(value_type = u64)]
    pub until_ms: Moment,
    /// What it is expected to cost, transfers included.
    #[schema(value_type = MoneySchema)]
    pub price: Money,
    /// Energy its chips are expected to use, in milliwatt-hours, cooling included.
    pub energy_mwh: u64,
    /// Data that would have to be brought there, not counting what is on its way.
    #[schema(value_type = u64)]
    pub staged_bytes: Bytes,
}

/// Why a center will not do, or not yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Standing {
    /// The center.
    #[schema(value_type = String)]
    pub center: CenterId,
    /// The reason in one token.
    #[schema(example = "wrong-chip")]
    pub reason: String,
    /// The reason in words, with what stands against what.
    pub text: String,
    /// Whether waiting alone may cure it.
    pub may_pass: bool,
}
