//! The arithmetic floor of a load: the least time in which any scheduler whatever could be through
//! with it.
//!
//! Three things bound it, each of them only arithmetic. No job ends before it came and ran as fast as
//! it can. And for any set of rooms (pools, say), the work of those jobs that can run nowhere else and
//! that came at some moment or later has to go through the set's chips from that moment on: with the
//! moment as `r`, no schedule is shorter than `r + work ÷ chips`. The floor is the greatest of these;
//! that of sets of rooms is the linear program's for jobs that may be cut into pieces at will, which no
//! schedule of whole jobs beats.
//!
//! Deliberately absent: what whole jobs on whole nodes lose, and quotas. A schedule that reaches the
//! floor need not exist.

use model::{Chips, Span};
use std::collections::{BTreeMap, BTreeSet};

/// No more sets of rooms than this are looked at; leaving some out only lowers the floor.
const MOST_SETS: usize = 1_024;

/// A job, for what it does to the floor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// When it comes.
    pub release: Span,
    /// Where and how it can run; a task that has none bounds nothing.
    pub ways: Vec<Way>,
}

/// One way to run a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The room, by its place among the rooms; none for a job without chips.
    pub room: Option<usize>,
    /// How many of its chips the task holds.
    pub chips: Chips,
    /// For how long.
    pub run: Span,
}

/// The least time from the load's start until all is done, and what makes it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor {
    /// The time.
    pub span: Span,
    /// What makes it so.
    pub bound: Bound,
}

/// What makes a floor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// There is nothing to do.
    Nothing,
    /// This task cannot end earlier, by its place among the tasks.
    Task(usize),
    /// The work that only these rooms can do, and that comes at this moment or later.
    Rooms {
        /// The rooms, by place.
        rooms: Vec<usize>,
        /// From when on.
        from: Span,
    },
}

impl Task {
    /// How soon it can end.
    fn end(&self) -> Option<Span> {
        self.ways.iter().map(|way| self.release + way.run).min()
    }

    /// The rooms it can run in; none where it can also do without.
    fn rooms(&self) -> Option<BTreeSet<usize>> {
        let rooms: Option<BTreeSet<usize>> = self.ways.iter().map(|way| way.room).collect();
        rooms.filter(|rooms| !rooms.is_empty())
    }

    /// The least work it can be, in thousandths of a chip × milliseconds.
    fn work(&self) -> u128 {
        let work = |way: &Way| u128::from(way.chips.0) * u128::from(way.run.0);
        self.ways.iter().map(work).min().unwrap_or(0)
    }
}

/// The floor of a load on rooms with so many chips each. Rounded down to the millisecond.
#[must_use]
pub fn floor(rooms: &[Chips], tasks: &[Task]) -> Floor {
    let ends = tasks.iter().enumerate().filter_map(|(n, task)| Some((task.end()?, n)));
    // Of tasks that end alike the last says most: it is the one that came last.
    let longest =
        ends.max().map_or(Floor { span: Span::ZERO, bound: Bound::Nothing }, |(end, n)| Floor {
            span: end,
            bound: Bound::Task(n),
        });
    let work = Work::of(tasks);
    let through = work.sets().into_iter().filter_map(|set| work.through(&set, rooms));
    // A job that bounds as much as all chips together is the plainer reason.
    through.fold(longest, |most, next| if next.span > most.span { next } else { most })
}

/// The work of a load by where it can be done.
struct Work {
    /// Each set of rooms that some tasks are bound to.
    bound_to: Vec<BTreeSet<usize>>,
    /// When which work comes and, by place, where it is bound to; the last first.
    comes: Vec<(Span, usize, u128)>,
}

impl Work {
    fn of(tasks: &[Task]) -> Self {
        let mut places: BTreeMap<BTreeSet<usize>, usize> = BTreeMap::new();
        let mut comes = Vec::with_capacity(tasks.len());
        for task in tasks {
            let Some(rooms) = task.rooms() else { continue };
            let next = places.len();
            let place = *places.entry(rooms).or_insert(next);
            comes.push((task.release, place, task.work()));
        }
        comes.sort_unstable_by(|a, b| b.cmp(a));
        let mut bound_to = vec![BTreeSet::new(); places.len()];
        for (rooms, place) in places {
            bound_to[place] = rooms;
        }
        Self { bound_to, comes }
    }

    /// All that can be joined of the sets that tasks are bound to: no other set can bound more.
    fn sets(&self) -> BTreeSet<BTreeSet<usize>> {
        let mut sets: BTreeSet<BTreeSet<usize>> = self.bound_to.iter().cloned().collect();
        sets.insert(self.bound_to.iter().flatten().copied().collect());
        for with in &self.bound_to {
            let joined: Vec<_> = sets.iter().map(|set| set | with).collect();
            for set in joined {
                if sets.len() >= MOST_SETS {
                    return sets;
                }
                sets.insert(set);
            }
        }
        sets
    }

