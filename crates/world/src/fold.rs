//! One fact after another.

use crate::index::Listed;
use crate::promise::Count;
use crate::relation::Stage;
use crate::share::runs;
use crate::{Submission, World};
use model::attempt::AttemptState;
use model::fact::{Fact, JobSubmitted, TransferEnd};
use model::job::{Array, Job, PastAttempt, Promise, SavedWork, Task};
use model::quality::LinkRated;
use model::token::Token;
use model::{Attempt, JobId, Moment, Outcome, Phase, Span};
use std::sync::Arc;

/// A fact that cannot follow the facts before it: the log is damaged, or the program is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// The number the fact has or would have had.
    pub number: u64,
    /// What is wrong.
    pub why: String,
}

impl std::fmt::Display for Contradiction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "fact {} contradicts the facts before it: {}", self.number, self.why)
    }
}

impl std::error::Error for Contradiction {}

impl World {
    /// Takes in the next fact, which happened at `at`.
    ///
    /// On a contradiction the world is as before and must not be used any further: what follows in
    /// the log rests on a fact it does not hold.
    pub fn fold(&mut self, at: Moment, fact: &Fact) -> Result<(), Contradiction> {
        let number = self.number + 1;
        self.take_in(at, fact).map_err(|why| Contradiction { number, why })?;
        self.number = number;
        self.at = self.at.max(at);
        Ok(())
    }

