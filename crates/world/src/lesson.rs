//! What finished jobs teach about how long the next ones run.

use crate::World;
use model::fact::AttemptEnded;
use model::{Attempt, ChipId, JobSpec, Outcome, Span, TenantId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// With fewer jobs than this nothing is learned yet.
const ENOUGH: u32 = 3;
/// With this many what is old counts half: the newer jobs say more about the next.
const MANY: u32 = 64;

/// So many of all chips' jobs count beside those of one chip.
const BESIDE: u128 = 64;

/// How long jobs ran beside how long they might have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lesson {
    /// How many jobs it is drawn from; older ones count less.
    pub jobs: u32,
    /// How long they ran, in milliseconds.
    ran: u64,
    /// How long they might have, in milliseconds.
    allowed: u64,
}

impl Lesson {
    /// The share of its limit a job can be expected to run, in thousandths; at least one.
    #[must_use]
    pub fn thousandths(&self) -> u64 {
        let share = u128::from(self.ran) * 1_000 / u128::from(self.allowed.max(1));
        u64::try_from(share).unwrap_or(u64::MAX).clamp(1, 1_000)
    }

    /// How far to trust it, in thousandths: half at three jobs, more with each.
    #[must_use]
    pub fn confidence(&self) -> u64 {
        u64::from(self.jobs) * 1_000 / u64::from(self.jobs + ENOUGH)
    }

    /// What it teaches beside what all chips together do, of which it is a part: as if so many more had
    /// run on this chip as on all. How long jobs run varies far more from one to the next than from what
    /// is said of a chip's speed to what is true, and where few ran, chance would tell chips apart.
    fn beside(self, all: Self) -> Self {
        let more = u128::from(self.allowed) * BESIDE / u128::from(self.jobs.max(1));
        let ran = more * u128::from(all.ran) / u128::from(all.allowed.max(1));
        let whole = |more: u128| u64::try_from(more).unwrap_or(u64::MAX);
        Self {
            jobs: self.jobs,
            ran: self.ran.saturating_add(whole(ran)),
            allowed: self.allowed.saturating_add(whole(more)),
        }
    }

    fn add(&mut self, ran: Span, allowed: Span) {
        if self.jobs >= MANY {
            (self.jobs, self.ran, self.allowed) = (self.jobs / 2, self.ran / 2, self.allowed / 2);
        }
        self.jobs += 1;
        self.ran = self.ran.saturating_add(ran.0.min(allowed.0));
        self.allowed = self.allowed.saturating_add(allowed.0);
    }
}

/// Lessons by tenant, workload, limit and chip.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Lessons(BTreeMap<TenantId, BTreeMap<String, Grades>>);

/// Lessons by how long jobs might run, then by chip. Who takes the longest limit there is, for want of
/// knowing better, says nothing about those who chose theirs.
type Grades = BTreeMap<u32, BTreeMap<String, Lesson>>;

/// Under which grade the lessons of all limits are kept; no limit has it.
const ANY_LIMIT: u32 = u32::MAX;

/// Jobs whose limits, whatever chips they run on, are less than a factor of two apart are of one grade.
fn grade(spec: &JobSpec) -> u32 {
    spec.duration.limit().map_or(ANY_LIMIT, |limit| limit.0.max(1).ilog2())
}

/// Under which name a chip's lesson is kept; jobs without chips have one too.
fn name(chip: Option<&ChipId>) -> &str {
    chip.map_or("none", ChipId::as_str)
}

/// Under which name the lesson of all chips together is kept; no chip is called so.
const ALL: &str = "*";

/// What is known of how long a job will run, and of whose runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taught {
    /// What finished jobs taught.
    pub lesson: Lesson,
    /// Whether they ran on the chip that was asked about; else on any.
    pub on_this_chip: bool,
}

/// What was learned from a tenant's jobs of one workload, by limit and chip.
#[derive(Debug, Clone, Copy)]
pub struct LessonsOf<'a>(&'a Grades);

