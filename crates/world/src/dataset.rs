//! Datasets, their versions, and how their copies are.

use crate::World;
use model::fact::{
    ArchiveFailed, ArchiveWanted, CopyWanted, DatasetKept, DatasetRegistered, Fact, ReplicaDamaged,
    ReplicaInPlace, ReplicaLeaving, ScrubWanted, VersionRemoved,
};
use model::{
    Bytes, CenterId, DatasetVersion, Digest, Keeping, Leave, Lies, Moment, Placement, Span,
    Staging, StoreId,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// That a copy was needed is noted no more often than this: what comes of it takes days.
const NOTED_EVERY: Span = Span::from_secs(60);

/// A dataset with its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Its versions, oldest first; never empty.
    pub versions: Vec<Version>,
    /// What is to be kept of it.
    pub keeping: Keeping,
}

impl Dataset {
    /// The newest version that has a copy somewhere, or else the newest that was announced.
    #[must_use]
    pub fn newest(&self) -> &Version {
        let whole = self.versions.iter().rev().find(|v| !v.replicas.is_empty());
        whole.or(self.versions.last()).expect("a dataset has at least one version")
    }

    /// The version of this digest.
    #[must_use]
    pub fn version(&self, version: &Digest) -> Option<&Version> {
        self.versions.iter().find(|v| v.registered.data.version == *version)
    }
}

/// A version of a dataset and where its copies are.
///
/// A center is in at most one of `replicas` and `uncounted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// What was registered.
    pub registered: Arc<DatasetRegistered>,
    /// When.
    pub at: Moment,
    /// Centers with a verified copy, and what is known of it.
    pub replicas: BTreeMap<CenterId, Replica>,
    /// Centers whose copy, counted or not, lies in an external store of theirs, and how.
    #[serde(default)]
    pub in_place: BTreeMap<CenterId, Lies>,
    /// Those of them whose own store has a copy besides.
    #[serde(default)]
    pub also_own: BTreeSet<CenterId>,
    /// Centers whose copy somebody asked to be put into an external store of theirs.
    #[serde(default)]
    pub archiving: BTreeMap<CenterId, Archiving>,
    /// Centers with bytes of it that nobody counts on.
    pub uncounted: BTreeMap<CenterId, Uncounted>,
    /// Centers that should have a copy and have none, since somebody asked for it or it was found
    /// damaged.
    pub wanted: BTreeSet<CenterId>,
    /// Relays that have a copy in passing, or to which one is on its way so.
    #[serde(default)]
    pub passing: BTreeSet<CenterId>,
}

impl Version {
    /// A version of which there is no copy yet.
    #[must_use]
    pub fn new(registered: Arc<DatasetRegistered>, at: Moment) -> Self {
        Self {
            registered,
            at,
            replicas: BTreeMap::new(),
            in_place: BTreeMap::new(),
            also_own: BTreeSet::new(),
            archiving: BTreeMap::new(),
            uncounted: BTreeMap::new(),
            wanted: BTreeSet::new(),
            passing: BTreeSet::new(),
        }
    }

    /// Centers with a verified copy that is theirs, not there in passing.
    pub fn settled(&self) -> impl Iterator<Item = &CenterId> {
        self.replicas.keys().filter(|center| !self.passing.contains(*center))
    }

    /// Whether bytes of it are in a store of a center, whole or not.
    #[must_use]
    pub fn is_held_at(&self, center: &CenterId) -> bool {
        self.replicas.contains_key(center) || self.uncounted.contains_key(center)
    }

    /// Whether bytes of it are in a center's own store, whole or not.
    #[must_use]
    pub fn takes_room_at(&self, center: &CenterId) -> bool {
        self.is_held_at(center) && self.lies_only_in_place(center).is_none()
    }

    /// How its copy in a center lies in an external store, if the center's own store has none.
    #[must_use]
    pub fn lies_only_in_place(&self, center: &CenterId) -> Option<&Lies> {
        self.in_place.get(center).filter(|_| !self.also_own.contains(center))
    }

    /// In which external store of a center its copy lies, if the center's own store has none.
    #[must_use]
    pub fn only_in(&self, center: &CenterId) -> Option<&StoreId> {
        self.lies_only_in_place(center).map(|lies| &lies.store)
    }

