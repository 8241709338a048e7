//! Quotas: who has more than it may, and who was told to give back what was its own.

use crate::lending::{has_at, opening_in};
use crate::promise::{Findings, Promise};
use model::fact::AttemptPreempted;
use model::quota::{Quota, ReclaimWithinCohort, WithinQueue};
use model::{Attempt, Chips, Fact, FlavorId, JobId, Moment, PartPlacement, Tenant, TenantId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use world::World;

/// The tree of tenants read from the top for one flavor, anew for each question.
struct Tree<'a> {
    world: &'a World,
    children: BTreeMap<&'a TenantId, Vec<&'a TenantId>>,
    flavor: &'a FlavorId,
    /// What tenants will have at a moment to come; none for now.
    then: Option<BTreeMap<&'a TenantId, Chips>>,
}

/// What a tenant's part of the tree comes to.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    /// Nominal quotas that those above may count on or the tenant keeps.
    quota: i128,
    /// Of it, what is kept.
    kept: i128,
    /// What is used, beyond what those below keep for themselves.
    used: i128,
}

impl<'a> Tree<'a> {
    fn of(world: &'a World, flavor: &'a FlavorId) -> Self {
        let mut children: BTreeMap<&TenantId, Vec<&TenantId>> = BTreeMap::new();
        for tenant in world.tenants.values() {
            if let Some(parent) = &tenant.parent {
                children.entry(parent).or_default().push(&tenant.tenant);
            }
        }
        Self { world, children, flavor, then: None }
    }

    /// The same with what tenants will have at a moment.
    fn at(mut self, at: Moment) -> Self {
        let mut then: BTreeMap<&TenantId, Chips> = BTreeMap::new();
        for (center, id) in self.world.all_live() {
            let (Some(job), Some(live)) = (self.world.job(id.job), self.world.live_attempt(id))
            else {
                continue;
            };
            if !has_at(self.world, job, live, at) {
                continue;
            }
            let here = |part: &&PartPlacement| {
                part.center == *center && part.flavor.as_ref() == Some(self.flavor)
            };
            let chips = live.placement.parts.iter().filter(here).map(PartPlacement::chips);
            let has = then.entry(&job.spec.tenant).or_default();
            *has = chips.fold(*has, Chips::saturating_add);
        }
        self.then = Some(then);
        self
    }

    fn held(&self, tenant: &TenantId) -> Chips {
        match &self.then {
            Some(then) => then.get(tenant).copied().unwrap_or_default(),
            None => {
                let held = self.world.held(tenant).and_then(|held| held.chips.get(self.flavor));
                held.copied().unwrap_or_default()
            }
        }
    }

    fn quota(&self, tenant: &TenantId) -> Quota {
        let of = |tenant: &Arc<Tenant>| tenant.quotas.get(self.flavor).copied();
        self.world.tenants.get(tenant).and_then(of).unwrap_or_default()
    }

    /// `depth` is how many levels are looked down at the most: a tree has no more than tenants.
    fn sum(&self, tenant: &'a TenantId, depth: usize) -> Sum {
        let quota = self.quota(tenant);
        let used = self.held(tenant).0.into();
        let mut sum = Sum { quota: quota.nominal.0.into(), kept: 0, used };
        for child in self.children.get(tenant).into_iter().flatten().filter(|_| depth > 0) {
            let below = self.sum(child, depth - 1);
            sum.quota += below.quota - below.kept;
            sum.used += (below.used - below.kept).max(0);
        }
        if let Some(lends) = quota.lending_limit {
            sum.kept = (sum.quota - i128::from(lends.0)).max(0);
        }
        sum
    }

    /// Who of a tenant and those it is part of uses more than it may, where what the tenant uses
    /// counts there.
    fn over(&self, tenant: &'a TenantId) -> Option<(&'a TenantId, i128, i128)> {
        let mut at = tenant;
        for _ in 0..=self.world.tenants.len() {
            let sum = self.sum(at, self.world.tenants.len());
            let parent = self.world.tenants.get(at).and_then(|tenant| tenant.parent.as_ref());
            let borrows = self.quota(at).borrowing_limit.map(|limit| i128::from(limit.0));
            let most = match parent {
                None => Some(sum.quota),
                Some(_) => borrows.map(|limit| sum.quota + limit),
            };
            if let Some(most) = most.filter(|most| sum.used > *most) {
                return Some((at, sum.used, most));
            }
            if sum.used <= sum.kept {
                return None;
            }
            at = parent?;
        }
        None
    }
}

/// Judges what was offered among some facts, in the world that has just taken them in.
pub(crate) fn judge<'a>(world: &'a World, facts: &[&'a Fact], found: &mut Findings) {
    // None for what is had at once.
    let mut takers: BTreeSet<(&TenantId, &FlavorId, Option<Moment>)> = BTreeSet::new();
    // With whether there is a job more, and more chip time is committed.
    let mut tenants: BTreeSet<(&TenantId, bool, bool)> = BTreeSet::new();
    for fact in facts {
        let Fact::JobOffered(offered) = fact else { continue };
        let Some(job) = world.job(offered.attempt.job) else { continue };
        let (tenant, place) = (&job.spec.tenant, &offered.placement);
        tenants.insert((tenant, !job.spec.is_reservation(), place.inside.is_none()));
        if place.inside.is_some() {
            continue;
        }
        let opening: Vec<Moment> = opening_in(world, (place.start, place.until)).collect();
        for flavor in place.parts.iter().filter_map(|part| part.flavor.as_ref()) {
            takers.extend(opening.iter().map(|at| (tenant, flavor, Some(*at))));
            takers.extend((!job.spec.is_reservation()).then_some((tenant, flavor, None)));
        }
    }
    let counted = |flavor: &FlavorId| world.tenants.values().any(|t| t.quotas.contains_key(flavor));
    for (tenant, flavor, then) in takers.into_iter().filter(|(_, flavor, _)| counted(flavor)) {
        let tree = Tree::of(world, flavor);
        let tree = then.into_iter().fold(tree, Tree::at);
        if let Some((at, used, most)) = tree.over(tenant) {
            let [used, most] = [used, most].map(|of| Chips(u64::try_from(of).unwrap_or(0)));
            let when = then.map_or_else(String::new, |at| format!(" when it is {at}"));
            let what = format!("{at} uses {used} chips of {flavor} and may {most}{when}");
            found.say(Promise::Quota, what);
        }
    }
    for (tenant, runs, commits) in tenants {
        judge_caps(world, tenant, (runs, commits), found);
    }
}