impl LessonsOf<'_> {
    /// The lesson of jobs with about the limit of this one on this chip, beside those on all chips, or
    /// while too few of them ran on it of all chips together; while there are too few of these, of jobs of
    /// any limit. `None` while nothing is known. With it comes whether it is of this chip.
    #[must_use]
    pub fn on(&self, chip: Option<&ChipId>, spec: &JobSpec) -> Option<Taught> {
        let enough = |lesson: &&Lesson| lesson.jobs >= ENOUGH;
        let taught = |on_this_chip| move |lesson: &Lesson| Taught { lesson: *lesson, on_this_chip };
        let mut grades = [grade(spec), ANY_LIMIT].into_iter().filter_map(|of| self.0.get(&of));
        grades.find_map(|lessons| {
            let all = lessons.get(ALL).filter(enough)?;
            let own = lessons.get(name(chip)).filter(enough);
            Some(own.map_or_else(|| taught(false)(all), |own| taught(true)(&own.beside(*all))))
        })
    }
}

impl World {
    /// What is known of its tenant's jobs like this one, on whatever chip. `None` while nothing is known.
    #[must_use]
    pub fn lesson(&self, spec: &JobSpec) -> Option<Lesson> {
        Some(self.lessons_of(&spec.tenant, spec.workload.as_deref())?.on(None, spec)?.lesson)
    }

    /// All that was learned from a tenant's jobs of this workload, to be asked chip by chip.
    #[must_use]
    pub fn lessons_of(&self, tenant: &TenantId, workload: Option<&str>) -> Option<LessonsOf<'_>> {
        let lessons = self.lessons.0.get(tenant)?.get(workload.unwrap_or_default())?;
        Some(LessonsOf(lessons))
    }

    /// Draws the lesson of an attempt that ended by itself.
    pub(crate) fn learn(&mut self, fact: &AttemptEnded) {
        if !matches!(fact.ended.outcome, Outcome::Exited { code: 0 } | Outcome::TimedOut) {
            return;
        }
        let Some(job) = self.job(fact.attempt.job).filter(|job| !job.spec.is_reservation()) else {
            return;
        };
        let Some(part) = job.phase.attempt().and_then(|a: &Attempt| a.placement.parts.first())
        else {
            return;
        };
        let Some(allowed) = job.spec.limit(part.variant) else { return };
        // What it found done when it went on from a checkpoint was run before.
        let before = job.kept.as_ref().filter(|kept| kept.center == part.center);
        let ran = fact.ended.ran + before.map_or(Span::ZERO, |kept| kept.work);
        let pool = self.centers.get(&part.center).and_then(|c| c.center.pool(&part.pool));
        let chip = name(pool.and_then(|pool| pool.chip.as_ref())).to_owned();
        let (of, tenant) = (grade(&job.spec), job.spec.tenant.clone());
        let workload = job.spec.workload.clone().unwrap_or_default();
        let lessons = self.lessons.0.entry(tenant).or_default().entry(workload).or_default();
        for of in [of, ANY_LIMIT] {
            for chip in [&*chip, ALL] {
                lessons
                    .entry(of)
                    .or_default()
                    .entry(chip.to_owned())
                    .or_default()
                    .add(ran, allowed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson(jobs: u32, thousandths: u64) -> Lesson {
        let mut lesson = Lesson::default();
        (0..jobs).for_each(|_| lesson.add(Span(thousandths), Span(1_000)));
        lesson
    }

    #[test]
    fn few_jobs_do_not_tell_a_chip_from_all() {
        let all = lesson(60, 500);
        let few = lesson(3, 50).beside(all).thousandths();
        assert!((450..500).contains(&few), "{few}");
        let many = lesson(60, 50).beside(all).thousandths();
        assert!((200..350).contains(&many), "{many}");
        assert_eq!(all.beside(all).thousandths(), 500);
    }
}
