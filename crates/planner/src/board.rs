//! What is committed from now on: pools, links and the queue. Derived from the world, kept beside
//! it fact by fact, cheap to copy for a background plan or a what-if.

use crate::class::{ClassId, Queue};
use crate::pool::PoolBoard;
use model::attempt::AttemptState;
use model::fact::Fact;
use model::{
    Attempt, AttemptId, CenterId, Moment, Outcome, Phase, PoolId, Refused, Span, TransferId,
};
use network::{Booking, Links, Topology};
use std::collections::BTreeMap;
use std::sync::Arc;
use world::World;

/// How long a center that refused a class is not asked for it again.
const DECLINED_FOR: Span = Span::from_secs(60);

/// The planner's view of what is taken and who waits.
#[derive(Debug, Clone)]
pub struct Board {
    pub(crate) pools: BTreeMap<CenterId, BTreeMap<PoolId, Arc<PoolBoard>>>,
    pub(crate) links: Links,
    bookings: BTreeMap<TransferId, Arc<Booking>>,
    pub(crate) topology: Arc<Topology>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) declined: BTreeMap<(ClassId, CenterId), (Refused, Moment)>,
    woken: bool,
}

impl Board {
    /// The board a world amounts to.
    #[must_use]
    pub fn of(world: &World, now: Moment) -> Self {
        let topology = Arc::new(crate::staging::topology(world));
        let mut board = Self {
            pools: BTreeMap::new(),
            links: Links::new(&topology),
            bookings: BTreeMap::new(),
            topology,
            queue: Arc::default(),
            declined: BTreeMap::new(),
            woken: false,
        };
        for (id, state) in &world.centers {
            let pools = state.center.pools.iter();
            let pools = pools.map(|p| (p.pool.clone(), Arc::new(PoolBoard::new(p)))).collect();
            board.pools.insert(id.clone(), pools);
        }
        for transfer in world.transfers.values() {
            board.book(transfer);
        }
        for job in world.jobs.iter() {
            match &job.phase {
                Phase::Waiting { not_before } => {
                    Arc::make_mut(&mut board.queue).enter(job, *not_before, now);
                }
                Phase::Placed(attempt) if !attempt.is_over() => {
                    board.hold(attempt, job.spec.duration.limit());
                }
                Phase::Held | Phase::Placed(_) | Phase::Ended { .. } => {}
            }
        }
        board.forget_before(now);
        board
    }

    /// Brings the board after a fact that `world` has just taken in.
    pub fn apply(&mut self, world: &World, now: Moment, fact: &Fact) {
        match fact {
            Fact::CenterDeclared(_) | Fact::ExchangeDeclared(_) | Fact::LinkDeclared(_) => {
                *self = Self::of(world, now);
            }
            Fact::TransferPlanned(staging) => self.book(staging),
            Fact::TransferEnded(ended) => self.unbook(ended.transfer, now),
            Fact::JobOffered(f) => {
                Arc::make_mut(&mut self.queue).leave(f.attempt.job);
                self.hold_live(world, f.attempt);
            }
            Fact::AttemptStarted(f) => {
                self.release(f.attempt);
                self.hold_live(world, f.attempt);
            }
            Fact::AttemptEnded(f) => {
                self.release(f.attempt);
                self.note_refusal(world, now, f.attempt, &f.ended.outcome);
            }
            _ => {
                if let Some(job) = fact.job().and_then(|job| world.job(job)) {
                    match &job.phase {
                        Phase::Waiting { not_before } => {
                            if self.queue.class(job.job).is_none() {
                                Arc::make_mut(&mut self.queue).enter(job, *not_before, now);
                            }
                        }
                        _ => {
                            if self.queue.class(job.job).is_some() {
                                Arc::make_mut(&mut self.queue).leave(job.job);
                            }
                        }
                    }
                }
            }
        }
    }

    fn note_refusal(&mut self, world: &World, now: Moment, attempt: AttemptId, outcome: &Outcome) {
        let Outcome::Refused(why) = outcome else { return };
        let Some(job) = world.job(attempt.job) else { return };
        let Some(attempt) = job.phase.attempt() else { return };
        let key = (crate::class::class_of(&job.spec), attempt.placement.center().clone());
        self.declined.insert(key, (why.clone(), now + DECLINED_FOR));
    }

