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

use crate::candidate::{Asked, Candidate, Reach, Scene};
use crate::options::{Choice, Row, energy};
use crate::rank::{Rank, Terms};
use crate::roster::{BandNumber, PoolNumber};
use crate::shelf::{Shelves, Stock, Wanted};
use crate::staging::Soonest;
use calendar::Work;
use model::{Moment, Span};
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

/// The search for one job's place.
struct Round<'a, 's> {
    scene: &'s Scene<'a>,
    asked: Asked<'s>,
    /// Shelves the class has left the beginning of, and where it stands along them.
    left: Vec<Place>,
    along: BinaryHeap<Front>,
    /// Choices off the shelves that still lead.
    leading: BinaryHeap<Entry>,
    /// Choices opened that are to be kept: not opened twice in a round, for nothing changes in it.
    opened: Vec<Entry>,
    inputs: Option<Vec<Soonest<'a>>>,
    best: Option<((Rank, u32), Candidate)>,
}

/// A place along a shelf, with a rank that what stands there and behind does not beat.
type Front = Reverse<(Rank, Place)>;

/// A place along a shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    row: usize,
    band: BandNumber,
    position: usize,
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
        let mut round = Round::new(scene, asked);
        while !calendars.work.is_spent() && round.goes_on(self, calendars) {}
        for place in std::mem::take(&mut round.left) {
            let front = round.front(self, place, calendars);
            self.fronts.extend(front);
        }
        self.kept.extend(round.opened);
        round.best.map(|((rank, _), found)| (rank, found))
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

impl<'a, 's> Round<'a, 's> {
    fn new(scene: &'s Scene<'a>, asked: Asked<'s>) -> Self {
        Self {
            scene,
            asked,
            left: Vec::new(),
            along: BinaryHeap::new(),
            leading: BinaryHeap::new(),
            opened: Vec::new(),
            inputs: None,
            best: None,
        }
    }

