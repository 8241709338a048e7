//! The calendar against a model that keeps one number a millisecond.

use calendar::{Misfit, Pouring, Profile, Segment, Work, pour};
use model::{Bytes, Moment, Rate, Span};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What is free in each millisecond; the last entry holds for ever.
#[derive(Clone)]
struct Naive {
    capacity: u64,
    start: usize,
    free: Vec<u64>,
}

impl Naive {
    fn new(capacity: u64, grid: usize) -> Self {
        Self { capacity, start: 0, free: vec![capacity; grid + 1] }
    }

    /// The entries of an interval whose ends lie on the grid or are `Moment::MAX`.
    fn entries(&self, from: Moment, until: Moment) -> std::ops::Range<usize> {
        let index = |at: Moment| usize::try_from(at.0).unwrap_or(usize::MAX).min(self.free.len());
        let (from, until) = (index(from).max(self.start), index(until));
        from.min(until)..until
    }

    fn free_at(&self, at: Moment) -> u64 {
        let last = self.free.len() - 1;
        let index = usize::try_from(at.0).map_or(last, |i| i.min(last));
        self.free[index.max(self.start)]
    }

    fn least(&self, from: Moment, until: Moment) -> u64 {
        self.free[self.entries(from, until)].iter().copied().min().unwrap_or(self.capacity)
    }

    fn take(&mut self, from: Moment, until: Moment, amount: u64) -> bool {
        let entries = self.entries(from, until);
        let fits = self.free[entries.clone()].iter().all(|free| *free >= amount);
        if fits {
            self.free[entries].iter_mut().for_each(|free| *free -= amount);
        }
        fits
    }

    fn give(&mut self, from: Moment, until: Moment, amount: u64) -> bool {
        let entries = self.entries(from, until);
        let fits = self.free[entries.clone()].iter().all(|free| self.capacity - free >= amount);
        if fits {
            self.free[entries].iter_mut().for_each(|free| *free += amount);
        }
        fits
    }

    fn earliest(&self, from: Moment, span: Span, amount: u64) -> Option<Moment> {
        let starts = self.entries(from, Moment::MAX).map(|i| Moment(i as u64));
        let grid_end = Moment(self.free.len() as u64);
        let end = |start: Moment| if start + span >= grid_end { Moment::MAX } else { start + span };
        starts.into_iter().find(|start| amount <= self.least(*start, end(*start)))
    }

    fn segments(&self) -> Vec<Segment> {
        let mut segments: Vec<Segment> = Vec::new();
        for (i, &amount) in self.free.iter().enumerate().skip(self.start) {
            let at = Moment(i as u64);
            match segments.last_mut() {
                Some(last) if last.amount == amount => {}
                last => {
                    if let Some(last) = last {
                        last.until = at;
                    }
                    segments.push(Segment { from: at, until: Moment::MAX, amount });
                }
            }
        }
        segments
    }
}

struct Pair {
    rng: ChaCha8Rng,
    naive: Naive,
    profile: Profile,
}

