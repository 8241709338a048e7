//! Copies in passing: between two centers without a door, data goes by way of a third that lends the
//! room. Nobody counts on such a copy, and it leaves once nobody waits for it.

use crate::Controller;
use crate::demand::{ASKED, CLASSES};
use crate::keeping::{StoreUse, Uses, answers, may_hold, stores};
use model::fact::{Fact, TransferEnd, TransferEnded};
use model::job::Job;
use model::{Bytes, CenterId, DatasetVersion, Leave, Moment, Span, Staging};
use planner::{ClassId, Situation};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use world::{Replica, Uncounted, Version, World};

/// After something that calls for it relays are looked at again no sooner than this.
const SOON: Span = Span::from_secs(1);
/// For so many of the centers that wait for a copy a relay is judged by how soon it is there from it.
const JUDGED_BY: usize = 8;

/// How many copies are tried in one round.
const LOOKS: usize = 64;
/// How long one that no relay could take, for all its room, is not tried again.
const AGAIN_AFTER: Span = Span::from_secs(30);

/// How long a copy that was brought on stays where it is to be read with another that comes after it.
const KEPT_FOR: Span = Span::from_secs(600);

/// When relays are looked at. All of it may be forgotten.
#[derive(Debug, Default)]
pub(crate) struct Relaying {
    due: Moment,
    last: Moment,
    /// Copies that are not to be tried before.
    later: BTreeMap<DatasetVersion, Moment>,
    /// Copies that were brought on, and until when they are not to make room.
    brought: BTreeMap<(CenterId, DatasetVersion), Moment>,
}

impl Relaying {
    /// Whether a copy waits for another that is to be read with it.
    pub(crate) fn keeps(&self, data: &DatasetVersion, center: &CenterId) -> bool {
        !self.brought.is_empty() && self.brought.contains_key(&(center.clone(), data.clone()))
    }
}

/// What relays have room for.
struct Room {
    /// What each may take more, by its owner's word.
    lent: BTreeMap<CenterId, Bytes>,
    stores: BTreeMap<CenterId, StoreUse>,
}

impl Room {
    /// Costs a look at all versions.
    fn of(world: &World) -> Self {
        let lent = |(center, state): (&CenterId, &world::CenterState)| {
            Some((center.clone(), state.center.relay?))
        };
        let mut lent: BTreeMap<_, _> = world.centers.iter().filter_map(lent).collect();
        for version in world.datasets.values().flat_map(|dataset| &dataset.versions) {
            for center in &version.passing {
                if let Some(left) = lent.get_mut(center) {
                    *left = left.saturating_sub(version.registered.bytes);
                }
            }
        }
        Self { lent, stores: stores(world) }
    }

    fn takes(&mut self, staging: &Staging) {
        if let Some(left) = self.lent.get_mut(&staging.to) {
            *left = left.saturating_sub(staging.bytes);
        }
        if let Some(store) = self.stores.get_mut(&staging.to) {
            store.coming += staging.bytes;
        }
    }
}

/// Who waits for which data that can only come by way of a relay.
type Wanting = BTreeMap<DatasetVersion, BTreeSet<CenterId>>;

impl Controller {
    /// Has relays looked at soon if this calls for it.
    pub(crate) fn heed_for_relays(&mut self, fact: &Fact) {
        let calls = match fact {
            Fact::JobSubmitted(f) => !f.spec.inputs.is_empty(),
            Fact::JobReleased(_)
            | Fact::JobUnblocked(_)
            | Fact::JobRequeued(_)
            | Fact::JobEnded(_)
            | Fact::JobCanceled(_)
            | Fact::JobHeld(_)
            | Fact::TransferEnded(_)
            | Fact::ReplicaAdded(_)
            | Fact::ReplicaRemoved(_)
            | Fact::ReplicaDamaged(_)
            | Fact::CopyWanted(_)
            | Fact::StoreMeasured(_) => true,
            _ => false,
        };
        let opens =
            matches!(fact, Fact::AgentJoined(_) | Fact::CenterDeclared(_) | Fact::LinkMended(_));
        if opens {
            self.relaying.later.clear();
        }
        if (calls || opens) && self.world.centers.values().any(|state| state.center.relay.is_some())
        {
            self.relay_soon();
        }
        // Where it could not be had before it can be now.
        if let Fact::ReplicaAdded(f) = fact
            && self.passes(&f.data, &f.center)
        {
            self.try_again(&f.data);
            self.tend_soon();
        }
    }

