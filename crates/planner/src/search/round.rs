//! The search for one job's place: along the shelves, through what its class kept, until nothing
//! left can be better.

use super::{Calendars, Data, Entry, Search, inputs_of, marked};
use crate::candidate::Candidate;
use crate::options::{Choice, Row, least_carbon};
use crate::rank::{Rank, Terms};
use crate::roster::{BandNumber, Places};
use crate::scene::{Asked, Scene};
use crate::shelf::{Along, Stock};
use crate::staging::Soonest;
use model::{Moment, Span};
use std::cmp::Reverse;

/// The search for one job's place.
pub(super) struct Round<'a, 's> {
    scene: &'s Scene<'a>,
    asked: Asked<'s>,
    /// Choices opened: not opened twice in a round, for nothing changes in it.
    opened: Vec<Entry>,
    inputs: Option<Vec<Soonest<'a>>>,
    best: Option<((Rank, u32), Candidate)>,
}

/// A shelf, with a rank that nothing that a class has left on it beats.
pub(super) type Front = Reverse<(Rank, Place)>;

/// A shelf: the pools of a band as a row would use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) row: usize,
    pub(super) band: BandNumber,
}

impl<'a, 's> Round<'a, 's> {
    pub(super) fn new(scene: &'s Scene<'a>, asked: Asked<'s>) -> Self {
        Self { scene, asked, opened: Vec::new(), inputs: None, best: None }
    }

