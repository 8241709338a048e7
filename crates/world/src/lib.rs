//! The state of a network: a fold over its facts.
//!
//! The one door is [`World::fold`]. Folding the log from its first fact gives the live world, bit
//! for bit; a fact that cannot follow is a [`Contradiction`], which the controller never causes and
//! replay treats as damage.
//!
//! Deliberately absent: time, plans, connections. The world knows what happened, not what will, and
//! not who is listening.

mod center;
mod dataset;
mod fold;
mod index;
mod lent;
mod lesson;
mod promise;
mod quality;
mod relation;
mod reservation;
mod share;
mod shelves;

pub use center::{CenterState, NotReady};
pub use dataset::{Archiving, Dataset, Replica, StoreSize, Uncounted, Version};
pub use fold::Contradiction;
pub use lent::{DAYS_KEPT, Lent, Loan};
pub use lesson::{Lesson, LessonsOf, Taught};
pub use promise::{Promises, Record, Tally, Tries};
pub use quality::{Quality, RateTold, Window, Windows};
pub use relation::{Met, Tasks};
pub use reservation::Used;
pub use share::{Held, Recalled, Shares, claim, draw};
pub use shelves::Shelves;

use index::{Index, Listed};
use model::dataset::DatasetVersion;
use model::job::Job;
use model::quality::LinkTest;
use model::{
    Admission, Attempt, AttemptId, CenterId, Chip, ChipId, DatasetId, DatasetRef, Digest, Exchange,
    ExchangeId, ExternalStore, Flavor, FlavorId, JobId, Link, LinkId, Moment, NetworkUid, PlanId,
    PoolId, PriorityClass, PriorityClassId, Rate, Slots, Staging, Tenant, TenantId, Token, TokenId,
    TransferId,
};
use relation::Stage;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything the facts so far say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct World {
    /// The network's random name; none before the first fact.
    pub network: Option<NetworkUid>,
    /// The number of the last fact folded.
    pub number: u64,
    /// When it happened.
    pub at: Moment,
    /// The chip catalog.
    pub chips: BTreeMap<ChipId, Arc<Chip>>,
    /// Centers by name.
    pub centers: BTreeMap<CenterId, CenterState>,
    /// What the network asks of its centers, where it asks anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<Admission>,
    /// Exchanges by name.
    pub exchanges: BTreeMap<ExchangeId, Arc<Exchange>>,
    /// Links by name.
    pub links: BTreeMap<LinkId, Arc<Link>>,
    /// Those of them that carry nothing now.
    pub cut: BTreeSet<LinkId>,
    /// Tenants by name.
    pub tenants: BTreeMap<TenantId, Arc<Tenant>>,
    /// What quotas are counted in, by name.
    #[serde(default)]
    pub flavors: BTreeMap<FlavorId, Arc<Flavor>>,
    /// How reservations were used that something ran in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) reservations: reservation::Reservations,
    /// Priorities with names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub priority_classes: BTreeMap<PriorityClassId, Arc<PriorityClass>>,
    /// What owners took back, by center and pool.
    #[serde(default)]
    pub recalls: BTreeMap<CenterId, BTreeMap<PoolId, Recalled>>,
    /// What tenants used. A snapshot without it is of an older program: the whole log is read anew then.
    pub shares: Shares,
    /// Valid tokens by the digest of their secret.
    pub tokens: BTreeMap<Digest, Arc<Token>>,
    /// Jobs that have not been archived.
    pub jobs: Shelves<Job>,
    /// Datasets by name.
    pub datasets: BTreeMap<DatasetId, Arc<Dataset>>,
    /// What centers last told of their stores.
    pub stores: BTreeMap<CenterId, StoreSize>,
    /// The external stores each center last told it has.
    #[serde(default)]
    pub external: BTreeMap<CenterId, Vec<ExternalStore>>,
    /// Transfers that are not over.
    pub transfers: BTreeMap<TransferId, Arc<Staging>>,
    /// Tests of links that are not over.
    #[serde(default)]
    pub tests: BTreeMap<TransferId, Arc<LinkTest>>,
    /// Submissions that may be repeated.
    pub keys: BTreeMap<Digest, Submission>,
    /// The numbers handed out next.
    pub next: Next,
    /// How many jobs ended in each way, archived ones included.
    pub ended: BTreeMap<String, u64>,
    /// What finished jobs taught about run times.
    #[serde(default)]
    lessons: lesson::Lessons,
    /// How the starts that jobs were told held. A snapshot without it is of an older program: the
    /// whole log is read anew then.
    pub promises: Promises,
    /// What is known of how good links and paths are.
    #[serde(default)]
    pub quality: Quality,
    /// Derived from the rest; rebuilt when a snapshot is read.
    #[serde(skip)]
    index: Index,
}

