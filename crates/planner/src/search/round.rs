//! The search for one job's place: along the shelves, through what its class kept, until nothing
//! left can be better.

use super::{Calendars, Entry, Search, marked};
use crate::candidate::{Asked, Candidate, Scene};
use crate::options::{Choice, Row, energy};
use crate::rank::{Rank, Terms};
use crate::roster::{BandNumber, PoolNumber};
use crate::shelf::Stock;
use crate::staging::Soonest;
use calendar::Work;
use model::{Moment, Span};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The search for one job's place.
pub(super) struct Round<'a, 's> {
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
pub(super) type Front = Reverse<(Rank, Place)>;

/// A place along a shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    row: usize,
    band: BandNumber,
    position: usize,
}

impl<'a, 's> Round<'a, 's> {
    pub(super) fn new(scene: &'s Scene<'a>, asked: Asked<'s>) -> Self {
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
    pub(super) fn line_up(&self, search: &mut Search, calendars: &mut Calendars) {
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
        match band.pools[0] {
            cheapest if cheapest == pool => rank(pool, at),
            cheapest => rank(pool, at).min(rank(cheapest, at + Span(1))),
        }
    }

    /// The best choice there is now; it stays among those left.
    pub(super) fn run(
        mut self,
        search: &mut Search,
        calendars: &mut Calendars,
    ) -> Option<(Rank, Candidate)> {
        while !calendars.work.is_spent() && self.goes_on(search, calendars) {}
        for place in std::mem::take(&mut self.left) {
            let front = self.front(search, place, calendars);
            search.fronts.extend(front);
        }
        search.kept.extend(self.opened);
        self.best.map(|((rank, _), found)| (rank, found))
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
