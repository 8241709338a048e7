//! When pools have nodes free for long enough: remembered in order, for many classes ask nearly the
//! same.

use crate::ask::Ask;
use crate::board::View;
use crate::roster::{BandNumber, PoolNumber};
use calendar::Work;
use model::{Moment, Span};
use std::collections::BTreeMap;

/// Whole chips on a node, how many such nodes, and for how long: a limit, rounded down.
type Shape = (u32, u32, Span);

/// The pools of each band in the order in which they have the nodes for a shape. Good for one plan,
/// in which `now` is always the same.
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

/// The pools of a band. Where only more was taken of a pool since it was put here, it comes where
/// it stands or later, so that it need not be moved before it is at the front.
#[derive(Debug)]
struct Shelf {
    /// In order.
    books: Vec<Book>,
    /// How many of the pools given back were taken into account.
    seen: usize,
}

/// A pool on a shelf. Small, for very many are looked at one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Book {
    /// Milliseconds from now on until it has the nodes; what is later than that is taken for that.
    after: u32,
    /// Its place in the band.
    place: u32,
    /// As of how many changes of the pool.
    changes: u32,
}

const NEVER: u32 = u32::MAX;
/// Spans are told apart by this many of their leading bits: one is at most a quarter longer than
/// what it is taken for.
const BITS: u32 = 3;

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

    /// The pool at this position of the band, and a moment before which neither it nor those behind it
    /// have the nodes, as they were taken when they were last asked; none when there is no such pool.
    pub(crate) fn peek(
        &mut self,
        stock: &Stock<'_>,
        (wanted, band): (&Wanted, BandNumber),
        position: usize,
        work: &mut Work,
    ) -> Option<(PoolNumber, Moment)> {
        let book = self.shelf(stock, wanted, band, work).books.get(position)?;
        Some((stock.pools_of(band)[book.place as usize], book.at(stock.now)?))
    }

    /// The pool at this position of the band, and a moment before which it does not have the nodes,
    /// as they are taken now. `None` when neither it nor any behind it ever has.
    pub(crate) fn nth(
        &mut self,
        stock: &Stock<'_>,
        (wanted, band): (&Wanted, BandNumber),
        position: usize,
        work: &mut Work,
    ) -> Option<(PoolNumber, Moment)> {
        let pools = stock.pools_of(band);
        let shelf = self.shelf(stock, wanted, band, work);
        loop {
            let book = *shelf.books.get(position)?;
            let pool = pools[book.place as usize];
            if book.changes == stock.view.changes(pool) {
                return Some((pool, book.at(stock.now)?));
            }
            shelf.books.remove(position);
            shelf.put_in(stock.book(wanted, pools, book.place, work));
        }
    }

    /// A moment before which a pool does not have the nodes, as they were taken when it was last
    /// asked.
    pub(crate) fn glance(
        &mut self,
        stock: &Stock<'_>,
        (wanted, pool): (&Wanted, PoolNumber),
        work: &mut Work,
    ) -> Option<Moment> {
        let (shelf, position) = self.find(stock, wanted, pool, work);
        shelf.books[position].at(stock.now)
    }

    /// A moment before which a pool does not have the nodes, as they are taken now.
    pub(crate) fn look(
        &mut self,
        stock: &Stock<'_>,
        (wanted, pool): (&Wanted, PoolNumber),
        work: &mut Work,
    ) -> Option<Moment> {
        let (shelf, position) = self.find(stock, wanted, pool, work);
        let mut book = shelf.books[position];
        if book.changes != stock.view.changes(pool) {
            shelf.books.remove(position);
            let pools = stock.pools_of(stock.view.roster.seat(pool).band);
            book = stock.book(wanted, pools, book.place, work);
            shelf.put_in(book);
        }
        book.at(stock.now)
    }

    fn find(
        &mut self,
        stock: &Stock<'_>,
        wanted: &Wanted,
        pool: PoolNumber,
        work: &mut Work,
    ) -> (&mut Shelf, usize) {
        let band = stock.view.roster.seat(pool).band;
        let place = stock.pools_of(band).iter().position(|p| *p == pool);
        let shelf = self.shelf(stock, wanted, band, work);
        let position = shelf.books.iter().position(|book| Some(book.place as usize) == place);
        (shelf, position.expect("every pool of a band stands on its shelf"))
    }

    fn shelf(
        &mut self,
        stock: &Stock<'_>,
        wanted: &Wanted,
        band: BandNumber,
        work: &mut Work,
    ) -> &mut Shelf {
        let pools = stock.pools_of(band);
        let given_back = &self.given_back;
        let shelves = &mut self.shelves[wanted.number];
        if shelves.is_empty() {
            shelves.resize_with(stock.view.roster.bands(), || None);
        }
        let shelf = shelves[band as usize].get_or_insert_with(|| {
            let places = 0..u32::try_from(pools.len()).expect("pools are fewer than four billion");
            let mut books: Vec<Book> =
                places.map(|place| stock.book(wanted, pools, place, work)).collect();
            books.sort_unstable();
            Shelf { books, seen: given_back.len() }
        });
        for pool in &given_back[shelf.seen..] {
            if stock.view.roster.seat(*pool).band == band {
                let is_it = |book: &Book| pools[book.place as usize] == *pool;
                let book = shelf.books.iter().position(is_it);
                let book = shelf.books.remove(book.expect("every pool of the band stands here"));
                shelf.put_in(stock.book(wanted, pools, book.place, work));
            }
        }
        shelf.seen = given_back.len();
        shelf
    }
}

impl Shelf {
    fn put_in(&mut self, book: Book) {
        let position = self.books.partition_point(|other| *other < book);
        self.books.insert(position, book);
    }
}

impl Book {
    fn at(&self, now: Moment) -> Option<Moment> {
        (self.after != NEVER).then(|| now + Span(self.after.into()))
    }
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

    fn book(&self, wanted: &Wanted, pools: &[PoolNumber], place: u32, work: &mut Work) -> Book {
        let pool = pools[place as usize];
        let board = &self.view.pools[pool as usize];
        let at = board.window(self.now, wanted.span, &wanted.ask, work);
        let after = at.map(|at| u32::try_from(at.since(self.now).0).unwrap_or(NEVER - 1));
        let after = after.map_or(NEVER, |after| after.min(NEVER - 1));
        Book { after, place, changes: self.view.changes(pool) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_taken_for_one_that_is_at_most_a_quarter_shorter() {
        for span in [0, 1, 7, 8, 9, 600_000, 839_999, u64::MAX] {
            let short = rounded_down(Span(span)).0;
            assert!(short <= span && span - short <= span / 4, "{span} {short}");
        }
        assert_eq!(rounded_down(Span(0b1011_1111)), Span(0b1010_0000));
    }
}
