//! What is typical, and what a node is worth to it.

use super::{Fit, Need, ONE, Room};
use model::{Bytes, Chips, Cores};
use std::collections::{BTreeMap, BTreeSet};

/// Weights are fractions of this. A worth is below its 2^25-fold on nodes of up to 64 chips.
const UNIT: u128 = 1 << 36;

/// How many classes are looked at on a node: those that weigh most.
const MOST_CLASSES: usize = 256;

/// Nodes that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeKind {
    /// One of them while nobody holds anything.
    pub empty: Room,
    /// How many.
    pub nodes: u64,
}

/// A class of typical jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// What it takes of each node.
    pub need: Need,
    /// How many nodes the class asks for in all; only the proportions between classes matter.
    pub nodes: u64,
    /// On which kinds of nodes it can run, by number.
    pub on: BTreeSet<usize>,
}

/// What jobs to come ask of nodes of one kind. The default knows of none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Typical {
    sizes: Vec<Size>,
}

/// Classes that ask for as much of the chips.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Size {
    need: Need,
    classes: Vec<Class>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Class {
    cores: Cores,
    memory: Bytes,
    /// For each thousandth of a chip it would take.
    weight: u64,
}

/// What is typical on each of `kinds`, by number. Jobs without chips have no say: they go where
/// those with chips lose least. `kinds` should be all that the classes can run on, so that what is
/// scarce is kept for those that can use nothing else.
#[must_use]
pub fn typical(kinds: &[NodeKind], demands: &[Demand]) -> Vec<Typical> {
    let chips = |kind: &NodeKind| u128::from(kind.empty.chips().0) * u128::from(kind.nodes);
    let stock: u128 = kinds.iter().map(chips).sum();
    let asked: u128 = demands.iter().map(|demand| u128::from(demand.nodes)).sum();
    let mut weights: Vec<BTreeMap<Need, u64>> = vec![BTreeMap::new(); kinds.len()];
    for Demand { need, nodes, on } in demands.iter().filter(|d| d.need.chips > Chips::ZERO) {
        let takes = |kind: &&NodeKind| u128::from(kind.nodes) * u128::from(most(&kind.empty, need));
        let supply: u128 = on.iter().filter_map(|k| kinds.get(*k)).map(|k| takes(&k)).sum();
        if supply == 0 {
            continue;
        }
        // A hundredth of all chips beside it: a class that hardly any node can serve is no reason
        // to keep everybody else off that node.
        let scarcity = |x: u128| x.saturating_mul(stock) / (supply + stock / 100).max(1);
        let touched = u128::from(need.chips.touched());
        let asks = u128::from(*nodes) * touched;
        let parts = asked.saturating_mul(u128::from(need.milli())).max(1);
        let weight = scarcity(asks.saturating_mul(UNIT)) / parts;
        let weight = u64::try_from(weight).unwrap_or(u64::MAX).max(1);
        for kind in on.iter().filter(|k| kinds.get(**k).is_some_and(|k| most(&k.empty, need) > 0)) {
            let sum = weights[*kind].entry(*need).or_default();
            *sum = sum.saturating_add(weight);
        }
    }
    weights.into_iter().map(Typical::of).collect()
}

/// Thousandths of `room`'s chips that jobs like `need` would take, if they came alone.
fn most(room: &Room, need: &Need) -> u64 {
    let by_chips = chips_for(room, need).0;
    copies(room, need.cores, need.memory, by_chips).saturating_mul(need.milli())
}

/// How many times `need`'s chips are there, and the thousandths free on chips that would do.
fn chips_for(room: &Room, need: &Need) -> (u64, u64) {
    let Some(share) = need.share() else {
        let copies = room.whole.checked_div(need.chips.touched()).unwrap_or(0);
        return (copies, if copies > 0 { room.whole.saturating_mul(ONE) } else { 0 });
    };
    let whole = (room.whole * (ONE / share), room.whole * ONE);
    let parts = room.parts.iter().rev().map(|part| u64::from(*part)).take_while(|p| *p >= share);
    parts.fold(whole, |(copies, free), part| (copies + part / share, free + part))
}

/// How often so many cores and so much memory are there, at most `most` times.
fn copies(room: &Room, cores: Cores, memory: Bytes, most: u64) -> u64 {
    let enough = |each: u64, free: u64| each.checked_mul(most).is_some_and(|all| all <= free);
    if enough(cores.0, room.cores.0) && enough(memory.0, room.memory.0) {
        return most;
    }
    let by_cores = room.cores.0.checked_div(cores.0).unwrap_or(most);
    let by_memory = room.memory.0.checked_div(memory.0).unwrap_or(most);
    most.min(by_cores).min(by_memory)
}

impl Typical {
    fn of(weights: BTreeMap<Need, u64>) -> Self {
        let mut heaviest: Vec<(Need, u64)> = weights.into_iter().collect();
        heaviest.sort_by_key(|(need, weight)| (std::cmp::Reverse(*weight), *need));
        heaviest.truncate(MOST_CLASSES);
        heaviest.sort_unstable();
        let mut sizes: Vec<Size> = Vec::new();
        for (need, weight) in heaviest {
            let class = Class { cores: need.cores, memory: need.memory, weight };
            match sizes.last_mut().filter(|size| size.need.milli() == need.milli()) {
                Some(size) => size.classes.push(class),
                None => sizes.push(Size { need, classes: vec![class] }),
            }
        }
        Self { sizes }
    }

    /// How much more typical work the node could take.
    #[must_use]
    pub fn worth(&self, room: &Room) -> u64 {
        let mut worth = 0_u64;
        for size in &self.sizes {
            let (by_chips, free) = chips_for(room, &size.need);
            if by_chips == 0 {
                continue;
            }
            let milli = size.need.milli();
            // Needs are in ascending order of cores within a size.
            for class in size.classes.iter().take_while(|class| class.cores <= room.cores) {
                let copies = copies(room, class.cores, class.memory, by_chips);
                if copies > 0 {
                    let parts = copies.saturating_mul(2 * milli).saturating_add(free);
                    worth = worth.saturating_add(class.weight.saturating_mul(parts));
                }
            }
        }
        worth
    }

    /// The best way for `need` on a node with this room; `None` when it does not fit.
    #[must_use]
    pub fn fit(&self, room: &Room, need: &Need) -> Option<Fit> {
        best(room, need, self.worth(room), |after| self.worth(after))
    }
}

/// The best way for `need` in a room of this worth; `worth_of` says what others are worth.
pub(super) fn best(
    room: &Room,
    need: &Need,
    worth: u64,
    mut worth_of: impl FnMut(&Room) -> u64,
) -> Option<Fit> {
    let chips_left = Chips(room.chips().0.saturating_sub(need.milli()));
    room.ways(need)
        .map(|(on, after)| Fit {
            lost: worth.saturating_sub(worth_of(&after)),
            chips_left,
            cores_left: after.cores,
            on,
        })
        .min()
}
