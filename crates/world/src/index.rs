//! What is looked up often: lists that the rest of the world amounts to.

use crate::relation::Tasks;
use crate::share::{Held, claim};
use model::job::Job;
use model::{
    AttemptId, CenterId, Chips, DatasetVersion, Digest, JobId, Phase, Placement, PoolId, Slots,
    Staging, TenantId, TokenId, TransferId,
};
use std::collections::{BTreeMap, BTreeSet};

/// Lists kept fact by fact; none holds anything empty, so that equal worlds have equal lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Index {
    pub(crate) waiting: BTreeSet<JobId>,
    pub(crate) live: BTreeMap<CenterId, BTreeSet<AttemptId>>,
    /// Live attempts of jobs that read inputs over the network.
    pub(crate) readers: BTreeSet<AttemptId>,
    pub(crate) ended: BTreeSet<JobId>,
    /// Ended jobs whose whole array has ended, or that are of none.
    pub(crate) archivable: BTreeSet<JobId>,
    pub(crate) blocked: BTreeSet<JobId>,
    /// Arrays that have not ended, by their first job.
    pub(crate) arrays: BTreeMap<JobId, Tasks>,
    /// Who is to come after a job and has not ended; of arrays, the first.
    pub(crate) dependents: BTreeMap<JobId, BTreeSet<JobId>>,
    pub(crate) tokens: BTreeMap<TokenId, Digest>,
    /// By data and where it goes.
    pub(crate) transfers: BTreeMap<DatasetVersion, BTreeMap<CenterId, TransferId>>,
    /// What live attempts hold by node.
    pub(crate) holders: BTreeMap<CenterId, BTreeMap<PoolId, BTreeMap<u32, Holders>>>,
    /// What live attempts hold of quotas, by tenant: those that make room for others do not any more.
    pub(crate) held: BTreeMap<TenantId, Held>,
    /// Live attempts by the transfers they were to wait for.
    pub(crate) awaiting: BTreeMap<TransferId, BTreeSet<AttemptId>>,
    /// Live attempts by the reservations they are in.
    pub(crate) inside: BTreeMap<JobId, BTreeSet<AttemptId>>,
    /// Reservations whose windows have not opened.
    pub(crate) to_open: BTreeSet<JobId>,
}

/// Who holds what of a node, in the order of attempts.
pub(crate) type Holders = Vec<(AttemptId, Slots)>;

/// In which of the lists of jobs a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    Waiting,
    Live(AttemptId),
    /// Live, but it makes room for another, or is a reservation whose window has not opened yet.
    WithoutClaim(AttemptId),
    Ended,
    Blocked,
    Nowhere,
}

/// Whether it is a reservation whose window has not opened yet.
fn is_to_open(job: &Job) -> bool {
    let attempt = job.phase.attempt();
    job.spec.is_reservation() && attempt.is_some_and(|attempt| attempt.state.started().is_none())
}

impl Listed {
    pub(crate) fn of(job: &Job) -> Self {
        match &job.phase {
            Phase::Waiting { .. } => Self::Waiting,
            Phase::Placed(attempt) if attempt.is_over() => Self::Nowhere,
            Phase::Placed(attempt) if attempt.preempted.is_some() || is_to_open(job) => {
                Self::WithoutClaim(attempt.attempt)
            }
            Phase::Placed(attempt) => Self::Live(attempt.attempt),
            Phase::Ended { .. } => Self::Ended,
            Phase::Blocked => Self::Blocked,
            Phase::Held => Self::Nowhere,
        }
    }
}

impl Index {
    pub(crate) fn brings(&mut self, staging: &Staging) {
        let of = self.transfers.entry(staging.data.clone()).or_default();
        of.insert(staging.to.clone(), staging.transfer);
    }

    pub(crate) fn brings_no_more(&mut self, staging: &Staging) {
        let Some(of) = self.transfers.get_mut(&staging.data) else { return };
        if of.get(&staging.to) == Some(&staging.transfer) {
            of.remove(&staging.to);
        }
        if of.is_empty() {
            self.transfers.remove(&staging.data);
        }
    }

    /// Lists a job that is so now.
    pub(crate) fn enter(&mut self, listed: Listed, job: &Job) {
        match listed {
            Listed::Waiting => {
                self.waiting.insert(job.job);
            }
            Listed::Ended => {
                self.ended.insert(job.job);
                if job.task.is_none() {
                    self.archivable.insert(job.job);
                }
            }
            Listed::Blocked => {
                self.blocked.insert(job.job);
            }
            Listed::Live(attempt) | Listed::WithoutClaim(attempt) => {
                if let Some(live) = job.phase.attempt() {
                    self.take(attempt, &live.placement);
                }
                if matches!(listed, Listed::Live(_)) {
                    self.claim(job);
                }
                if is_to_open(job) {
                    self.to_open.insert(job.job);
                }
                if job.spec.inputs.iter().any(|input| input.streamed().is_some()) {
                    self.readers.insert(attempt);
                }
            }
            Listed::Nowhere => {}
        }
    }

