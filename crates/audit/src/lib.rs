//! The promises, judged independently: by other code than that which is to keep them.
//!
//! One door for each thing there is to judge: [`world()`] for a whole state, [`delta`] for what some
//! facts changed in it (cheap enough for every step), [`History`] for a log as it grows, [`replay`]
//! for a state against the log it should come from. Each answers with [`Violation`]s; none means
//! that the promises held.
//!
//! Deliberately absent: any code of the planner, its calendars or its path finding (a mistake there
//! must not excuse itself here), and any remedy: whoever asks decides what a violation means. Of two
//! promises no world can be judged for them as it stands: quota (it may be lowered under what is used; what
//! is offered is judged) and explanations (reasons are computed when asked for, never kept); of
//! money, only that nothing costs less than nothing.

mod copies;
mod dataset;
mod gang;
mod history;
mod job;
mod lending;
mod link;
mod money;
mod overdraft;
mod pool;
mod preemption;
mod promise;
mod quota;
mod relation;
mod relay;
mod replay;
mod share;
mod touched;

pub use history::History;
pub use promise::{Promise, Violation};
pub use replay::replay;

use ::world::World;
use model::job::Job;
use model::{Attempt, Fact, Staging};
use promise::Findings;
use std::collections::BTreeSet;
use touched::Touched;

/// Whose claims are judged; the others are only counted.
#[derive(Debug)]
enum Judged<'a, T> {
    /// All that are there.
    All,
    /// Those that have just changed.
    Only(&'a BTreeSet<T>),
}

impl<T> Clone for Judged<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Judged<'_, T> {}

impl<T: Ord> Judged<'_, T> {
    fn is(&self, one: &T) -> bool {
        match self {
            Self::All => true,
            Self::Only(these) => these.contains(one),
        }
    }
}

/// Judges a whole world. Costs a look at everything in it.
#[must_use]
pub fn world(world: &World) -> Vec<Violation> {
    let mut found = Findings::default();
    for job in world.jobs.iter() {
        job::judge(world, job, &mut found);
        if let Some(attempt) = job.phase.attempt() {
            judge_attempt(world, job, attempt, &mut found);
        }
    }
    job::judge_books(world, &mut found);
    for (center, state) in &world.centers {
        money::judge_center(&state.center, &mut found);
        pool::judge(world, center, Judged::All, &mut found);
    }
    for link in world.links.values() {
        money::judge_link(link, &mut found);
    }
    for staging in world.transfers.values() {
        judge_staging(world, staging, &mut found);
    }
    for test in world.tests.values() {
        link::judge_path(world, (&**test).into(), &mut found);
    }
    link::judge_capacity(world, Judged::All, (Judged::All, Judged::All), &mut found);
    let mut relays = BTreeSet::new();
    for version in world.datasets.values().flat_map(|d| &d.versions) {
        dataset::judge_replicas(world, version, &mut found);
        relays.extend(&version.passing);
    }
    relays.into_iter().for_each(|center| relay::judge_quota(world, center, &mut found));
    found.list
}

/// Judges what `facts` changed, in the world that has just taken them in.
///
/// Costs a look at the jobs and datasets the facts name, at the live attempts of the centers where
/// something was offered or started, and at the live transfers if one was planned; never a look at
/// all jobs. What was wrong before and was not touched is not told again. Who holds what of a node is
/// taken from the world's lists; [`world()`] compares them with the attempts.
#[must_use]
pub fn delta<'a>(world: &World, facts: impl IntoIterator<Item = &'a Fact>) -> Vec<Violation> {
    let mut found = Findings::default();
    let facts: Vec<&Fact> = facts.into_iter().collect();
    let touched = Touched::by(world, &facts);
    for job in touched.jobs.iter().filter_map(|id| world.job(*id)) {
        job::judge(world, job, &mut found);
    }
    job::judge_keys(world, &facts, &mut found);
    preemption::judge(world, &facts, &mut found);
    quota::judge(world, &facts, &mut found);
    lending::judge(world, &facts, &mut found);
    for id in &touched.attempts {
        let Some(job) = world.job(id.job) else { continue };
        let Some(attempt) = job.phase.attempt().filter(|a| a.attempt == *id) else { continue };
        judge_attempt(world, job, attempt, &mut found);
    }
    for (center, attempts) in &touched.centers {
        let all = touched.declared.contains(center);
        let whom = if all { Judged::All } else { Judged::Only(attempts) };
        pool::judge(world, center, whom, &mut found);
    }
    for staging in touched.transfers.iter().filter_map(|id| world.transfers.get(id)) {
        judge_staging(world, staging, &mut found);
    }
    let to_relays = touched.transfers.iter().filter_map(|id| world.transfers.get(id));
    let relays: BTreeSet<_> = to_relays.filter(|t| t.passing).map(|t| &t.to).collect();
    relays.into_iter().for_each(|center| relay::judge_quota(world, center, &mut found));
    for test in touched.transfers.iter().filter_map(|id| world.tests.get(id)) {
        link::judge_path(world, (&**test).into(), &mut found);
    }
    for state in touched.declared.iter().filter_map(|id| world.centers.get(id)) {
        money::judge_center(&state.center, &mut found);
    }
    for link in touched.links.iter().filter_map(|id| world.links.get(id)) {
        money::judge_link(link, &mut found);
    }
    if !touched.links.is_empty() {
        let whom = (Judged::Only(&touched.transfers), Judged::Only(&touched.attempts));
        link::judge_capacity(world, Judged::Only(&touched.links), whom, &mut found);
    }
    for version in touched.data.iter().filter_map(|data| world.exact(data)) {
        dataset::judge_replicas(world, version, &mut found);
    }
    found.list
}

/// Judges the form of a live attempt's place. One that is to stop is not judged any more: what it
/// rests on may have changed under it, and stopping it is the remedy.
fn judge_attempt(world: &World, job: &Job, attempt: &Attempt, found: &mut Findings) {
    if !attempt.is_over() && attempt.state.stopping().is_none() {
        gang::judge(world, job, attempt, found);
        for stream in &attempt.placement.streams {
            link::judge_stream(world, attempt, stream, found);
            money::judge(&attempt.attempt, stream.price, found);
        }
        dataset::judge_attempt(world, job, attempt, found);
    }
}

fn judge_staging(world: &World, staging: &Staging, found: &mut Findings) {
    for leg in link::of_transfer(staging) {
        link::judge_path(world, leg, found);
    }
    dataset::judge_staging(world, staging, found);
    relay::judge_door(world, staging, found);
    money::judge(&staging.transfer, staging.price, found);
}