    const fn stock(&self) -> Stock<'_> {
        Stock { view: self.scene.view, now: self.scene.situation.now }
    }

    /// Stands at the beginning of each shelf.
    fn line_up(&self, search: &mut Search, calendars: &mut Calendars) {
        for (row, of) in self.asked.options.rows.iter().enumerate() {
            for band in of.bands.clone() {
                let place = Place { row, band, position: 0 };
                let front = self.front(search, place, calendars);
                search.fronts.extend(front);
            }
        }
    }

    /// What stands at a place along a shelf and behind it; none where that is not within reach.
    fn front(&self, search: &Search, place: Place, calendars: &mut Calendars) -> Option<Front> {
        let wanted = &search.wanted[usize::from(self.row(&place).variant)];
        let Calendars { shelves, work } = calendars;
        let stock = self.stock();
        let (pool, at) = shelves.peek(&stock, (wanted, place.band), place.position, work)?;
        let is_in_time = search.is_in_time(self.scene, stock.now, at);
        is_in_time.then(|| Reverse((self.rank_of(&place, pool, at), place)))
    }

    fn row(&self, place: &Place) -> &'s Row {
        &self.asked.options.rows[place.row]
    }

    /// A rank that neither the pool at a place along a shelf beats, which has the nodes at `at`, nor
    /// any behind: they come later, or at the same time and cost no less.
    fn rank_of(&self, place: &Place, pool: PoolNumber, at: Moment) -> Rank {
        let Row { variant, run, .. } = *self.row(place);
        let roster = &self.scene.view.roster;
        let band = roster.band(place.band);
        let ask = &self.asked.options.asks[usize::from(variant)];
        let rank = |cheapest: PoolNumber, at: Moment| {
            let price = roster.seat(cheapest).pool().price(ask.nodes, ask.chips, run).micros;
            let energy_mwh = &|| energy(roster.seat(band.thriftiest), ask, run);
            let terms = Terms { finish: at + run, price, energy_mwh };
            Rank::of(self.asked.spec, self.scene.policy, self.scene.situation.now, &terms)
        };
        rank(pool, at).min(rank(band.pools[0], at + Span(1)))
    }

    /// Takes a step with what might be the best; false when nothing is left that might.
    fn goes_on(&mut self, search: &mut Search, calendars: &mut Calendars) -> bool {
        let first = |heap: &BinaryHeap<Entry>| heap.peek().map(|Reverse((r, n, _))| (*r, *n));
        let (kept, leading) = (first(&search.kept), first(&self.leading));
        let before = |heap: &BinaryHeap<Front>| heap.peek().map(|Reverse((rank, _))| (*rank, 0));
        let (beginning, along) = (before(&search.fronts), before(&self.along));
        let all = [kept, leading, beginning, along];
        let Some(bound) = all.into_iter().flatten().min() else { return false };
        if self.best.as_ref().is_some_and(|(best, _)| *best < bound) {
            return false;
        }
        if beginning == Some(bound)
            && let Some(Reverse(front)) = search.fronts.pop()
        {
            self.walk_along(search, front, calendars);
        } else if along == Some(bound)
            && let Some(Reverse(front)) = self.along.pop()
        {
            self.walk_along(search, front, calendars);
        } else if kept == Some(bound)
            && let Some(Reverse((_, number, changes))) = search.kept.pop()
        {
            let choice = &self.asked.options.choices[number as usize];
            if changes != marked(self.scene.view.changes(choice.pool))
                || search.is_outdated(self.scene, number)
            {
                self.look_closer(search, (bound.0, number), calendars);
            } else {
                self.open(search, (bound.0, number), false, calendars);
            }
        } else if let Some(Reverse((rank, number, _))) = self.leading.pop() {
            self.open(search, (rank, number), true, calendars);
        }
        true
    }

    /// Takes the next pool along a shelf into account.
    fn walk_along(
        &mut self,
        search: &mut Search,
        (bound, place): (Rank, Place),
        calendars: &mut Calendars,
    ) {
        let Place { band, position, .. } = place;
        let Row { variant, .. } = *self.row(&place);
        let Calendars { shelves, work } = calendars;
        work.count(1);
        let wanted = &search.wanted[usize::from(variant)];
        let Some((pool, at)) = shelves.nth(&self.stock(), (wanted, band), position, work) else {
            return;
        };
        let rank = self.rank_of(&place, pool, at);
        if rank > bound {
            if search.is_in_time(self.scene, self.stock().now, at) {
                let heap = if position == 0 { &mut search.fronts } else { &mut self.along };
                heap.push(Reverse((rank, place)));
            }
            return;
        }
        if position == 0 {
            self.left.push(place);
        }
        let next = Place { position: position + 1, ..place };
        self.along.extend(self.front(search, next, calendars));
        let options = self.asked.options;
        let here = |number: &u32| options.choices[*number as usize].variant == variant;
        if let Some(number) = options.in_pool(pool).find(here)
            && !search.is_known[number as usize]
        {
            self.take_off(search, number, at, &mut calendars.work);
        }
    }

    /// Looks into a choice that stands on a shelf as free from `at` on: it leads, or it is kept when
    /// more is to be said of it than that.
    fn take_off(&mut self, search: &mut Search, number: u32, at: Moment, work: &mut Work) {
        let Self { scene, asked, inputs, .. } = self;
        let choice = &asked.options.choices[number as usize];
        let seems = (scene.rank_at(*asked, choice, at, 0), number);
        if self.best.as_ref().is_some_and(|(best, _)| *best < seems) {
            return;
        }
        let Some((ready, price)) = search.data_of(scene, *asked, inputs, number) else {
            return search.know(number);
        };
        let from = (at.max(ready), price);
        let Some((start, rank)) = search.window(scene, *asked, number, from, work) else {
            return search.know(number);
        };
        let changes = marked(scene.view.changes(asked.options.choices[number as usize].pool));
        let entry = Reverse((rank, number, changes));
        match search.is_in_time(scene, ready, start) {
            true if start == at => return self.leading.push(entry),
            true => search.kept.push(entry),
            false => {}
        }
        search.know(number);
    }

    /// Looks when a choice's pool has the nodes for about long enough; where that does not make it
    /// worse than it was, when it has them for as long as it takes. Puts the choice back with the
    /// answer; it is gone when it will never do.
    fn look_closer(
        &mut self,
        search: &mut Search,
        (bound, number): (Rank, u32),
        calendars: &mut Calendars,
    ) {
        let Self { scene, asked, inputs, .. } = self;
        let Some((ready, price)) = search.data_of(scene, *asked, inputs, number) else { return };
        let choice = &asked.options.choices[number as usize];
        let stock = Stock { view: scene.view, now: scene.situation.now };
        let wanted = &search.wanted[usize::from(choice.variant)];
        let Calendars { shelves, work } = calendars;
        let Some(about) = shelves.look(&stock, (wanted, choice.pool), work) else { return };
        let about = about.max(ready);
        let (mut start, mut rank) = (about, scene.rank_at(*asked, choice, about, price));
        let mut changes = 0;
        if rank <= bound {
            let found = search.window(scene, *asked, number, (about, price), work);
            let Some(found) = found else { return };
            (start, rank) = found;
            changes = marked(scene.view.changes(choice.pool));
        }
        if search.is_in_time(scene, ready, start) {
            search.kept.push(Reverse((rank, number, changes)));
        }
    }

    /// Opens a choice. It stays on its shelf if that is where it came from and it is what it seemed
    /// to be there.
    fn open(
        &mut self,
        search: &mut Search,
        (seemed, number): (Rank, u32),
        is_on_shelf: bool,
        calendars: &mut Calendars,
    ) {
        let Self { scene, asked, .. } = self;
        search.opened += 1;
        let choice: &Choice = &asked.options.choices[number as usize];
        let Ok(found) = scene.open(*asked, choice, search.reach, &mut calendars.work) else {
            return search.know(number);
        };
        let rank = scene.rank(*asked, choice, found.finish, found.price.micros);
        // What its transfers cost may fall when they have to take another path.
        let floor = scene.rank(*asked, choice, found.finish, choice.price);
        if !is_on_shelf || floor != seemed {
            search.know(number);
            let changes = marked(scene.view.changes(choice.pool));
            self.opened.push(Reverse((floor, number, changes)));
        }
        if self.best.as_ref().is_none_or(|(best, _)| (rank, number) < *best) {
            self.best = Some(((rank, number), found));
        }
    }
}

/// A number of changes, told apart from none known.
const fn marked(changes: u32) -> u32 {
    changes.saturating_add(1)
}

fn number(i: usize) -> u32 {
    u32::try_from(i).expect("choices are fewer than four billion")
}
