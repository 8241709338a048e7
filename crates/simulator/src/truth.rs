//! What only the simulator knows.

use crate::agent::Agent;
use crate::fault::Sabotage;
use crate::judge::Judge;
use crate::load::{Actual, Speeds};
use model::fact::JobOffered;
use model::{AttemptId, CenterId, JobId, Span};
use std::collections::BTreeMap;

/// What nobody who decides may see.
pub(crate) struct Truth {
    pub(crate) jobs: Jobs,
    pub(crate) speeds: Speeds,
    pub(crate) judge: Judge,
    pub(crate) sabotage: Option<Sabotage>,
    /// Work that checkpoints hold, by job and where they are.
    pub(crate) kept: Kept,
}

impl Truth {
    /// An attempt is over in its center's engine.
    pub(crate) fn over(&mut self, attempt: AttemptId, at: &Agent) {
        self.judge.over(attempt);
        if let Some(work) = at.engine.kept(attempt) {
            self.kept.put(attempt.job, &at.center, work);
        }
    }
}

/// Work that checkpoints hold, by job and where they are.
#[derive(Debug, Default)]
pub(crate) struct Kept(BTreeMap<JobId, BTreeMap<CenterId, Span>>);

impl Kept {
    /// What the job's checkpoint at a center holds; nothing where there is none.
    pub(crate) fn at(&self, job: JobId, center: &CenterId) -> Span {
        self.0.get(&job).and_then(|kept| kept.get(center)).copied().unwrap_or_default()
    }

    /// An attempt of the job left a checkpoint there.
    pub(crate) fn put(&mut self, job: JobId, center: &CenterId, work: Span) {
        self.0.entry(job).or_default().insert(center.clone(), work);
    }

    /// A job needs its checkpoints no longer.
    pub(crate) fn forget(&mut self, job: JobId) {
        self.0.remove(&job);
    }

    /// A center's disks are gone.
    pub(crate) fn wipe(&mut self, center: &CenterId) {
        self.0.values_mut().for_each(|kept| _ = kept.remove(center));
    }
}

/// Which arrival a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    /// Its place among the arrivals.
    pub(crate) arrival: u64,
    pub(crate) actual: Actual,
    /// The variant it was last given a place as.
    pub(crate) variant: u16,
}

/// Arrivals by the number their job was given.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Vec<Option<Bound>>);

impl Jobs {
    pub(crate) fn get(&self, job: JobId) -> Option<Bound> {
        let at = usize::try_from(job.number()).ok()?;
        self.0.get(at).copied().flatten()
    }

    /// The job is this arrival. A number that was handed out before a crash and did not become
    /// durable may be handed out again.
    pub(crate) fn bind(&mut self, job: JobId, bound: Bound) {
        let at = usize::try_from(job.number()).expect("jobs of a run fit in memory");
        if self.0.len() <= at {
            self.0.resize(at + 1, None);
        }
        self.0[at] = Some(bound);
    }

    /// A job is given a place.
    pub(crate) fn offered(&mut self, fact: &JobOffered) {
        let at = usize::try_from(fact.attempt.job.number()).ok();
        let bound = at.and_then(|at| self.0.get_mut(at)).and_then(Option::as_mut);
        if let (Some(bound), Some(part)) = (bound, fact.placement.parts.first()) {
            bound.variant = part.variant;
        }
    }
}
