//! One pool and those who wait for it, with backfill.
//!
//! The first who waits is given a reservation at the soonest moment that its nodes are free by the
//! limits of what runs (the *shadow*). Others start before it only if that does not delay it: they
//! end before, by their own limits, or take what it leaves. (Lifka, "The ANL/IBM SP scheduling
//! system", 1995; Mu'alem and Feitelson, IEEE TPDS 12(6), 2001.)

use super::nodes::{Nodes, Shape};
use super::order::{Standing, Turn};
use std::collections::{BTreeMap, BTreeSet};

/// How many of those who wait alike are tried at once, beside the first.
const DEPTH: usize = 1_000;

/// Who may overtake whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Discipline {
    /// Nobody may delay the first who waits.
    Easy,
    /// Nobody may delay who is [promised](PoolQueue::promise) this pool; it is the first who waits in
    /// all pools together.
    EasyForOne,
    /// Whoever fits; who needs much may wait for ever.
    FirstFit,
}

/// A pool, what runs there, and who waits for it.
#[derive(Debug)]
pub(super) struct PoolQueue {
    discipline: Discipline,
    nodes: Nodes,
    /// What guests have, and may have.
    lent: u64,
    most_lent: u64,
    /// By when it ends at the latest, then by its number.
    running: BTreeMap<(u64, u64), Held>,
    /// Who waits, by whose it is and its shape: its turn and the most it may run.
    waiting: BTreeMap<(usize, Shape), BTreeMap<Turn, u64>>,
    shadow: Option<Shadow>,
}

#[derive(Debug)]
struct Held {
    shape: Shape,
    nodes: Vec<u32>,
}

/// When who waits can start, and what it then leaves free on each node.
#[derive(Debug)]
struct Shadow {
    whose: u64,
    at: u64,
    beside: Vec<u64>,
    /// What of that guests may have.
    lent_beside: u64,
}

/// Somebody who waits, or would.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiter {
    pub(super) tenant: usize,
    pub(super) turn: Turn,
    pub(super) shape: Shape,
}

impl PoolQueue {
    /// A pool with nothing running.
    pub(super) fn new(discipline: Discipline, (nodes, each, lent): (u32, u64, u64)) -> Self {
        Self {
            discipline,
            nodes: Nodes::new(nodes, each),
            lent: 0,
            most_lent: lent,
            running: BTreeMap::new(),
            waiting: BTreeMap::new(),
            shadow: None,
        }
    }

    /// Whether somebody who comes now could start at once.
    pub(super) fn could_start(
        &mut self,
        now: u64,
        (shape, limit): (Shape, u64),
        standing: &Standing,
    ) -> bool {
        if !self.fits(shape) {
            return false;
        }
        self.look_ahead(now, standing);
        self.shadow.as_ref().is_none_or(|shadow| {
            now.saturating_add(limit) <= shadow.at || self.fits_beside(shape, shadow)
        })
    }

    /// What is free of it.
    pub(super) const fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    fn fits(&self, shape: Shape) -> bool {
        self.lent + shape.lent() <= self.most_lent.max(self.lent) && self.nodes.fit(shape)
    }

    fn fits_beside(&self, shape: Shape, shadow: &Shadow) -> bool {
        shape.lent() <= shadow.lent_beside && self.nodes.fit_beside(shape, &shadow.beside)
    }

    /// Starts somebody of whom [`Self::could_start`] said so, until `latest` at the latest.
    pub(super) fn start(&mut self, job: u64, shape: Shape, latest: u64) {
        let nodes = match &mut self.shadow {
            Some(shadow) if latest > shadow.at => {
                shadow.lent_beside = shadow.lent_beside.saturating_sub(shape.lent());
                self.nodes.take_beside(shape, &mut shadow.beside)
            }
            _ => self.nodes.take(shape),
        };
        // Data that is on its way makes it later than it asked for.
        let nodes = nodes.or_else(|| self.nodes.take(shape)).expect("it could start");
        self.lent += shape.lent();
        self.running.insert((latest, job), Held { shape, nodes });
    }

    /// Lets somebody wait.
    pub(super) fn wait(&mut self, who: Waiter, limit: u64) {
        self.waiting.entry((who.tenant, who.shape)).or_default().insert(who.turn, limit);
    }

