//! When pools have nodes free for long enough: remembered, for many classes ask nearly the same.

use crate::ask::Ask;
use crate::roster::{BandNumber, Places, PoolNumber};
use crate::view::View;
use calendar::Work;
use model::{Moment, Span};
use std::collections::BTreeMap;

/// Whole chips on a node, how many such nodes, and for how long: a limit, rounded down.
type Shape = (u32, u32, Span);

/// When the pools of each band have the nodes for a shape. Good for one plan, in which `now` is
/// always the same.
#[derive(Debug, Default)]
pub(crate) struct Shelves {
    numbers: BTreeMap<Shape, usize>,
    /// By the shape's number, then by the band's; none where nobody asked yet.
    shelves: Vec<Vec<Option<Shelf>>>,
    /// Pools something was given back of, in order.
    given_back: Vec<PoolNumber>,
}

/// What is asked of pools: a shape's number, and the shape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    number: usize,
    ask: Ask,
    span: Span,
}

/// The pools of a band, by place. Where only more was taken of a pool since it was asked, it has the
/// nodes when it said or later, so that it need not be asked again before it is the first.
#[derive(Debug)]
struct Shelf {
    books: Vec<Book>,
    /// How many of the pools given back were taken into account.
    seen: usize,
}

/// A pool on a shelf. Small, for very many are looked at one after another.
#[derive(Debug, Clone, Copy)]
struct Book {
    /// Milliseconds from now on until it has the nodes; what is later than that is taken for that.
    after: u32,
    /// As of how many changes of the pool.
    changes: u32,
}

/// Places of a band to find the first among.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Along<'a> {
    pub(crate) wanted: &'a Wanted,
    pub(crate) band: BandNumber,
    pub(crate) places: Places,
    /// All pools that have the nodes by then are equally soon.
    pub(crate) floor: Moment,
}

const NEVER: u32 = u32::MAX;
/// Spans are told apart by this many of their leading bits: one is taken for one that is at most a
/// third shorter. With one more, twice as many shapes are asked for and a plan takes a tenth longer.
const BITS: u32 = 2;

/// The span without all but its leading bits.
const fn rounded_down(span: Span) -> Span {
    let length = u64::BITS - span.0.leading_zeros();
    let rest = length.saturating_sub(BITS);
    Span(span.0 >> rest << rest)
}

impl Shelves {
    /// What is to be asked of pools for `ask` and this limit.
    pub(crate) fn wanted(&mut self, ask: &Ask, limit: Span) -> Wanted {
        let span = rounded_down(limit);
        let new = self.shelves.len();
        let number = *self.numbers.entry((ask.whole(), ask.nodes, span)).or_insert(new);
        if number == new {
            self.shelves.push(Vec::new());
        }
        Wanted { number, ask: *ask, span }
    }

    /// Something of the pool was given back.
    pub(crate) fn give_back(&mut self, pool: PoolNumber) {
        self.given_back.push(pool);
    }

    /// The place whose pool has the nodes first, the cheapest of those that are equally soon, and a
    /// moment before which it does not have them, as they were taken when pools were last asked. None
    /// when none of them ever has.
    pub(crate) fn glance_along(
        &mut self,
        stock: &Stock<'_>,
        along: Along<'_>,
    ) -> Option<(u32, Moment)> {
        let shelf = self.shelf(stock, along.wanted, along.band);
        let place = shelf.first(along.places, after(along.floor, stock.now))?;
        Some((place, shelf.books[place as usize].at(stock.now)?))
    }

    /// The same, as the nodes are taken now.
    pub(crate) fn look_along(
        &mut self,
        stock: &Stock<'_>,
        along: Along<'_>,
        work: &mut Work,
    ) -> Option<(u32, Moment)> {
        let pools = stock.pools_of(along.band);
        let shelf = self.shelf(stock, along.wanted, along.band);
        loop {
            let place = shelf.first(along.places, after(along.floor, stock.now))?;
            let (book, pool) = (&mut shelf.books[place as usize], pools[place as usize]);
            if book.changes == stock.view.changes(pool) {
                return Some((place, book.at(stock.now)?));
            }
            *book = stock.read(along.wanted, (pool, *book), work);
        }
    }

