//! What a load says of a job, and how it becomes a spec for one network.

use super::{Actual, Arrival, Ending, Speeds};
use controller::Declarations;
use model::job::{Checkpoint, Duration, Input, InputMode, JobKind, On, Together, Within};
use model::{
    Bytes, ChipClass, ChipId, Chips, Cores, DatasetId, DatasetRef, JobSpec, Objective, Part, Span,
    TenantId, Variant, WhenCutOff,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Cores and memory on each node where a load says nothing: enough to count, too little to matter.
const LITTLE_CORES: u64 = 100;
const LITTLE_MEMORY: u64 = 1 << 20;

/// What a load says of a job, whatever file it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// When it is submitted, after the load's start.
    pub after: Span,
    /// What is asked for.
    pub wish: Wish,
    /// What nobody knows yet.
    pub actual: Actual,
}

/// What is asked for: jobs of equal wishes are interchangeable to everybody who plans.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wish {
    /// For whom.
    pub tenant: TenantId,
    /// What it has in common with jobs that run alike.
    pub workload: String,
    /// The kind of work, as in [`Actual::kind`].
    pub kind: u16,
    /// Chips of the gang, all nodes together; less than one is a share of a chip, none is a job
    /// without chips.
    pub chips: Chips,
    /// On which chips.
    pub on: Allowed,
    /// Cores of all its nodes together; a little where the load says nothing.
    pub cores: Cores,
    /// Memory of all its nodes together; a little where the load says nothing.
    pub memory: Bytes,
    /// The most it may run at speed 1; slower chips give it longer.
    pub limit: Span,
    /// The dataset it reads.
    pub dataset: Option<DatasetId>,
    /// Whether it may be stopped and requeued.
    pub preemptible: bool,
    /// How often it keeps its progress.
    pub checkpoint: Option<Span>,
    /// Higher goes first within the tenant.
    pub priority: i32,
}

impl Wish {
    /// A wish for this long, with nothing special about it.
    #[must_use]
    pub fn plain(tenant: TenantId, workload: &str, chips: Chips, limit: Span) -> Self {
        Self {
            tenant,
            workload: workload.to_owned(),
            kind: 0,
            chips,
            on: Allowed::Any,
            cores: Cores::ZERO,
            memory: Bytes::ZERO,
            limit,
            dataset: None,
            preemptible: false,
            checkpoint: None,
            priority: 0,
        }
    }
}

/// On which chips a job can run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowed {
    /// On any: it has a build for each.
    Any,
    /// On chips of these classes.
    Classes(Vec<ChipClass>),
    /// On these models.
    Models(Vec<ChipId>),
}

/// A kind of node that a network has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Host {
    chip: Option<ChipId>,
    class: Option<ChipClass>,
    chips_per_node: u16,
}

/// Makes specs of wishes: one variant for each kind of node the job can run on, the gang cut to the
/// node's size. Equal wishes get one spec.
#[derive(Debug)]
pub struct Tailor {
    hosts: Vec<Host>,
    speeds: Arc<Speeds>,
    objective: Objective,
    made: BTreeMap<Wish, Arc<JobSpec>>,
}

impl Tailor {
    /// For the nodes of this network.
    #[must_use]
    pub fn new(network: &Declarations, speeds: Arc<Speeds>, objective: Objective) -> Self {
        let class_of =
            |chip: &ChipId| network.chips.iter().find(|c| c.chip == *chip).map(|c| c.class.clone());
        let pools = network.centers.iter().flat_map(|center| &center.pools);
        let hosts: BTreeSet<Host> = pools
            .map(|pool| Host {
                chip: pool.chip.clone(),
                class: pool.chip.as_ref().and_then(class_of),
                chips_per_node: pool.chips_per_node,
            })
            .collect();
        Self { hosts: hosts.into_iter().collect(), speeds, objective, made: BTreeMap::new() }
    }

    /// The arrival that is asked for. Its spec has no variant where no node of the network will do.
    pub fn arrival(&mut self, ask: &Ask) -> Arrival {
        Arrival { after: ask.after, spec: self.spec(&ask.wish), actual: ask.actual }
    }

    /// The spec of a wish.
    pub fn spec(&mut self, wish: &Wish) -> Arc<JobSpec> {
        if let Some(made) = self.made.get(wish) {
            return Arc::clone(made);
        }
        let variants = if wish.chips == Chips::ZERO {
            Vec::from([variant(wish, On::Cpu, 1, None)])
        } else {
            self.hosts.iter().filter_map(|host| self.chip_variant(host, wish)).collect()
        };
        let made = Arc::new(spec(wish, variants, self.objective));
        self.made.insert(wish.clone(), Arc::clone(&made));
        made
    }

