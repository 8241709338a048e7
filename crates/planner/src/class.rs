//! Jobs of a class are interchangeable to the planner: it decides per class, not per job.

use model::job::Job;
use model::{Digest, JobId, JobSpec, Moment};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names a class: the digest of all in a spec that planning looks at.
pub type ClassId = Digest;

/// Jobs that differ in nothing planning looks at.
#[derive(Debug, Clone)]
pub struct Class {
    /// The spec of one of them.
    pub spec: Arc<JobSpec>,
    /// Those that wait and may be tried now, oldest first.
    pub jobs: BTreeSet<JobId>,
}

/// The class a spec belongs to.
#[must_use]
pub fn class_of(spec: &JobSpec) -> ClassId {
    let mut shape = spec.clone();
    shape.name.clear();
    shape.secrets.clear();
    shape.outputs.retain(|output| !output.residency.is_empty());
    shape.outputs.iter_mut().for_each(|output| output.name.clear());
    shape.hold = false;
    for variant in shape.parts.iter_mut().flat_map(|part| &mut part.variants) {
        variant.command.clear();
        variant.env.clear();
    }
    Digest::of(&serde_json::to_vec(&shape).expect("a spec has only text keys"))
}

/// Waiting jobs by class, in the order they are considered: priority, then submission.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    classes: BTreeMap<ClassId, Class>,
    order: BTreeSet<(Reverse<i32>, JobId, ClassId)>,
    of: BTreeMap<JobId, ClassId>,
    later: BTreeSet<(Moment, JobId)>,
}

impl Queue {
    /// Puts a job in line; it is not considered before `not_before`.
    pub fn enter(&mut self, job: &Job, not_before: Moment, now: Moment) {
        let class = class_of(&job.spec);
        self.of.insert(job.job, class);
        self.classes
            .entry(class)
            .or_insert_with(|| Class { spec: Arc::clone(&job.spec), jobs: BTreeSet::new() });
        if not_before > now {
            self.later.insert((not_before, job.job));
        } else {
            self.line_up(job.job, class);
        }
    }

    fn line_up(&mut self, job: JobId, id: ClassId) {
        self.reorder(id, |class| {
            class.jobs.insert(job);
        });
    }

    fn reorder(&mut self, id: ClassId, change: impl FnOnce(&mut Class)) {
        let Some(class) = self.classes.get_mut(&id) else { return };
        let priority = Reverse(class.spec.priority);
        let head = class.jobs.first().copied();
        change(class);
        let new_head = class.jobs.first().copied();
        if head != new_head {
            head.map(|head| self.order.remove(&(priority, head, id)));
            new_head.map(|head| self.order.insert((priority, head, id)));
        }
    }

    /// Takes a job out of line.
    pub fn leave(&mut self, job: JobId) {
        let Some(id) = self.of.remove(&job) else { return };
        self.later.retain(|(_, j)| *j != job);
        self.reorder(id, |class| {
            class.jobs.remove(&job);
        });
        let nobody = self.classes.get(&id).is_some_and(|c| c.jobs.is_empty());
        if nobody && !self.later.iter().any(|(_, j)| self.of.get(j) == Some(&id)) {
            self.classes.remove(&id);
        }
    }

    /// Lines up the jobs whose time has come; returns when the next one's will.
    pub fn wake(&mut self, now: Moment) -> Option<Moment> {
        while let Some((at, job)) = self.later.first().copied() {
            if at > now {
                return Some(at);
            }
            self.later.pop_first();
            if let Some(class) = self.of.get(&job).copied() {
                self.line_up(job, class);
            }
        }
        None
    }

    /// When the next job that is to be considered later will be.
    #[must_use]
    pub fn next_wake(&self) -> Option<Moment> {
        self.later.first().map(|(at, _)| *at)
    }

    /// Classes with somebody in line, in the order their first jobs are considered.
    pub fn in_order(&self) -> impl Iterator<Item = (ClassId, &Class)> {
        self.order.iter().filter_map(|(_, _, id)| Some((*id, self.classes.get(id)?)))
    }

    /// The class a waiting job belongs to.
    #[must_use]
    pub fn class(&self, job: JobId) -> Option<(ClassId, &Class)> {
        let id = self.of.get(&job)?;
        Some((*id, self.classes.get(id)?))
    }

    /// Jobs in line, those to be considered later included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }
}
