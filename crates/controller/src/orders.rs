//! What each center should be told, kept beside the world.
//!
//! Revisions live as long as the process: after a restart agents join again and ask for all.

mod run;

use crate::link_tests::part_of;
use model::attempt::{RateStep, Stop};
use model::fact::{AttemptPreempted, AttemptStopping, Fact, TransferEnd};
use model::quality::LinkTest;
use model::{AttemptId, CenterId, DatasetVersion, Leave, Moment, Staging, TransferId};
use run::attempt_orders;
use std::collections::{BTreeMap, BTreeSet};
use wire::{Measure, Order, PaceStep, Stage, StageSource};
use world::{Uncounted, Version, World};

/// What an order is about; a newer order about the same thing replaces the older.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Attempt(AttemptId),
    Transfer(TransferId),
    Data(DatasetVersion),
    /// A copy that is to be put into an external store.
    Archive(DatasetVersion),
    /// The ways to other centers.
    Ways,
}

/// An order that has no content of its own in the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Say {
    /// What the world says of it.
    Current,
    /// An attempt that is over for the server may be alive at its center.
    Stop(Stop),
    /// A copy is to be read and compared with its manifest.
    Verify,
}

/// One center's orders by revision.
#[derive(Debug, Clone, Default)]
struct Book {
    by_revision: BTreeMap<u64, (About, Say)>,
    revision_of: BTreeMap<About, u64>,
}

impl Book {
    fn drop(&mut self, about: &About) {
        if let Some(revision) = self.revision_of.remove(about) {
            self.by_revision.remove(&revision);
        }
    }
}

/// All centers' orders.
#[derive(Debug, Clone, Default)]
pub(crate) struct OrderBooks {
    revision: u64,
    books: BTreeMap<CenterId, Book>,
    /// Which centers have an order about it.
    told: BTreeMap<About, BTreeSet<CenterId>>,
    changed: Vec<CenterId>,
}

fn is_reservation(world: &World, attempt: AttemptId) -> bool {
    world.job(attempt.job).is_some_and(|job| job.spec.is_reservation())
}

impl OrderBooks {
    /// The orders a world amounts to.
    pub(crate) fn of(world: &World) -> Self {
        let mut books = Self { revision: 1, ..Self::default() };
        let runs = |(_, attempt): &(&CenterId, AttemptId)| !is_reservation(world, *attempt);
        for (center, attempt) in world.all_live().filter(runs) {
            books.put(center, About::Attempt(attempt), Say::Current);
        }
        for version in world.datasets.values().flat_map(|dataset| &dataset.versions) {
            for (center, state) in &version.uncounted {
                match state {
                    Uncounted::Leaving(_) => books.remove_copy(center, &version.registered.data),
                    Uncounted::Doubted => books.verify_copy(center, &version.registered.data),
                    Uncounted::Damaged { .. } => {}
                }
            }
            for (center, _) in version.archiving.iter().filter(|(_, a)| a.failed.is_none()) {
                books.put(center, About::Archive(version.registered.data.clone()), Say::Current);
            }
        }
        for transfer in world.transfers.values() {
            books.stage(world, transfer);
        }
        for test in world.tests.values() {
            books.put(&test.to, About::Transfer(test.transfer), Say::Current);
        }
        books.measure_anew(world, None);
        books.changed.clear();
        books
    }

    fn put(&mut self, center: &CenterId, about: About, say: Say) {
        self.revision += 1;
        let book = self.books.entry(center.clone()).or_default();
        match book.revision_of.insert(about.clone(), self.revision) {
            Some(old) => _ = book.by_revision.remove(&old),
            None => _ = self.told.entry(about.clone()).or_default().insert(center.clone()),
        }
        book.by_revision.insert(self.revision, (about, say));
        self.changed.push(center.clone());
    }

    fn drop_all(&mut self, about: &About) {
        for center in self.told.remove(about).unwrap_or_default() {
            if let Some(book) = self.books.get_mut(&center) {
                book.drop(about);
            }
        }
    }

    fn drop_at(&mut self, center: &CenterId, about: &About) {
        if let Some(book) = self.books.get_mut(center) {
            book.drop(about);
        }
        if let Some(told) = self.told.get_mut(about) {
            told.remove(center);
            if told.is_empty() {
                self.told.remove(about);
            }
        }
    }

