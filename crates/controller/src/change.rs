//! What people do to jobs that were accepted.

use crate::{Answer, Change, Controller, Of, Rejected};
use model::fact::{Fact, JobEnded, JobReleased, JobTouched};
use model::job::Job;
use model::{JobEnd, JobId, Phase, Principal, Stop};
use std::sync::Arc;

impl Controller {
    /// Does to jobs what can be done to them. Of an array it is enough that it can be to one.
    pub(crate) fn change(
        &mut self,
        by: &Principal,
        of: Of,
        change: Change,
    ) -> Result<Answer, Rejected> {
        let id = match of {
            Of::Job(id) => id,
            Of::Array(id) => {
                let all: Vec<JobId> = self.world.jobs_of(id).map(|job| job.job).collect();
                let mut rejected = None;
                let mut changed = false;
                for job in all {
                    match self.change_one(by, job, change) {
                        Ok(()) => changed = true,
                        Err(why) => rejected = Some(rejected.unwrap_or(why)),
                    }
                }
                match rejected {
                    Some(why) if !changed => return Err(why),
                    _ => return self.own_job(by, id).map(Answer::Job),
                }
            }
        };
        self.change_one(by, id, change)?;
        self.own_job(by, id).map(Answer::Job)
    }

    fn change_one(&mut self, by: &Principal, id: JobId, change: Change) -> Result<(), Rejected> {
        let job = self.own_job(by, id)?;
        match change {
            Change::Cancel => self.cancel(by, &job),
            Change::Hold => self.hold(by, &job),
            Change::Release => self.release(by, &job),
            Change::Requeue { hold } => self.requeue(&job, hold),
        }
    }

    fn cancel(&mut self, by: &Principal, job: &Arc<Job>) -> Result<(), Rejected> {
        let live = job.phase.attempt().map(|attempt| attempt.attempt);
        if let Some(attempt) = live.filter(|_| job.spec.is_reservation()) {
            self.cancel_window(attempt, by.token)?;
        } else if !matches!(job.phase, Phase::Ended { .. }) && !job.canceled {
            self.emit(Fact::JobCanceled(JobTouched { job: job.job, by: by.token }));
            match &job.phase {
                Phase::Held | Phase::Blocked | Phase::Waiting { .. } => {
                    self.emit(Fact::JobEnded(JobEnded { job: job.job, end: JobEnd::Canceled }));
                }
                Phase::Placed(attempt) => self.stop(attempt.attempt, Stop::Canceled),
                Phase::Ended { .. } => {}
            }
        }
        Ok(())
    }

    fn hold(&mut self, by: &Principal, job: &Job) -> Result<(), Rejected> {
        match job.phase {
            Phase::Held => Ok(()),
            Phase::Waiting { .. } | Phase::Blocked => {
                self.emit(Fact::JobHeld(JobTouched { job: job.job, by: by.token }));
                Ok(())
            }
            Phase::Placed(_) | Phase::Ended { .. } => Err(is_not(job, "a waiting job can be held")),
        }
    }

    fn release(&mut self, by: &Principal, job: &Job) -> Result<(), Rejected> {
        match job.phase {
            Phase::Held => {
                let blocked = job.spec.blocks();
                self.emit(Fact::JobReleased(JobReleased { job: job.job, by: by.token, blocked }));
                Ok(())
            }
            Phase::Waiting { .. } | Phase::Blocked => Ok(()),
            Phase::Placed(_) | Phase::Ended { .. } => {
                Err(is_not(job, "a held job can be released"))
            }
        }
    }

    fn requeue(&mut self, job: &Job, hold: bool) -> Result<(), Rejected> {
        match &job.phase {
            Phase::Placed(attempt) if !job.spec.is_reservation() && !job.canceled => {
                let why = if hold { Stop::Held } else { Stop::Requeued };
                self.stop(attempt.attempt, why);
                Ok(())
            }
            _ => Err(is_not(job, "a job that has a place can begin anew")),
        }
    }
}

fn is_not(job: &Job, only: &str) -> Rejected {
    Rejected::Conflict { why: format!("{} is {}; only {only}", job.job, job.word()) }
}
