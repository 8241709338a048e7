//! Jobs of a class are interchangeable to the planner: it decides per class, not per job.

use crate::Policy;
use crate::options::Options;
use crate::roster::Roster;
use model::job::{Job, SavedWork};
use model::{Digest, JobId, JobSpec, TenantId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};
use world::World;

/// Names a class: the digest of all in a spec that planning looks at.
pub type ClassId = Digest;

/// Jobs that differ in nothing planning looks at.
#[derive(Debug, Clone)]
pub struct Class {
    /// The spec of one of them.
    pub spec: Arc<JobSpec>,
    /// What is done of each of them, and where they can go on from it.
    pub kept: Option<SavedWork>,
    /// Those that wait and may be tried now, oldest first.
    pub jobs: BTreeSet<JobId>,
    /// Where they could go at all; worked out when it is first asked for.
    options: OnceLock<Arc<Options>>,
}

impl Class {
    /// Where they could go at all.
    pub(crate) fn options(&self, world: &World, roster: &Roster, policy: &Policy) -> Arc<Options> {
        let kept = self.kept.as_ref();
        let work_out = || Arc::new(Options::going_on(world, roster, &self.spec, kept, policy));
        Arc::clone(self.options.get_or_init(work_out))
    }
}

/// Collects what is hashed, so that a class's name is the same on every machine.
#[derive(Default)]
struct Said(Vec<u8>);

impl Hasher for Said {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("only the bytes are wanted")
    }
}

/// The class a spec belongs to.
#[must_use]
pub fn class_of(spec: &JobSpec) -> ClassId {
    // What is not looked at is named, so that a new field has to be thought about.
    let JobSpec {
        name: _,
        priority_class: _,
        hold: _,
        retries: _,
        outputs,
        parts,
        tenant,
        workload,
        kind,
        reservation,
        together,
        duration,
        inputs,
        secrets,
        objective,
        deadline,
        budget,
        priority,
        preemptible,
        checkpoint,
        when_cut_off,
        array,
        after,
        centers,
        regions,
    } = spec;
    // Most of what is said of a job fits.
    let said = &mut Said(Vec::with_capacity(1_024));
    (tenant, workload, kind, together, duration, objective).hash(said);
    reservation.hash(said);
    (deadline, budget, priority, preemptible, checkpoint, when_cut_off).hash(said);
    (array, after, centers, regions, secrets).hash(said);
    for input in inputs {
        (&input.dataset, &input.mode).hash(said);
    }
    for output in outputs.iter().filter(|output| !output.residency.is_empty()) {
        (&output.dataset, &output.residency).hash(said);
    }
    for part in parts {
        part.variants.len().hash(said);
        for v in &part.variants {
            (&v.on, v.nodes, v.chips_per_node, v.cores, v.memory).hash(said);
            (&v.image, v.speed_thousandths, v.limit).hash(said);
        }
    }
    Digest::of(&said.0)
}

/// The class a job belongs to: its spec's, unless it goes on from a checkpoint.
#[must_use]
pub fn class_of_job(job: &Job) -> ClassId {
    let class = class_of(&job.spec);
    let Some(kept) = &job.kept else { return class };
    let said = &mut Said(class.as_bytes().to_vec());
    kept.hash(said);
    Digest::of(&said.0)
}

/// Where a class stands in the order of its tenant's queue: by priority, then by its oldest job.
pub(crate) type Turn = (Reverse<i32>, JobId, ClassId);

/// Waiting jobs by class. A copy shares every class with the original until one of them changes it.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    classes: BTreeMap<ClassId, Arc<Class>>,
    /// The classes of each tenant that has jobs in line.
    order: BTreeMap<TenantId, BTreeSet<Turn>>,
    jobs: usize,
}

impl Lines {
    /// All classes with whose they are; those of one tenant in the order their first jobs are
    /// considered.
    pub(crate) fn turns(&self) -> impl Iterator<Item = (&TenantId, &Turn)> {
        self.order.iter().flat_map(|(tenant, turns)| turns.iter().map(move |turn| (tenant, turn)))
    }

    /// Who has jobs in line.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.order.keys()
    }

    /// A tenant's classes in the order their first jobs are considered.
    pub(crate) fn turns_of(&self, tenant: &TenantId) -> impl Iterator<Item = &Turn> {
        self.order.get(tenant).into_iter().flatten()
    }

    /// Whose a class is, and where it stands among theirs.
    pub(crate) fn turn(&self, id: ClassId) -> Option<(TenantId, Turn)> {
        let class = self.classes.get(&id)?;
        let turn = (Reverse(class.spec.priority), *class.jobs.first()?, id);
        Some((class.spec.tenant.clone(), turn))
    }

    pub(crate) fn class(&self, id: ClassId) -> Option<&Arc<Class>> {
        self.classes.get(&id)
    }

    /// Jobs in line.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.jobs
    }

    /// Whether nobody is in line.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.jobs == 0
    }

    /// Whether the job stands in line.
    #[must_use]
    pub fn has(&self, id: ClassId, job: JobId) -> bool {
        self.classes.get(&id).is_some_and(|class| class.jobs.contains(&job))
    }

    pub(crate) fn classes(&self) -> impl Iterator<Item = (ClassId, &Class)> {
        self.classes.iter().map(|(id, class)| (*id, class.as_ref()))
    }

    /// Puts a job in line; returns how many of its class are there.
    pub(crate) fn enter(&mut self, id: ClassId, job: &Job) -> usize {
        self.classes.entry(id).or_insert_with(|| {
            let (spec, kept) = (Arc::clone(&job.spec), job.kept.clone());
            Arc::new(Class { spec, kept, jobs: BTreeSet::new(), options: OnceLock::new() })
        });
        let mut jobs = 0;
        self.change(id, |class| {
            let new = class.jobs.insert(job.job);
            jobs = class.jobs.len();
            isize::from(new)
        });
        jobs
    }

    /// Takes a job out of line; false when it is not there.
    pub(crate) fn leave(&mut self, id: ClassId, job: JobId) -> bool {
        let mut was_there = false;
        self.change(id, |class| {
            was_there = class.jobs.remove(&job);
            -isize::from(was_there)
        });
        if self.classes.get(&id).is_some_and(|class| class.jobs.is_empty()) {
            self.classes.remove(&id);
        }
        was_there
    }

    fn change(&mut self, id: ClassId, change: impl FnOnce(&mut Class) -> isize) {
        let Some(class) = self.classes.get_mut(&id) else { return };
        let priority = Reverse(class.spec.priority);
        let head = class.jobs.first().copied();
        self.jobs = self.jobs.saturating_add_signed(change(Arc::make_mut(class)));
        let new_head = class.jobs.first().copied();
        if head == new_head {
            return;
        }
        let turns = self.order.entry(class.spec.tenant.clone()).or_default();
        head.map(|head| turns.remove(&(priority, head, id)));
        new_head.map(|head| turns.insert((priority, head, id)));
        if turns.is_empty() {
            self.order.remove(&class.spec.tenant);
        }
    }

    /// Works out anew where the classes of this tenant and workload could go.
    pub(crate) fn forget_options(&mut self, of: &JobSpec) {
        for class in self.classes.values_mut() {
            if class.spec.tenant == of.tenant && class.spec.workload == of.workload {
                Arc::make_mut(class).options = OnceLock::new();
            }
        }
    }
}
