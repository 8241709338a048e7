//! What a network did with a load, in figures: alike for what really happened and for what was
//! simulated.

use super::Period;
use super::life::{Costs, Life, add};
use crate::measure::{mean, quantile, sum};
use model::job::GRACE;
use model::{CenterId, Chips, Currency, Moment, Span, TenantId};
use serde::Serialize;
use std::collections::BTreeMap;

/// What became of a load on a network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Jobs whose figures these are.
    pub jobs: u64,
    /// Of these, jobs that ran to their end, whichever it was.
    pub ended: u64,
    /// Jobs withdrawn before they ran.
    pub withdrawn: u64,
    /// Jobs that never ran: no place was found for them, or not yet.
    pub never_ran: u64,
    /// From submission to the first start.
    pub wait: Times,
    /// From submission to the end.
    pub completion: Times,
    /// Completion beside the job's work at speed 1, at least 10 s, never less than 1; on average.
    pub bounded_slowdown: f64,
    /// From the period's beginning until the last of these jobs had ended, in seconds.
    pub all_ended_s: f64,
    /// Chips held by all attempts of these jobs.
    pub chip_hours: f64,
    /// Bytes moved between centers for these jobs.
    pub wan_bytes: u64,
    /// What chips and links cost these jobs, by currency, in its unit.
    pub cost: BTreeMap<Currency, f64>,
    /// Jobs that were told a start before they ran.
    pub promises: u64,
    /// Of these, jobs that started by then, to the second.
    pub promises_held: u64,
    /// Share of the network's chips that ran jobs during the period.
    pub utilization: f64,
    /// The same by center, and how many of the jobs ran there last.
    pub centers: BTreeMap<CenterId, CenterFigures>,
    /// By tenant.
    pub tenants: BTreeMap<TenantId, TenantFigures>,
}

/// Times of many jobs, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Times {
    /// How many jobs have one.
    pub jobs: u64,
    /// On average.
    pub mean_s: f64,
    /// What half of the jobs do not exceed.
    pub p50_s: f64,
    /// What 99 % of the jobs do not exceed.
    pub p99_s: f64,
}

/// A center's part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct CenterFigures {
    /// Chips it has.
    pub chips: f64,
    /// Share of them that ran jobs during the period.
    pub utilization: f64,
    /// Jobs that ran there last.
    pub jobs: u64,
}

/// A tenant's part.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TenantFigures {
    /// Its jobs.
    pub jobs: u64,
    /// Those that never ran.
    pub never_ran: u64,
    /// How long they waited, on average.
    pub mean_wait_s: f64,
    /// How long until they had ended, on average.
    pub mean_completion_s: f64,
    /// What they cost, by currency, in its unit.
    pub cost: BTreeMap<Currency, f64>,
}

/// A job to be measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured<'a> {
    pub(crate) tenant: &'a TenantId,
    /// What is known of it there; nothing if it was not accepted.
    pub(crate) life: Option<&'a Life>,
    /// How long it takes at speed 1.
    pub(crate) work: Span,
}

/// Runs shorter than this count as this long in slowdowns.
const SHORTEST: Span = Span::from_secs(10);

impl Measured<'_> {
    pub(crate) fn waited(&self) -> Option<Span> {
        Some(self.life?.started()?.since(self.life?.since?))
    }

    /// From submission to the end; only of what ran.
    pub(crate) fn took(&self) -> Option<Span> {
        let life = self.life?;
        life.started()?;
        Some(life.ended.as_ref()?.0.since(life.since?))
    }

    pub(crate) fn center(&self) -> Option<&CenterId> {
        Some(self.life?.last()?.placement.center())
    }

    fn is_withdrawn(&self) -> bool {
        self.life.is_some_and(|life| life.ended.is_some() && life.started().is_none())
    }
}

/// All that is measured of one run, or of what really happened.
pub(crate) struct Scene<'a> {
    /// The jobs that count.
    pub(crate) jobs: Vec<Measured<'a>>,
    /// All jobs, for what they held of the chips.
    pub(crate) all: Vec<&'a Life>,
    /// Chips of each center.
    pub(crate) chips: BTreeMap<CenterId, Chips>,
    /// The time over which use is measured.
    pub(crate) period: Period,
}

