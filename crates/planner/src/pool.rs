//! A pool's nodes over time: who holds which chips when, and when a gang fits.

use calendar::{Profile, Work};
use model::attempt::Slots;
use model::{AttemptId, Bytes, Chips, Cores, Moment, Pool, Span};
use std::collections::BTreeMap;

/// How much longer an attempt that outlives its limit is taken to hold its chips.
const OVERRUN: Span = Span::from_secs(5);

/// What a gang asks of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Nodes.
    pub nodes: u32,
    /// Chips on each; less than one is a share of one chip.
    pub chips: Chips,
    /// Cores on each.
    pub cores: Cores,
    /// Memory on each.
    pub memory: Bytes,
    /// All nodes in one block.
    pub one_block: bool,
}

impl Ask {
    /// Whole chips it takes on a node.
    fn whole(&self) -> usize {
        usize::try_from(self.chips.touched()).unwrap_or(usize::MAX)
    }

    /// How much of each of those chips.
    fn share(&self) -> Chips {
        if self.chips < Chips::ONE { self.chips } else { Chips::ONE }
    }
}

/// A stretch of time in which an attempt holds part of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hold {
    attempt: AttemptId,
    from: Moment,
    until: Moment,
    slots: Slots,
}

impl Hold {
    fn overlaps(&self, from: Moment, until: Moment) -> bool {
        self.from < until && from < self.until
    }
}

/// A pool's commitments. One profile per size counts the nodes on which that many whole chips are
/// free, so that finding a window skips whole stretches; which chips of which nodes is settled when
/// a window is bound.
#[derive(Debug, Clone)]
pub struct PoolBoard {
    chips_per_node: u16,
    nodes_per_block: u32,
    cores: Cores,
    memory: Bytes,
    nodes: Vec<Vec<Hold>>,
    profiles: Vec<(usize, Profile)>,
    ends: BTreeMap<Moment, u32>,
    until: BTreeMap<AttemptId, Moment>,
}

/// Sizes that have a profile of their own: powers of two and the whole node.
fn sizes(chips_per_node: u16) -> Vec<usize> {
    let whole = usize::from(chips_per_node);
    let mut sizes: Vec<usize> =
        std::iter::successors(Some(1), |k| Some(k * 2)).take_while(|k| *k < whole).collect();
    sizes.extend((whole > 0).then_some(whole));
    sizes
}

impl PoolBoard {
    /// A pool nobody holds anything of.
    #[must_use]
    pub fn new(pool: &Pool) -> Self {
        let profile = || Profile::new(u64::from(pool.nodes));
        Self {
            chips_per_node: pool.chips_per_node,
            nodes_per_block: pool.nodes_per_block,
            cores: pool.cores,
            memory: pool.memory,
            nodes: vec![Vec::new(); usize::try_from(pool.nodes).unwrap_or(0)],
            profiles: sizes(pool.chips_per_node).into_iter().map(|k| (k, profile())).collect(),
            ends: BTreeMap::new(),
            until: BTreeMap::new(),
        }
    }

    /// Whole chips in use at `at`, over all nodes.
    #[must_use]
    pub fn chips_in_use(&self, at: Moment) -> u64 {
        let end = at + Span(1);
        let busy = |holds: &Vec<Hold>| {
            let chips = usize::from(self.chips_per_node);
            (chips - free_chips(holds, chips, at, end).count()) as u64
        };
        self.nodes.iter().map(busy).sum()
    }

    /// Notes that `attempt` holds `slots` in `[from, until)`. Reality may overcommit a chip for a
    /// while (one attempt ends late, another was promised the chip); the board bears it.
    pub fn hold(&mut self, attempt: AttemptId, slots: &[Slots], from: Moment, until: Moment) {
        for slot in slots {
            let hold = Hold { attempt, from, until, slots: slot.clone() };
            self.change(slot.node, from, until, |holds| holds.push(hold));
        }
        *self.ends.entry(until).or_default() += 1;
        self.until.insert(attempt, until);
    }

