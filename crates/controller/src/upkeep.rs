//! The slow loop over data: what is not to be kept goes, what is missing is copied, what is full is
//! emptied, what has not been read for long is read.
//!
//! It decides from the world, and remembers only what may be forgotten.

use crate::Controller;
use crate::demand::Demand;
use crate::keeping::{StoreUse, Uses, answers, may_hold, stores, surplus, to_be_read};
use model::fact::{Fact, TransferEnd, TransferEnded, VersionRemoved};
use model::{Bytes, CenterId, DatasetVersion, Leave, Moment, Span, Staging, Tier};
use planner::Situation;
use std::collections::BTreeMap;
use std::sync::Arc;
use world::{Dataset, Uncounted, Version};

/// After something that calls for it the loop comes no sooner than this.
const SOON: Span = Span::from_secs(1);
/// How long a copy that could not be brought is not tried again.
const AGAIN_AFTER: Span = Span::from_secs(30);
/// How many copies that no job waits for come to a center at once: jobs' data goes first.
const AT_ONCE: usize = 2;

/// What the loop remembers.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    due: Moment,
    last: Moment,
    /// A copy is missing that could not be planned when it was last tried.
    lacks: bool,
    /// Copies that are not to be tried before.
    later: BTreeMap<(DatasetVersion, CenterId), Moment>,
    /// What was free in the stores that told of it, less what has been sent there since.
    free: BTreeMap<CenterId, Bytes>,
}

/// What one round of copying goes by.
struct Round {
    situation: Situation,
    stores: BTreeMap<CenterId, StoreUse>,
    /// How many copies that no job waits for are on their way to each center.
    idle: BTreeMap<CenterId, usize>,
}

impl Round {
    fn of(controller: &Controller) -> Self {
        let world = &controller.world;
        let (situation, stores) = (controller.situation(), stores(world));
        let mut round = Self { situation, stores, idle: BTreeMap::new() };
        let all = world.transfers.values();
        for staging in all.filter(|t| world.awaiting(t.transfer).next().is_none()) {
            *round.idle.entry(staging.to.clone()).or_default() += 1;
        }
        round
    }

    fn takes(&mut self, staging: &Staging) {
        *self.idle.entry(staging.to.clone()).or_default() += 1;
        if let Some(store) = self.stores.get_mut(&staging.to) {
            store.coming += staging.bytes;
        }
    }
}

impl Controller {
    /// Something happened that the slow loop is to look at.
    pub(crate) fn tend_soon(&mut self) {
        self.upkeep.due = self.upkeep.due.min(self.now.max(self.upkeep.last + SOON));
    }

    /// A transfer is over: one that waited for its place may come next.
    pub(crate) fn tend_after_transfer(&mut self) {
        if self.upkeep.lacks {
            self.tend_soon();
        }
    }

    /// Runs the slow loop if it is due.
    pub(crate) fn tend_if_due(&mut self) {
        if self.now < self.upkeep.due {
            return;
        }
        self.upkeep.last = self.now;
        self.upkeep.due = self.now + self.settings.tend_every;
        if self.world.datasets.is_empty() {
            return;
        }
        let now = self.now;
        self.upkeep.later.retain(|_, at| *at > now);
        self.reroute();
        self.retire();
        let short_of = self.copy_missing();
        self.make_room(&short_of);
        self.scrub_at(None);
        let told = stores(&self.world).into_iter().filter(|(_, store)| store.is_told);
        self.upkeep.free = told.map(|(center, store)| (center, store.free())).collect();
    }

