//! Plans asked for, and plans put into force.

use crate::{Controller, Solve};
use model::fact::{AttemptPreempted, Fact, JobOffered, JobPromised};
use model::{AttemptId, Moment, Phase, Placement, PlanId, Span, Staging, TransferId};
use planner::{Gap, Offer, Plan, Reservation, Situation, Snapshot, Transfer};
use std::sync::Arc;

/// How many times as long as a background plan took the next one waits at least.
const REST: u64 = 4;

/// When whoever waits is looked at again though nothing has happened: an owner's hours may have begun, or
/// a job may have been overtaken for long enough.
const LOOK_AGAIN: Span = Span::from_secs(600);

/// What the last plan for the whole queue came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastPlan {
    /// When it was there.
    pub at: Moment,
    /// Jobs that were looked at.
    pub considered: usize,
    /// Jobs that were not, for the work was spent.
    pub left: usize,
    /// Jobs it gives a place now.
    pub given: usize,
    /// Jobs it keeps a start for.
    pub told: usize,
    /// How far it is from what no plan could better.
    pub gap: Option<Gap>,
}

impl Controller {
    /// The last plan for the whole queue; none yet after a start.
    #[must_use]
    pub const fn last_plan(&self) -> Option<LastPlan> {
        self.last_plan
    }

    /// What a background plan is drawn up from. Shares everything that is large.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            world: self.world.to_plan(),
            view: self.board.view().clone(),
            situation: self.situation(),
            policy: self.settings.policy.clone(),
        }
    }

    /// What planning knows beside world and board.
    #[must_use]
    pub fn situation(&self) -> Situation {
        Situation { now: self.now, silent: self.silent() }
    }

    /// Places what can start after what changed, within the policy's work units.
    pub(crate) fn place(&mut self) {
        self.board.wake(&self.world, self.now);
        let touched = self.board.take_touched(self.now);
        if touched.is_empty() || self.board.nobody_waits() {
            return;
        }
        let (view, policy) = (self.board.view(), &self.settings.policy);
        let plan = planner::repair(&self.world, view, &self.situation(), policy, &touched);
        self.put_in_force(&plan);
        self.want_solve();
    }

    fn want_solve(&mut self) {
        self.solve = match self.solve {
            Solve::Idle | Solve::Round(_) => Solve::Due(self.now + self.settings.solve_every),
            Solve::Running { since, .. } => Solve::Running { since, again: true },
            due @ Solve::Due(_) => due,
        };
    }

    /// A background plan came back. The world has moved on: each placement is checked by itself.
    pub(crate) fn solved(&mut self, plan: &Plan) {
        self.last_plan = Some(LastPlan {
            at: self.now,
            considered: plan.considered,
            left: plan.left,
            given: plan.offers.len(),
            told: plan.starts.len(),
            gap: plan.gap,
        });
        // What outlives its limit at this very moment still has its chips.
        self.board.wake(&self.world, self.now);
        self.put_in_force(plan);
        self.solve = match self.solve {
            Solve::Running { since, again: true } if !self.board.nobody_waits() => {
                let took = self.now.since(since);
                Solve::Due(self.now + self.settings.solve_every.max(took.scaled(REST, 1)))
            }
            _ if self.board.nobody_waits() => Solve::Idle,
            // What tenants are entitled to is looked after whether anything else happens or not.
            _ => Solve::Round(self.now + self.settings.policy.round.unwrap_or(LOOK_AGAIN)),
        };
    }

    fn put_in_force(&mut self, plan: &Plan) {
        let id = self.world.next.plan;
        self.board.make_room(plan);
        for offer in &plan.offers {
            self.offer(id, offer);
        }
        for reservation in &plan.starts {
            let Reservation { job, start, ref center, .. } = *reservation;
            let untold = self.world.job(job).is_some_and(|job| job.promise.is_none());
            if self.board.reserve(reservation) && untold {
                let center = Some(center.clone());
                self.emit(Fact::JobPromised(JobPromised { job, start, plan: id, center }));
            }
        }
    }

    /// Makes an offer a fact, if it still holds: the job waits, its nodes and the links' bandwidth
    /// are free or can be freed for it, its data is where it was. One that does not hold sends only
    /// this job back.
    fn offer(&mut self, plan: PlanId, offer: &Offer) {
        let Some(job) = self.world.job(offer.job) else { return };
        if !matches!(job.phase, Phase::Waiting { .. }) || job.canceled {
            return;
        }
        let attempt = AttemptId { job: offer.job, epoch: job.epoch + 1 };
        let offer = &planner::retimed(&self.world, self.board.view(), &self.situation(), offer);
        if !planner::still_holds(&self.world, self.board.view(), &self.situation(), offer) {
            self.board.touch_job(job);
            return;
        }
        // First those who leave are told, then whoever comes is given their place: until they have
        // left nobody else can be.
        for victim in &offer.preempts {
            let (attempt, by, until) = (*victim, Some(offer.job), offer.placement.start);
            self.emit(Fact::AttemptPreempted(AttemptPreempted { attempt, by, until }));
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
        let staging = Staging { transfer, ..(**staging).clone() };
        self.emit(Fact::TransferPlanned(Arc::new(staging)));
        transfer
    }
}
