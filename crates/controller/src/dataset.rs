//! What people want of datasets: rules for keeping them, copies made, removed and read.

use crate::keeping::{Uses, answers, may_hold, stores, surplus};
use crate::{Answer, Controller, Rejected};
use model::fact::{
    CopyWanted, DatasetKept, Fact, ReplicaLeaving, ScrubWanted, TransferEnd, TransferEnded,
};
use model::{
    CenterId, DatasetId, DatasetRef, DatasetVersion, Expiry, Keeping, Leave, Principal, Role, Span,
    Staging, TenantId, TransferId,
};
use planner::Refusal;
use std::sync::Arc;
use world::{Dataset, Version};

/// What would follow from rules for keeping a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outlook {
    /// Versions that would have too few copies, and how many are to be made.
    pub missing: Vec<(DatasetVersion, u32)>,
    /// Versions that would go everywhere, and why.
    pub going: Vec<(DatasetVersion, Leave)>,
}

impl Controller {
    /// What would follow from these rules; a rejection says what is wrong with them.
    pub fn outlook(&self, name: &DatasetId, keeping: &Keeping) -> Result<Outlook, Rejected> {
        let dataset = self.dataset(name)?;
        self.check_keeping(name, dataset, keeping)?;
        let then = Dataset { keeping: keeping.clone(), ..Dataset::clone(dataset) };
        let surplus = surplus(&then);
        let mut outlook = Outlook::default();
        for version in &then.versions {
            let data = &version.registered.data;
            if keeping.has_expired(version.at, self.now) {
                outlook.going.push((data.clone(), Leave::Expired));
            } else if surplus.contains(&data.version) {
                outlook.going.push((data.clone(), Leave::Surplus));
            } else if !version.replicas.is_empty() {
                let has = u32::try_from(version.settled().count()).unwrap_or(u32::MAX);
                let more = keeping.copies.saturating_sub(has);
                outlook.missing.extend((more > 0).then(|| (data.clone(), more)));
            }
        }
        Ok(outlook)
    }

    fn dataset(&self, name: &DatasetId) -> Result<&Arc<Dataset>, Rejected> {
        let what = || Rejected::NotFound { what: format!("dataset {name}") };
        self.world.datasets.get(name).ok_or_else(what)
    }

    pub(crate) fn version(
        &self,
        wanted: &DatasetRef,
    ) -> Result<(&Arc<Dataset>, &Version), Rejected> {
        let dataset = self.dataset(&wanted.dataset)?;
        let version = self.world.version(wanted);
        let what = || Rejected::NotFound { what: format!("dataset {wanted}") };
        Ok((dataset, version.ok_or_else(what)?))
    }

    pub(crate) fn center(&self, center: &CenterId) -> Result<&world::CenterState, Rejected> {
        let state = self.world.centers.get(center);
        state.ok_or_else(|| Rejected::NotFound { what: format!("center {center}") })
    }

    fn check_keeping(
        &self,
        name: &DatasetId,
        dataset: &Dataset,
        keeping: &Keeping,
    ) -> Result<(), Rejected> {
        let invalid = |why: String| Err(Rejected::Invalid { why });
        if keeping.copies == 0 {
            return invalid(format!(
                "`copies` is 0: keep one at least, or remove it by `portolan data rm {name}`"
            ));
        }
        if keeping.versions == Some(0) {
            return invalid(format!(
                "`versions` is 0: keep one at least, or remove it by `portolan data rm {name}`"
            ));
        }
        match keeping.expires {
            Some(Expiry::At(at)) if at <= self.now => {
                return invalid(format!(
                    "{at} is over; name a later time, or remove the dataset by `portolan data rm \
                     {name}`"
                ));
            }
            Some(Expiry::After(Span::ZERO)) => {
                return invalid("a dataset cannot be kept for no time at all".to_owned());
            }
            Some(Expiry::At(_) | Expiry::After(_)) | None => {}
        }
        for center in &keeping.pinned {
            if self.center(center)?.center.store.is_none() {
                return invalid(format!(
                    "center {center} keeps no store, so nothing can be pinned"
                ));
            }
            self.must_be_allowed(dataset.newest(), center)?;
        }
        let residency = &dataset.newest().registered.residency;
        let centers = self.world.centers.keys();
        let allowed: Vec<&str> = centers
            .filter(|center| may_hold(&self.world, residency, center))
            .map(CenterId::as_str)
            .collect();
        if (keeping.copies as usize) > allowed.len() {
            let why = format!(
                "{} copies are more than the {} centers with a store that {name} may live in ({})",
                keeping.copies,
                allowed.len(),
                allowed.join(", ")
            );
            return invalid(why);
        }
        Ok(())
    }

