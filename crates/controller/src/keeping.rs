//! What stands against removing a copy, and how full stores are.

use crate::Controller;
use model::{
    AttemptId, Bytes, CenterId, DatasetVersion, Digest, Moment, Phase, Region, Staging, StoreId,
    TransferId,
};
use planner::Situation;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use world::{Dataset, Replica, Uncounted, Version, World};

/// Why a copy stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stays {
    /// An attempt that is not over reads it there.
    Read {
        /// Which.
        attempt: AttemptId,
    },
    /// A transfer that is not over reads it.
    Source {
        /// Which.
        transfer: TransferId,
    },
    /// Its center is pinned.
    Pinned,
    /// It is the only whole copy whose center answers.
    Last,
    /// There would be fewer than are to be kept.
    Minimum {
        /// How many are to be kept.
        copies: u32,
    },
}

impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { attempt } => write!(f, "{attempt} reads it"),
            Self::Source { transfer } => write!(f, "{transfer} reads it"),
            Self::Pinned => f.write_str("it is pinned there"),
            Self::Last => f.write_str("it is the only whole copy that can be had"),
            Self::Minimum { copies } => write!(f, "{copies} copies are to be kept"),
        }
    }
}

/// What data is used by, worked out once for many copies.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    read: BTreeMap<(CenterId, DatasetVersion), AttemptId>,
    sources: BTreeMap<(CenterId, DatasetVersion), TransferId>,
}

impl Uses {
    /// Costs a look at all live attempts and transfers.
    pub(crate) fn of(world: &World) -> Self {
        let mut uses = Self::default();
        for (center, id) in world.all_live() {
            let attempt = world.live_attempt(id);
            for data in attempt.into_iter().flat_map(|attempt| &attempt.placement.inputs) {
                uses.read.insert((center.clone(), data.clone()), id);
            }
            for stream in attempt.into_iter().flat_map(|attempt| &attempt.placement.streams) {
                uses.read.insert((stream.from.clone(), stream.data.clone()), id);
            }
        }
        for staging in world.transfers.values() {
            for (from, ..) in staging.legs() {
                uses.sources.insert((from.clone(), staging.data.clone()), staging.transfer);
            }
        }
        uses
    }

    /// What reads the copy at this moment.
    pub(crate) fn user(&self, data: &DatasetVersion, center: &CenterId) -> Option<Stays> {
        let key = (center.clone(), data.clone());
        let read = self.read.get(&key).map(|attempt| Stays::Read { attempt: *attempt });
        let source = || self.sources.get(&key).map(|id| Stays::Source { transfer: *id });
        read.or_else(source)
    }

    /// Why a copy is not to be removed to make room, or on demand.
    pub(crate) fn why_it_stays(
        &self,
        (world, situation): (&World, &Situation),
        (dataset, version): (&Dataset, &Version),
        center: &CenterId,
    ) -> Option<Stays> {
        if let Some(user) = self.user(&version.registered.data, center) {
            return Some(user);
        }
        if !version.replicas.contains_key(center) {
            return None;
        }
        if dataset.keeping.pinned.contains(center) {
            return Some(Stays::Pinned);
        }
        let others = version.settled().filter(|other| *other != center);
        let others = others.filter(|other| answers(world, situation, other)).count();
        // What lies in an external store of the center stays there.
        let others = others + usize::from(version.also_own.contains(center));
        let copies = dataset.keeping.copies;
        match others {
            0 => Some(Stays::Last),
            // What is in passing is none of those that are to be kept.
            few if (few as u64) < u64::from(copies) && !version.passing.contains(center) => {
                Some(Stays::Minimum { copies })
            }
            _ => None,
        }
    }
}

/// Whether a center's agent is there.
pub(crate) fn answers(world: &World, situation: &Situation, center: &CenterId) -> bool {
    let joined = world.centers.get(center).is_some_and(|state| state.agent.is_some());
    joined && !situation.silent.contains_key(center)
}

/// Whether data with this residency may be in a center's store.
pub(crate) fn may_hold(world: &World, residency: &[Region], center: &CenterId) -> bool {
    let state = world.centers.get(center);
    let Some(state) = state.filter(|state| state.center.store.is_some()) else { return false };
    let region = state.center.site().map(|site| &site.region);
    residency.is_empty()
        || region.is_some_and(|region| residency.iter().any(|allowed| allowed.contains(region)))
}

/// Versions of a dataset that are not among the newest to be kept. Versions that never came do not
/// count.
pub(crate) fn surplus(dataset: &Dataset) -> BTreeSet<Digest> {
    let Some(keep) = dataset.keeping.versions else { return BTreeSet::new() };
    let mut whole = 0;
    let mut surplus = BTreeSet::new();
    for version in dataset.versions.iter().rev() {
        if whole >= keep {
            surplus.insert(version.registered.data.version);
        }
        whole += u32::from(version.holders().next().is_some());
    }
    surplus
}

