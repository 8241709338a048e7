//! What takes no work at present: centers without an agent or without what is asked of them, and nodes
//! that their centers count out.

use super::Board;
use crate::roster::PoolNumber;
use model::{CenterId, JobId, Moment, PoolId};
use std::collections::BTreeMap;
use world::{CenterState, NotReady, World};

/// Whether each center can be given work, in the order of their names.
pub(super) fn joined(world: &World) -> Vec<bool> {
    let is_ready = |state: &CenterState| state.unready(world.admission.as_ref()).is_none();
    let can = |state: &CenterState| state.agent.is_some() && is_ready(state);
    world.centers.values().map(can).collect()
}

/// Centers that have not shown what is asked of them.
pub(super) fn unready(world: &World) -> BTreeMap<CenterId, NotReady> {
    let unready = |id: &CenterId| Some((id.clone(), world.unready(id)?));
    world.centers.keys().filter_map(unready).collect()
}

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
