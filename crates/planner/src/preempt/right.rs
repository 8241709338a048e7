//! Whose place a job takes because its tenant has less than it is entitled to.

use super::Found;
use crate::entitlement::{Entitled, Entitlements};
use crate::lending::Guest;
use crate::options::Choice;
use crate::proposal::Offer;
use crate::scene::{Asked, Scene};
use crate::view::View;
use model::job::{Job, JobSpec, On, Variant};
use model::{Attempt, AttemptId, Chips, Tenant, TenantId};
use sharing::Draw;
use std::collections::{BTreeMap, BTreeSet};
use world::World;

/// What tenants may take of each other, while turns are given at a round boundary.
#[derive(Debug)]
pub(crate) struct Rights {
    entitlements: Entitlements,
    /// How much more tenants have by what was decided in this round, with all below them, in thousandths of
    /// a reference chip; and, in thousandths of a chip, their own jobs.
    moved: BTreeMap<TenantId, i128>,
    moved_own: BTreeMap<TenantId, i128>,
    /// Whose jobs found nobody's place to take, and on how many chips of which kinds.
    in_vain: BTreeSet<Wish>,
}

impl Rights {
    pub(crate) fn of(entitlements: &Entitlements) -> Self {
        Self {
            entitlements: entitlements.clone(),
            moved: BTreeMap::new(),
            moved_own: BTreeMap::new(),
            in_vain: BTreeSet::new(),
        }
    }

    /// What a tenant has beyond what it is entitled to.
    fn beyond(&self, tenant: &TenantId) -> i128 {
        let Entitled { to, has, .. } = self.entitlements.of(tenant).unwrap_or_default();
        let moved = self.moved_own.get(tenant).copied().unwrap_or_default();
        i128::from(has.0) + moved - i128::from(to.0)
    }

    /// Whether a job's tenant has less than it is entitled to, and had for a while, and none like it looked
    /// in vain.
    pub(crate) fn has_any(&self, spec: &JobSpec) -> bool {
        let behind = self.entitlements.of(&spec.tenant).is_some_and(|of| of.behind_ms > 0);
        behind && self.beyond(&spec.tenant) < 0 && !self.in_vain.contains(&wish(spec))
    }

    /// Takes note that a job found nobody's place to take.
    pub(crate) fn in_vain(&mut self, spec: &JobSpec) {
        self.in_vain.insert(wish(spec));
    }

