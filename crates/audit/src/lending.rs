//! What owners lend: no more, to nobody else, and to their own first.

use crate::promise::{Findings, Promise};
use model::fact::CapacityRecalled;
use model::job::Job;
use model::{Attempt, CenterId, Chips, Fact, Moment, PoolId, TenantId};
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
        if let Fact::CapacityRecalled(recalled) = fact {
            judge_recall(world, recalled, found);
        }
        let Fact::JobOffered(offered) = fact else { continue };
        let Some(job) = world.job(offered.attempt.job) else { continue };
        for part in &offered.placement.parts {
            let Some(state) = world.centers.get(&part.center) else { continue };
            let Some(pool) = state.center.pool(&part.pool) else { continue };
            if is_at_home(world, &job.spec.tenant, &part.center) {
                continue;
            }
            let lending = state.center.lending(pool);
            if lending.percent < 100 || world.recall_of(&part.center, &part.pool).is_some() {
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

/// Judges that guests have no more of a pool than its owner lends now.
fn judge_share(world: &World, center: &CenterId, pool: &PoolId, found: &mut Findings) {
    let Some(state) = world.centers.get(center) else { return };
    let Some(declared) = state.center.pool(pool) else { return };
    let used = guests(world, center, pool, |_, attempt| attempt.preempted.is_none());
    let percent = state.center.lending(declared).percent;
    let within = u128::from(used.0) * 100 <= u128::from(declared.chips().0) * u128::from(percent);
    found.judge(Promise::Lending, within, || {
        format!("guests have {used} chips of {center}/{pool}, whose owner lends {percent} %")
    });
    let Some(recalled) = world.recall_of(center, pool) else { return };
    let left = declared.chips() - recalled.chips;
    found.judge(Promise::Lending, used <= left, || {
        format!("guests have {used} chips of {center}/{pool}, whose owner left them {left}")
    });
}

/// Judges that what is taken back of a pool is there in time: guests that stay longer have no more
/// than is left them.
fn judge_recall(world: &World, recalled: &CapacityRecalled, found: &mut Findings) {
    let CapacityRecalled { center, pool, chips, in_time, .. } = recalled;
    let Some(in_time) = *in_time else { return };
    let Some(state) = world.centers.get(center) else { return };
    let Some(declared) = state.center.pool(pool) else { return };
    let stays = |job: &Job, attempt: &Attempt| {
        let place = &attempt.placement;
        let limit = place.parts.first().and_then(|part| job.spec.limit(part.variant));
        let ends = match (attempt.state.started(), limit) {
            (Some(started), Some(limit)) => started + limit,
            (Some(_), None) => Moment::MAX,
            (None, _) => place.until,
        };
        attempt.preempted.map_or(ends, |preempted| ends.min(preempted.until)) > in_time
    };
    let (left, stay) = (declared.chips() - *chips, guests(world, center, pool, stays));
    found.judge(Promise::Lending, stay <= left, || {
        format!(
            "guests have {stay} chips of {center}/{pool} beyond {in_time}: {left} are left them"
        )
    });
}

/// What guests that are of interest have of a pool.
fn guests(
    world: &World,
    center: &CenterId,
    pool: &PoolId,
    counts: impl Fn(&Job, &Attempt) -> bool,
) -> Chips {
    let mut used = Chips::ZERO;
    for attempt in world.live(center) {
        let Some(job) = world.job(attempt.job) else { continue };
        let Some(live) = world.live_attempt(attempt).filter(|live| counts(job, live)) else {
            continue;
        };
        if is_at_home(world, &job.spec.tenant, center) {
            continue;
        }
        let here = live.placement.parts.iter().filter(|part| part.pool == *pool);
        used = here.map(model::PartPlacement::chips).fold(used, Chips::saturating_add);
    }
    used
}
