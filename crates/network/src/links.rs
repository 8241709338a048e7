//! What is free on each direction of each link, and what is booked of it.

use crate::{Error, Topology};
use calendar::{Misfit, Profile};
use model::Moment;
use model::attempt::RateStep;
use model::link::Hop;
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
    free: Arc<BTreeMap<Hop, Profile>>,
}

impl Links {
    /// Every direction of the topology's links, nothing booked.
    #[must_use]
    pub fn new(topology: &Topology) -> Self {
        let directions = topology.links().iter().flat_map(|link| {
            [true, false].map(|forward| {
                let hop = Hop { link: link.link.clone(), forward };
                (hop, Profile::new(link.capacity.0))
            })
        });
        Self { free: Arc::new(directions.collect()) }
    }

    /// What is free of one direction, in bits per second.
    #[must_use]
    pub fn free(&self, hop: &Hop) -> Option<&Profile> {
        self.free.get(hop)
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
        Arc::make_mut(&mut self.free).values_mut().for_each(|free| free.forget_before(now));
    }

    /// Changes every hop in every step from `from` on, or nothing.
    fn change(
        &mut self,
        booking: &Booking,
        from: Moment,
        change: impl Fn(&mut Profile, Moment, Moment, u64) -> Result<(), Misfit>,
    ) -> Result<(), Error> {
        let mut changed: BTreeMap<&Hop, Profile> = BTreeMap::new();
        for hop in &booking.hops {
            let unknown = || Error::NoSuchLink { link: hop.link.clone() };
            let before = self.free.get(hop).ok_or_else(unknown)?;
            let free = changed.entry(hop).or_insert_with(|| before.clone());
            for step in &booking.steps {
                change(free, step.from.max(from), step.until, step.rate.0)
                    .map_err(|misfit| Error::Misfit { hop: hop.clone(), misfit })?;
            }
        }
        let changed = changed.into_iter().map(|(hop, free)| (hop.clone(), free));
        Arc::make_mut(&mut self.free).extend(changed);
        Ok(())
    }
}
