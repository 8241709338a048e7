//! Copies of data that are planned and not yet on their way.

use crate::staging::bookings;
use crate::view::View;
use model::attempt::Stream;
use model::job::JobSpec;
use model::{CenterId, DatasetVersion, Moment, Staging};
use std::collections::BTreeMap;
use world::World;

/// Copies that jobs earlier in the same plan bring along.
#[derive(Debug, Default)]
pub(crate) struct Coming {
    copies: BTreeMap<DatasetVersion, Copies>,
    /// How often bandwidth was booked.
    count: usize,
}

/// Copies of one version.
#[derive(Debug, Default)]
struct Copies {
    to: BTreeMap<CenterId, Staging>,
    /// Where they come to, in the order they were planned, with how many of any version were planned
    /// before.
    planned: Vec<(usize, CenterId)>,
}

impl Coming {
    /// Notes a copy to be brought, and books its bandwidth on the working view.
    pub(crate) fn add(&mut self, view: &mut View, staging: &Staging) {
        let copies = self.copies.entry(staging.data.clone()).or_default();
        if copies.to.insert(staging.to.clone(), staging.clone()).is_none() {
            for booking in bookings(staging) {
                // Where a link was declared smaller meanwhile there is nothing left to book.
                let _ = view.links.book(&booking);
            }
            copies.planned.push((self.count, staging.to.clone()));
            self.count += 1;
        }
    }

    /// Books what a job reads over the network while it runs, as what comes later is planned around.
    pub(crate) fn books(&mut self, view: &mut View, streams: &[Stream], window: (Moment, Moment)) {
        view.read_over(streams, window);
        self.count += 1;
    }

    /// The copy of this data that a job before brings there; its bandwidth is booked then.
    pub(crate) fn to(&self, data: &DatasetVersion, center: &CenterId) -> Option<&Staging> {
        self.copies.get(data)?.to.get(center)
    }

    /// All copies of this data.
    pub(crate) fn of(&self, data: &DatasetVersion) -> impl Iterator<Item = &Staging> {
        self.copies.get(data).into_iter().flat_map(|copies| copies.to.values())
    }

    /// How often bandwidth was booked: what was found before is to be found again where data comes.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Where copies of a job's inputs come to that were planned after the first `seen`.
    pub(crate) fn since(&self, seen: usize, world: &World, spec: &JobSpec) -> Vec<&CenterId> {
        let versions = spec.inputs.iter().filter_map(|input| world.version(&input.dataset));
        let copies = versions.filter_map(|version| self.copies.get(&version.registered.data));
        let new = |copies: &Copies| copies.planned.partition_point(|(before, _)| *before < seen);
        let centers = copies.flat_map(|copies| &copies.planned[new(copies)..]);
        centers.map(|(_, center)| center).collect()
    }
}