    /// Somebody waits no longer. Whether others had to mind it.
    pub(super) fn leave(&mut self, who: Waiter) -> bool {
        let group = (who.tenant, who.shape);
        if let Some(same) = self.waiting.get_mut(&group) {
            same.remove(&who.turn);
            if same.is_empty() {
                self.waiting.remove(&group);
            }
        }
        let minded = self.shadow.as_ref().is_some_and(|shadow| shadow.whose == who.turn.job);
        if minded {
            self.shadow = None;
        }
        minded
    }

    /// What runs until `latest` at the latest has ended.
    pub(super) fn end(&mut self, job: u64, latest: u64) {
        if let Some(held) = self.running.remove(&(latest, job)) {
            self.lent -= held.shape.lent();
            self.nodes.give(held.shape.each, &held.nodes);
            self.shadow = None;
        }
    }

    /// The next who can start, if anybody can.
    pub(super) fn next(&mut self, now: u64, standing: &Standing) -> Option<u64> {
        let first = self.first(standing)?;
        if self.discipline != Discipline::EasyForOne && self.fits(first.shape) {
            self.shadow = None;
            return Some(first.turn.job);
        }
        self.look_ahead(now, standing);
        let open: BTreeSet<Shape> = self
            .waiting
            .keys()
            .map(|(_, shape)| *shape)
            .filter(|shape| self.fits(*shape))
            .collect();
        let beside: BTreeSet<Shape> = match &self.shadow {
            None => open.clone(),
            Some(shadow) => {
                open.iter().copied().filter(|shape| self.fits_beside(*shape, shadow)).collect()
            }
        };
        let until = self.shadow.as_ref().map_or(u64::MAX, |shadow| shadow.at);
        let whose = self.shadow.as_ref().map(|shadow| shadow.whose);
        let able = self.waiting.iter().filter(|((_, shape), _)| open.contains(shape));
        let firsts = able.filter_map(|((tenant, shape), same)| {
            let may = |turn: &Turn, limit: u64| {
                beside.contains(shape)
                    || now.saturating_add(limit) <= until
                    || whose == Some(turn.job)
            };
            let (turn, _) = same.iter().take(DEPTH).find(|(turn, limit)| may(turn, **limit))?;
            Some((standing.of(*tenant), *turn))
        });
        let (_, turn) = firsts.min()?;
        if whose == Some(turn.job) {
            self.shadow = None;
        }
        Some(turn.job)
    }

    /// Whose turn it is.
    fn first(&self, standing: &Standing) -> Option<Waiter> {
        let firsts = self.waiting.iter().filter_map(|((tenant, shape), same)| {
            let (turn, _) = same.first_key_value()?;
            Some(Waiter { tenant: *tenant, turn: *turn, shape: *shape })
        });
        firsts.min_by_key(|waiter| (standing.of(waiter.tenant), waiter.turn))
    }

    /// Finds the shadow of the first who waits, if it is not known yet.
    fn look_ahead(&mut self, now: u64, standing: &Standing) {
        let first = match self.discipline {
            Discipline::Easy => self.first(standing),
            Discipline::FirstFit => None,
            Discipline::EasyForOne => return,
        };
        let Some(Waiter { turn, shape, .. }) = first else {
            self.shadow = None;
            return;
        };
        let known = self.shadow.as_ref();
        if known.is_none_or(|shadow| shadow.whose != turn.job || shadow.at <= now) {
            self.shadow = Some(self.shadow_of(turn.job, shape, now));
        }
    }

    /// When somebody could start by the limits of what runs.
    pub(super) fn could_at(&self, shape: Shape, now: u64) -> u64 {
        self.shadow_of(u64::MAX, shape, now).at
    }

    /// Keeps the soonest moment it can start for somebody, or for nobody.
    pub(super) fn promise(&mut self, whom: Option<(u64, Shape)>, now: u64) {
        self.shadow = whom.map(|(job, shape)| self.shadow_of(job, shape, now));
    }

    fn shadow_of(&self, whose: u64, shape: Shape, now: u64) -> Shadow {
        let mut beside = self.nodes.free().to_vec();
        let mut able = beside.iter().filter(|free| **free >= shape.each).count();
        let (mut at, mut lent) = (now, self.lent);
        for ((latest, _), held) in &self.running {
            if able >= shape.nodes as usize && lent + shape.lent() <= self.most_lent.max(lent) {
                break;
            }
            at = (*latest).max(now);
            lent -= held.shape.lent();
            for &node in &held.nodes {
                let free = &mut beside[node as usize];
                able += usize::from(*free < shape.each && *free + held.shape.each >= shape.each);
                *free += held.shape.each;
            }
        }
        reserve(&mut beside, shape);
        let lent_beside = self.most_lent.saturating_sub(lent + shape.lent());
        Shadow { whose, at, beside, lent_beside }
    }
}