    pub(crate) fn must_be_allowed(
        &self,
        version: &Version,
        center: &CenterId,
    ) -> Result<(), Rejected> {
        let residency = &version.registered.residency;
        if may_hold(&self.world, residency, center) {
            return Ok(());
        }
        let regions: Vec<_> = residency.iter().map(ToString::to_string).collect();
        let (name, regions) = (&version.registered.data.dataset, regions.join(", "));
        let why = format!("center {center} is outside the regions {name} may live in ({regions})");
        Err(Rejected::Invalid { why })
    }

    pub(crate) fn keep_dataset(
        &mut self,
        by: &Principal,
        name: &DatasetId,
        keeping: Keeping,
    ) -> Result<Answer, Rejected> {
        self.outlook(name, &keeping)?;
        let dataset = self.dataset(name)?;
        let tenant = dataset.newest().registered.tenant.clone();
        may_act_for(by, &tenant)?;
        if dataset.keeping != keeping {
            let (dataset, by) = (name.clone(), by.token);
            let kept = DatasetKept { dataset, tenant, keeping, by };
            self.emit(Fact::DatasetKept(Arc::new(kept)));
            self.tend_soon();
        }
        Ok(Answer::Done)
    }

    /// The transfer that would bring a copy to a center, or brings it already; none where the copy is
    /// there. Where it has to go by way of a relay, the transfer there.
    pub fn copy_plan(
        &self,
        wanted: &DatasetRef,
        to: &CenterId,
    ) -> Result<Option<Arc<Staging>>, Rejected> {
        let (_, version) = self.version(wanted)?;
        let state = self.center(to)?;
        let data = &version.registered.data;
        if version.replicas.contains_key(to) {
            return Ok(None);
        }
        if let Some(under_way) = self.world.transfer_to(data, to) {
            return Ok(Some(Arc::clone(under_way)));
        }
        let conflict = |why: String| Err(Rejected::Conflict { why });
        if state.center.store.is_none() {
            return conflict(format!("center {to} keeps no store"));
        }
        self.must_be_allowed(version, to)?;
        let (world, situation) = (&self.world, self.situation());
        if !answers(world, &situation, to) {
            return conflict(format!(
                "the agent of center {to} is not there; try again once it is"
            ));
        }
        if version.is_leaving(to) {
            return conflict(format!("the copy of {data} in {to} is just going; try again then"));
        }
        if version.replicas.is_empty() {
            return conflict(format!("no center has a whole copy of {data}"));
        }
        let store = stores(world).remove(to).unwrap_or_default();
        let room = store.free() + self.evictable().remove(to).unwrap_or_default();
        if store.is_told && room < version.registered.bytes {
            return conflict(format!(
                "{data} takes {}; the store of {to} has {} free and could free {} more",
                version.registered.bytes,
                store.free(),
                room.saturating_sub(store.free()),
            ));
        }
        let (view, policy) = (self.board.view(), &self.settings.policy);
        let planned = planner::copy(world, view, &situation, policy, (version, &state.center));
        let refusal = match planned {
            Ok(staging) => return Ok(Some(Arc::new(staging))),
            Err(refusal) => refusal,
        };
        match &refusal {
            Refusal::InPassing { relay, .. } => Ok(world.transfer_to(data, relay).cloned()),
            Refusal::NoDoor { .. } if let Some(staging) = self.by_relay(data, to) => {
                Ok(Some(Arc::new(staging)))
            }
            _ => conflict(format!("{data} cannot be brought to {to}: {refusal}")),
        }
    }

    pub(crate) fn want_copy(
        &mut self,
        by: &Principal,
        wanted: &DatasetRef,
        to: &CenterId,
    ) -> Result<Answer, Rejected> {
        let (dataset, version) = self.version(wanted)?;
        may_act_for(by, &dataset.newest().registered.tenant)?;
        let data = version.registered.data.clone();
        let is_wanted = version.wanted.contains(to);
        let passes = version.passing.contains(to);
        let staging = self.copy_plan(wanted, to)?;
        if (!is_wanted && staging.is_some()) || passes {
            let wanted = CopyWanted { data: data.clone(), center: to.clone(), by: by.token };
            self.emit(Fact::CopyWanted(wanted));
        }
        let Some(staging) = staging else { return Ok(Answer::Copy(None)) };
        self.bring(staging.as_ref().clone());
        Ok(Answer::Copy(self.world.transfer_to(&data, &staging.to).cloned()))
    }

    /// Whether the copy in a center can be removed; a rejection says why not.
    pub fn may_evict(
        &self,
        wanted: &DatasetRef,
        center: &CenterId,
    ) -> Result<DatasetVersion, Rejected> {
        let (dataset, version) = self.version(wanted)?;
        self.center(center)?;
        let data = &version.registered.data;
        if !version.is_held_at(center) {
            return Err(Rejected::NotFound { what: format!("copy of {data} in center {center}") });
        }
        let (world, situation) = (&self.world, self.situation());
        let uses = Uses::of(world);
        match uses.why_it_stays((world, &situation), (dataset, version), center) {
            Some(why) => {
                let why = format!("the copy of {data} in {center} stays: {why}");
                Err(Rejected::Conflict { why })
            }
            None => Ok(data.clone()),
        }
    }

