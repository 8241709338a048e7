//! Gangs: all of a job has a place or none, and the place is one that exists.

use crate::promise::{Findings, Promise};
use model::job::{Job, On, Within};
use model::{Attempt, Chips, Part, PartPlacement, Placement, Pool, Slots, Variant};
use std::collections::BTreeSet;
use std::fmt::Arguments;
use world::World;

/// Judges the form of an attempt's placement.
pub(crate) fn judge(world: &World, job: &Job, attempt: &Attempt, found: &mut Findings) {
    let placement = &attempt.placement;
    let (parts, places) = (&job.spec.parts, &placement.parts);
    let id = attempt.attempt;
    found.judge(Promise::Gangs, parts.len() == places.len() && !parts.is_empty(), || {
        format!("{id} has places for {} of its {} parts", places.len(), parts.len())
    });
    for (part, place) in parts.iter().zip(places) {
        judge_part(world, format_args!("{id} ({})", part.name), part, place, found);
    }
    found.judge(Promise::Gangs, are_within(world, placement, job.spec.together.within), || {
        format!("{id} is spread wider than the {:?} it asked for", job.spec.together.within)
    });
    judge_window(job, attempt, found);
}

fn judge_window(job: &Job, attempt: &Attempt, found: &mut Findings) {
    let (id, placement) = (attempt.attempt, &attempt.placement);
    found.judge(Promise::Capacity, placement.start < placement.until, || {
        format!("{id} is given nodes from {} to {}", placement.start, placement.until)
    });
    let given = placement.until.since(placement.start);
    if let Some(limit) = job.spec.limit(placement.parts.first().map_or(0, |part| part.variant)) {
        found.judge(Promise::Capacity, given >= limit, || {
            format!("{id} may run {limit} and has its nodes for {given}")
        });
    }
}

fn judge_part(
    world: &World,
    who: Arguments<'_>,
    part: &Part,
    place: &PartPlacement,
    found: &mut Findings,
) {
    let where_ = format_args!("{}/{}", place.center, place.pool);
    let center = world.centers.get(&place.center);
    let Some(pool) = center.and_then(|c| c.center.pool(&place.pool)) else {
        found.say(Promise::Capacity, format!("{who} is in {where_}, which does not exist"));
        return;
    };
    let Some(variant) = part.variants.get(usize::from(place.variant)) else {
        let (i, n) = (place.variant, part.variants.len());
        found.say(Promise::Gangs, format!("{who} is placed as variant {i} of {n}"));
        return;
    };
    found.judge(Promise::Gangs, runs_on(world, &variant.on, pool), || {
        let chip = pool.chip.as_ref().map_or("no chip", |c| c.as_str());
        format!("{who} runs on {} and {where_} has {chip}", variant.on)
    });
    let nodes: BTreeSet<u32> = place.nodes.iter().map(|s| s.node).collect();
    let complete = nodes.len() == place.nodes.len() && nodes.len() == variant.nodes as usize;
    found.judge(Promise::Gangs, complete, || {
        format!("{who} asks for {} nodes and has {} in {where_}", variant.nodes, nodes.len())
    });
    for slots in &place.nodes {
        judge_slots(world, format_args!("{who} on {where_}"), variant, pool, slots, found);
    }
}

fn judge_slots(
    world: &World,
    who: Arguments<'_>,
    variant: &Variant,
    pool: &Pool,
    slots: &Slots,
    found: &mut Findings,
) {
    let node = slots.node;
    let exists = node < pool.nodes && slots.chips.iter().all(|chip| *chip < pool.chips_per_node);
    found.judge(Promise::Capacity, exists, || {
        let has = format!("{} nodes of {} chips", pool.nodes, pool.chips_per_node);
        format!("{who}: node {node} with chips {:?} is not among {has}", slots.chips)
    });
    let chips: BTreeSet<u16> = slots.chips.iter().copied().collect();
    let held = slots.share.times(slots.chips.len() as u64);
    // Cards of several chips are given out whole, so that a gang may hold a little more.
    let chip = pool.chip.as_ref().and_then(|chip| world.chips.get(chip));
    let card = Chips::whole(u64::from(chip.map_or(1, |c| c.allocation_unit.max(1))));
    let most = card.times(variant.chips_per_node.0.div_ceil(card.0));
    let whole = slots.share == Chips::ONE || chips.len() <= 1;
    let fits = variant.chips_per_node <= held && held <= most && whole;
    found.judge(Promise::Gangs, fits && chips.len() == slots.chips.len(), || {
        let asked = variant.chips_per_node;
        format!("{who}: node {node} gives {} of each of {:?} for {asked}", slots.share, slots.chips)
    });
    let rest = slots.cores >= variant.cores && slots.memory >= variant.memory;
    found.judge(Promise::Gangs, rest, || {
        let (cores, memory) = (variant.cores, variant.memory);
        let given = format!("{} cores and {}", slots.cores, slots.memory);
        format!("{who}: node {node} gives {given} for {cores} cores and {memory}")
    });
}

fn runs_on(world: &World, on: &On, pool: &Pool) -> bool {
    match (on, &pool.chip) {
        (On::Cpu, _) => true,
        (On::Chip(chip), Some(have)) => chip == have,
        (On::Class(class), Some(have)) => world.chips.get(have).is_some_and(|c| c.class == *class),
        (On::Chip(_) | On::Class(_), None) => false,
    }
}

fn are_within(world: &World, placement: &Placement, within: Within) -> bool {
    let Some(first) = placement.parts.first() else { return true };
    let center = |p: &PartPlacement| p.center == first.center;
    let pool = |p: &PartPlacement| center(p) && p.pool == first.pool;
    let per_block = || {
        let center = world.centers.get(&first.center)?;
        Some(center.center.pool(&first.pool)?.nodes_per_block)
    };
    match within {
        Within::Network => true,
        Within::Center => placement.parts.iter().all(center),
        Within::Pool => placement.parts.iter().all(pool),
        Within::Block => {
            // A pool without blocks is one block.
            let per_block = per_block().filter(|n| *n > 0).unwrap_or(u32::MAX);
            let nodes = placement.parts.iter().flat_map(|p| &p.nodes);
            let blocks: BTreeSet<u32> = nodes.map(|s| s.node / per_block).collect();
            placement.parts.iter().all(pool) && blocks.len() <= 1
        }
    }
}
