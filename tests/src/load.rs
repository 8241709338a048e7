//! Recorded loads, replayed through a real server in a fraction of their time.

use crate::report::{Distribution, seconds};
use crate::{Net, sh};
use model::JobId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt;
use std::time::{Duration, Instant};
use wire::view;

/// A job of a recorded load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When it is submitted, after the first.
    pub at_ms: u64,
    /// How long it runs.
    pub runs_ms: u64,
    /// Chips it runs on.
    pub chips: u64,
}

/// How a recorded load is fitted to a small network.
#[derive(Debug, Clone, Copy)]
pub struct Fit {
    /// Times are divided by this.
    pub faster: f64,
    /// Longer jobs are cut off here, after division.
    pub longest: Duration,
    /// Larger gangs get this many chips.
    pub most_chips: u64,
}

#[derive(Deserialize)]
struct Row {
    timestamp: String,
    duration: f64,
    num_gpus: u64,
}

/// Reads a load in the form of `catalog/loads`. Also tells how many gangs were made smaller.
#[must_use]
pub fn read(csv: &str, fit: Fit) -> (Vec<Arrival>, usize) {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<Row> = reader.deserialize().collect::<Result<_, _>>().expect("a recorded load");
    let first = rows.first().map_or(0, |row| second(&row.timestamp));
    let scaled = |secs: f64| Duration::from_secs_f64(secs / fit.faster);
    let ms = |span: Duration| u64::try_from(span.as_millis()).expect("scaled times are short");
    let arrivals = rows.iter().map(|row| Arrival {
        at_ms: ms(Duration::from_secs(second(&row.timestamp) - first).div_f64(fit.faster)),
        runs_ms: ms(scaled(row.duration).min(fit.longest)),
        chips: row.num_gpus.min(fit.most_chips),
    });
    let smaller = rows.iter().filter(|row| row.num_gpus > fit.most_chips).count();
    (arrivals.collect(), smaller)
}

/// `2017-10-23 00:01:40` as seconds since some midnight.
fn second(timestamp: &str) -> u64 {
    let digits = |part: &str| part.parse::<u64>().expect("a recorded load has times");
    let (day, time) = timestamp.split_once(' ').expect("a date and a time");
    let day = digits(day.rsplit('-').next().unwrap_or_default());
    time.split(':').fold(0, |sum, part| sum * 60 + digits(part)) + day * 86_400
}

/// What came of a load.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How many jobs completed.
    pub completed: usize,
    /// Those that did not, in words.
    pub others: Vec<String>,
    /// From submission to start.
    pub waits: Distribution,
    /// From the first submission to the last end.
    pub makespan_ms: u64,
    /// Chip-time used of all chip-time until then, in percent.
    pub utilization: f64,
    /// The same, of the time in which some job waited.
    pub busy_while_waiting: f64,
    /// No schedule could have been shorter, and why.
    pub bound: (u64, &'static str),
}

impl Outcome {
    /// How much longer it took than the bound, in percent.
    #[must_use]
    pub fn gap(&self) -> f64 {
        (seconds(self.makespan_ms) / seconds(self.bound.0) - 1.0) * 100.0
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bound, why) = (seconds(self.bound.0), self.bound.1);
        writeln!(f, "| jobs completed | {} |", self.completed)?;
        writeln!(f, "| others | {} |", self.others.len())?;
        writeln!(f, "| waits | {} |", self.waits)?;
        writeln!(f, "| makespan | {:.1} s |", seconds(self.makespan_ms))?;
        writeln!(f, "| lower bound | {bound:.1} s: {why} |")?;
        writeln!(f, "| gap to the bound | {:.1} % |", self.gap())?;
        writeln!(f, "| utilization | {:.1} % |", self.utilization)?;
        writeln!(f, "| utilization while jobs waited | {:.1} % |", self.busy_while_waiting)
    }
}

/// The least makespan any schedule can have on `chips` chips, `large` of them in the pool that
/// alone takes gangs of more than `small`; and what makes it so.
#[must_use]
pub fn bound(load: &[Arrival], chips: u64, large: u64, small: u64) -> (u64, &'static str) {
    let alone = load.iter().map(|job| (job.at_ms + job.runs_ms, "one job, started at once"));
    let work = |since: u64, more_than: u64| -> u64 {
        let late = load.iter().filter(|job| job.at_ms >= since && job.chips > more_than);
        late.map(|job| job.chips * job.runs_ms).sum()
    };
    let all = load.iter().map(|job| {
        (job.at_ms + work(job.at_ms, 0) / chips, "what came from some moment on, on all chips")
    });
    let big = load.iter().map(|job| {
        let time = work(job.at_ms, small) / large;
        (job.at_ms + time, "the large gangs from some moment on, in the pool that takes them")
    });
    alone.chain(all).chain(big).max_by_key(|(ms, _)| *ms).unwrap_or((0, "no jobs"))
}

