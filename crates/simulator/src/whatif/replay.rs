//! Lives as a load: who arrives when, and how long each really takes.
//!
//! A job's real run time is the one of its last attempt. On another variant it takes that much times
//! the ratio of the two variants' speeds; a variant without `speed` has the ratio of its limit to
//! the job's. Chips of one variant are taken to be equally fast.

use super::Period;
use super::life::{Life, Try};
use super::past::Past;
use crate::Error;
use crate::load::{Actual, Arrival, Ending, Speeds};
use controller::Declarations;
use model::job::{Duration, Variant};
use model::{DatasetRef, JobEnd, JobId, JobSpec, Moment, Span, TenantId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Beyond its limit, so that a job that reached it does so again.
const BEYOND: Span = Span::from_secs(1);

/// A load out of the past.
#[derive(Debug)]
pub(crate) struct Replay<'a> {
    pub(crate) start: Moment,
    pub(crate) jobs: Vec<Job<'a>>,
    pub(crate) speeds: Speeds,
    kinds: BTreeMap<Vec<u32>, u16>,
}

/// A job of it.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) life: &'a Life,
    /// It arrives so long after the start.
    pub(crate) after: Span,
    /// Whether its figures count: not if it ran when the period began.
    pub(crate) counts: bool,
    /// The attempt that ran when the period began, and for how long it had.
    running: Option<(&'a Try, Span)>,
    pub(crate) truth: Truth,
}

impl Job<'_> {
    /// Whether it ran when the period began.
    pub(crate) const fn runs_before(&self) -> bool {
        self.running.is_some()
    }
}

/// What a job turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truth {
    /// How long it takes at speed 1; for what is withdrawn, how long after it could start.
    pub(crate) work: Span,
    pub(crate) ending: Ending,
    /// Whether the log says so; it is an estimate otherwise.
    pub(crate) known: bool,
}

impl<'a> Replay<'a> {
    /// The jobs of a period; what was there when it began comes first.
    pub(crate) fn of(past: &'a Past, period: Period) -> Result<Self, Error> {
        let start = period.from;
        let habits = Habits::of(past);
        let mut replay =
            Self { start, jobs: Vec::new(), speeds: Speeds::default(), kinds: BTreeMap::new() };
        for life in past.there(start) {
            let running = life.running(start);
            let running =
                running.map(|one| (one, one.started.map_or(Span::ZERO, |s| start.since(s))));
            let counts = running.is_none() && period.is_ahead();
            replay.add(Job {
                life,
                after: Span::ZERO,
                counts,
                running,
                truth: habits.truth(life),
            })?;
        }
        for life in past.submitted(period) {
            let after = life.since.map_or(Span::ZERO, |since| since.since(start));
            replay.add(Job {
                life,
                after,
                counts: true,
                running: None,
                truth: habits.truth(life),
            })?;
        }
        Ok(replay)
    }

    fn add(&mut self, job: Job<'a>) -> Result<(), Error> {
        let all = nominal(&job.life.spec);
        let own = job.running.map(|(one, _)| vec![speed(&all, variant(one))]);
        for speeds in std::iter::once(all).chain(own) {
            if self.kinds.contains_key(&speeds) {
                continue;
            }
            let kind = u16::try_from(self.kinds.len()).map_err(|_| Error::Unfit {
                said: "the jobs of this period have more than 65,536 sets of speeds".to_owned(),
                help: "choose a shorter period".to_owned(),
            })?;
            self.speeds.kinds.push(format!("{speeds:?}"));
            self.speeds.by_variant.insert(kind, speeds.clone());
            self.kinds.insert(speeds, kind);
        }
        self.jobs.push(job);
        Ok(())
    }

    /// The jobs as they arrive at a network, each with its place among them; none for those that it
    /// would not accept.
    pub(crate) fn arrivals(&self, network: &Declarations) -> Vec<(usize, Arrival)> {
        let arrival = |(place, job)| Some((place, self.arrival(job, network)?));
        let mut all: Vec<(usize, Arrival)> =
            self.jobs.iter().enumerate().filter_map(arrival).collect();
        // A reservation is named by its place among the arrivals.
        let numbers: BTreeMap<JobId, JobId> = (0..)
            .zip(&all)
            .map(|(number, (place, _))| (self.jobs[*place].life.job, JobId::new(number)))
            .collect();
        for (_, arrival) in &mut all {
            if let Some(reservation) = arrival.spec.reservation {
                let number = numbers.get(&reservation).copied();
                Arc::make_mut(&mut arrival.spec).reservation = number;
            }
        }
        all
    }

