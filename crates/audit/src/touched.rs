//! What some facts touched, so that a step is judged for what it did and not for all there is.

use crate::link::reserved;
use model::{AttemptId, CenterId, DatasetVersion, Fact, JobId, LinkId, TransferId};
use std::collections::{BTreeMap, BTreeSet};
use world::World;

/// What is to be judged after some facts.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    pub(crate) jobs: BTreeSet<JobId>,
    /// Attempts that took something: offered or started.
    pub(crate) attempts: BTreeSet<AttemptId>,
    /// Centers in which they did, each with who did, and those declared anew.
    pub(crate) centers: BTreeMap<CenterId, BTreeSet<AttemptId>>,
    /// Centers declared anew: all that is in them is judged.
    pub(crate) declared: BTreeSet<CenterId>,
    /// Transfers, and tests of links.
    pub(crate) transfers: BTreeSet<TransferId>,
    /// Links whose reservations are judged.
    pub(crate) links: BTreeSet<LinkId>,
    pub(crate) data: BTreeSet<DatasetVersion>,
}

impl Touched {
    /// What `facts` touched in the world that has taken them in.
    pub(crate) fn by(world: &World, facts: &[&Fact]) -> Self {
        let mut touched = Self::default();
        let mut declared_links = BTreeSet::new();
        for fact in facts {
            touched.jobs.extend(fact.job());
            match fact {
                Fact::JobOffered(f) => touched.take(world, f.attempt),
                // That a window opens takes nothing that was not taken when it was booked.
                Fact::AttemptStarted(f)
                    if world.job(f.attempt.job).is_some_and(|job| job.spec.is_reservation()) => {}
                Fact::AttemptStarted(f) => touched.take(world, f.attempt),
                Fact::AttemptRerouted(f) => touched.read(world, f.attempt),
                Fact::CenterDeclared(f) => {
                    touched.declared.insert(f.center.clone());
                }
                Fact::CenterChecked(f) => {
                    touched.declared.insert(f.center.clone());
                }
                Fact::LinkDeclared(f) => {
                    declared_links.insert(&f.link);
                }
                Fact::LinkCut(f) => {
                    declared_links.insert(&f.link);
                }
                Fact::DatasetRegistered(f) => {
                    touched.data.insert(f.data.clone());
                }
                Fact::ReplicaAdded(f) => {
                    touched.data.insert(f.data.clone());
                }
                Fact::ReplicaInPlace(f) => {
                    touched.data.insert(f.data.clone());
                }
                Fact::TransferPlanned(f) => {
                    touched.transfers.insert(f.transfer);
                    touched.links.extend(f.links().cloned());
                }
                Fact::LinkTestPlanned(f) => {
                    touched.transfers.insert(f.transfer);
                    touched.links.extend(f.hops.iter().map(|hop| hop.link.clone()));
                }
                _ => {}
            }
        }
        for center in &touched.declared {
            touched.attempts.extend(world.live(center));
        }
        for center in &touched.declared {
            touched.centers.entry(center.clone()).or_default();
        }
        if !declared_links.is_empty() {
            let over = reserved(world).filter(|reserved| reserved.crosses(&declared_links));
            touched.transfers.extend(over.map(|reserved| reserved.id()));
            touched.links.extend(declared_links.into_iter().cloned());
        }
        touched
    }

    fn read(&mut self, world: &World, attempt: AttemptId) {
        if let Some(live) = world.live_attempt(attempt) {
            self.attempts.insert(attempt);
            let hops = live.placement.streams.iter().flat_map(|stream| &stream.hops);
            self.links.extend(hops.map(|hop| hop.link.clone()));
        }
    }

    fn take(&mut self, world: &World, attempt: AttemptId) {
        self.read(world, attempt);
        if let Some(live) = world.live_attempt(attempt) {
            for part in &live.placement.parts {
                self.centers.entry(part.center.clone()).or_default().insert(attempt);
            }
        }
    }
}