    /// Takes a job that was so off the list. An attempt that is just over is still in its phase.
    pub(crate) fn leave(&mut self, listed: Listed, job: &Job) {
        match listed {
            Listed::Waiting => {
                self.waiting.remove(&job.job);
            }
            Listed::Ended => self.forget(job.job),
            Listed::Blocked => {
                self.blocked.remove(&job.job);
            }
            Listed::Live(attempt) | Listed::WithoutClaim(attempt) => {
                if let Some(over) = job.phase.attempt() {
                    self.give_back(attempt, &over.placement);
                }
                if matches!(listed, Listed::Live(_)) {
                    self.unclaim(job);
                }
                self.to_open.remove(&job.job);
                self.readers.remove(&attempt);
            }
            Listed::Nowhere => {}
        }
    }

    /// Forgets a job that had ended.
    pub(crate) fn forget(&mut self, job: JobId) {
        self.ended.remove(&job);
        self.archivable.remove(&job);
    }

    fn take(&mut self, attempt: AttemptId, placement: &Placement) {
        for part in &placement.parts {
            self.live.entry(part.center.clone()).or_default().insert(attempt);
            let pools = self.holders.entry(part.center.clone()).or_default();
            let nodes = pools.entry(part.pool.clone()).or_default();
            for slots in &part.nodes {
                let holders = nodes.entry(slots.node).or_default();
                let at = holders.partition_point(|(other, _)| *other <= attempt);
                holders.insert(at, (attempt, slots.clone()));
            }
        }
        for transfer in &placement.awaits {
            self.awaiting.entry(*transfer).or_default().insert(attempt);
        }
        if let Some(reservation) = placement.inside {
            self.inside.entry(reservation).or_default().insert(attempt);
        }
    }

    fn claim(&mut self, job: &Job) {
        let Some(attempt) = job.phase.attempt() else { return };
        let claim = claim(&job.spec, &attempt.placement);
        let held = self.held.entry(job.spec.tenant.clone()).or_default();
        held.attempts += claim.jobs;
        held.committed += u128::from(claim.card_time.0);
        for (flavor, chips) in claim.chips {
            let of = held.chips.entry(flavor).or_default();
            *of = of.saturating_add(chips);
        }
    }

    fn unclaim(&mut self, job: &Job) {
        let Some(attempt) = job.phase.attempt() else { return };
        let Some(held) = self.held.get_mut(&job.spec.tenant) else { return };
        let claim = claim(&job.spec, &attempt.placement);
        held.attempts -= claim.jobs;
        held.committed -= u128::from(claim.card_time.0);
        for (flavor, chips) in claim.chips {
            let Some(of) = held.chips.get_mut(&flavor) else { continue };
            *of = *of - chips;
            if *of == Chips::ZERO {
                held.chips.remove(&flavor);
            }
        }
        if *held == Held::default() {
            self.held.remove(&job.spec.tenant);
        }
    }

    fn give_back(&mut self, attempt: AttemptId, placement: &Placement) {
        for part in &placement.parts {
            remove(&mut self.live, &part.center, attempt);
            let Some(pools) = self.holders.get_mut(&part.center) else { continue };
            if let Some(nodes) = pools.get_mut(&part.pool) {
                for slots in &part.nodes {
                    if let Some(holders) = nodes.get_mut(&slots.node) {
                        holders.retain(|(other, _)| *other != attempt);
                        if holders.is_empty() {
                            nodes.remove(&slots.node);
                        }
                    }
                }
                if nodes.is_empty() {
                    pools.remove(&part.pool);
                }
            }
            if pools.is_empty() {
                self.holders.remove(&part.center);
            }
        }
        for transfer in &placement.awaits {
            remove(&mut self.awaiting, transfer, attempt);
        }
        if let Some(reservation) = &placement.inside {
            remove(&mut self.inside, reservation, attempt);
        }
    }
}

fn remove<K: Ord>(from: &mut BTreeMap<K, BTreeSet<AttemptId>>, key: &K, attempt: AttemptId) {
    if let Some(attempts) = from.get_mut(key) {
        attempts.remove(&attempt);
        if attempts.is_empty() {
            from.remove(key);
        }
    }
}
