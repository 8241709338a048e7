//! Windows that are booked, kept fact by fact.

use super::Board;
use crate::booking::{Booked, Inside};
use crate::pool::PoolBoard;
use model::job::Job;
use model::{Attempt, AttemptId, JobId, JobSpec, Moment, PartPlacement};
use std::sync::Arc;
use world::World;

impl Board {
    /// A reservation has a place: what names it is planned there.
    pub(super) fn book_inside(
        &mut self,
        reservation: JobId,
        part: &PartPlacement,
        window: (Moment, Moment),
    ) {
        let Some(pool) = self.view.roster.number(&part.center, &part.pool) else { return };
        let declared = self.view.roster.seat(pool).pool();
        let window = (window.0, window.1 + JobSpec::OVERHANG);
        let board = PoolBoard::within(declared, reservation, &part.nodes, window);
        Arc::make_mut(&mut self.view.inside).insert(reservation, Inside { pool, board });
    }

    /// Notes what a reservation will have, if its window has not opened; false where it has.
    pub(super) fn is_to_open(&mut self, attempt: &Attempt, job: &Job) -> bool {
        let is_to_open = job.spec.is_reservation() && attempt.state.started().is_none();
        if is_to_open {
            let booked = Arc::make_mut(&mut self.view.booked);
            booked.insert(job.job, Booked::of(job, attempt));
        }
        is_to_open
    }

    /// Where an attempt is a reservation, it has from now on what was booked.
    pub(super) fn window_opens(&mut self, world: &World, attempt: AttemptId) {
        if self.view.booked.contains_key(&attempt.job) {
            Arc::make_mut(&mut self.view.booked).remove(&attempt.job);
            self.touched.pools.extend(self.held.get(&attempt).map(|held| held.pool));
            if let Some(job) = world.job(attempt.job)
                && let Some(live) = job.phase.attempt()
            {
                self.claim(world, live, job);
            }
        }
    }

    /// Where an attempt that is over was a reservation, nothing is planned in it any more, and what it was
    /// to have others may have.
    pub(super) fn window_closes(&mut self, reservation: JobId) {
        if self.view.inside.contains_key(&reservation) {
            Arc::make_mut(&mut self.view.inside).remove(&reservation);
        }
        if self.view.booked.contains_key(&reservation) {
            Arc::make_mut(&mut self.view.booked).remove(&reservation);
        }
    }
}
