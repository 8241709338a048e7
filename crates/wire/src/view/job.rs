//! Jobs and their attempts.

use super::MoneySchema;
use model::job::{On, Within};
use model::{
    AttemptId, Bytes, CenterId, ChipId, Chips, Cores, DatasetId, DatasetRef, JobId, Moment, Money,
    Objective, PlanId, PoolId, PriorityClassId, Rate, Region, Span, TenantId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A job in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its number.
    #[serde(with = "model::unit::text")]
    #[schema(value_type = String, example = "job-42")]
    pub job: JobId,
    /// Its name; that of a task of an array ends with its index, as in `sweep[7]`.
    pub name: String,
    /// The first job of its array, by which the array is known, if it is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "job-42")]
    pub array: Option<JobId>,
    /// Its index there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Whose it is.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// `held`, `blocked` (waits for other jobs), `waiting`, `offered`, `staging`, `running`, `stopping`,
    /// `ending`, or how it ended: `completed`, `failed`, `timed-out`, `canceled`, `lapsed`, `unmet` (what it
    /// was to come after did not complete). A reservation is `booked` until its
    /// window is `open`.
    pub state: String,
    /// Higher goes first within the tenant.
    pub priority: i32,
    /// When it was accepted.
    #[schema(value_type = u64)]
    pub submitted_ms: Moment,
    /// The start it was first told.
    #[schema(value_type = Option<u64>)]
    pub promised_ms: Option<Moment>,
    /// When its newest attempt really started.
    #[schema(value_type = Option<u64>)]
    pub started_ms: Option<Moment>,
    /// When it ended.
    #[schema(value_type = Option<u64>)]
    pub ended_ms: Option<Moment>,
    /// When it should be done.
    #[schema(value_type = Option<u64>)]
    pub deadline_ms: Option<Moment>,
    /// Where its newest attempt is or was.
    #[schema(value_type = Option<String>)]
    pub center: Option<CenterId>,
    /// In which pool.
    #[schema(value_type = Option<String>)]
    pub pool: Option<PoolId>,
    /// On which chip.
    #[schema(value_type = Option<String>)]
    pub chip: Option<ChipId>,
    /// Nodes of its gang: of the variant chosen, or else of the first.
    pub nodes: u32,
    /// Chips of its gang, in thousandths: of the variant chosen, or else of the first.
    #[schema(value_type = u64)]
    pub chips_milli: Chips,
    /// How many attempts were made, the live one included.
    pub attempts: u32,
    /// How often it made room for another job.
    #[serde(default)]
    pub preemptions: u32,
    /// What its newest attempt is expected to cost.
    #[schema(value_type = Option<MoneySchema>)]
    pub price: Option<Money>,
    /// How its newest attempt ended, in words.
    pub outcome: Option<String>,
    /// Why its attempt does not run yet that its center has taken, in the words of the center's own engine;
    /// as of a few seconds ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub center_says: Option<String>,
}

/// Jobs, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Jobs {
    /// This page of them; may be short, or empty, though there are more.
    pub jobs: Vec<Job>,
    /// What to ask for as `before` to get the next page; absent on the last.
    pub next: Option<String>,
}

/// A job with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobDetail {
    /// In short.
    #[serde(flatten)]
    pub job: Job,
    /// What was asked for.
    pub asked: Asked,
    /// Its attempts, oldest first.
    pub tries: Vec<Attempt>,
    /// For whom it makes or made room, and what is kept of its work; in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_room: Option<String>,
}

/// What a submission is answered with. Jobs of a batch are numbered on from the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Submitted {
    /// The first job.
    #[serde(with = "model::unit::text")]
    #[schema(value_type = String, example = "job-42")]
    pub first: JobId,
    /// How many.
    pub count: u32,
    /// Whether the same submission had been accepted before.
    pub repeated: bool,
}

impl Submitted {
    /// The jobs accepted, in the order of the submission.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> + use<> {
        let first = self.first.number();
        (first..first.saturating_add(self.count.into())).map(JobId::new)
    }
}

/// One try of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Its id.
    #[schema(value_type = String, example = "job-42.1")]
    pub attempt: AttemptId,
    /// `offered`, `staging`, `running`, `stopping`, or `over`.
    pub state: String,
    /// In which center.
    #[schema(value_type = String)]
    pub center: CenterId,
    /// In which pool.
    #[schema(value_type = String)]
    pub pool: PoolId,
    /// As which variant, by index.
    pub variant: u16,
    /// What it holds of which nodes.
    pub nodes: Vec<Node>,
    /// The plan that placed it.
    #[serde(with = "model::unit::text")]
    #[schema(value_type = String, example = "plan-7")]
    pub plan: PlanId,
    /// When it was offered to the center.
    #[schema(value_type = u64)]
    pub offered_ms: Moment,
    /// When it was planned to start.
    #[schema(value_type = u64)]
    pub planned_start_ms: Moment,
    /// When it was expected to end.
    #[schema(value_type = u64)]
    pub planned_finish_ms: Moment,
    /// When its nodes are free again at the latest.
    #[schema(value_type = u64)]
    pub until_ms: Moment,
    /// When its process started.
    #[schema(value_type = Option<u64>)]
    pub started_ms: Option<Moment>,
    /// When nothing of it was alive any more.
    #[schema(value_type = Option<u64>)]
    pub ended_ms: Option<Moment>,
    /// How it ended, in words.
    pub outcome: Option<String>,
    /// What it is called in the center's batch system, for that one's own tools: Slurm's number, the name
    /// of a Kubernetes Job, Ray's submission id. None where there is none, or where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<String>,
    /// What it is expected to cost.
    #[schema(value_type = MoneySchema)]
    pub price: Money,
    /// The data it reads, as `dataset@version`.
    pub inputs: Vec<String>,
    /// The transfers it waits or waited for.
    pub awaits: Vec<String>,
    /// The inputs it reads over the network while it runs.
    #[serde(default)]
    pub streams: Vec<Stream>,
}

