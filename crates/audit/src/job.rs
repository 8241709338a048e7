//! Jobs: fenced, none lost, none counted twice.

use crate::money;
use crate::promise::{Findings, Promise};
use model::job::Job;
use model::{AttemptId, CenterId, Fact, JobId, Phase};
use std::collections::{BTreeMap, BTreeSet};
use world::World;

/// Judges what a job says of itself.
pub(crate) fn judge(world: &World, job: &Job, found: &mut Findings) {
    let id = job.job;
    let mut last = 0;
    for past in &job.past {
        found.judge(Promise::Fencing, past.epoch > last, || {
            format!("{id}.{} is over after {id}.{last} was", past.epoch)
        });
        last = past.epoch;
    }
    let Some(attempt) = job.phase.attempt() else {
        found.judge(Promise::Fencing, last == job.epoch, || {
            format!("{id} had {} attempts and the last that is over is {last}", job.epoch)
        });
        return;
    };
    let live = attempt.attempt;
    found.judge(Promise::Fencing, live == AttemptId { job: id, epoch: job.epoch }, || {
        format!("{id} is at epoch {} and its live attempt is {live}", job.epoch)
    });
    found.judge(Promise::Fencing, last < live.epoch, || {
        format!("{id}.{last} is over and {live} is live")
    });
    money::judge(&live, attempt.placement.price, found);
    found.judge(Promise::NoLoss, attempt.placement.plan < world.next.plan, || {
        format!("{live} is of {}, and {} comes next", attempt.placement.plan, world.next.plan)
    });
}

/// Judges whether a key that was just used stands for the jobs it came with.
pub(crate) fn judge_keys(world: &World, facts: &[&Fact], found: &mut Findings) {
    for fact in facts {
        let Fact::JobSubmitted(submitted) = fact else { continue };
        let Some(key) = &submitted.key else { continue };
        let first = world.keys.get(&key.key).map(|s| (s.first, s.jobs));
        found.judge(Promise::Idempotence, first == Some((submitted.job, key.jobs)), || {
            let stands = first.map_or_else(|| "nothing".into(), |(job, _)| job.to_string());
            format!("{}'s submission key stands for {stands}", submitted.job)
        });
    }
}

/// Judges what is kept beside the jobs: lists, counts, the numbers handed out next, keys.
pub(crate) fn judge_books(world: &World, found: &mut Findings) {
    judge_lists(world, found);
    judge_counts(world, found);
    judge_numbers(world, found);
    let mut taken: BTreeMap<JobId, u32> = BTreeMap::new();
    for submission in world.keys.values() {
        let repeated = taken.insert(submission.first, submission.jobs).is_some();
        found.judge(Promise::Idempotence, !repeated, || {
            format!("two submission keys stand for {}", submission.first)
        });
    }
    let starts: Vec<_> = taken.into_iter().collect();
    for pair in starts.windows(2) {
        let ((first, jobs), (second, _)) = (pair[0], pair[1]);
        let end = first.number().saturating_add(jobs.into());
        found.judge(Promise::Idempotence, end <= second.number(), || {
            format!("the submissions of {first} and {second} share jobs")
        });
    }
}

