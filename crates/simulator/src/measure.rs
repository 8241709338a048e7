//! What is left of a job once it is over: enough to measure a run by, whoever ran it.

use model::job::GRACE;
use model::{Bytes, CenterId, ChipTime, Chips, Span, TenantId};
use serde::Serialize;
use std::collections::BTreeMap;

/// A job that is over. Times count from the scenario's start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finished {
    /// Its place among the arrivals, from 0.
    pub arrival: u64,
    /// Who it was for.
    pub tenant: TenantId,
    /// When it was submitted.
    pub submitted: Span,
    /// The start it was first told, if it was told one.
    pub promised: Option<Span>,
    /// By when it was to be over, if it had a deadline.
    pub due: Option<Span>,
    /// When its first attempt started that did; none if it never ran. What was told is held against
    /// this.
    pub first_started: Option<Span>,
    /// When its last attempt started; none if it never ran.
    pub started: Option<Span>,
    /// When it was over.
    pub ended: Span,
    /// How.
    pub fate: Fate,
    /// How long it would have run at speed 1: the same whoever ran it, so slowdowns compare.
    pub work: Span,
    /// Chips of its gang, all nodes together.
    pub chips: Chips,
    /// Where its last attempt ran.
    pub center: Option<CenterId>,
    /// Chips held over time, by all its attempts.
    pub held: ChipTime,
    /// What all its attempts cost by the pools' prices, in millionths of the currency's unit.
    pub price_micros: i64,
    /// Energy its chips used in that time by their nominal power, cooling included, in milliwatt-hours;
    /// zero where the power is undisclosed.
    pub energy_mwh: u64,
    /// What carbon dioxide that came with, by each center's grid at the time, in milligrams.
    pub carbon_mg: u64,
    /// Bytes moved between centers because of it.
    pub moved: Bytes,
}

/// How a job was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It did what it was to do.
    Completed,
    /// It failed.
    Failed,
    /// It reached its limit.
    TimedOut,
    /// It was canceled.
    Canceled,
    /// No pool is large enough or allowed: nobody waited for it.
    Refused,
}

/// The figures of a run that runs are compared by, over all jobs that anybody could run. Times are
/// in hours, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Jobs that were submitted.
    pub jobs: u64,
    /// Of these, jobs that nobody could or would run.
    pub refused: u64,
    /// From submission to end, on average, whatever the end.
    pub mean_completion_h: f64,
    /// How far that is above what no schedule does better than, where that was worked out.
    pub gap_to_bound: Option<f64>,
    /// The same as the mean, which 99 % of the jobs do not exceed.
    pub p99_completion_h: f64,
    /// Time from submission to end beside the job's work at speed 1, but at least 10 s and never
    /// less than 1, on average (after Feitelson; speed 1, so that a slow chip is no excuse).
    pub mean_bounded_slowdown: f64,
    /// The same of the tenant who fares worst.
    pub worst_tenant_slowdown: f64,
    /// Terabytes moved between centers.
    pub wan_tb: f64,
    /// Chips held, by all attempts.
    pub chip_hours: f64,
    /// What chips and links cost.
    pub yuan: f64,
    /// Megawatt-hours that these chips used, cooling included.
    pub mwh: f64,
    /// Tonnes of carbon dioxide that these came with.
    pub co2_t: f64,
    /// Share of all chips that ran jobs, from the first submission to the last.
    pub utilization: f64,
    /// From the first submission to the last end.
    pub makespan_h: f64,
    /// Of the start times told, the share that held; none where nobody was told one.
    pub promises_held: Option<f64>,
    /// Of the jobs with a deadline, the share that was over by then; none where nobody had one.
    pub deadlines_met: Option<f64>,
}

/// Runs shorter than this count as this long in slowdowns.
const SHORTEST: Span = Span::from_secs(10);

impl Finished {
    /// From submission to end beside the work at speed 1; never less than 1.
    #[must_use]
    pub fn bounded_slowdown(&self) -> f64 {
        let took = self.ended.saturating_sub(self.submitted).0 as f64;
        (took / self.work.max(SHORTEST).0 as f64).max(1.0)
    }

    /// From submission to start; to the end where it never started.
    #[must_use]
    pub fn waited(&self) -> Span {
        self.started.unwrap_or(self.ended).saturating_sub(self.submitted)
    }

    /// How much later than promised it started; none if nothing was promised.
    #[must_use]
    pub fn late(&self) -> Option<Span> {
        let started = self.first_started.unwrap_or(self.ended);
        self.promised.map(|promised| started.saturating_sub(promised))
    }
}

