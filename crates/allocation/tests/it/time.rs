//! Bounds against the best of all orders, and rounds.

use allocation::{
    Active, Choice, Counts, Goal, Place, Rounds, Run, Task, completion_bound, moments, soonest_end,
    timeline,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use smallvec::smallvec;

/// Chips of two kinds.
const CAPACITIES: [f64; 2] = [2.0, 3.0];

/// A few tasks of whole seconds.
fn small(seed: u64) -> Vec<Task> {
    let mut drawn = ChaCha8Rng::seed_from_u64(seed);
    let count = drawn.random_range(1..=5);
    let mut task = || {
        let chips = f64::from(drawn.random_range(1..=2_u8));
        let mut choice = |resource| Choice {
            rate: 1.0 / f64::from(drawn.random_range(1..=6_u8)),
            uses: smallvec![(resource, chips)],
        };
        let choices = vec![choice(0), choice(1)];
        Task {
            count: 1.0,
            weight: 1.0,
            from: f64::from(drawn.random_range(0..=4_u8)),
            work: 1.0,
            choices,
        }
    };
    (0..count).map(|_| task()).collect()
}

/// The least sum of ends and the least last end of all schedules without interruption: tries every
/// order and every choice, each task as soon as it fits.
fn best(tasks: &[Task]) -> (f64, f64) {
    fn go(
        left: &mut Vec<usize>,
        tasks: &[Task],
        placed: &mut Vec<(usize, f64, f64)>,
        best: &mut (f64, f64),
    ) {
        if left.is_empty() {
            let sum: f64 = placed.iter().map(|(_, _, end)| end).sum();
            let last = placed.iter().map(|(_, _, end)| *end).fold(0.0, f64::max);
            *best = (best.0.min(sum), best.1.min(last));
            return;
        }
        for nth in 0..left.len() {
            let task = left.remove(nth);
            for (choice, Choice { rate, .. }) in tasks[task].choices.iter().enumerate() {
                let long = 1.0 / rate;
                let mut starts: Vec<f64> = placed.iter().map(|(_, _, end)| *end).collect();
                starts.push(tasks[task].from);
                starts.retain(|at| *at >= tasks[task].from);
                starts.sort_by(f64::total_cmp);
                let fits = |at: &f64| fits(tasks, placed, (task, choice), *at, long);
                let start = starts.into_iter().find(fits).expect("after all others it fits");
                placed.push((task * 2 + choice, start, start + long));
                go(left, tasks, placed, best);
                placed.pop();
            }
            left.insert(nth, task);
        }
    }
    let mut best = (f64::INFINITY, f64::INFINITY);
    go(&mut (0..tasks.len()).collect(), tasks, &mut Vec::new(), &mut best);
    best
}

fn fits(
    tasks: &[Task],
    placed: &[(usize, f64, f64)],
    (task, choice): (usize, usize),
    at: f64,
    long: f64,
) -> bool {
    let uses = |task: usize, choice: usize| tasks[task].choices[choice].uses[0].1;
    let there = |moment: f64| {
        let others = placed.iter().filter(|(which, from, until)| {
            which % 2 == choice && *from <= moment + 1e-9 && moment + 1e-9 < *until
        });
        others.map(|(which, _, _)| uses(which / 2, choice)).sum::<f64>()
    };
    let moments =
        placed.iter().map(|(_, from, _)| *from).filter(|from| *from > at && *from < at + long);
    moments.chain([at]).all(|moment| there(moment) + uses(task, choice) <= CAPACITIES[choice])
}

#[test]
fn no_schedule_of_a_small_world_is_below_the_bounds() {
    let (mut sum_gap, mut end_gap) = (0.0, 0.0);
    for seed in 0..200 {
        let tasks = small(seed);
        let (sum, last) = best(&tasks);
        let (end, _) = soonest_end(&CAPACITIES, &tasks, 100).unwrap();
        assert!(end <= last + 1e-6, "seed {seed}: {end} is no bound, for {last} can be");
        let moments = moments(0.0, 0.25, 1.05, 40.0);
        let bound = timeline(&CAPACITIES, &tasks, &moments, Counts::FromItsBeginning).unwrap();
        let completion = bound.completion;
        assert!(
            completion <= sum + 1e-6,
            "seed {seed}: {completion} is no bound, for {sum} can be"
        );
        sum_gap += sum / completion - 1.0;
        end_gap += last / end - 1.0;
    }
    // A bound that is nowhere near is none that anybody could use.
    assert!(sum_gap / 200.0 < 0.15, "{}", sum_gap / 200.0);
    assert!(end_gap / 200.0 < 0.35, "{}", end_gap / 200.0);
}

#[test]
fn whatever_the_prices_no_schedule_of_a_small_world_is_below_their_bound() {
    let (mut gap, mut first_gap) = (0.0, 0.0);
    for seed in 0..200 {
        let tasks = small(seed);
        let (sum, _) = best(&tasks);
        let released: f64 = tasks.iter().map(|task| task.from).sum();
        let run =
            |task: &Task| Run { from: task.from, places: task.choices.iter().map(place).collect() };
        let runs: Vec<Run> = tasks.iter().map(run).collect();
        let bound = |rounds| {
            let priced = completion_bound(&CAPACITIES, &runs, (0.5, 40.0), rounds);
            priced.completion + released
        };
        let (rough, good) = (bound(1), bound(400));
        assert!(good <= sum + 1e-6, "seed {seed}: {good} is no bound, for {sum} can be");
        assert!(rough <= good + 1e-9, "seed {seed}: more rounds are no worse");
        gap += sum / good - 1.0;
        first_gap += sum / rough - 1.0;
    }
    assert!(gap / 200.0 < 0.12, "{}", gap / 200.0);
    assert!(gap < first_gap * 0.75, "prices make it better: {gap} after {first_gap}");
}

fn place(choice: &Choice) -> Place {
    Place { long: 1.0 / choice.rate, uses: choice.uses.to_vec() }
}

#[test]
fn releases_taken_together_are_a_bound_still() {
    for seed in 0..50 {
        let tasks = small(seed);
        let (exact, _) = soonest_end(&CAPACITIES, &tasks, 100).unwrap();
        let (rough, _) = soonest_end(&CAPACITIES, &tasks, 1).unwrap();
        assert!(rough <= exact + 1e-6, "seed {seed}: {rough} beside {exact}");
    }
}

fn active(id: u64, left: f64) -> Active {
    let choices = vec![Choice { rate: 1.0, uses: smallvec![(0, 1.0)] }];
    Active { id, left, even_rate: 1.0, weight: 1.0, choices }
}

/// Plays jobs on one chip; says when each ended.
fn played(goal: Goal, work: &[f64]) -> Vec<f64> {
    let mut rounds = Rounds::new(goal, 1.0);
    let mut left = work.to_vec();
    let mut ended = vec![0.0; work.len()];
    let mut now = 0.0;
    while left.iter().any(|left| *left > 0.0) {
        let there: Vec<usize> = (0..left.len()).filter(|at| left[*at] > 0.0).collect();
        let jobs: Vec<Active> = there.iter().map(|at| active(*at as u64, left[*at])).collect();
        let chosen = rounds.next(&[1.0], &jobs).expect("it can be solved");
        assert_eq!(chosen.len(), 1, "the chip is never idle");
        now += 1.0;
        for (at, _) in chosen {
            left[there[at]] -= 1.0;
            ended[there[at]] = now;
        }
    }
    ended
}

#[test]
fn the_shortest_is_first_for_the_mean_and_nobody_is_later_than_by_fair_shares() {
    assert_eq!(played(Goal::MeanCompletion, &[5.0, 1.0, 3.0]), [9.0, 1.0, 4.0]);
    // By fair shares alone they would be done at 9, 3 and 7.
    let fair = played(Goal::Fair, &[5.0, 1.0, 3.0]);
    for (ended, by_shares) in fair.iter().zip([9.0, 3.0, 7.0]) {
        assert!(*ended <= by_shares, "{fair:?}");
    }
    // Even shares take turns.
    assert_eq!(played(Goal::Isolated, &[2.0, 2.0]), [3.0, 4.0]);
}
