//! Which chips of a pool's nodes are free, counted by node.

use std::collections::{BTreeMap, BTreeSet};

/// So many nodes with so many thousandths of chips on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    pub(super) nodes: u32,
    pub(super) each: u64,
    /// Whether it is of somebody whose center this is not.
    pub(super) guest: bool,
}

impl Shape {
    /// What it takes of what the owner lends.
    pub(super) fn lent(self) -> u64 {
        if self.guest { self.each.saturating_mul(self.nodes.into()) } else { 0 }
    }
}

/// The nodes of a pool.
#[derive(Debug)]
pub(super) struct Nodes {
    free: Vec<u64>,
    /// The same, ordered by what is free.
    order: BTreeSet<(u64, u32)>,
}

impl Nodes {
    /// This many nodes, all of each free.
    pub(super) fn new(nodes: u32, each: u64) -> Self {
        let order = (0..nodes).map(|node| (each, node)).collect();
        Self { free: (0..nodes).map(|_| each).collect(), order }
    }

    /// Whether the shape fits into what is free.
    pub(super) fn fit(&self, shape: Shape) -> bool {
        self.best(shape).nth(shape.nodes.saturating_sub(1) as usize).is_some()
    }

    /// Takes the nodes that have least to spare.
    pub(super) fn take(&mut self, shape: Shape) -> Option<Vec<u32>> {
        let chosen: Vec<u32> = self.best(shape).take(shape.nodes as usize).collect();
        self.hold(shape, chosen)
    }

    /// Takes nodes that have as much to spare in `beside` too, which loses it there.
    pub(super) fn take_beside(&mut self, shape: Shape, beside: &mut [u64]) -> Option<Vec<u32>> {
        let spare = |node: &u32| beside[*node as usize] >= shape.each;
        let chosen: Vec<u32> = self.best(shape).filter(spare).take(shape.nodes as usize).collect();
        let held = self.hold(shape, chosen)?;
        held.iter().for_each(|node| beside[*node as usize] -= shape.each);
        Some(held)
    }

    /// Whether nodes have as much to spare in `beside` too.
    pub(super) fn fit_beside(&self, shape: Shape, beside: &[u64]) -> bool {
        let spare = |node: &u32| beside[*node as usize] >= shape.each;
        self.best(shape).filter(spare).nth(shape.nodes.saturating_sub(1) as usize).is_some()
    }

    /// Gives nodes back.
    pub(super) fn give(&mut self, each: u64, nodes: &[u32]) {
        for &node in nodes {
            let free = self.free[node as usize];
            self.set(node, free + each);
        }
    }

    /// What is free on all nodes together.
    pub(super) fn all_free(&self) -> u64 {
        self.free.iter().sum()
    }

    /// What is free on each node.
    pub(super) fn free(&self) -> &[u64] {
        &self.free
    }

    fn best(&self, shape: Shape) -> impl Iterator<Item = u32> {
        self.order.range((shape.each, 0)..).map(|(_, node)| *node)
    }

    fn hold(&mut self, shape: Shape, chosen: Vec<u32>) -> Option<Vec<u32>> {
        if chosen.len() < shape.nodes as usize {
            return None;
        }
        for &node in &chosen {
            let free = self.free[node as usize];
            self.set(node, free - shape.each);
        }
        Some(chosen)
    }

    fn set(&mut self, node: u32, free: u64) {
        let was = std::mem::replace(&mut self.free[node as usize], free);
        self.order.remove(&(was, node));
        self.order.insert((free, node));
    }
}

/// What jobs ask for of a node, and how many did.
#[derive(Debug, Default)]
pub(super) struct Typical {
    asked: BTreeMap<u64, u64>,
}

impl Typical {
    /// Takes note of a job.
    pub(super) fn note(&mut self, shape: Shape) {
        *self.asked.entry(shape.each).or_default() += 1;
    }

    /// How much more of the nodes typical jobs cannot use, in the mean, once the shape is on those that
    /// have least to spare (Weng et al., ATC 2023: a node's fragment for a job is all that is free on it
    /// where that is less than the job asks for).
    pub(super) fn fragments(&self, nodes: &Nodes, shape: Shape) -> f64 {
        let all = self.asked.values().sum::<u64>().max(1) as f64;
        let fragment = |free: u64| {
            let more = self.asked.range(free + 1..).map(|(_, count)| count).sum::<u64>();
            free as f64 * more as f64 / all
        };
        let taken =
            nodes.best(shape).take(shape.nodes as usize).map(|node| nodes.free[node as usize]);
        taken.map(|free| fragment(free - shape.each) - fragment(free)).sum()
    }
}