    /// Centers with new orders since this was last asked, each once.
    pub(crate) fn take_changed(&mut self) -> Vec<CenterId> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// Brings the books after a fact that `world` has just taken in.
    pub(crate) fn apply(&mut self, world: &World, fact: &Fact) {
        match fact {
            // No center has anything to do for it.
            Fact::JobOffered(f) if is_reservation(world, f.attempt) => {}
            Fact::JobOffered(f) => {
                for part in &f.placement.parts {
                    self.put(&part.center, About::Attempt(f.attempt), Say::Current);
                }
            }
            Fact::AttemptStopping(AttemptStopping { attempt: id, .. })
            | Fact::AttemptPreempted(AttemptPreempted { attempt: id, .. }) => {
                let attempt = world.live_attempt(*id);
                for part in attempt.iter().flat_map(|a| &a.placement.parts) {
                    self.put(&part.center, About::Attempt(*id), Say::Current);
                }
            }
            Fact::AttemptRerouted(f) => self.restate(&About::Attempt(f.attempt)),
            Fact::AttemptEnded(f) => self.drop_all(&About::Attempt(f.attempt)),
            Fact::ReplicaLeaving(f) => self.remove_copy(&f.center, &f.data),
            Fact::ReplicaDoubted(f) => self.verify_copy(&f.center, &f.data),
            Fact::ReplicaAdded(f) | Fact::ReplicaVerified(f) | Fact::ReplicaRemoved(f) => {
                self.settle_copy(&f.center, &f.data);
                self.send_anew(world, &f.center, Some(&f.data));
            }
            Fact::ReplicaInPlace(f) => {
                self.settle_copy(&f.center, &f.data);
                let version = world.exact(&f.data);
                if version.is_some_and(|version| !version.archiving.contains_key(&f.center)) {
                    self.drop_at(&f.center, &About::Archive(f.data.clone()));
                }
            }
            Fact::ArchiveWanted(f) => {
                self.put(&f.center, About::Archive(f.data.clone()), Say::Current);
            }
            Fact::ArchiveFailed(f) => self.drop_at(&f.center, &About::Archive(f.data.clone())),
            Fact::VersionRemoved(f) => self.drop_all(&About::Archive(f.data.clone())),
            Fact::DatasetRemoved(f) => {
                let of = |about: &&About| matches!(about, About::Archive(data) if data.dataset == f.dataset);
                let gone: Vec<About> = self.told.keys().filter(of).cloned().collect();
                gone.iter().for_each(|about| self.drop_all(about));
            }
            Fact::ReplicaDamaged(f) => self.settle_copy(&f.center, &f.data),
            Fact::TransferPlanned(f) => self.stage(world, f),
            Fact::LinkTestPlanned(f) => {
                self.put(&f.to, About::Transfer(f.transfer), Say::Current);
            }
            Fact::TransferEnded(f) => match f.end {
                TransferEnd::Dropped => self.restate(&About::Transfer(f.transfer)),
                // Of two ends that were told, one does not know.
                TransferEnd::Failed { .. } if self.is_told_to_both(f.transfer) => {
                    self.restate(&About::Transfer(f.transfer));
                }
                TransferEnd::Arrived { .. } | TransferEnd::Failed { .. } => {
                    self.drop_all(&About::Transfer(f.transfer));
                }
            },
            Fact::AgentJoined(f) => {
                self.measure_anew(world, Some(&f.center));
                self.read_anew(world, &f.center);
                self.send_anew(world, &f.center, None);
            }
            Fact::CenterLost(f) => self.measure_anew(world, Some(&f.center)),
            _ => {}
        }
    }

    /// Tells all agents that answer test packets whom to measure the way to, and one that may have
    /// ceased to no more.
    fn measure_anew(&mut self, world: &World, changed: Option<&CenterId>) {
        if let Some(center) = changed {
            self.drop_at(center, &About::Ways);
        }
        for (center, state) in &world.centers {
            if state.agent.as_ref().is_some_and(|agent| agent.probe_address.is_some()) {
                self.put(center, About::Ways, Say::Current);
            }
        }
    }