    pub(crate) fn evict(
        &mut self,
        by: &Principal,
        wanted: &DatasetRef,
        center: &CenterId,
    ) -> Result<Answer, Rejected> {
        let (dataset, version) = self.version(wanted)?;
        may_act_for(by, &dataset.newest().registered.tenant)?;
        let is_leaving = version.is_leaving(center);
        let data = self.may_evict(wanted, center)?;
        if !is_leaving {
            self.leave((&data, center), Leave::Asked, Some(by.token));
        }
        Ok(Answer::Done)
    }

    /// Has copies read at once, one after the other in each center.
    pub(crate) fn scrub(
        &mut self,
        by: &Principal,
        name: Option<&DatasetId>,
        at: Option<&CenterId>,
    ) -> Result<Answer, Rejected> {
        let copies = self.copies_to_scrub(name, at)?;
        match name {
            Some(name) => may_act_for(by, &self.dataset(name)?.newest().registered.tenant)?,
            None if by.role == Role::Operator => {}
            None => {
                let why = "only an operator has everything read; name a dataset".to_owned();
                return Err(Rejected::Forbidden { why });
            }
        }
        if copies > 0 {
            let (dataset, center) = (name.cloned(), at.cloned());
            self.emit(Fact::ScrubWanted(ScrubWanted { dataset, center, by: by.token }));
            self.scrub_at(at);
        }
        Ok(Answer::Scrubbing { copies })
    }

    /// How many copies there are to be read.
    pub fn copies_to_scrub(
        &self,
        name: Option<&DatasetId>,
        at: Option<&CenterId>,
    ) -> Result<usize, Rejected> {
        name.map(|name| self.dataset(name)).transpose()?;
        at.map(|center| self.center(center)).transpose()?;
        let datasets = self.world.datasets.iter();
        let datasets = datasets.filter(|(known, _)| name.is_none_or(|name| name == *known));
        let versions = datasets.flat_map(|(_, dataset)| &dataset.versions);
        let centers = versions.flat_map(|version| version.replicas.keys());
        Ok(centers.filter(|center| at.is_none_or(|at| at == *center)).count())
    }

    /// Decides that a copy goes: it counts no more, and its center is told to remove it.
    pub(crate) fn leave(
        &mut self,
        (data, center): (&DatasetVersion, &CenterId),
        why: Leave,
        by: Option<model::TokenId>,
    ) {
        let (data, center) = (data.clone(), center.clone());
        self.emit(Fact::ReplicaLeaving(ReplicaLeaving { data, center, why, by }));
    }

    /// Whether a dataset can be removed with all its copies; a rejection says why not.
    pub fn may_remove(&self, name: &DatasetId) -> Result<&Arc<Dataset>, Rejected> {
        let dataset = self.dataset(name)?;
        let used = self.world.all_live().find(|(_, attempt)| {
            let job = self.world.job(attempt.job);
            let inputs = job.and_then(|j| j.phase.attempt()).map(|a| &a.placement.inputs);
            inputs.is_some_and(|inputs| inputs.iter().any(|data| data.dataset == *name))
        });
        if let Some((_, attempt)) = used {
            let why = format!("{} reads dataset {name}; cancel it or wait for it", attempt.job);
            return Err(Rejected::Conflict { why });
        }
        Ok(dataset)
    }

    pub(crate) fn remove_dataset(
        &mut self,
        by: &Principal,
        name: &DatasetId,
    ) -> Result<Answer, Rejected> {
        may_act_for(by, &self.dataset(name)?.newest().registered.tenant)?;
        let dataset = Arc::clone(self.may_remove(name)?);
        let moving = self.world.transfers.values().filter(|t| t.data.dataset == *name);
        let moving: Vec<TransferId> = moving.map(|t| t.transfer).collect();
        for transfer in moving {
            self.emit(Fact::TransferEnded(TransferEnded { transfer, end: TransferEnd::Dropped }));
        }
        for version in &dataset.versions {
            for center in version.holders() {
                self.books.remove_copy(center, &version.registered.data);
            }
        }
        let removed = model::fact::DatasetRemoved { dataset: name.clone(), by: by.token };
        self.emit(Fact::DatasetRemoved(removed));
        Ok(Answer::Done)
    }
}

/// Whether somebody may act for a tenant.
pub(crate) fn may_act_for(by: &Principal, tenant: &TenantId) -> Result<(), Rejected> {
    match &by.role {
        Role::Operator => Ok(()),
        Role::Tenant(own) if own == tenant => Ok(()),
        Role::Tenant(_) | Role::Center(_) => Err(Rejected::Forbidden {
            why: format!("a token for {} cannot act for tenant {tenant}", by.role),
        }),
    }
}
