//! What attempts have of their tenants' quotas, kept fact by fact.

use super::Board;
use crate::quota;
use model::job::Job;
use model::{Attempt, AttemptId, CenterId, ChipTime, Moment, Tenant, TenantId};
use sharing::Count;
use std::collections::BTreeMap;
use std::sync::Arc;
use world::World;

/// What owners see of tenants.
pub(super) type Seen = BTreeMap<TenantId, (Option<TenantId>, Option<CenterId>, Option<String>)>;

/// What owners see of all tenants there are.
pub(super) fn seen(world: &World) -> Seen {
    let of = |tenant: &Arc<Tenant>| {
        (tenant.parent.clone(), tenant.home.clone(), tenant.industry.clone())
    };
    world.tenants.iter().map(|(id, tenant)| (id.clone(), of(tenant))).collect()
}

impl Board {
    /// An attempt has what it has of its tenant's quotas, unless it makes room for another.
    pub(super) fn claim(&mut self, world: &World, attempt: &Attempt, job: &Job) {
        let is_known = self.claims.contains_key(&attempt.attempt);
        if attempt.preempted.is_some() || is_known || self.is_to_open(attempt, job) {
            return;
        }
        let (tenant, claim) = (&job.spec.tenant, world::claim(&job.spec, &attempt.placement));
        if attempt.placement.inside.is_none() {
            for part in &attempt.placement.parts {
                self.view.count_guest(world, tenant, part, true);
            }
            self.guests.insert(attempt.attempt, Arc::clone(&attempt.placement));
        }
        // Of a tenant nobody declared nothing is counted.
        if self.view.usage.take(tenant, &claim).is_ok() {
            self.claims.insert(attempt.attempt, (tenant.clone(), claim));
        }
    }

    /// An attempt is over, or makes room for another: it has nothing of its tenant's quotas any more.
    pub(super) fn unclaim(&mut self, world: &World, attempt: AttemptId, now: Moment) {
        let Some(job) = world.job(attempt.job) else { return };
        let live = job.phase.attempt().filter(|live| live.attempt == attempt);
        let is_over = live.is_none_or(Attempt::is_over);
        let spent = match live.and_then(|live| Some((live, live.state.started()?))) {
            Some((live, started)) if is_over => {
                world::draw(&live.placement).chips.over(now.since(started))
            }
            _ => ChipTime::ZERO,
        };
        if let Some(placement) = self.guests.remove(&attempt) {
            for part in &placement.parts {
                self.view.count_guest(world, &job.spec.tenant, part, false);
            }
        }
        let usage = &mut self.view.usage;
        let counted = match self.claims.remove(&attempt) {
            Some((tenant, claim)) => usage.give(&tenant, &claim, spent),
            None => usage.spend(&job.spec.tenant, spent),
        };
        debug_assert!(counted.is_ok() || !world.tenants.contains_key(&job.spec.tenant));
        // Others may have what it had, wherever it was.
        self.touched.classes.append(&mut self.short);
    }

    /// A job of a tenant waits, or no longer does.
    pub(super) fn counts_as_waiting(&mut self, tenant: &TenantId, waits: bool) {
        let usage = &mut self.view.usage;
        let _unknown = match waits {
            true => usage.count(tenant, Count::Queued, 1),
            false => usage.uncount(tenant, Count::Queued, 1),
        };
    }

    /// Brings all that is used under the quotas that were declared meanwhile.
    pub(super) fn look_at_quotas(&mut self, world: &World, now: Moment) {
        if !std::mem::take(&mut self.quotas_changed) {
            return;
        }
        if self.tenants != seen(world) {
            // Who is at home where, and to whom owners lend, may be otherwise for every class.
            *self = Self::of(world, now);
            return;
        }
        let quotas = Arc::clone(quota::usage(world).quotas());
        if let Ok(usage) = self.view.usage.under(quotas) {
            self.view.no_quotas = usage.quotas().limit_nobody();
            self.view.usage = usage;
        }
        self.touched.all = true;
    }
}
