//! A pool's nodes over time: who holds which chips when, and when a gang fits.

use crate::ask::Ask;
use crate::node::{Held, Hold, Limits, Shut};
use calendar::{Profile, Work};
use model::attempt::Slots;
use model::{AttemptId, Moment, Pool, Span};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A pool's commitments. One profile per size counts the nodes on which that many whole chips are
/// free, so that finding a window skips whole stretches; which chips of which nodes is settled when
/// a window is bound. A copy shares every node with the original until one of them changes it.
#[derive(Debug, Clone)]
pub struct PoolBoard {
    limits: Limits,
    nodes_per_block: u32,
    nodes: Vec<Arc<Vec<Hold>>>,
    /// For each node when it has no whole chip free: most nodes that cannot do are passed by thus.
    shut: Vec<Shut>,
    profiles: Vec<(u32, Profile)>,
}

/// Sizes that have a profile of their own: powers of two and the whole node.
fn sizes(chips_per_node: u32) -> Vec<u32> {
    let mut sizes: Vec<u32> = std::iter::successors(Some(1), |k| Some(k * 2))
        .take_while(|k| *k < chips_per_node)
        .collect();
    sizes.extend((chips_per_node > 0).then_some(chips_per_node));
    sizes
}

impl PoolBoard {
    /// A pool nobody holds anything of.
    #[must_use]
    pub fn new(pool: &Pool) -> Self {
        let limits = Limits::of(pool);
        let profile = || Profile::new(u64::from(pool.nodes));
        let empty = Arc::new(Vec::new());
        Self {
            nodes_per_block: pool.nodes_per_block,
            shut: vec![limits.shut(&empty); usize::try_from(pool.nodes).unwrap_or(0)],
            nodes: vec![empty; usize::try_from(pool.nodes).unwrap_or(0)],
            profiles: sizes(limits.chips).into_iter().map(|k| (k, profile())).collect(),
            limits,
        }
    }

    /// Whole chips in use at `at`, over all nodes.
    #[must_use]
    pub fn chips_in_use(&self, at: Moment) -> u64 {
        let held = |holds: &Arc<Vec<Hold>>| Held::over(holds, at, at + Span(1));
        self.nodes.iter().map(|holds| u64::from(held(holds).chips.count_ones())).sum()
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
            let node = self.nodes.get(slot.node as usize);
            let held = node.and_then(|holds| holds.iter().find(|h| h.attempt == attempt)).copied();
            if let Some(held) = held {
                self.change(slot.node, held.from, held.until, |holds| {
                    holds.retain(|h| h.attempt != attempt);
                });
            }
        }
    }

    /// Changes a node's holds within `[from, until)` and brings the profiles after.
    fn change(
        &mut self,
        node: u32,
        from: Moment,
        until: Moment,
        edit: impl FnOnce(&mut Vec<Hold>),
    ) {
        let number = node as usize;
        let Some(node) = self.nodes.get_mut(number) else { return };
        let mut cuts: Vec<Moment> = node
            .iter()
            .flat_map(|h| [h.from, h.until])
            .filter(|at| from < *at && *at < until)
            .chain([from, until])
            .collect();
        cuts.sort_unstable();
        cuts.dedup();
        let chips = self.limits.chips;
        let free = |holds: &[Hold], a, b| chips - Held::over(holds, a, b).chips.count_ones();
        let before: Vec<u32> = cuts.windows(2).map(|w| free(node, w[0], w[1])).collect();
        edit(Arc::make_mut(node));
        self.shut[number] = self.limits.shut(node);
        for (w, before) in cuts.windows(2).zip(before) {
            let after = free(node, w[0], w[1]);
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

    /// The slots `ask` would take in `[from, from + span)`, if it fits then.
    #[must_use]
    pub fn now(&self, from: Moment, span: Span, ask: &Ask, work: &mut Work) -> Option<Vec<Slots>> {
        work.count(1);
        let wanted = u64::from(ask.nodes);
        let profile = self.profile_for(ask);
        if profile.is_some_and(|p| p.free_at(from) < wanted || p.least(from, from + span) < wanted)
        {
            return None;
        }
        work.count(1 + self.nodes.len() as u64 / 16);
        self.bind(from, from + span, ask)
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
            start = self.next_end(start)?;
        }
    }

    /// The next moment after `at` at which somebody's hold ends.
    fn next_end(&self, at: Moment) -> Option<Moment> {
        let holds = self.nodes.iter().flat_map(|holds| holds.iter());
        holds.map(|h| h.until).filter(|until| *until > at).min()
    }

    /// The profile that bounds `ask` from below: of the largest size that is not larger.
    fn profile_for(&self, ask: &Ask) -> Option<&Profile> {
        let whole = ask.whole();
        self.profiles.iter().rev().find(|(k, _)| *k <= whole).map(|(_, profile)| profile)
    }

    /// Whether exactly these slots are free in all of `[from, until)`.
    #[must_use]
    pub fn is_free(&self, slots: &[Slots], from: Moment, until: Moment) -> bool {
        slots.iter().all(|slot| {
            let node = self.nodes.get(slot.node as usize);
            node.is_some_and(|holds| self.limits.is_free(holds, slot, from, until))
        })
    }

    /// Slots for `ask` in all of `[from, until)`: the nodes it leaves least free chips on, in as
    /// few blocks as it can.
    #[must_use]
    pub fn bind(&self, from: Moment, until: Moment, ask: &Ask) -> Option<Vec<Slots>> {
        let takes_whole = ask.whole() > 0;
        let open = (0_u32..).zip(&self.shut).filter(|(_, shut)| !(takes_whole && shut.at(from)));
        let mut fits = open.filter_map(|(node, _)| {
            let (left, chips) = self.limits.fit(&self.nodes[node as usize], from, until, ask)?;
            Some((left, node, chips))
        });
        let chosen = match ask.nodes {
            1 => vec![fullest(&mut fits)?],
            _ => self.gang(fits.collect(), ask)?,
        };
        let slot = |(_, node, chips): (u32, u32, u64)| Slots {
            node,
            chips: (0_u16..64).filter(|chip| chips >> chip & 1 == 1).collect(),
            share: ask.share(),
            cores: ask.cores,
            memory: ask.memory,
        };
        Some(chosen.into_iter().map(slot).collect())
    }

    /// What is held of each node, in the order of nodes.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &[Hold]> {
        self.nodes.iter().map(|holds| holds.as_slice())
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
    fn gang(&self, mut fits: Vec<(u32, u32, u64)>, ask: &Ask) -> Option<Vec<(u32, u32, u64)>> {
        let wanted = ask.nodes as usize;
        if fits.len() < wanted {
            return None;
        }
        let block = |node: u32| self.block(node);
        let mut room: BTreeMap<u32, usize> = BTreeMap::new();
        for (_, node, _) in &fits {
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
        fits.sort_by_cached_key(|(left, node, _)| (rank(*node), block(*node), *left, *node));
        fits.truncate(wanted);
        fits.sort_unstable_by_key(|(_, node, _)| *node);
        Some(fits)
    }
}

/// The first of the nodes that have least chips left free.
fn fullest(fits: &mut impl Iterator<Item = (u32, u32, u64)>) -> Option<(u32, u32, u64)> {
    let mut best: Option<(u32, u32, u64)> = None;
    for fit in fits {
        if best.is_none_or(|best| fit.0 < best.0) {
            best = Some(fit);
        }
        if fit.0 == 0 {
            break;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Bytes, Capability, Chips, Cores, Currency, JobId, Money, PoolId};

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
        pool.release(attempt(1), &slots);
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
