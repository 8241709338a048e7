//! Capacity: no node of a pool is given out twice.
//!
//! Plans are held against plans and what runs against what runs: an attempt that outlives its
//! window overlaps a later one's on paper, and that is no fault until both really run.

use crate::Judged;
use crate::overdraft::{Claim, overdraft};
use crate::promise::{Findings, Promise};
use model::{
    Attempt, AttemptId, Bytes, CenterId, Chips, Cores, Moment, PartPlacement, Pool, PoolId, Slots,
    Span,
};
use std::collections::{BTreeMap, BTreeSet};
use world::World;

/// What an attempt holds of a node.
struct Hold<'a> {
    attempt: &'a Attempt,
    slots: &'a Slots,
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
    for ((pool, node), holds) in nodes(world, center, whom) {
        // A pool that does not exist is told by the gang that is in it.
        let Some(pool) = state.center.pool(pool) else { continue };
        // Most nodes have room for all that anybody holds of them, at whatever time.
        if has_room(pool, &holds) {
            continue;
        }
        let name = format!("{center}/{} node {node}", pool.pool);
        for view in [View::Promised, View::InUse] {
            judge_node(&name, pool, &holds, view, world.at, whom, found);
        }
    }
}

/// Whether a node has room for everybody at once.
fn has_room(pool: &Pool, holds: &[Hold<'_>]) -> bool {
    let (mut cores, mut memory, mut chips) = (0_u64, 0_u64, Vec::new());
    for Hold { slots, .. } in holds {
        cores = cores.saturating_add(slots.cores.0);
        memory = memory.saturating_add(slots.memory.0);
        for chip in &slots.chips {
            let at = usize::from(*chip);
            if chips.len() <= at {
                chips.resize(at + 1, 0_u64);
            }
            chips[at] = chips[at].saturating_add(slots.share.0);
        }
    }
    cores <= pool.cores.0
        && memory <= pool.memory.0
        && chips.into_iter().all(|share| share <= Chips::ONE.0)
}

/// Who holds what of the nodes on which a judged attempt does. For a few attempts a look at their
/// own nodes is enough; [`audit::world`](crate::world()) sees to it that the lists looked up are
/// right.
fn nodes<'a>(world: &'a World, center: &CenterId, whom: Judged<'_, AttemptId>) -> Nodes<'a> {
    let judged: Vec<AttemptId> = match whom {
        Judged::All => world.live(center).collect(),
        Judged::Only(these) => these.iter().copied().collect(),
    };
    let mut nodes: Nodes<'a> = BTreeMap::new();
    for attempt in judged.iter().filter_map(|id| world.live_attempt(*id)) {
        for (pool, slots) in held(attempt, center) {
            nodes.entry((pool, slots.node)).or_default();
        }
    }
    if matches!(whom, Judged::All) {
        for attempt in judged.iter().filter_map(|id| world.live_attempt(*id)) {
            for (pool, slots) in held(attempt, center) {
                nodes.entry((pool, slots.node)).or_default().push(Hold { attempt, slots });
            }
        }
        return nodes;
    }
    for ((pool, node), holds) in &mut nodes {
        let holders = world.holders(center, pool, *node);
        for attempt in holders.filter_map(|id| world.live_attempt(id)) {
            holds
                .extend(on_node(attempt, center, pool, *node).map(|slots| Hold { attempt, slots }));
        }
    }
    nodes
}

/// What an attempt holds of a node that it is listed for.
fn on_node<'a>(
    attempt: &'a Attempt,
    center: &CenterId,
    pool: &PoolId,
    node: u32,
) -> impl Iterator<Item = &'a Slots> {
    let here = |part: &&PartPlacement| part.center == *center && part.pool == *pool;
    attempt.placement.parts.iter().filter(here).flat_map(move |part| {
        // A gang's nodes are sorted; should they not be, all are looked at.
        let at = part.nodes.partition_point(|slots| slots.node < node);
        let sorted = part.nodes.get(at).is_some_and(|slots| slots.node == node);
        let nodes = if sorted { &part.nodes[at..] } else { &part.nodes[..] };
        let beyond = move |slots: &&Slots| sorted && slots.node != node;
        nodes.iter().take_while(move |s| !beyond(s)).filter(move |slots| slots.node == node)
    })
}

/// What an attempt holds in a center.
fn held<'a>(
    attempt: &'a Attempt,
    center: &CenterId,
) -> impl Iterator<Item = (&'a PoolId, &'a Slots)> {
    let parts = attempt.placement.parts.iter().filter(move |part| part.center == *center);
    parts.flat_map(|part| part.nodes.iter().map(move |slots| (&part.pool, slots)))
}

fn judge_node(
    name: &str,
    pool: &Pool,
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
        found.say(
            Promise::Capacity,
            match view {
                View::Promised => {
                    format!("{name}: {total} of {has} {what} promised at {} to {names}", over.at)
                }
                View::InUse => format!("{name}: {total} of {has} {what} in use by {names}"),
            },
        );
    };
    let chips: BTreeSet<u16> = holds.iter().flat_map(|h| &h.slots.chips).copied().collect();
    for chip in chips {
        let part = move |s: &Slots| if s.chips.contains(&chip) { s.share.0 } else { 0 };
        thing(&format!("chip {chip}"), Chips::ONE.0, |n| Chips(n).to_string(), &part);
    }
    thing("cores", pool.cores.0, |n| Cores(n).to_string(), &|s| s.cores.0);
    thing("memory", pool.memory.0, |n| Bytes(n).to_string(), &|s| s.memory.0);
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
fn window(attempt: &Attempt) -> (Moment, Moment) {
    let (start, until) = (attempt.placement.start, attempt.placement.until);
    let (start, until) = match attempt.state.started() {
        None => (start, until),
        Some(started) => (start.max(started), until.min(started + until.since(start))),
    };
    (start, attempt.preempted.map_or(until, |preempted| until.min(preempted.until)))
}