/// Takes the shape from the nodes that have least to spare.
fn reserve(free: &mut [u64], shape: Shape) {
    let mut able: Vec<usize> = (0..free.len()).filter(|node| free[*node] >= shape.each).collect();
    able.sort_by_key(|node| free[*node]);
    able.into_iter().take(shape.nodes as usize).for_each(|node| free[node] -= shape.each);
}

#[cfg(test)]
mod tests {
    use super::super::order::Order;
    use super::*;

    const TWO: Shape = Shape { nodes: 2, each: 8, guest: false };
    const ONE: Shape = Shape { nodes: 1, each: 8, guest: false };
    const CHIP: Shape = Shape { nodes: 1, each: 1, guest: false };

    fn standing() -> Standing {
        Standing::new(Order::FirstCome, vec![1.0])
    }

    fn waiter(job: u64, shape: Shape) -> Waiter {
        Waiter { tenant: 0, turn: standing().turn(job, 0), shape }
    }

    fn pool(discipline: Discipline) -> PoolQueue {
        let mut pool = PoolQueue::new(discipline, (2, 8, 0));
        assert!(pool.could_start(0, (ONE, 100), &standing()));
        pool.start(1, ONE, 100);
        pool.wait(waiter(2, TWO), 50);
        pool
    }

    #[test]
    fn only_who_is_promised_a_pool_is_not_delayed_there() {
        let mut pool = pool(Discipline::EasyForOne);
        pool.wait(waiter(3, ONE), 1_000);
        pool.promise(Some((2, TWO)), 0);
        assert_eq!(pool.next(0, &standing()), None, "it would be delayed");
        pool.promise(None, 0);
        assert_eq!(pool.next(0, &standing()), Some(3), "it is promised another pool");
    }

    #[test]
    fn who_comes_later_may_start_before_the_first_only_if_it_is_gone_by_then() {
        let mut pool = pool(Discipline::Easy);
        assert!(!pool.could_start(0, (ONE, 101), &standing()));
        assert!(pool.could_start(0, (ONE, 100), &standing()));
        pool.wait(waiter(3, CHIP), 101);
        pool.wait(waiter(4, CHIP), 100);
        assert_eq!(pool.next(0, &standing()), Some(4));
    }

    #[test]
    fn without_a_reservation_the_first_is_overtaken() {
        let mut pool = pool(Discipline::FirstFit);
        assert!(pool.could_start(0, (ONE, 1_000), &standing()));
        pool.wait(waiter(3, ONE), 1_000);
        assert_eq!(pool.next(0, &standing()), Some(3));
    }

    #[test]
    fn what_ended_early_lets_the_first_start_early() {
        let mut pool = pool(Discipline::Easy);
        assert_eq!(pool.next(10, &standing()), None);
        pool.end(1, 100);
        assert_eq!(pool.next(10, &standing()), Some(2));
    }

    #[test]
    fn guests_wait_for_guests_while_nodes_are_free() {
        let guest = Shape { guest: true, ..ONE };
        let mut pool = PoolQueue::new(Discipline::Easy, (3, 8, 8));
        assert!(pool.could_start(0, (guest, 100), &standing()));
        pool.start(1, guest, 100);
        assert!(!pool.could_start(0, (guest, 100), &standing()));
        pool.wait(waiter(2, guest), 100);
        assert_eq!(pool.next(50, &standing()), None);
        assert!(
            pool.could_start(50, (ONE, 1_000), &standing()),
            "there is a node beside those of guests"
        );
        pool.start(3, ONE, 1_050);
        pool.end(1, 100);
        assert_eq!(pool.next(60, &standing()), Some(2));
    }

    #[test]
    fn what_the_first_leaves_is_for_everybody() {
        let mut pool = PoolQueue::new(Discipline::Easy, (3, 8, 0));
        pool.start(1, TWO, 100);
        pool.wait(waiter(2, TWO), 50);
        assert!(pool.could_start(0, (ONE, 1_000), &standing()), "the third node is left");
        pool.start(3, ONE, 1_000);
        assert!(!pool.could_start(0, (CHIP, 1_000), &standing()), "nothing is left");
    }
}