    /// Tells attempts that read from a center where its store opens now.
    fn read_anew(&mut self, world: &World, from: &CenterId) {
        for (center, attempt) in world.all_live() {
            let live = world.live_attempt(attempt);
            if live.is_some_and(|a| a.placement.streams.iter().any(|s| s.from == *from)) {
                self.put(center, About::Attempt(attempt), Say::Current);
            }
        }
    }

    /// Tells who moves a copy, and who gets it.
    fn stage(&mut self, world: &World, staging: &Staging) {
        self.put(&staging.to, About::Transfer(staging.transfer), Say::Current);
        if may_send(world, staging) {
            self.put(&staging.from, About::Transfer(staging.transfer), Say::Current);
        }
    }

    fn is_told_to_both(&self, transfer: TransferId) -> bool {
        self.told.get(&About::Transfer(transfer)).is_some_and(|told| told.len() > 1)
    }

    /// Tells centers that send to a store where it opens now, or that what was there of `data` is gone.
    fn send_anew(&mut self, world: &World, to: &CenterId, data: Option<&DatasetVersion>) {
        for staging in world.transfers.values().filter(|staging| staging.to == *to) {
            if data.is_some_and(|data| staging.data != *data) || !may_send(world, staging) {
                continue;
            }
            self.put(&staging.from, About::Transfer(staging.transfer), Say::Current);
        }
    }

    fn restate(&mut self, about: &About) {
        for center in self.told.get(about).cloned().unwrap_or_default() {
            self.put(&center, about.clone(), Say::Current);
        }
    }

    /// Tells a center to see to it that an attempt which is over for the server is not alive.
    pub(crate) fn stop_stray(&mut self, center: &CenterId, attempt: AttemptId, why: Stop) {
        self.put(center, About::Attempt(attempt), Say::Stop(why));
    }

    /// Tells a center to read its copy: somebody found it damaged.
    pub(crate) fn verify_copy(&mut self, center: &CenterId, data: &DatasetVersion) {
        self.put(center, About::Data(data.clone()), Say::Verify);
    }

    /// Tells a center to remove its copy.
    pub(crate) fn remove_copy(&mut self, center: &CenterId, data: &DatasetVersion) {
        self.put(center, About::Data(data.clone()), Say::Current);
    }

    /// Has a center give up a transfer that is over.
    pub(crate) fn drop_transfer(&mut self, center: &CenterId, transfer: TransferId) {
        self.put(center, About::Transfer(transfer), Say::Current);
    }

    /// There is nothing to be told of a copy any more.
    pub(crate) fn settle_copy(&mut self, center: &CenterId, data: &DatasetVersion) {
        self.drop_at(center, &About::Data(data.clone()));
    }

    /// Whether a center was told to read a copy and has not said what it found.
    pub(crate) fn is_verifying(&self, center: &CenterId) -> bool {
        let book = self.books.get(center);
        book.is_some_and(|book| book.by_revision.values().any(|(_, say)| *say == Say::Verify))
    }

    /// Whether a center was told to read this copy and has not said what it found.
    pub(crate) fn is_verifying_this(&self, center: &CenterId, data: &DatasetVersion) -> bool {
        let Some(book) = self.books.get(center) else { return false };
        let revision = book.revision_of.get(&About::Data(data.clone()));
        let order = revision.and_then(|revision| book.by_revision.get(revision));
        order.is_some_and(|(_, say)| *say == Say::Verify)
    }

    /// The revision a center would be brought to, and its orders newer than `after`.
    pub(crate) fn after(
        &self,
        world: &World,
        now: Moment,
        (center, after): (&CenterId, u64),
        ways: impl Fn() -> Measure,
    ) -> (u64, Vec<Order>) {
        let book = self.books.get(center);
        let mut newer: Vec<_> =
            book.into_iter().flat_map(|b| b.by_revision.range(after + 1..)).collect();
        // What goes makes room for what comes.
        newer.sort_by_key(|(_, (about, _))| !matches!(about, About::Data(_)));
        let orders = newer.into_iter().flat_map(|(_, (about, say))| match (about, say) {
            (About::Attempt(attempt), Say::Stop(why)) => {
                vec![Order::Stop { attempt: *attempt, why: *why }]
            }
            (About::Attempt(attempt), Say::Current | Say::Verify) => {
                attempt_orders(world, center, *attempt)
            }
            (About::Transfer(transfer), _) => {
                vec![transfer_order(world, now, (center, *transfer))]
            }
            (About::Data(data), Say::Verify) => vec![Order::Verify { data: data.clone() }],
            (About::Ways, _) => vec![Order::Measure(ways())],
            (About::Data(data), _) => vec![remove_order(world, center, data)],
            (About::Archive(data), _) => archive_order(world, center, data).into_iter().collect(),
        });
        (self.revision, orders.collect())
    }
}