/// The numbers handed out next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// For jobs.
    pub job: JobId,
    /// For plans.
    pub plan: PlanId,
    /// For transfers.
    pub transfer: TransferId,
    /// For tokens.
    pub token: TokenId,
}

impl Default for Next {
    fn default() -> Self {
        Self {
            job: JobId::new(1),
            plan: PlanId::new(1),
            transfer: TransferId::new(1),
            token: TokenId::new(1),
        }
    }
}

/// A submission that is known by its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The digest of what was submitted.
    pub content: Digest,
    /// When.
    pub at: Moment,
    /// The first of its jobs.
    pub first: JobId,
    /// How many jobs, numbered on from the first.
    pub jobs: u32,
}

impl World {
    /// What a link is planned at, each way: nothing while it is cut, else what was measured, or else
    /// its capacity.
    #[must_use]
    pub fn planned_rate(&self, link: &Link) -> Rate {
        if self.cut.contains(&link.link) {
            return Rate::ZERO;
        }
        self.quality.rated(&link.link).unwrap_or(link.capacity).min(link.capacity)
    }

    /// The job of this number, unless it never was or is archived.
    #[must_use]
    pub fn job(&self, job: JobId) -> Option<&Arc<Job>> {
        self.jobs.get(job.number())
    }

    /// The live attempt of this id: not if it is over, and not if the job has a newer one.
    #[must_use]
    pub fn live_attempt(&self, attempt: AttemptId) -> Option<&Attempt> {
        let live = self.job(attempt.job)?.phase.attempt()?;
        (live.attempt == attempt && !live.is_over()).then_some(live)
    }

    /// Jobs that wait for a place, oldest first.
    pub fn waiting(&self) -> impl DoubleEndedIterator<Item = JobId> {
        self.index.waiting.iter().copied()
    }

    /// How many jobs wait for a place.
    #[must_use]
    pub fn waiting_len(&self) -> usize {
        self.index.waiting.len()
    }

    /// Attempts that are not over in this center.
    pub fn live(&self, center: &CenterId) -> impl Iterator<Item = AttemptId> {
        self.index.live.get(center).into_iter().flatten().copied()
    }

    /// Attempts that are not over, by center.
    pub fn all_live(&self) -> impl Iterator<Item = (&CenterId, AttemptId)> {
        self.index.live.iter().flat_map(|(center, ids)| ids.iter().map(move |id| (center, *id)))
    }

    /// Attempts that are not over whose jobs read inputs over the network while they run.
    pub fn readers(&self) -> impl Iterator<Item = AttemptId> {
        self.index.readers.iter().copied()
    }

    /// Attempts that are not over and hold something of this node of a center's pool, and what.
    pub fn holders(
        &self,
        center: &CenterId,
        pool: &PoolId,
        node: u32,
    ) -> impl Iterator<Item = (AttemptId, &Slots)> {
        let pools = self.index.holders.get(center);
        let node = pools.and_then(|pools| pools.get(pool)?.get(&node));
        node.into_iter().flatten().map(|(attempt, slots)| (*attempt, slots))
    }

    /// Attempts that are not over and were to wait for this transfer, started since or not.
    pub fn awaiting(&self, transfer: TransferId) -> impl Iterator<Item = AttemptId> {
        self.index.awaiting.get(&transfer).into_iter().flatten().copied()
    }

