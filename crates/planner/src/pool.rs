//! A pool's nodes over time: who holds which chips when, and when a gang fits.

use crate::ask::Ask;
use crate::node::{Held, Hold, Holds, Limits, Node, ones};
use crate::packing::{Fit, Need, Room, Typical};
use crate::runs::Runs;
use arrayvec::ArrayVec;
use calendar::{Profile, Work};
use model::attempt::Slots;
use model::{AttemptId, JobId, Moment, Pool, Span};
use std::collections::BTreeMap;
use std::iter::repeat_n;

/// A pool's commitments. One profile per size counts the nodes on which that many whole chips are
/// free, so that finding a window skips whole stretches; which chips of which nodes is settled when
/// a window is bound. A copy shares every node with the original until one of them changes it.
#[derive(Debug, Clone)]
pub struct PoolBoard {
    limits: Limits,
    nodes_per_block: u32,
    /// A plan is drawn up on a copy of the pool: sixteen is about the root of a large pool's nodes, so
    /// that neither many runs nor many nodes of one are copied.
    nodes: Runs<Node, 16>,
    /// By size. Very many are looked at one after another: they lie here, not somewhere else.
    profiles: ArrayVec<(u32, Profile), SIZES>,
}

/// Who holds what is closed: nobody, for no job has this number.
const CLOSED: AttemptId = AttemptId { job: JobId::new(u64::MAX), epoch: 0 };

/// How many sizes have a profile at the most: there are no more chips on a node than bits in a word.
const SIZES: usize = 7;

/// Sizes that have a profile of their own: powers of two and the whole node.
fn sizes(chips_per_node: u32) -> impl Iterator<Item = u32> {
    let powers = std::iter::successors(Some(1), |k| Some(k * 2));
    let whole = (chips_per_node > 0).then_some(chips_per_node);
    powers.take_while(move |k| *k < chips_per_node).chain(whole)
}

impl PoolBoard {
    /// A pool nobody holds anything of.
    #[must_use]
    pub fn new(pool: &Pool) -> Self {
        let limits = Limits::of(pool);
        let profile = || Profile::new(u64::from(pool.nodes));
        Self {
            nodes_per_block: pool.nodes_per_block,
            nodes: repeat_n(Node::new(&limits), pool.nodes as usize).collect(),
            profiles: sizes(limits.chips).map(|k| (k, profile())).collect(),
            limits,
        }
    }

    /// The pool with everything walled off but these slots in `[from, until)`: what runs in a reservation
    /// is planned on it. The walls are nobody's: no attempt is the zeroth of its job.
    #[must_use]
    pub fn within(
        pool: &Pool,
        reservation: JobId,
        slots: &[Slots],
        (from, until): (Moment, Moment),
    ) -> Self {
        let mut board = Self::new(pool);
        let wall = AttemptId { job: reservation, epoch: 0 };
        let all = |node| board.limits.whole(node);
        let whole: Vec<Slots> = (0..pool.nodes).map(all).collect();
        board.hold(wall, &whole, Moment::ZERO, from);
        board.hold(wall, &whole, until, Moment::MAX);
        for node in &whole {
            let own = slots.iter().find(|slots| slots.node == node.node);
            let beside = own.map_or_else(|| node.clone(), |own| node.without(own));
            board.hold(wall, &[beside], from, until);
        }
        board
    }

    /// Walls off so many nodes from `now` on, and opens what was walled off before: as far as they reach,
    /// nodes that nobody holds anything of, for those that are closed and in use are held anyway.
    pub(crate) fn close(&mut self, nodes: u32, now: Moment) {
        let whole = |node| self.limits.whole(node);
        let all: Vec<Slots> = (0..).zip(self.nodes.iter()).map(|(node, _)| whole(node)).collect();
        self.release(CLOSED, &all);
        let is_held = |node: u32| {
            let holds = self.nodes.get(node as usize).map_or(&[][..], Node::holds);
            holds.iter().any(|hold| hold.overlaps(now, now + Span(1)))
        };
        let (held, mut closed): (Vec<Slots>, Vec<Slots>) =
            all.into_iter().rev().partition(|slots| is_held(slots.node));
        closed.extend(held);
        closed.truncate(nodes as usize);
        self.hold(CLOSED, &closed, now, Moment::MAX);
    }