    const fn stock(&self) -> Stock<'_> {
        Stock { view: self.scene.view, now: self.scene.situation.now }
    }

    fn row(&self, place: Place) -> &'s Row {
        &self.asked.options.rows[place.row]
    }

    /// Stands at the beginning of each shelf.
    pub(super) fn line_up(
        mut self,
        search: &mut Search,
        inputs: Vec<Soonest<'a>>,
        calendars: &mut Calendars,
    ) {
        self.inputs = Some(inputs);
        for (row, of) in self.asked.options.rows.iter().enumerate() {
            for band in of.bands.clone() {
                self.stand_at(search, Place { row, band }, calendars);
            }
        }
    }

    /// Puts in a shelf with what the first is worth that the class has left there.
    fn stand_at(&mut self, search: &mut Search, place: Place, calendars: &mut Calendars) {
        if let Some(along) = self.along(search, place) {
            let first = calendars.shelves.glance_along(&self.stock(), along);
            self.put_front(search, place, first);
        }
    }

    /// What the class has left on a shelf; none when its data never gets there.
    fn along<'w>(&mut self, search: &'w mut Search, place: Place) -> Option<Along<'w>> {
        let ready = search.floor(self.scene, self.asked, &mut self.inputs)?.ready;
        // Starts that count as one are told apart by price alone.
        let floor = self.scene.start_in_rank(ready, ready);
        let row = self.row(place);
        let places = *search.left_at(place, row);
        let wanted = &search.wanted[usize::from(row.variant)];
        Some(Along { wanted, band: place.band, places, floor })
    }

    /// Puts in a shelf whose first has the nodes at this moment, unless that is not within reach.
    fn put_front(&self, search: &mut Search, place: Place, first: Option<(u32, Moment)>) {
        let floor = search.floor;
        if let Some((first, at)) = first
            && search.is_in_time(self.scene, floor.ready, at.max(floor.ready))
        {
            let left = *search.left_at(place, self.row(place));
            let rank = self.rank_of(place, left, (first, at), &floor);
            search.fronts.push(Reverse((rank, place)));
        }
    }

    /// A rank that neither the first pool left on a shelf beats, which has the nodes at `at`, nor any
    /// other left there: they start later, or at the same time and cost no less.
    fn rank_of(
        &self,
        place: Place,
        left: Places,
        (first, at): (u32, Moment),
        floor: &Data,
    ) -> Rank {
        let Row { variant, run, are_lent, .. } = *self.row(place);
        let roster = &self.scene.view.roster;
        let band = roster.band(place.band);
        let ask = &self.asked.options.asks[usize::from(variant)];
        let rank = |place: u32, start: Moment| {
            let pool = roster.seat(band.pools[place as usize]).pool();
            let price = pool.price(ask.nodes, ask.chips, run).micros.saturating_add(floor.price);
            let carbon_mg = &|| least_carbon(roster.seat(band.greenest), ask, run);
            let family = roster.seat(band.greenest).bands.start;
            let chips = ((family, are_lent), ask.gang_chips(), run);
            let toll = self.scene.toll(self.asked, chips, floor.ready);
            let terms = Terms { finish: start + run, toll, price, carbon_mg };
            Rank::of(self.asked.spec, self.scene.policy, self.scene.situation.now, &terms)
        };
        let start = self.scene.start_in_rank(floor.ready, at.max(floor.ready));
        match left.trailing_zeros() {
            cheapest if cheapest == first => rank(first, start),
            cheapest => rank(first, start).min(rank(cheapest, start + Span(1))),
        }
    }

    /// The best choice there is now; it stays among those kept.
    pub(super) fn run(
        mut self,
        search: &mut Search,
        calendars: &mut Calendars,
    ) -> Option<(Rank, Candidate)> {
        while !calendars.work.is_spent() && self.goes_on(search, calendars) {}
        search.kept.extend(self.opened);
        self.best.map(|((rank, _), found)| (rank, found))
    }

    /// Takes a step with what might be the best; false when nothing is left that might.
    fn goes_on(&mut self, search: &mut Search, calendars: &mut Calendars) -> bool {
        let kept = search.kept.peek().map(|Reverse((rank, number, _))| (*rank, *number));
        let front = search.fronts.peek().map(|Reverse((rank, _))| (*rank, 0));
        let Some(bound) = kept.into_iter().chain(front).min() else { return false };
        if self.best.as_ref().is_some_and(|(best, _)| *best < bound) {
            return false;
        }
        if front == Some(bound)
            && let Some(Reverse(front)) = search.fronts.pop()
        {
            self.take_off(search, front, calendars);
        } else if let Some(Reverse((rank, number, changes))) = search.kept.pop() {
            let choice = &self.asked.options.choices[number as usize];
            let is_known = changes == marked(self.scene.view.changes(choice.pool))
                && !search.is_outdated(self.scene, number);
            match is_known {
                true => self.open(search, number, calendars),
                false => self.look_closer(search, (rank, number), calendars),
            }
        }
        true
    }

    /// Takes the first pool off a shelf that the class has left there, if it is what it seemed to be.
    fn take_off(
        &mut self,
        search: &mut Search,
        (bound, place): (Rank, Place),
        calendars: &mut Calendars,
    ) {
        calendars.work.count(1);
        let Some(along) = self.along(search, place) else { return };
        let left = along.places;
        let found = calendars.shelves.look_along(&self.stock(), along, &mut calendars.work);
        let Some((first, at)) = found else { return };
        let floor = search.floor;
        if self.rank_of(place, left, (first, at), &floor) > bound {
            return self.put_front(search, place, found);
        }
        let row = self.row(place);
        *search.left_at(place, row) &= !(1 << first);
        self.stand_at(search, place, calendars);
        let options = self.asked.options;
        if let Some(number) = options.at(row, place.band, first) {
            let (choice, start) = (&options.choices[number as usize], at.max(floor.ready));
            let rank = self.scene.rank(self.asked, choice, (floor.ready, start), floor.price);
            search.kept.push(Reverse((rank, number, 0)));
        }
    }

    /// Looks when a choice's data can be there and its pool has the nodes for about long enough; where
    /// that does not make it worse than it was, when it has them for as long as it takes. Puts the
    /// choice back with the answer; it is gone when it will never do.
    fn look_closer(
        &mut self,
        search: &mut Search,
        (bound, number): (Rank, u32),
        calendars: &mut Calendars,
    ) {
        let Self { scene, asked, inputs, .. } = self;
        let found = search.data_of(scene, *asked, inputs, number);
        let Some((mut ready, price)) = found else { return };
        let choice = &asked.options.choices[number as usize];
        let stock = Stock { view: scene.view, now: scene.situation.now };
        let wanted = &search.wanted[usize::from(choice.variant)];
        let Calendars { shelves, work } = calendars;
        let Some(about) = shelves.look(&stock, (wanted, choice.pool), work) else { return };
        let mut start = about.max(ready);
        let mut rank = scene.rank(*asked, choice, (ready, start), price);
        let mut changes = 0;
        if rank <= bound
            && let Some(later) = search.look_at_data(scene, inputs.as_deref(), number, choice, work)
        {
            ready = later;
            start = about.max(ready);
            rank = scene.rank(*asked, choice, (ready, start), price);
        }
        if rank <= bound {
            let found = search.window(scene, *asked, number, start, work);
            let Some(found) = found else { return };
            start = found;
            rank = scene.rank(*asked, choice, (ready, start), price);
            changes = marked(scene.view.changes(choice.pool));
        }
        if search.is_in_time(scene, ready, start) {
            search.kept.push(Reverse((rank.max(bound), number, changes)));
        }
    }

    /// Opens a choice.
    fn open(&mut self, search: &mut Search, number: u32, calendars: &mut Calendars) {
        let Self { scene, asked, inputs, .. } = self;
        search.opened += 1;
        let choice: &Choice = &asked.options.choices[number as usize];
        let inputs = inputs_of(scene, *asked, inputs);
        let found = scene.open(*asked, choice, (search.reach, inputs), &mut calendars.work);
        let Ok(found) = found else { return };
        search.expect_data(number, found.data_ready);
        let rank = scene.rank_found(*asked, choice, &found);
        // What its transfers cost may fall when they have to take another path.
        let floor = scene.rank(*asked, choice, (found.data_ready, found.start), 0);
        let changes = marked(scene.view.changes(choice.pool));
        self.opened.push(Reverse((floor, number, changes)));
        if self.best.as_ref().is_none_or(|(best, _)| (rank, number) < *best) {
            self.best = Some(((rank, number), found));
        }
    }
}