    /// Removes versions that have expired or that newer ones take the place of, unless a job is to
    /// read them.
    fn retire(&mut self) {
        let mut going = Vec::new();
        for dataset in self.world.datasets.values() {
            let surplus = surplus(dataset);
            for version in &dataset.versions {
                let why = match () {
                    () if dataset.keeping.has_expired(version.at, self.now) => Leave::Expired,
                    () if surplus.contains(&version.registered.data.version) => Leave::Surplus,
                    () => continue,
                };
                going.push((version.registered.data.clone(), why));
            }
        }
        if going.is_empty() {
            return;
        }
        let (to_be_read, uses) = (to_be_read(&self.world), Uses::of(&self.world));
        for (data, why) in going.iter().filter(|(data, _)| !to_be_read.contains(data)) {
            let bringing = self.world.transfers_of(data);
            let idle = bringing.filter(|t| self.world.awaiting(t.transfer).next().is_none());
            let idle: Vec<_> = idle.map(|staging| staging.transfer).collect();
            for transfer in idle {
                let end = TransferEnd::Dropped;
                self.emit(Fact::TransferEnded(TransferEnded { transfer, end }));
            }
            self.retire_copies(data, *why, &uses);
        }
    }

    fn retire_copies(&mut self, data: &DatasetVersion, why: Leave, uses: &Uses) {
        let Some(version) = self.world.exact(data) else { return };
        let tenant = version.registered.tenant.clone();
        let there = version.replicas.keys().chain(version.damaged());
        let free: Vec<CenterId> =
            there.filter(|center| uses.user(data, center).is_none()).cloned().collect();
        for center in free {
            self.leave((data, &center), why, None);
        }
        let Some(version) = self.world.exact(data) else { return };
        let is_gone = version.holders().next().is_none();
        if is_gone && self.world.transfers_of(data).next().is_none() {
            let removed = VersionRemoved { data: data.clone(), tenant, why };
            self.emit(Fact::VersionRemoved(removed));
        }
    }

    /// Plans transfers of copies that are wanted or are too few. Returns which centers lack the room
    /// for a copy that is wanted there, and how much it takes.
    fn copy_missing(&mut self) -> BTreeMap<CenterId, Bytes> {
        let lacking: Vec<(DatasetVersion, usize)> =
            self.world.datasets.values().flat_map(|dataset| self.lacking(dataset)).collect();
        let mut short_of = BTreeMap::new();
        self.upkeep.lacks = false;
        if lacking.is_empty() {
            return short_of;
        }
        let demand = Demand::of(self);
        let mut round = Round::of(self);
        for (data, mut missing) in lacking {
            let Some(version) = self.world.exact(&data) else { continue };
            let (bytes, wanted) = (version.registered.bytes, version.wanted.clone());
            for center in &wanted {
                let Some(store) = round.stores.get(center) else { continue };
                if store.is_told && store.free() < bytes && !self.is_repair(&data, center) {
                    *short_of.entry(center.clone()).or_insert(Bytes::ZERO) += bytes;
                } else if self.try_to_copy(&mut round, &data, center) {
                    missing = missing.saturating_sub(1);
                } else if self.world.transfer_to(&data, center).is_none() {
                    self.upkeep.lacks = true;
                }
            }
            for center in demand.ranked(self, &data, &round.stores) {
                if missing == 0 {
                    break;
                }
                missing -= usize::from(self.try_to_copy(&mut round, &data, &center));
            }
            self.upkeep.lacks |= missing > 0;
        }
        short_of
    }

    /// The versions of a dataset that have fewer copies than are to be kept, with how many are
    /// missing, and those that are wanted somewhere.
    fn lacking(&self, dataset: &Dataset) -> Vec<(DatasetVersion, usize)> {
        let copies = dataset.keeping.copies as usize;
        let missing = |version: &Version| {
            let coming = self.world.transfers_of(&version.registered.data);
            let coming = coming.filter(|t| !version.passing.contains(&t.to)).count();
            copies.saturating_sub(version.settled().count() + coming)
        };
        let lacks = |version: &&Version| missing(version) > 0 || !version.wanted.is_empty();
        let whole = dataset.versions.iter().filter(|version| !version.replicas.is_empty());
        let lacking: Vec<&Version> = whole.filter(lacks).collect();
        if lacking.is_empty() {
            return Vec::new();
        }
        let surplus = surplus(dataset);
        let stays = lacking.into_iter().filter(|version| {
            !dataset.keeping.has_expired(version.at, self.now)
                && !surplus.contains(&version.registered.data.version)
        });
        stays.map(|version| (version.registered.data.clone(), missing(version))).collect()
    }

