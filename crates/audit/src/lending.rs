//! What owners lend: no more, to nobody else, and to their own first.

use crate::promise::{Findings, Promise};
use model::{Attempt, CenterId, Chips, Fact, PoolId, TenantId};
use std::collections::BTreeSet;
use world::World;

/// Whether a tenant, or one it is part of, is at home in a center.
pub(crate) fn is_at_home(world: &World, tenant: &TenantId, center: &CenterId) -> bool {
    let mut at = world.tenants.get(tenant);
    for _ in 0..world.tenants.len() {
        let Some(tenant) = at else { return false };
        if tenant.home.as_ref() == Some(center) {
            return true;
        }
        at = tenant.parent.as_ref().and_then(|parent| world.tenants.get(parent));
    }
    false
}

/// Whether an attempt may be told to make room for a job of a tenant because it is a guest where that is
/// at home, and leaves within the notice.
pub(crate) fn is_guest_of(
    world: &World,
    leaves: &Attempt,
    leaver: &TenantId,
    comer: &TenantId,
) -> bool {
    leaves.placement.parts.iter().any(|part| {
        is_at_home(world, comer, &part.center) && !is_at_home(world, leaver, &part.center)
    })
}

/// Judges what was offered among some facts, in the world that has just taken them in.
pub(crate) fn judge(world: &World, facts: &[&Fact], found: &mut Findings) {
    let mut pools: BTreeSet<(&CenterId, &PoolId)> = BTreeSet::new();
    for fact in facts {
        let Fact::JobOffered(offered) = fact else { continue };
        let Some(job) = world.job(offered.attempt.job) else { continue };
        for part in &offered.placement.parts {
            let Some(state) = world.centers.get(&part.center) else { continue };
            let Some(pool) = state.center.pool(&part.pool) else { continue };
            if is_at_home(world, &job.spec.tenant, &part.center) {
                continue;
            }
            let lending = state.center.lending(pool);
            if lending.percent < 100 {
                pools.insert((&part.center, &part.pool));
            }
            let place = &offered.placement;
            let zone = state.center.site().map_or("UTC", |site| &site.time_zone);
            let span = place.until.since(place.start);
            let within = lending.next(zone, place.start, span) == Some(place.start);
            found.judge(Promise::Lending, within, || {
                format!("{} is in {} when its owner does not lend it", offered.attempt, part.center)
            });
        }
    }
    pools.into_iter().for_each(|(center, pool)| judge_share(world, center, pool, found));
}

fn judge_share(world: &World, center: &CenterId, pool: &PoolId, found: &mut Findings) {
    let Some(state) = world.centers.get(center) else { return };
    let Some(declared) = state.center.pool(pool) else { return };
    let mut used = Chips::ZERO;
    for attempt in world.live(center) {
        let Some(job) = world.job(attempt.job) else { continue };
        let Some(live) = world.live_attempt(attempt).filter(|live| live.preempted.is_none()) else {
            continue;
        };
        if is_at_home(world, &job.spec.tenant, center) {
            continue;
        }
        let here = live.placement.parts.iter().filter(|part| part.pool == *pool);
        used = here.map(model::PartPlacement::chips).fold(used, Chips::saturating_add);
    }
    let percent = state.center.lending(declared).percent;
    let within = u128::from(used.0) * 100 <= u128::from(declared.chips().0) * u128::from(percent);
    found.judge(Promise::Lending, within, || {
        format!("guests have {used} chips of {center}/{pool}, whose owner lends {percent} %")
    });
}
