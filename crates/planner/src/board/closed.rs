//! Nodes that take no work at present, as their centers count them.

use super::Board;
use crate::roster::PoolNumber;
use model::{CenterId, JobId, Moment, PoolId};
use world::World;

impl Board {
    /// Walls off what is closed everywhere.
    pub(super) fn close_all(&mut self, world: &World, now: Moment) {
        for (number, closed) in self.closed(world) {
            if closed > 0 {
                self.view.pool_mut(number).close(closed, now);
            }
        }
    }

    /// How many nodes of each pool take no work.
    fn closed(&self, world: &World) -> Vec<(PoolNumber, u32)> {
        let closed = self.view.roster.seats().map(|(number, seat)| {
            let center = world.centers.get(&seat.center.center);
            (number, center.map_or(0, |center| center.closed(seat.pool())))
        });
        closed.collect()
    }

    /// A pool has more or fewer nodes that take work than before: starts that were kept there are to be
    /// found anew.
    pub(super) fn recount(&mut self, world: &World, now: Moment, center: &CenterId, pool: &PoolId) {
        let Some(number) = self.view.roster.number(center, pool) else { return };
        let Some(state) = world.centers.get(center) else { return };
        let Some(declared) = state.center.pool(pool) else { return };
        let closed = state.closed(declared);
        let reserved = self.view.reserved.iter().filter(|(_, r)| r.number == number);
        let reserved: Vec<JobId> = reserved.map(|(job, _)| *job).collect();
        for job in reserved {
            self.lift(job);
        }
        self.view.pool_mut(number).close(closed, now);
        self.touched.all = true;
    }
}