    fn relay_soon(&mut self) {
        self.relaying.due = self.relaying.due.min(self.now.max(self.relaying.last + SOON));
    }

    fn passes(&self, data: &DatasetVersion, center: &CenterId) -> bool {
        self.world.exact(data).is_some_and(|version| version.passing.contains(center))
    }

    /// Looks at relays if that is due: what nobody waits for leaves, what somebody waits for comes.
    pub(crate) fn relay_if_due(&mut self) {
        if self.now < self.relaying.due {
            return;
        }
        self.relaying.last = self.now;
        self.relaying.due = self.now + self.settings.tend_every;
        let is_relay = |state: &world::CenterState| state.center.relay.is_some();
        let passing = self.in_passing();
        if passing.is_empty() && !self.world.centers.values().any(is_relay) {
            return;
        }
        let now = self.now;
        self.relaying.later.retain(|_, at| *at > now);
        self.relaying.brought.retain(|_, until| *until > now);
        let situation = self.situation();
        let wanting = self.wanting(&situation);
        self.let_go(&situation, &wanting, passing);
        self.pass_on(&situation, &wanting);
    }

    /// Plans transfers to relays of what is wanted and is at none.
    fn pass_on(&mut self, situation: &Situation, wanting: &Wanting) {
        let (mut room, mut short_of, mut looks) = (Room::of(&self.world), BTreeMap::new(), 0);
        for (data, to) in wanting {
            let waits = self.relaying.later.contains_key(data);
            if waits || self.comes_in_passing(situation, data) {
                continue;
            }
            if looks == LOOKS {
                self.relay_soon();
                break;
            }
            looks += 1;
            match self.best_relay(situation, &room, data, to) {
                Ok(staging) => {
                    room.takes(&staging);
                    self.bring(staging);
                }
                // It is looked at again when there is room.
                Err(NoRelay::Full) => {
                    looks -= 1;
                    self.clear_the_way(situation, wanting, (data, to));
                }
                Err(NoRelay::Short(center, bytes)) => _ = short_of.insert(center, bytes),
                Err(NoRelay::Nowhere) => {
                    self.relaying.later.insert(data.clone(), self.now + AGAIN_AFTER);
                }
            }
        }
        if !short_of.is_empty() {
            self.make_room(&short_of);
        }
    }

    /// Brings on what is at a relay that has no room for what the same centers wait for: who needs both
    /// would wait for ever, one copy in the way of the other.
    fn clear_the_way(
        &mut self,
        situation: &Situation,
        wanting: &Wanting,
        (data, to): (&DatasetVersion, &BTreeSet<CenterId>),
    ) {
        let passing = self.in_passing();
        let other = passing.iter().map(|(other, _)| other).filter(|other| *other != data);
        let onward = other.filter_map(|other| {
            let (version, wanted) = (self.world.exact(other)?, wanting.get(other)?);
            let free = |to: &&CenterId| {
                self.world.transfer_to(other, to).is_none() && self.may_try(other, to)
            };
            let (view, policy) = (self.board.view(), &self.settings.policy);
            let staging = |to: &CenterId| {
                let to = &self.world.centers.get(to)?.center;
                planner::copy(&self.world, view, situation, policy, (version, to)).ok()
            };
            let ways = wanted.intersection(to).filter(free).filter_map(staging);
            ways.min_by_key(|staging| staging.arrives)
        });
        let onward: Option<Staging> = onward.min_by_key(|staging| staging.arrives);
        if let Some(staging) = onward {
            let copy = (staging.to.clone(), staging.data.clone());
            self.relaying.brought.insert(copy, staging.arrives + KEPT_FOR);
            self.bring(staging);
        }
    }

    /// What is in passing, or on its way there.
    fn in_passing(&self) -> Vec<(DatasetVersion, CenterId)> {
        let versions = self.world.datasets.values().flat_map(|dataset| &dataset.versions);
        let passing = versions.flat_map(|version| {
            let data = &version.registered.data;
            version.passing.iter().map(move |center| (data.clone(), center.clone()))
        });
        passing.collect()
    }

    /// Whether a center can be reached from others.
    fn opens(&self, center: &CenterId) -> bool {
        self.world.centers.get(center).is_some_and(world::CenterState::has_door)
    }

    /// Whether a version can be had from a center that holds it for itself, now or as soon as it is
    /// there.
    fn gives(&self, situation: &Situation, version: &Version) -> bool {
        let open =
            |center: &CenterId| answers(&self.world, situation, center) && self.opens(center);
        let coming = self.world.transfers_of(&version.registered.data).map(|staging| &staging.to);
        let coming = coming.filter(|to| !version.passing.contains(*to));
        version.settled().chain(coming).any(open)
    }

