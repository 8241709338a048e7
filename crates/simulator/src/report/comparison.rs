//! Runs side by side: each figure's mean over the seeds, and its spread.

use super::accounts::Accounts;
use super::in_digits;
use crate::baseline::Bounds;
use crate::measure::{Summary, mean, spread, waits};
use crate::scenario::Played;
use controller::Declarations;
use model::{ChipTime, OwnerId, TenantId};
use serde::Serialize;
use std::collections::BTreeMap;

/// Runs of one scenario, compared.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Comparison {
    /// For each load, each policy, over all seeds.
    pub rows: Vec<Row>,
    /// Each run by itself.
    pub runs: Vec<RunFigures>,
    /// What no run does better than, by case.
    pub bounds: Vec<CaseBounds>,
}

/// Bounds of a load at a seed.
#[derive(Debug, Clone, Serialize)]
pub struct CaseBounds {
    /// At which load.
    pub load: f64,
    /// At which seed.
    pub seed: u64,
    /// The bounds.
    #[serde(flatten)]
    pub bounds: Bounds,
}

/// A policy at a load, over all seeds.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// At which load.
    pub load: f64,
    /// Whose.
    pub policy: String,
    /// How many seeds.
    pub seeds: usize,
    /// Its figures, in the order of [`FIGURES`].
    pub figures: Vec<Figure>,
}

/// A figure over the seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figure {
    /// What it is, and its unit.
    pub name: &'static str,
    /// Its mean; none where no run has it.
    pub mean: Option<f64>,
    /// The sample's standard deviation.
    pub spread: f64,
}

/// A run's figures.
#[derive(Debug, Clone, Serialize)]
pub struct RunFigures {
    /// At which load.
    pub load: f64,
    /// Whose.
    pub policy: String,
    /// At which seed.
    pub seed: u64,
    /// Its figures.
    #[serde(flatten)]
    pub summary: Summary,
    /// By line of work and by region.
    pub accounts: Accounts,
    /// How long each tenant's jobs waited on average, in hours.
    pub waits_h: BTreeMap<TenantId, f64>,
    /// What owners lent one another, in card-hours: to whom, by who lent.
    pub lent_card_h: BTreeMap<OwnerId, BTreeMap<String, f64>>,
    /// Promises of the design that did not hold.
    pub violations: Vec<String>,
}

/// What a figure is called, and where a summary has it.
type Measure = (&'static str, fn(&Summary) -> Option<f64>);

/// The figures of a table, in its order.
pub const FIGURES: [Measure; 16] = [
    ("mean h", |s| Some(s.mean_completion_h)),
    ("gap %", |s| s.gap_to_bound.map(|gap| gap * 100.0)),
    ("p99 h", |s| Some(s.p99_completion_h)),
    ("slowdown", |s| Some(s.mean_bounded_slowdown)),
    ("worst tenant", |s| Some(s.worst_tenant_slowdown)),
    ("WAN TB", |s| Some(s.wan_tb)),
    ("k chip-h", |s| Some(s.chip_hours / 1e3)),
    ("M yuan", |s| Some(s.yuan / 1e6)),
    ("MWh", |s| Some(s.mwh)),
    ("t CO2", |s| Some(s.co2_t)),
    ("in use %", |s| Some(s.utilization * 100.0)),
    ("makespan h", |s| Some(s.makespan_h)),
    ("jobs", |s| Some(s.jobs as f64)),
    ("refused", |s| Some(s.refused as f64)),
    ("promises %", |s| s.promises_held.map(|share| share * 100.0)),
    ("deadlines %", |s| s.deadlines_met.map(|share| share * 100.0)),
];

impl Comparison {
    /// Takes in what no run of a case does better than; before its runs.
    pub fn bound(&mut self, load: f64, seed: u64, bounds: Bounds) {
        self.bounds.push(CaseBounds { load, seed, bounds });
    }

    /// Takes a run on a network in.
    pub fn add(&mut self, played: &Played, network: &Declarations) {
        let mut summary = played.summary.clone();
        let bounds = self
            .bounds
            .iter()
            .find(|case| case.load.total_cmp(&played.load).is_eq() && case.seed == played.seed);
        let least = bounds.map(|case| case.bounds.mean_completion_h.value);
        summary.gap_to_bound = least.map(|least| summary.mean_completion_h / least - 1.0);
        self.runs.push(RunFigures {
            load: played.load,
            policy: played.contender.name(),
            seed: played.seed,
            summary,
            accounts: Accounts::of(&played.finished, network),
            waits_h: waits(&played.finished),
            lent_card_h: card_hours(&played.lent),
            violations: played.violations.iter().map(ToString::to_string).collect(),
        });
        self.rows = self.compared();
    }

    /// Rows in the order in which their first runs came.
    fn compared(&self) -> Vec<Row> {
        let mut groups: Vec<(f64, &str, Vec<&Summary>)> = Vec::new();
        for run in &self.runs {
            let same = |group: &&mut (f64, &str, Vec<&Summary>)| {
                group.0.total_cmp(&run.load).is_eq() && group.1 == run.policy
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.2.push(&run.summary),
                None => groups.push((run.load, &run.policy, vec![&run.summary])),
            }
        }
        let row = |(load, policy, all): (f64, &str, Vec<&Summary>)| Row {
            load,
            policy: policy.to_owned(),
            seeds: all.len(),
            figures: FIGURES.iter().map(|measure| figure(measure, &all)).collect(),
        };
        groups.into_iter().map(row).collect()
    }
}

fn card_hours(
    lent: &BTreeMap<OwnerId, BTreeMap<String, ChipTime>>,
) -> BTreeMap<OwnerId, BTreeMap<String, f64>> {
    let hours = |to: &BTreeMap<String, ChipTime>| {
        to.iter().map(|(borrower, had)| (borrower.clone(), had.0 as f64 / 3.6e6)).collect()
    };
    lent.iter().map(|(lender, to)| (lender.clone(), hours(to))).collect()
}

fn figure((name, of): &Measure, all: &[&Summary]) -> Figure {
    let values: Vec<f64> = all.iter().filter_map(|summary| of(summary)).collect();
    let middle = (!values.is_empty()).then(|| mean(values.iter().copied()));
    Figure { name, mean: middle, spread: spread(&values) }
}

impl Figure {
    /// For people: three digits that matter, and the spread where there is one.
    #[must_use]
    pub fn text(&self) -> String {
        let places = |x: f64| in_digits(x).split_once('.').map_or(0, |(_, after)| after.len());
        let Some(mean) = self.mean else { return "-".to_owned() };
        let places = places(mean);
        if self.spread > 0.0 {
            format!("{mean:.places$} ±{:.places$}", self.spread)
        } else {
            format!("{mean:.places$}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_shows_three_digits_and_its_spread() {
        let text = |mean, spread| Figure { name: "", mean, spread }.text();
        assert_eq!(text(Some(1.234), 0.056), "1.23 ±0.06");
        assert_eq!(text(Some(12_345.6), 0.0), "12346");
        assert_eq!(text(Some(12.34), 1.5), "12.3 ±1.5");
        assert_eq!(text(None, 0.0), "-");
    }
}
