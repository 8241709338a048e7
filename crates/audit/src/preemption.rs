//! Preemption: who makes room for whom.

use crate::promise::{Findings, Promise};
use crate::{lending, quota, share};
use model::fact::AttemptPreempted;
use model::{Attempt, Fact, Moment};
use std::collections::BTreeSet;
use world::World;

/// What a notice is exceeded by at the most: the way of an order, a kill and its report.
const HANDING_OVER: model::Span = model::Span::from_secs(10);

/// Judges the preemptions among some facts, in the world that has just taken them in.
pub(crate) fn judge(world: &World, facts: &[&Fact], found: &mut Findings) {
    for fact in facts {
        if let Fact::AttemptPreempted(preempted) = fact {
            judge_one(world, facts, preempted, found);
        }
    }
}

fn judge_one(world: &World, facts: &[&Fact], preempted: &AttemptPreempted, found: &mut Findings) {
    let AttemptPreempted { attempt, by, until } = *preempted;
    let Some(by) = by else { return judge_recall(world, preempted, found) };
    let (Some(victim), Some(winner)) = (world.job(attempt.job), world.job(by)) else {
        found.say(Promise::Preemption, format!("{attempt} makes room for {by}: not both exist"));
        return;
    };
    found.judge(Promise::Preemption, victim.spec.preemptible, || {
        format!("{attempt} is not preemptible and makes room for {by}")
    });
    let (low, high) = (victim.spec.priority, winner.spec.priority);
    let leaver = victim.phase.attempt().filter(|live| live.attempt == attempt);
    let has_flavor =
        |live: &&Attempt| live.placement.parts.iter().any(|part| part.flavor.is_some());
    let taken_back = leaver
        .filter(has_flavor)
        .is_some_and(|leaver| quota::may_take_back(world, facts, leaver, by));
    let (leaver_of, comer_of) = (&victim.spec.tenant, &winner.spec.tenant);
    let is_guest =
        leaver.is_some_and(|leaver| lending::is_guest_of(world, leaver, leaver_of, comer_of));
    // What anybody has a quota of is shared by that alone.
    let by_quota = leaver.is_some_and(|leaver| quota::is_of_one(world, leaver));
    let by_share = || !by_quota && share::runs_more(world, facts, leaver_of, comer_of);
    let may = low < high || taken_back || is_guest || by_share();
    found.judge(Promise::Preemption, may, || {
        format!("{attempt} of priority {low} makes room for {by} of priority {high}")
    });
    let grace = victim.spec.checkpoint.as_ref().map_or(model::JobSpec::GRACE, |c| c.grace);
    let had = until.since(world.at);
    found.judge(Promise::Preemption, had >= grace, || {
        format!("{attempt} is given {had} to leave and asked for {grace}")
    });
    // It may have come to an end by itself at the very same moment.
    let live = |attempt: Option<&Attempt>| attempt.filter(|a| !a.is_over()).cloned();
    let (Some(leaves), Some(comes)) = (live(victim.phase.attempt()), live(winner.phase.attempt()))
    else {
        return;
    };
    if comes.state.stopping().is_none() && leaves.attempt == attempt {
        judge_places(&leaves, &comes, until, found);
    }
}

/// An owner takes back what it lent: only from guests that may be stopped, with their grace, and within
/// the notice.
fn judge_recall(world: &World, preempted: &AttemptPreempted, found: &mut Findings) {
    let AttemptPreempted { attempt, until, .. } = *preempted;
    let Some(job) = world.job(attempt.job) else { return };
    let grace = job.spec.checkpoint.as_ref().map_or(model::JobSpec::GRACE, |c| c.grace);
    let had = until.since(world.at);
    found.judge(Promise::Preemption, job.spec.preemptible && had >= grace, || {
        format!("{attempt} is told to leave for its owner within {had}, and may not be so")
    });
    let Some(live) = job.phase.attempt().filter(|live| live.attempt == attempt) else { return };
    for part in &live.placement.parts {
        let own = lending::is_at_home(world, &job.spec.tenant, &part.center);
        found.judge(Promise::Lending, !own, || {
            format!("{attempt} is at home in {} and told to leave for its owner", part.center)
        });
        let Some(state) = world.centers.get(&part.center) else { continue };
        let Some(pool) = state.center.pool(&part.pool) else { continue };
        let notice = state.center.lending(pool).notice;
        found.judge(Promise::Lending, had <= notice.max(grace) + HANDING_OVER, || {
            format!("{attempt} leaves {} in {had}, its notice is {notice}", part.center)
        });
    }
}

/// Whether somebody leaves what the other comes to, and in time.
fn judge_places(leaves: &Attempt, comes: &Attempt, until: Moment, found: &mut Findings) {
    let (leaver, comer) = (leaves.attempt, comes.attempt);
    let nodes = |attempt: &Attempt| -> BTreeSet<_> {
        let parts = attempt.placement.parts.iter();
        let nodes = parts.flat_map(|part| {
            part.nodes.iter().map(|s| (part.center.clone(), part.pool.clone(), s.node))
        });
        nodes.collect()
    };
    // Who gives back what counts against a quota may have had it anywhere.
    let flavors = |attempt: &Attempt| -> BTreeSet<_> {
        attempt.placement.parts.iter().filter_map(|part| part.flavor.clone()).collect()
    };
    let shared =
        !nodes(leaves).is_disjoint(&nodes(comes)) || !flavors(leaves).is_disjoint(&flavors(comes));
    found.judge(Promise::Preemption, shared, || {
        format!("{leaver} makes room for {comer}, which goes elsewhere")
    });
    let start = comes.placement.start;
    found.judge(Promise::Preemption, until <= start, || {
        format!("{leaver} leaves by {until} and {comer} starts at {start}")
    });
}
