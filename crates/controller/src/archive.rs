//! Copies put into external stores of their centers, because somebody asked for it.

use crate::dataset::may_act_for;
use crate::{Answer, Controller, Rejected};
use model::fact::{ArchiveFailed, ArchiveWanted, Fact, StoresTold};
use model::{Bytes, CenterId, DatasetRef, DatasetVersion, ExternalStore, Principal, StoreId};
use world::World;

/// What an archive would take, or takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivePlan {
    /// Which data.
    pub data: DatasetVersion,
    /// All its bytes.
    pub bytes: Bytes,
    /// Whether it is in that store already.
    pub is_there: bool,
}

/// What is in an external store of a center by what the server knows: data that lies there, and data
/// that is to be put there.
#[must_use]
pub fn in_external(world: &World, center: &CenterId, store: &StoreId) -> Bytes {
    let versions = world.datasets.values().flat_map(|dataset| &dataset.versions);
    let is_there = |version: &&world::Version| {
        let lies = version.in_place.get(center).is_some_and(|lies| lies.store == *store);
        let coming = version.archiving.get(center);
        lies || coming.is_some_and(|wanted| wanted.failed.is_none() && wanted.store == *store)
    };
    versions.filter(is_there).map(|version| version.registered.bytes).sum()
}

impl Controller {
    /// What putting a center's copy into an external store of its takes; a rejection says why that
    /// cannot be.
    pub fn archive_plan(
        &self,
        wanted: &DatasetRef,
        center: &CenterId,
        store: &StoreId,
    ) -> Result<ArchivePlan, Rejected> {
        let (_, version) = self.version(wanted)?;
        self.center(center)?;
        let known = self.external_store(center, store)?;
        let (data, bytes) = (version.registered.data.clone(), version.registered.bytes);
        let conflict = |why: String| Err(Rejected::Conflict { why });
        match version.in_place.get(center).map(|lies| &lies.store) {
            Some(there) if there == store => {
                return Ok(ArchivePlan { data, bytes, is_there: true });
            }
            Some(other) => {
                return conflict(format!("{data} lies in {other} of {center} already"));
            }
            None => {}
        }
        if !version.replicas.contains_key(center) {
            return conflict(format!("{center} has no whole copy of {data} to put there"));
        }
        if !known.takes {
            return conflict(format!("{store} of {center} is only read: name another store"));
        }
        self.must_be_allowed(version, center)?;
        let under_way = version.archiving.get(center).filter(|known| known.failed.is_none());
        match under_way.map(|known| &known.store) {
            Some(same) if same == store => return Ok(ArchivePlan { data, bytes, is_there: false }),
            Some(other) => {
                return conflict(format!("{data} is just being put into {other} of {center}"));
            }
            None => {}
        }
        let used = in_external(&self.world, center, store);
        if let Some(capacity) = known.capacity
            && bytes > capacity.saturating_sub(used)
        {
            return conflict(format!(
                "{data} takes {bytes}; {store} of {center} has {} of {capacity} left",
                capacity.saturating_sub(used)
            ));
        }
        Ok(ArchivePlan { data, bytes, is_there: false })
    }

    fn external_store(
        &self,
        center: &CenterId,
        store: &StoreId,
    ) -> Result<&ExternalStore, Rejected> {
        let told = self.world.external.get(center).map_or(&[][..], Vec::as_slice);
        told.iter().find(|known| known.store == *store).ok_or_else(|| {
            let names: Vec<&str> = told.iter().map(|known| known.store.as_str()).collect();
            let has = match names.is_empty() {
                true => "its agent told of none".to_owned(),
                false => format!("it has {}", names.join(", ")),
            };
            Rejected::NotFound { what: format!("external store {store} of center {center}: {has}") }
        })
    }

    pub(crate) fn want_archive(
        &mut self,
        by: &Principal,
        wanted: &DatasetRef,
        (center, store): (&CenterId, &StoreId),
    ) -> Result<Answer, Rejected> {
        let (dataset, version) = self.version(wanted)?;
        may_act_for(by, &dataset.newest().registered.tenant)?;
        let under_way = version.archiving.get(center).is_some_and(|known| known.failed.is_none());
        let plan = self.archive_plan(wanted, center, store)?;
        if !plan.is_there && !under_way {
            let (data, center, store) = (plan.data.clone(), center.clone(), store.clone());
            self.emit(Fact::ArchiveWanted(ArchiveWanted { data, center, store, by: by.token }));
        }
        Ok(Answer::Archive(plan))
    }

    /// A center could not do what was asked for. What is told of any other is old.
    pub(crate) fn not_archived(
        &mut self,
        center: &CenterId,
        data: DatasetVersion,
        store: StoreId,
        why: String,
    ) {
        let wanted = self.world.exact(&data).and_then(|version| version.archiving.get(center));
        if wanted.is_some_and(|wanted| wanted.failed.is_none() && wanted.store == store) {
            let center = center.clone();
            self.emit(Fact::ArchiveFailed(ArchiveFailed { data, center, store, why }));
        }
    }

    /// Notes which external stores a center has, if that is news.
    pub(crate) fn told_stores(&mut self, center: &CenterId, stores: &[ExternalStore]) {
        let known = self.world.external.get(center).map_or(&[][..], Vec::as_slice);
        if known != stores {
            let (center, stores) = (center.clone(), stores.to_vec());
            self.emit(Fact::StoresTold(StoresTold { center, stores }));
        }
    }
}
