//! Best first: choices of a class in the order of what they might be worth, looked into only until
//! nothing left can be better.
//!
//! Most choices stand on [shelves](crate::shelf) that all classes share, in the order in which their
//! pools have the nodes: whole bands are passed by whose best could not be better. A choice taken off
//! the front is asked when its nodes are free for long enough and its data can be there, and if it
//! still leads it is opened: which nodes, and how its data gets there. What a class found out that
//! makes a choice worse than it looks on the shelf it keeps for its next job.
//!
//! Within a plan calendars only fill up, so what a choice was worth once is a bound on what it is
//! worth later. Only a copy of data that an earlier job brings along can make one better: then it is
//! put in once more.

mod round;

use crate::candidate::{Asked, Candidate, Reach, Scene};
use crate::rank::Rank;
use crate::shelf::{Shelves, Stock, Wanted};
use crate::staging::Soonest;
use calendar::Work;
use model::Moment;
use round::{Front, Round};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A choice, by its number, with a rank it does not beat, as of how many changes of its pool.
type Entry = Reverse<(Rank, u32, u32)>;

/// What is known of a choice's data, at the least.
#[derive(Debug, Clone, Copy)]
struct Data {
    /// When it can be there.
    ready: Moment,
    /// What bringing it costs, in micro-units.
    price: i64,
    /// As of how many copies planned.
    copies: usize,
}

/// What all searches of a plan ask of calendars.
#[derive(Debug)]
pub(crate) struct Calendars {
    pub(crate) work: Work,
    pub(crate) shelves: Shelves,
}

/// What is left of a class's choices.
#[derive(Debug)]
pub(crate) struct Search {
    reach: Reach,
    /// Choices the class knows more of than the shelves do.
    kept: BinaryHeap<Entry>,
    /// The beginnings of shelves.
    fronts: BinaryHeap<Front>,
    /// For each choice whether the class knows all of it that it wants to: it is kept, or out of the
    /// question. Nothing when the shelves are not asked.
    is_known: Vec<bool>,
    /// What each variant wants of pools.
    wanted: Vec<Wanted>,
    /// For each choice, where the class reads any data.
    data: Vec<Option<Data>>,
    /// How many of the copies that are planned were taken into account.
    copies: usize,
    /// How many choices were opened.
    pub(crate) opened: u64,
}

impl Search {
    /// All choices of the class.
    pub(crate) fn all(
        scene: &Scene<'_>,
        asked: Asked<'_>,
        reach: Reach,
        calendars: &mut Calendars,
    ) -> Self {
        let choices = asked.options.choices.len();
        let mut search = Self::empty(scene, asked, reach, &mut calendars.shelves);
        if asked.options.are_broad && asked.spec.inputs.is_empty() {
            search.is_known = vec![false; choices];
            Round::new(scene, asked).line_up(&mut search, calendars);
        } else {
            // Where data is to come, it is what tells choices apart; pools are asked for nodes later.
            let asks = !search.data.is_empty();
            search.put_in(scene, asked, 0..number(choices), asks, calendars);
        }
        search
    }

    /// Only the choices `numbered`.
    pub(crate) fn among(
        scene: &Scene<'_>,
        asked: Asked<'_>,
        reach: Reach,
        numbered: impl Iterator<Item = u32>,
        calendars: &mut Calendars,
    ) -> Self {
        let mut search = Self::empty(scene, asked, reach, &mut calendars.shelves);
        search.put_in(scene, asked, numbered, false, calendars);
        search
    }

    fn empty(scene: &Scene<'_>, asked: Asked<'_>, reach: Reach, shelves: &mut Shelves) -> Self {
        let reading = if asked.spec.inputs.is_empty() { 0 } else { asked.options.choices.len() };
        let variants = asked.options.asks.iter().zip(&asked.options.limits);
        Self {
            reach,
            kept: BinaryHeap::new(),
            fronts: BinaryHeap::new(),
            is_known: Vec::new(),
            wanted: variants.map(|(ask, limit)| shelves.wanted(ask, *limit)).collect(),
            data: vec![None; reading],
            copies: scene.coming.len(),
            opened: 0,
        }
    }

    /// How far ahead it looks.
    pub(crate) const fn reach(&self) -> Reach {
        self.reach
    }

    /// Takes into account the copies of inputs that were planned meanwhile: what they come to may
    /// be better than it was.
    pub(crate) fn catch_up(
        &mut self,
        scene: &Scene<'_>,
        asked: Asked<'_>,
        calendars: &mut Calendars,
    ) {
        if !asked.spec.inputs.is_empty() && self.copies < scene.coming.len() {
            let come_to = scene.coming.since(self.copies, scene.world, asked.spec);
            let pools = come_to.into_iter().flat_map(|center| scene.view.roster.pools_of(center));
            let numbered = pools.flat_map(|pool| asked.options.in_pool(pool));
            self.put_in(scene, asked, numbered, true, calendars);
        }
        self.copies = scene.coming.len();
    }