impl Scene<'_> {
    pub(crate) fn figures(&self) -> Figures {
        let jobs = &self.jobs;
        let lives = || jobs.iter().filter_map(|job| job.life);
        let slowdown = |job: &Measured<'_>| {
            let took = job.took()?.0 as f64;
            Some((took / job.work.max(SHORTEST).0 as f64).max(1.0))
        };
        let slowdowns: Vec<f64> = jobs.iter().filter_map(slowdown).collect();
        let told: Vec<bool> = lives().filter_map(kept).collect();
        let (utilization, centers) = self.use_of_chips();
        let never = |job: &&Measured<'_>| job.waited().is_none() && !job.is_withdrawn();
        let mut cost = Costs::new();
        lives().for_each(|life| add(&mut cost, &life.cost()));
        let last = lives().filter_map(|life| life.ended.as_ref().map(|(at, _)| *at)).max();
        let held = |life: &Life| -> f64 {
            let tries = life.tries.iter();
            sum(tries.map(|one| one.held(Moment::ZERO, Moment::MAX).0 as f64))
        };
        Figures {
            jobs: jobs.len() as u64,
            ended: jobs.iter().filter(|job| job.took().is_some()).count() as u64,
            withdrawn: jobs.iter().filter(|job| job.is_withdrawn()).count() as u64,
            never_ran: jobs.iter().filter(never).count() as u64,
            wait: times(jobs.iter().filter_map(Measured::waited)),
            completion: times(jobs.iter().filter_map(Measured::took)),
            bounded_slowdown: mean(slowdowns.iter().copied()),
            all_ended_s: last.unwrap_or(self.period.from).since(self.period.from).0 as f64 / 1e3,
            chip_hours: sum(lives().filter(|life| life.ended.is_some()).map(held)) / 3.6e6,
            wan_bytes: lives().map(|life| life.moved.0).sum(),
            cost: units(&cost),
            promises: told.len() as u64,
            promises_held: told.iter().filter(|held| **held).count() as u64,
            utilization,
            centers,
            tenants: self.tenants(),
        }
    }

    fn use_of_chips(&self) -> (f64, BTreeMap<CenterId, CenterFigures>) {
        let Period { from, to } = self.period;
        let mut busy: BTreeMap<&CenterId, f64> = BTreeMap::new();
        for one in self.all.iter().flat_map(|life| &life.tries) {
            *busy.entry(one.placement.center()).or_default() += one.held(from, to).0 as f64;
        }
        let whole = |chips: Chips| chips.over(to.since(from)).0 as f64;
        let share = |busy: f64, whole: f64| if whole > 0.0 { busy / whole } else { 0.0 };
        let mut ran: BTreeMap<&CenterId, u64> = BTreeMap::new();
        for center in self.jobs.iter().filter_map(Measured::center) {
            *ran.entry(center).or_default() += 1;
        }
        let center = |(center, chips): (&CenterId, &Chips)| {
            let used = busy.get(center).copied().unwrap_or_default();
            let figures = CenterFigures {
                chips: chips.0 as f64 / 1e3,
                utilization: share(used, whole(*chips)),
                jobs: ran.get(center).copied().unwrap_or_default(),
            };
            (center.clone(), figures)
        };
        let all = self.chips.values().fold(Chips::ZERO, |sum, chips| sum.saturating_add(*chips));
        let used = sum(busy.values().copied());
        (share(used, whole(all)), self.chips.iter().map(center).collect())
    }

    fn tenants(&self) -> BTreeMap<TenantId, TenantFigures> {
        let mut by_tenant: BTreeMap<&TenantId, Vec<&Measured<'_>>> = BTreeMap::new();
        for job in &self.jobs {
            by_tenant.entry(job.tenant).or_default().push(job);
        }
        let figures = |(tenant, jobs): (&TenantId, Vec<&Measured<'_>>)| {
            let mut cost = Costs::new();
            jobs.iter().filter_map(|job| job.life).for_each(|life| add(&mut cost, &life.cost()));
            let never = |job: &&&Measured<'_>| job.waited().is_none() && !job.is_withdrawn();
            let figures = TenantFigures {
                jobs: jobs.len() as u64,
                never_ran: jobs.iter().filter(never).count() as u64,
                mean_wait_s: times(jobs.iter().filter_map(|job| job.waited())).mean_s,
                mean_completion_s: times(jobs.iter().filter_map(|job| job.took())).mean_s,
                cost: units(&cost),
            };
            (tenant.clone(), figures)
        };
        by_tenant.into_iter().map(figures).collect()
    }
}

/// Whether the start a job was told held; none where none was told, or it was withdrawn.
fn kept(life: &Life) -> Option<bool> {
    let promised = life.promised?;
    let started = life.started()?;
    Some(started <= promised + GRACE)
}

pub(crate) fn times(spans: impl Iterator<Item = Span>) -> Times {
    let mut seconds: Vec<f64> = spans.map(|span| span.0 as f64 / 1e3).collect();
    seconds.sort_by(f64::total_cmp);
    Times {
        jobs: seconds.len() as u64,
        mean_s: mean(seconds.iter().copied()),
        p50_s: quantile(&seconds, 0.5),
        p99_s: quantile(&seconds, 0.99),
    }
}

fn units(costs: &Costs) -> BTreeMap<Currency, f64> {
    costs.iter().map(|(currency, micros)| (*currency, *micros as f64 / 1e6)).collect()
}