    /// Whether a version comes to a center, or can be brought there, without a relay.
    fn is_within_reach(
        &self,
        situation: &Situation,
        (version, streamed): (&Version, bool),
        to: &CenterId,
    ) -> bool {
        let is_there = |center: &CenterId| answers(&self.world, situation, center);
        version.settled().any(|center| center == to)
            || self.gives(situation, version)
            || (!streamed && self.opens(to) && version.settled().any(is_there))
    }

    /// Who waits for data that only a relay can have brought to them. Copies in passing do not count:
    /// they stay as long as they would have to be made.
    fn wanting(&self, situation: &Situation) -> Wanting {
        let mut wanting = Wanting::new();
        let versions = self.world.datasets.values().flat_map(|dataset| &dataset.versions);
        for version in versions.filter(|v| !v.wanted.is_empty() && !v.replicas.is_empty()) {
            let there = version.wanted.iter().filter(|to| self.has_agent(to));
            let out = there.filter(|to| !self.is_within_reach(situation, (version, false), to));
            let out: BTreeSet<CenterId> = out.cloned().collect();
            if !out.is_empty() {
                wanting.insert(version.registered.data.clone(), out);
            }
        }
        // Jobs of one class read the same.
        let mut asked: BTreeSet<ClassId> = BTreeSet::new();
        let waiting = self.world.waiting().take(ASKED).filter_map(|id| self.world.job(id));
        for job in waiting.filter(|job| !job.spec.inputs.is_empty()) {
            if !asked.insert(planner::class_of(&job.spec)) {
                continue;
            }
            for (data, to) in self.out_of_reach(situation, job) {
                wanting.entry(data).or_default().insert(to);
            }
            if asked.len() == CLASSES {
                break;
            }
        }
        wanting
    }

    /// Where a job could run, by what is there.
    fn hosts(&self, job: &Job) -> Vec<CenterId> {
        let (view, policy) = (self.board.view(), &self.settings.policy);
        let hosts = planner::hosts(&self.world, view, policy, &job.spec).into_keys();
        hosts.filter(|center| self.has_agent(center)).collect()
    }

    /// Whether somebody is there, or will be again: a short silence sends nothing away.
    fn has_agent(&self, center: &CenterId) -> bool {
        self.world.centers.get(center).is_some_and(|state| state.agent.is_some())
    }

    /// The inputs a job lacks in those of its hosts that lack the fewest; nothing where one has or gets
    /// all of them anyhow.
    fn out_of_reach(&self, situation: &Situation, job: &Job) -> Vec<(DatasetVersion, CenterId)> {
        let inputs = job.spec.inputs.iter();
        let inputs: Vec<(&Version, bool)> = inputs
            .filter_map(|i| Some((self.world.version(&i.dataset)?, i.streamed().is_some())))
            .collect();
        let (mut lacking, mut fewest) = (Vec::new(), usize::MAX);
        for host in self.hosts(job) {
            let out = inputs.iter().filter(|(version, streamed)| {
                !version.replicas.is_empty()
                    && !self.is_within_reach(situation, (version, *streamed), &host)
            });
            let out: Vec<_> = out.map(|(v, _)| (v.registered.data.clone(), host.clone())).collect();
            if out.len() < fewest {
                fewest = out.len();
                lacking.clear();
            }
            if out.len() == fewest {
                lacking.extend(out);
            }
        }
        lacking
    }

    /// Whether a version is at a relay that gives it out, or on its way to one.
    fn comes_in_passing(&self, situation: &Situation, data: &DatasetVersion) -> bool {
        let Some(version) = self.world.exact(data) else { return false };
        version.passing.iter().any(|center| {
            let is_there = version.replicas.contains_key(center);
            (is_there || self.world.transfer_to(data, center).is_some())
                && answers(&self.world, situation, center)
                && self.opens(center)
        })
    }

