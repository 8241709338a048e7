//! Why a job is where it is, and what would become of one.

use super::{Attempt, MoneySchema, QuotaPath, Stream};
use model::{Bytes, CenterId, DatasetId, JobId, Moment, Money, PoolId, Span, StoreId};
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
    /// Jobs of its tenant that come before it.
    pub ahead: u64,
    /// How its tenant and each it is part of stand with what it asks for, where there are quotas: what its
    /// room comes from.
    pub quota: Vec<QuotaPath>,
    /// The smallest changes that would help.
    pub changes: Changes,
}

/// Single changes of a job that would help, each tried with the planner's own code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Changes {
    /// What they are to bring about: `run` at all, `start` sooner, run `at` a center that was named,
    /// or `none` where nothing stands against the job as it is.
    #[schema(example = "start")]
    pub goal: String,
    /// The center that was named.
    #[schema(value_type = Option<String>)]
    pub at: Option<CenterId>,
    /// The smallest first. Of figures the smallest change that does it. Empty where no single change
    /// helps.
    pub found: Vec<Change>,
    /// Whether all was tried; else there was too much to try.
    pub complete: bool,
}

/// A change of a job that would help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// What is changed: mostly a field of the job file.
    #[schema(example = "limit")]
    pub field: String,
    /// The change in words.
    #[schema(example = "limit: 40m 0s instead of 1h 0m")]
    pub text: String,
    /// What it would be, exactly, where it is a figure: milliseconds, bytes, thousandths of chips or
    /// cores, micro-units of money, nodes, a priority.
    pub to: Option<i64>,
    /// How much of what is there is changed, in thousandths; what is no figure counts whole.
    pub size_thousandths: u64,
    /// Whether the job could be given its place at once then.
    pub at_once: bool,
    /// Where it would go.
    #[schema(value_type = String)]
    pub center: CenterId,
    /// Into which pool.
    #[schema(value_type = String)]
    pub pool: PoolId,
    /// When it would start.
    #[schema(value_type = u64)]
    pub start_ms: Moment,
    /// When it would be expected to end.
    #[schema(value_type = u64)]
    pub finish_ms: Moment,
    /// What it would be expected to cost.
    #[schema(value_type = MoneySchema)]
    pub price: Money,
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
    /// What carbon dioxide that comes with by its center's grid, at that time of the day, in milligrams;
    /// absent where the chip's power is undisclosed.
    pub carbon_mg: Option<u64>,
    /// Data that would have to be brought there, not counting what is on its way.
    #[schema(value_type = u64)]
    pub staged_bytes: Bytes,
    /// From now until it would start.
    #[schema(value_type = u64)]
    pub wait_ms: Span,
    /// How long it is expected to run there.
    #[schema(value_type = u64)]
    pub run_ms: Span,
    /// How long it may run there.
    #[schema(value_type = u64)]
    pub limit_ms: Span,
    /// What the expected time rests on.
    pub run_from: RunBasis,
    /// What its chips are expected to cost.
    #[schema(value_type = MoneySchema)]
    pub chips_price: Money,
    /// What its transfers and streams cost.
    #[schema(value_type = MoneySchema)]
    pub transfers_price: Money,
    /// Data that has to come first.
    pub fetches: Vec<Fetch>,
    /// What it would read over the network while it runs.
    #[serde(default)]
    pub streams: Vec<Stream>,
    /// What of the center's last thirty days bears on whether the start holds.
    pub risk: Risk,
    /// What it is worse by than the best; none for the best.
    pub behind: Option<Behind>,
}

/// What the time a job is expected to run rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunBasis {
    /// `told`: the tenant's own figure; `learned`: finished jobs of the same tenant and workload;
    /// `limit`: nothing is known but the limit.
    #[schema(example = "learned")]
    pub from: String,
    /// Told and limit: the speed the tenant gives this variant, in thousandths.
    pub speed_thousandths: Option<u32>,
    /// Told and limit: how fast the pool has shown its chips to be beside the fastest of that chip, in
    /// thousandths.
    #[serde(default)]
    pub pace_thousandths: Option<u32>,
    /// Learned: from how many jobs, older ones counting less.
    pub jobs: Option<u32>,
    /// Learned: the share of their limit they ran, in thousandths.
    pub of_limit_thousandths: Option<u64>,
    /// Learned: how far to trust it, in thousandths.
    pub confidence_thousandths: Option<u64>,
    /// Learned: whether they ran on this chip; else on any.
    pub on_this_chip: Option<bool>,
}

/// Data that has to come before a job can start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fetch {
    /// Of which dataset.
    #[schema(value_type = String)]
    pub dataset: DatasetId,
    /// How much.
    #[schema(value_type = u64)]
    pub bytes: Bytes,
    /// From whose store.
    #[schema(value_type = String)]
    pub from: CenterId,
    /// From whose stores parts of it come meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub beside: Vec<CenterId>,
    /// The external store of that center it lies in, if it is not in the center's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub in_store: Option<StoreId>,
    /// Until when it is recalled there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub recalled_ms: Option<Moment>,
    /// When it is there.
    #[schema(value_type = u64)]
    pub arrives_ms: Moment,
    /// What bringing it costs this job.
    #[schema(value_type = MoneySchema)]
    pub price: Money,
    /// Whether it is on its way already.
    pub is_under_way: bool,
    /// Links on its way that are planned at less than their capacity, as they were measured to
    /// deliver less.
    #[serde(default)]
    pub slow_links: Vec<String>,
}

/// What of a center's past bears on whether a start there holds: counted, not estimated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Risk {
    /// Starts told there that it is known of how they held.
    pub told: u64,
    /// Of these, those that held.
    pub held: u64,
    /// Attempts there that are over.
    pub attempts: u64,
    /// Of these, those the center refused or could not start.
    pub refused: u64,
    /// Of these, those that were lost or cut off.
    pub lost: u64,
    /// How much longer than expected the job may run before its limit ends it.
    #[schema(value_type = u64)]
    pub overrun_ms: Span,
}

/// What a candidate is worse by than the best, in what the job's objective looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Behind {
    /// `deadline`, `time`, `price`, `carbon`, `undisclosed-power`, or `nothing` but the order of names.
    #[schema(example = "time")]
    pub by: String,
    /// How much later than the deadline, or than the best.
    #[schema(value_type = Option<u64>)]
    pub later_ms: Option<Span>,
    /// How much dearer, for a `balanced` job with what its time is worth counted in.
    #[schema(value_type = Option<MoneySchema>)]
    pub dearer: Option<Money>,
    /// How much more carbon dioxide its energy comes with, in milligrams.
    pub carbon_mg: Option<u64>,
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