    /// Takes back all that `attempt` holds. Returns its slots, if it held any.
    pub fn release(&mut self, attempt: AttemptId) -> Vec<Slots> {
        let Some(until) = self.until.remove(&attempt) else { return Vec::new() };
        if let Some(count) = self.ends.get_mut(&until) {
            *count -= 1;
            if *count == 0 {
                self.ends.remove(&until);
            }
        }
        let mut slots = Vec::new();
        for node in 0..self.nodes.len() {
            let Some(held) = self.nodes[node].iter().find(|h| h.attempt == attempt).cloned() else {
                continue;
            };
            self.change(held.slots.node, held.from, held.until, |holds| {
                holds.retain(|h| h.attempt != attempt);
            });
            slots.push(held.slots);
        }
        slots
    }

    /// Whether `attempt` holds anything.
    #[must_use]
    pub fn holds(&self, attempt: AttemptId) -> bool {
        self.until.contains_key(&attempt)
    }

    /// Attempts that should have ended by `now` and have not.
    pub fn overdue(&self, now: Moment) -> impl Iterator<Item = AttemptId> {
        let late = self.ends.range(..=now).next().is_some();
        self.until.iter().filter(move |(_, until)| late && **until <= now).map(|(id, _)| *id)
    }

    /// Lets `attempt` hold what it holds for a little longer than `now`.
    pub fn prolong(&mut self, attempt: AttemptId, now: Moment) {
        let slots = self.release(attempt);
        self.hold(attempt, &slots, now, now + OVERRUN);
    }

    /// Changes a node's holds within `[from, until)` and brings the profiles after.
    fn change(
        &mut self,
        node: u32,
        from: Moment,
        until: Moment,
        edit: impl FnOnce(&mut Vec<Hold>),
    ) {
        let Some(holds) = self.nodes.get_mut(node as usize) else { return };
        let chips = usize::from(self.chips_per_node);
        let mut cuts: Vec<Moment> = holds
            .iter()
            .flat_map(|h| [h.from, h.until])
            .filter(|at| from < *at && *at < until)
            .chain([from, until])
            .collect();
        cuts.sort_unstable();
        cuts.dedup();
        let count = |holds: &[Hold], a, b| free_chips(holds, chips, a, b).count();
        let before: Vec<_> = cuts.windows(2).map(|w| count(holds, w[0], w[1])).collect();
        edit(holds);
        for (w, before) in cuts.windows(2).zip(before) {
            let after = count(holds, w[0], w[1]);
            for (k, profile) in &mut self.profiles {
                let fits = match (before >= *k, after >= *k) {
                    (true, false) => profile.take(w[0], w[1], 1),
                    (false, true) => profile.give(w[0], w[1], 1),
                    (true, true) | (false, false) => Ok(()),
                };
                fits.expect("a profile counts each node once");
            }
        }
    }

    /// Forgets what was before `now`.
    pub fn forget_before(&mut self, now: Moment) {
        self.profiles.iter_mut().for_each(|(_, profile)| profile.forget_before(now));
    }

    /// The earliest start, not before `from`, at which `ask` fits for `span`, with the slots it
    /// would take. `None` when it never does, or the work is spent.
    #[must_use]
    pub fn earliest(
        &self,
        from: Moment,
        span: Span,
        ask: &Ask,
        work: &mut Work,
    ) -> Option<(Moment, Vec<Slots>)> {
        let profile = self.profile_for(ask);
        let mut start = from;
        loop {
            if let Some(profile) = profile {
                start = profile.earliest(start, span, u64::from(ask.nodes), work)?;
            }
            work.count(1 + self.nodes.len() as u64 / 16);
            if let Some(slots) = self.bind(start, start + span, ask) {
                return Some((start, slots));
            }
            if work.is_spent() {
                return None;
            }
            start = *self
                .ends
                .range((std::ops::Bound::Excluded(start), std::ops::Bound::Unbounded))
                .next()?
                .0;
        }
    }

    /// The profile that bounds `ask` from below: of the largest size that is not larger.
    fn profile_for(&self, ask: &Ask) -> Option<&Profile> {
        let whole = if ask.chips < Chips::ONE { 0 } else { ask.whole() };
        self.profiles.iter().rev().find(|(k, _)| *k <= whole).map(|(_, profile)| profile)
    }