    /// Removes copies in passing that nobody waits for, and those that are of no use.
    fn let_go(
        &mut self,
        situation: &Situation,
        wanting: &Wanting,
        passing: Vec<(DatasetVersion, CenterId)>,
    ) {
        let uses = Uses::of(&self.world);
        for (data, center) in passing {
            let Some(version) = self.world.exact(&data) else { continue };
            if uses.user(&data, &center).is_some() {
                continue;
            }
            let is_wanted = wanting.contains_key(&data);
            match (version.uncounted.get(&center), version.replicas.contains_key(&center)) {
                (Some(Uncounted::Damaged { .. }), _) => {
                    self.leave((&data, &center), Leave::Passed, None);
                }
                (Some(Uncounted::Doubted | Uncounted::Leaving(_)), _) => {}
                (None, true) if !is_wanted && self.is_elsewhere(situation, version) => {
                    self.leave((&data, &center), Leave::Passed, None);
                }
                (None, true) => {}
                (None, false) if is_wanted => {}
                (None, false) => self.drop_transfer(&data, &center),
            }
        }
    }

    /// Whether there is a copy to count on without those in passing.
    fn is_elsewhere(&self, situation: &Situation, version: &Version) -> bool {
        version.settled().any(|center| answers(&self.world, situation, center))
    }

    fn drop_transfer(&mut self, data: &DatasetVersion, to: &CenterId) {
        let Some(staging) = self.world.transfer_to(data, to) else { return };
        let transfer = staging.transfer;
        if self.world.awaiting(transfer).next().is_none() {
            let end = TransferEnd::Dropped;
            self.emit(Fact::TransferEnded(TransferEnded { transfer, end }));
        }
    }

    /// The transfer to the relay by which a center would have a version soonest, if one takes it.
    pub(crate) fn by_relay(&self, data: &DatasetVersion, to: &CenterId) -> Option<Staging> {
        let (room, to) = (Room::of(&self.world), BTreeSet::from([to.clone()]));
        self.best_relay(&self.situation(), &room, data, &to).ok()
    }

    /// The transfer to the relay by which one of these centers has a version soonest.
    fn best_relay(
        &self,
        situation: &Situation,
        room: &Room,
        data: &DatasetVersion,
        to: &BTreeSet<CenterId>,
    ) -> Result<Staging, NoRelay> {
        let Some(version) = self.world.exact(data) else { return Err(NoRelay::Nowhere) };
        let (bytes, mut no) = (version.registered.bytes, NoRelay::Full);
        let mut best: Option<(Moment, Staging)> = None;
        for center in room.lent.iter().filter(|(_, left)| bytes <= **left).map(|(id, _)| id) {
            let may = !version.is_held_at(center)
                && self.world.transfer_to(data, center).is_none()
                && self.may_try(data, center);
            if !may {
                continue;
            }
            let Some(arrival) = self.arrival_by(situation, version, center, to) else {
                no = if no == NoRelay::Full { NoRelay::Nowhere } else { no };
                continue;
            };
            let has_room = |store: &StoreUse| !store.is_told || bytes <= store.free();
            if !room.stores.get(center).is_some_and(has_room) {
                no = NoRelay::Short(center.clone(), bytes);
                continue;
            }
            best = best.into_iter().chain([arrival]).min_by_key(|(at, _)| *at);
        }
        best.map(|(_, staging)| Staging { passing: true, ..staging }).ok_or(no)
    }

    /// When the first of these centers can have a version by way of a relay, and how it gets there.
    fn arrival_by(
        &self,
        situation: &Situation,
        version: &Version,
        center: &CenterId,
        to: &BTreeSet<CenterId>,
    ) -> Option<(Moment, Staging)> {
        let (world, relay) = (&self.world, self.world.centers.get(center)?);
        let (view, policy) = (self.board.view(), &self.settings.policy);
        let may = answers(world, situation, center)
            && relay.has_door()
            && may_hold(world, &version.registered.residency, center);
        if !may {
            return None;
        }
        let first = planner::copy(world, view, situation, policy, (version, &relay.center)).ok()?;
        let there = Replica { is_to_be_read: false, verified: self.now, needed: self.now };
        let passed = Version::new(Arc::clone(&version.registered), version.at);
        let replicas = BTreeMap::from([(center.clone(), there)]);
        let passed = Version { replicas, ..passed };
        let onward = to.iter().take(JUDGED_BY).filter_map(|to| {
            // A job that reads over the network may well run where its data passes.
            if to == center {
                return Some(Span::ZERO);
            }
            let to = &world.centers.get(to)?.center;
            let second = planner::copy(world, view, situation, policy, (&passed, to)).ok()?;
            Some(second.arrives.since(self.now))
        });
        Some((first.arrives + onward.min()?, first))
    }
}

/// Why no relay takes a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum NoRelay {
    /// None lends so much more, or there is none.
    Full,
    /// This one would if its store had so much room.
    Short(CenterId, Bytes),
    /// None that lends the room is reached, or leads there.
    Nowhere,
}
