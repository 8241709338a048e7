//! Capacity: no node of a pool is given out twice.
//!
//! Plans are held against plans and what runs against what runs: an attempt that outlives its
//! window overlaps a later one's on paper, and that is no fault until both really run. On paper a
//! reservation holds its nodes like an attempt, and what runs in it is held against what it holds.

mod reservation;

use crate::Judged;
use crate::overdraft::{Claim, overdraft};
use crate::promise::{Findings, Promise};
use model::{Attempt, AttemptId, Bytes, CenterId, Chips, Cores, Moment, Pool, PoolId, Slots, Span};
use std::collections::{BTreeMap, BTreeSet};
use world::World;

/// What an attempt holds of a node.
#[derive(Clone, Copy)]
struct Hold<'a> {
    attempt: &'a Attempt,
    slots: &'a Slots,
    /// Whether it is a reservation's: nothing of that runs.
    is_booked: bool,
}

/// In which way nodes are held.
#[derive(Clone, Copy)]
enum View {
    /// As planned.
    Promised,
    /// By what runs.
    InUse,
}

type Nodes<'a> = BTreeMap<(&'a PoolId, u32), Vec<Hold<'a>>>;

/// Judges the nodes of a center on which a judged attempt holds something.
pub(crate) fn judge(
    world: &World,
    center: &CenterId,
    whom: Judged<'_, AttemptId>,
    found: &mut Findings,
) {
    let Some(state) = world.centers.get(center) else { return };
    let slots_on = |id, node| world.holders(center, id, node).map(|(_, slots)| slots);
    // What runs in a reservation holds what that holds too.
    let is_inside = |id| world.live_attempt(id).is_some_and(|live| live.placement.inside.is_some());
    let is_plain = |pool, node| {
        !world.any_inside() || !world.holders(center, pool, node).any(|(id, _)| is_inside(id))
    };
    for ((id, node), listed) in nodes(world, center, whom) {
        // A pool that does not exist is told by the gang that is in it.
        let Some(pool) = state.center.pool(id) else { continue };
        // Most nodes have room for all that anybody holds of them, at whatever time.
        let holds = match whom {
            Judged::All if is_plain(id, node) && has_room(pool, listed.iter().map(|h| h.slots)) => {
                continue;
            }
            Judged::All => listed,
            Judged::Only(_) if has_room(pool, slots_on(id, node)) && is_plain(id, node) => continue,
            Judged::Only(_) => on_node(world, center, id, node).collect(),
        };
        let name = format!("{center}/{} node {node}", pool.pool);
        let limits = (pool.cores, pool.memory);
        let is_outside = |hold: &&Hold<'_>| hold.attempt.placement.inside.is_none();
        let on_paper: Vec<_> = holds.iter().filter(is_outside).copied().collect();
        judge_node(&name, limits, &on_paper, View::Promised, world.at, whom, found);
        let really: Vec<_> = holds.iter().filter(|hold| !hold.is_booked).copied().collect();
        judge_node(&name, limits, &really, View::InUse, world.at, whom, found);
        if on_paper.len() < holds.len() {
            reservation::judge(world, &name, &holds, whom, found);
        }
    }
}

/// Whether a node surely has room for everybody at once.
fn has_room<'a>(pool: &Pool, held: impl Iterator<Item = &'a Slots>) -> bool {
    let (mut cores, mut memory, mut whole) = (0_u64, 0_u64, 0_u64);
    let mut parts: BTreeMap<u64, u64> = BTreeMap::new();
    for slots in held {
        cores = cores.saturating_add(slots.cores.0);
        memory = memory.saturating_add(slots.memory.0);
        for chip in &slots.chips {
            let Some(bit) = 1_u64.checked_shl(u32::from(*chip)) else { return false };
            if slots.share < Chips::ONE {
                let part = parts.entry(bit).or_default();
                *part = part.saturating_add(slots.share.0);
            } else if slots.share == Chips::ONE && whole & bit == 0 {
                whole |= bit;
            } else {
                return false;
            }
        }
    }
    cores <= pool.cores.0
        && memory <= pool.memory.0
        && parts.into_iter().all(|(bit, part)| whole & bit == 0 && part <= Chips::ONE.0)
}

/// The nodes on which a judged attempt holds something, and where all are judged what each of them
/// holds there. For a few attempts a look at their own nodes is enough.
fn nodes<'a>(world: &'a World, center: &CenterId, whom: Judged<'_, AttemptId>) -> Nodes<'a> {
    let mut nodes: Nodes<'a> = BTreeMap::new();
    let mut judge = |id: AttemptId| {
        let Some(attempt) = world.live_attempt(id) else { return };
        for (pool, slots) in held(attempt, center) {
            let holds = nodes.entry((pool, slots.node)).or_default();
            if matches!(whom, Judged::All) {
                holds.push(Hold::of(world, attempt, slots));
            }
        }
    };
    match whom {
        Judged::All => world.live(center).for_each(&mut judge),
        Judged::Only(these) => these.iter().copied().for_each(&mut judge),
    }
    nodes
}

