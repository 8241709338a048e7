//! Whose place a job of higher priority takes.
//!
//! The cheapest set of attempts whose stop lets it start: the highest priority among them as low as
//! can be, then the least work lost since their last checkpoints, then the fewest. It is found pool
//! by pool, priority by priority from below, node by node: a gang takes the nodes that are cheapest
//! to free. Exact where attempts hold one node each; of gangs that hold several, each node is
//! charged the whole loss until the set is known, and who need not go is spared at the end.

mod cut;
pub(crate) mod right;
#[cfg(test)]
mod tests;
pub(crate) mod worth;

use crate::Situation;
use crate::candidate::Candidate;
use crate::lending::Guest;
use crate::options::Choice;
use crate::pool::PoolBoard;
use crate::proposal::Offer;
use crate::roster::Seat;
use crate::scene::{Asked, Scene};
use crate::view::View;
use calendar::Work;
use cut::{Cut, Room};
use model::job::Job;
use model::{Attempt, AttemptId, Moment, Slots, Span};
use right::Rights;
use world::World;

/// Between the end of an attempt's grace and the start of the next: for the order's way, the kill
/// and the report.
const HANDING_OVER: Span = Span::from_secs(5);

/// How jobs take the place of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preempting {
    /// A job waits rather than that it takes others' place for a start less than this sooner.
    pub worth: Span,
    /// An attempt is left alone once its job was preempted so often.
    pub most: u32,
    /// Pools, attempts and nodes a background plan looks at for room that could be made.
    pub work: u64,
}

impl Default for Preempting {
    fn default() -> Self {
        Self { worth: Span::from_secs(60), most: 8, work: 1_000_000 }
    }
}

/// What a set of attempts costs that make room; the least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cost {
    /// The highest priority among them.
    pub(crate) priority: i32,
    /// Work since their last checkpoints, in thousandths of a chip times milliseconds.
    pub(crate) lost: u128,
    /// How many.
    pub(crate) attempts: usize,
}

/// An attempt that may be told to make room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Victim<'a> {
    pub(crate) attempt: AttemptId,
    pub(crate) priority: i32,
    /// As in [`Cost`].
    pub(crate) lost: u128,
    pub(crate) grace: Span,
    pub(crate) slots: &'a [Slots],
}

impl<'a> Victim<'a> {
    pub(crate) fn of(job: &'a Job, live: &'a Attempt, now: Moment) -> Option<Self> {
        let slots = &live.placement.parts.first()?.nodes;
        let held = slots.iter().map(|slots| slots.share.times(slots.chips.len() as u64).0);
        let since = live.kept_until(&job.spec, now).map_or(Span::ZERO, |kept| now.since(kept));
        Some(Self {
            attempt: live.attempt,
            priority: job.spec.priority,
            lost: held.map(u128::from).sum::<u128>() * u128::from(since.0),
            grace: job.spec.grace(),
            slots,
        })
    }
}

/// A place that others are to leave.
pub(crate) struct Found {
    pub(crate) place: Candidate,
    pub(crate) victims: Vec<AttemptId>,
}

/// The cheapest place for a job of the class that others can leave, if it starts enough sooner than
/// at `start`, when it would without.
pub(crate) fn find(
    scene: &Scene<'_>,
    asked: Asked<'_>,
    start: Option<Moment>,
    rights: Option<&Rights>,
    work: &mut Work,
) -> Option<Found> {
    let policy = scene.policy.preempting?;
    let rights = rights.filter(|rights| rights.has_any(asked.spec));
    let guest = Guest::of(scene.world, &asked.spec.tenant);
    let any_below =
        scene.policy.aim.minds_priority() && scene.view.victims.any_below(asked.spec.priority);
    let mut cuts: Vec<(Cost, usize, Cut)> = Vec::new();
    for (number, choice) in asked.options.choices.iter().enumerate() {
        if work.is_spent() {
            break;
        }
        let seat = scene.view.roster.seat(choice.pool);
        let own = seat.has_own && guest.is_at_home(&seat.center.center);
        if !any_below && !own && rights.is_none() {
            continue;
        }
        let victims = victims(scene, asked, choice, (policy, own, rights));
        work.count(1 + victims.len() as u64);
        if victims.is_empty() || scene.closed(asked, choice).is_err() {
            continue;
        }
        if let Some((cost, cut)) = Room::of(scene, asked, choice).cheapest(&victims, work) {
            cuts.push((cost, number, cut));
        }
    }
    cuts.sort_by_key(|(cost, number, _)| (*cost, *number));
    cuts.into_iter().find_map(|(_, number, cut)| {
        if start.is_some_and(|start| cut.start + policy.worth > start) {
            return None;
        }
        let choice = &asked.options.choices[number];
        let place = scene.open_at(asked, choice, cut.start, cut.slots, work).ok()?;
        Some(Found { place, victims: cut.victims })
    })
}

