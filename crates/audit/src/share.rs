//! Who runs more beside its weight.

use model::{Attempt, AttemptId, Fact, TenantId};
use std::collections::BTreeSet;
use world::World;

/// Whether a tenant, or what it is part of, ran more beside its weight than another before these facts,
/// where their ways up the tree come apart. False where one is part of the other.
pub(crate) fn runs_more(world: &World, facts: &[&Fact], more: &TenantId, less: &TenantId) -> bool {
    let (more, less) = (path(world, more), path(world, less));
    let mut pairs = more.into_iter().zip(less);
    let Some((more, less)) = pairs.find(|(more, less)| more != less) else { return false };
    let (mut started, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for fact in facts {
        match fact {
            Fact::AttemptStarted(f) => drop(started.insert(f.attempt)),
            Fact::AttemptEnded(f) => drop(ended.insert(f.attempt)),
            _ => {}
        }
    }
    // In favor of who was told to: what came to an end at this moment was there, what began was not.
    let running = |of: &TenantId, counts: &dyn Fn(&Attempt) -> bool| -> u128 {
        let jobs = world.jobs.iter().filter(|job| path(world, &job.spec.tenant).contains(of));
        let attempts = jobs.filter_map(|job| job.phase.attempt());
        attempts.filter(|attempt| counts(attempt)).map(chips).sum()
    };
    let is_there = |attempt: &Attempt, also: &BTreeSet<AttemptId>, not: &BTreeSet<AttemptId>| {
        let live = !attempt.is_over() && attempt.state.started().is_some();
        (live && !not.contains(&attempt.attempt)) || also.contains(&attempt.attempt)
    };
    let none = BTreeSet::new();
    let had = running(&more, &|attempt| is_there(attempt, &ended, &none));
    let has = running(&less, &|attempt| is_there(attempt, &none, &started));
    let weight =
        |of: &TenantId| world.tenants.get(of).map_or(1, |tenant| u128::from(tenant.weight.max(1)));
    had * weight(&less) > has * weight(&more)
}

/// What an attempt holds, in thousandths of a reference chip, times a thousand.
fn chips(attempt: &Attempt) -> u128 {
    let parts = attempt.placement.parts.iter().filter(|_| attempt.placement.inside.is_none());
    parts.map(|part| u128::from(part.chips().0) * u128::from(part.worth)).sum()
}

/// A tenant and all it is part of, from the whole down.
fn path(world: &World, tenant: &TenantId) -> Vec<TenantId> {
    let mut path = Vec::new();
    let mut at = world.tenants.get(tenant);
    while let Some(tenant) = at.filter(|_| path.len() < world.tenants.len()) {
        path.push(tenant.tenant.clone());
        at = tenant.parent.as_ref().and_then(|parent| world.tenants.get(parent));
    }
    path.reverse();
    path
}