/// An input that is read over the network while an attempt runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stream {
    /// The name the job knows it by.
    pub input: String,
    /// The data, as `dataset@version`.
    pub data: String,
    /// From whose store.
    #[schema(value_type = String)]
    pub from: CenterId,
    /// The links it crosses, in order.
    pub links: Vec<String>,
    /// What is reserved on each, headers included.
    #[schema(value_type = u64)]
    pub rate_bps: Rate,
}

/// What an attempt holds of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// The node's index in its pool.
    pub node: u32,
    /// Its chips, by index.
    pub chips: Vec<u16>,
    /// How much of each of those chips, in thousandths.
    #[schema(value_type = u64)]
    pub share_milli: Chips,
}

/// What was asked for, in integers and with every default filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Asked {
    /// `batch`, `service` or `reservation`.
    pub kind: String,
    /// The reservation in which it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "job-42")]
    pub reservation: Option<String>,
    /// The class its priority comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub priority_class: Option<PriorityClassId>,
    /// Its parts.
    pub parts: Vec<Part>,
    /// How near each other its parts must be: `block`, `pool`, `center` or `network`.
    #[schema(value_type = String)]
    pub within: Within,
    /// The most it may run; absent when it is open-ended.
    #[schema(value_type = Option<u64>)]
    pub limit_ms: Option<Span>,
    /// How long its tenant expects it to run.
    #[schema(value_type = Option<u64>)]
    pub expected_ms: Option<Span>,
    /// Datasets it reads.
    pub inputs: Vec<Input>,
    /// Datasets it writes.
    pub outputs: Vec<Output>,
    /// `fastest`, `cheapest`, `balanced` or `greenest`.
    #[schema(value_type = String)]
    pub objective: Objective,
    /// The most it may cost.
    #[schema(value_type = Option<MoneySchema>)]
    pub budget: Option<Money>,
    /// Whether it may be stopped and requeued for another's sake.
    pub preemptible: bool,
    /// How long it runs without word from the server before it stops itself; absent when it holds.
    #[schema(value_type = Option<u64>)]
    pub lease_ms: Option<Span>,
    /// Tries again after its own failure.
    pub retries: u32,
    /// Centers it may run in; any where none is named.
    #[schema(value_type = Vec<String>)]
    pub centers: Vec<CenterId>,
    /// Regions it may run in; any where none is named.
    #[schema(value_type = Vec<String>)]
    pub regions: Vec<Region>,
    /// The array, if it is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<Array>,
    /// What it comes after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<After>,
}

/// Indices of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Array {
    /// The first.
    pub first: u32,
    /// The last, included.
    pub last: u32,
    /// The distance between two.
    pub step: u32,
    /// How many may run at once.
    pub at_once: Option<u32>,
}

/// What a job comes after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct After {
    /// Which job; the first of an array stands for all of it.
    #[serde(with = "model::unit::text")]
    #[schema(value_type = String, example = "job-41")]
    pub job: JobId,
    /// `afterok`, `afterany` or `aftercorr`.
    pub when: String,
}

/// A gang of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// The ways to run it.
    pub variants: Vec<Variant>,
}

/// One way to run a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Variant {
    /// Which chips it runs on: `{"class": "cuda"}`, `{"chip": "nvidia-a100"}` or `"cpu"`.
    #[schema(value_type = Value)]
    pub on: On,
    /// Nodes of the gang.
    pub nodes: u32,
    /// Chips on each node, in thousandths.
    #[schema(value_type = u64)]
    pub chips_per_node_milli: Chips,
    /// Cores on each node, in thousandths.
    #[schema(value_type = u64)]
    pub cores_milli: Cores,
    /// Memory on each node.
    #[schema(value_type = u64)]
    pub memory_bytes: Bytes,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// A container image to run it in.
    pub image: Option<String>,
    /// Environment added to the engine's own.
    pub env: BTreeMap<String, String>,
}

/// A dataset a job reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Input {
    /// The name the job knows it by.
    pub name: String,
    /// The dataset, with its version where one was asked for.
    #[schema(value_type = String)]
    pub dataset: DatasetRef,
    /// The rate at which it is streamed; absent when it is staged.
    #[schema(value_type = Option<u64>)]
    pub stream_bps: Option<Rate>,
}

/// A dataset a job writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Output {
    /// The name the job knows it by.
    pub name: String,
    /// The dataset it becomes a version of.
    #[schema(value_type = String)]
    pub dataset: DatasetId,
    /// Regions it may not leave.
    #[schema(value_type = Vec<String>)]
    pub residency: Vec<Region>,
}
