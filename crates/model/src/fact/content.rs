//! What facts say, kind by kind. Fields are never renamed.

use crate::attempt::Placement;
use crate::job::JobSpec;
use crate::{
    AttemptId, Bytes, CenterId, Chips, DatasetId, DatasetVersion, Digest, EngineKind,
    ExternalStore, JobEnd, JobId, Keeping, Leave, Lies, LinkId, Moment, NetworkUid, PlanId, PoolId,
    Region, StoreId, TenantId, TokenId, TransferId,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Content of `network-created` and `network-restored`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkCreated {
    /// The network's random name.
    pub network: NetworkUid,
}

/// Content of `agent-joined`: what an agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentJoined {
    /// Its center.
    pub center: CenterId,
    /// The agent's own random name: tells a restarted agent from a second one.
    pub agent: NetworkUid,
    /// What runs the center's jobs.
    pub engine: EngineKind,
    /// The engine's version, for people.
    pub engine_version: String,
    /// How limits are enforced there, for people.
    pub enforcement: String,
    /// The URL under which other centers fetch from its store.
    pub data_url: Option<String>,
    /// Where it answers test packets, as `host:port`; version 1 does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_address: Option<String>,
    /// The program's version.
    pub version: String,
}

/// Content of `center-lost`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CenterLost {
    /// Which center.
    pub center: CenterId,
    /// Who said so.
    pub by: TokenId,
}

/// Content of `link-cut` and `link-mended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkTouched {
    /// Which link.
    pub link: LinkId,
    /// Who said so.
    pub by: TokenId,
}

/// Content of `token-revoked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRevoked {
    /// Which token.
    pub token: TokenId,
    /// By which token.
    pub by: TokenId,
}

/// Content of `job-submitted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSubmitted {
    /// Its number; of an array, that of its first task, after which the others are numbered on.
    pub job: JobId,
    /// What was asked for.
    pub spec: Arc<JobSpec>,
    /// By which token.
    pub by: TokenId,
    /// The submission's idempotency key, digested with its tenant; on a batch's first job only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SubmissionKey>,
}

impl JobSubmitted {
    /// All jobs it stands for, in order.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> + use<> {
        let first = self.job.number();
        (first..first + u64::from(self.spec.tasks())).map(JobId::new)
    }
}

/// What a repeated submission is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmissionKey {
    /// The digest of tenant and key.
    pub key: Digest,
    /// The digest of what was submitted: a key is not for two things.
    pub content: Digest,
    /// How many jobs it stands for, numbered on from this one.
    pub jobs: u32,
}

/// Content of facts that touch a job and say who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobTouched {
    /// Which job.
    pub job: JobId,
    /// By which token.
    pub by: TokenId,
}

/// Content of `job-released`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobReleased {
    /// Which job.
    pub job: JobId,
    /// By which token.
    pub by: TokenId,
    /// Whether it waits for other jobs first; in version 1 none does.
    #[serde(default)]
    pub blocked: bool,
}

/// Content of `job-unblocked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobUnblocked {
    /// Which job.
    pub job: JobId,
}

/// Content of `job-promised`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobPromised {
    /// Which job.
    pub job: JobId,
    /// The start it was told.
    pub start: Moment,
    /// The plan that said so.
    pub plan: PlanId,
    /// Where it is to start; version 1 does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub center: Option<CenterId>,
}

/// Content of `job-offered`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobOffered {
    /// The new attempt.
    pub attempt: AttemptId,
    /// Where and when.
    pub placement: Arc<Placement>,
}

/// Content of `capacity-recalled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityRecalled {
    /// Whose owner takes back what it lent.
    pub center: CenterId,
    /// Of which pool.
    pub pool: PoolId,
    /// How many of its chips no guest has any more; none ends a recall.
    pub chips: Chips,
    /// By when they are back; version 1 does not say.
    #[serde(default)]
    pub in_time: Option<Moment>,
    /// Until when.
    pub until: Moment,
    /// Who asked for it.
    pub by: TokenId,
}

/// Content of `job-requeued`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRequeued {
    /// Which job.
    pub job: JobId,
    /// Not to be tried again before.
    pub not_before: Moment,
    /// Whether it waits for a release instead.
    pub held: bool,
}

/// Content of `job-ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobEnded {
    /// Which job.
    pub job: JobId,
    /// How.
    pub end: JobEnd,
}

/// Content of `jobs-archived`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobsArchived {
    /// Which jobs, sorted.
    pub jobs: Vec<JobId>,
}

