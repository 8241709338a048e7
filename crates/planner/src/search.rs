//! Best first: choices of a class in the order of what they might be worth, looked into only until
//! nothing left can be better.
//!
//! Most choices stand on [shelves](crate::shelf) that all classes share: whole bands are passed by
//! whose best could not be better. What a class takes off the front of one it keeps, and what is where
//! its data is or comes to already it keeps from the beginning. The first of what it keeps is asked
//! when its data can be there and its nodes are free for long enough, and if it still leads it is
//! opened: which nodes, and how its data gets there.
//!
//! Within a plan calendars only fill up, so what a choice was worth once is a bound on what it is
//! worth later, for the next jobs of its class as well. Only a copy of data that an earlier job brings
//! along can make one better: then it is put in once more.

mod round;

use crate::candidate::Candidate;
use crate::options::{Choice, Row};
use crate::rank::Rank;
use crate::roster::{Places, PoolNumber};
use crate::scene::{Asked, Reach, Scene};
use crate::shelf::{Shelves, Stock, Wanted};
use crate::staging::Soonest;
use calendar::Work;
use model::{CenterId, Moment};
use round::{Front, Place, Round};
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
    /// What the class has left on shelves.
    fronts: BinaryHeap<Front>,
    /// The same by row, then by band: the places it has not taken off.
    left: Vec<Vec<Places>>,
    /// What data comes to at the least wherever pools are left on shelves.
    floor: Data,
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
        let mut search = Self::empty(scene, asked, reach, &mut calendars.shelves);
        if asked.options.are_broad {
            search.left = asked.options.rows.iter().map(|row| row.places.clone()).collect();
            // Nothing can be done without data that does not exist.
            let Some(inputs) = scene.soonest(asked.spec) else { return search };
            let centers = inputs.iter().flat_map(|input| input.centers(scene));
            search.put_in_centers(scene, asked, centers, calendars);
            let sites =
                || asked.options.pools().filter_map(|pool| scene.view.roster.seat(pool).site);
            // One of the inputs is missing there, but it may be any.
            let tolls = inputs.iter().map(|input| input.toll_elsewhere(scene, sites()));
            search.floor.price = tolls.min().unwrap_or(0);
            Round::new(scene, asked).line_up(&mut search, inputs, calendars);
        } else {
            // Where data is to come, it is what tells choices apart; pools are asked for nodes later.
            let asks = !search.data.is_empty();
            search.put_in(scene, asked, asked.options.numbers(), asks, calendars);
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
            left: Vec::new(),
            floor: Data { ready: scene.situation.now, price: 0, copies: 0 },
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
            self.put_in_centers(scene, asked, come_to.into_iter(), calendars);
        }
        self.copies = scene.coming.len();
    }

    /// Keeps the choices in centers that data is at or comes to; they stand on no shelf any more.
    fn put_in_centers<'c>(
        &mut self,
        scene: &Scene<'_>,
        asked: Asked<'_>,
        centers: impl Iterator<Item = &'c CenterId>,
        calendars: &mut Calendars,
    ) {
        let roster = &scene.view.roster;
        let pools: Vec<PoolNumber> = centers.flat_map(|center| roster.pools_of(center)).collect();
        for (row, left) in asked.options.rows.iter().zip(&mut self.left) {
            let seats = pools.iter().map(|pool| roster.seat(*pool));
            for seat in seats.filter(|seat| row.bands.contains(&seat.band)) {
                left[(seat.band - row.bands.start) as usize] &= !(1 << seat.place);
            }
        }
        let numbered = pools.into_iter().flat_map(|pool| asked.options.in_pool(roster.seat(pool)));
        self.put_in(scene, asked, numbered, true, calendars);
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
                true => shelves.glance(&stock, (wanted, choice.pool)),
                false => self.window(scene, asked, number, now, work),
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
                let rank = scene.rank(asked, choice, (ready, start), price);
                found.push(Reverse((rank, number, changes)));
            }
        }
        self.kept.extend(found);
    }

    /// Whether a choice whose data is there at `ready` and that starts at `start`, or later for
    /// both, may be within reach.
    fn is_in_time(&self, scene: &Scene<'_>, ready: Moment, start: Moment) -> bool {
        // Where no data has to come, what cannot start at once never can within this plan.
        let is_too_late = self.reach != Reach::Ever && self.data.is_empty() && start > ready;
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

    /// What the class has left on a shelf.
    fn left_at(&mut self, place: Place, row: &Row) -> &mut Places {
        &mut self.left[place.row][(place.band - row.bands.start) as usize]
    }

    /// What data comes to at the least wherever pools are left on shelves, by what is booked now; none
    /// when it never gets there.
    fn floor<'a>(
        &mut self,
        scene: &Scene<'a>,
        asked: Asked<'_>,
        inputs: &mut Option<Vec<Soonest<'a>>>,
    ) -> Option<Data> {
        let copies = scene.coming.len() + 1;
        if !self.data.is_empty() && self.floor.copies < copies {
            let inputs = inputs_of(scene, asked, inputs)?;
            let elsewhere = inputs.iter().filter_map(Soonest::elsewhere).min();
            // What is only read over the network is nowhere late.
            let ready = if inputs.is_empty() { Some(self.floor.ready) } else { elsewhere }?;
            self.floor = Data { ready: ready.max(self.floor.ready), copies, ..self.floor };
        }
        Some(self.floor)
    }

    /// Looks when a choice's data can be there by what is booked on the way into its center; none where
    /// that is no later than was known.
    fn look_at_data(
        &mut self,
        scene: &Scene<'_>,
        inputs: Option<&[Soonest<'_>]>,
        number: u32,
        choice: &Choice,
        work: &mut Work,
    ) -> Option<Moment> {
        let known = self.data.get_mut(number as usize)?.as_mut()?;
        let seat = scene.view.roster.seat(choice.pool);
        let ready = inputs?.iter().map(|input| input.into(scene, seat, work)).max()?;
        let is_later = ready > known.ready;
        known.ready = known.ready.max(ready);
        is_later.then_some(ready)
    }

    /// A choice's data cannot be there before `ready`: links only fill up.
    fn expect_data(&mut self, number: u32, ready: Moment) {
        if let Some(Some(data)) = self.data.get_mut(number as usize) {
            data.ready = data.ready.max(ready);
        }
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
        let choice = &asked.options.choices[number as usize];
        if inputs.is_none() && scene.has_inputs(asked.spec, choice) {
            *known = Some(Data { ready: scene.situation.now, price: 0, copies });
            return Some((scene.situation.now, 0));
        }
        let (mut ready, price) = scene.data_bound(choice, inputs_of(scene, asked, inputs)?)?;
        ready = known.map_or(ready, |known| known.ready.max(ready));
        *known = Some(Data { ready, price, copies });
        Some((ready, price))
    }

    /// When a choice's nodes are free for long enough, not before `from`.
    fn window(
        &self,
        scene: &Scene<'_>,
        asked: Asked<'_>,
        number: u32,
        from: Moment,
        work: &mut Work,
    ) -> Option<Moment> {
        let choice = &asked.options.choices[number as usize];
        let (ask, limit) = (asked.options.ask(choice), asked.options.limit(choice));
        scene.view.pools[choice.pool as usize].window(from, limit, ask, work)
    }
}

/// How soon the inputs of the class can be anywhere, worked out when it is first asked for.
fn inputs_of<'i, 'a>(
    scene: &Scene<'a>,
    asked: Asked<'_>,
    inputs: &'i mut Option<Vec<Soonest<'a>>>,
) -> Option<&'i [Soonest<'a>]> {
    if inputs.is_none() {
        *inputs = scene.soonest(asked.spec);
    }
    inputs.as_deref()
}

/// A number of changes, told apart from none known.
const fn marked(changes: u32) -> u32 {
    changes.saturating_add(1)
}