    /// Jobs that ended and have not been archived, oldest number first.
    pub fn ended(&self) -> impl DoubleEndedIterator<Item = JobId> {
        self.index.ended.iter().copied()
    }

    /// Of those, the jobs whose whole array has ended, and all that are of none, oldest number first: as
    /// long as something of an array is left to do, others may wait for what becomes of all of it.
    pub fn archivable(&self) -> impl DoubleEndedIterator<Item = JobId> {
        self.index.archivable.iter().copied()
    }

    /// How many jobs ended and have not been archived.
    #[must_use]
    pub fn ended_len(&self) -> usize {
        self.index.ended.len()
    }

    /// The version a reference means: the one it names, or else the newest.
    #[must_use]
    pub fn version(&self, reference: &DatasetRef) -> Option<&Version> {
        let dataset = self.datasets.get(&reference.dataset)?;
        match &reference.version {
            Some(version) => dataset.version(version),
            None => Some(dataset.newest()),
        }
    }

    /// The registered version of exactly this data.
    #[must_use]
    pub fn exact(&self, data: &DatasetVersion) -> Option<&Version> {
        self.datasets.get(&data.dataset)?.version(&data.version)
    }

    /// The token of this number.
    #[must_use]
    pub fn token(&self, token: TokenId) -> Option<&Arc<Token>> {
        self.tokens.get(self.index.tokens.get(&token)?)
    }

    /// The transfer that is bringing this data to this center, if one is.
    #[must_use]
    pub fn transfer_to(&self, data: &DatasetVersion, to: &CenterId) -> Option<&Arc<Staging>> {
        self.transfers.get(self.index.transfers.get(data)?.get(to)?)
    }

    /// The transfers that are bringing this data anywhere.
    pub fn transfers_of(&self, data: &DatasetVersion) -> impl Iterator<Item = &Arc<Staging>> {
        let ids = self.index.transfers.get(data).into_iter().flat_map(BTreeMap::values);
        ids.filter_map(|id| self.transfers.get(id))
    }

    /// The world as a snapshot holds it. Shares everything that is large but the keys of
    /// submissions.
    #[must_use]
    pub fn to_snapshot(&self) -> Self {
        Self { tokens: self.tokens.clone(), keys: self.keys.clone(), ..self.to_plan() }
    }

    /// The world as planning needs it: without what only submitting and signing in look at. Making
    /// one copies no job.
    #[must_use]
    pub fn to_plan(&self) -> Self {
        Self {
            index: Index { transfers: self.index.transfers.clone(), ..Index::default() },
            network: self.network,
            number: self.number,
            at: self.at,
            chips: self.chips.clone(),
            centers: self.centers.clone(),
            admission: self.admission,
            exchanges: self.exchanges.clone(),
            links: self.links.clone(),
            cut: self.cut.clone(),
            tenants: self.tenants.clone(),
            flavors: self.flavors.clone(),
            priority_classes: self.priority_classes.clone(),
            reservations: self.reservations.clone(),
            recalls: self.recalls.clone(),
            shares: self.shares.clone(),
            tokens: BTreeMap::new(),
            jobs: self.jobs.clone(),
            datasets: self.datasets.clone(),
            stores: self.stores.clone(),
            external: self.external.clone(),
            transfers: self.transfers.clone(),
            tests: self.tests.clone(),
            keys: BTreeMap::new(),
            next: self.next,
            ended: self.ended.clone(),
            lessons: self.lessons.clone(),
            promises: self.promises.clone(),
            quality: self.quality.clone(),
        }
    }

    /// Rebuilds what a snapshot leaves out; to be called once after one was read.
    pub fn reindex(&mut self) {
        let mut index = Index::default();
        for job in self.jobs.iter() {
            index.enter(Listed::of(job), job);
            index.relate(job, None, Stage::of(job));
        }
        // By any job of an array: the first of one that has ended may be in the archive.
        self.jobs.iter().for_each(|job| index.end_array(job));
        for staging in self.transfers.values() {
            index.brings(staging);
        }
        index.tokens = self.tokens.iter().map(|(secret, t)| (t.token, *secret)).collect();
        self.index = index;
    }
}