impl Pair {
    fn new(seed: u64, capacity: u64, grid: usize) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { rng, naive: Naive::new(capacity, grid), profile: Profile::new(capacity) }
    }

    fn moment(&mut self) -> Moment {
        Moment(self.rng.random_range(0..self.naive.free.len() as u64))
    }

    /// Mostly short, now and then for ever, empty or upside down.
    fn interval(&mut self) -> (Moment, Moment) {
        let from = self.moment();
        let until = match self.rng.random_range(0..20) {
            0 => Moment::MAX,
            1 => from,
            2 => self.moment(),
            _ => Moment(
                (from.0 + self.rng.random_range(1..20)).min(self.naive.free.len() as u64 - 1),
            ),
        };
        (from, until)
    }

    fn change(&mut self) {
        let (from, until) = self.interval();
        let amount = self.rng.random_range(0..=self.naive.capacity / 3 + 2);
        let before = self.profile.clone();
        let (fits, answer) = if self.rng.random_bool(0.6) {
            (self.naive.take(from, until, amount), self.profile.take(from, until, amount))
        } else {
            (self.naive.give(from, until, amount), self.profile.give(from, until, amount))
        };
        assert_eq!(fits, answer.is_ok(), "{from:?}..{until:?} {amount} {answer:?} {before:?}");
        if let Err(Misfit::TooFew { at, free, .. }) = answer {
            assert_eq!(before.free_at(at), free);
        }
        if !fits {
            assert_eq!(before, self.profile, "a refused change changes nothing");
        }
        if self.rng.random_range(0..50) == 0 {
            let now = self.naive.start + self.rng.random_range(0..4);
            self.naive.start = now.min(self.naive.free.len() - 1);
            self.profile.forget_before(Moment(self.naive.start as u64));
        }
    }

    fn ask(&mut self) {
        let (from, until) = self.interval();
        let amount = self.rng.random_range(0..=self.naive.capacity + 1);
        let span = match self.rng.random_range(0..8) {
            0 => Span::MAX,
            1 => Span::ZERO,
            _ => Span(self.rng.random_range(0..40)),
        };
        assert_eq!(self.profile.free_at(from), self.naive.free_at(from));
        assert_eq!(self.profile.least(from, until), self.naive.least(from, until));
        let found = self.profile.earliest(from, span, amount, &mut Work::unbounded());
        let expected = self.naive.earliest(from, span, amount);
        assert_eq!(found, expected, "{from:?} {span:?} {amount} {:?}", self.profile);
    }
}

fn check(seed: u64, capacity: u64, grid: usize, changes: usize) {
    let mut pair = Pair::new(seed, capacity, grid);
    for _ in 0..changes {
        pair.change();
        pair.ask();
    }
    let segments: Vec<_> = pair.profile.segments().collect();
    assert_eq!(segments, pair.naive.segments(), "seed {seed}");
}

#[test]
fn a_profile_says_what_a_list_of_milliseconds_says() {
    (0..4_000).for_each(|seed| check(seed, 1 + seed % 7, 24, 40));
    (0..40).for_each(|seed| check(seed, 1_000, 1_500, 1_500));
    (0..100).for_each(|seed| check(seed, u64::MAX - 1, 60, 200));
}

#[test]
fn equal_profiles_cost_equal_work_however_they_came_about() {
    for seed in 0..50 {
        let mut pair = Pair::new(seed, 9, 600);
        (0..600).for_each(|_| pair.change());
        let mut rebuilt = Profile::new(9);
        for s in pair.profile.segments().collect::<Vec<_>>().into_iter().rev() {
            assert_eq!(rebuilt.take(s.from, s.until, 9 - s.amount), Ok(()));
        }
        rebuilt.forget_before(pair.profile.start());
        assert_eq!(rebuilt, pair.profile);
        let (mut one, mut other) = (Work::unbounded(), Work::unbounded());
        for amount in 0..10 {
            let found = pair.profile.earliest(Moment(0), Span(30), amount, &mut one);
            assert_eq!(found, rebuilt.earliest(Moment(0), Span(30), amount, &mut other));
        }
        assert_eq!(one.done(), other.done());
    }
}

#[test]
fn a_what_if_leaves_the_original_alone() {
    let mut real = Profile::new(8);
    (0..500).for_each(|i| real.take(Moment(i * 10), Moment(i * 10 + 5), 1).unwrap());
    let before: Vec<_> = real.segments().collect();
    let mut what_if = real.clone();
    what_if.take(Moment(777), Moment::MAX, 7).unwrap();
    what_if.forget_before(Moment(900));
    assert_ne!(what_if, real);
    assert_eq!(real.segments().collect::<Vec<_>>(), before);
}

#[test]
fn the_past_is_over_but_what_reaches_into_the_future_can_be_given_back() {
    let mut profile = Profile::new(4);
    profile.take(Moment(5), Moment(100), 3).unwrap();
    profile.forget_before(Moment(50));
    assert_eq!(profile.start(), Moment(50));
    assert_eq!(profile.take(Moment(0), Moment(50), 9), Ok(()), "nothing happens in the past");
    profile.give(Moment(5), Moment(100), 3).unwrap();
    assert_eq!(profile.segments().count(), 1);
    profile.forget_before(Moment::MAX);
    assert_eq!(profile.free_at(Moment::MAX), 4);
}

