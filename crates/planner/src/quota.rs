//! What quotas allow a class.

use crate::lending::Guest;
use crate::options::Choice;
use crate::proposal::Offer;
use crate::roster::Roster;
use crate::scene::{Asked, Scene};
use crate::view::View;
use model::job::Job;
use model::job::JobSpec;
use model::quota::WithinQueue;
use model::{
    AttemptId, CenterId, ChipTime, Chips, FlavorId, JobId, Moment, Placement, PoolId, TenantId,
};
use sharing::{Account, Count, Denied, Quotas, Totals, Usage};
use std::collections::BTreeSet;
use std::sync::Arc;
use world::World;

impl Scene<'_> {
    /// Whether quotas let a job of the class have this choice now.
    pub(crate) fn within_quota(&self, asked: Asked<'_>, choice: &Choice) -> Result<(), Denied> {
        self.admits(&self.view.usage, asked, choice)
    }

    /// Whether quotas let a job of the class have this choice beside what is used.
    pub(crate) fn admits(
        &self,
        usage: &Usage,
        asked: Asked<'_>,
        choice: &Choice,
    ) -> Result<(), Denied> {
        if self.view.no_quotas {
            return Ok(());
        }
        if asked.spec.reservation.is_some() {
            // What it takes its reservation has already.
            return usage.admits_jobs(&asked.spec.tenant, Count::Running, 1);
        }
        let (ask, limit) = (asked.options.ask(choice), asked.options.limit(choice));
        let flavor = self.view.roster.seat(choice.pool).flavor.as_ref();
        let (tenant, chips) = (&asked.spec.tenant, ask.chips.times(ask.nodes.into()));
        if let Some(flavor) = flavor {
            usage.admits(tenant, flavor, chips)?;
        }
        usage.admits_jobs(tenant, Count::Running, u64::from(!asked.spec.is_reservation()))?;
        usage.affords(tenant, chips.over(limit))
    }
}

impl Scene<'_> {
    /// The job of its tenant that a class must not overtake any more: it comes first, waits for want of
    /// quota alone, and has done so for longer than patience lasts.
    pub(crate) fn held_back(
        &self,
        asked: Asked<'_>,
        is_placed: impl Fn(JobId) -> bool,
    ) -> Option<Denied> {
        let is_booked = asked.spec.reservation.is_some() || asked.spec.is_reservation();
        if self.view.no_quotas || is_booked {
            return None;
        }
        let tenant = &asked.spec.tenant;
        let first = self.view.lines.turns_of(tenant).find(|(_, job, _)| !is_placed(*job));
        let (_, job, id) = first.filter(|(_, _, id)| *id != asked.class)?;
        let waited = self.situation.now.since(self.world.job(*job)?.submitted);
        let class = self.view.lines.class(*id).filter(|_| waited > self.policy.quota_patience)?;
        let options = class.options(self.world, &self.view.roster, self.policy);
        let head = Asked { class: *id, spec: &class.spec, options: &options };
        let mut wanted = BTreeSet::new();
        for choice in (0..options.rows.len()).filter_map(|row| options.first_in(row)) {
            self.within_quota(head, choice).err()?;
            wanted.extend(self.view.roster.seat(choice.pool).flavor.as_ref());
        }
        let mut own = (0..asked.options.rows.len()).filter_map(|row| asked.options.first_in(row));
        let is_wanted = |choice: &Choice| {
            let flavor = self.view.roster.seat(choice.pool).flavor.as_ref();
            flavor.is_some_and(|flavor| wanted.contains(flavor))
        };
        let (job, tenant) = (*job, tenant.clone());
        own.all(is_wanted).then_some(Denied::Behind { tenant, job, waited })
    }
}

/// Whose attempts a job may tell to make room where it fits its quota already.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MayTell<'a> {
    /// Everybody's: nobody has a quota of what is there.
    All,
    /// Its own tenant's alone: what others have they have by right, or it would have to be reclaimed.
    Own(&'a TenantId),
    /// Nobody's.
    Nobody,
}

impl MayTell<'_> {
    pub(crate) fn is(&self, tenant: &TenantId) -> bool {
        match self {
            Self::All => true,
            Self::Own(own) => *own == tenant,
            Self::Nobody => false,
        }
    }
}

impl Scene<'_> {
    /// Whose attempts of lower priority a job of the class may tell to make room in a choice's pool.
    pub(crate) fn may_tell<'s>(&self, asked: Asked<'s>, choice: &Choice) -> MayTell<'s> {
        let quotas = self.view.usage.quotas();
        let flavor = self.view.roster.seat(choice.pool).flavor.as_ref();
        if flavor.is_none_or(|flavor| !quotas.has(flavor)) {
            return MayTell::All;
        }
        let tenant = &asked.spec.tenant;
        match quotas.preemption(tenant).unwrap_or_default().within_queue {
            WithinQueue::Never => MayTell::Nobody,
            WithinQueue::LowerPriority | WithinQueue::LowerOrNewerEqual => MayTell::Own(tenant),
        }
    }
}

impl View {
    /// Counts what a job has of its tenant's quotas that is given this place.
    pub(crate) fn claim(&mut self, spec: &JobSpec, placement: &Placement) {
        if !self.no_quotas {
            // Of a tenant nobody declared nothing is counted.
            let _unknown = self.usage.take(&spec.tenant, &world::claim(spec, placement));
        }
    }