    /// Whether what is missing of a copy is to come to what is left of it.
    fn is_repair(&self, data: &DatasetVersion, center: &CenterId) -> bool {
        let version = self.world.exact(data);
        let is_damaged = |version: &Version| version.damaged().any(|damaged| damaged == center);
        version.is_some_and(|version| version.takes_room_at(center) && is_damaged(version))
    }

    /// Plans the transfer of a copy to a center if that can be done now.
    fn try_to_copy(&mut self, round: &mut Round, data: &DatasetVersion, to: &CenterId) -> bool {
        let world = &self.world;
        let under_way = round.idle.get(to).copied().unwrap_or_default();
        if under_way >= AT_ONCE || !answers(world, &round.situation, to) {
            return false;
        }
        let (Some(version), Some(state)) = (world.exact(data), world.centers.get(to)) else {
            return false;
        };
        let holds = version.is_held_at(to)
            && !matches!(version.uncounted.get(to), Some(Uncounted::Damaged { .. }));
        let cannot = holds
            || world.transfer_to(data, to).is_some()
            || self.upkeep.later.contains_key(&(data.clone(), to.clone()))
            || !may_hold(world, &version.registered.residency, to);
        if cannot {
            return false;
        }
        let (view, policy) = (self.board.view(), &self.settings.policy);
        match planner::copy(world, view, &round.situation, policy, (version, &state.center)) {
            Ok(staging) => {
                round.takes(&staging);
                self.bring(staging);
                true
            }
            Err(_) => {
                self.not_soon(data, to);
                false
            }
        }
    }

    /// A copy is not tried again for a while.
    pub(crate) fn not_soon(&mut self, data: &DatasetVersion, to: &CenterId) {
        let key = (data.clone(), to.clone());
        self.upkeep.later.insert(key, self.now + AGAIN_AFTER);
    }

    /// Whether a copy may be tried now.
    pub(crate) fn may_try(&self, data: &DatasetVersion, to: &CenterId) -> bool {
        !self.upkeep.later.contains_key(&(data.clone(), to.clone()))
    }

    /// Copies of this data may be tried at once, wherever they could not be brought.
    pub(crate) fn try_again(&mut self, data: &DatasetVersion) {
        self.upkeep.later.retain(|(known, _), _| known != data);
    }

    /// Makes a planned transfer a fact, unless one is under way.
    pub(crate) fn bring(&mut self, staging: Staging) {
        if self.world.transfer_to(&staging.data, &staging.to).is_none() {
            let transfer = self.world.next.transfer;
            self.emit(Fact::TransferPlanned(Arc::new(Staging { transfer, ..staging })));
        }
    }

    /// Whether a transfer that no attempt waits for any more is wanted nevertheless.
    pub(crate) fn is_to_be_kept(&self, staging: &Staging) -> bool {
        let Some(version) = self.world.exact(&staging.data) else { return false };
        let dataset = self.world.datasets.get(&staging.data.dataset);
        let copies = dataset.map_or(1, |dataset| dataset.keeping.copies as usize);
        version.wanted.contains(&staging.to)
            || version.settled().count() < copies && !version.replicas.is_empty()
    }

    /// Makes room at once where transfers were just planned to a store that has none.
    pub(crate) fn make_room_for_transfers(&mut self) {
        let mut short_of = BTreeMap::new();
        for fact in &self.facts {
            let Fact::TransferPlanned(staging) = fact else { continue };
            let Some(free) = self.upkeep.free.get_mut(&staging.to) else { continue };
            if *free < staging.bytes {
                short_of.insert(staging.to.clone(), Bytes::ZERO);
            }
            *free = free.saturating_sub(staging.bytes);
        }
        if !short_of.is_empty() {
            self.make_room(&short_of);
        }
    }

