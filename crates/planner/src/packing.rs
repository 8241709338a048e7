//! Where inside a pool a job does least harm to those that come after it.
//!
//! What typical jobs ask is known from the queue and from recent jobs. A node's *worth* is how many
//! more of them it could take: for each class of typical jobs, as if it came alone, two parts of
//! what its cores, memory and chips have room for, and one part of what is free on chips that would
//! do; counted in chips touched, and weighed by how much of the class is asked for over how much of
//! it empty nodes could take. A job goes to the node, and a share to the chip, whose worth falls
//! least. Equals are told apart by best fit, which is all there is when nothing is typical.
//!
//! Fragmentation gradient descent (Weng et al., "Beware of Fragmentation", USENIX ATC '23) looks at
//! free chips only, and takes a node for usable by a class as long as one job of it fits. Counting
//! how many fit sees cores run out before chips do.

use crate::ask::Ask;
use model::{Bytes, Chips, Cores};
use std::collections::{BTreeMap, BTreeSet};

/// Thousandths of a chip.
const ONE: u64 = Chips::ONE.0;

/// Weights are fractions of this. A worth is below its 2^25-fold on nodes of up to 64 chips.
const UNIT: u128 = 1 << 36;

/// How many classes are looked at on a node: those that weigh most.
const MOST_CLASSES: usize = 256;

/// How many worths are remembered for a kind of nodes before all are forgotten.
const MOST_WORTHS: usize = 1 << 16;

/// What a job takes of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Less than one is a share of one chip; anything else is rounded up to whole chips.
    pub chips: Chips,
    /// Cores.
    pub cores: Cores,
    /// Memory.
    pub memory: Bytes,
}

impl Need {
    /// What each node of a gang gives.
    #[must_use]
    pub const fn of(ask: &Ask) -> Self {
        Self { chips: ask.chips, cores: ask.cores, memory: ask.memory }
    }

    /// Thousandths of a chip, when it is a share.
    const fn share(&self) -> Option<u64> {
        if 0 < self.chips.0 && self.chips.0 < ONE { Some(self.chips.0) } else { None }
    }

    /// Thousandths of all chips it takes.
    const fn milli(&self) -> u64 {
        match self.share() {
            Some(share) => share,
            None => self.chips.touched().saturating_mul(ONE),
        }
    }
}

/// What is free on one node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Room {
    cores: Cores,
    memory: Bytes,
    /// Chips nobody holds any part of.
    whole: u64,
    /// Thousandths that are free on each of the others, none where nothing is; ascending.
    parts: Vec<u16>,
}

impl Room {
    /// So many cores, so much memory, and so much of each chip; more than a whole one counts as one.
    #[must_use]
    pub fn new(cores: Cores, memory: Bytes, chips: impl IntoIterator<Item = Chips>) -> Self {
        let mut room = Self { cores, memory, whole: 0, parts: Vec::new() };
        for chip in chips {
            match u16::try_from(chip.0) {
                Ok(free) if u64::from(free) < ONE => room.parts.extend((free > 0).then_some(free)),
                Ok(_) | Err(_) => room.whole += 1,
            }
        }
        room.parts.sort_unstable();
        room
    }

    /// What is free on all chips together.
    #[must_use]
    pub fn chips(&self) -> Chips {
        let parts: u64 = self.parts.iter().map(|part| u64::from(*part)).sum();
        Chips(self.whole.saturating_mul(ONE).saturating_add(parts))
    }

    /// Free cores.
    #[must_use]
    pub const fn cores(&self) -> Cores {
        self.cores
    }

    /// Free memory.
    #[must_use]
    pub const fn memory(&self) -> Bytes {
        self.memory
    }

    /// What is left after `need`. A share goes on a chip with exactly `on` free; `None` when there
    /// is none, or too little of anything.
    #[must_use]
    pub fn after(&self, need: &Need, on: Option<Chips>) -> Option<Self> {
        let mut left = Self {
            cores: Cores(self.cores.0.checked_sub(need.cores.0)?),
            memory: Bytes(self.memory.0.checked_sub(need.memory.0)?),
            whole: self.whole,
            parts: Vec::new(),
        };
        let Some(share) = need.share() else {
            left.whole = left.whole.checked_sub(need.chips.touched())?;
            left.parts.clone_from(&self.parts);
            return Some(left);
        };
        let free = on?.0;
        let rest = u16::try_from(free.checked_sub(share)?).ok()?;
        left.parts.reserve_exact(self.parts.len() + 1);
        if free == ONE {
            left.whole = left.whole.checked_sub(1)?;
            left.parts.extend(&self.parts);
        } else {
            let at = self.parts.binary_search(&u16::try_from(free).ok()?).ok()?;
            left.parts.extend(self.parts[..at].iter().chain(&self.parts[at + 1..]));
        }
        if rest > 0 {
            left.parts.insert(left.parts.partition_point(|part| *part < rest), rest);
        }
        Some(left)
    }