/// Content of `dataset-registered`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetRegistered {
    /// Name and version.
    pub data: DatasetVersion,
    /// Whose it is.
    pub tenant: TenantId,
    /// All its bytes.
    pub bytes: Bytes,
    /// How many files.
    pub files: u64,
    /// Regions it may not leave; empty for none.
    pub residency: Vec<Region>,
    /// The attempt that wrote it, unless somebody put it there.
    pub made_by: Option<AttemptId>,
}

/// Content of `dataset-removed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetRemoved {
    /// Which dataset, with all versions.
    pub dataset: DatasetId,
    /// By which token.
    pub by: TokenId,
}

/// Content of `dataset-kept`: rules that replace those before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetKept {
    /// Which dataset.
    pub dataset: DatasetId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What is to be kept of it from now on.
    pub keeping: Keeping,
    /// By which token.
    pub by: TokenId,
}

/// Content of `version-removed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionRemoved {
    /// Which version; no copy of it is left.
    pub data: DatasetVersion,
    /// Whose it was.
    pub tenant: TenantId,
    /// Why.
    pub why: Leave,
}

/// Content of `copy-wanted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyWanted {
    /// Which data.
    pub data: DatasetVersion,
    /// In whose store it should be.
    pub center: CenterId,
    /// By which token.
    pub by: TokenId,
}

/// Content of `replica-leaving`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaLeaving {
    /// Which data.
    pub data: DatasetVersion,
    /// In whose store.
    pub center: CenterId,
    /// Why.
    pub why: Leave,
    /// By which token, if somebody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<TokenId>,
}

/// Content of `replica-damaged`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaDamaged {
    /// Which data.
    pub data: DatasetVersion,
    /// In whose store.
    pub center: CenterId,
    /// Whose data it is.
    pub tenant: TenantId,
    /// How many of its chunks are not what they should be; all of them when it could not be read.
    pub chunks: u64,
    /// Whether no whole copy is left anywhere: an alarm.
    pub last: bool,
}

/// Content of `scrub-wanted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrubWanted {
    /// Copies of which dataset; of all where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetId>,
    /// In whose store; in all where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub center: Option<CenterId>,
    /// By which token.
    pub by: TokenId,
}

/// Content of `store-measured`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreMeasured {
    /// Whose store.
    pub center: CenterId,
    /// How much it holds.
    pub capacity: Bytes,
    /// What is taken there by other things than registered data.
    pub other: Bytes,
}

/// Content of `replica-added`, `replica-verified`, `replica-doubted` and `replica-removed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaTouched {
    /// Which data.
    pub data: DatasetVersion,
    /// In whose store.
    pub center: CenterId,
}

/// Content of `replica-in-place`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaInPlace {
    /// Which data.
    pub data: DatasetVersion,
    /// Whose store it is.
    pub center: CenterId,
    /// In which of its stores, and how.
    pub lies: Lies,
    /// Whether the center's own store has a verified copy besides.
    pub also_own: bool,
}

/// Content of `stores-told`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoresTold {
    /// Which center.
    pub center: CenterId,
    /// All external stores it has, by name.
    pub stores: Vec<ExternalStore>,
}

/// Content of `archive-wanted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveWanted {
    /// Which data.
    pub data: DatasetVersion,
    /// Whose copy is to be put there.
    pub center: CenterId,
    /// Into which external store of that center.
    pub store: StoreId,
    /// By which token.
    pub by: TokenId,
}

/// Content of `archive-failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveFailed {
    /// Which data.
    pub data: DatasetVersion,
    /// Whose copy was to be put there.
    pub center: CenterId,
    /// Into which external store of that center.
    pub store: StoreId,
    /// Why it could not be, for people.
    pub why: String,
}

/// Content of `transfer-ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferEnded {
    /// Which transfer or test.
    pub transfer: TransferId,
    /// How.
    pub end: TransferEnd,
}

/// How a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferEnd {
    /// A verified copy is there; of a test: all its time has passed.
    Arrived {
        /// Bytes that crossed the links.
        moved: Bytes,
        /// Chunks that came damaged and were fetched again.
        corrupted: u64,
    },
    /// It could not be done.
    Failed {
        /// Why, for people.
        why: String,
    },
    /// Nobody needs it any more; of a test: it was in the way.
    Dropped,
}

/// Content of `keys-forgotten`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysForgotten {
    /// Keys used before this moment.
    pub before: Moment,
}
