//! What a run's plots are drawn from: a few hundred points, however many jobs there were.

use crate::measure::{Fate, Finished, hours, mean, quantile, tenants};
use crate::scenario::Played;
use model::{Chips, Span};

/// Points of a curve.
const POINTS: usize = 200;

/// The curves of a run.
#[derive(Debug, Clone)]
pub struct Curves {
    /// Whose run.
    pub(super) policy: String,
    /// At which load.
    pub(super) load: f64,
    /// Hours, and the share of all chips that ran jobs.
    pub(super) utilization: Vec<(f64, f64)>,
    /// Hours waited, and the share of the jobs that waited no longer.
    pub(super) waits: Vec<(f64, f64)>,
    /// Mean slowdown of each tenant, in the order of their names.
    pub(super) tenants: Vec<f64>,
    /// Hours of waiting that were promised, and those that came of it.
    pub(super) promises: Vec<Kept>,
}

/// Promises of about the same wait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Kept {
    /// Hours promised, on average.
    pub(super) promised: f64,
    /// Hours that half of them waited at the most.
    pub(super) half: f64,
    /// Hours that nine in ten of them waited at the most.
    pub(super) most: f64,
}

impl Curves {
    /// Of a run in a network of so many chips.
    #[must_use]
    pub fn of(played: &Played, chips: Chips) -> Self {
        let ran: Vec<&Finished> =
            played.finished.iter().filter(|f| f.fate != Fate::Refused).collect();
        Self {
            policy: played.contender.name(),
            load: played.load,
            utilization: utilization(&ran, chips),
            waits: waits(&ran),
            tenants: tenants(&played.finished).into_values().collect(),
            promises: promises(&ran),
        }
    }
}

/// From the first submission to a little after the last.
fn utilization(ran: &[&Finished], chips: Chips) -> Vec<(f64, f64)> {
    let last = ran.iter().map(|f| f.submitted).max().unwrap_or_default();
    let step = (last.0 + last.0 / 4) / POINTS as u64;
    if step == 0 {
        return Vec::new();
    }
    let mut busy = vec![0.0; POINTS];
    for job in ran {
        let Some(started) = job.started else { continue };
        let first = usize::try_from(started.0 / step).unwrap_or(POINTS);
        for (place, busy) in busy.iter_mut().enumerate().skip(first) {
            let (from, until) = (place as u64 * step, (place as u64 + 1) * step);
            if job.ended.0 <= from {
                break;
            }
            let ran = job.ended.0.min(until).saturating_sub(started.0.max(from));
            *busy += job.chips.0 as f64 * ran as f64;
        }
    }
    let all = chips.0 as f64 * step as f64;
    let point =
        |(place, busy): (usize, &f64)| (hours(Span(place as u64 * step + step / 2)), busy / all);
    busy.iter().enumerate().map(point).collect()
}

fn waits(ran: &[&Finished]) -> Vec<(f64, f64)> {
    let mut waits: Vec<f64> = ran.iter().map(|f| hours(f.waited())).collect();
    waits.sort_by(f64::total_cmp);
    let share = |n: usize| n as f64 / POINTS as f64;
    (1..=POINTS).map(|n| (quantile(&waits, share(n)), share(n))).collect()
}

/// Promises in twelve groups of equal size, by what was promised.
fn promises(ran: &[&Finished]) -> Vec<Kept> {
    let told = |f: &&Finished| {
        let promised = f.promised?.saturating_sub(f.submitted);
        Some((hours(promised), hours(f.waited())))
    };
    let mut told: Vec<(f64, f64)> = ran.iter().filter_map(told).collect();
    told.sort_by(|a, b| a.0.total_cmp(&b.0));
    let size = told.len().div_ceil(12).max(1);
    let kept = |group: &[(f64, f64)]| {
        let mut waited: Vec<f64> = group.iter().map(|(_, waited)| *waited).collect();
        waited.sort_by(f64::total_cmp);
        Kept {
            promised: mean(group.iter().map(|(promised, _)| *promised)),
            half: quantile(&waited, 0.5),
            most: quantile(&waited, 0.9),
        }
    };
    told.chunks(size).map(kept).collect()
}
