//! Best first: choices of a class in the order of what they might be worth, looked into only until
//! nothing left can be better.
//!
//! What a choice might be worth is found out in steps, each dearer than the one before and taken
//! only for choices that still lead: what is declared of it, when enough nodes are free for the
//! first time, when they are for long enough, and at last which nodes they are and how data gets
//! there. Within a plan calendars only fill up, so what a choice was worth once is a bound on what
//! it is worth later, and most choices are never opened at all. Only a copy of data that an earlier
//! job brings along can make a choice better: then it is put in once more.

use crate::candidate::{Asked, Candidate, Reach, Scene};
use crate::first::FirstNodes;
use crate::rank::Rank;
use crate::staging::Soonest;
use calendar::Work;
use model::Moment;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How far a choice was looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    /// A bound whose calendar was not asked, or long ago.
    Bound,
    /// When its calendar first has the nodes, for however short.
    Nodes,
    /// When its calendar has the nodes for long enough, as of this many changes of the pool.
    Window(u32),
}

/// A choice, by its number, with a rank it does not beat.
type Entry = Reverse<(Rank, u32, Known)>;

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
    pub(crate) first: FirstNodes,
}

/// What is left of a class's choices.
#[derive(Debug)]
pub(crate) struct Search {
    reach: Reach,
    /// How many choices were taken off the front of the class's order; all that follow are left.
    taken: usize,
    /// The first of those.
    head: Option<(Rank, u32)>,
    left: BinaryHeap<Entry>,
    /// For each choice, where the class reads any data.
    data: Vec<Option<Data>>,
    /// How many of the copies that are planned were taken into account.
    copies: usize,
    /// How many choices were opened.
    pub(crate) opened: u64,
}

impl Search {
    /// All choices of the class.
    pub(crate) fn all(scene: &Scene<'_>, asked: Asked<'_>, reach: Reach, work: &mut Work) -> Self {
        let mut search = Self::empty(scene, asked, reach);
        if !asked.spec.inputs.is_empty() {
            search.put_in(scene, asked, 0..asked.options.choices.len());
            search.taken = asked.options.choices.len();
            work.count(search.left.len() as u64 / 16);
        }
        search
    }

    /// Only the choices `numbered`.
    pub(crate) fn among(
        scene: &Scene<'_>,
        asked: Asked<'_>,
        reach: Reach,
        numbered: impl Iterator<Item = usize>,
        calendars: &mut Calendars,
    ) -> Self {
        let mut search = Self::empty(scene, asked, reach);
        search.taken = asked.options.choices.len();
        let now = scene.situation.now;
        let open: Vec<usize> = numbered
            .filter(|i| {
                let choice = &asked.options.choices[*i];
                let ask = asked.options.ask(choice);
                let first = calendars.first.at(scene.view, choice.pool, now, ask);
                first.is_some_and(|first| scene.is_within(reach, now, first))
            })
            .collect();
        calendars.work.count(1 + open.len() as u64 / 16);
        if !open.is_empty() {
            search.put_in(scene, asked, open.into_iter());
        }
        search
    }

    fn empty(scene: &Scene<'_>, asked: Asked<'_>, reach: Reach) -> Self {
        let reading = if asked.spec.inputs.is_empty() { 0 } else { asked.options.choices.len() };
        let (left, data) = (BinaryHeap::new(), vec![None; reading]);
        let copies = scene.coming.len();
        Self { reach, taken: 0, head: None, left, data, copies, opened: 0 }
    }

    /// How far ahead it looks.
    pub(crate) const fn reach(&self) -> Reach {
        self.reach
    }

    /// Takes into account the copies of inputs that were planned meanwhile: what they come to may
    /// be better than it was.
    pub(crate) fn catch_up(&mut self, scene: &Scene<'_>, asked: Asked<'_>) {
        if !asked.spec.inputs.is_empty() && self.copies < scene.coming.len() {
            let come_to = scene.coming.since(self.copies, scene.world, asked.spec);
            let pools = come_to.into_iter().flat_map(|center| scene.view.roster.pools_of(center));
            self.put_in(scene, asked, pools.flat_map(|pool| asked.options.in_pool(pool)));
        }
        self.copies = scene.coming.len();
    }

    /// Puts choices in with what their data allows at best; not those it never comes to.
    fn put_in(
        &mut self,
        scene: &Scene<'_>,
        asked: Asked<'_>,
        numbered: impl Iterator<Item = usize>,
    ) {
        let Some(inputs) = scene.soonest(asked.spec) else { return };
        for i in numbered {
            let choice = &asked.options.choices[i];
            let Some((ready, price)) = scene.data_bound(choice, &inputs) else { continue };
            if let Some(data) = self.data.get_mut(i) {
                *data = Some(Data { ready, price, copies: scene.coming.len() });
            }
            if scene.is_within(self.reach, ready, ready) {
                let rank = scene.rank_at(asked, choice, ready, price);
                self.left.push(Reverse((rank, number(i), Known::Bound)));
            }
        }
    }

