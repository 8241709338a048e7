//! Jobs placed one at a time on many nodes.

use super::typical::best;
use super::{Fit, Need, Room, Typical};
use std::collections::{BTreeMap, BTreeSet};

/// How many worths are remembered for a kind of nodes before all are forgotten.
const MOST_WORTHS: usize = 1 << 16;

/// Nodes on which jobs are placed one at a time. It remembers how a class fits on each node until
/// that node changes.
#[derive(Debug, Clone)]
pub struct Placer {
    kinds: Vec<Remembered>,
    nodes: Vec<Node>,
    classes: Vec<Asked>,
    changes: u64,
}

#[derive(Debug, Clone)]
struct Remembered {
    typical: Typical,
    worths: BTreeMap<Room, u64>,
}

impl Remembered {
    fn worth(&mut self, room: &Room) -> u64 {
        if let Some(worth) = self.worths.get(room) {
            return *worth;
        }
        if self.worths.len() >= MOST_WORTHS {
            self.worths.clear();
        }
        let worth = self.typical.worth(room);
        self.worths.insert(room.clone(), worth);
        worth
    }
}

#[derive(Debug, Clone)]
struct Node {
    kind: usize,
    room: Room,
    worth: u64,
    changed: u64,
}

#[derive(Debug, Clone)]
struct Asked {
    need: Need,
    on: Vec<bool>,
    /// By node: when it was looked at, and what was found.
    fits: Vec<(u64, Option<Fit>)>,
}

impl Placer {
    /// Nodes of these kinds: of which each is, and what is free on it.
    ///
    /// # Panics
    ///
    /// When a node is of no kind of `kinds`.
    #[must_use]
    pub fn new(kinds: Vec<Typical>, nodes: impl IntoIterator<Item = (usize, Room)>) -> Self {
        let kind = |typical| Remembered { typical, worths: BTreeMap::new() };
        let mut kinds: Vec<Remembered> = kinds.into_iter().map(kind).collect();
        let nodes = nodes.into_iter().map(|(kind, room)| {
            let worth = kinds[kind].worth(&room);
            Node { kind, room, worth, changed: 1 }
        });
        let nodes = nodes.collect();
        Self { kinds, nodes, classes: Vec::new(), changes: 1 }
    }

    /// Makes a class of jobs known, which can run on these kinds; the number is for
    /// [`place`](Self::place).
    pub fn class(&mut self, need: Need, on: &BTreeSet<usize>) -> usize {
        let on = (0..self.kinds.len()).map(|kind| on.contains(&kind)).collect();
        self.classes.push(Asked { need, on, fits: vec![(0, None); self.nodes.len()] });
        self.classes.len() - 1
    }

    /// Places one more job of a class, and says on which node and how; `None` when it fits on none.
    /// Between equal fits, the first node.
    pub fn place(&mut self, class: usize) -> Option<(usize, Fit)> {
        let Asked { need, on, fits } = self.classes.get_mut(class)?;
        let mut chosen: Option<(Fit, usize)> = None;
        for (number, (node, (seen, fit))) in self.nodes.iter().zip(fits).enumerate() {
            if *seen != node.changed {
                *seen = node.changed;
                let kind = &mut self.kinds[node.kind];
                let worth = |room: &Room| kind.worth(room);
                *fit = if on[node.kind] { best(&node.room, need, node.worth, worth) } else { None };
            }
            if let Some(fit) = fit
                && chosen.is_none_or(|(best, _)| *fit < best)
            {
                chosen = Some((*fit, number));
            }
        }
        let (fit, number) = chosen?;
        let node = &mut self.nodes[number];
        node.room = node.room.after(need, fit.on).expect("a fit was found in this room");
        node.worth = self.kinds[node.kind].worth(&node.room);
        self.changes += 1;
        node.changed = self.changes;
        Some((number, fit))
    }

    /// What is free on each node.
    pub fn rooms(&self) -> impl Iterator<Item = &Room> {
        self.nodes.iter().map(|node| &node.room)
    }
}
