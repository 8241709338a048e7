//! Which attempts of one pool make room at the least cost.

use super::{Cost, Victim, gone, without};
use crate::ask::Ask;
use crate::node::Hold;
use crate::options::Choice;
use crate::packing::Typical;
use crate::pool::PoolBoard;
use crate::scene::{Asked, Scene};
use calendar::Work;
use model::{AttemptId, Moment, Slots, Span};
use std::collections::{BTreeMap, BTreeSet};

/// Up to so many attempts on a node all their sets are thought of; of more, the cheapest go first.
const THOUGHT_OF: usize = 12;

/// Room for a gang in a pool.
pub(super) struct Room<'a> {
    pub(super) board: &'a PoolBoard,
    pub(super) ask: &'a Ask,
    pub(super) typical: &'a Typical,
    pub(super) limit: Span,
    pub(super) now: Moment,
}

/// Attempts that leave, and what comes in their place.
pub(super) struct Cut {
    pub(super) victims: Vec<AttemptId>,
    pub(super) start: Moment,
    pub(super) slots: Vec<Slots>,
}

/// What freeing a node takes: what is lost, and which victims go, by number.
type Freed = (u128, Vec<usize>);

impl<'a> Room<'a> {
    pub(super) fn of(scene: &Scene<'a>, asked: Asked<'a>, choice: &Choice) -> Self {
        Self {
            typical: scene.view.typical(choice.pool),
            board: &scene.view.pools[choice.pool as usize],
            ask: asked.options.ask(choice),
            limit: asked.options.limit(choice),
            now: scene.situation.now,
        }
    }

