//! What only the simulator knows.

use crate::fault::Sabotage;
use crate::judge::Judge;
use crate::load::{Actual, Speeds};
use model::JobId;

/// What nobody who decides may see.
pub(crate) struct Truth {
    pub(crate) jobs: Jobs,
    pub(crate) speeds: Speeds,
    pub(crate) judge: Judge,
    pub(crate) sabotage: Option<Sabotage>,
}

/// Which arrival a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    /// Its place among the arrivals.
    pub(crate) arrival: u64,
    pub(crate) actual: Actual,
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
}