    /// Whole chips in use at `at`, over all nodes.
    #[must_use]
    pub fn chips_in_use(&self, at: Moment) -> u64 {
        let held = |holds: &[Hold]| Held::over(holds, at, at + Span(1));
        self.nodes().map(|holds| u64::from(held(holds).chips.count_ones())).sum()
    }

    /// About how many whole chips are free at `at`, over all nodes: of each as many as the largest size
    /// that it has room for.
    pub(crate) fn about_free(&self, at: Moment) -> u64 {
        let mut smaller = 0;
        let more = |(size, profile): &(u32, Profile)| {
            let more = size - std::mem::replace(&mut smaller, *size);
            u64::from(more) * profile.free_at(at)
        };
        self.profiles.iter().map(more).sum()
    }

    /// Notes that `attempt` holds `slots` in `[from, until)`. Reality may overcommit a chip for a
    /// while (one attempt ends late, another was promised the chip); the board bears it.
    pub fn hold(&mut self, attempt: AttemptId, slots: &[Slots], from: Moment, until: Moment) {
        for slot in slots {
            let hold = Hold::of(attempt, slot, from, until);
            self.change(slot.node, from, until, |holds| holds.push(hold));
        }
    }

    /// Takes back what `attempt` holds of `slots`' nodes.
    pub fn release(&mut self, attempt: AttemptId, slots: &[Slots]) {
        for slot in slots {
            if let Some(held) = self.held(attempt, slot.node) {
                self.change(slot.node, held.from, held.until, |holds| {
                    holds.retain(|h| h.attempt != attempt);
                });
            }
        }
    }

    /// Has `attempt` hold what it holds of `slots`' nodes in `[from, until)` instead.
    pub fn retime(&mut self, attempt: AttemptId, slots: &[Slots], from: Moment, until: Moment) {
        for slot in slots {
            let held = self.held(attempt, slot.node);
            let Some(Hold { from: old_from, until: old_until, .. }) = held else { continue };
            let is_own = |hold: &&mut Hold| hold.attempt == attempt;
            self.change(slot.node, old_until.min(until), old_until.max(until), |holds| {
                holds.iter_mut().filter(is_own).for_each(|hold| hold.until = until);
            });
            self.change(slot.node, old_from.min(from), old_from.max(from), |holds| {
                holds.iter_mut().filter(is_own).for_each(|hold| hold.from = from);
            });
        }
    }

    /// What `attempt` holds of a node.
    fn held(&self, attempt: AttemptId, node: u32) -> Option<Hold> {
        self.nodes.get(node as usize)?.holds().iter().find(|hold| hold.attempt == attempt).copied()
    }