    fn hold_live(&mut self, world: &World, attempt: AttemptId) {
        if let Some(job) = world.job(attempt.job)
            && let Some(live) = job.phase.attempt()
        {
            self.hold(live, job.spec.duration.limit());
        }
    }

    /// Holds what an attempt holds, from its real start where it has one.
    fn hold(&mut self, attempt: &Attempt, limit: Option<Span>) {
        let (from, until) = match &attempt.state {
            AttemptState::Running { started }
            | AttemptState::Stopping { started: Some(started), .. } => {
                (*started, limit.map_or(Moment::MAX, |limit| *started + limit))
            }
            _ => (attempt.placement.start, attempt.placement.until),
        };
        for part in &attempt.placement.parts {
            if let Some(pool) = self.pool_mut(&part.center, &part.pool) {
                pool.hold(attempt.attempt, &part.nodes, from, until.max(from + Span(1)));
            }
        }
    }

    fn release(&mut self, attempt: AttemptId) {
        for pools in self.pools.values_mut() {
            for pool in pools.values_mut() {
                if pool.holds(attempt) {
                    Arc::make_mut(pool).release(attempt);
                }
            }
        }
    }

    pub(crate) fn pool_mut(&mut self, center: &CenterId, pool: &PoolId) -> Option<&mut PoolBoard> {
        self.pools.get_mut(center)?.get_mut(pool).map(Arc::make_mut)
    }

    /// A pool's commitments.
    #[must_use]
    pub fn pool(&self, center: &CenterId, pool: &PoolId) -> Option<&PoolBoard> {
        self.pools.get(center)?.get(pool).map(Arc::as_ref)
    }

    /// The bandwidth calendars.
    #[must_use]
    pub const fn links(&self) -> &Links {
        &self.links
    }

    /// Who waits.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Whether jobs came into line since this was last asked.
    pub fn take_woken(&mut self) -> bool {
        std::mem::take(&mut self.woken)
    }

    /// Lines up jobs whose time has come, and gives attempts that outlive their limit a little
    /// more: their chips are not free until they are. Returns when there is more to do.
    pub fn wake(&mut self, now: Moment) -> Option<Moment> {
        let next = match self.queue.next_wake() {
            Some(at) if at <= now => {
                self.woken = true;
                Arc::make_mut(&mut self.queue).wake(now)
            }
            other => other,
        };
        self.declined.retain(|_, (_, until)| *until > now);
        for pools in self.pools.values_mut() {
            for pool in pools.values_mut() {
                let overdue: Vec<AttemptId> = pool.overdue(now).collect();
                for attempt in overdue {
                    Arc::make_mut(pool).prolong(attempt, now);
                }
            }
        }
        next
    }

    /// Forgets the past.
    pub fn forget_before(&mut self, now: Moment) {
        for pools in self.pools.values_mut() {
            pools.values_mut().for_each(|pool| Arc::make_mut(pool).forget_before(now));
        }
        self.links.forget_before(now);
    }

    /// Books a transfer's bandwidth. Where a link was declared smaller meanwhile there is nothing
    /// left to book: the transfer goes on at what the link gives.
    pub(crate) fn book(&mut self, staging: &model::Staging) {
        let booking = Booking { hops: staging.hops.clone(), steps: staging.steps.clone() };
        if self.links.book(&booking).is_ok() {
            self.bookings.insert(staging.transfer, Arc::new(booking));
        }
    }

    fn unbook(&mut self, transfer: TransferId, now: Moment) {
        if let Some(booking) = self.bookings.remove(&transfer) {
            self.links.release_from(&booking, now).expect("what was booked can be given back");
        }
    }

    /// Whether a booking would fit what is free.
    pub(crate) fn has_room(
        &self,
        hops: &[model::link::Hop],
        steps: &[model::attempt::RateStep],
    ) -> bool {
        let booking = Booking { hops: hops.to_vec(), steps: steps.to_vec() };
        self.links.clone().book(&booking).is_ok()
    }
}