fn judge_lists(world: &World, found: &mut Findings) {
    let (mut waiting, mut ended, mut blocked) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut live: BTreeSet<(&CenterId, AttemptId)> = BTreeSet::new();
    let (mut readers, mut open) = (BTreeSet::new(), BTreeSet::new());
    for job in world.jobs.iter() {
        if !matches!(job.phase, Phase::Ended { .. }) {
            open.insert(job.first());
        }
        match &job.phase {
            Phase::Held => {}
            Phase::Blocked => {
                blocked.insert(job.job);
            }
            Phase::Waiting { .. } => {
                waiting.insert(job.job);
            }
            Phase::Placed(attempt) => {
                let centers = attempt.placement.parts.iter().map(|part| &part.center);
                live.extend(
                    centers.filter(|_| !attempt.is_over()).map(|center| (center, attempt.attempt)),
                );
                let mut inputs = job.spec.inputs.iter();
                if !attempt.is_over() && inputs.any(|input| input.streamed().is_some()) {
                    readers.insert(attempt.attempt);
                }
            }
            Phase::Ended { .. } => {
                ended.insert(job.job);
            }
        }
        let here = world.job(job.job).is_some_and(|found| std::sync::Arc::ptr_eq(found, job));
        found.judge(Promise::NoLoss, here, || format!("{} is not found by its number", job.job));
    }
    compare("waiting", &waiting, &world.waiting().collect(), found, JobId::to_string);
    compare("blocked", &blocked, &world.blocked().collect(), found, JobId::to_string);
    compare("readers", &readers, &world.readers().collect(), found, AttemptId::to_string);
    compare("ended", &ended, &world.ended().collect(), found, JobId::to_string);
    let in_open_array = |id: &JobId| world.job(*id).is_some_and(|job| open.contains(&job.first()));
    let archivable = ended.into_iter().filter(|id| !in_open_array(id)).collect();
    let listed = world.archivable().collect();
    compare("archivable", &archivable, &listed, found, JobId::to_string);
    let listed = world.all_live().collect();
    for (center, attempt) in &live {
        let parts = world.live_attempt(*attempt).into_iter().flat_map(|a| &a.placement.parts);
        for part in parts.filter(|part| part.center == **center) {
            for slots in &part.nodes {
                let mut holders = world.holders(center, &part.pool, slots.node);
                let is_listed = holders.any(|held| held == (*attempt, slots));
                found.judge(Promise::Capacity, is_listed, || {
                    let pool = &part.pool;
                    format!(
                        "{center}/{pool} node {}: what {attempt} holds is not listed so",
                        slots.node
                    )
                });
            }
        }
    }
    compare("live", &live, &listed, found, |(center, attempt)| format!("{attempt} in {center}"));
}

fn compare<T: Ord>(
    list: &str,
    are: &BTreeSet<T>,
    listed: &BTreeSet<T>,
    found: &mut Findings,
    name: impl Fn(&T) -> String,
) {
    for one in are.difference(listed) {
        found.say(Promise::NoLoss, format!("{} is {list} and not listed so", name(one)));
    }
    for one in listed.difference(are) {
        found.say(Promise::NoLoss, format!("{} is listed as {list} and is not", name(one)));
    }
}

fn judge_counts(world: &World, found: &mut Findings) {
    let mut here: BTreeMap<&str, u64> = BTreeMap::new();
    for job in world.jobs.iter() {
        if let Phase::Ended { end, .. } = &job.phase {
            *here.entry(end.word()).or_default() += 1;
        }
    }
    for (word, here) in &here {
        let counted = world.ended.get(*word).copied().unwrap_or(0);
        found.judge(Promise::NoLoss, *here <= counted, || {
            format!("{here} jobs here are {word} and {counted} ever were")
        });
    }
    let open = world.jobs.len() as u64 - here.values().sum::<u64>();
    let ended: u64 = world.ended.values().sum();
    let given = world.next.job.number() - 1;
    found.judge(Promise::NoLoss, ended + open <= given, || {
        format!("{ended} jobs ended and {open} have not, of {given} submitted")
    });
}

fn judge_numbers(world: &World, found: &mut Findings) {
    let mut below = |newest: Option<(u64, String)>, next: u64, what: &str| {
        if let Some((number, name)) = newest {
            found.judge(Promise::NoLoss, number < next, || {
                format!("{name} exists and {what}-{next} would come next")
            });
        }
    };
    let newest = world.jobs.iter().next_back().map(|j| (j.job.number(), j.job.to_string()));
    below(newest, world.next.job.number(), "job");
    let newest = world.transfers.last_key_value().map(|(id, _)| id);
    let newest = newest.max(world.tests.last_key_value().map(|(id, _)| id));
    let newest = newest.map(|id| (id.number(), id.to_string()));
    below(newest, world.next.transfer.number(), "transfer");
    let newest = world.tokens.values().map(|t| t.token).max();
    below(newest.map(|id| (id.number(), id.to_string())), world.next.token.number(), "token");
}