    /// Changes a node's holds within `[from, until)` and brings the profiles after.
    fn change(&mut self, number: u32, from: Moment, until: Moment, edit: impl FnOnce(&mut Holds)) {
        let Some(node) = self.nodes.get_mut(number as usize) else { return };
        let mut cuts: Vec<Moment> = node
            .holds()
            .iter()
            .flat_map(|h| [h.from, h.until])
            .filter(|at| from < *at && *at < until)
            .chain([from, until])
            .collect();
        cuts.sort_unstable();
        cuts.dedup();
        let chips = self.limits.chips;
        let free = |holds: &[Hold], a, b| chips - Held::over(holds, a, b).chips.count_ones();
        let before: Vec<u32> = cuts.windows(2).map(|w| free(node.holds(), w[0], w[1])).collect();
        node.change(&self.limits, edit);
        for (w, before) in cuts.windows(2).zip(before) {
            let after = free(node.holds(), w[0], w[1]);
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

    /// A moment before which `ask` does not fit for all of `span`. `None` when it never does.
    pub(crate) fn window(
        &self,
        from: Moment,
        span: Span,
        ask: &Ask,
        work: &mut Work,
    ) -> Option<Moment> {
        match self.profile_for(ask) {
            Some(profile) => profile.earliest(from, span, u64::from(ask.nodes), work),
            None => Some(from),
        }
    }

    /// Whether `ask` fits in all of `[from, from + span)`.
    #[must_use]
    pub fn fits(&self, from: Moment, span: Span, ask: &Ask, work: &mut Work) -> bool {
        work.count(1);
        let wanted = u64::from(ask.nodes);
        let profile = self.profile_for(ask);
        let until = from + span;
        if profile.is_some_and(|p| p.free_at(from) < wanted || p.least(from, until) < wanted) {
            return false;
        }
        work.count(1 + self.nodes.len() as u64 / 16);
        self.has_nodes(from, until, ask)
    }

    /// The earliest start, not before `from`, at which `ask` fits for `span`. `None` when it never
    /// does, or the work is spent.
    #[must_use]
    pub fn earliest(&self, from: Moment, span: Span, ask: &Ask, work: &mut Work) -> Option<Moment> {
        let profile = self.profile_for(ask);
        let mut start = from;
        loop {
            if let Some(profile) = profile {
                start = profile.earliest(start, span, u64::from(ask.nodes), work)?;
            }
            work.count(1 + self.nodes.len() as u64 / 16);
            if self.has_nodes(start, start + span, ask) {
                return Some(start);
            }
            if work.is_spent() {
                return None;
            }
            start = self.next_end(start)?;
        }
    }

    /// Whether there are enough nodes for `ask` in all of `[from, until)`, in one block where it
    /// has to be one.
    fn has_nodes(&self, from: Moment, until: Moment, ask: &Ask) -> bool {
        let mut missing = ask.nodes;
        let mut block = None;
        self.open(from, ask).any(|(node, holds)| {
            if ask.one_block && block.replace(self.block(node)) != Some(self.block(node)) {
                missing = ask.nodes;
            }
            let fits = self.limits.fits(holds, from, until, ask);
            missing = missing.saturating_sub(fits.into());
            missing == 0
        })
    }

    /// Nodes that `ask` is not kept from by their having no chip free.
    fn open(&self, from: Moment, ask: &Ask) -> impl Iterator<Item = (u32, &[Hold])> {
        let takes_whole = ask.whole() > 0;
        let nodes = (0_u32..).zip(self.nodes.iter());
        let open = nodes.filter(move |(_, node)| !(takes_whole && node.shut.at(from)));
        open.map(|(number, node)| (number, node.holds()))
    }

    /// The next moment after `at` at which somebody's hold ends.
    fn next_end(&self, at: Moment) -> Option<Moment> {
        let ends = self.nodes().flatten().map(|h| h.until);
        ends.filter(|until| *until > at && *until < Moment::MAX).min()
    }

    /// The profile that bounds `ask` from below: of the largest size that is not larger.
    fn profile_for(&self, ask: &Ask) -> Option<&Profile> {
        let whole = ask.whole();
        let place = match whole >= self.limits.chips {
            true => self.profiles.len().checked_sub(1)?,
            false => whole.checked_ilog2()? as usize,
        };
        self.profiles.get(place).map(|(_, profile)| profile)
    }

    /// Whether exactly these slots are free in all of `[from, until)`.
    #[must_use]
    pub fn is_free(&self, slots: &[Slots], from: Moment, until: Moment) -> bool {
        slots.iter().all(|slot| {
            let node = self.nodes.get(slot.node as usize);
            node.is_some_and(|node| self.limits.is_free(node.holds(), slot, from, until))
        })
    }

    /// Slots for `ask` in all of `[from, until)`: on the nodes that lose least by it of what is
    /// `typical`, in as few blocks as it can.
    #[must_use]
    pub fn bind(
        &self,
        from: Moment,
        until: Moment,
        (ask, typical): (&Ask, &Typical),
    ) -> Option<Vec<Slots>> {
        // Of nodes nobody holds anything of the first is as good as any.
        let mut is_first = true;
        let useful = self.open(from, ask).filter(|(_, holds)| {
            ask.nodes > 1 || !holds.is_empty() || std::mem::take(&mut is_first)
        });
        let rooms = useful
            .filter_map(|(node, holds)| Some((node, self.limits.room(holds, from, until, ask)?)));
        let chosen = match ask.nodes {
            1 => vec![ways(rooms, ask, typical).min()?],
            _ => self.gang(ways(rooms, ask, typical).collect(), ask)?,
        };
        let slot = |(fit, node): (Fit, u32)| {
            let holds = self.nodes[node as usize].holds();
            let chips = self.limits.chips(holds, (from, until), ask, fit.on);
            Slots {
                node,
                chips: ones(chips).collect(),
                share: ask.share(),
                cores: ask.cores,
                memory: ask.memory,
            }
        };
        Some(chosen.into_iter().map(slot).collect())
    }

    /// What is held of each node, in the order of nodes.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &[Hold]> {
        self.nodes.iter().map(Node::holds)
    }

    /// What each node has.
    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The block a node is in.
    pub(crate) fn block(&self, node: u32) -> u32 {
        node.checked_div(self.nodes_per_block).unwrap_or(0)
    }

    /// Picks a gang's nodes out of those that fit.
    fn gang(&self, mut fits: Vec<(Fit, u32)>, ask: &Ask) -> Option<Vec<(Fit, u32)>> {
        let wanted = ask.nodes as usize;
        if fits.len() < wanted {
            return None;
        }
        let block = |node: u32| self.block(node);
        let mut room: BTreeMap<u32, usize> = BTreeMap::new();
        for (_, node) in &fits {
            *room.entry(block(*node)).or_default() += 1;
        }
        if ask.one_block && !room.values().any(|room| *room >= wanted) {
            return None;
        }
        // A block that holds the whole gang comes first, the fullest such; else the roomiest.
        let rank = |node: u32| {
            let room = room[&block(node)];
            if room >= wanted { (0, room) } else { (1, usize::MAX - room) }
        };
        fits.sort_by_cached_key(|(fit, node)| (rank(*node), block(*node), *fit, *node));
        fits.truncate(wanted);
        fits.sort_unstable_by_key(|(_, node)| *node);
        Some(fits)
    }
}

/// The best way for `ask` on each of the nodes with these rooms.
fn ways(
    rooms: impl Iterator<Item = (u32, Room)>,
    ask: &Ask,
    typical: &Typical,
) -> impl Iterator<Item = (Fit, u32)> {
    let need = Need::of(ask);
    // Many nodes have the same room.
    let mut known: Vec<(Room, Option<Fit>)> = Vec::new();
    rooms.filter_map(move |(node, room)| {
        if let Some((_, fit)) = known.iter().find(|(other, _)| *other == room) {
            return fit.map(|fit| (fit, node));
        }
        let fit = typical.fit(&room, &need);
        known.push((room, fit));
        fit.map(|fit| (fit, node))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packing::{Demand, NodeKind, typical};
    use model::{Bytes, Capability, Chips, Cores, Currency, JobId, Money, PoolId};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeSet;

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
            lending: None,
        })
    }

