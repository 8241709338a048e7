//! What a job takes back of what its center lends, where all are to be over soon in the mean.
//!
//! Its owner has it back where that has all over sooner: by Smith's rule who needs least comes first, also
//! before guests that run already. What it costs is counted as tolls are, in time by which others are
//! over later: a guest is over later by what it has done since its last checkpoint and by the run of the
//! job that comes in its place, and those behind it pay the price of the chips for what is done twice.

use super::cut::{Cut, Room};
use super::{Found, Preempting, Victim, guests};
use crate::candidate::Candidate;
use crate::options::Choice;
use crate::rank::Rank;
use crate::scene::{Asked, Scene};
use calendar::Work;
use model::job::Job;
use model::{Attempt, Chips, Moment, Span};

/// The place of guests that is worth most for a job of the class, all counted, if it is worth more than
/// the best there is without.
pub(crate) fn find(
    scene: &Scene<'_>,
    asked: Asked<'_>,
    best: Option<&(Rank, Candidate)>,
    work: &mut Work,
) -> Option<Found> {
    let mut cuts: Vec<(Rank, usize, Cut)> = Vec::new();
    let own = |(_, choice): &(usize, &Choice)| {
        !choice.is_lent && scene.view.roster.seat(choice.pool).has_own
    };
    for (number, choice) in asked.options.choices.iter().enumerate().filter(own) {
        if work.is_spent() {
            break;
        }
        let best = best.map(|(rank, _)| *rank);
        if let Some((rank, cut)) = cut(scene, asked, choice, best, work) {
            cuts.push((rank, number, cut));
        }
    }
    cuts.sort_by_key(|(rank, number, _)| (*rank, *number));
    cuts.into_iter().find_map(|(_, number, cut)| {
        let choice = &asked.options.choices[number];
        let place = scene.open_at(asked, choice, cut.start, cut.slots, work).ok()?;
        Some(Found { place, victims: cut.victims })
    })
}

/// The guests whose place in a choice's pool costs least, and what that is worth with all that it costs,
/// if it is more than `best`; where there is none, than to wait for the first of them to end.
fn cut(
    scene: &Scene<'_>,
    asked: Asked<'_>,
    choice: &Choice,
    best: Option<Rank>,
    work: &mut Work,
) -> Option<(Rank, Cut)> {
    let now = scene.situation.now;
    let policy = scene.policy.preempting?;
    work.count(1);
    let rank = |start| scene.rank(asked, choice, (now, start), 0);
    let may_be_better = best.is_none_or(|best| rank(now).later(policy.worth) < best);
    if !may_be_better || !scene.has_inputs(asked.spec, choice) {
        return None;
    }
    let victims = victims(scene, asked, choice, policy);
    work.count(victims.len() as u64);
    if victims.is_empty() || scene.closed(asked, choice).is_err() {
        return None;
    }
    let (cost, cut) = Room::of(scene, asked, choice).cheapest_of(&victims, work)?;
    let cost = Span(u64::try_from(cost.lost).unwrap_or(u64::MAX));
    let worth = rank(cut.start).later(cost);
    let first = || {
        let live = cut.victims.iter().filter_map(|attempt| scene.world.live_attempt(*attempt));
        rank(now + live.map(|live| left(live, now)).min().unwrap_or(Span::ZERO))
    };
    (worth < best.unwrap_or_else(first)).then_some((worth, cut))
}

/// Guests in a choice's pool that need at least as much as a job of the class would there, and what it
/// costs all others, in milliseconds, that they leave.
fn victims<'a>(
    scene: &Scene<'a>,
    asked: Asked<'_>,
    choice: &Choice,
    policy: Preempting,
) -> Vec<Victim<'a>> {
    let now = scene.situation.now;
    let family = scene.view.roster.seat(choice.pool).bands.start;
    let needs = |chips: Chips, run: Span| u128::from(chips.0) * u128::from(run.0);
    let comes = needs(asked.options.ask(choice).gang_chips(), choice.run);
    let of = |(job, live): (&'a Job, &'a Attempt)| {
        let again = live.kept_until(&job.spec, now).map_or(Span::ZERO, |kept| now.since(kept));
        let slots = &live.placement.parts.first()?.nodes;
        let held = Chips(slots.iter().map(|s| s.share.times(s.chips.len() as u64).0).sum());
        let others = scene.view.tolls.of((family, true), held, again);
        let cost = (again + choice.run).0.saturating_add(others);
        let (priority, grace) = (job.spec.priority, job.spec.grace());
        let victim = Victim { attempt: live.attempt, priority, lost: cost.into(), grace, slots };
        (needs(held, left(live, now) + again) >= comes).then_some(victim)
    };
    guests(scene, choice, policy).filter_map(of).collect()
}

/// How much longer an attempt is expected to run: one that has run for longer than it was to, half as
/// long again, up to its limit.
fn left(live: &Attempt, now: Moment) -> Span {
    let ran = live.state.started().map_or(Span::ZERO, |started| now.since(started));
    let limit = live.placement.until.since(now);
    live.placement.finish.since(now).max(Span(ran.0 / 2).min(limit))
}
