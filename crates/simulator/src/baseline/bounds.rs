//! What no schedule of a load does better than, however clairvoyant, in which each job runs at a stretch.
//!
//! Chips are taken by kind, all centers' together, and what owners lend likewise; data is where it is
//! wanted at once, and no job is in the way of another within a node. Each of these only makes things
//! easier than they are, so that bounds stay bounds.

use super::data::Copies;
use super::moved::Wanted;
use super::sites::{Choice, Sites};
use super::{Stage, choices};
use crate::Error;
use crate::load::{Arrival, at_speed};
use crate::measure::hours;
use allocation::{Binding, Place, Run, Task, completion_bound, soonest_end};
use model::ChipId;
use serde::Serialize;
use smallvec::smallvec;
use std::collections::BTreeMap;

/// For how long a price holds, how often prices are made better, and how long after the last job came
/// there are any.
const STRETCH_H: f64 = 1.0;
const ROUNDS: u32 = 48;
const BEYOND_H: f64 = 24.0;

/// In so many stretches at most jobs come, as far as the last end is concerned.
const RELEASES: usize = 8;

/// A value that no schedule is below, and what makes it so.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bound {
    /// The value, in the unit its name says.
    pub value: f64,
    /// What it is, for people.
    pub by: &'static str,
}

/// Bounds of a load on a network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bounds {
    /// Mean time from submission to end, in hours. It holds for schedules in which each job runs at a
    /// stretch: who stops jobs while others pay more for the chips might come below it.
    pub mean_completion_h: Bound,
    /// From the first submission to the last end, in hours.
    pub makespan_h: Bound,
    /// Terabytes that have to be moved between centers.
    pub wan_tb: Bound,
}

/// Where a job can run.
struct Job {
    from: f64,
    /// Before when its data is not where it could run, were that all that links carry.
    data_there: f64,
    places: Vec<Spot>,
}

impl Job {
    fn shortest(&self) -> f64 {
        self.places.iter().map(|spot| spot.long).fold(f64::MAX, f64::min)
    }
}

/// Chips of a kind that a job can run on.
#[derive(Clone, Copy)]
struct Spot {
    kind: usize,
    is_guest: bool,
    chips: f64,
    long: f64,
}

/// The bounds of these arrivals, those that can run nowhere left out; none when none are left.
pub fn bounds(
    stage: Stage<'_>,
    arrivals: impl Iterator<Item = Arrival>,
) -> Result<Option<Bounds>, Error> {
    let sites = Sites::new(stage.network);
    let copies = Copies::new(stage.network, stage.stock)?;
    let kinds = Kinds::of(&sites);
    let mut wanted = Wanted::new(stage.stock, &copies);
    let mut jobs = Vec::new();
    for arrival in arrivals {
        let able: Vec<Choice> = choices(&sites, &copies, &arrival, 0).collect();
        if able.is_empty() {
            continue;
        }
        let mut job = kinds.job(stage, &arrival, &able);
        if let Some(input) = arrival.spec.inputs.first() {
            job.data_there = wanted.note(&input.dataset.dataset, &able, job.shortest());
        }
        jobs.push(job);
    }
    let (Some(first), Some(last)) = (jobs.first(), jobs.last()) else { return Ok(None) };
    let (first, last) = (first.from, last.from);
    let behind = Bound { value: wanted.end(), by: "data that has to come into some centers first" };
    let by_chips = kinds.end(&jobs);
    let end = if behind.value > by_chips.value { behind } else { by_chips };
    Ok(Some(Bounds {
        mean_completion_h: kinds.completion(&jobs, last + BEYOND_H),
        makespan_h: Bound { value: end.value - first, by: end.by },
        wan_tb: Bound {
            value: wanted.least_tb(),
            by: "a copy of each dataset where none of those it has will do",
        },
    }))
}

/// When jobs came, and by kind of chip how long they run there, in millionths of the longest: floats, by
/// their bits.
type Alike = (u64, Vec<(usize, u64)>);

/// Kinds of chips, by number.
struct Kinds<'a> {
    sites: &'a Sites<'a>,
    numbers: BTreeMap<Option<&'a ChipId>, usize>,
    /// Chips of each, then, in the same order, how many of them guests may have.
    there: Vec<f64>,
}

