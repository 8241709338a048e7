//! Plans asked for, and plans put into force.

use crate::{Controller, Solve};
use model::fact::{Fact, JobOffered, JobPromised};
use model::{AttemptId, JobId, Phase, Placement, PlanId, Staging, TransferId};
use planner::{Offer, Plan, Scope, Situation, Snapshot, Transfer};
use std::sync::Arc;

impl Controller {
    /// What a background plan is drawn up from. Shares everything that is large.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            world: self.world.to_plan(),
            board: self.board.clone(),
            situation: self.situation(),
            policy: self.settings.policy.clone(),
        }
    }

    /// What planning knows beside world and board.
    #[must_use]
    pub fn situation(&self) -> Situation {
        Situation { now: self.now, silent: self.silent() }
    }

    /// A job came into line: only the first of its class can change anything.
    pub(crate) fn arrived(&mut self, job: JobId) {
        let alone = self.board.queue().class(job).is_some_and(|(_, class)| class.jobs.len() <= 1);
        self.dirty |= alone;
        self.want_solve();
    }

    /// Places what can start now, within the policy's work units.
    pub(crate) fn place(&mut self) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        self.board.wake(self.now);
        if self.board.queue().is_empty() {
            return;
        }
        let policy = &self.settings.policy;
        let plan =
            planner::plan(&self.world, &self.board, &self.situation(), policy, Scope::Inline);
        self.put_in_force(&plan);
        self.want_solve();
    }

    fn want_solve(&mut self) {
        self.solve = match self.solve {
            Solve::Idle => Solve::Due(self.now + self.settings.solve_every),
            Solve::Running { .. } => Solve::Running { again: true },
            due @ Solve::Due(_) => due,
        };
    }

    /// A background plan came back. The world has moved on: each placement is checked by itself.
    pub(crate) fn solved(&mut self, plan: &Plan) {
        self.put_in_force(plan);
        let again = matches!(self.solve, Solve::Running { again: true });
        self.solve = if again && !self.board.queue().is_empty() {
            Solve::Due(self.now + self.settings.solve_every)
        } else {
            Solve::Idle
        };
    }

    fn put_in_force(&mut self, plan: &Plan) {
        let id = self.world.next.plan;
        for offer in &plan.offers {
            self.offer(id, offer);
        }
        for (job, start) in &plan.starts {
            let told = self
                .world
                .job(*job)
                .is_none_or(|j| j.promise.is_some() || !matches!(j.phase, Phase::Waiting { .. }));
            if !told {
                let promised = JobPromised { job: *job, start: *start, plan: id };
                self.emit(Fact::JobPromised(promised));
            }
        }
    }

    /// Makes an offer a fact, if it still holds: the job waits, its nodes and the links' bandwidth
    /// are free, its data is where it was. One that does not hold sends only this job back.
    fn offer(&mut self, plan: PlanId, offer: &Offer) {
        let Some(job) = self.world.job(offer.job) else { return };
        if !matches!(job.phase, Phase::Waiting { .. }) || job.canceled {
            return;
        }
        let attempt = AttemptId { job: offer.job, epoch: job.epoch + 1 };
        if !planner::still_holds(&self.world, &self.board, &self.situation(), offer) {
            self.dirty = true;
            return;
        }
        let awaits = offer.transfers.iter().map(|transfer| self.transfer(transfer)).collect();
        let placement = Placement { plan, awaits, ..offer.placement.clone() };
        self.emit(Fact::JobOffered(JobOffered { attempt, placement: Arc::new(placement) }));
    }

    /// The transfer an offer waits for; planned now unless an offer before it had it planned.
    fn transfer(&mut self, wanted: &Transfer) -> TransferId {
        let staging = match wanted {
            Transfer::Under(id) => return *id,
            Transfer::New(staging) => staging,
        };
        if let Some(under) = self.world.transfer_to(&staging.data, &staging.to) {
            return under.transfer;
        }
        let transfer = self.world.next.transfer;
        let staging = Staging { transfer, ..staging.clone() };
        self.emit(Fact::TransferPlanned(Arc::new(staging)));
        transfer
    }
}