    /// The ways `need` can be met here: for a share one for each different chip that has room.
    fn ways(&self, need: &Need) -> impl Iterator<Item = (Option<Chips>, Self)> {
        let share = need.share();
        let whole = (self.whole > 0).then_some(Chips::ONE);
        let parts = self.parts.chunk_by(|a, b| a == b).map(|same| Chips(u64::from(same[0])));
        let on = parts.chain(whole).map(Some).filter(move |_| share.is_some());
        let on = on.chain(share.is_none().then_some(None));
        on.filter_map(move |on| Some((on, self.after(need, on)?)))
    }
}

/// How a job goes on a node. The least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fit {
    /// By how much the node's worth falls; comparable between all kinds that [`typical`] was told
    /// of together.
    pub lost: u64,
    /// What stays free of the node's chips.
    pub chips_left: Chips,
    /// What stays free of its cores.
    pub cores_left: Cores,
    /// For a share: how much is free now of the chip it goes on. Whole chips are all alike.
    pub on: Option<Chips>,
}

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

fn best(
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

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn need(chips: u64, cores: u64) -> Need {
        Need { chips: Chips(chips), cores: Cores(cores), memory: Bytes(0) }
    }

    fn room(cores: u64, chips: &[u64]) -> Room {
        Room::new(Cores(cores), Bytes(0), chips.iter().copied().map(Chips))
    }

    fn demand(chips: u64, cores: u64, nodes: u64, on: &[usize]) -> Demand {
        Demand { need: need(chips, cores), nodes, on: on.iter().copied().collect() }
    }

    /// Places jobs of (chips, cores) one after another on nodes of one kind each, and says on which
    /// node and how much of a shared chip was free.
    fn check(nodes: &[Room], typical: &[Typical], jobs: &[(u64, u64)], expected: &[&str]) {
        let mut placer = Placer::new(typical.to_vec(), nodes.iter().cloned().enumerate());
        let all = (0..nodes.len()).collect();
        let said = jobs.iter().map(|(chips, cores)| {
            let class = placer.class(need(*chips, *cores), &all);
            match placer.place(class) {
                Some((node, Fit { on: Some(on), .. })) => format!("{node} beside {}", 1_000 - on.0),
                Some((node, _)) => node.to_string(),
                None => "nowhere".to_owned(),
            }
        });
        assert_eq!(said.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn where_nothing_is_typical_the_fullest_node_that_has_room_is_taken() {
        check(
            &[room(9, &[1_000; 4]), room(8, &[1_000; 2]), room(7, &[1_000; 2])],
            &[Typical::default(), Typical::default(), Typical::default()],
            &[(2_000, 1), (500, 1), (500, 1), (300, 1), (2_000, 1), (3_000, 0), (0, 9)],
            &["2", "1 beside 0", "1 beside 500", "1 beside 0", "0", "nowhere", "nowhere"],
        );
    }

    #[test]
    fn a_share_goes_where_what_is_left_is_of_use_to_others() {
        // Best fit would take the chip with 500 free, and leave 100 and 700 that nobody asks for.
        let nodes = [room(9, &[500]), room(9, &[700])];
        let kinds = nodes.clone().map(|empty| NodeKind { empty, nodes: 1 });
        let typical = typical(&kinds, &[demand(500, 1, 3, &[0, 1]), demand(300, 1, 9, &[0, 1])]);
        check(&nodes, &typical, &[(400, 1), (500, 1)], &["1 beside 300", "0 beside 500"]);
    }

    #[test]
    fn jobs_without_chips_take_cores_that_no_chip_needs() {
        let nodes = [room(16, &[1_000; 4]), room(64, &[1_000; 4])];
        let kinds = nodes.clone().map(|empty| NodeKind { empty, nodes: 1 });
        let typical = typical(&kinds, &[demand(1_000, 4, 1, &[0, 1])]);
        check(&nodes, &typical, &[(0, 8); 7], &["1", "1", "1", "1", "1", "1", "0"]);
    }

    #[test]
    fn nodes_that_some_jobs_cannot_do_without_are_kept_for_them() {
        let nodes = [room(8, &[1_000; 2]), room(8, &[1_000; 2])];
        let kinds = nodes.clone().map(|empty| NodeKind { empty, nodes: 10 });
        let typical = typical(&kinds, &[demand(1_000, 1, 5, &[0, 1]), demand(1_000, 2, 5, &[0])]);
        check(&nodes, &typical, &[(1_000, 1); 3], &["1", "1", "0"]);
    }

    #[test]
    fn whole_nodes_are_not_broken_into_while_others_will_do() {
        let nodes = [room(80, &[1_000; 8]), room(80, &[1_000; 8])];
        let kinds = nodes.clone().map(|empty| NodeKind { empty, nodes: 1 });
        let on = [0, 1];
        let typical = typical(&kinds, &[demand(8_000, 8, 1, &on), demand(1_000, 1, 9, &on)]);
        check(&nodes, &typical, &[(1_000, 1), (250, 1), (8_000, 8)], &["0", "0 beside 0", "1"]);
    }

    fn made(rng: &mut impl Rng) -> (Vec<NodeKind>, Vec<Demand>) {
        let kind = |rng: &mut _| {
            let chips = vec![1_000; RngExt::random_range(rng, 0..9)];
            NodeKind { empty: room(RngExt::random_range(rng, 0..99), &chips), nodes: 3 }
        };
        let kinds: Vec<NodeKind> = (0..3).map(|_| kind(rng)).collect();
        let class = |rng: &mut _| {
            let chips = match RngExt::random_range(rng, 0..4) {
                0 => 0,
                1 => RngExt::random_range(rng, 1..9) * 1_000,
                _ => RngExt::random_range(rng, 1..1_001),
            };
            let on: Vec<usize> = (0..3).filter(|_| RngExt::random_bool(rng, 0.7)).collect();
            let (cores, nodes) =
                (RngExt::random_range(rng, 0..30), RngExt::random_range(rng, 0..9));
            demand(chips, cores, nodes, &on)
        };
        let demands = (0..12).map(|_| class(rng)).collect();
        (kinds, demands)
    }

    #[test]
    fn what_is_remembered_changes_no_choice_and_taking_never_adds_worth() {
        for seed in 0..60 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (kinds, demands) = made(&mut rng);
            let typical = typical(&kinds, &demands);
            let mut rooms: Vec<(usize, Room)> =
                (0..9).map(|node| (node % 3, kinds[node % 3].empty.clone())).collect();
            let mut placer = Placer::new(typical.clone(), rooms.clone());
            let classes: Vec<usize> = demands.iter().map(|d| placer.class(d.need, &d.on)).collect();
            for _ in 0..80 {
                let drawn = rng.random_range(0..demands.len());
                let Demand { need, on, .. } = &demands[drawn];
                let fits = (0..rooms.len()).filter(|node| on.contains(&rooms[*node].0));
                let expected = fits
                    .filter_map(|n| Some((typical[rooms[n].0].fit(&rooms[n].1, need)?, n)))
                    .min();
                let placed = placer.place(classes[drawn]).map(|(node, fit)| (fit, node));
                assert_eq!(placed, expected, "seed {seed}");
                let Some((fit, node)) = placed else { continue };
                let (kind, room) = &mut rooms[node];
                let after = room.after(need, fit.on).unwrap();
                assert!(typical[*kind].worth(&after) <= typical[*kind].worth(room), "seed {seed}");
                assert_eq!(room.chips().0 - after.chips().0, need.milli(), "seed {seed}");
                *room = after;
            }
            assert!(placer.rooms().eq(rooms.iter().map(|(_, room)| room)));
        }
    }

    #[test]
    fn absurd_amounts_are_borne() {
        let most = Need { chips: Chips(u64::MAX), cores: Cores(u64::MAX), memory: Bytes(u64::MAX) };
        let empty = Room::new(Cores(u64::MAX), Bytes(u64::MAX), [Chips(u64::MAX), Chips(0)]);
        let kinds = [NodeKind { empty: empty.clone(), nodes: u64::MAX }];
        let on = BTreeSet::from([0, 7]);
        let demands = [most, need(1, 0), need(1_000, u64::MAX)];
        let demands = demands.map(|need| Demand { need, nodes: u64::MAX, on: on.clone() });
        let typical = typical(&kinds, &demands);
        assert_eq!(typical[0].fit(&empty, &most), None);
        assert!(typical[0].fit(&empty, &need(1, 1)).is_some_and(|fit| fit.lost > 0));
        assert!(super::typical(&[], &demands).is_empty());
    }
}