    fn arrival(&self, job: &Job<'_>, network: &Declarations) -> Option<Arrival> {
        let spec = &job.life.spec;
        let there = |center: &&model::CenterId| {
            network.centers.iter().any(|known| known.center == **center)
        };
        let centers: Vec<_> = spec.centers.iter().filter(there).cloned().collect();
        let lost = centers.is_empty() && !spec.centers.is_empty();
        if lost || !network.tenants.iter().any(|tenant| tenant.tenant == spec.tenant) {
            return None;
        }
        let mut spec = Arc::clone(spec);
        if spec.hold || spec.array.is_some() || !spec.after.is_empty() {
            // It comes when it was released, or when those had ended that it waited for; each task of an
            // array by itself.
            let own = Arc::make_mut(&mut spec);
            (own.hold, own.array, own.after) = (false, None, Vec::new());
        }
        if centers.len() < spec.centers.len() {
            Arc::make_mut(&mut spec).centers = centers;
        }
        if !job.life.inputs.is_empty() {
            settle(Arc::make_mut(&mut spec), job.life);
        }
        let truth = &job.truth;
        let on = job.running.filter(|(one, _)| there(&one.placement.center()));
        let mut speeds = nominal(&job.life.spec);
        let mut work = truth.work;
        if truth.ending == Ending::Withdrawn {
            // Part of that time is over when the period begins.
            let before = job.life.since.map_or(Span::ZERO, |since| self.start.since(since));
            work = work.saturating_sub(before).max(Span(1));
        }
        if let Some((one, elapsed)) = on {
            let own = speed(&speeds, variant(one));
            go_on(Arc::make_mut(&mut spec), one, elapsed);
            work = work.saturating_sub(elapsed.scaled(own.into(), 1_000)).max(Span(1));
            speeds = vec![own];
        }
        let kind = self.kinds.get(&speeds).copied().unwrap_or_default();
        let actual = Actual { work, kind, ending: truth.ending };
        Some(Arrival { after: job.after, spec, actual })
    }
}

/// Which variant an attempt runs as.
fn variant(one: &Try) -> u16 {
    one.placement.parts.first().map_or(0, |part| part.variant)
}

fn speed(speeds: &[u32], variant: u16) -> u32 {
    speeds.get(usize::from(variant)).copied().unwrap_or(1_000)
}

/// Its inputs are those it had, not what is newest by then.
fn settle(spec: &mut JobSpec, life: &Life) {
    for (input, data) in spec.inputs.iter_mut().zip(&life.inputs) {
        input.dataset = DatasetRef { dataset: data.dataset.clone(), version: Some(data.version) };
    }
}

/// What ran goes on where it ran, for the time it had left.
fn go_on(spec: &mut JobSpec, one: &Try, elapsed: Span) {
    spec.centers = vec![one.placement.center().clone()];
    let limit = spec.limit(variant(one));
    for part in &mut spec.parts {
        let own = part.variants.get(usize::from(variant(one))).cloned();
        part.variants = own.into_iter().collect();
        for variant in &mut part.variants {
            variant.limit = limit.map(|limit| limit.saturating_sub(elapsed).max(Span(1)));
        }
    }
}

/// The speed of each variant of a job beside its `expected` duration, in thousandths.
fn nominal(spec: &JobSpec) -> Vec<u32> {
    let whole = spec.duration.limit();
    let by_limit = |variant: &Variant| {
        let (whole, own) = (whole?, variant.limit?);
        u32::try_from(whole.scaled(1_000, own.0.max(1)).0).ok()
    };
    let speed = |variant: &Variant| {
        let told = variant.speed_thousandths.filter(|speed| *speed > 0);
        told.or_else(|| by_limit(variant)).unwrap_or(1_000).max(1)
    };
    spec.parts.iter().take(1).flat_map(|part| &part.variants).map(speed).collect()
}

