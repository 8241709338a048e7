//! The nodes of a pool. A plan is drawn up on a copy of the pool, which shares nearly all of them.

use crate::node::{Hold, Limits, Shut};
use arrayvec::ArrayVec;
use smallvec::SmallVec;
use std::sync::Arc;

/// How many nodes are copied when one of them changes: in a pool of some hundred nodes as many as
/// there are such runs, which are all that a copy of the pool copies.
const RUN: usize = 16;

/// Who holds what of a node: most often a few, who lie where they are looked for.
pub(crate) type Holds = SmallVec<[Hold; 4]>;

/// Nodes by number.
#[derive(Debug, Clone)]
pub(crate) struct Nodes {
    runs: Vec<Arc<ArrayVec<Node, RUN>>>,
    count: u32,
}

/// A node and who holds what of it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    holds: Arc<Holds>,
    /// When it has no whole chip free: most nodes that cannot do are passed by thus.
    pub(crate) shut: Shut,
}

impl Node {
    /// Who holds what of it, in no order.
    pub(crate) fn holds(&self) -> &[Hold] {
        &self.holds
    }
}

impl Nodes {
    /// So many nodes that nobody holds anything of.
    pub(crate) fn new(count: u32, limits: &Limits) -> Self {
        let node = Node { holds: Arc::default(), shut: limits.shut(&[]) };
        let full = Arc::new(std::iter::repeat_n(node.clone(), RUN).collect());
        let rest = std::iter::repeat_n(node, count as usize % RUN);
        let mut runs = vec![full; count as usize / RUN];
        if rest.len() > 0 {
            runs.push(Arc::new(rest.collect()));
        }
        Self { runs, count }
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> u32 {
        self.count
    }

    /// A node, if there is one of this number.
    pub(crate) fn get(&self, number: u32) -> Option<&Node> {
        self.runs.get(number as usize / RUN)?.get(number as usize % RUN)
    }

    /// All nodes, each with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Node)> {
        (0_u32..).zip(self.runs.iter().flat_map(|run| run.iter()))
    }

    /// Changes who holds what of a node.
    pub(crate) fn change(&mut self, number: u32, limits: &Limits, edit: impl FnOnce(&mut Holds)) {
        let run = self.runs.get_mut(number as usize / RUN);
        if let Some(node) = run.and_then(|run| Arc::make_mut(run).get_mut(number as usize % RUN)) {
            edit(Arc::make_mut(&mut node.holds));
            node.shut = limits.shut(&node.holds);
        }
    }
}