    /// In which external store of a center it lies besides the copy in the center's own.
    #[must_use]
    pub fn also_in(&self, center: &CenterId) -> Option<&StoreId> {
        let lies = self.in_place.get(center).filter(|_| self.also_own.contains(center));
        lies.map(|lies| &lies.store)
    }

    /// Centers with bytes of it in a store of theirs, whole or not.
    pub fn holders(&self) -> impl Iterator<Item = &CenterId> {
        self.replicas.keys().chain(self.uncounted.keys())
    }

    /// Whether its copy in a center is to go.
    #[must_use]
    pub fn is_leaving(&self, center: &CenterId) -> bool {
        matches!(self.uncounted.get(center), Some(Uncounted::Leaving(_)))
    }

    /// Centers whose copies are damaged.
    pub fn damaged(&self) -> impl Iterator<Item = &CenterId> {
        let damaged = |(center, state)| {
            let &state: &Uncounted = state;
            matches!(state, Uncounted::Damaged { .. }).then_some(center)
        };
        self.uncounted.iter().filter_map(damaged)
    }

    fn lose(&mut self, center: &CenterId) {
        self.replicas.remove(center);
        self.in_place.remove(center);
        self.also_own.remove(center);
        self.uncounted.remove(center);
    }

    fn no_longer_counts(&mut self, center: &CenterId, state: Uncounted) {
        self.replicas.remove(center);
        self.uncounted.insert(center.clone(), state);
    }
}

/// A copy that somebody asked to be put into an external store of its center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archiving {
    /// Into which.
    pub store: StoreId,
    /// Why it could not be, for people; absent while it is to be.
    pub failed: Option<String>,
}

/// Why bytes in a store are no copy to count on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Uncounted {
    /// What somebody received of it was wrong; its center is to read it.
    Doubted,
    /// So many of its chunks are not what they should be; the others are kept for its repair.
    Damaged {
        /// How many.
        chunks: u64,
    },
    /// It is to go.
    Leaving(Leave),
}

/// What is known of a verified copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Somebody asked for it to be read.
    pub is_to_be_read: bool,
    /// When every byte of it was last known to be what it should be: as it came, or as it was read.
    pub verified: Moment,
    /// When an attempt that reads it was last given its place there or ended, to the minute; when
    /// the copy came, where none was since.
    pub needed: Moment,
}

/// What a center told of its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreSize {
    /// How much it holds.
    pub capacity: Bytes,
    /// What is taken there by other things than registered data.
    pub other: Bytes,
}