    /// How soon the work bound to a set of rooms, or to less than that, can be done.
    fn through(&self, set: &BTreeSet<usize>, rooms: &[Chips]) -> Option<Floor> {
        let chips = set.iter().filter_map(|room| rooms.get(*room)).map(|chips| u128::from(chips.0));
        let chips: u128 = chips.sum();
        if chips == 0 {
            return None;
        }
        let inside: Vec<bool> = self.bound_to.iter().map(|rooms| rooms.is_subset(set)).collect();
        let mut work = 0;
        let mut most: Option<(Span, Span)> = None;
        for (release, place, some) in &self.comes {
            if !inside[*place] {
                continue;
            }
            work += some;
            let span = *release + Span(u64::try_from(work / chips).unwrap_or(u64::MAX));
            if most.is_none_or(|(longest, _)| span >= longest) {
                most = Some((span, *release));
            }
        }
        let (span, from) = most?;
        Some(Floor { span, bound: Bound::Rooms { rooms: set.iter().copied().collect(), from } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn task(release: u64, rooms: &[usize], chips: u64, run: u64) -> Task {
        let way =
            |room: &usize| Way { room: Some(*room), chips: Chips::whole(chips), run: Span(run) };
        Task { release: Span(release), ways: rooms.iter().map(way).collect() }
    }

    #[track_caller]
    fn check(rooms: &[u64], tasks: &[Task], span: u64, bound: &Bound) {
        let rooms: Vec<Chips> = rooms.iter().copied().map(Chips::whole).collect();
        let found = floor(&rooms, tasks);
        assert_eq!((found.span, &found.bound), (Span(span), bound));
    }

    #[test]
    fn a_single_job_bounds_by_when_it_came_and_how_long_it_runs() {
        check(&[4], &[], 0, &Bound::Nothing);
        check(&[4], &[task(5, &[0], 1, 10)], 15, &Bound::Task(0));
        let last = [task(0, &[0], 1, 10), task(90, &[0], 1, 10)];
        check(&[4], &last, 100, &Bound::Task(1));
    }

    #[test]
    fn a_job_that_may_run_faster_elsewhere_bounds_by_the_faster_way() {
        let mut job = task(0, &[0, 1], 1, 10);
        job.ways[1].run = Span(4);
        check(&[1, 1], &[job], 4, &Bound::Task(0));
    }

    #[test]
    fn chips_bound_by_all_the_work_there_is() {
        let bound = Bound::Rooms { rooms: vec![0, 1], from: Span::ZERO };
        check(&[3, 1], &vec![task(0, &[0, 1], 2, 10); 8], 40, &bound);
    }

    #[test]
    fn chips_bound_by_what_came_late() {
        let jobs = [task(0, &[0], 1, 1), task(50, &[0], 2, 10), task(50, &[0], 2, 10)];
        check(&[2], &jobs, 70, &Bound::Rooms { rooms: vec![0], from: Span(50) });
    }

    #[test]
    fn jobs_that_only_some_chips_can_do_bound_by_those_alone() {
        let mut jobs = vec![task(0, &[0, 1], 1, 10); 4];
        jobs.extend(vec![task(0, &[1], 1, 10); 6]);
        check(&[100, 2], &jobs, 30, &Bound::Rooms { rooms: vec![1], from: Span::ZERO });
    }

    #[test]
    fn shares_of_a_chip_and_jobs_without_chips_count_as_what_they_are() {
        let share = Way { room: Some(0), chips: Chips(250), run: Span(8) };
        let jobs = vec![Task { release: Span::ZERO, ways: vec![share] }; 8];
        check(&[1], &jobs, 16, &Bound::Rooms { rooms: vec![0], from: Span::ZERO });
        let bare = Way { room: None, chips: Chips::ZERO, run: Span(8) };
        check(&[1], &[Task { release: Span(3), ways: vec![bare] }], 11, &Bound::Task(0));
    }

    /// The shortest schedule there is, by trying every room and every start of every job: four that
    /// run for at most three have all begun after nine.
    fn best(
        rooms: &[u64],
        tasks: &[Task],
        held: &mut Vec<(usize, u64, u64, u64)>,
        end: u64,
    ) -> u64 {
        let Some((task, rest)) = tasks.split_first() else { return end };
        let mut least = u64::MAX;
        for way in &task.ways {
            let (room, chips) = (way.room.expect("made with rooms"), way.chips.0 / 1_000);
            for start in task.release.0..task.release.0 + 10 {
                let until = start + way.run.0;
                let fits = (start..until).all(|now| {
                    let at =
                        held.iter().filter(|(r, s, u, _)| *r == room && (*s..*u).contains(&now));
                    at.map(|(_, _, _, chips)| chips).sum::<u64>() + chips <= rooms[room]
                });
                if fits {
                    held.push((room, start, until, chips));
                    least = least.min(best(rooms, rest, held, end.max(until)));
                    held.pop();
                }
            }
        }
        least
    }

    #[test]
    fn no_schedule_of_any_small_load_beats_its_floor_and_many_reach_it() {
        let (mut reached, cases) = (0, 200);
        for seed in 0..cases {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let rooms: Vec<u64> = (0..2).map(|_| rng.random_range(1..=3)).collect();
            let tasks: Vec<Task> = (0..rng.random_range(1..=4))
                .map(|_| {
                    let chips = rng.random_range(1..=rooms[0].min(rooms[1]));
                    let at = [&[0][..], &[1], &[0, 1]][rng.random_range(0..3)];
                    task(rng.random_range(0..3), at, chips, rng.random_range(1..=3))
                })
                .collect();
            let shortest = best(&rooms, &tasks, &mut Vec::new(), 0);
            let chips: Vec<Chips> = rooms.iter().copied().map(Chips::whole).collect();
            let floor = floor(&chips, &tasks).span.0;
            assert!(
                floor <= shortest,
                "seed {seed}: {floor} > {shortest} of {tasks:?} on {rooms:?}"
            );
            reached += u64::from(floor == shortest);
        }
        assert!(reached * 2 > cases, "{reached} of {cases}");
    }
}