    fn take_in(&mut self, at: Moment, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::NetworkCreated(f) if self.number == 0 => self.network = Some(f.network),
            Fact::NetworkCreated(_) => return Err("the network exists already".into()),
            _ if self.network.is_none() => return Err("the network does not exist yet".into()),
            Fact::NetworkRestored(f) => self.network = Some(f.network),
            Fact::ChipDeclared(f) => _ = self.chips.insert(f.chip.clone(), Arc::clone(f)),
            Fact::AdmissionDeclared(f) => self.admission = Some(*f),
            Fact::CenterDeclared(_)
            | Fact::AgentJoined(_)
            | Fact::CenterLost(_)
            | Fact::NodesCounted(_)
            | Fact::CenterChecked(_)
            | Fact::PoolMeasured(_) => self.about_center(fact)?,
            Fact::ExchangeDeclared(f) => {
                self.exchanges.insert(f.exchange.clone(), Arc::clone(f));
            }
            Fact::LinkDeclared(_) | Fact::LinkCut(_) | Fact::LinkMended(_) => {
                self.about_link(fact)?;
            }
            Fact::TenantDeclared(f) => self.tenant_declared(f),
            Fact::CapacityRecalled(f) => self.recalled(f),
            Fact::FlavorDeclared(f) => _ = self.flavors.insert(f.flavor.clone(), Arc::clone(f)),
            Fact::PriorityClassDeclared(f) => {
                self.priority_classes.insert(f.priority_class.clone(), Arc::clone(f));
            }
            Fact::TokenCreated(f) => self.token_created(f),
            Fact::TokenRevoked(f) => {
                let secret = self.index.tokens.remove(&f.token).ok_or("no such token")?;
                self.tokens.remove(&secret);
            }
            Fact::KeysForgotten(f) => self.keys.retain(|_, s| s.at >= f.before),
            Fact::JobSubmitted(f) => self.submitted(at, f)?,
            Fact::JobsArchived(f) => self.archived(&f.jobs)?,
            Fact::DatasetRegistered(_)
            | Fact::DatasetRemoved(_)
            | Fact::DatasetKept(_)
            | Fact::VersionRemoved(_)
            | Fact::CopyWanted(_)
            | Fact::ReplicaAdded(_)
            | Fact::ReplicaInPlace(_)
            | Fact::ReplicaVerified(_)
            | Fact::ReplicaDoubted(_)
            | Fact::ReplicaDamaged(_)
            | Fact::ReplicaLeaving(_)
            | Fact::ReplicaRemoved(_)
            | Fact::ScrubWanted(_)
            | Fact::StoreMeasured(_)
            | Fact::StoresTold(_)
            | Fact::ArchiveWanted(_)
            | Fact::ArchiveFailed(_) => self.about_data(at, fact)?,
            Fact::TransferPlanned(_) | Fact::LinkTestPlanned(_) | Fact::TransferEnded(_) => {
                self.about_transfer(fact)?;
            }
            Fact::PathMeasured(f) => self.quality.measured(at, f),
            Fact::LinkRated(f) => self.rated(f)?,
            Fact::JobHeld(_)
            | Fact::JobReleased(_)
            | Fact::JobUnblocked(_)
            | Fact::JobCanceled(_)
            | Fact::JobPromised(_)
            | Fact::JobOffered(_)
            | Fact::AttemptAccepted(_)
            | Fact::AttemptEntered(_)
            | Fact::AttemptStarted(_)
            | Fact::AttemptStopping(_)
            | Fact::AttemptPreempted(_)
            | Fact::AttemptCheckpointed(_)
            | Fact::AttemptRerouted(_)
            | Fact::AttemptEnded(_)
            | Fact::JobRequeued(_)
            | Fact::JobEnded(_) => self.about_job(at, fact)?,
        }
        Ok(())
    }

    fn about_transfer(&mut self, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::TransferPlanned(f) => {
                self.next.transfer = self.next.transfer.max(f.transfer.next());
                self.is_to_pass(f)?;
                self.index.brings(f);
                self.transfers.insert(f.transfer, Arc::clone(f));
            }
            Fact::LinkTestPlanned(f) => {
                self.next.transfer = self.next.transfer.max(f.transfer.next());
                self.tests.insert(f.transfer, Arc::clone(f));
            }
            Fact::TransferEnded(f) if self.tests.remove(&f.transfer).is_some() => {}
            Fact::TransferEnded(f) => {
                let over = self.transfers.remove(&f.transfer).ok_or("no such transfer")?;
                self.index.brings_no_more(&over);
                if !matches!(f.end, TransferEnd::Arrived { .. }) {
                    self.did_not_pass(&over);
                }
            }
            _ => unreachable!("only facts about transfers come here"),
        }
        Ok(())
    }

    fn token_created(&mut self, fact: &Token) {
        self.next.token = self.next.token.max(fact.token.next());
        self.index.tokens.insert(fact.token, fact.secret);
        self.tokens.insert(fact.secret, Arc::new(fact.clone()));
    }

    fn submitted(&mut self, at: Moment, fact: &JobSubmitted) -> Result<(), String> {
        if fact.job < self.next.job {
            return Err(format!("{} was handed out before", fact.job));
        }
        for (place, id) in (0..).zip(fact.jobs()) {
            let job = first(fact, (place, id), at);
            self.index.enter(Listed::of(&job), &job);
            self.index.relate(&job, None, Stage::of(&job));
            self.jobs.put(id.number(), job);
            self.next.job = id.next();
        }
        if let Some(key) = &fact.key {
            let submission =
                Submission { content: key.content, at, first: fact.job, jobs: key.jobs };
            self.keys.insert(key.key, submission);
        }
        Ok(())
    }

    fn rated(&mut self, fact: &LinkRated) -> Result<(), String> {
        if !self.links.contains_key(&fact.link) {
            return Err(format!("there is no link {}", fact.link));
        }
        self.quality.rate(fact);
        Ok(())
    }

    fn archived(&mut self, jobs: &[JobId]) -> Result<(), String> {
        for id in jobs {
            let job = self.job(*id).ok_or_else(|| format!("{id} is not here"))?;
            if !matches!(job.phase, Phase::Ended { .. }) {
                return Err(format!("{id} has not ended"));
            }
            self.jobs.take(id.number());
            self.index.forget(*id);
            self.reservations.remove(id);
        }
        Ok(())
    }

    fn about_job(&mut self, at: Moment, fact: &Fact) -> Result<(), String> {
        let id = fact.job().expect("facts about jobs name one");
        let job = self.jobs.get_mut(id.number()).ok_or_else(|| format!("{id} is not here"))?;
        let (was, stage) = (Listed::of(job), Stage::of(job));
        let ran = runs(job);
        let count = Count::of(job, at, fact);
        after(job, fact, at)?;
        let is = Listed::of(job);
        if was != is {
            self.index.leave(was, job);
            self.index.enter(is, job);
        }
        self.index.relate(job, Some(stage), Stage::of(job));
        self.index.end_array(job);
        let runs = runs(job);
        if ran != runs {
            let tenant = job.spec.tenant.clone();
            self.draws_otherwise(&tenant, (ran, runs), at)?;
        }
        if let Some(count) = count {
            self.promises.add(at, count);
        }
        match fact {
            Fact::AttemptEnded(f) => {
                let over = self.job(id).and_then(|job| job.phase.attempt());
                let over = over.map(|a| (Arc::clone(&a.placement), a.state.started()));
                if let Some((placement, started)) = over {
                    self.needed(at, &placement);
                    self.ran_inside(&placement, started, at);
                }
                self.learn(f);
            }
            Fact::JobEnded(f) => {
                *self.ended.entry(f.end.word().to_owned()).or_default() += 1;
            }
            Fact::JobOffered(f) => {
                self.next.plan = self.next.plan.max(f.placement.plan.next());
                self.needed(at, &f.placement);
                self.settle(&f.placement);
            }
            Fact::JobPromised(f) => self.next.plan = self.next.plan.max(f.plan.next()),
            _ => {}
        }
        Ok(())
    }

    fn about_link(&mut self, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::LinkDeclared(f) => {
                self.quality.declared(&f.link);
                self.links.insert(f.link.clone(), Arc::clone(f));
            }
            Fact::LinkCut(f) if !self.links.contains_key(&f.link) => {
                return Err("no such link".to_owned());
            }
            Fact::LinkCut(f) => _ = self.cut.insert(f.link.clone()),
            Fact::LinkMended(f) => _ = self.cut.remove(&f.link),
            _ => unreachable!("only facts about links come here"),
        }
        Ok(())
    }
}