/// What jobs that are not over are to read, placed or not. Costs a look at all of them.
pub(crate) fn to_be_read(world: &World) -> BTreeSet<DatasetVersion> {
    let mut read = BTreeSet::new();
    let unfinished = world.jobs.iter().filter(|job| !matches!(job.phase, Phase::Ended { .. }));
    for job in unfinished.filter(|job| !job.spec.inputs.is_empty()) {
        match job.phase.attempt() {
            Some(attempt) => read.extend(attempt.placement.inputs.iter().cloned()),
            None => {
                let meant = job.spec.inputs.iter().filter_map(|i| world.version(&i.dataset));
                read.extend(meant.map(|version| version.registered.data.clone()));
            }
        }
    }
    read
}

/// How full a store is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreUse {
    /// How much it holds: as its agent told, or else as its owner declared.
    pub capacity: Bytes,
    /// Whether its agent told.
    pub is_told: bool,
    /// What copies take, whole or not.
    pub copies: Bytes,
    /// What of that is to go.
    pub leaving: Bytes,
    /// What is on its way there.
    pub coming: Bytes,
    /// What is taken by other things than registered data.
    pub other: Bytes,
}

impl StoreUse {
    /// What is taken or spoken for.
    #[must_use]
    pub const fn taken(&self) -> Bytes {
        self.copies.saturating_add(self.coming).saturating_add(self.other)
    }

    /// What is neither taken nor spoken for.
    #[must_use]
    pub const fn free(&self) -> Bytes {
        self.capacity.saturating_sub(self.taken())
    }
}

/// How full each store is. Costs a look at all versions.
#[must_use]
pub fn stores(world: &World) -> BTreeMap<CenterId, StoreUse> {
    let store = |(id, state): (&CenterId, &world::CenterState)| {
        let declared = state.center.store?;
        let told = world.stores.get(id);
        let capacity = told.map_or(declared, |told| told.capacity);
        let other = told.map_or(Bytes::ZERO, |told| told.other);
        let store = StoreUse { capacity, is_told: told.is_some(), other, ..StoreUse::default() };
        Some((id.clone(), store))
    };
    let mut stores: BTreeMap<CenterId, StoreUse> = world.centers.iter().filter_map(store).collect();
    for version in world.datasets.values().flat_map(|dataset| &dataset.versions) {
        for center in version.holders().filter(|center| version.takes_room_at(center)) {
            if let Some(store) = stores.get_mut(center) {
                store.copies += version.registered.bytes;
                if version.is_leaving(center) {
                    store.leaving += version.registered.bytes;
                }
            }
        }
    }
    let repairs = |t: &Staging| world.exact(&t.data).is_some_and(|v| v.takes_room_at(&t.to));
    for staging in world.transfers.values().filter(|staging| !repairs(staging)) {
        if let Some(store) = stores.get_mut(&staging.to) {
            store.coming += staging.bytes;
        }
    }
    stores
}

/// A copy as `portolan data du` shows it.
#[derive(Debug, Clone)]
pub struct Holding {
    /// Of which data.
    pub data: DatasetVersion,
    /// How large it is.
    pub bytes: Bytes,
    /// How it is.
    pub state: Copied,
    /// In which external store of the center it lies, if it is not in its own.
    pub in_store: Option<StoreId>,
    /// In which it lies besides, if it is.
    pub also_in: Option<StoreId>,
    /// Why it stays, if it does.
    pub stays: Option<Stays>,
}

/// How a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// Verified, and counted on.
    Whole(Replica),
    /// Nobody counts on it.
    Uncounted(Uncounted),
}

impl Holding {
    /// When it was last needed, if it is whole.
    #[must_use]
    pub const fn needed(&self) -> Option<Moment> {
        match self.state {
            Copied::Whole(replica) => Some(replica.needed),
            Copied::Uncounted(_) => None,
        }
    }

    /// Whether it can go to make room, and makes some.
    #[must_use]
    pub const fn is_evictable(&self) -> bool {
        matches!(self.state, Copied::Whole(_)) && self.stays.is_none() && self.in_store.is_none()
    }
}

impl Controller {
    /// Every copy in a center's store, what is least needed first, and why it stays.
    #[must_use]
    pub fn holdings(&self, center: &CenterId) -> Vec<Holding> {
        let (world, situation) = (&self.world, &self.situation());
        let uses = Uses::of(world);
        let mut holdings = Vec::new();
        for dataset in world.datasets.values() {
            for version in &dataset.versions {
                let whole = version.replicas.get(center).map(|replica| Copied::Whole(*replica));
                let uncounted = version.uncounted.get(center).copied().map(Copied::Uncounted);
                let Some(state) = whole.or(uncounted) else { continue };
                let why = uses.why_it_stays((world, situation), (dataset, version), center);
                holdings.push(Holding {
                    data: version.registered.data.clone(),
                    bytes: version.registered.bytes,
                    state,
                    in_store: version.only_in(center).cloned(),
                    also_in: version.also_in(center).cloned(),
                    stays: why.filter(|_| !version.is_leaving(center)),
                });
            }
        }
        holdings.sort_by_cached_key(|holding| {
            (holding.needed(), std::cmp::Reverse(holding.bytes), holding.data.clone())
        });
        holdings
    }
}
