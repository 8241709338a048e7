//! One pool and those who wait for it: first come, first served, with EASY backfill.
//!
//! The first who waits is given a reservation at the soonest moment that its nodes are free by the
//! limits of what runs (the *shadow*). Others start before it only if that does not delay it: they
//! end before, by their own limits, or take what it leaves. (Lifka, "The ANL/IBM SP scheduling
//! system", 1995; Mu'alem and Feitelson, IEEE TPDS 12(6), 2001.)

use super::nodes::{Nodes, Shape};
use std::collections::{BTreeMap, BTreeSet};

/// How many of those who wait are tried at once, beside the first.
const DEPTH: usize = 1_000;

/// Who may overtake whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Discipline {
    /// Nobody may delay the first who waits.
    Easy,
    /// Whoever fits, the first come first; who needs much may wait for ever.
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
    /// Who waits, by shape: its number and the most it may run.
    waiting: BTreeMap<Shape, BTreeMap<u64, u64>>,
    shadow: Option<Shadow>,
}

#[derive(Debug)]
struct Held {
    shape: Shape,
    nodes: Vec<u32>,
}

/// When the first who waits can start, and what it then leaves free on each node.
#[derive(Debug)]
struct Shadow {
    whose: u64,
    at: u64,
    beside: Vec<u64>,
    /// What of that guests may have.
    lent_beside: u64,
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
    pub(super) fn could_start(&mut self, now: u64, shape: Shape, limit: u64) -> bool {
        if !self.fits(shape) {
            return false;
        }
        self.look_ahead(now);
        self.shadow.as_ref().is_none_or(|shadow| {
            now.saturating_add(limit) <= shadow.at || self.fits_beside(shape, shadow)
        })
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
    pub(super) fn wait(&mut self, job: u64, shape: Shape, limit: u64) {
        self.waiting.entry(shape).or_default().insert(job, limit);
    }

    /// Somebody waits no longer. Whether that was the first of those who do.
    pub(super) fn leave(&mut self, job: u64, shape: Shape) -> bool {
        let first = self.first().is_some_and(|(first, _)| first == job);
        if let Some(same) = self.waiting.get_mut(&shape) {
            same.remove(&job);
            if same.is_empty() {
                self.waiting.remove(&shape);
            }
        }
        if first {
            self.shadow = None;
        }
        first
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
    pub(super) fn next(&mut self, now: u64) -> Option<u64> {
        let (first, shape) = self.first()?;
        if self.fits(shape) {
            self.shadow = None;
            return Some(first);
        }
        self.look_ahead(now);
        let open: Vec<Shape> =
            self.waiting.keys().copied().filter(|shape| self.fits(*shape)).collect();
        let beside: BTreeSet<Shape> = match &self.shadow {
            None => open.iter().copied().collect(),
            Some(shadow) => {
                let spare = |shape: &&Shape| self.fits_beside(**shape, shadow);
                open.iter().filter(spare).copied().collect()
            }
        };
        let until = self.shadow.as_ref().map_or(u64::MAX, |shadow| shadow.at);
        let fits = |limit: u64| now.saturating_add(limit) <= until;
        let mine = |shape: &Shape| {
            let mut those = self.waiting[shape].iter().take(DEPTH);
            let spare = beside.contains(shape);
            those.find(|(_, limit)| spare || fits(**limit)).map(|(job, _)| *job)
        };
        open.iter().filter_map(mine).min()
    }

    /// Who came first, and what it needs.
    fn first(&self) -> Option<(u64, Shape)> {
        let firsts = self
            .waiting
            .iter()
            .filter_map(|(shape, same)| same.first_key_value().map(|(job, _)| (*job, *shape)));
        firsts.min()
    }

    /// Finds the shadow of the first who waits, if it is not known yet.
    fn look_ahead(&mut self, now: u64) {
        let first = match self.discipline {
            Discipline::Easy => self.first(),
            Discipline::FirstFit => None,
        };
        let Some((whose, shape)) = first else {
            self.shadow = None;
            return;
        };
        if self.shadow.as_ref().is_some_and(|shadow| shadow.whose == whose && shadow.at > now) {
            return;
        }
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
        self.shadow = Some(Shadow { whose, at, beside, lent_beside });
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
    use super::*;

    const TWO: Shape = Shape { nodes: 2, each: 8, guest: false };
    const ONE: Shape = Shape { nodes: 1, each: 8, guest: false };
    const CHIP: Shape = Shape { nodes: 1, each: 1, guest: false };

    fn pool(discipline: Discipline) -> PoolQueue {
        let mut pool = PoolQueue::new(discipline, (2, 8, 0));
        assert!(pool.could_start(0, ONE, 100));
        pool.start(1, ONE, 100);
        pool.wait(2, TWO, 50);
        pool
    }

    #[test]
    fn who_comes_later_may_start_before_the_first_only_if_it_is_gone_by_then() {
        let mut pool = pool(Discipline::Easy);
        assert!(!pool.could_start(0, ONE, 101));
        assert!(pool.could_start(0, ONE, 100));
        pool.wait(3, CHIP, 101);
        pool.wait(4, CHIP, 100);
        assert_eq!(pool.next(0), Some(4));
    }

    #[test]
    fn without_a_reservation_the_first_is_overtaken() {
        let mut pool = pool(Discipline::FirstFit);
        assert!(pool.could_start(0, ONE, 1_000));
        pool.wait(3, ONE, 1_000);
        assert_eq!(pool.next(0), Some(3));
    }

    #[test]
    fn what_ended_early_lets_the_first_start_early() {
        let mut pool = pool(Discipline::Easy);
        assert_eq!(pool.next(10), None);
        pool.end(1, 100);
        assert_eq!(pool.next(10), Some(2));
    }

    #[test]
    fn guests_wait_for_guests_while_nodes_are_free() {
        let guest = Shape { guest: true, ..ONE };
        let mut pool = PoolQueue::new(Discipline::Easy, (3, 8, 8));
        assert!(pool.could_start(0, guest, 100));
        pool.start(1, guest, 100);
        assert!(!pool.could_start(0, guest, 100));
        pool.wait(2, guest, 100);
        assert_eq!(pool.next(50), None);
        assert!(pool.could_start(50, ONE, 1_000), "there is a node beside those of guests");
        pool.start(3, ONE, 1_050);
        pool.end(1, 100);
        assert_eq!(pool.next(60), Some(2));
    }

    #[test]
    fn what_the_first_leaves_is_for_everybody() {
        let mut pool = PoolQueue::new(Discipline::Easy, (3, 8, 0));
        pool.start(1, TWO, 100);
        pool.wait(2, TWO, 50);
        assert!(pool.could_start(0, ONE, 1_000), "the third node is left");
        pool.start(3, ONE, 1_000);
        assert!(!pool.could_start(0, CHIP, 1_000), "nothing is left");
    }
}
