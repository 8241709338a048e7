//! What agents say, and what becomes of jobs whose attempt is over.

use crate::keeping::may_hold;
use crate::{Answer, Controller, Rejected, Session};
use model::attempt::Ended;
use model::fact::{
    AgentJoined, AttemptEnded, AttemptStopping, DatasetRegistered, Fact, JobEnded, JobRequeued,
    ReplicaDamaged, ReplicaInPlace, ReplicaTouched, StoreMeasured, TransferEnd, TransferEnded,
};
use model::job::Job;
use model::{
    AttemptId, Bytes, CenterId, DatasetId, DatasetVersion, JobEnd, Lies, Outcome, Region, Span,
    Staging, Stop, TransferId,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use wire::{Join, MadeOutput, Report};

/// How often a job is tried where it is not its own fault that it failed.
const MOST_ATTEMPTS: u32 = 20;
/// The wait before the first such try; doubled for each further one.
const FIRST_BACKOFF: Span = Span(500);
/// The longest wait.
const LONGEST_BACKOFF: Span = Span::from_secs(60);

impl Controller {
    pub(crate) fn join(&mut self, center: &CenterId, join: &Join) -> Result<Answer, Rejected> {
        if join.protocol != wire::PROTOCOL {
            return Err(Rejected::Protocol { theirs: join.protocol });
        }
        let missing = || Rejected::NotFound { what: format!("center {center}") };
        let state = self.world.centers.get(center).ok_or_else(missing)?;
        if state.center.engine != join.engine {
            let why = format!(
                "center {center} is declared with another engine than this agent's {}",
                join.engine
            );
            return Err(Rejected::Conflict { why });
        }
        if let Some(known) = &state.agent
            && known.agent != join.agent
            && self.world.live(center).any(|attempt| self.runs_there(attempt))
        {
            let why = format!(
                "another agent of center {center} may still run attempts; bring it back, or \
                 declare the center lost"
            );
            return Err(Rejected::Conflict { why });
        }
        let joined = AgentJoined {
            center: center.clone(),
            agent: join.agent,
            engine: join.engine,
            engine_version: join.engine_version.clone(),
            enforcement: join.enforcement.clone(),
            data_url: join.data_url.clone(),
            probe_address: join.probe_address.clone(),
            version: join.version.clone(),
        };
        if state.agent.as_deref() != Some(&joined) {
            self.emit(Fact::AgentJoined(Arc::new(joined)));
        }
        self.told_stores(center, &join.stores);
        self.fail_sent_without_door(center);
        // Sessions of one center are told apart even across a restart of the server.
        let before = self.sessions.get(center).map_or(0, |s| s.number);
        let number = self.now.0.max(before + 1);
        self.sessions.insert(center.clone(), Session { number, heard: self.now });
        self.board.touch_center(center);
        Ok(Answer::Joined { session: number })
    }

    /// Nothing can be sent to a center whose door is there no more.
    fn fail_sent_without_door(&mut self, center: &CenterId) {
        if self.world.centers.get(center).is_none_or(world::CenterState::has_door) {
            return;
        }
        let sent = self.world.transfers.values().filter(|t| t.sent && t.to == *center);
        for transfer in sent.map(|staging| staging.transfer).collect::<Vec<_>>() {
            self.transfer_failed(transfer, format!("center {center} has no door any more"));
        }
    }

    pub(crate) fn report(&mut self, center: &CenterId, report: Report) {
        match report {
            Report::Accepted { attempt } => self.accepted(center, attempt),
            Report::Entered { attempt, called } => self.entered(center, attempt, called),
            Report::Started { attempt } => self.started(center, attempt),
            Report::Checkpointed { attempt, after } => self.checkpointed(center, attempt, after),
            Report::Refused { attempt, why } => {
                if self.is_live_at(center, attempt) {
                    self.attempt_over(attempt, Outcome::Refused(why), Span::ZERO);
                }
            }
            Report::Ended { attempt, ended, outputs } => {
                if self.is_live_at(center, attempt) {
                    if ended.ran > Span::ZERO {
                        self.started(center, attempt);
                    }
                    if ended.outcome == (Outcome::Exited { code: 0 }) {
                        self.publish(center, attempt, &outputs);
                    }
                    self.end_attempt(attempt, ended);
                }
            }
            Report::Arrived { transfer, moved, corrupted } => {
                let end = TransferEnd::Arrived { moved, corrupted };
                match self.is_test_to(center, transfer) {
                    true => self.end_test(transfer, end),
                    false => self.copy_arrived(center, transfer, end),
                }
            }
            Report::TransferFailed { transfer, why, .. } if self.is_test_to(center, transfer) => {
                self.end_test(transfer, TransferEnd::Failed { why });
            }
            Report::TransferFailed { transfer, why, damaged } => {
                let staging = self.world.transfers.get(&transfer).filter(|t| t.mover() == center);
                if let Some(staging) = staging.cloned() {
                    self.transfer_failed(transfer, why);
                    if damaged {
                        self.doubt(&staging);
                    }
                }
            }
            Report::Put { data, lies, also_own, .. } => {
                let lies = lies.map(|lies| (lies, also_own));
                if self.books.is_verifying_this(center, &data) {
                    self.found_whole(center, &data);
                }
                self.copy_is_at(center, &data, lies);
            }
            Report::NotArchived { data, store, why } => {
                self.not_archived(center, data, store, why);
            }
            Report::Damaged { data, chunks } => self.found_damaged(center, data, chunks),
            Report::Removed { data } => self.copy_is_gone(center, data),
            Report::Room { capacity, stored } => self.measured(center, capacity, stored),
            Report::Nodes { pool, up } => self.counted(center, pool, up),
            Report::Probed { peer, lasted, probed } => self.probed(center, peer, lasted, probed),
            Report::Delivered { transfer, from, lasted, planned, delivered } => {
                self.delivered(center, (transfer, from), lasted, (planned, delivered));
            }
            Report::Inventory { data, in_place } => self.inventory(center, &data, &in_place),
        }
    }

    /// Asks for a live attempt to be stopped.
    pub(crate) fn stop(&mut self, attempt: AttemptId, why: Stop) {
        let stopping = self.world.live_attempt(attempt).map(|a| a.state.stopping().is_some());
        if stopping == Some(false) {
            self.emit(Fact::AttemptStopping(AttemptStopping { attempt, why }));
        }
    }

    /// Records that nothing of a live attempt is alive, and decides what becomes of its job.
    pub(crate) fn end_attempt(&mut self, attempt: AttemptId, ended: Ended) {
        let outcome = ended.outcome.clone();
        self.emit(Fact::AttemptEnded(AttemptEnded { attempt, ended }));
        let job = self.world.job(attempt.job).expect("a live attempt's job is in the world");
        let is_reservation = job.spec.is_reservation();
        let next = match next(job, &outcome) {
            Next::Again { .. } if self.is_shut_out(job) => Next::End(JobEnd::Lapsed),
            next => next,
        };
        match next {
            Next::End(end) => self.emit(Fact::JobEnded(JobEnded { job: attempt.job, end })),
            Next::Again { after, held } => {
                let not_before = self.now + after;
                let requeued = JobRequeued { job: attempt.job, not_before, held };
                self.emit(Fact::JobRequeued(requeued));
            }
        }
        if is_reservation {
            self.end_waiting_inside(attempt.job);
        }
        self.drop_idle_transfers(attempt);
    }

    /// Transfers that only this attempt waited for are not wanted any more.
    fn drop_idle_transfers(&mut self, attempt: AttemptId) {
        let Some(job) = self.world.job(attempt.job) else { return };
        let Some(past) = job.past.last().filter(|p| p.epoch == attempt.epoch) else { return };
        let placement = Arc::clone(&past.placement);
        for transfer in &placement.awaits {
            let is_awaited = self.world.awaiting(*transfer).next().is_some();
            let staging = self.world.transfers.get(transfer);
            if staging.is_some_and(|s| !self.is_to_be_kept(s)) && !is_awaited {
                let end = TransferEnd::Dropped;
                self.emit(Fact::TransferEnded(TransferEnded { transfer: *transfer, end }));
            }
        }
    }

    /// Registers what a completed attempt made. Its copies are in the center's store already.
    fn publish(&mut self, center: &CenterId, attempt: AttemptId, outputs: &[MadeOutput]) {
        let job = self.world.job(attempt.job).expect("a live attempt's job is in the world");
        let job = Arc::clone(job);
        for made in outputs {
            let output = job.spec.outputs.iter().find(|o| o.name == made.name);
            let Some(output) = output.filter(|o| o.dataset == made.data.dataset) else { continue };
            let foreign = self
                .world
                .datasets
                .get(&made.data.dataset)
                .is_some_and(|known| known.newest().registered.tenant != job.spec.tenant);
            if foreign {
                continue;
            }
            let residency = if output.residency.is_empty() {
                self.inherited_residency(&job)
            } else {
                output.residency.clone()
            };
            self.emit(Fact::DatasetRegistered(Arc::new(DatasetRegistered {
                data: made.data.clone(),
                tenant: job.spec.tenant.clone(),
                bytes: made.bytes,
                files: made.files,
                residency,
                made_by: Some(attempt),
            })));
            let touched = ReplicaTouched { data: made.data.clone(), center: center.clone() };
            self.emit(Fact::ReplicaAdded(touched));
        }
    }

    /// The regions that everything a job read may live in.
    fn inherited_residency(&self, job: &Job) -> Vec<Region> {
        let inputs = job.phase.attempt().map(|a| &a.placement.inputs);
        let of = |data: &DatasetVersion| self.world.exact(data).map(|v| &v.registered.residency);
        let limits = inputs.into_iter().flatten().filter_map(of).filter(|r| !r.is_empty());
        limits.fold(Vec::new(), |so_far, regions| planner::meet(&so_far, regions))
    }

    /// Ends a transfer that brought its copy.
    fn copy_arrived(&mut self, center: &CenterId, transfer: TransferId, end: TransferEnd) {
        let Some(staging) = self.world.transfers.get(&transfer) else { return };
        if staging.to != *center {
            return;
        }
        let data = staging.data.clone();
        self.emit(Fact::TransferEnded(TransferEnded { transfer, end }));
        self.tend_after_transfer();
        self.copy_is_at(center, &data, None);
    }

    /// Records a copy in the center's own store, or as it lies in another one of its and whether the
    /// own has it besides, unless the data is unknown: then it is to go.
    fn copy_is_at(&mut self, center: &CenterId, data: &DatasetVersion, lies: Option<(Lies, bool)>) {
        let lies_as_told = |version: &world::Version| {
            version.replicas.contains_key(center)
                && version.in_place.get(center) == lies.as_ref().map(|(lies, _)| lies)
                && version.also_own.contains(center) == lies.as_ref().is_some_and(|(_, own)| *own)
        };
        let may_lie = |version: &world::Version| {
            lies.is_none() || may_hold(&self.world, &version.registered.residency, center)
        };
        match self.world.exact(data) {
            None => self.books.remove_copy(center, data),
            // Nobody had a ticket to put it there.
            Some(version) if !may_lie(version) => self.books.remove_copy(center, data),
            Some(version) if version.is_leaving(center) => self.books.remove_copy(center, data),
            Some(version) if lies_as_told(version) => {}
            Some(_) => {
                let (data, center) = (data.clone(), center.clone());
                self.emit(match lies {
                    Some((lies, also_own)) => {
                        Fact::ReplicaInPlace(ReplicaInPlace { data, center, lies, also_own })
                    }
                    None => Fact::ReplicaAdded(ReplicaTouched { data, center }),
                });
            }
        }
    }

    /// Plans without the copies that one was found damaged of, until their centers have read them and
    /// found them good: what any of them had whole was taken from there.
    fn doubt(&mut self, staging: &Staging) {
        let data = &staging.data;
        for (center, ..) in staging.legs() {
            if self.world.exact(data).is_some_and(|v| v.replicas.contains_key(center)) {
                let touched = ReplicaTouched { data: data.clone(), center: center.clone() };
                self.emit(Fact::ReplicaDoubted(touched));
            }
        }
    }

    /// A copy was read, and every byte of it is what it should be.
    fn found_whole(&mut self, center: &CenterId, data: &DatasetVersion) {
        let is_known = self.world.exact(data).is_some_and(|v| v.replicas.contains_key(center));
        if is_known {
            let touched = ReplicaTouched { data: data.clone(), center: center.clone() };
            self.emit(Fact::ReplicaVerified(touched));
        }
        self.scrub_at(Some(center));
    }

    /// A copy was read and is damaged: it counts no more.
    fn found_damaged(&mut self, center: &CenterId, data: DatasetVersion, chunks: u64) {
        match self.world.exact(&data) {
            None => self.books.remove_copy(center, &data),
            Some(version) if version.is_leaving(center) => {}
            Some(version) if version.damaged().any(|known| known == center) => {
                self.books.settle_copy(center, &data);
            }
            Some(version) => {
                let last = version.replicas.keys().all(|other| other == center)
                    && !version.also_own.contains(center);
                let tenant = version.registered.tenant.clone();
                let center = center.clone();
                let damaged = ReplicaDamaged { data, center, tenant, chunks, last };
                self.emit(Fact::ReplicaDamaged(damaged));
                self.tend_soon();
            }
        }
        self.scrub_at(Some(center));
    }

    /// A copy that was to go is gone. What is told of any other is old.
    fn copy_is_gone(&mut self, center: &CenterId, data: DatasetVersion) {
        let version = self.world.exact(&data);
        if version.is_some_and(|version| version.is_leaving(center)) {
            let center = center.clone();
            self.emit(Fact::ReplicaRemoved(ReplicaTouched { data, center }));
            self.tend_soon();
        } else if version.is_none() {
            self.books.settle_copy(center, &data);
        }
    }

    /// Notes how large a store is, if that is news. What the world knows of it is not told twice.
    fn measured(&mut self, center: &CenterId, capacity: Bytes, stored: Bytes) {
        let versions = self.world.datasets.values().flat_map(|dataset| &dataset.versions);
        let known = versions.filter(|version| version.takes_room_at(center));
        let known = known.map(|version| version.registered.bytes).sum();
        let (center, other) = (center.clone(), stored.saturating_sub(known));
        let noticeable = capacity.0 / 64;
        let is_news = self.world.stores.get(&center).is_none_or(|store| {
            store.capacity.0.abs_diff(capacity.0) > noticeable
                || store.other.0.abs_diff(other.0) > noticeable
        });
        if is_news {
            self.emit(Fact::StoreMeasured(StoreMeasured { center, capacity, other }));
            self.tend_soon();
        }
    }

    /// Squares what a center holds with what the world thinks it holds.
    fn inventory(
        &mut self,
        center: &CenterId,
        held: &[DatasetVersion],
        in_place: &[DatasetVersion],
    ) {
        let held: BTreeSet<&DatasetVersion> = held.iter().collect();
        let in_place: BTreeSet<&DatasetVersion> = in_place.iter().collect();
        let thought = self.world.datasets.values().flat_map(|d| &d.versions);
        let gone: Vec<DatasetVersion> = thought
            .filter(|v| v.is_held_at(center) && !held.contains(&v.registered.data))
            // What is left of a damaged copy is not held: it comes in anew.
            .filter(|v| !v.damaged().any(|known| known == center))
            .map(|v| v.registered.data.clone())
            .collect();
        for data in gone {
            self.emit(Fact::ReplicaRemoved(ReplicaTouched { data, center: center.clone() }));
        }
        // An attempt whose end has not been told yet may have left its outputs there already: what
        // is a stray will be one at the next inventory too.
        let made: BTreeSet<DatasetId> = self.outputs_of_live(center);
        for data in held {
            let known = self.world.exact(data);
            let is_doubtful = |version: &world::Version| {
                version.uncounted.contains_key(center) && !version.is_leaving(center)
            };
            if known.is_some_and(is_doubtful) {
                self.books.verify_copy(center, data);
                continue;
            }
            // How it lies is told right after this.
            if known.is_some() && in_place.contains(data) {
                continue;
            }
            if known.is_some() || !made.contains(&data.dataset) {
                self.copy_is_at(center, data, None);
            }
        }
    }

    /// Datasets that attempts which are alive at a center make.
    fn outputs_of_live(&self, center: &CenterId) -> BTreeSet<DatasetId> {
        let jobs = self.world.live(center).filter_map(|attempt| self.world.job(attempt.job));
        jobs.flat_map(|job| job.spec.outputs.iter().map(|output| output.dataset.clone())).collect()
    }

    /// Ends a transfer that did not bring its copy, and withdraws the attempts that waited for it.
    pub(crate) fn transfer_failed(&mut self, transfer: TransferId, why: String) {
        if let Some(staging) = self.world.transfers.get(&transfer).map(Arc::clone) {
            self.not_soon(&staging.data, &staging.to);
        }
        let end = TransferEnd::Failed { why };
        self.emit(Fact::TransferEnded(TransferEnded { transfer, end }));
        let waiting: Vec<AttemptId> = self
            .world
            .awaiting(transfer)
            .filter_map(|id| self.world.live_attempt(id))
            .filter(|a| a.state.started().is_none())
            .map(|a| a.attempt)
            .collect();
        for attempt in waiting {
            self.stop(attempt, Stop::Withdrawn);
        }
    }
}

/// Attempts so far of a job whose last is just over, but for those that somebody wanted stopped.
fn tries(job: &Job) -> u32 {
    let wanted = |outcome: &Outcome| {
        matches!(outcome, Outcome::Stopped(Stop::Preempted | Stop::Requeued | Stop::Held))
    };
    let stopped = job.past.iter().filter(|past| wanted(&past.outcome)).count();
    job.epoch.saturating_sub(u32::try_from(stopped).unwrap_or(u32::MAX))
}

/// What becomes of a job whose attempt is over.
enum Next {
    End(JobEnd),
    Again { after: Span, held: bool },
}

fn next(job: &Job, outcome: &Outcome) -> Next {
    let again = |after| Next::Again { after, held: false };
    match outcome {
        Outcome::Exited { code: 0 } => Next::End(JobEnd::Completed),
        _ if job.canceled => Next::End(JobEnd::Canceled),
        Outcome::Stopped(Stop::Lapsed) => Next::End(JobEnd::Lapsed),
        other if job.spec.is_reservation() => Next::End(JobEnd::Failed(other.clone())),
        Outcome::TimedOut => Next::End(JobEnd::TimedOut),
        own if own.is_own_fault() && job.failures > job.spec.retries => {
            Next::End(JobEnd::Failed(own.clone()))
        }
        own if own.is_own_fault() => again(Span::ZERO),
        Outcome::Stopped(Stop::Held) => Next::Again { after: Span::ZERO, held: true },
        Outcome::Stopped(Stop::Requeued) => again(Span::ZERO),
        // Whoever made room has its old place in line, and none of its tries is spent.
        Outcome::Stopped(Stop::Preempted) => again(Span::ZERO),
        other if tries(job) >= MOST_ATTEMPTS => Next::End(JobEnd::Failed(other.clone())),
        // The planner remembers who refused, so nothing is gained by waiting.
        Outcome::Refused(_) => again(Span::ZERO),
        _ => again(Span(FIRST_BACKOFF.0 << job.epoch.min(16)).min(LONGEST_BACKOFF)),
    }
}