/// Who holds what of a node, by the world's lists; [`audit::world`](crate::world()) sees to it that
/// they are right.
fn on_node<'a>(
    world: &'a World,
    center: &CenterId,
    pool: &PoolId,
    node: u32,
) -> impl Iterator<Item = Hold<'a>> {
    let holders = world.holders(center, pool, node);
    holders.filter_map(|(id, slots)| Some(Hold::of(world, world.live_attempt(id)?, slots)))
}

/// What an attempt holds in a center.
fn held<'a>(
    attempt: &'a Attempt,
    center: &CenterId,
) -> impl Iterator<Item = (&'a PoolId, &'a Slots)> {
    let parts = attempt.placement.parts.iter().filter(move |part| part.center == *center);
    parts.flat_map(|part| part.nodes.iter().map(move |slots| (&part.pool, slots)))
}

impl<'a> Hold<'a> {
    fn of(world: &World, attempt: &'a Attempt, slots: &'a Slots) -> Self {
        let job = world.job(attempt.attempt.job);
        Self { attempt, slots, is_booked: job.is_some_and(|job| job.spec.is_reservation()) }
    }
}

fn judge_node(
    name: &str,
    (cores, memory): (Cores, Bytes),
    holds: &[Hold<'_>],
    view: View,
    now: Moment,
    whom: Judged<'_, AttemptId>,
    found: &mut Findings,
) {
    let mut thing = |what: &str, has: u64, show: fn(u64) -> String, part: &Share<'_>| {
        let claims: Vec<_> =
            holds.iter().filter_map(|hold| claim(hold, view, now, whom, part)).collect();
        let Some(over) = overdraft(&claims, has) else { return };
        let (total, has, names) = (show(over.total), show(has), over.names());
        let (promise, how) = match view {
            View::Promised => (Promise::Capacity, format!("promised at {} to", over.at)),
            View::InUse => (Promise::InUse, "in use by".to_owned()),
        };
        found.say(promise, format!("{name}: {total} of {has} {what} {how} {names}"));
    };
    let chips: BTreeSet<u16> = holds.iter().flat_map(|h| &h.slots.chips).copied().collect();
    for chip in chips {
        let part = move |s: &Slots| if s.chips.contains(&chip) { s.share.0 } else { 0 };
        thing(&format!("chip {chip}"), Chips::ONE.0, |n| Chips(n).to_string(), &part);
    }
    thing("cores", cores.0, |n| Cores(n).to_string(), &|s| s.cores.0);
    thing("memory", memory.0, |n| Bytes(n).to_string(), &|s| s.memory.0);
}

/// How much of one thing slots hold.
type Share<'a> = dyn Fn(&Slots) -> u64 + 'a;

fn claim(
    hold: &Hold<'_>,
    view: View,
    now: Moment,
    whom: Judged<'_, AttemptId>,
    part: &Share<'_>,
) -> Option<Claim<AttemptId>> {
    let amount = part(hold.slots);
    if amount == 0 {
        return None;
    }
    let who = hold.attempt.attempt;
    let started = hold.attempt.state.started();
    let judged = whom.is(&who);
    // What is booked is judged as it was booked, though its window may have opened at once.
    let started = started.filter(|_| !hold.is_booked);
    match view {
        View::InUse => started.map(|from| Claim { who, from, until: Moment::MAX, amount, judged }),
        View::Promised => {
            let (start, until) = window(hold.attempt);
            Some(match (whom, started) {
                // What has just been offered must not count on chips in use at this very moment,
                // however long their user should have been gone.
                (Judged::Only(_), Some(from)) => {
                    let until = until.max(now + Span(1));
                    Claim { who, from, until, amount, judged: false }
                }
                (Judged::Only(_), None) | (Judged::All, _) => {
                    Claim { who, from: start, until, amount, judged }
                }
            })
        }
    }
}

/// When a plan has an attempt's nodes taken. One that started early will be gone early, and one
/// that started late makes nobody else's plan wrong: what counts is the time both have. One that was
/// told to make room has its nodes until it is to have left them.
pub(crate) fn window(attempt: &Attempt) -> (Moment, Moment) {
    let (start, until) = (attempt.placement.start, attempt.placement.until);
    let (start, until) = match attempt.state.started() {
        None => (start, until),
        Some(started) => (start.max(started), until.min(started + until.since(start))),
    };
    (start, attempt.preempted.map_or(until, |preempted| until.min(preempted.until)))
}