/// Judges how many jobs of a tenant and those it is part of run, and what they may spend.
fn judge_caps(
    world: &World,
    tenant: &TenantId,
    (runs, commits): (bool, bool),
    found: &mut Findings,
) {
    let mut at = Some(tenant);
    for _ in 0..=world.tenants.len() {
        let Some(tenant) = at.and_then(|at| world.tenants.get(at)) else { return };
        at = tenant.parent.as_ref();
        if tenant.max_running.is_none() && tenant.budget.is_none() {
            continue;
        }
        let below = world.tenants.keys().filter(|of| is_below(world, of, &tenant.tenant));
        let (mut running, mut spent) = (0, 0);
        for of in below {
            running += world.held(of).map_or(0, |held| held.attempts);
            spent += world.held(of).map_or(0, |held| held.committed);
            spent += world.shares.spent.get(of).map_or(0, |time| u128::from(time.0));
        }
        let few = tenant.max_running.is_none_or(|most| running <= most);
        found.judge(Promise::Quota, few || !runs, || {
            format!("{running} jobs of {} run, more than may", tenant.tenant)
        });
        let within = tenant.budget.is_none_or(|most| spent <= u128::from(most.0));
        found.judge(Promise::Quota, within || !commits, || {
            format!("{} may spend more than its budget", tenant.tenant)
        });
    }
}

fn is_below(world: &World, tenant: &TenantId, of: &TenantId) -> bool {
    let parent = |at: &TenantId| world.tenants.get(at).and_then(|tenant| tenant.parent.clone());
    let path = std::iter::successors(Some(tenant.clone()), |at| parent(at));
    path.take(world.tenants.len()).any(|at| at == *of)
}

/// Whether somebody has a quota of what an attempt holds.
pub(crate) fn is_of_one(world: &World, attempt: &Attempt) -> bool {
    let flavors = attempt.placement.parts.iter().filter_map(|part| part.flavor.as_ref());
    let has = |flavor| world.tenants.values().any(|tenant| tenant.quotas.contains_key(flavor));
    flavors.into_iter().any(has)
}

/// Whether an attempt may be told to make room for a job whatever their priorities: it uses what is
/// not its tenant's own, or comes after a job of its own tenant, and the policies say so.
pub(crate) fn may_take_back(world: &World, facts: &[&Fact], leaves: &Attempt, by: JobId) -> bool {
    let (Some(leaver), Some(comer)) = (world.job(leaves.attempt.job), world.job(by)) else {
        return false;
    };
    let policies = policies(world, &comer.spec.tenant);
    let (low, high) = (leaver.spec.priority, comer.spec.priority);
    if leaver.spec.tenant == comer.spec.tenant {
        return match policies.within_queue {
            WithinQueue::Never => false,
            WithinQueue::LowerPriority => low < high,
            WithinQueue::LowerOrNewerEqual => {
                low < high || (low == high && leaver.submitted >= comer.submitted)
            }
        };
    }
    let reclaims = match policies.reclaim_within_cohort {
        ReclaimWithinCohort::Never => false,
        ReclaimWithinCohort::LowerPriority => low < high,
        ReclaimWithinCohort::Any => true,
    };
    let flavors = leaves.placement.parts.iter().filter_map(|part| part.flavor.as_ref());
    (reclaims || policies.borrow_within_cohort.is_some() && low < high)
        && flavors.into_iter().any(|flavor| borrowed(world, facts, &leaver.spec.tenant, flavor))
}

fn policies(world: &World, tenant: &TenantId) -> model::Preemption {
    let mut at = world.tenants.get(tenant);
    for _ in 0..=world.tenants.len() {
        let Some(tenant) = at else { break };
        if let Some(policies) = tenant.preemption {
            return policies;
        }
        at = tenant.parent.as_ref().and_then(|parent| world.tenants.get(parent));
    }
    model::Preemption::default()
}

/// Whether a tenant used more than its own before these facts took from it.
fn borrowed(world: &World, facts: &[&Fact], tenant: &TenantId, flavor: &FlavorId) -> bool {
    let held = world.held(tenant).and_then(|held| held.chips.get(flavor)).copied();
    let mut had = held.unwrap_or_default();
    for fact in facts {
        let Fact::AttemptPreempted(AttemptPreempted { attempt, .. }) = fact else { continue };
        let Some(job) = world.job(attempt.job).filter(|job| job.spec.tenant == *tenant) else {
            continue;
        };
        let parts = job.phase.attempt().into_iter().flat_map(|live| &live.placement.parts);
        let of = parts.filter(|part| part.flavor.as_ref() == Some(flavor));
        had = of.map(PartPlacement::chips).fold(had, Chips::saturating_add);
    }
    let nominal = world.tenants.get(tenant).and_then(|tenant| tenant.quotas.get(flavor));
    had > nominal.map_or(Chips::ZERO, |quota| quota.nominal)
}