    /// Removes copies from stores with too little free, what was needed least lately first, then what
    /// is largest. `short_of` says how much more than that is wanted, and where.
    pub(crate) fn make_room(&mut self, short_of: &BTreeMap<CenterId, Bytes>) {
        let full = |(center, store): (CenterId, StoreUse)| {
            let part = store.capacity.0 / 100 * u64::from(self.settings.keep_free_percent);
            let wanted = short_of.get(&center).copied().unwrap_or_default();
            let over = (store.taken() + wanted).saturating_sub(store.leaving) + Bytes(part);
            let over = over.saturating_sub(store.capacity);
            (store.is_told && over > Bytes::ZERO).then_some((center, over))
        };
        let full: Vec<(CenterId, Bytes)> =
            stores(&self.world).into_iter().filter_map(full).collect();
        for (center, over) in full {
            self.evict_from(&center, over);
        }
    }

    fn evict_from(&mut self, center: &CenterId, mut over: Bytes) {
        if !answers(&self.world, &self.situation(), center) {
            return;
        }
        for holding in self.holdings(center).into_iter().filter(crate::Holding::is_evictable) {
            if over == Bytes::ZERO {
                return;
            }
            if self.relaying.keeps(&holding.data, center) {
                continue;
            }
            self.leave((&holding.data, center), Leave::Room, None);
            over = over.saturating_sub(holding.bytes);
        }
    }

    /// What could be removed from each store to make room. Costs a look at all copies, attempts and
    /// transfers.
    #[must_use]
    pub fn evictable(&self) -> BTreeMap<CenterId, Bytes> {
        let (world, situation) = (&self.world, &self.situation());
        let uses = Uses::of(world);
        let mut evictable: BTreeMap<CenterId, Bytes> = BTreeMap::new();
        for dataset in world.datasets.values() {
            for version in &dataset.versions {
                let goes = |center: &&CenterId| {
                    version.takes_room_at(center)
                        && uses
                            .why_it_stays((world, situation), (dataset, version), center)
                            .is_none()
                };
                for center in version.replicas.keys().filter(goes) {
                    *evictable.entry(center.clone()).or_default() += version.registered.bytes;
                }
            }
        }
        evictable
    }

    /// Has copies read, one at a time in each center: those that somebody asked for, then those that
    /// have not been for too long, the longest first. Costs a look at all copies.
    pub(crate) fn scrub_at(&mut self, only: Option<&CenterId>) {
        let mut next: BTreeMap<&CenterId, (bool, Moment, &DatasetVersion)> = BTreeMap::new();
        for version in self.world.datasets.values().flat_map(|dataset| &dataset.versions) {
            let data = &version.registered.data;
            for (center, replica) in &version.replicas {
                // Reading what is cold takes a recall: only who asks for it has that done.
                let lies = version.lies_only_in_place(center);
                let is_cold = lies.is_some_and(|lies| lies.tier == Tier::Cold);
                let is_old = self.now.since(replica.verified) >= self.settings.scrub_every;
                let is_due = replica.is_to_be_read || (is_old && !is_cold);
                if !is_due || only.is_some_and(|only| only != center) {
                    continue;
                }
                let this = (!replica.is_to_be_read, replica.verified, data);
                let first = next.entry(center).or_insert(this);
                *first = this.min(*first);
            }
        }
        let idle = next.into_iter().filter(|(center, _)| !self.books.is_verifying(center));
        let idle: Vec<_> =
            idle.map(|(center, (.., data))| (center.clone(), data.clone())).collect();
        for (center, data) in idle {
            self.books.verify_copy(&center, &data);
        }
    }
}
