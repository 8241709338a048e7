//! What the last plan for everybody came to.

use model::{Moment, Span};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The last plan for the whole queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastPlan {
    /// When it was there.
    #[schema(value_type = u64)]
    pub at_ms: Moment,
    /// Jobs that were looked at.
    pub considered: u64,
    /// Jobs that were not, for the work a plan may take was spent.
    pub left: u64,
    /// Jobs it gave a place.
    pub given: u64,
    /// Jobs it kept a start for.
    pub told: u64,
}

/// What the last plan came to, and how far it is from what no plan could better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanReport {
    /// The last plan; none yet since the server started.
    pub plan: Option<LastPlan>,
    /// How far it is; none where it gave nobody a start.
    pub gap: Option<PlanGap>,
}

/// How soon the jobs that were given a start are expected to be over in the mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanGap {
    /// How many of them were looked at.
    pub jobs: u64,
    /// By the plan, from then on.
    #[schema(value_type = u64)]
    pub value_ms: Span,
    /// At the least, whoever plans.
    #[schema(value_type = u64)]
    pub bound_ms: Span,
    /// How much more the first is, in thousandths of the second.
    pub gap_thousandths: u64,
    /// What makes the bound.
    pub by: String,
}