    /// Whether a job that is given a choice may take the place of another's attempt: its tenant has more
    /// than it is entitled to, runs more beside its weight, and does so after that, too. Who has run for
    /// less than a round is left alone.
    pub(crate) fn may_take(
        &self,
        scene: &Scene<'_>,
        (asked, choice): (Asked<'_>, &Choice),
        (job, live): (&Job, &Attempt),
    ) -> bool {
        let (comes, leaves) = (&asked.spec.tenant, &job.spec.tenant);
        let round = scene.policy.round.unwrap_or_default();
        let is_settled = |started| scene.situation.now.since(started) >= round;
        if self.beyond(leaves) <= 0 || !live.state.started().is_some_and(is_settled) {
            return false;
        }
        let seat = scene.view.roster.seat(choice.pool);
        let worth = seat.pool().worth(seat.chip.as_deref());
        let gains = Draw::normalised(asked.options.ask(choice).gang_chips(), worth.into());
        let (gains, loses) = (gains.standard.0, world::draw(&live.placement).standard.0);
        let Some((comer, leaver)) = branches(scene.world, comes, leaves) else { return false };
        let by_weight = |of: &Tenant, more: i128, other: &Tenant| {
            (self.runs(scene.world, &of.tenant) + more) * i128::from(other.weight.max(1))
        };
        by_weight(leaver, 0, comer) > by_weight(comer, 0, leaver)
            && by_weight(leaver, -i128::from(loses), comer)
                >= by_weight(comer, i128::from(gains), leaver)
    }

    fn runs(&self, world: &World, tenant: &TenantId) -> i128 {
        let moved = self.moved.get(tenant).copied().unwrap_or_default();
        i128::from(world.shares.standings.drawn(tenant).0) + moved
    }

    /// Takes note that a tenant's job has the place of others.
    pub(crate) fn take(&mut self, world: &World, comes: &TenantId, view: &View, found: &Found) {
        let placement = view.placed(&found.place);
        self.moves(world, comes, &world::draw(&placement), 1);
        for victim in &found.victims {
            let job = world.job(victim.job);
            if let Some((job, live)) = job.zip(world.live_attempt(*victim)) {
                self.moves(world, &job.spec.tenant, &world::draw(&live.placement), -1);
            }
        }
    }

    fn moves(&mut self, world: &World, tenant: &TenantId, draw: &Draw, sign: i128) {
        *self.moved_own.entry(tenant.clone()).or_default() += sign * i128::from(draw.chips.0);
        for above in path(world, tenant) {
            let moved = self.moved.entry(above.tenant.clone()).or_default();
            *moved += sign * i128::from(draw.standard.0);
        }
    }
}

/// Whose a job is, and on how many chips of which kinds it can run.
type Wish = (TenantId, Vec<(On, Chips)>);

fn wish(spec: &JobSpec) -> Wish {
    let variants = spec.parts.iter().flat_map(|part| &part.variants);
    let chips = |v: &Variant| (v.on.clone(), v.chips_per_node.times(v.nodes.into()));
    (spec.tenant.clone(), variants.map(chips).collect())
}

/// A tenant and all it is part of, the whole last.
fn path<'a>(world: &'a World, tenant: &TenantId) -> Vec<&'a Tenant> {
    let of = |tenant: &TenantId| world.tenants.get(tenant).map(AsRef::as_ref);
    let above = |tenant: &&'a Tenant| tenant.parent.as_ref().and_then(of);
    std::iter::successors(of(tenant), above).take(world.tenants.len()).collect()
}

/// Where the ways up from two tenants come apart: siblings. None where one is part of the other.
fn branches<'a>(world: &'a World, a: &TenantId, b: &TenantId) -> Option<(&'a Tenant, &'a Tenant)> {
    let (a, b) = (path(world, a), path(world, b));
    let mut pairs = a.into_iter().rev().zip(b.into_iter().rev());
    pairs.find(|(a, b)| a.tenant != b.tenant)
}

/// Whether all who make room for an offer still have to where its tenant only has a right to their place:
/// the world has moved on since.
pub(crate) fn is_rightful(world: &World, view: &View, offer: &Offer) -> bool {
    let Some(winner) = world.job(offer.job) else { return false };
    let still_has_to = |attempt: &AttemptId| {
        let Some((job, live)) = world.job(attempt.job).zip(world.live_attempt(*attempt)) else {
            return true;
        };
        let (comes, leaves) = (&winner.spec.tenant, &job.spec.tenant);
        let (host, guest) = (Guest::of(world, comes), Guest::of(world, leaves));
        let is_guest = |part: &model::PartPlacement| {
            host.is_at_home(&part.center) && !guest.is_at_home(&part.center)
        };
        let has_quota = |part: &model::PartPlacement| {
            part.flavor.as_ref().is_some_and(|flavor| view.usage.quotas().has(flavor))
        };
        let parts = &live.placement.parts;
        job.spec.priority < winner.spec.priority
            || parts.iter().any(|part| is_guest(part) || has_quota(part))
            || branches(world, comes, leaves).is_some_and(|(comer, leaver)| {
                let runs = |of: &Tenant| u128::from(world.shares.standings.drawn(&of.tenant).0);
                let weight = |of: &Tenant| u128::from(of.weight.max(1));
                runs(leaver) * weight(comer) > runs(comer) * weight(leaver)
            })
    };
    offer.preempts.iter().all(still_has_to)
}