/// Submits each job at its time and waits for all of them. `job` says how an arrival is written.
pub async fn replay(
    net: &Net,
    load: &[Arrival],
    job: impl Fn(usize, &Arrival) -> (&'static str, Value),
    chips: u64,
    bound: (u64, &'static str),
) -> Outcome {
    let start = Instant::now();
    let mut ids: Vec<JobId> = Vec::with_capacity(load.len());
    for (number, arrival) in load.iter().enumerate() {
        let due = start + Duration::from_millis(arrival.at_ms);
        tokio::time::sleep_until(due.into()).await;
        let (tenant, job) = job(number, arrival);
        ids.push(net.submit(tenant, &job).await);
    }
    let patience = Duration::from_secs(600);
    let all_ended = async || {
        let live: view::Jobs = net.operator().get("/v1/jobs?state=live&limit=1").await.ok();
        live.jobs.is_empty().then_some(())
    };
    net.within(patience, "all jobs of the load have ended", all_ended).await;
    let mut jobs = net.jobs().await;
    jobs.retain(|job| ids.contains(&job.job));
    judge(&jobs, chips, bound)
}

fn judge(jobs: &[view::Job], chips: u64, bound: (u64, &'static str)) -> Outcome {
    let begin = jobs.iter().map(|job| job.submitted_ms.0).min().unwrap_or(0);
    let end = jobs.iter().filter_map(|job| job.ended_ms).map(|at| at.0).max().unwrap_or(begin);
    let times = |job: &view::Job| Some((job.submitted_ms.0, job.started_ms?.0, job.ended_ms?.0));
    let used = jobs.iter().filter_map(|job| {
        let (_, started, ended) = times(job)?;
        Some(job.chips_milli.0 / 1_000 * ended.saturating_sub(started))
    });
    let used: u64 = used.sum();
    let makespan_ms = end - begin;
    let others = jobs.iter().filter(|job| job.state != "completed");
    Outcome {
        completed: jobs.iter().filter(|job| job.state == "completed").count(),
        others: others.map(|job| format!("{} {}: {:?}", job.job, job.state, job.outcome)).collect(),
        waits: Distribution::of(jobs.iter().filter_map(times).map(|(s, b, _)| b - s)),
        makespan_ms,
        utilization: seconds(used) / (seconds(makespan_ms) * seconds(chips * 1_000)) * 100.0,
        busy_while_waiting: busy_while_waiting(jobs, chips),
        bound,
    }
}

/// Chip-time used of all chip-time in which at least one job waited, in percent.
fn busy_while_waiting(jobs: &[view::Job], chips: u64) -> f64 {
    // At each moment: change of jobs waiting, change of chips in use.
    let mut changes: Vec<(u64, i64, i64)> = Vec::new();
    for job in jobs {
        let (Some(started), Some(ended)) = (job.started_ms, job.ended_ms) else { continue };
        let held = i64::try_from(job.chips_milli.0 / 1_000).unwrap_or(0);
        changes.push((job.submitted_ms.0, 1, 0));
        changes.push((started.0, -1, held));
        changes.push((ended.0, 0, -held));
    }
    changes.sort_unstable();
    let (mut at, mut waiting, mut busy, mut time, mut used) = (0, 0, 0, 0, 0);
    for (moment, more_waiting, more_busy) in changes {
        if waiting > 0 {
            time += moment - at;
            used += (moment - at) * u64::try_from(busy).unwrap_or(0);
        }
        (at, waiting, busy) = (moment, waiting + more_waiting, busy + more_busy);
    }
    if time == 0 { 0.0 } else { seconds(used) / seconds(time * chips) * 100.0 }
}

/// A gang for the sample network: up to four chips anywhere, up to eight on one node, sixteen on
/// two; `limit` is all the planner knows of its run time.
#[must_use]
pub fn gang(name: &str, arrival: &Arrival, limit: &str) -> Value {
    let (ms, chips) = (arrival.runs_ms, arrival.chips);
    let mut job = sh(name, &format!("exec sleep {}.{:03}", ms / 1_000, ms % 1_000));
    job["limit"] = limit.into();
    job["memory"] = "64 MiB".into();
    let nodes = chips.div_ceil(8);
    let on = |class: &str| json!({"on": class, "nodes": nodes, "chips": chips / nodes});
    let classes: &[&str] = if chips <= 4 { &["cuda", "cann", "hip"] } else { &["cuda"] };
    job["variant"] = classes.iter().map(|class| on(class)).collect();
    job
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_the_longest_of_what_nothing_can_shorten() {
        let job = |at_ms, runs_ms, chips| Arrival { at_ms, runs_ms, chips };
        assert_eq!(bound(&[job(5, 10, 1)], 24, 16, 4).0, 15);
        assert_eq!(bound(&[job(0, 240, 4); 6], 24, 16, 4).0, 240);
        assert_eq!(bound(&[job(0, 240, 4); 12], 24, 16, 4).0, 480);
        assert_eq!(bound(&[job(7, 100, 16); 4], 24, 16, 4).0, 407);
    }

    #[test]
    fn times_are_told_apart_across_midnight() {
        let midnight = second("2017-10-24 00:00:00");
        assert_eq!(midnight - second("2017-10-23 23:59:50"), 10);
        assert_eq!(second("2017-10-24 01:01:01") - midnight, 3_661);
    }
}
