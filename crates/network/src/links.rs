//! What is free on each direction of each link, and what is booked of it.

use crate::{Error, Topology};
use calendar::{Misfit, Profile};
use model::attempt::RateStep;
use model::link::Hop;
use model::{Moment, Rate};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bandwidth reserved along a path: every step on every hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// The directions crossed, in order.
    pub hops: Vec<Hop>,
    /// At which rate when, in order, apart.
    pub steps: Vec<RateStep>,
}

/// The calendars of all directions of all links, in bits per second. A clone costs nothing until
/// one of the two books or releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    numbers: Arc<BTreeMap<Hop, usize>>,
    /// By number: directions are numbered as [`Topology`] numbers them.
    free: Arc<Vec<Arc<Profile>>>,
}

impl Links {
    /// Every direction of the topology's links, nothing booked.
    #[must_use]
    pub fn new(topology: &Topology) -> Self {
        let free = topology.links().iter().flat_map(|link| {
            let free = Arc::new(Profile::new(link.capacity.0));
            [free.clone(), free]
        });
        Self { numbers: topology.directions(), free: Arc::new(free.collect()) }
    }

    /// What is free of one direction, in bits per second.
    #[must_use]
    pub fn free(&self, hop: &Hop) -> Option<&Profile> {
        Some(self.pipe(*self.numbers.get(hop)?))
    }

    /// What is free of the direction of this number.
    pub(crate) fn pipe(&self, direction: usize) -> &Profile {
        &self.free[direction]
    }

    /// The booking with no step faster than its hops have free in all of it.
    #[must_use]
    pub fn fitting(&self, mut booking: Booking) -> Booking {
        for step in &mut booking.steps {
            let free = booking.hops.iter().filter_map(|hop| self.free(hop));
            let least = free.map(|free| free.least(step.from, step.until)).min();
            step.rate = least.map_or(step.rate, |least| step.rate.min(Rate(least)));
        }
        booking.steps.retain(|step| step.rate > Rate::ZERO);
        booking
    }

    /// Books every step on every hop, or nothing and says where it does not fit.
    pub fn book(&mut self, booking: &Booking) -> Result<(), Error> {
        self.change(booking, Moment::ZERO, Profile::take)
    }

    /// Gives a whole booking back.
    pub fn release(&mut self, booking: &Booking) -> Result<(), Error> {
        self.release_from(booking, Moment::ZERO)
    }

    /// Gives back what a booking still holds from `now` on: its transfer ended early or goes no
    /// further. What it held before stays booked.
    pub fn release_from(&mut self, booking: &Booking, now: Moment) -> Result<(), Error> {
        self.change(booking, now, Profile::give)
    }

    /// Forgets what was before `now`.
    pub fn forget_before(&mut self, now: Moment) {
        Arc::make_mut(&mut self.free)
            .iter_mut()
            .for_each(|free| Arc::make_mut(free).forget_before(now));
    }

    /// Changes every hop in every step from `from` on, or nothing.
    fn change(
        &mut self,
        booking: &Booking,
        from: Moment,
        change: impl Fn(&mut Profile, Moment, Moment, u64) -> Result<(), Misfit>,
    ) -> Result<(), Error> {
        let mut changed: BTreeMap<usize, Profile> = BTreeMap::new();
        for hop in &booking.hops {
            let unknown = || Error::NoSuchLink { link: hop.link.clone() };
            let number = *self.numbers.get(hop).ok_or_else(unknown)?;
            let free = changed.entry(number).or_insert_with(|| self.pipe(number).clone());
            for step in &booking.steps {
                change(free, step.from.max(from), step.until, step.rate.0)
                    .map_err(|misfit| Error::Misfit { hop: hop.clone(), misfit })?;
            }
        }
        let all = Arc::make_mut(&mut self.free);
        for (number, free) in changed {
            all[number] = Arc::new(free);
        }
        Ok(())
    }
}
