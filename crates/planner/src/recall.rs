//! Which guests leave so that an owner has back what it lent.

use crate::preempt::{Victim, gone};
use crate::view::View;
use crate::{Situation, lending::Guest};
use model::{AttemptId, CenterId, Chips, Moment, PoolId, Span};
use std::fmt;
use world::World;

/// What an owner wants back.
#[derive(Debug, Clone, Copy)]
pub struct Recall<'a> {
    /// Of which center.
    pub center: &'a CenterId,
    /// Of which pool of it.
    pub pool: &'a PoolId,
    /// How many of its chips no guest is to have.
    pub chips: Chips,
    /// By when.
    pub by: Moment,
    /// Until when; what is booked for later does not stand against it.
    pub until: Moment,
}

/// That guests cannot have left in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotInTime {
    /// How many of the chips would still be missing then.
    pub missing: Chips,
    /// The job that has most of them, which is not to be stopped, or not so soon.
    pub holder: Option<AttemptId>,
    /// When they can be there at the earliest.
    pub earliest: Moment,
}

impl fmt::Display for NotInTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { missing, holder, earliest } = self;
        write!(f, "{missing} of the chips cannot be back by then: ")?;
        match holder {
            Some(holder) => write!(f, "{holder} has some, which may not be stopped before; ")?,
            None => write!(f, "guests need longer to leave; ")?,
        }
        write!(f, "the earliest is {earliest}")
    }
}

/// A guest's attempt.
struct Stay<'a> {
    victim: Victim<'a>,
    chips: Chips,
    /// When it leaves at the latest, told or not.
    until: Moment,
    /// Whether it can be told, and has left by then.
    told_by: Option<Moment>,
}

/// Who is to be told now, each with when it has left at the latest: who leaves by itself in time is not,
/// and of all others as few and as cheap as will do.
///
/// # Errors
///
/// [`NotInTime`], an answer.
pub fn recall(
    world: &World,
    view: &View,
    situation: &Situation,
    wanted: &Recall<'_>,
) -> Result<Vec<(AttemptId, Moment)>, NotInTime> {
    let Some(number) = view.roster.number(wanted.center, wanted.pool) else {
        return Ok(Vec::new());
    };
    let seat = view.roster.seat(number);
    let mut stays = stays(world, situation, wanted, seat.lending.notice);
    let all = seat.pool().chips();
    let held = stays.iter().map(|stay| stay.chips).fold(Chips::ZERO, Chips::saturating_add);
    let may_have = all - wanted.chips;
    let by_then = |stay: &&Stay<'_>| stay.until <= wanted.by;
    let leaves = stays.iter().filter(by_then).map(|stay| stay.chips);
    let mut missing = (held - may_have) - leaves.fold(Chips::ZERO, Chips::saturating_add);
    stays.sort_by_key(|stay| (stay.victim.priority, stay.victim.lost, stay.victim.attempt));
    let mut told: Vec<(AttemptId, Moment, Chips)> = Vec::new();
    for stay in stays.iter().filter(|stay| stay.until > wanted.by) {
        if missing == Chips::ZERO {
            break;
        }
        if let Some(by) = stay.told_by.filter(|by| *by <= wanted.by) {
            told.push((stay.victim.attempt, by, stay.chips));
            missing = missing - stay.chips;
        }
    }
    if missing > Chips::ZERO {
        return Err(not_in_time(&stays, held, may_have, wanted, missing));
    }
    Ok(spared(told, &stays, held, may_have, wanted))
}

/// The guests of a pool.
fn stays<'a>(
    world: &'a World,
    situation: &Situation,
    wanted: &Recall<'_>,
    notice: Span,
) -> Vec<Stay<'a>> {
    let of = |id: AttemptId| {
        let (job, live) = (world.job(id.job)?, world.live_attempt(id)?);
        let part = live.placement.parts.iter().find(|part| part.pool == *wanted.pool)?;
        let is_later = job.spec.is_reservation() && live.placement.start >= wanted.until;
        let is_counted = live.placement.inside.is_none() && !is_later;
        if !is_counted || Guest::of(world, &job.spec.tenant).is_at_home(wanted.center) {
            return None;
        }
        let victim = Victim::of(job, live, situation.now)?;
        let leaves = gone(situation.now, job.spec.grace());
        let tells =
            job.spec.preemptible && live.state.stopping().is_none() && job.spec.grace() <= notice;
        let (_, until) = crate::board::window(live, job);
        // One that reaches its limit has its grace yet before it is killed.
        let until = match live.preempted {
            Some(_) => until,
            None => gone(until, job.spec.grace()),
        };
        Some(Stay { victim, chips: part.chips(), until, told_by: tells.then_some(leaves) })
    };
    world.live(wanted.center).filter_map(of).collect()
}

/// Those of the told who have to go after all.
fn spared(
    told: Vec<(AttemptId, Moment, Chips)>,
    stays: &[Stay<'_>],
    held: Chips,
    may_have: Chips,
    wanted: &Recall<'_>,
) -> Vec<(AttemptId, Moment)> {
    let leaves = stays.iter().filter(|stay| stay.until <= wanted.by).map(|stay| stay.chips);
    let told_chips = told.iter().map(|(.., chips)| *chips);
    let gone = leaves.chain(told_chips).fold(Chips::ZERO, Chips::saturating_add);
    let mut spare = gone - (held - may_have);
    let mut left = Vec::new();
    for (attempt, by, chips) in told.into_iter().rev() {
        if chips <= spare {
            spare = spare - chips;
        } else {
            left.push((attempt, by));
        }
    }
    left.reverse();
    left
}

fn not_in_time(
    stays: &[Stay<'_>],
    held: Chips,
    may_have: Chips,
    wanted: &Recall<'_>,
    missing: Chips,
) -> NotInTime {
    let mut ends: Vec<(Moment, Chips)> = stays
        .iter()
        .map(|stay| (stay.told_by.map_or(stay.until, |by| by.min(stay.until)), stay.chips))
        .collect();
    ends.sort_unstable();
    let (mut left, mut earliest) = (held, wanted.by);
    for (at, chips) in ends {
        if left <= may_have {
            break;
        }
        left = left - chips;
        earliest = earliest.max(at);
    }
    let stuck = stays.iter().filter(|stay| stay.until > wanted.by && stay.told_by.is_none());
    let holder = stuck.max_by_key(|stay| stay.chips).map(|stay| stay.victim.attempt);
    NotInTime { missing, holder, earliest }
}