impl Summary {
    /// Of these jobs, in a network of so many chips.
    #[must_use]
    pub fn of(finished: &[Finished], chips: Chips) -> Self {
        let ran: Vec<&Finished> = finished.iter().filter(|f| f.fate != Fate::Refused).collect();
        let completion = |f: &&Finished| hours(f.ended.saturating_sub(f.submitted));
        let mut completions: Vec<f64> = ran.iter().map(completion).collect();
        completions.sort_by(f64::total_cmp);
        let first = finished.iter().map(|f| f.submitted).min().unwrap_or_default();
        let last = finished.iter().map(|f| f.submitted).max().unwrap_or_default();
        let end = ran.iter().map(|f| f.ended).max().unwrap_or_default();
        let told: Vec<Span> = ran.iter().filter_map(|f| f.late()).collect();
        let held = told.iter().filter(|late| **late <= GRACE).count() as f64;
        let due: Vec<bool> = ran.iter().filter_map(|f| Some(f.ended <= f.due?)).collect();
        let met = due.iter().filter(|is_met| **is_met).count() as f64;
        let window = chips.over(last.saturating_sub(first)).0 as f64;
        let busy = sum(ran.iter().map(|f| f.busy(first, last)));
        Self {
            jobs: finished.len() as u64,
            refused: (finished.len() - ran.len()) as u64,
            mean_completion_h: mean(completions.iter().copied()),
            gap_to_bound: None,
            p99_completion_h: quantile(&completions, 0.99),
            mean_bounded_slowdown: mean(ran.iter().map(|f| f.bounded_slowdown())),
            worst_tenant_slowdown: tenants(finished).values().copied().fold(0.0, f64::max),
            wan_tb: sum(ran.iter().map(|f| f.moved.0 as f64 / 1e12)),
            chip_hours: sum(ran.iter().map(|f| f.held.0 as f64 / 3.6e6)),
            yuan: sum(ran.iter().map(|f| f.price_micros as f64 / 1e6)),
            mwh: sum(ran.iter().map(|f| f.energy_mwh as f64 / 1e9)),
            co2_t: sum(ran.iter().map(|f| f.carbon_mg as f64 / 1e9)),
            utilization: if window > 0.0 { busy / window } else { 0.0 },
            makespan_h: hours(end.saturating_sub(first)),
            promises_held: (!told.is_empty()).then(|| held / told.len() as f64),
            deadlines_met: (!due.is_empty()).then(|| met / due.len() as f64),
        }
    }
}

impl Finished {
    /// Chip-milliseconds it ran between two moments.
    fn busy(&self, from: Span, until: Span) -> f64 {
        let Some(started) = self.started else { return 0.0 };
        let ran = self.ended.min(until).saturating_sub(started.max(from));
        self.chips.over(ran).0 as f64
    }
}

/// Each tenant's mean bounded slowdown, over its jobs that anybody could run.
#[must_use]
pub fn tenants(finished: &[Finished]) -> BTreeMap<&TenantId, f64> {
    let mut slowdowns: BTreeMap<&TenantId, Vec<f64>> = BTreeMap::new();
    for f in finished.iter().filter(|f| f.fate != Fate::Refused) {
        slowdowns.entry(&f.tenant).or_default().push(f.bounded_slowdown());
    }
    slowdowns.into_iter().map(|(tenant, all)| (tenant, mean(all.into_iter()))).collect()
}

/// How long each tenant's jobs that anybody could run waited from submission to start, on average, in
/// hours.
#[must_use]
pub fn waits(finished: &[Finished]) -> BTreeMap<TenantId, f64> {
    let mut waits: BTreeMap<&TenantId, Vec<f64>> = BTreeMap::new();
    for f in finished.iter().filter(|f| f.fate != Fate::Refused) {
        waits.entry(&f.tenant).or_default().push(hours(f.waited()));
    }
    waits.into_iter().map(|(tenant, all)| (tenant.clone(), mean(all.into_iter()))).collect()
}

/// The value that the share `q` of the sorted values does not exceed; zero where there are none.
#[must_use]
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = crate::load::rounded((sorted.len() as f64 * q).ceil()).unwrap_or_default();
    let last = sorted.len().saturating_sub(1);
    let place = usize::try_from(rank.saturating_sub(1)).unwrap_or(last).min(last);
    sorted.get(place).copied().unwrap_or_default()
}

/// The sum. Of nothing it is zero, where the library's is the negative one.
pub(crate) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |sum, value| sum + value)
}

/// The mean; zero where there is nothing.
#[must_use]
pub fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    if count > 0.0 { values.sum::<f64>() / count } else { 0.0 }
}

/// How far values spread about their mean: the sample's standard deviation; zero for fewer than two.
#[must_use]
pub fn spread(values: &[f64]) -> f64 {
    let middle = mean(values.iter().copied());
    let squares: f64 = values.iter().map(|value| (value - middle).powi(2)).sum();
    if values.len() < 2 { 0.0 } else { (squares / (values.len() - 1) as f64).sqrt() }
}

/// In hours, for people.
#[must_use]
pub fn hours(span: Span) -> f64 {
    span.0 as f64 / 3.6e6
}