impl World {
    /// Takes in a fact about datasets or stores.
    pub(crate) fn about_data(&mut self, at: Moment, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::DatasetRegistered(f) => self.registered(at, f),
            Fact::DatasetRemoved(f) => {
                self.datasets.remove(&f.dataset).ok_or("no such dataset")?;
            }
            Fact::DatasetKept(f) => self.kept(f)?,
            Fact::VersionRemoved(f) => self.version_removed(f)?,
            Fact::ReplicaAdded(f) => self.replica_added(at, &f.data, &f.center)?,
            Fact::ReplicaInPlace(f) => {
                self.replica_added(at, &f.data, &f.center)?;
                self.in_place(f)?;
            }
            Fact::ReplicaVerified(f) => {
                let replica = self.version_mut(&f.data)?.replicas.get_mut(&f.center);
                let missing = || format!("{} has no copy of {}", f.center, f.data);
                let replica = replica.ok_or_else(missing)?;
                (replica.verified, replica.is_to_be_read) = (at, false);
            }
            Fact::ReplicaDoubted(f) => {
                self.version_mut(&f.data)?.no_longer_counts(&f.center, Uncounted::Doubted);
            }
            Fact::ReplicaDamaged(f) => self.replica_damaged(f)?,
            Fact::ReplicaLeaving(f) => self.replica_leaving(f)?,
            Fact::ReplicaRemoved(f) => {
                // Another may be on its way there in passing.
                let comes = self.transfer_to(&f.data, &f.center).is_some_and(|t| t.passing);
                let version = self.version_mut(&f.data)?;
                version.lose(&f.center);
                if !comes {
                    version.passing.remove(&f.center);
                }
            }
            Fact::CopyWanted(CopyWanted { data, center, .. }) => {
                let version = self.version_mut(data)?;
                // One that is there in passing stays from now on.
                if !version.passing.remove(center) || !version.replicas.contains_key(center) {
                    version.wanted.insert(center.clone());
                }
            }
            Fact::ArchiveWanted(ArchiveWanted { data, center, store, .. }) => {
                let archiving = Archiving { store: store.clone(), failed: None };
                let version = self.version_mut(data)?;
                version.archiving.insert(center.clone(), archiving);
                version.passing.remove(center);
            }
            Fact::ArchiveFailed(ArchiveFailed { data, center, store, why }) => {
                let archiving = Archiving { store: store.clone(), failed: Some(why.clone()) };
                self.version_mut(data)?.archiving.insert(center.clone(), archiving);
            }
            Fact::StoresTold(f) => {
                self.external.insert(f.center.clone(), f.stores.clone());
            }
            Fact::ScrubWanted(f) => self.scrub_wanted(f),
            Fact::StoreMeasured(f) => {
                if !self.centers.contains_key(&f.center) {
                    return Err("no such center".to_owned());
                }
                let size = StoreSize { capacity: f.capacity, other: f.other };
                self.stores.insert(f.center.clone(), size);
            }
            _ => unreachable!("only facts about data come here"),
        }
        Ok(())
    }

    fn registered(&mut self, at: Moment, fact: &Arc<DatasetRegistered>) {
        let name = &fact.data.dataset;
        let none = || Arc::new(Dataset { versions: Vec::new(), keeping: Keeping::default() });
        let dataset = Arc::make_mut(self.datasets.entry(name.clone()).or_insert_with(none));
        // The same content registered again becomes the newest version and keeps its copies.
        let known = dataset.versions.iter().position(|v| v.registered.data == fact.data);
        let version = match known.map(|known| dataset.versions.remove(known)) {
            Some(known) => Version { registered: Arc::clone(fact), at, ..known },
            None => Version::new(Arc::clone(fact), at),
        };
        dataset.versions.push(version);
    }

    fn kept(&mut self, fact: &DatasetKept) -> Result<(), String> {
        let dataset = self.datasets.get_mut(&fact.dataset).ok_or("no such dataset")?;
        let dataset = Arc::make_mut(dataset);
        dataset.keeping = fact.keeping.clone();
        for version in &mut dataset.versions {
            version.passing.retain(|center| !fact.keeping.pinned.contains(center));
        }
        Ok(())
    }

    fn version_removed(&mut self, fact: &VersionRemoved) -> Result<(), String> {
        let name = &fact.data.dataset;
        let missing = || format!("{} is not registered", fact.data);
        let dataset = Arc::make_mut(self.datasets.get_mut(name).ok_or_else(missing)?);
        let known = dataset.versions.iter().position(|v| v.registered.data == fact.data);
        let known = known.ok_or_else(missing)?;
        if let Some(holder) = dataset.versions[known].holders().next() {
            return Err(format!("{holder} has a copy of {}", fact.data));
        }
        dataset.versions.remove(known);
        if dataset.versions.is_empty() {
            self.datasets.remove(name);
        }
        Ok(())
    }

    fn replica_added(
        &mut self,
        at: Moment,
        data: &DatasetVersion,
        center: &CenterId,
    ) -> Result<(), String> {
        let version = self.version_mut(data)?;
        version.lose(center);
        version.wanted.remove(center);
        let replica = Replica { is_to_be_read: false, verified: at, needed: at };
        version.replicas.insert(center.clone(), replica);
        Ok(())
    }

    /// A copy lies in an external store.
    fn in_place(&mut self, fact: &ReplicaInPlace) -> Result<(), String> {
        let (version, center) = (self.version_mut(&fact.data)?, &fact.center);
        version.in_place.insert(center.clone(), fact.lies.clone());
        if fact.also_own {
            version.also_own.insert(center.clone());
        }
        if version.archiving.get(center).is_some_and(|wanted| wanted.store == fact.lies.store) {
            version.archiving.remove(center);
        }
        Ok(())
    }

    fn replica_damaged(&mut self, fact: &ReplicaDamaged) -> Result<(), String> {
        let version = self.version_mut(&fact.data)?;
        version.no_longer_counts(&fact.center, Uncounted::Damaged { chunks: fact.chunks });
        // Nobody wants it there for itself where it was in passing.
        if !version.passing.contains(&fact.center) {
            version.wanted.insert(fact.center.clone());
        }
        Ok(())
    }

    fn replica_leaving(&mut self, fact: &ReplicaLeaving) -> Result<(), String> {
        let version = self.version_mut(&fact.data)?;
        if !version.is_held_at(&fact.center) {
            return Err(format!("{} has no copy of {}", fact.center, fact.data));
        }
        version.no_longer_counts(&fact.center, Uncounted::Leaving(fact.why));
        version.wanted.remove(&fact.center);
        Ok(())
    }

    fn scrub_wanted(&mut self, fact: &ScrubWanted) {
        let datasets = self.datasets.iter_mut();
        let meant = datasets.filter(|(name, _)| fact.dataset.as_ref().is_none_or(|d| d == *name));
        for version in meant.flat_map(|(_, dataset)| &mut Arc::make_mut(dataset).versions) {
            for (center, replica) in &mut version.replicas {
                replica.is_to_be_read |= fact.center.as_ref().is_none_or(|c| c == center);
            }
        }
    }

    /// A transfer is planned: to a relay, or to whom has a copy in passing and keeps it from now on.
    pub(crate) fn is_to_pass(&mut self, staging: &Staging) -> Result<(), String> {
        let is_there = |version: &Version| version.passing.contains(&staging.to);
        if staging.passing {
            self.version_mut(&staging.data)?.passing.insert(staging.to.clone());
        } else if self.exact(&staging.data).is_some_and(is_there) {
            self.version_mut(&staging.data)?.passing.remove(&staging.to);
        }
        Ok(())
    }

    /// A transfer to a relay is over without its copy.
    pub(crate) fn did_not_pass(&mut self, staging: &Staging) {
        if staging.passing
            && let Ok(version) = self.version_mut(&staging.data)
            && !version.is_held_at(&staging.to)
        {
            version.passing.remove(&staging.to);
        }
    }

    /// Copies that jobs read where they are in passing are there in passing no more.
    pub(crate) fn settle(&mut self, placement: &Placement) {
        for data in &placement.inputs {
            let passes = self.exact(data).is_some_and(|version| {
                placement.parts.iter().any(|part| version.passing.contains(&part.center))
            });
            if passes && let Ok(version) = self.version_mut(data) {
                placement.parts.iter().for_each(|part| _ = version.passing.remove(&part.center));
            }
        }
    }

    /// What copies in passing take in a relay, there or on their way. Costs a look at all versions.
    #[must_use]
    pub fn passing_at(&self, center: &CenterId) -> Bytes {
        let versions = self.datasets.values().flat_map(|dataset| &dataset.versions);
        let passing = versions.filter(|version| version.passing.contains(center));
        passing.map(|version| version.registered.bytes).sum()
    }

    /// Notes that the copies a placement reads were needed.
    pub(crate) fn needed(&mut self, at: Moment, placement: &Placement) {
        for data in &placement.inputs {
            let long_ago = |version: &Version, center: &CenterId| {
                let replica = version.replicas.get(center);
                replica.is_some_and(|replica| at.since(replica.needed) >= NOTED_EVERY)
            };
            let Some(version) = self.exact(data) else { continue };
            let centers = placement.parts.iter().map(|part| &part.center);
            let centers: Vec<CenterId> =
                centers.filter(|center| long_ago(version, center)).cloned().collect();
            if centers.is_empty() {
                continue;
            }
            let Ok(version) = self.version_mut(data) else { continue };
            for center in centers {
                if let Some(replica) = version.replicas.get_mut(&center) {
                    replica.needed = at;
                }
            }
        }
    }

    fn version_mut(&mut self, data: &DatasetVersion) -> Result<&mut Version, String> {
        let dataset = self.datasets.get_mut(&data.dataset);
        let versions = dataset.map(|d| &mut Arc::make_mut(d).versions);
        versions
            .and_then(|v| v.iter_mut().find(|v| v.registered.data == *data))
            .ok_or_else(|| format!("{data} is not registered"))
    }
}