impl<'a> Kinds<'a> {
    fn of(sites: &'a Sites<'a>) -> Self {
        let mut numbers = BTreeMap::new();
        let (mut all, mut lent): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
        for (pool, (nodes, each, guests)) in sites.sizes().enumerate() {
            let next = numbers.len();
            let kind = *numbers.entry(sites.chip(pool)).or_insert(next);
            if kind == next {
                all.push(0.0);
                lent.push(0.0);
            }
            all[kind] += f64::from(nodes) * each as f64 / 1e3;
            lent[kind] += guests as f64 / 1e3;
        }
        all.extend(lent);
        Self { sites, numbers, there: all }
    }

    /// A job by the kinds of chips it can run on.
    fn job(&self, stage: Stage<'_>, arrival: &Arrival, able: &[Choice]) -> Job {
        let mut spots: BTreeMap<(usize, bool), Spot> = BTreeMap::new();
        for choice in able {
            let chip = self.sites.chip(choice.pool);
            let speed = stage.speeds.thousandths(chip, arrival.actual.kind);
            let long = hours(at_speed(arrival.actual.work, speed).min(choice.limit));
            let chips = choice.shape.each as f64 * f64::from(choice.shape.nodes) / 1e3;
            let (kind, is_guest) = (self.numbers[&chip], choice.shape.guest);
            let spot = Spot { kind, is_guest, chips, long };
            let known = spots.entry((kind, is_guest)).or_insert(spot);
            known.chips = known.chips.min(chips);
            known.long = known.long.min(long);
        }
        let places = spots.into_values().collect();
        Job { from: hours(arrival.after), data_there: 0.0, places }
    }

    fn completion(&self, jobs: &[Job], until: f64) -> Bound {
        let place = |spot: &Spot| {
            let lent = spot.is_guest.then_some((self.numbers.len() + spot.kind, spot.chips));
            let uses = [(spot.kind, spot.chips)].into_iter().chain(lent).collect();
            Place { long: spot.long, uses }
        };
        let run =
            |job: &Job| Run { from: job.from, places: job.places.iter().map(place).collect() };
        let runs: Vec<Run> = jobs.iter().map(run).collect();
        let alone: f64 = jobs.iter().map(Job::shortest).sum();
        let priced = completion_bound(&self.there, &runs, (STRETCH_H, until), ROUNDS).completion;
        let (sum, by) = match priced > alone {
            true => (priced, "all jobs at prices of chips by the hour"),
            false => (alone, "each job alone"),
        };
        Bound { value: sum / jobs.len() as f64, by }
    }

    /// Before when not all jobs are over, and why. Jobs that run equally well on the same chips are
    /// one, by the chip.
    fn end(&self, jobs: &[Job]) -> Bound {
        let alone = jobs.iter().map(|job| job.from.max(job.data_there) + job.shortest());
        let longest = alone.fold(0.0, f64::max);
        let last = jobs.last().map_or(0.0, |job| job.from);
        let every = (last / RELEASES as f64).max(f64::MIN_POSITIVE);
        let mut groups: BTreeMap<Alike, (f64, f64)> = BTreeMap::new();
        for job in jobs {
            let most = job.places.iter().map(|spot| spot.long).fold(f64::MIN_POSITIVE, f64::max);
            let chips = job.places.iter().map(|spot| spot.chips).fold(f64::MAX, f64::min);
            let part = |long: f64| (long / most * 1e6).floor();
            let fractions = job.places.iter().map(|spot| (spot.kind, part(spot.long).to_bits()));
            let mut fractions: Vec<(usize, u64)> = fractions.collect();
            fractions.dedup_by_key(|(kind, _)| *kind);
            let release = (job.from / every).floor() * every;
            let all = groups.entry((release.to_bits(), fractions)).or_default();
            all.0 += chips;
            all.1 += chips * most;
        }
        let tasks: Vec<Task> = groups.into_iter().map(task).collect();
        match soonest_end(&self.there[..self.numbers.len()], &tasks, RELEASES) {
            Ok((end, Binding::Capacity)) if end > longest => {
                Bound { value: end, by: "all work on all chips, divided at will" }
            }
            _ => Bound { value: longest, by: "the longest job, with what of its data must come" },
        }
    }
}

/// Work that came together and runs equally well on the same chips, as many tasks as it has chips.
fn task(((from, places), (chips, work)): (Alike, (f64, f64))) -> Task {
    let choice = |(kind, part): (usize, u64)| {
        let part = (f64::from_bits(part) / 1e6).max(1e-6);
        allocation::Choice { rate: 1.0 / part, uses: smallvec![(kind, 1.0)] }
    };
    Task {
        count: chips,
        weight: 1.0,
        from: f64::from_bits(from),
        work: work / chips.max(f64::MIN_POSITIVE),
        choices: places.into_iter().map(choice).collect(),
    }
}