    /// Counts that an attempt gives back what it has, for it makes room for another.
    pub(crate) fn unclaim(&mut self, world: &World, attempt: AttemptId) {
        if !self.no_quotas {
            give_back(&mut self.usage, world, attempt);
        }
        let Some(live) = world.live_attempt(attempt).filter(|live| live.preempted.is_none()) else {
            return;
        };
        let Some(job) = world.job(attempt.job) else { return };
        for part in live.placement.parts.iter().filter(|_| live.placement.inside.is_none()) {
            self.count_guest(world, &job.spec.tenant, part, false);
        }
    }

    /// Whether an offer made now is within quotas, once those have left that make room for it.
    pub(crate) fn admits(&self, world: &World, now: Moment, offer: &Offer) -> bool {
        if self.no_quotas {
            return true;
        }
        let Some(job) = world.job(offer.job) else { return false };
        let place = &offer.placement;
        let mut usage = match place.inside {
            Some(_) => self.usage.clone(),
            // What it is given counts from now on, whenever it starts.
            None => self.usage_beside((now.min(place.start), place.until)).into_owned(),
        };
        for attempt in &offer.preempts {
            if !self.still_owes(world, &usage, job, *attempt) {
                return false;
            }
            give_back(&mut usage, world, *attempt);
        }
        let claim = world::claim(&job.spec, &offer.placement);
        usage.admits_claim(&job.spec.tenant, &claim).is_ok()
    }

    /// Whether an attempt that was to make room for a job still has to: the world has moved on since, and
    /// its tenant may borrow nothing any more, or quotas are shared by other rules.
    fn still_owes(&self, world: &World, usage: &Usage, by: &Job, attempt: AttemptId) -> bool {
        let Some(job) = world.job(attempt.job) else { return true };
        let Some(live) = world.live_attempt(attempt) else { return true };
        let (of, to) = (&job.spec.tenant, &by.spec.tenant);
        let guest = Guest::of(world, of);
        let host = Guest::of(world, to);
        let rules = usage.quotas().preemption(to).unwrap_or_default();
        let rank = |job: &Job| (job.spec.priority, job.submitted);
        live.placement.parts.iter().all(|part| {
            let counted = part.flavor.as_ref().filter(|flavor| usage.quotas().has(flavor));
            let Some(flavor) = counted else { return true };
            let is_guest = host.is_at_home(&part.center) && !guest.is_at_home(&part.center);
            let borrows = |account: Account| account.own > account.nominal;
            is_guest
                || match of == to {
                    true => rules.within_queue.lets_go(rank(job), rank(by)),
                    false => {
                        rules.reclaim_within_cohort.lets_go(job.spec.priority, by.spec.priority)
                            && usage.account(of, flavor).is_some_and(borrows)
                    }
                }
        })
    }

    /// What tenants use, under the quotas they have.
    #[must_use]
    pub const fn usage(&self) -> &Usage {
        &self.usage
    }

    /// All there is in the network, of which tenants use shares.
    #[must_use]
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// What of a pool is counted in quotas as what.
    #[must_use]
    pub fn flavor(&self, center: &CenterId, pool: &PoolId) -> Option<&FlavorId> {
        self.roster.seat(self.roster.number(center, pool)?).flavor.as_ref()
    }
}

fn give_back(usage: &mut Usage, world: &World, attempt: AttemptId) {
    let Some(live) = world.live_attempt(attempt).filter(|live| live.preempted.is_none()) else {
        return;
    };
    let Some(job) = world.job(attempt.job) else { return };
    let _not_counted =
        usage.give(&job.spec.tenant, &world::claim(&job.spec, &live.placement), ChipTime::ZERO);
}

/// All there is in the network.
pub(crate) fn totals(world: &World, roster: &Roster) -> Totals {
    let mut totals = Totals::default();
    for (_, seat) in roster.seats() {
        let pool = seat.pool();
        let nodes = u64::from(pool.nodes);
        let worth = u64::from(pool.worth(seat.chip.as_deref()));
        let standard = u128::from(pool.chips().0) * u128::from(worth) / 1_000;
        let standard = u64::try_from(standard).unwrap_or(u64::MAX);
        totals.standard = totals.standard.saturating_add(Chips(standard));
        totals.cores.0 = totals.cores.0.saturating_add(pool.cores.0.saturating_mul(nodes));
        totals.memory.0 = totals.memory.0.saturating_add(pool.memory.0.saturating_mul(nodes));
    }
    for link in world.links.values() {
        totals.bandwidth.0 = totals.bandwidth.0.saturating_add(link.capacity.0);
    }
    totals
}

/// What all tenants use by what the world declares: nothing but what their jobs that are over spent.
pub(crate) fn usage(world: &World) -> Usage {
    let tenants = || world.tenants.values().map(Arc::as_ref);
    // Every declaration was looked at before it became a fact; of logs of older programs a tree that
    // cannot be has no quotas.
    let quotas = Quotas::new(tenants()).unwrap_or_else(|_| Quotas::none());
    let mut usage = Usage::new(Arc::new(quotas));
    for (tenant, spent) in &world.shares.spent {
        let _unknown = usage.spend(tenant, *spent);
    }
    usage
}
