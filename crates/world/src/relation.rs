//! Jobs that wait for other jobs: for those they are to come after, and, in an array of which only so
//! many may run at once, for their turn.
//!
//! A job that it is to come after and that is not here any more was looked at when it ended: who was not
//! to come after such an end has ended with it. So it holds nobody up.

use crate::World;
use crate::index::Index;
use model::job::{Array, Dependency, DependencyKind, Job, JobEnd};
use model::{JobId, Phase};
use std::sync::Arc;

/// How far the jobs of an array are that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tasks {
    /// How many have not ended.
    pub open: u32,
    /// How many of these wait for a place or have one.
    pub active: u32,
    /// How many ended and did not complete.
    pub failed: u32,
}

/// Whether another job stands in the way of one that is to come after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// It does not.
    Yes,
    /// It does as long as it has not ended.
    NotYet,
    /// It did not end as it was to: the one after it can never run.
    Never,
}

/// What of a job counts for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Held or blocked.
    Back,
    Active,
    Completed,
    Failed,
}

impl Stage {
    pub(crate) const fn of(job: &Job) -> Self {
        match &job.phase {
            Phase::Held | Phase::Blocked => Self::Back,
            Phase::Waiting { .. } | Phase::Placed(_) => Self::Active,
            Phase::Ended { end: JobEnd::Completed, .. } => Self::Completed,
            Phase::Ended { .. } => Self::Failed,
        }
    }

    const fn met(self, when: DependencyKind) -> Met {
        match (self, when) {
            (Self::Back | Self::Active, _) => Met::NotYet,
            (Self::Completed, _) | (Self::Failed, DependencyKind::AfterAny) => Met::Yes,
            (Self::Failed, DependencyKind::AfterOk | DependencyKind::AfterCorr) => Met::Never,
        }
    }
}

impl Index {
    /// A job has come to this stage from that one; from none, it is new here.
    pub(crate) fn relate(&mut self, job: &Job, was: Option<Stage>, is: Stage) {
        if was == Some(is) {
            return;
        }
        let first = job.first();
        let mut open = u32::from(matches!(is, Stage::Back | Stage::Active));
        if let Some(task) = job.task {
            let tasks = self.arrays.entry(task.array).or_default();
            match was {
                Some(Stage::Active) => {
                    tasks.active -= 1;
                    tasks.open -= 1;
                }
                Some(Stage::Back) => tasks.open -= 1,
                Some(Stage::Completed | Stage::Failed) | None => {}
            }
            tasks.active += u32::from(is == Stage::Active);
            tasks.open += open;
            tasks.failed += u32::from(is == Stage::Failed);
            open = tasks.open;
        }
        for named in &job.spec.after {
            if open > 0 {
                self.dependents.entry(named.job).or_default().insert(first);
            } else if let Some(dependents) = self.dependents.get_mut(&named.job) {
                dependents.remove(&first);
                if dependents.is_empty() {
                    self.dependents.remove(&named.job);
                }
            }
        }
    }

    /// Once nothing of a job's array is left to do: forgets the array, and lets its jobs be archived.
    pub(crate) fn end_array(&mut self, job: &Job) {
        let array = job.first();
        if self.arrays.get(&array).is_some_and(|tasks| tasks.open == 0) {
            self.arrays.remove(&array);
            let end = JobId::new(array.number() + u64::from(job.spec.tasks()));
            self.archivable.extend(self.ended.range(array..end));
        }
    }
}

impl World {
    /// The job of this number, and all others of its array where it is the first of one.
    pub fn jobs_of(&self, id: JobId) -> impl DoubleEndedIterator<Item = &Arc<Job>> {
        let first = self.job(id);
        let tasks = first.filter(|job| job.is_first()).map_or(1, |job| job.spec.tasks());
        let numbers = id.number()..id.number() + u64::from(tasks);
        numbers.filter_map(|number| self.jobs.get(number))
    }

    /// How far an array is that has not ended, by the number of its first job.
    #[must_use]
    pub fn tasks(&self, array: JobId) -> Option<Tasks> {
        self.index.arrays.get(&array).copied()
    }

    /// Jobs that wait for others to end, oldest first.
    pub fn blocked(&self) -> impl DoubleEndedIterator<Item = JobId> {
        self.index.blocked.iter().copied()
    }

    /// The first of an array's jobs that is blocked and comes after this one.
    #[must_use]
    pub fn next_blocked(&self, array: &Job, after: Option<JobId>) -> Option<JobId> {
        let first = after.map_or(array.first().number(), |after| after.number() + 1);
        let end = array.first().number() + u64::from(array.spec.tasks());
        self.index.blocked.range(JobId::new(first.min(end))..JobId::new(end)).next().copied()
    }

    /// Jobs that have not ended and are to come after this one; of arrays, the first.
    pub fn dependents(&self, job: JobId) -> impl Iterator<Item = JobId> {
        self.index.dependents.get(&job).into_iter().flatten().copied()
    }

    /// Whether what a job is to come after stands in its way.
    #[must_use]
    pub fn met(&self, job: &Job, dependency: &Dependency) -> Met {
        let stage = |id| self.job(id).map(|job| Stage::of(job));
        let single = |id| stage(id).map_or(Met::Yes, |stage| stage.met(dependency.when));
        if dependency.when == DependencyKind::AfterCorr {
            return self.alike(job, dependency.job).map_or(Met::Yes, single);
        }
        match self.tasks(dependency.job) {
            Some(tasks) if tasks.failed > 0 && dependency.when == DependencyKind::AfterOk => {
                Met::Never
            }
            Some(_) => Met::NotYet,
            None => {
                let all = self.jobs_of(dependency.job).map(|job| single(job.job));
                all.max_by_key(|met| *met as u8).unwrap_or(Met::Yes)
            }
        }
    }

    /// The job of another array with the same index as this one.
    #[must_use]
    pub fn alike(&self, job: &Job, array: JobId) -> Option<JobId> {
        let place = self.job(array)?.spec.array.as_ref()?.place(job.task?.index)?;
        Some(JobId::new(array.number() + u64::from(place)))
    }

    /// Whether a job of an array may be planned beside those of its array that are.
    #[must_use]
    pub fn has_turn(&self, job: &Job) -> bool {
        let at_once = job.spec.array.as_ref().and_then(|array: &Array| array.at_once);
        let active = self.tasks(job.first()).map_or(0, |tasks| tasks.active);
        at_once.is_none_or(|at_once| active < at_once)
    }
}
