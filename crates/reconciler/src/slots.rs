//! Which chips, cores and memory of which nodes are in use, and who waits for them.

use crate::attempt::Turn;
use model::Chips;
use model::attempt::Slots;
use std::collections::{BTreeMap, BTreeSet};
use wire::Run;

/// The nodes that any order names.
#[derive(Debug, Default)]
pub(crate) struct Floor {
    pools: BTreeMap<String, BTreeMap<u32, Node>>,
}

/// A node: what is taken of it, and who waits for some of it, in turn.
#[derive(Debug, Default)]
struct Node {
    taken: Taken,
    line: BTreeMap<Turn, Slots>,
}

/// Parts of a node.
#[derive(Debug, Clone, Default)]
struct Taken {
    cores: u64,
    memory: u64,
    /// Thousandths by chip.
    chips: Vec<u64>,
}

impl Taken {
    fn add(&mut self, slots: &Slots) {
        self.cores += slots.cores.0;
        self.memory += slots.memory.0;
        for chip in &slots.chips {
            let at = usize::from(*chip);
            if self.chips.len() <= at {
                self.chips.resize(at + 1, 0);
            }
            self.chips[at] += slots.share.0;
        }
    }

    fn remove(&mut self, slots: &Slots) {
        self.cores -= slots.cores.0;
        self.memory -= slots.memory.0;
        for chip in &slots.chips {
            self.chips[usize::from(*chip)] -= slots.share.0;
        }
    }

    fn has_room(&self, run: &Run, slots: &Slots) -> bool {
        let share = |chip: &u16| self.chips.get(usize::from(*chip)).copied().unwrap_or(0);
        self.cores + slots.cores.0 <= run.node_cores.0
            && self.memory + slots.memory.0 <= run.node_memory.0
            && slots.chips.iter().all(|chip| share(chip) + slots.share.0 <= Chips::ONE.0)
    }
}

impl Floor {
    fn node(&self, run: &Run, node: u32) -> Option<&Node> {
        self.pools.get(&run.pool)?.get(&node)
    }

    fn node_mut(&mut self, run: &Run, node: u32) -> &mut Node {
        if !self.pools.contains_key(&run.pool) {
            self.pools.insert(run.pool.clone(), BTreeMap::new());
        }
        let pool = self.pools.get_mut(&run.pool).expect("it has just been put there");
        pool.entry(node).or_default()
    }

    /// Takes all that `run` wants.
    pub(crate) fn take(&mut self, run: &Run) {
        for slots in &run.nodes {
            self.node_mut(run, slots.node).taken.add(slots);
        }
    }

    /// Gives back all that `run` took; those who wait for some of it are to be looked at.
    pub(crate) fn release(&mut self, run: &Run, doubtful: &mut BTreeSet<Turn>) {
        for slots in &run.nodes {
            let node = self.node_mut(run, slots.node);
            node.taken.remove(slots);
            doubtful.extend(node.line.keys().copied());
        }
    }

    /// Puts `run` in line for all that it wants.
    pub(crate) fn line_up(&mut self, run: &Run) {
        let turn = (run.start, run.attempt);
        for slots in &run.nodes {
            self.node_mut(run, slots.node).line.insert(turn, slots.clone());
        }
    }

    /// Takes `run` out of line; those behind it are to be looked at.
    pub(crate) fn step_out(&mut self, run: &Run, doubtful: &mut BTreeSet<Turn>) {
        let turn = (run.start, run.attempt);
        for slots in &run.nodes {
            let node = self.node_mut(run, slots.node);
            node.line.remove(&turn);
            doubtful.extend(node.line.range(turn..).map(|(turn, _)| *turn));
        }
    }

    /// Whether all that `run` wants is free once everybody ahead of it has got theirs: whoever
    /// comes later in the plan does not overtake on the same slots.
    pub(crate) fn is_free(&self, run: &Run) -> bool {
        let turn = (run.start, run.attempt);
        run.nodes.iter().all(|slots| {
            let Some(node) = self.node(run, slots.node) else { return true };
            let mut ahead = node.line.range(..turn).peekable();
            if ahead.peek().is_none() {
                return node.taken.has_room(run, slots);
            }
            let mut taken = node.taken.clone();
            ahead.for_each(|(_, slots)| taken.add(slots));
            taken.has_room(run, slots)
        })
    }
}