/// Attempts in a choice's pool that may make room for a job of the class; guests too where the center
/// is its tenant's own.
fn victims<'a>(
    scene: &Scene<'a>,
    asked: Asked<'_>,
    choice: &Choice,
    (policy, own, rights): (Preempting, bool, Option<&Rights>),
) -> Vec<Victim<'a>> {
    let world: &'a World = scene.world;
    let here = scene.view.victims.in_pool(choice.pool);
    let may_tell = scene.may_tell(asked, choice);
    let seat = scene.view.roster.seat(choice.pool);
    let minds_priority = scene.policy.aim.minds_priority();
    let by_right = |job: &Job, live: &Attempt| {
        rights.is_some_and(|rights| rights.may_take(scene, (asked, choice), (job, live)))
    };
    let of = |(attempt, priority): (AttemptId, i32)| {
        let job = world.job(attempt.job).filter(|job| job.preemptions() < policy.most)?;
        let is_below = minds_priority && priority < asked.spec.priority;
        let live = world.live_attempt(attempt)?;
        let comes_after = may_tell.is(&job.spec.tenant) && (is_below || by_right(job, live));
        let may_be_told = comes_after || own && may_be_recalled(world, seat, job);
        if !may_be_told {
            return None;
        }
        Victim::of(job, live, scene.situation.now)
    };
    here.filter_map(of).collect()
}

/// Guests in a choice's pool that may be told to leave for one who is at home there.
fn guests<'a>(
    scene: &Scene<'a>,
    choice: &Choice,
    policy: Preempting,
) -> impl Iterator<Item = (&'a Job, &'a Attempt)> {
    let world: &'a World = scene.world;
    let seat = scene.view.roster.seat(choice.pool);
    scene.view.victims.in_pool(choice.pool).filter_map(move |(attempt, _)| {
        let job: &Job = world.job(attempt.job).filter(|job| job.preemptions() < policy.most)?;
        let may = may_be_recalled(world, seat, job);
        may.then(|| Some((job, world.live_attempt(attempt)?))).flatten()
    })
}

/// Whether a job is a guest in a pool and leaves within the notice: what is lent is back by then, so
/// whoever takes longer to leave is left alone.
fn may_be_recalled(world: &World, seat: &Seat, job: &Job) -> bool {
    job.spec.grace() <= seat.lending.notice
        && !Guest::of(world, &job.spec.tenant).is_at_home(&seat.center.center)
}

/// When attempts of this grace that are told to stop now have left their nodes.
pub(crate) fn gone(now: Moment, grace: Span) -> Moment {
    now + grace + HANDING_OVER
}

/// The pool without what these attempts hold of it.
fn without<'a>(
    board: &PoolBoard,
    victims: impl IntoIterator<Item = (AttemptId, &'a [Slots])>,
) -> PoolBoard {
    let mut board = board.clone();
    victims.into_iter().for_each(|(attempt, slots)| board.release(attempt, slots));
    board
}

fn slots(world: &World, attempt: AttemptId) -> Option<&[Slots]> {
    let live = world.live_attempt(attempt)?;
    Some(&live.placement.parts.first()?.nodes)
}

impl View {
    /// Has an attempt leave its nodes by `until`.
    pub(crate) fn cut_short(&mut self, world: &World, attempt: AttemptId, until: Moment) {
        let Some(live) = world.live_attempt(attempt) else { return };
        let Some(part) = live.placement.parts.first() else { return };
        let Some(number) = self.roster.number(&part.center, &part.pool) else { return };
        let from = live.state.started().unwrap_or(live.placement.start);
        let pool = self.pool_mut(number);
        pool.release(attempt, &part.nodes);
        if from < until {
            pool.hold(attempt, &part.nodes, from, until);
        }
        self.victims.remove(number, attempt);
        self.unclaim(world, attempt);
    }

    /// Whether the attempt may still be told to make room.
    fn may_go(&self, world: &World, attempt: AttemptId) -> bool {
        let live = world.live_attempt(attempt);
        live.and_then(|live| live.placement.parts.first()).is_some_and(|part| {
            let number = self.roster.number(&part.center, &part.pool);
            number.is_some_and(|number| self.victims.has(number, attempt))
        })
    }

    /// Whether these slots of a pool are free in all of `[from, until)` once `gone` have left.
    pub(crate) fn is_free_without(
        &self,
        world: &World,
        gone: &[AttemptId],
        part: &model::PartPlacement,
        (from, until): (Moment, Moment),
    ) -> bool {
        let Some(pool) = self.pool(&part.center, &part.pool) else { return false };
        if gone.is_empty() {
            return pool.is_free(&part.nodes, from, until);
        }
        let held = gone.iter().filter_map(|attempt| Some((*attempt, slots(world, *attempt)?)));
        without(pool, held).is_free(&part.nodes, from, until)
    }
}

/// An offer drawn up a while ago, brought up to now: who is gone or going anyway need not be told,
/// whoever is told has its whole grace from now on, and nothing was read in the time that has passed.
#[must_use]
pub fn retimed(world: &World, view: &View, situation: &Situation, offer: &Offer) -> Offer {
    let mut offer = offer.clone();
    offer.preempts.retain(|attempt| view.may_go(world, *attempt));
    let grace = |attempt: &AttemptId| world.job(attempt.job).map(|job| job.spec.grace());
    if let Some(grace) = offer.preempts.iter().filter_map(grace).max() {
        let place = &mut offer.placement;
        let later = gone(situation.now, grace).since(place.start);
        place.start = place.start + later;
        place.until = place.until + later;
        place.finish = place.finish + later;
    }
    for stream in &mut offer.placement.streams {
        stream.since = stream.since.max(situation.now);
    }
    offer
}
