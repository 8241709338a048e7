//! Water that rises in the tree: how much throughput everybody has at a level.
//!
//! Every member of a node rises in proportion to its weight until it is full; what siblings of a full
//! one have risen beyond it is still theirs by weight. So a class that cannot use its part leaves it to
//! its siblings before others get any.

use crate::{NodeNumber, Problem};

/// A class or a node.
#[derive(Debug, Clone, Copy)]
enum Member {
    Class(usize),
    Node(NodeNumber),
}

/// What is directly below a node, in the order in which it is full.
#[derive(Debug, Clone, Default)]
struct Siblings {
    /// At which level each is full, with its weight and how much it holds then.
    members: Vec<(f64, f64, f64, Member)>,
    /// What those before each hold together.
    before: Vec<f64>,
    /// What each and those behind it weigh together.
    behind: Vec<f64>,
}

impl Siblings {
    fn settle(&mut self) {
        self.members.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.before.clear();
        let mut held = 0.0;
        for (_, _, full, _) in &self.members {
            self.before.push(held);
            held += full;
        }
        self.behind = vec![0.0; self.members.len()];
        let mut weight = 0.0;
        for (at, (_, weighs, _, _)) in self.members.iter().enumerate().rev() {
            weight += weighs;
            self.behind[at] = weight;
        }
    }

    /// What they hold when all are full.
    fn full(&self) -> f64 {
        self.members.iter().map(|(_, _, full, _)| full).sum()
    }

    /// The level at which they hold so much together.
    fn level(&self, holds: f64) -> f64 {
        let is_full = |at: usize| {
            let (level, ..) = self.members[at];
            self.before[at] + level * self.behind[at] <= holds
        };
        let (mut low, mut high) = (0, self.members.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if is_full(middle) { low = middle + 1 } else { high = middle }
        }
        match self.members.get(low) {
            Some(_) => (holds - self.before[low]) / self.behind[low],
            None => f64::INFINITY,
        }
    }
}

/// The tree, with how much each class can hold.
#[derive(Debug)]
pub(crate) struct Water<'a> {
    problem: &'a Problem,
    root: Siblings,
    below: Vec<Siblings>,
}

impl<'a> Water<'a> {
    /// A tree whose classes are full at these throughputs of a member.
    pub(crate) fn new(problem: &'a Problem, caps: &[f64]) -> Self {
        let mut root = Siblings::default();
        let mut below = vec![Siblings::default(); problem.nodes.len()];
        for (at, (class, cap)) in problem.classes.iter().zip(caps).enumerate() {
            let (weight, full) = (class.weight * class.count, cap * class.count);
            let member = (cap / class.weight, weight, full, Member::Class(at));
            class.of.map_or(&mut root, |of| &mut below[of]).members.push(member);
        }
        for (at, node) in problem.nodes.iter().enumerate().rev() {
            below[at].settle();
            let full = below[at].full();
            let member = (full / node.weight, node.weight, full, Member::Node(at));
            node.parent.map_or(&mut root, |of| &mut below[of]).members.push(member);
        }
        root.settle();
        Self { problem, root, below }
    }

    /// The level at which everything is full.
    pub(crate) fn top(&self) -> f64 {
        self.root.members.last().map_or(0.0, |(level, ..)| *level)
    }

    /// The lowest level at which something is full that can hold anything.
    pub(crate) fn first_full(&self) -> f64 {
        let levels = self.root.members.iter().map(|(level, ..)| *level);
        levels.filter(|level| *level > 0.0).fold(f64::INFINITY, f64::min)
    }

    /// The throughput of a member of each class at a level.
    pub(crate) fn at(&self, level: f64, throughputs: &mut [f64]) {
        self.fill(&self.root, level, throughputs);
    }

    fn fill(&self, siblings: &Siblings, level: f64, throughputs: &mut [f64]) {
        for (full_at, weight, full, member) in &siblings.members {
            let is_full = level >= *full_at;
            match member {
                Member::Class(at) => {
                    let class = &self.problem.classes[*at];
                    throughputs[*at] =
                        if is_full { full / class.count } else { class.weight * level };
                }
                Member::Node(at) => {
                    let below = &self.below[*at];
                    let inner = match is_full {
                        true => f64::INFINITY,
                        false => below.level(weight * level),
                    };
                    self.fill(below, inner, throughputs);
                }
            }
        }
    }
}