    /// The cheapest set of `victims` whose stop makes room.
    pub(super) fn cheapest(&self, victims: &[Victim<'_>], work: &mut Work) -> Option<(Cost, Cut)> {
        let levels: BTreeSet<i32> = victims.iter().map(|victim| victim.priority).collect();
        levels.into_iter().find_map(|level| {
            let may: Vec<Victim<'_>> =
                victims.iter().filter(|victim| victim.priority <= level).copied().collect();
            self.cheapest_of(&may, work)
        })
    }

    /// The same, whatever their priorities.
    pub(super) fn cheapest_of(
        &self,
        victims: &[Victim<'_>],
        work: &mut Work,
    ) -> Option<(Cost, Cut)> {
        let start = gone(self.now, victims.iter().map(|victim| victim.grace).max()?);
        let freed = self.nodes(victims, start, work);
        let mut going = self.gang(freed)?;
        self.spare(victims, &mut going, start);
        let grace = going.iter().map(|victim| victims[*victim].grace).max()?;
        let sooner = gone(self.now, grace);
        let (start, slots) = match self.bind(victims, &going, sooner) {
            Some(slots) => (sooner, slots),
            None => (start, self.bind(victims, &going, start)?),
        };
        let cost = Cost {
            priority: going.iter().map(|victim| victims[*victim].priority).max()?,
            lost: going.iter().map(|victim| victims[*victim].lost).sum(),
            attempts: going.len(),
        };
        let victims = going.iter().map(|victim| victims[*victim].attempt).collect();
        Some((cost, Cut { victims, start, slots }))
    }

    /// What it takes to free each node from `start` on; nodes that cannot be freed are not there.
    fn nodes(
        &self,
        victims: &[Victim<'_>],
        start: Moment,
        work: &mut Work,
    ) -> BTreeMap<u32, Freed> {
        let mut on: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (number, victim) in victims.iter().enumerate() {
            for slots in victim.slots {
                on.entry(slots.node).or_default().push(number);
            }
        }
        let until = start + self.limit;
        let mut freed = BTreeMap::new();
        for (node, holds) in (0_u32..).zip(self.board.nodes()) {
            work.count(1);
            let there = on.remove(&node).unwrap_or_default();
            let mut node_room = Node {
                room: self,
                holds: holds.iter().filter(|h| h.overlaps(start, until)).copied().collect(),
                there: there.iter().map(|number| (*number, victims[*number])).collect(),
                start,
                best: None,
            };
            if let Some(best) = node_room.free(work) {
                freed.insert(node, best);
            }
        }
        freed
    }

    /// Everybody who leaves so that the whole gang finds nodes: the cheapest ones, of one block
    /// where it has to be one.
    fn gang(&self, freed: BTreeMap<u32, Freed>) -> Option<BTreeSet<usize>> {
        let wanted = self.ask.nodes as usize;
        let mut blocks: BTreeMap<u32, Vec<Cleared>> = BTreeMap::new();
        for (node, (lost, going)) in freed {
            let block = if self.ask.one_block { self.board.block(node) } else { 0 };
            blocks.entry(block).or_default().push((lost, going.len(), node, going));
        }
        let cheapest =
            blocks.into_values().filter(|nodes| nodes.len() >= wanted).map(|mut nodes| {
                nodes.sort_unstable();
                nodes.truncate(wanted);
                let lost: u128 = nodes.iter().map(|(lost, ..)| lost).sum();
                let going: BTreeSet<usize> =
                    nodes.into_iter().flat_map(|(.., going)| going).collect();
                (lost, going.len(), going)
            });
        cheapest.min().map(|(.., going)| going)
    }

    /// Spares whoever need not go after all, the dearest first.
    fn spare(&self, victims: &[Victim<'_>], going: &mut BTreeSet<usize>, start: Moment) {
        let mut dearest: Vec<usize> = going.iter().copied().collect();
        dearest.sort_by_key(|victim| std::cmp::Reverse((victims[*victim].lost, *victim)));
        for victim in dearest {
            going.remove(&victim);
            if self.bind(victims, going, start).is_none() {
                going.insert(victim);
            }
        }
    }

    /// The gang's slots from `start` on once everybody `going` has left.
    fn bind(
        &self,
        victims: &[Victim<'_>],
        going: &BTreeSet<usize>,
        start: Moment,
    ) -> Option<Vec<Slots>> {
        let held = going.iter().map(|victim| (victims[*victim].attempt, victims[*victim].slots));
        without(self.board, held).bind(start, start + self.limit, (self.ask, self.typical))
    }
}

/// What clearing a node costs, how many leave it, its number, and who they are.
type Cleared = (u128, usize, u32, Vec<usize>);

/// One node, and who may leave it.
struct Node<'a> {
    room: &'a Room<'a>,
    /// What is held of it at the time.
    holds: Vec<Hold>,
    there: Vec<(usize, Victim<'a>)>,
    start: Moment,
    best: Option<(u128, usize, Vec<usize>)>,
}

impl Node<'_> {
    /// The cheapest way to make room on it.
    fn free(&mut self, work: &mut Work) -> Option<Freed> {
        let holds = &self.holds;
        self.there.retain(|(_, v)| holds.iter().any(|hold| hold.attempt == v.attempt));
        self.there.sort_by_key(|(number, victim)| (victim.lost, *number));
        let all: Vec<usize> = (0..self.there.len()).collect();
        if !self.fits(&all, work) {
            return None;
        }
        if self.there.len() <= THOUGHT_OF {
            self.think(0, &mut Vec::new(), 0, work);
            return self.best.take().map(|(lost, _, going)| (lost, going));
        }
        let mut going = Vec::new();
        for at in all {
            if self.fits(&going, work) {
                break;
            }
            going.push(at);
        }
        for at in going.clone().into_iter().rev() {
            let fewer: Vec<usize> = going.iter().copied().filter(|other| *other != at).collect();
            if self.fits(&fewer, work) {
                going = fewer;
            }
        }
        let lost = going.iter().map(|at| self.there[*at].1.lost).sum();
        Some((lost, going.into_iter().map(|at| self.there[at].0).collect()))
    }

    /// Goes through the sets that hold `going` and any of those from `next` on, leaving out what
    /// cannot be better than the best so far.
    fn think(&mut self, next: usize, going: &mut Vec<usize>, lost: u128, work: &mut Work) {
        let bound = (lost, going.len());
        if self.best.as_ref().is_some_and(|(lost, count, _)| (*lost, *count) <= bound) {
            return;
        }
        if self.fits(going, work) {
            let numbers = going.iter().map(|at| self.there[*at].0).collect();
            self.best = Some((lost, going.len(), numbers));
            return;
        }
        for at in next..self.there.len() {
            let more = self.there[at].1.lost;
            going.push(at);
            self.think(at + 1, going, lost + more, work);
            going.pop();
        }
    }

    /// Whether the gang's share fits once these have left.
    fn fits(&self, going: &[usize], work: &mut Work) -> bool {
        work.count(u64::from(!going.is_empty()));
        let leaves =
            |hold: &&Hold| going.iter().any(|at| self.there[*at].1.attempt == hold.attempt);
        let holds: Vec<Hold> = self.holds.iter().filter(|h| !leaves(h)).copied().collect();
        let until = self.start + self.room.limit;
        self.room.board.limits().fits(&holds, self.start, until, self.room.ask)
    }
}