    /// A moment before which a pool does not have the nodes, as they were taken when it was last
    /// asked.
    pub(crate) fn glance(
        &mut self,
        stock: &Stock<'_>,
        (wanted, pool): (&Wanted, PoolNumber),
    ) -> Option<Moment> {
        let seat = stock.view.roster.seat(pool);
        let shelf = self.shelf(stock, wanted, seat.band);
        shelf.books[seat.place as usize].at(stock.now)
    }

    /// The same, as the nodes are taken now.
    pub(crate) fn look(
        &mut self,
        stock: &Stock<'_>,
        (wanted, pool): (&Wanted, PoolNumber),
        work: &mut Work,
    ) -> Option<Moment> {
        let seat = stock.view.roster.seat(pool);
        let shelf = self.shelf(stock, wanted, seat.band);
        let book = &mut shelf.books[seat.place as usize];
        if book.changes != stock.view.changes(pool) {
            *book = stock.read(wanted, (pool, *book), work);
        }
        book.at(stock.now)
    }

    fn shelf(&mut self, stock: &Stock<'_>, wanted: &Wanted, band: BandNumber) -> &mut Shelf {
        let pools = stock.pools_of(band);
        let given_back = &self.given_back;
        let shelves = &mut self.shelves[wanted.number];
        if shelves.is_empty() {
            shelves.resize_with(stock.view.roster.bands(), || None);
        }
        let shelf = shelves[band as usize].get_or_insert_with(|| Shelf {
            books: vec![Book::UNREAD; pools.len()],
            seen: given_back.len(),
        });
        for pool in &given_back[shelf.seen..] {
            let seat = stock.view.roster.seat(*pool);
            if seat.band == band {
                shelf.books[seat.place as usize] = Book::UNREAD;
            }
        }
        shelf.seen = given_back.len();
        shelf
    }
}

impl Shelf {
    /// The first of these places: the lowest that has the nodes by `floor`, else the soonest.
    fn first(&self, places: Places, floor: u32) -> Option<u32> {
        let (mut first, mut soonest) = (None, NEVER);
        let mut rest = places;
        while rest != 0 {
            let place = rest.trailing_zeros();
            let Book { after, .. } = self.books[place as usize];
            if after <= floor {
                return Some(place);
            }
            if after < soonest {
                (first, soonest) = (Some(place), after);
            }
            rest &= rest - 1;
        }
        first
    }
}

impl Book {
    /// Nobody asked yet: it may have the nodes at once.
    const UNREAD: Self = Self { after: 0, changes: u32::MAX };

    fn at(self, now: Moment) -> Option<Moment> {
        (self.after != NEVER).then(|| now + Span(self.after.into()))
    }
}

/// Milliseconds from `now` until `at`, which is some time.
fn after(at: Moment, now: Moment) -> u32 {
    u32::try_from(at.since(now).0).unwrap_or(NEVER).min(NEVER - 1)
}

/// What shelves are filled from.
pub(crate) struct Stock<'a> {
    pub(crate) view: &'a View,
    pub(crate) now: Moment,
}

impl<'a> Stock<'a> {
    fn pools_of(&self, band: BandNumber) -> &'a [PoolNumber] {
        &self.view.roster.band(band).pools
    }

    /// When a pool has the nodes of which only more was taken since it was asked: no sooner than then.
    fn read(&self, wanted: &Wanted, (pool, book): (PoolNumber, Book), work: &mut Work) -> Book {
        let board = &self.view.pools[pool as usize];
        let from = book.at(self.now);
        let at = from.and_then(|from| board.window(from, wanted.span, &wanted.ask, work));
        let after = at.map_or(NEVER, |at| after(at, self.now));
        Book { after, changes: self.view.changes(pool) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_taken_for_one_that_is_at_most_a_third_shorter() {
        for span in [0, 1, 7, 8, 9, 600_000, 839_999, u64::MAX] {
            let short = rounded_down(Span(span)).0;
            assert!(short <= span && span - short <= span / 3, "{span} {short}");
        }
        assert_eq!(rounded_down(Span(0b1011_1111)), Span(0b1000_0000));
    }
}