    /// Whether exactly these slots are free in all of `[from, until)`.
    #[must_use]
    pub fn is_free(&self, slots: &[Slots], from: Moment, until: Moment) -> bool {
        let chips = usize::from(self.chips_per_node);
        slots.iter().all(|slot| {
            let Some(holds) = self.nodes.get(slot.node as usize) else { return false };
            let load = load(holds, chips, from, until);
            slot.chips.iter().all(|chip| {
                load.get(usize::from(*chip)).is_some_and(|l| l + slot.share.0 <= Chips::ONE.0)
            })
        })
    }

    /// Slots for `ask` in all of `[from, until)`: the nodes it leaves least free chips on, in as
    /// few blocks as it can.
    #[must_use]
    pub fn bind(&self, from: Moment, until: Moment, ask: &Ask) -> Option<Vec<Slots>> {
        let mut fits: Vec<(usize, Slots)> = Vec::new();
        for (node, holds) in self.nodes.iter().enumerate() {
            if let Some(slots) = self.bind_node(node, holds, from, until, ask) {
                let free = free_chips(holds, usize::from(self.chips_per_node), from, until);
                let left = free.filter(|chip| !slots.chips.contains(chip)).count();
                fits.push((left, slots));
            }
        }
        let wanted = ask.nodes as usize;
        if fits.len() < wanted {
            return None;
        }
        let block = |slots: &Slots| slots.node.checked_div(self.nodes_per_block).unwrap_or(0);
        let mut room: BTreeMap<u32, usize> = BTreeMap::new();
        for (_, slots) in &fits {
            *room.entry(block(slots)).or_default() += 1;
        }
        // A block that holds the whole gang comes first, the fullest such; else the roomiest.
        let rank = |slots: &Slots| {
            let room = room[&block(slots)];
            if room >= wanted { (0, room) } else { (1, usize::MAX - room) }
        };
        if ask.one_block && !room.values().any(|room| *room >= wanted) {
            return None;
        }
        fits.sort_by_cached_key(|(left, slots)| (rank(slots), block(slots), *left, slots.node));
        let mut slots: Vec<Slots> = fits.into_iter().take(wanted).map(|(_, s)| s).collect();
        slots.sort_unstable_by_key(|s| s.node);
        Some(slots)
    }

    fn bind_node(
        &self,
        node: usize,
        holds: &[Hold],
        from: Moment,
        until: Moment,
        ask: &Ask,
    ) -> Option<Slots> {
        let mut cores = ask.cores;
        let mut memory = ask.memory;
        for hold in holds.iter().filter(|h| h.overlaps(from, until)) {
            cores = cores.saturating_add(hold.slots.cores);
            memory = memory.saturating_add(hold.slots.memory);
        }
        if cores > self.cores || memory > self.memory {
            return None;
        }
        let chips = usize::from(self.chips_per_node);
        let taken: Vec<u16> = if ask.chips == Chips::ZERO {
            Vec::new()
        } else if ask.chips < Chips::ONE {
            vec![shared_chip(holds, chips, from, until, ask.chips)?]
        } else {
            let free: Vec<u16> = free_chips(holds, chips, from, until).take(ask.whole()).collect();
            if free.len() < ask.whole() {
                return None;
            }
            free
        };
        Some(Slots {
            node: u32::try_from(node).ok()?,
            chips: taken,
            share: ask.share(),
            cores: ask.cores,
            memory: ask.memory,
        })
    }
}

/// How much of each chip is held at some time of `[from, until)`, summed over all who hold it.
fn load(holds: &[Hold], chips: usize, from: Moment, until: Moment) -> Vec<u64> {
    let mut load = vec![0_u64; chips];
    for hold in holds.iter().filter(|h| h.overlaps(from, until)) {
        for chip in &hold.slots.chips {
            if let Some(load) = load.get_mut(usize::from(*chip)) {
                *load += hold.slots.share.0;
            }
        }
    }
    load
}

/// Chips of a node that nobody holds any part of in `[from, until)`.
fn free_chips(
    holds: &[Hold],
    chips: usize,
    from: Moment,
    until: Moment,
) -> impl Iterator<Item = u16> {
    let load = load(holds, chips, from, until);
    (0_u16..).zip(load).filter(|(_, load)| *load == 0).map(|(chip, _)| chip)
}