/// How much of their limits jobs use.
#[derive(Debug, Default)]
struct Habits<'a> {
    /// When the log ends.
    end: Moment,
    /// By tenant and workload: how long jobs ran, and how long they might have, in milliseconds.
    used: BTreeMap<(&'a TenantId, Option<&'a str>), (u128, u128)>,
}

impl<'a> Habits<'a> {
    fn of(past: &'a Past) -> Self {
        let mut habits = Self { end: past.last(), ..Self::default() };
        for life in past.lives.jobs.values() {
            let end = life.ended.as_ref().map(|(_, end)| end);
            let Some(JobEnd::Completed | JobEnd::TimedOut) = end else { continue };
            let Some((one, over)) = life.last().and_then(|one| Some((one, one.over.as_ref()?)))
            else {
                continue;
            };
            let Some(limit) = life.spec.limit(variant(one)) else { continue };
            let used = habits.used.entry(whose(life)).or_default();
            used.0 += u128::from(over.ran.min(limit).0);
            used.1 += u128::from(limit.0);
        }
        habits
    }

    /// How long a job that ran for a while can be expected to run in all: for the part of the rest
    /// that like ones took of theirs, or else as long as its tenant expects, or else to its limit.
    fn expected(&self, life: &Life, limit: Span, ran: Span) -> Span {
        let left = limit.saturating_sub(ran);
        if let Some((took, allowed)) = self.used.get(&whose(life)).filter(|(_, all)| *all > 0) {
            let share = took * u128::from(left.0) / allowed;
            return ran + Span(u64::try_from(share).unwrap_or(left.0));
        }
        let told = match life.spec.duration {
            Duration::Limited { expected, .. } => expected,
            Duration::Open => None,
        };
        told.filter(|told| *told > ran).unwrap_or(limit).min(limit)
    }

    /// What a job turned out to be, or is expected to.
    fn truth(&self, life: &Life) -> Truth {
        let speeds = nominal(&life.spec);
        let last = life.last();
        let own = last.map_or(1_000, |one| speed(&speeds, variant(one)));
        // What checkpoints kept of earlier attempts there was not done again.
        let saved = last.map_or(Span::ZERO, |last| life.saved_for(last));
        let at_speed_1 = |span: Span| (span + saved).scaled(own.into(), 1_000).max(Span(1));
        let known = |work, ending| Truth { work, ending, known: true };
        let over = last.and_then(|one| one.over.as_ref());
        match (&life.ended, over) {
            (Some((_, JobEnd::Completed)), Some(over)) => {
                known(at_speed_1(over.ran), Ending::Success)
            }
            (Some((_, JobEnd::Failed(_))), Some(over)) if over.outcome.is_own_fault() => {
                known(at_speed_1(over.ran), Ending::Failure)
            }
            (Some((_, JobEnd::TimedOut)), Some(over)) => {
                let limit = last.and_then(|one| life.spec.limit(variant(one)));
                known(at_speed_1(limit.unwrap_or(over.ran) + BEYOND), Ending::Success)
            }
            (Some((_, JobEnd::Canceled)), Some(over)) => {
                known(at_speed_1(over.ran), Ending::Canceled)
            }
            (Some((at, JobEnd::Canceled)), None) => {
                known(life.since.map_or(Span(1), |since| at.since(since)), Ending::Withdrawn)
            }
            _ => self.estimate(life, own),
        }
    }

    /// A job of which nobody knows how long it takes: what ran for a while takes its part of the
    /// time that was left then.
    fn estimate(&self, life: &Life, own: u32) -> Truth {
        let whole = life.spec.duration.limit().unwrap_or(Span::from_secs(3_600));
        let live = life.tries.last().filter(|one| one.over.is_none());
        let ran = live.and_then(|one| Some((one, one.started?)));
        let work = match ran {
            Some((one, started)) => {
                let limit = life.spec.limit(variant(one)).unwrap_or(whole);
                let ran = self.end.since(started).min(limit);
                self.expected(life, limit, ran).scaled(own.into(), 1_000)
            }
            None => self.expected(life, whole, Span::ZERO),
        };
        Truth { work: work.max(Span(1)), ending: Ending::Success, known: false }
    }
}

fn whose(life: &Life) -> (&TenantId, Option<&str>) {
    (&life.spec.tenant, life.spec.workload.as_deref())
}