#[test]
fn a_misfit_says_where_and_how_much() {
    let mut profile = Profile::new(10);
    profile.take(Moment(1_000), Moment(2_000), 7).unwrap();
    let too_few = profile.take(Moment(0), Moment::MAX, 4).unwrap_err();
    assert_eq!(too_few.to_string(), "only 3 free at 1970-01-01T00:00:01.000Z, asked for 4");
    let not_taken = profile.give(Moment(1_500), Moment(3_000), 1).unwrap_err();
    assert_eq!(not_taken, Misfit::NotTaken { at: Moment(2_000), taken: 0, amount: 1 });
}

/// Bits poured millisecond by millisecond, as fast as the pipes allow: the end, if within the grid.
fn poured_naively(pipes: &[&Naive], what: &Pouring) -> Option<Moment> {
    let mut left = i128::from(what.volume.0) * 8_000;
    let least = what.least.min(what.most).0.max(1);
    let mut at = what.from;
    while left > 0 {
        let rate = pipes.iter().map(|pipe| pipe.free_at(at)).fold(what.most.0, u64::min);
        if rate >= least {
            left -= i128::from(rate);
        } else if at.0 > pipes[0].free.len() as u64 {
            return None;
        }
        at = at + Span(1);
    }
    Some(at)
}

#[test]
fn pouring_ends_as_early_as_it_can_and_never_takes_what_is_not_free() {
    for seed in 0..3_000 {
        let mut pairs: Vec<_> =
            (0..1 + seed % 3).map(|i| Pair::new(seed * 3 + i, 9_000, 60)).collect();
        for pair in &mut pairs {
            (0..30).for_each(|_| pair.change());
        }
        let latest = pairs.iter().map(|pair| pair.profile.start()).max().unwrap();
        let rng = &mut pairs[0].rng;
        let what = Pouring {
            from: latest + Span(rng.random_range(0..40)),
            volume: Bytes(rng.random_range(0..30)),
            most: Rate(rng.random_range(1..12_000)),
            least: Rate(rng.random_range(0..5_000)),
            by: Moment::MAX,
        };
        let naive: Vec<_> = pairs.iter().map(|pair| &pair.naive).collect();
        let expected = poured_naively(&naive, &what);
        let pipes: Vec<_> = pairs.iter().map(|pair| &pair.profile).collect();
        let poured = pour(&pipes, &what, &mut Work::unbounded());
        let end = |s: &Vec<Segment>| s.last().map_or(what.from, |last| last.until);
        assert_eq!(poured.as_ref().map(end), expected, "seed {seed} {what:?} {pipes:?}");
        let by = expected.unwrap_or(latest) + Span(1);
        for by in [by, Moment(by.0 - 1), Moment(by.0.saturating_sub(2))] {
            let in_time = pour(&pipes, &Pouring { by, ..what }, &mut Work::unbounded());
            let expected =
                poured.as_ref().filter(|segments| end(segments) <= by || segments.is_empty());
            assert_eq!(in_time.as_ref(), expected, "seed {seed} {what:?} {by:?}");
        }
        for s in poured.unwrap_or_default() {
            assert!(s.from < s.until && s.amount <= what.most.0);
            pairs.iter_mut().for_each(|p| p.profile.take(s.from, s.until, s.amount).unwrap());
        }
    }
}

#[test]
fn pouring_through_nothing_at_no_rate_or_past_the_end_of_time_is_an_answer() {
    let what = |from, volume, most| Pouring {
        from: Moment(from),
        volume: Bytes(volume),
        most: Rate(most),
        least: Rate(0),
        by: Moment::MAX,
    };
    let pouring = |pipes: &[&Profile], what| pour(pipes, &what, &mut Work::unbounded());
    let narrow = Profile::new(1);
    assert_eq!(pouring(&[], what(7, 0, 0)), Some(vec![]));
    assert_eq!(pouring(&[], what(7, 1, 0)), None);
    assert_eq!(pouring(&[&narrow], what(0, u64::MAX, 1)), None);
    assert_eq!(pouring(&[&narrow], what(u64::MAX, 1, 1)), None);
    let at_once = Segment { from: Moment(7), until: Moment(8), amount: u64::MAX };
    assert_eq!(pouring(&[], what(7, 9, u64::MAX)), Some(vec![at_once]));
}