/// The chip with the least room that still has `share` free in `[from, until)`.
fn shared_chip(
    holds: &[Hold],
    chips: usize,
    from: Moment,
    until: Moment,
    share: Chips,
) -> Option<u16> {
    let load = load(holds, chips, from, until);
    (0_u16..)
        .zip(load)
        .filter(|(_, load)| load + share.0 <= Chips::ONE.0)
        .max_by_key(|(chip, load)| (*load, std::cmp::Reverse(*chip)))
        .map(|(chip, _)| chip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Capability, Currency, JobId, Money, PoolId};

    fn pool(nodes: u32, chips: u16) -> PoolBoard {
        PoolBoard::new(&Pool {
            pool: PoolId::new("p").unwrap(),
            chip: None,
            nodes,
            chips_per_node: chips,
            cores: Cores(8_000),
            memory: Bytes(8 << 30),
            nodes_per_block: 2,
            price_per_hour: Money::zero(Currency::CNY),
            capability: Capability::default(),
        })
    }

    fn ask(nodes: u32, milli: u64) -> Ask {
        Ask { nodes, chips: Chips(milli), cores: Cores(0), memory: Bytes(0), one_block: false }
    }

    fn attempt(job: u64) -> AttemptId {
        AttemptId { job: JobId::new(job), epoch: 1 }
    }

    /// Places asks one after another at their earliest and says where.
    fn check(pool: &mut PoolBoard, asks: &[(u32, u64, u64)], expected: &[&str]) {
        let mut said = Vec::new();
        for (i, (nodes, milli, span)) in asks.iter().enumerate() {
            let work = &mut Work::unbounded();
            let Some((start, slots)) =
                pool.earliest(Moment(0), Span(*span), &ask(*nodes, *milli), work)
            else {
                said.push("never".to_owned());
                continue;
            };
            pool.hold(attempt(i as u64), &slots, start, start + Span(*span));
            let on: Vec<_> = slots.iter().map(|s| format!("{}:{:?}", s.node, s.chips)).collect();
            said.push(format!("{} on {}", start.0, on.join(" ")));
        }
        assert_eq!(said, expected);
    }

    #[test]
    fn a_gang_waits_until_enough_nodes_are_whole_and_small_jobs_fill_the_gaps() {
        check(
            &mut pool(2, 4),
            &[(1, 1_000, 100), (2, 4_000, 50), (1, 3_000, 100), (1, 4_000, 90), (3, 1_000, 1)],
            &[
                "0 on 0:[0]",
                "100 on 0:[0, 1, 2, 3] 1:[0, 1, 2, 3]",
                "0 on 0:[1, 2, 3]",
                "0 on 1:[0, 1, 2, 3]",
                "never",
            ],
        );
    }

    #[test]
    fn shares_of_a_chip_fill_it_up_before_the_next_is_touched() {
        check(
            &mut pool(1, 2),
            &[(1, 500, 10), (1, 300, 10), (1, 500, 10), (1, 200, 10), (1, 1_000, 5)],
            &["0 on 0:[0]", "0 on 0:[0]", "0 on 0:[1]", "0 on 0:[0]", "10 on 0:[0]"],
        );
    }

    #[test]
    fn what_is_released_is_free_again_for_every_size() {
        let mut pool = pool(2, 4);
        let fresh = pool.clone();
        let slots = pool.bind(Moment(5), Moment(50), &ask(2, 3_000)).unwrap();
        pool.hold(attempt(1), &slots, Moment(5), Moment(50));
        assert_eq!(pool.chips_in_use(Moment(5)), 6);
        assert_eq!(pool.bind(Moment(0), Moment(6), &ask(1, 2_000)), None);
        assert_eq!(pool.release(attempt(1)), slots);
        for ((_, a), (_, b)) in pool.profiles.iter().zip(&fresh.profiles) {
            assert!(a.segments().eq(b.segments()));
        }
        assert_eq!(pool.chips_in_use(Moment(5)), 0);
    }

    #[test]
    fn a_gang_stays_in_one_block_where_one_has_room() {
        let mut pool = pool(6, 1);
        pool.hold(
            attempt(1),
            &pool.bind(Moment(0), Moment(9), &ask(1, 1_000)).unwrap(),
            Moment(0),
            Moment(9),
        );
        let nodes: Vec<_> = pool
            .bind(Moment(0), Moment(9), &ask(2, 1_000))
            .unwrap()
            .iter()
            .map(|s| s.node)
            .collect();
        assert_eq!(nodes, [2, 3]);
    }
}