    /// Keeps choices with what their pool allows at best, unless only their data `tells` them apart,
    /// and their data; not those that never come within reach.
    fn put_in(
        &mut self,
        scene: &Scene<'_>,
        asked: Asked<'_>,
        numbered: impl Iterator<Item = u32>,
        data_tells: bool,
        calendars: &mut Calendars,
    ) {
        let Calendars { shelves, work } = calendars;
        let now = scene.situation.now;
        let stock = Stock { view: scene.view, now };
        let mut inputs: Option<Vec<Soonest<'_>>> = None;
        let mut found: Vec<Entry> = Vec::new();
        for number in numbered {
            work.count(1);
            if let Some(data) = self.data.get_mut(number as usize) {
                *data = None;
            }
            let choice = &asked.options.choices[number as usize];
            let wanted = &self.wanted[usize::from(choice.variant)];
            let start = match data_tells {
                true => shelves.glance(&stock, (wanted, choice.pool), work),
                false => self.window(scene, asked, number, (now, 0), work).map(|(start, _)| start),
            };
            // Where pools are few, data is only asked for where there are nodes.
            let Some(start) = start.filter(|at| self.is_in_time(scene, now, *at)) else { continue };
            let Some((ready, price)) = self.data_of(scene, asked, &mut inputs, number) else {
                continue;
            };
            let start = start.max(ready);
            if self.is_in_time(scene, ready, start) {
                // Where no data has to come that is all there is to be asked.
                let changes = marked(scene.view.changes(choice.pool));
                let changes = if self.data.is_empty() { changes } else { 0 };
                let rank = scene.rank_at(asked, choice, start, price);
                found.push(Reverse((rank, number, changes)));
            }
        }
        self.kept.extend(found);
    }

    fn know(&mut self, number: u32) {
        if let Some(is_known) = self.is_known.get_mut(number as usize) {
            *is_known = true;
        }
    }

    /// Whether a choice whose data is there at `ready` and that starts at `start`, or later for
    /// both, may be within reach.
    fn is_in_time(&self, scene: &Scene<'_>, ready: Moment, start: Moment) -> bool {
        // Where no data has to come, what cannot start at once never can within this plan.
        let is_too_late = self.reach == Reach::Now && self.data.is_empty() && start > ready;
        !is_too_late && scene.is_within(self.reach, ready, start)
    }

    /// The best choice there is now; it stays among those left.
    pub(crate) fn best(
        &mut self,
        scene: &Scene<'_>,
        asked: Asked<'_>,
        calendars: &mut Calendars,
    ) -> Option<(Rank, Candidate)> {
        Round::new(scene, asked).run(self, calendars)
    }

    /// Whether links were booked since it was found out when the choice's data can be there.
    fn is_outdated(&self, scene: &Scene<'_>, number: u32) -> bool {
        let data = self.data.get(number as usize).copied().flatten();
        data.is_some_and(|data| data.copies < scene.coming.len())
    }

    /// When a choice's data can be there and what bringing it costs, by what is booked now; a class
    /// that reads none has it at once. `None` when it never is there.
    fn data_of<'a>(
        &mut self,
        scene: &Scene<'a>,
        asked: Asked<'_>,
        inputs: &mut Option<Vec<Soonest<'a>>>,
        number: u32,
    ) -> Option<(Moment, i64)> {
        let Some(known) = self.data.get_mut(number as usize) else {
            return Some((scene.situation.now, 0));
        };
        let copies = scene.coming.len();
        if let Some(data) = known.filter(|data| data.copies == copies) {
            return Some((data.ready, data.price));
        }
        if inputs.is_none() {
            *inputs = scene.soonest(asked.spec);
        }
        let choice = &asked.options.choices[number as usize];
        let (ready, price) = scene.data_bound(choice, inputs.as_deref()?)?;
        *known = Some(Data { ready, price, copies });
        Some((ready, price))
    }

    /// When a choice's nodes are free for long enough, not before `from`, and its rank then.
    fn window(
        &self,
        scene: &Scene<'_>,
        asked: Asked<'_>,
        number: u32,
        (from, price): (Moment, i64),
        work: &mut Work,
    ) -> Option<(Moment, Rank)> {
        let choice = &asked.options.choices[number as usize];
        let (ask, limit) = (asked.options.ask(choice), asked.options.limit(choice));
        let start = scene.view.pools[choice.pool as usize].window(from, limit, ask, work)?;
        Some((start, scene.rank_at(asked, choice, start, price)))
    }
}

/// A number of changes, told apart from none known.
const fn marked(changes: u32) -> u32 {
    changes.saturating_add(1)
}

fn number(i: usize) -> u32 {
    u32::try_from(i).expect("choices are fewer than four billion")
}
