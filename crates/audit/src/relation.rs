//! Jobs that are to come after others, and arrays of which only so many may run at once.

use crate::promise::{Findings, Promise};
use model::fact::JobSubmitted;
use model::job::{Dependency, DependencyKind, JobSpec};
use model::{Fact, JobEnd, JobId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is remembered of jobs for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Relations {
    /// Jobs that are not archived: whether they completed, once they have ended.
    jobs: BTreeMap<JobId, Option<bool>>,
    /// Arrays and jobs that wait for others, by the first of them.
    specs: BTreeMap<JobId, Arc<JobSpec>>,
    /// The first job of each array or job of those, and its place.
    places: BTreeMap<JobId, (JobId, u32)>,
    /// How many attempts of an array are live.
    live: BTreeMap<JobId, u32>,
}

impl Relations {
    pub(crate) fn take(&mut self, fact: &Fact, found: &mut Findings) {
        match fact {
            Fact::JobSubmitted(f) => self.submitted(f),
            Fact::JobOffered(f) => self.offered(f.attempt.job, found),
            Fact::AttemptEnded(f) => {
                if let Some((first, _)) = self.places.get(&f.attempt.job) {
                    let live = self.live.entry(*first).or_default();
                    *live = live.saturating_sub(1);
                }
            }
            Fact::JobEnded(f) => {
                if let JobEnd::Unmet { job } = &f.end {
                    let was = self.after(f.job).iter().any(|after| after.job == *job);
                    found.judge(Promise::Order, was, || {
                        format!("{} ends for {job}, after which it was not to come", f.job)
                    });
                    let waits = self.after(f.job).into_iter().any(|after| {
                        after.job == *job && self.ended(f.job, &after).contains(&Some(false))
                    });
                    found.judge(Promise::Order, waits, || {
                        format!("{} ends for {job}, which has not failed", f.job)
                    });
                }
                self.jobs.insert(f.job, Some(f.end == JobEnd::Completed));
            }
            Fact::JobsArchived(f) => {
                for job in &f.jobs {
                    self.jobs.remove(job);
                    self.places.remove(job);
                    self.specs.remove(job);
                    self.live.remove(job);
                }
            }
            _ => {}
        }
    }

    fn submitted(&mut self, fact: &JobSubmitted) {
        let related = fact.spec.array.is_some() || !fact.spec.after.is_empty();
        for (place, job) in (0..).zip(fact.jobs()) {
            self.jobs.insert(job, None);
            if related {
                self.places.insert(job, (fact.job, place));
            }
        }
        if related {
            self.specs.insert(fact.job, Arc::clone(&fact.spec));
        }
    }

    fn after(&self, job: JobId) -> Vec<Dependency> {
        let first = self.places.get(&job).map(|(first, _)| first);
        first.and_then(|first| self.specs.get(first)).map_or(Vec::new(), |spec| spec.after.clone())
    }

    /// Whether those completed that a job is to come after by this; none of one that has not ended.
    fn ended(&self, job: JobId, after: &Dependency) -> Vec<Option<bool>> {
        let named = self.specs.get(&after.job).and_then(|spec| spec.array.as_ref());
        let at = |place: u32| JobId::new(after.job.number() + u64::from(place));
        let all = match (named, after.when) {
            (None, _) => vec![after.job],
            (Some(array), DependencyKind::AfterCorr) => {
                let of = self.places.get(&job);
                let spec = of.and_then(|(first, place)| Some((self.specs.get(first)?, place)));
                let index = spec.and_then(|(spec, place)| Some(spec.array.as_ref()?.index(*place)));
                index.and_then(|index| array.place(index)).map(at).into_iter().collect()
            }
            (Some(array), _) => (0..array.tasks()).map(at).collect(),
        };
        all.iter().filter_map(|job| self.jobs.get(job).copied()).collect()
    }

    fn offered(&mut self, job: JobId, found: &mut Findings) {
        for after in self.after(job) {
            let holds = self.ended(job, &after).into_iter().all(|ended| match after.when {
                DependencyKind::AfterAny => ended.is_some(),
                DependencyKind::AfterOk | DependencyKind::AfterCorr => ended == Some(true),
            });
            found.judge(Promise::Order, holds, || {
                format!("{job} is offered a place before {}, after which it is to come", after.job)
            });
        }
        let Some((first, _)) = self.places.get(&job) else { return };
        let live = self.live.entry(*first).or_default();
        *live += 1;
        let array = self.specs.get(first).and_then(|spec| spec.array.as_ref());
        let at_once = array.and_then(|array| array.at_once);
        let live = *live;
        found.judge(Promise::Order, at_once.is_none_or(|at_once| live <= at_once), || {
            format!("{live} of the array {first} have a place, more than it says")
        });
    }
}
