//! Jobs that wait for other jobs to end: whose turn has come, and who waits in vain.

use crate::{Controller, Rejected};
use model::fact::{Fact, JobEnded, JobUnblocked};
use model::job::{Dependency, DependencyKind, JobSpec};
use model::{JobEnd, JobId, Phase, Principal};
use std::sync::Arc;
use world::Met;

impl Controller {
    /// Sees to those who wait for what has just happened. Who waits in vain ends, and with it whoever
    /// waits for that.
    pub(crate) fn unblock(&mut self) {
        let mut seen = 0;
        while let Some(fact) = self.facts.get(seen) {
            seen += 1;
            match fact {
                Fact::JobSubmitted(f) if !f.spec.after.is_empty() => {
                    f.jobs().collect::<Vec<_>>().into_iter().for_each(|job| self.look_at(job));
                }
                Fact::JobReleased(f) if f.blocked => {
                    let job = f.job;
                    self.look_at(job);
                }
                Fact::JobEnded(f) => {
                    let job = f.job;
                    self.next_of_array(job);
                    self.look_at_dependents(job);
                }
                Fact::JobHeld(f) => {
                    let job = f.job;
                    self.next_of_array(job);
                }
                Fact::JobRequeued(f) if f.held => {
                    let job = f.job;
                    self.next_of_array(job);
                }
                _ => {}
            }
        }
    }

    /// Has a job planned that waits for nobody any more, or ends one that waits in vain.
    fn look_at(&mut self, id: JobId) {
        let Some(job) = self.world.job(id).map(Arc::clone) else { return };
        if !matches!(job.phase, Phase::Held | Phase::Blocked) {
            return;
        }
        let met: Vec<_> =
            job.spec.after.iter().map(|after| (after.job, self.world.met(&job, after))).collect();
        if let Some((other, _)) = met.iter().find(|(_, met)| *met == Met::Never) {
            let end = JobEnd::Unmet { job: *other };
            self.emit(Fact::JobEnded(JobEnded { job: id, end }));
        } else if job.phase == Phase::Blocked
            && met.iter().all(|(_, met)| *met == Met::Yes)
            && self.world.has_turn(&job)
        {
            self.emit(Fact::JobUnblocked(JobUnblocked { job: id }));
        }
    }

    /// A job of an array has given up its turn: others may have it.
    fn next_of_array(&mut self, id: JobId) {
        let Some(job) = self.world.job(id).map(Arc::clone) else { return };
        if job.spec.array.as_ref().is_none_or(|array| array.at_once.is_none()) {
            return;
        }
        let mut last = None;
        while self.world.has_turn(&job)
            && let Some(next) = self.world.next_blocked(&job, last)
        {
            self.look_at(next);
            last = Some(next);
        }
    }

    /// A job has ended: those that are to come after it, or after all of its array, may go on.
    fn look_at_dependents(&mut self, id: JobId) {
        let Some(job) = self.world.job(id).map(Arc::clone) else { return };
        let array = job.task.map(|task| task.array).filter(|array| *array != id);
        for named in std::iter::once(id).chain(array) {
            let dependents: Vec<JobId> = self.world.dependents(named).collect();
            for first in dependents {
                let Some(dependent) = self.world.job(first) else { continue };
                let of = |after: &&Dependency| after.job == named;
                let by_index = |after: &Dependency| after.when == DependencyKind::AfterCorr;
                if dependent.spec.after.iter().filter(of).all(by_index) {
                    self.alike(id, first).into_iter().for_each(|job| self.look_at(job));
                    continue;
                }
                // The end of one task tells nothing of the whole, but that it failed.
                let tasks = self.world.tasks(named);
                if tasks.is_none_or(|tasks| tasks.failed > 0) {
                    let all: Vec<JobId> = self.world.jobs_of(first).map(|job| job.job).collect();
                    all.into_iter().for_each(|job| self.look_at(job));
                }
            }
        }
    }

    fn alike(&self, job: JobId, array: JobId) -> Option<JobId> {
        self.world.alike(self.world.job(job)?, array)
    }

    /// Whether the jobs that a spec is to come after are there, the asker's, and such that it can.
    pub(crate) fn check_after(&self, by: &Principal, spec: &JobSpec) -> Result<(), Rejected> {
        for after in &spec.after {
            let named = self.own_job(by, after.job).map_err(|_| Rejected::NotFound {
                what: format!(
                    "{} to come after: it never was, or ended so long ago that it is in the \
                     archive; if it did what it was to do, leave it out",
                    after.job
                ),
            })?;
            if after.when != DependencyKind::AfterCorr {
                continue;
            }
            let invalid = |why: String| Err(Rejected::Invalid { why });
            let Some(array) = &spec.array else {
                return invalid("`aftercorr` is for arrays; use `afterok`".to_owned());
            };
            let Some(other) = named.spec.array.as_ref().filter(|_| named.is_first()) else {
                return invalid(format!(
                    "`aftercorr` needs an array by its first job, and {} is not one; use `afterok`",
                    after.job
                ));
            };
            let indices = (0..array.tasks()).map(|place| array.index(place));
            if let Some(index) = indices.into_iter().find(|index| other.place(*index).is_none()) {
                return invalid(format!("{} has no task {index} to come after", after.job));
            }
        }
        Ok(())
    }
}
