//! Which nodes attempts hold, and until when.

use super::Board;
use crate::roster::PoolNumber;
use model::attempt::{AttemptState, Slots};
use model::job::Job;
use model::{Attempt, AttemptId, JobId, Moment, PartPlacement, Span};
use world::World;

/// What an attempt holds.
#[derive(Debug, Clone)]
pub(super) struct Holding {
    pub(super) pool: PoolNumber,
    /// The reservation it runs in.
    pub(super) inside: Option<JobId>,
    pub(super) slots: Vec<Slots>,
    pub(super) until: Moment,
}

impl Board {
    pub(super) fn hold_until(
        &mut self,
        (attempt, inside): (AttemptId, Option<JobId>),
        part: &PartPlacement,
        (from, until): (Moment, Moment),
    ) {
        let Some(pool) = self.view.roster.number(&part.center, &part.pool) else { return };
        let slots = part.nodes.clone();
        self.view.board_mut(inside, pool, |board| board.hold(attempt, &slots, from, until));
        self.held.insert(attempt, Holding { pool, inside, slots, until });
        self.ends.insert((until, attempt));
    }

    /// Holds what an attempt holds from when and until when it does now.
    pub(super) fn retime(&mut self, world: &World, attempt: AttemptId, now: Moment) {
        let Some(job) = world.job(attempt.job) else { return };
        let Some(live) = job.phase.attempt() else { return };
        self.rebook_streams(world, attempt, now);
        let (from, until) = window(live, job);
        self.move_hold(attempt, from, until);
        if live.state.stopping().is_some() {
            self.spare(attempt);
        }
    }

    pub(super) fn move_hold(&mut self, attempt: AttemptId, from: Moment, until: Moment) {
        let Some(held) = self.held.get_mut(&attempt) else { return };
        self.ends.remove(&(held.until, attempt));
        self.ends.insert((until, attempt));
        held.until = until;
        let Holding { pool, inside, slots, .. } = held;
        self.view.board_mut(*inside, *pool, |board| board.retime(attempt, slots, from, until));
    }

    pub(super) fn release(&mut self, attempt: AttemptId) -> Option<PoolNumber> {
        let Holding { pool, inside, slots, until } = self.held.remove(&attempt)?;
        self.ends.remove(&(until, attempt));
        self.view.board_mut(inside, pool, |board| board.release(attempt, &slots));
        self.view.victims.remove(pool, attempt);
        Some(pool)
    }

    /// An attempt that stops anyway makes room for nobody.
    pub(super) fn spare(&mut self, attempt: AttemptId) {
        if let Some(held) = self.held.get(&attempt) {
            self.view.victims.remove(held.pool, attempt);
        }
    }
}

/// From when and until when an attempt holds its nodes: from its real start where it has one.
pub(crate) fn window(attempt: &Attempt, job: &Job) -> (Moment, Moment) {
    if job.spec.is_reservation() {
        return (attempt.placement.start, attempt.placement.until);
    }
    let limit = attempt.placement.parts.first().and_then(|part| job.spec.limit(part.variant));
    let (from, until) = match &attempt.state {
        AttemptState::Running { started }
        | AttemptState::Stopping { started: Some(started), .. } => {
            (*started, limit.map_or(Moment::MAX, |limit| *started + limit))
        }
        _ => (attempt.placement.start, attempt.placement.until),
    };
    let until = attempt.preempted.map_or(until, |preempted| until.min(preempted.until));
    (from, until.max(from + Span(1)))
}