    /// The best choice there is now; it stays among those left.
    pub(crate) fn best(
        &mut self,
        scene: &Scene<'_>,
        asked: Asked<'_>,
        calendars: &mut Calendars,
    ) -> Option<(Rank, Candidate)> {
        let mut opened: Vec<Entry> = Vec::new();
        let mut best: Option<((Rank, u32), Candidate)> = None;
        let mut inputs: Option<Vec<Soonest<'_>>> = None;
        while !calendars.work.is_spent() {
            let Some((bound, number, known)) = self.next(scene, asked) else { break };
            if best.as_ref().is_some_and(|(best, _)| *best < (bound, number)) {
                self.left.push(Reverse((bound, number, known)));
                break;
            }
            let choice = &asked.options.choices[number as usize];
            let changes = scene.view.changes(choice.pool);
            if known != Known::Window(changes) || self.is_outdated(scene, number) {
                self.look_closer(scene, asked, &mut inputs, (number, known), calendars);
                continue;
            }
            self.opened += 1;
            let work = &mut calendars.work;
            let Ok(found) = scene.open(asked, choice, self.reach, work) else { continue };
            let rank = scene.rank(asked, choice, found.finish, found.price.micros);
            // What its transfers cost may fall when they have to take another path.
            let floor = scene.rank(asked, choice, found.finish, choice.price);
            opened.push(Reverse((floor, number, Known::Window(changes))));
            if best.as_ref().is_none_or(|(best, _)| (rank, number) < *best) {
                best = Some(((rank, number), found));
            }
        }
        self.left.extend(opened);
        best.map(|((rank, _), found)| (rank, found))
    }

    /// Whether links were booked since it was found out when the choice's data can be there.
    fn is_outdated(&self, scene: &Scene<'_>, number: u32) -> bool {
        let data = self.data.get(number as usize).copied().flatten();
        data.is_some_and(|data| data.copies < scene.coming.len())
    }

    /// When a choice's data can be there and what bringing it costs, by what is booked now; a class
    /// that reads none has it at once.
    fn data_of<'a>(
        &mut self,
        scene: &Scene<'a>,
        asked: Asked<'_>,
        inputs: &mut Option<Vec<Soonest<'a>>>,
        number: u32,
    ) -> Option<(Moment, i64)> {
        let Some(data) = self.data.get(number as usize) else {
            return Some((scene.situation.now, 0));
        };
        let mut data = (*data)?;
        if self.is_outdated(scene, number) {
            if inputs.is_none() {
                *inputs = scene.soonest(asked.spec);
            }
            let choice = &asked.options.choices[number as usize];
            let (ready, price) = scene.data_bound(choice, inputs.as_deref()?)?;
            data = Data { ready, price, copies: scene.coming.len() };
            self.data[number as usize] = Some(data);
        }
        Some((data.ready, data.price))
    }

    /// The choice that might be the best of all that are left.
    fn next(&mut self, scene: &Scene<'_>, asked: Asked<'_>) -> Option<(Rank, u32, Known)> {
        if self.head.is_none() {
            let first = asked.options.choices.get(self.taken);
            self.head = first.map(|c| (scene.rank_in_time(asked, c), number(self.taken)));
        }
        let left = self.left.peek().map(|Reverse((rank, number, _))| (*rank, *number));
        if let Some((rank, number)) = self.head
            && left.is_none_or(|left| (rank, number) < left)
        {
            self.taken += 1;
            self.head = None;
            return Some((rank, number, Known::Bound));
        }
        self.left.pop().map(|Reverse(entry)| entry)
    }

    /// Asks a choice's calendar one question more, and puts it back with the answer. It is gone when
    /// it will never do.
    fn look_closer<'a>(
        &mut self,
        scene: &Scene<'a>,
        asked: Asked<'_>,
        inputs: &mut Option<Vec<Soonest<'a>>>,
        (number, known): (u32, Known),
        calendars: &mut Calendars,
    ) {
        let Some((ready, price)) = self.data_of(scene, asked, inputs, number) else { return };
        let choice = &asked.options.choices[number as usize];
        let (view, now) = (scene.view, scene.situation.now);
        let (ask, limit) = (asked.options.ask(choice), asked.options.limit(choice));
        let (start, known) = match known {
            Known::Bound => {
                let first = calendars.first.at(view, choice.pool, now, ask);
                (first.map(|first| first.max(ready)), Known::Nodes)
            }
            Known::Nodes | Known::Window(_) => {
                let pool = &view.pools[choice.pool as usize];
                let start = pool.window(ready, limit, ask, &mut calendars.work);
                (start, Known::Window(view.changes(choice.pool)))
            }
        };
        let Some(start) = start else { return };
        // Where no data has to come, what cannot start at once never can within this plan.
        let is_too_late = self.reach == Reach::Now && self.data.is_empty() && start > ready;
        if is_too_late || !scene.is_within(self.reach, ready, start) {
            return;
        }
        let rank = scene.rank_at(asked, choice, start, price);
        self.left.push(Reverse((rank, number, known)));
    }
}

fn number(i: usize) -> u32 {
    u32::try_from(i).expect("choices are fewer than four billion")
}