    fn ask(nodes: u32, milli: u64) -> Ask {
        Ask { nodes, chips: Chips(milli), cores: Cores(0), memory: Bytes(0), one_block: false }
    }

    fn attempt(job: u64) -> AttemptId {
        AttemptId { job: JobId::new(job), epoch: 1 }
    }

    /// Slots where nothing is known to be typical.
    fn bind(pool: &PoolBoard, from: u64, until: u64, ask: &Ask) -> Option<Vec<Slots>> {
        pool.bind(Moment(from), Moment(until), (ask, &Typical::default()))
    }

    #[test]
    fn what_is_closed_is_taken_from_what_is_free_and_comes_back() {
        let mut pool = pool(4, 8);
        let held = bind(&pool, 0, 100, &ask(1, 8_000)).unwrap();
        pool.hold(attempt(1), &held, Moment(0), Moment(100));
        let fits = |pool: &PoolBoard, nodes| {
            let work = &mut Work::unbounded();
            pool.earliest(Moment(10), Span(50), &ask(nodes, 8_000), work)
        };
        pool.close(2, Moment(10));
        assert_eq!((fits(&pool, 1), fits(&pool, 2)), (Some(Moment(10)), Some(Moment(100))));
        assert_eq!(fits(&pool, 3), None);
        // Even the node that is in use is not free again when that is over.
        pool.close(4, Moment(10));
        assert_eq!(fits(&pool, 1), None);
        pool.close(0, Moment(10));
        assert_eq!((fits(&pool, 3), fits(&pool, 4)), (Some(Moment(10)), Some(Moment(100))));
    }

