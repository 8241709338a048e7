//! How often data is expected to be read where.

use crate::Controller;
use crate::keeping::StoreUse;
use model::job::Job;
use model::{Bytes, CenterId, DatasetVersion, Phase};
use planner::ClassId;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many jobs that wait, and how many that ended lately, are asked for what they read.
pub(crate) const ASKED: usize = 10_000;
/// For how many classes of jobs that wait the planner is asked where they could run.
pub(crate) const CLASSES: usize = 256;
/// A read.
const READ: u64 = 1_000;

/// How often data is read where, in thousandths of a read.
#[derive(Debug, Default)]
pub(crate) struct Demand {
    /// By jobs that run or ended lately: where they did.
    past: Reads,
    /// By jobs that wait: in each center they could run in, as likely as it has chips for them.
    waiting: Reads,
}

type Reads = BTreeMap<DatasetVersion, BTreeMap<CenterId, u64>>;

impl Demand {
    /// What the world's jobs read, those that run or ended lately and those that wait. Costs a look at
    /// as many as [`ASKED`] of each.
    pub(crate) fn of(controller: &Controller) -> Self {
        let world = &controller.world;
        let mut demand = Self { waiting: waiting(controller), ..Self::default() };
        let ended = world.ended().rev().take(ASKED).filter_map(|id| world.job(id));
        for past in ended.flat_map(|job: &Arc<Job>| &job.past) {
            demand.was_placed(&past.placement);
        }
        for (_, id) in world.all_live() {
            world.live_attempt(id).into_iter().for_each(|live| demand.was_placed(&live.placement));
        }
        demand
    }

    fn was_placed(&mut self, placement: &model::Placement) {
        for (data, part) in placement.inputs.iter().zip(placement.parts.iter().cycle()) {
            add(&mut self.past, data, &part.center, READ);
        }
    }

    fn at(&self, data: &DatasetVersion, center: &CenterId) -> u64 {
        let of = |reads: &Reads| reads.get(data).and_then(|at| at.get(center)).copied();
        of(&self.past).unwrap_or_default() + of(&self.waiting).unwrap_or_default()
    }

    /// Centers with room for another copy, where it is read most first, then where most is free.
    pub(crate) fn ranked(
        &self,
        controller: &Controller,
        data: &DatasetVersion,
        stores: &BTreeMap<CenterId, StoreUse>,
    ) -> Vec<CenterId> {
        let Some(version) = controller.world.exact(data) else { return Vec::new() };
        let bytes = version.registered.bytes;
        let fits = |store: &StoreUse| controller.has_room(store, bytes);
        let mut centers: Vec<_> = stores
            .iter()
            .filter(|(center, store)| !version.is_held_at(center) && fits(store))
            .map(|(center, store)| (Reverse((self.at(data, center), store.free())), center))
            .collect();
        centers.sort_unstable();
        centers.into_iter().map(|(_, center)| center.clone()).collect()
    }
}

/// What jobs that wait read. Costs a look at as many jobs as [`ASKED`], and one into the planner's
/// candidates for as many classes of them as [`CLASSES`].
fn waiting(controller: &Controller) -> Reads {
    let world = &controller.world;
    let reads =
        |job: &&Arc<Job>| !job.spec.inputs.is_empty() && matches!(job.phase, Phase::Waiting { .. });
    let all = world.waiting().take(ASKED).filter_map(|id| world.job(id));
    let mut demand = Reads::new();
    let mut hosts: BTreeMap<ClassId, Vec<(CenterId, u64)>> = BTreeMap::new();
    for job in all.filter(reads) {
        let class = planner::class_of(&job.spec);
        if hosts.len() == CLASSES && !hosts.contains_key(&class) {
            continue;
        }
        let hosts = hosts.entry(class).or_insert_with(|| shares(controller, job));
        for version in job.spec.inputs.iter().filter_map(|input| world.version(&input.dataset)) {
            for (center, share) in &*hosts {
                add(&mut demand, &version.registered.data, center, *share);
            }
        }
    }
    demand
}

impl Controller {
    /// Whether a store has room for so much more, and still as much free as it should have.
    pub(crate) fn has_room(&self, store: &StoreUse, bytes: Bytes) -> bool {
        let spare = store.capacity.0 / 100 * u64::from(self.settings.keep_free_percent);
        bytes.saturating_add(Bytes(spare)) <= store.free()
    }
}

/// The part of a read that is expected in each center a job could run in.
fn shares(controller: &Controller, job: &Job) -> Vec<(CenterId, u64)> {
    let (view, policy) = (controller.board.view(), &controller.settings.policy);
    let hosts = planner::hosts(&controller.world, view, policy, &job.spec);
    let all: u64 = hosts.values().map(|chips| chips.0).sum();
    let share = |(center, chips): (CenterId, model::Chips)| (center, chips.0 * READ / all.max(1));
    hosts.into_iter().map(share).collect()
}

fn add(reads: &mut Reads, data: &DatasetVersion, center: &CenterId, many: u64) {
    match reads.get_mut(data) {
        Some(at) => *at.entry(center.clone()).or_default() += many,
        None => _ = reads.insert(data.clone(), BTreeMap::from([(center.clone(), many)])),
    }
}