    fn chip_variant(&self, host: &Host, wish: &Wish) -> Option<Variant> {
        let (chip, class) = (host.chip.as_ref()?, host.class.as_ref()?);
        let allowed = match &wish.on {
            Allowed::Any => true,
            Allowed::Classes(classes) => classes.contains(class),
            Allowed::Models(models) => models.contains(chip),
        };
        let speed = self.speeds.thousandths(Some(chip), wish.kind);
        let nodes = gang_nodes(wish.chips, host.chips_per_node)?;
        let variant = || variant(wish, On::Chip(chip.clone()), nodes, Some(speed));
        (allowed && speed > 0).then(variant)
    }
}

fn variant(wish: &Wish, on: On, nodes: u32, speed: Option<u32>) -> Variant {
    let each = |all: u64| all.div_ceil(u64::from(nodes));
    Variant {
        on,
        nodes,
        chips_per_node: Chips(wish.chips.0 / u64::from(nodes)),
        cores: Cores(each(wish.cores.0).max(LITTLE_CORES)),
        memory: Bytes(each(wish.memory.0).max(LITTLE_MEMORY)),
        command: vec!["run".to_owned()],
        image: None,
        env: BTreeMap::new(),
        speed_thousandths: speed,
        limit: speed.map(|speed| at_speed(wish.limit, speed)),
    }
}

/// How long it takes at a speed in thousandths what takes `work` at speed 1, rounded up.
#[must_use]
pub fn at_speed(work: Span, thousandths: u32) -> Span {
    let millis = u128::from(work.0) * 1_000;
    Span(u64::try_from(millis.div_ceil(u128::from(thousandths.max(1)))).unwrap_or(u64::MAX))
}

/// The fewest nodes among which the chips divide evenly; `None` for a share of several chips.
fn gang_nodes(chips: Chips, per_node: u16) -> Option<u32> {
    if chips.0 <= Chips::ONE.0 {
        return Some(1);
    }
    let whole = u32::try_from(chips.0 / 1_000).ok().filter(|_| chips.0.is_multiple_of(1_000))?;
    let fewest = whole.div_ceil(u32::from(per_node.max(1)));
    (fewest..=whole).find(|nodes| whole.is_multiple_of(*nodes))
}

fn spec(wish: &Wish, variants: Vec<Variant>, objective: Objective) -> JobSpec {
    let input = |dataset: &DatasetId| Input {
        name: "data".to_owned(),
        dataset: DatasetRef { dataset: dataset.clone(), version: None },
        mode: InputMode::Staged,
    };
    let checkpoint = |interval| Checkpoint {
        path: "checkpoint".to_owned(),
        interval: Some(interval),
        signal: None,
        grace: Span::from_secs(30),
    };
    JobSpec {
        name: wish.workload.clone(),
        tenant: wish.tenant.clone(),
        workload: Some(wish.workload.clone()),
        kind: JobKind::Batch,
        reservation: None,
        parts: vec![Part { name: "main".to_owned(), variants }],
        together: Together { within: Within::Pool, ..Together::default() },
        duration: Duration::Limited { limit: wish.limit, expected: None },
        inputs: wish.dataset.iter().map(input).collect(),
        outputs: Vec::new(),
        objective,
        deadline: None,
        budget: None,
        priority: wish.priority,
        priority_class: None,
        preemptible: wish.preemptible,
        hold: false,
        checkpoint: wish.checkpoint.map(checkpoint),
        when_cut_off: WhenCutOff::Hold,
        retries: 0,
        array: None,
        after: Vec::new(),
        secrets: Vec::new(),
        centers: Vec::new(),
        regions: Vec::new(),
    }
}

/// What a job of a list that names only its run time turns out to be.
#[must_use]
pub(crate) fn plain_actual(work: Span, ending: Ending) -> Actual {
    Actual { work: work.max(Span(1)), kind: 0, ending }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gang_is_cut_to_the_size_of_the_node() {
        let cut = |chips: u64, per_node| gang_nodes(Chips::whole(chips), per_node);
        assert_eq!(cut(16, 8), Some(2));
        assert_eq!(cut(16, 4), Some(4));
        assert_eq!(cut(12, 8), Some(2));
        assert_eq!(cut(11, 8), Some(11));
        assert_eq!(cut(1, 8), Some(1));
        assert_eq!(gang_nodes(Chips(250), 8), Some(1));
        assert_eq!(gang_nodes(Chips(2_500), 8), None);
        assert_eq!(gang_nodes(Chips::ZERO, 0), Some(1));
    }

    #[test]
    fn half_the_speed_takes_twice_as_long() {
        assert_eq!(at_speed(Span(1_000), 500), Span(2_000));
        assert_eq!(at_speed(Span(1_000), 1_000), Span(1_000));
        assert_eq!(at_speed(Span(10), 3_000), Span(4));
    }
}