/// A job that was just submitted, as the task of its array in this place if it is of one.
fn first(fact: &JobSubmitted, (place, job): (u32, JobId), at: Moment) -> Job {
    let spec = &fact.spec;
    let phase = match () {
        () if spec.hold => Phase::Held,
        () if spec.begins_blocked(place) => Phase::Blocked,
        () => Phase::Waiting { not_before: at },
    };
    let task = |array: &Array| Task { array: fact.job, index: array.index(place) };
    Job {
        job,
        task: spec.array.as_ref().map(task),
        spec: Arc::clone(spec),
        submitted: at,
        phase,
        epoch: 0,
        failures: 0,
        past: Vec::new(),
        promise: None,
        canceled: false,
        kept: None,
    }
}

/// Notes what the checkpoints of an attempt that is just over kept of its work, for the next one.
/// One that wrote none leaves that of those before it, wherever it is.
fn keep(job: &mut Job, attempt: &Attempt, outcome: &Outcome, at: Moment) {
    if matches!(outcome, Outcome::Exited { code: 0 } | Outcome::TimedOut) {
        return;
    }
    let until = attempt.kept_until(&job.spec, at);
    let (Some(until), Some(started)) = (until, attempt.state.started()) else { return };
    let (work, center) = (until.since(started), attempt.placement.center());
    if work > Span::ZERO {
        let before = job.kept.take().filter(|kept| kept.center == *center);
        let before = before.map_or(Span::ZERO, |kept| kept.work);
        job.kept = Some(SavedWork { center: center.clone(), work: before + work });
    }
}

/// Changes `job` by a fact about it; on error it is unchanged.
fn after(job: &mut Job, fact: &Fact, at: Moment) -> Result<(), String> {
    let cannot = || format!("{} cannot be {} when {}", job.job, fact.kind(), job.phase.word());
    match fact {
        Fact::JobCanceled(_) if !matches!(job.phase, Phase::Ended { .. }) => {
            job.canceled = true;
            return Ok(());
        }
        Fact::JobPromised(f) => {
            let told = Promise { start: f.start, told: at, center: f.center.clone() };
            job.promise.get_or_insert(told);
            return Ok(());
        }
        Fact::JobOffered(f) if f.attempt.epoch != job.epoch + 1 => return Err(cannot()),
        _ => {}
    }
    let mut phase = job.phase.after(fact, at).ok_or_else(cannot)?;
    match (fact, &mut phase) {
        (Fact::JobOffered(f), Phase::Placed(attempt)) => {
            attempt.offered = at;
            job.epoch = f.attempt.epoch;
            let start = f.placement.start;
            let center = Some(f.placement.center().clone());
            job.promise.get_or_insert(Promise { start, told: at, center });
        }
        (Fact::AttemptEnded(f), Phase::Placed(attempt)) => {
            job.failures += u32::from(f.ended.outcome.is_own_fault());
            keep(job, attempt, &f.ended.outcome, at);
        }
        _ => {}
    }
    if let Phase::Placed(attempt) = &job.phase
        && !matches!(phase, Phase::Placed(_))
        && let AttemptState::Over { outcome, started } = &attempt.state
    {
        job.past.push(PastAttempt {
            epoch: attempt.attempt.epoch,
            placement: Arc::clone(&attempt.placement),
            offered: attempt.offered,
            started: *started,
            ended: at,
            outcome: outcome.clone(),
            preempted_by: attempt.preempted.and_then(|preempted| preempted.by),
            called: attempt.called.clone(),
        });
    }
    job.phase = phase;
    if matches!(job.phase, Phase::Held) && !job.has_run() {
        // Its tenant took it back; it is told a start anew once it is released.
        job.promise = None;
    }
    Ok(())
}
