//! What is counted of a run while it goes on.

use crate::load::Actual;
use crate::measure::{Fate, Finished};
use crate::truth::Jobs;
use controller::Rejected;
use model::fact::{TransferEnd, TransferEnded};
use model::job::{Job, JobSpec, PastAttempt};
use model::{Bytes, Chips, JobEnd, JobId, Moment, Phase, Span, TransferId};
use serde::Serialize;
use std::collections::BTreeMap;
use world::World;

/// How many rejections are kept with their reasons.
const REASONS: usize = 20;

/// The network at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// When, from the start.
    pub at: Span,
    /// Chips in use, by the engines' books.
    pub busy: Chips,
    /// Attempts that are not over, those that wait for their data included.
    pub placed: usize,
    /// Jobs that wait for a place.
    pub waiting: usize,
    /// Transfers under way.
    pub transfers: usize,
}

/// Keeps count.
pub(crate) struct Tally {
    start: Moment,
    pub(crate) finished: Vec<Finished>,
    pub(crate) reasons: Vec<String>,
    /// Bytes that transfers moved and no job has been charged with.
    moved: BTreeMap<TransferId, Bytes>,
}

impl Tally {
    pub(crate) const fn new(start: Moment) -> Self {
        Self { start, finished: Vec::new(), reasons: Vec::new(), moved: BTreeMap::new() }
    }

    pub(crate) fn transferred(&mut self, fact: &TransferEnded) {
        if let TransferEnd::Arrived { moved, .. } = fact.end
            && moved > Bytes::ZERO
        {
            self.moved.insert(fact.transfer, moved);
        }
    }

    /// A job ended: it is in the world still.
    pub(crate) fn ended(&mut self, world: &World, id: JobId, jobs: &Jobs, at: Moment) {
        let (Some(job), Some(bound)) = (world.job(id), jobs.get(id)) else { return };
        let fate = match &job.phase {
            Phase::Ended { end: JobEnd::Completed, .. } => Fate::Completed,
            Phase::Ended { end: JobEnd::TimedOut, .. } => Fate::TimedOut,
            Phase::Ended { end: JobEnd::Canceled, .. } => Fate::Canceled,
            _ => Fate::Failed,
        };
        let ran = job.past.iter().rev().find(|past| past.started.is_some());
        let mut finished = self.open(job, bound.arrival, bound.actual, fate);
        finished.started = ran.and_then(|past| past.started).map(|at| at.since(self.start));
        let first = job.past.iter().find_map(|past| past.started);
        finished.first_started = first.map(|at| at.since(self.start));
        finished.ended = at.since(self.start);
        finished.center = ran.map(|past| past.placement.center().clone());
        finished.chips = ran.map_or(finished.chips, chips);
        for past in &job.past {
            for transfer in &past.placement.awaits {
                finished.moved += self.moved.remove(transfer).unwrap_or(Bytes::ZERO);
            }
            let Some(started) = past.started else { continue };
            let span = past.ended.since(started);
            finished.held = finished.held.saturating_add(chips(past).over(span));
            finished.price_micros = finished.price_micros.saturating_add(price(world, past, span));
            let (used, carbon) = energy(world, past, (started, span));
            finished.energy_mwh = finished.energy_mwh.saturating_add(used);
            finished.carbon_mg = finished.carbon_mg.saturating_add(carbon);
        }
        self.finished.push(finished);
    }

    /// A job that had not ended when the run was over.
    pub(crate) fn unended(&mut self, job: &Job, jobs: &Jobs, at: Moment) {
        let Some(bound) = jobs.get(job.job) else { return };
        let mut refused = self.open(job, bound.arrival, bound.actual, Fate::Refused);
        refused.ended = at.since(self.start);
        self.finished.push(refused);
    }

    fn open(&self, job: &Job, arrival: u64, actual: Actual, fate: Fate) -> Finished {
        Finished {
            arrival,
            submitted: job.submitted.since(self.start),
            promised: job.promise.as_ref().map(|told| told.start.since(self.start)),
            due: job.spec.deadline.map(|deadline| deadline.since(self.start)),
            fate,
            ..nothing(arrival, actual, &job.spec)
        }
    }

    /// A submission was not accepted.
    pub(crate) fn rejected(
        &mut self,
        arrival: u64,
        actual: Actual,
        spec: &JobSpec,
        why: &Rejected,
        now: Moment,
    ) {
        let at = now.since(self.start);
        let rejected = Finished { submitted: at, ended: at, ..nothing(arrival, actual, spec) };
        self.finished.push(rejected);
        if self.reasons.len() < REASONS {
            self.reasons.push(format!("{}: {why}", spec.name));
        }
    }
}

fn nothing(arrival: u64, actual: Actual, spec: &JobSpec) -> Finished {
    let variant = spec.parts.first().and_then(|part| part.variants.first());
    Finished {
        arrival,
        tenant: spec.tenant.clone(),
        submitted: Span::ZERO,
        promised: None,
        due: None,
        first_started: None,
        started: None,
        ended: Span::ZERO,
        fate: Fate::Refused,
        work: actual.work,
        chips: variant.map_or(Chips::ZERO, |v| v.chips_per_node.times(v.nodes.into())),
        center: None,
        held: model::ChipTime::ZERO,
        price_micros: 0,
        energy_mwh: 0,
        carbon_mg: 0,
        moved: Bytes::ZERO,
    }
}

/// Chips of an attempt's gang, all nodes together.
fn chips(past: &PastAttempt) -> Chips {
    let slots = past.placement.parts.iter().flat_map(|part| &part.nodes);
    slots.fold(Chips::ZERO, |sum, slots| {
        sum.saturating_add(slots.share.times(slots.chips.len() as u64))
    })
}

/// What the chips of an attempt used, in milliwatt-hours, and what carbon that came with, in milligrams.
fn energy(world: &World, past: &PastAttempt, (from, span): (Moment, Span)) -> (u64, u64) {
    let Some(part) = past.placement.parts.first() else { return (0, 0) };
    let Some(state) = world.centers.get(&part.center) else { return (0, 0) };
    let pool = state.center.pool(&part.pool);
    let chip = pool.and_then(|pool| world.chips.get(pool.chip.as_ref()?));
    let watts = chip.and_then(|chip| chip.power_watts);
    let used = state.center.energy(watts, chips(past).over(span));
    (used, state.center.carbon(used, from, span))
}

/// What an attempt cost by its pool's price.
fn price(world: &World, past: &PastAttempt, span: Span) -> i64 {
    let Some(part) = past.placement.parts.first() else { return 0 };
    let state = world.centers.get(&part.center);
    let Some(pool) = state.and_then(|state| state.center.pool(&part.pool)) else { return 0 };
    let nodes = u32::try_from(part.nodes.len()).unwrap_or(u32::MAX);
    let per_node =
        part.nodes.first().map_or(Chips::ZERO, |slots| slots.share.times(slots.chips.len() as u64));
    pool.price(nodes, per_node, span).micros
}
