//! What guests had of centers, day by day.

use crate::World;
use model::{
    CenterId, ChipTime, Chips, Moment, OwnerId, PartPlacement, Placement, Tenant, TenantId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

const DAY: u64 = 86_400_000;

/// How many days are kept here; older ones stand in the log.
pub const DAYS_KEPT: u64 = 92;

/// What guests had of centers: by center, tenant, and day since 1970 in UTC. Days without are absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lent(BTreeMap<CenterId, BTreeMap<TenantId, BTreeMap<u64, ChipTime>>>);

impl Lent {
    /// Each center and guest with its days.
    fn pairs(&self) -> impl Iterator<Item = (&CenterId, &TenantId, &BTreeMap<u64, ChipTime>)> {
        self.0.iter().flat_map(|(center, guests)| {
            guests.iter().map(move |(tenant, days)| (center, tenant, days))
        })
    }

    /// Counts what a placement's parts had from one moment to another, where `is_guest` of their center.
    fn add(
        &mut self,
        tenant: &TenantId,
        placement: &Placement,
        (since, until): (Moment, Moment),
        is_guest: impl Fn(&CenterId) -> bool,
    ) {
        let last = until.0 / DAY;
        let oldest = last.saturating_sub(DAYS_KEPT - 1);
        let lent = |part: &&PartPlacement| placement.inside.is_none() && is_guest(&part.center);
        for part in placement.parts.iter().filter(lent) {
            let guests = self.0.entry(part.center.clone()).or_default();
            let days = guests.entry(tenant.clone()).or_default();
            let mut from = since.0.max(oldest * DAY);
            while from < until.0 {
                let day = from / DAY;
                let to = until.0.min((day + 1) * DAY);
                let of = days.entry(day).or_default();
                *of = of.saturating_add(part.chips().over(Moment(to).since(Moment(from))));
                from = to;
            }
            if days.first_key_value().is_some_and(|(day, _)| *day < oldest) {
                *days = days.split_off(&oldest);
            }
        }
    }
}

/// What an owner lent another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loan {
    /// What the other's jobs have now.
    pub now: Chips,
    /// What they had, by day since 1970 in UTC. Days without are absent.
    pub days: BTreeMap<u64, ChipTime>,
}

impl World {
    /// Whether a tenant, or one it is part of, is at home in a center.
    #[must_use]
    pub fn is_at_home(&self, tenant: &TenantId, center: &CenterId) -> bool {
        self.path(tenant).any(|of| of.home.as_ref() == Some(center))
    }

    /// Whether a tenant is another, or one of those below it.
    #[must_use]
    pub fn is_part_of(&self, tenant: &TenantId, of: &TenantId) -> bool {
        tenant == of || self.path(tenant).any(|at| at.tenant == *of)
    }

    /// What owners lent one another until a moment, of the centers and guests that `count`, by who lends
    /// and who borrows. Costs a look at every attempt that is not over.
    #[must_use]
    pub fn loans(
        &self,
        until: Moment,
        count: impl Fn(&CenterId, &TenantId) -> bool,
    ) -> BTreeMap<(OwnerId, String), Loan> {
        let mut loans: BTreeMap<(OwnerId, String), Loan> = BTreeMap::new();
        let (lent, now) = self.lent(until);
        for (center, tenant, days) in
            lent.pairs().filter(|(center, tenant, _)| count(center, tenant))
        {
            let Some(state) = self.centers.get(center) else { continue };
            let (lender, borrower) = (state.center.owner.clone(), self.borrower(tenant));
            if lender.as_str() == borrower {
                continue;
            }
            let loan = loans.entry((lender, borrower)).or_default();
            let has = now.get(&(center, tenant)).copied().unwrap_or_default();
            loan.now = loan.now.saturating_add(has);
            for (day, had) in days {
                let of = loan.days.entry(*day).or_default();
                *of = of.saturating_add(*had);
            }
        }
        loans
    }

    /// On whose behalf a tenant borrows: the owner of the center where it is at home, else the
    /// organization it is part of.
    fn borrower(&self, tenant: &TenantId) -> String {
        let home = self.path(tenant).find_map(|of| self.centers.get(of.home.as_ref()?));
        if let Some(home) = home {
            return home.center.owner.to_string();
        }
        let below_root = self.path(tenant).filter(|of| of.parent.is_some()).last();
        below_root.map_or(tenant, |of| &of.tenant).to_string()
    }

    /// A tenant and all it is part of.
    fn path(&self, tenant: &TenantId) -> impl Iterator<Item = &Tenant> {
        let of = |tenant: &TenantId| self.tenants.get(tenant).map(Arc::as_ref);
        std::iter::successors(of(tenant), move |at| of(at.parent.as_ref()?))
            .take(self.tenants.len())
    }

    /// What guests had of centers until a moment, those that run included, and what those have.
    fn lent(&self, until: Moment) -> (Lent, BTreeMap<(&CenterId, &TenantId), Chips>) {
        let (mut lent, mut now) = (self.shares.lent.clone(), BTreeMap::<_, Chips>::new());
        for (here, attempt) in self.all_live() {
            let (Some(job), Some(live)) = (self.job(attempt.job), self.live_attempt(attempt))
            else {
                continue;
            };
            let (tenant, Some(since)) = (&job.spec.tenant, live.state.started()) else { continue };
            if self.is_at_home(tenant, here) || live.placement.inside.is_some() {
                continue;
            }
            lent.add(tenant, &live.placement, (since, until), |center| center == here);
            let parts = live.placement.parts.iter().filter(|part| part.center == *here);
            let has = now.entry((here, tenant)).or_default();
            *has = parts.map(PartPlacement::chips).fold(*has, Chips::saturating_add);
        }
        (lent, now)
    }

    /// An attempt of a tenant ran from one moment to another.
    pub(crate) fn had(
        &mut self,
        tenant: &TenantId,
        placement: &Placement,
        times: (Moment, Moment),
    ) {
        let mut lent = std::mem::take(&mut self.shares.lent);
        lent.add(tenant, placement, times, |center| !self.is_at_home(tenant, center));
        self.shares.lent = lent;
    }
}