/// That a copy should go. What lies in an external store goes only where that is meant.
/// Whether somebody is to send a copy now: not where another of the same is still to be removed, or it
/// would go with that.
fn may_send(world: &World, staging: &Staging) -> bool {
    let leaves = |version: &Version| version.is_leaving(&staging.to);
    staging.sent && !world.exact(&staging.data).is_some_and(leaves)
}

fn remove_order(world: &World, center: &CenterId, data: &DatasetVersion) -> Order {
    let keep_in_place = world.exact(data).is_some_and(|version| {
        let made_room =
            |state: &Uncounted| matches!(state, Uncounted::Leaving(Leave::Room | Leave::Asked));
        version.uncounted.get(center).is_some_and(made_room)
            && version.lies_only_in_place(center).is_none()
    });
    Order::Remove { data: data.clone(), keep_in_place }
}

fn archive_order(world: &World, center: &CenterId, data: &DatasetVersion) -> Option<Order> {
    let wanted = world.exact(data)?.archiving.get(center)?;
    Some(Order::Archive { data: data.clone(), store: wanted.store.clone() })
}

fn transfer_order(
    world: &World,
    now: Moment,
    (center, transfer): (&CenterId, TransferId),
) -> Order {
    match (world.transfers.get(&transfer), world.tests.get(&transfer)) {
        (Some(staging), _) if staging.sent && staging.from == *center => {
            send_order(world, now, staging)
        }
        (Some(staging), _) => stage_order(world, now, staging),
        (None, Some(test)) => test_order(world, now, test),
        (None, None) => Order::Drop { transfer },
    }
}

fn stage_order(world: &World, now: Moment, staging: &Staging) -> Order {
    let source = |(from, _, steps): (&CenterId, _, &[RateStep])| StageSource {
        from: from.clone(),
        url: url_of(world, from),
        ticket: None,
        steps: pace(steps, now),
    };
    Order::Stage(Box::new(Stage {
        transfer: staging.transfer,
        data: staging.data.clone(),
        bytes: staging.bytes,
        sources: if staging.sent { Vec::new() } else { staging.legs().map(source).collect() },
        sent: staging.sent,
    }))
}

fn send_order(world: &World, now: Moment, staging: &Staging) -> Order {
    Order::Send(Box::new(wire::Send {
        transfer: staging.transfer,
        data: staging.data.clone(),
        bytes: staging.bytes,
        from: staging.from.clone(),
        to: staging.to.clone(),
        url: url_of(world, &staging.to),
        ticket: None,
        steps: pace(&staging.steps, now),
    }))
}

fn test_order(world: &World, now: Moment, test: &LinkTest) -> Order {
    let part = part_of(test);
    Order::Test(Box::new(wire::LinkTest {
        transfer: test.transfer,
        from: test.from.clone(),
        url: url_of(world, &test.from),
        ticket: None,
        steps: pace(&test.steps, now),
        warm_up: part,
        window: part,
    }))
}

fn url_of(world: &World, center: &CenterId) -> String {
    world.centers.get(center).and_then(data_url).unwrap_or_default()
}

/// What is left of the steps, for data without headers.
fn pace(steps: &[RateStep], now: Moment) -> Vec<PaceStep> {
    let left = steps.iter().filter(|step| step.until > now);
    let step = |step: &RateStep| PaceStep {
        after: step.from.since(now),
        lasts: step.until.since(step.from.max(now)),
        rate: step.rate.payload(),
    };
    left.map(step).collect()
}

/// Where a center's store opens: as its agent announced it, or else as its owner declared it.
pub(crate) fn data_url(state: &world::CenterState) -> Option<String> {
    let announced = state.agent.as_ref().and_then(|a| a.data_url.clone());
    announced.or_else(|| state.center.data_url.clone())
}
