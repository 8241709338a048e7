//! Work laid out over time, as if it could be divided at will.
//!
//! Time is cut into stretches; how much time each task has of each of its choices in each stretch is
//! found by one linear program. What no real schedule does (dividing tasks at will, moving them for
//! nothing) makes it a bound; what it does first is a guide for real ones.

use crate::linear::{Program, Row};
use crate::{Choice, Error};

/// Work that is to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// How many such tasks there are; more than zero.
    pub count: f64,
    /// How much its completion counts.
    pub weight: f64,
    /// When it can begin.
    pub from: f64,
    /// How much there is to do of each, in units of the choices' rates.
    pub work: f64,
    /// Where it can be done: what is done in one unit of time, and what that uses meanwhile.
    pub choices: Vec<Choice>,
}

impl Task {
    /// How long it takes at least.
    #[must_use]
    pub fn shortest(&self) -> f64 {
        let rate = self.choices.iter().map(|choice| choice.rate).fold(0.0, f64::max);
        if self.work <= 0.0 { 0.0 } else { self.work / rate }
    }
}

/// What a stretch of time counts as in the mean time at which work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Its beginning: what comes out is a bound, for nothing is done before.
    FromItsBeginning,
    /// Its middle: what comes out is about right.
    ByItsMiddle,
}

/// Work over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// The sum over all tasks of weight times the time at which it is done.
    pub completion: f64,
    /// For each task, for each choice, the time that one of them has there in each stretch.
    pub times: Vec<Vec<Vec<f64>>>,
}

/// Lays tasks out so that they are done as soon as can be in the mean, in the stretches between these
/// moments, of which the last is far enough away to have everything done. A task that nothing can run
/// is left out.
///
/// A task is done no sooner than half its shortest run after the mean time at which its work is done,
/// and no sooner than its shortest run after it can begin (Goemans' mean busy time; with choices as in
/// time-indexed relaxations of unrelated machines).
///
/// # Errors
///
/// When the stretches do not hold all work, or the solver gives up.
pub fn timeline(
    capacities: &[f64],
    tasks: &[Task],
    moments: &[f64],
    counts: Counts,
) -> Result<Timeline, Error> {
    let stretches: Vec<(f64, f64)> = moments.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let mut program = Program::default();
    // Rows of resources, stretch by stretch, as shares of what there is.
    let used: Vec<Vec<Row>> = stretches
        .iter()
        .map(|_| capacities.iter().map(|_| program.at_most(1.0)).collect())
        .collect();
    let mut whose = Vec::new();
    let mut fixed = 0.0;
    for (number, task) in tasks.iter().enumerate() {
        let shortest = task.shortest();
        if !shortest.is_finite() {
            continue;
        }
        if shortest <= 0.0 {
            fixed += task.count * task.weight * task.from;
            continue;
        }
        let worth = task.count * task.weight;
        let all = program.exactly(1.0);
        // Done no sooner than its mean busy time and half a run, nor than a run after it begins: the
        // program counts what the first is later than the second.
        fixed += worth * (task.from + shortest);
        let busy = program.at_most(task.from + shortest / 2.0);
        program.unknown(worth, [(busy, -1.0)]);
        for (nth, (begins, ends)) in stretches.iter().enumerate() {
            let begins = begins.max(task.from);
            let long = ends - begins;
            if long <= 0.0 {
                continue;
            }
            let at = match counts {
                Counts::FromItsBeginning => begins,
                Counts::ByItsMiddle => f64::midpoint(begins, *ends),
            };
            let time = program.at_most(1.0);
            for (choice, Choice { rate, uses }) in task.choices.iter().enumerate() {
                let there_is = uses.iter().all(|(r, by)| *by <= 0.0 || capacities[*r] > 0.0);
                if *rate <= 0.0 || !there_is {
                    continue;
                }
                let part = rate * long / task.work;
                let adds = [(all, part), (busy, part * at), (time, 1.0)].into_iter();
                let stretch = stretches[nth].1 - stretches[nth].0;
                let uses = uses.iter().filter(|(_, by)| *by > 0.0).map(|(resource, by)| {
                    let share = task.count * by * long / (capacities[*resource] * stretch);
                    (used[nth][*resource], share)
                });
                program.unknown(0.0, adds.chain(uses));
                whose.push((number, choice, nth, long));
            }
        }
    }
    let found = program.least()?;
    let empty = |task: &Task| vec![vec![0.0; stretches.len()]; task.choices.len()];
    let mut times: Vec<Vec<Vec<f64>>> = tasks.iter().map(empty).collect();
    let mut last = usize::MAX;
    let mut at = 0;
    for (number, choice, stretch, long) in whose {
        // Before the times of a task stands by how much it is late.
        if number != last {
            at += 1;
            last = number;
        }
        times[number][choice][stretch] = found.values[at] * long;
        at += 1;
    }
    Ok(Timeline { completion: fixed + found.cost, times })
}

/// Moments from `from` on: the first stretch is `first` long, each next one longer by the factor
/// `growth`, until `until` is passed.
#[must_use]
pub fn moments(from: f64, first: f64, growth: f64, until: f64) -> Vec<f64> {
    let (mut at, mut step) = (from, first);
    let mut moments = vec![from];
    while at < until {
        at += step;
        step *= growth;
        moments.push(at);
    }
    moments
}
