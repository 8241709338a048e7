//! What owners lend: no more, to nobody else, and to their own first.

use crate::promise::{Findings, Promise};
use model::fact::CapacityRecalled;
use model::job::Job;
use model::{
    Attempt, Center, CenterId, Chips, Fact, Guests, Moment, PoolId, Region, Relation, TenantId,
};
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

/// Whether an owner lends to a tenant.
fn is_meant(world: &World, tenant: &TenantId, center: &Center, to: &Guests) -> bool {
    let mut path = Vec::new();
    let mut at = world.tenants.get(tenant);
    while let Some(tenant) = at.filter(|_| path.len() < world.tenants.len()) {
        path.push(tenant);
        at = tenant.parent.as_ref().and_then(|parent| world.tenants.get(parent));
    }
    let homes: Vec<&Center> =
        path.iter().filter_map(|of| Some(&*world.centers.get(of.home.as_ref()?)?.center)).collect();
    let relation = if homes.iter().any(|home| home.owner == center.owner) {
        Relation::Internal
    } else if path.iter().any(|of| center.partners.contains(&of.tenant)) {
        Relation::Partner
    } else {
        Relation::Outside
    };
    let lives_in = |region: &Region| {
        homes.iter().filter_map(|home| home.site()).any(|site| region.contains(&site.region))
    };
    to.are_all()
        || to.relations.contains(&relation)
        || to.regions.iter().any(lives_in)
        || path.iter().any(|of| {
            let industry = of.industry.as_ref();
            to.organizations.contains(&of.tenant)
                || industry.is_some_and(|industry| to.industries.contains(industry))
        })
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
    let mut pools: BTreeSet<(&CenterId, &PoolId, Moment)> = BTreeSet::new();
    for fact in facts {
        if let Fact::CapacityRecalled(recalled) = fact {
            judge_recall(world, recalled, found);
        }
        let Fact::JobOffered(offered) = fact else { continue };
        let Some(job) = world.job(offered.attempt.job) else { continue };
        if offered.placement.inside.is_some() {
            continue;
        }
        for part in &offered.placement.parts {
            let Some(state) = world.centers.get(&part.center) else { continue };
            let Some(pool) = state.center.pool(&part.pool) else { continue };
            if is_at_home(world, &job.spec.tenant, &part.center) {
                continue;
            }
            let lending = state.center.lending(pool);
            let place = &offered.placement;
            if lending.percent < 100 || world.recall_of(&part.center, &part.pool).is_some() {
                let opening = opening_in(world, (place.start, place.until));
                let moments = opening.chain((!job.spec.is_reservation()).then_some(world.at));
                pools.extend(moments.map(|at| (&part.center, &part.pool, at)));
            }
            let zone = state.center.site().map_or("UTC", |site| &site.time_zone);
            let span = place.until.since(place.start);
            let meant = is_meant(world, &job.spec.tenant, &state.center, &lending.to);
            found.judge(Promise::Lending, meant, || {
                format!(
                    "{} is in {}, whose owner does not lend to it",
                    offered.attempt, part.center
                )
            });
            let within = lending.next(zone, place.start, span) == Some(place.start);
            found.judge(Promise::Lending, within, || {
                format!("{} is in {} when its owner does not lend it", offered.attempt, part.center)
            });
        }
    }
    for (center, pool, at) in pools {
        judge_share(world, (center, pool), at, found);
    }
}

/// When windows open that are booked, within a time.
pub(crate) fn opening_in(
    world: &World,
    (from, until): (Moment, Moment),
) -> impl Iterator<Item = Moment> {
    let starts = world.to_open().filter_map(move |reservation| {
        Some(world.job(reservation)?.phase.attempt()?.placement.start)
    });
    starts.filter(move |start| from <= *start && *start < until)
}

/// Whether an attempt has what it holds at a moment: what runs in a reservation has nothing itself,
/// and a reservation has it while its window is open.
pub(crate) fn has_at(world: &World, job: &Job, attempt: &Attempt, at: Moment) -> bool {
    if attempt.preempted.is_some() || attempt.placement.inside.is_some() {
        return false;
    }
    let (start, until) = crate::pool::window(attempt);
    match at <= world.at {
        true => !job.spec.is_reservation() || attempt.state.started().is_some(),
        // A center may be slow to end one, but not for ever.
        false => until > at && (!job.spec.is_reservation() || start <= at),
    }
}

/// Judges that guests have no more of a pool than its owner lends, now or at a moment to come.
fn judge_share(
    world: &World,
    (center, pool): (&CenterId, &PoolId),
    at: Moment,
    found: &mut Findings,
) {
    let Some(state) = world.centers.get(center) else { return };
    let Some(declared) = state.center.pool(pool) else { return };
    let used = guests(world, center, pool, |job, attempt| has_at(world, job, attempt, at));
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
    let CapacityRecalled { center, pool, chips, in_time, until, .. } = recalled;
    let Some(in_time) = *in_time else { return };
    let Some(state) = world.centers.get(center) else { return };
    let Some(declared) = state.center.pool(pool) else { return };
    let stays = |job: &Job, attempt: &Attempt| {
        let is_later = job.spec.is_reservation() && attempt.placement.start >= *until;
        if attempt.placement.inside.is_some() || is_later {
            return false;
        }
        let place = &attempt.placement;
        let limit = place.parts.first().and_then(|part| job.spec.limit(part.variant));
        let ends = match (attempt.state.started(), limit) {
            _ if job.spec.is_reservation() => place.until,
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