    /// Places asks one after another at their earliest and says where.
    fn check(pool: &mut PoolBoard, asks: &[(u32, u64, u64)], expected: &[&str]) {
        let mut said = Vec::new();
        for (i, (nodes, milli, span)) in asks.iter().enumerate() {
            let work = &mut Work::unbounded();
            let (span, ask) = (Span(*span), ask(*nodes, *milli));
            let Some(start) = pool.earliest(Moment(0), span, &ask, work) else {
                said.push("never".to_owned());
                continue;
            };
            let slots = bind(pool, start.0, (start + span).0, &ask).unwrap();
            pool.hold(attempt(i as u64), &slots, start, start + span);
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
        let slots = bind(&pool, 5, 50, &ask(2, 3_000)).unwrap();
        pool.hold(attempt(1), &slots, Moment(5), Moment(50));
        assert_eq!(pool.chips_in_use(Moment(5)), 6);
        assert_eq!(bind(&pool, 0, 6, &ask(1, 2_000)), None);
        pool.release(attempt(1), &slots);
        for ((_, a), (_, b)) in pool.profiles.iter().zip(&fresh.profiles) {
            assert!(a.segments().eq(b.segments()));
        }
        assert_eq!(pool.chips_in_use(Moment(5)), 0);
    }

    #[test]
    fn a_hold_retimed_is_one_released_and_held_anew() {
        for seed in 0..500 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut pool = pool(3, 4);
            let mut held = Vec::new();
            for number in 0..rng.random_range(1..8) {
                let ask = ask(rng.random_range(1..3), rng.random_range(1..5) * 1_000);
                let (from, span) = (rng.random_range(0..40), rng.random_range(1..40));
                if let Some(slots) = bind(&pool, from, from + span, &ask) {
                    let (from, until) = (Moment(from), Moment(from + span));
                    pool.hold(attempt(number), &slots, from, until);
                    held.push((attempt(number), slots));
                }
            }
            let (attempt, slots) = &held[rng.random_range(0..held.len())];
            let from = rng.random_range(0..60);
            let until = Moment(from + rng.random_range(1..60));
            let (mut retimed, mut anew) = (pool.clone(), pool);
            retimed.retime(*attempt, slots, Moment(from), until);
            anew.release(*attempt, slots);
            anew.hold(*attempt, slots, Moment(from), until);
            for ((_, a), (_, b)) in retimed.profiles.iter().zip(&anew.profiles) {
                assert_eq!(a, b, "seed {seed}");
            }
            for at in (0..120).map(Moment) {
                assert_eq!(retimed.chips_in_use(at), anew.chips_in_use(at), "seed {seed}");
            }
        }
    }

    #[test]
    fn a_gang_stays_in_one_block_where_one_has_room() {
        let mut pool = pool(6, 1);
        let alone = bind(&pool, 0, 9, &ask(1, 1_000)).unwrap();
        pool.hold(attempt(1), &alone, Moment(0), Moment(9));
        let gang = bind(&pool, 0, 9, &ask(2, 1_000)).unwrap();
        let nodes: Vec<_> = gang.iter().map(|s| s.node).collect();
        assert_eq!(nodes, [2, 3]);
    }

    #[test]
    fn a_job_goes_where_it_loses_least_of_what_is_typical() {
        let mut pool = pool(2, 4);
        // On node 0 two chips are free and few cores beside them, on node 1 all of both.
        let cores = Ask { cores: Cores(7_000), ..ask(1, 2_000) };
        pool.hold(attempt(1), &bind(&pool, 0, 9, &cores).unwrap(), Moment(0), Moment(9));
        let empty = Room::new(Cores(8_000), Bytes(8 << 30), [Chips::ONE; 4]);
        let needs = |cores| Need { chips: Chips::ONE, cores: Cores(cores), memory: Bytes(0) };
        let on = |cores| {
            let demand = Demand { need: needs(cores), nodes: 1, on: BTreeSet::from([0]) };
            let typical = &typical(&[NodeKind { empty: empty.clone(), nodes: 2 }], &[demand])[0];
            let one = Ask { cores: Cores(100), ..ask(1, 1_000) };
            pool.bind(Moment(0), Moment(9), (&one, typical)).unwrap()[0].node
        };
        // To those that need no cores, or more than node 0 has, the fuller node is worth less; but
        // those that just fit there would find its last chip without cores.
        assert_eq!([on(0), on(600), on(2_000)], [0; 3]);
        assert_eq!(on(950), 1);
    }
}
