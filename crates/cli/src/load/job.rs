//! A job of a load: what is asked for, and what the timer alone is told.

use engines::timer::{EXIT_CODE, RUN_TIME};
use model::file::job::{CheckpointFile, Figure, JobFile, VariantFile};
use model::job::{Duration, On};
use model::{CenterId, Chips, JobSpec, Objective, Span, TenantId, Variant};
use simulator::load::{Arrival, Ending, at_speed};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

/// How fast a load is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// So many thousandths of its own speed.
    Thousandths(u64),
    /// Everything is submitted at once; run times are as they are.
    Max,
}

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        // A speed is written as a number of chips is: at most three decimals.
        let factor = text.parse::<Chips>().ok().filter(|factor| *factor > Chips::ZERO);
        let factor = factor.map(|factor| Self::Thousandths(factor.0));
        factor.ok_or_else(|| "a number above zero such as `60` or `0.5`, or `max`".to_owned())
    }
}

impl Pace {
    /// When what comes after `after` is to be submitted.
    fn arrival(self, after: Span) -> Span {
        match self {
            Self::Thousandths(factor) => after.scaled(1_000, factor),
            Self::Max => Span::ZERO,
        }
    }

    /// How long it takes here what takes `span` in the load.
    fn length(self, span: Span) -> Span {
        match self {
            Self::Thousandths(factor) => span.scaled(1_000, factor).max(Span(1)),
            Self::Max => span,
        }
    }
}

/// A job of a load.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// When it is to be submitted, after the load's start.
    pub(super) at: Span,
    /// What is asked for. It has no inputs.
    pub(super) spec: Arc<JobSpec>,
    /// How long it runs at speed 1.
    work: Span,
    ending: Ending,
}

/// The jobs that arrive, at this pace, all of them `tenant`'s if there is one.
pub(super) fn all(
    arrivals: impl Iterator<Item = Arrival>,
    pace: Pace,
    tenant: Option<&TenantId>,
) -> Vec<Job> {
    // Alike jobs share a spec; so do they here. Specs are kept alive, or an address could come twice.
    let mut paced: BTreeMap<usize, (Arc<JobSpec>, Arc<JobSpec>)> = BTreeMap::new();
    let job = |Arrival { after, spec, actual }: Arrival| {
        let address = Arc::as_ptr(&spec).addr();
        let (_, own) = paced.entry(address).or_insert_with(|| {
            let own = Arc::new(at_pace(&spec, pace, tenant));
            (spec, own)
        });
        let work = pace.length(actual.work);
        Job { at: pace.arrival(after), spec: Arc::clone(own), work, ending: actual.ending }
    };
    arrivals.map(job).collect()
}

fn at_pace(spec: &JobSpec, pace: Pace, tenant: Option<&TenantId>) -> JobSpec {
    let mut spec = spec.clone();
    spec.inputs.clear();
    if let Some(tenant) = tenant {
        spec.tenant = tenant.clone();
    }
    if let Duration::Limited { limit, expected } = &mut spec.duration {
        *limit = pace.length(*limit);
        *expected = expected.map(|expected| pace.length(expected));
    }
    if let Some(checkpoint) = &mut spec.checkpoint {
        checkpoint.interval = checkpoint.interval.map(|interval| pace.length(interval));
    }
    for variant in spec.parts.iter_mut().flat_map(|part| &mut part.variants) {
        variant.limit = variant.limit.map(|limit| pace.length(limit));
    }
    spec
}

impl Job {
    /// The ways to run it.
    pub(super) fn variants(&self) -> &[Variant] {
        self.spec.parts.first().map_or(&[], |part| &part.variants)
    }

    /// Chips of its gang.
    pub(super) fn chips(&self) -> Chips {
        self.variants().first().map_or(Chips::ZERO, gang)
    }

    /// How long it would run as this variant if nobody stopped it.
    fn work(&self, variant: &Variant) -> Span {
        at_speed(self.work, variant.speed_thousandths.unwrap_or(1_000))
    }

    /// How long it runs as this variant.
    pub(super) fn run(&self, variant: &Variant) -> Span {
        self.work(variant).min(self.limit(variant))
    }

    /// The longest it runs.
    pub(super) fn longest(&self) -> Span {
        self.variants().iter().map(|variant| self.run(variant)).max().unwrap_or_default()
    }

    fn limit(&self, variant: &Variant) -> Span {
        let own = match self.spec.duration {
            Duration::Limited { limit, .. } => limit,
            Duration::Open => Span::MAX,
        };
        variant.limit.unwrap_or(own)
    }

    /// The word for how it ends as this load has it; `timed_out` says whether some way to run it is
    /// cut short by its limit.
    pub(super) fn ends_as_told(&self, state: &str) -> bool {
        let cut = |variant: &Variant| self.work(variant) > self.limit(variant);
        match state {
            "completed" => self.ending == Ending::Success,
            // Timers know no tenant who cancels: such a job fails when it would have been canceled.
            "failed" => self.ending != Ending::Success,
            "timed-out" => self.variants().iter().any(cut),
            _ => false,
        }
    }

    /// The job file it is submitted as, kept to these centers where there are any.
    pub(super) fn file(&self, only: &[CenterId]) -> JobFile {
        let spec = &self.spec;
        let mut ways: Vec<VariantFile> =
            self.variants().iter().map(|variant| self.way(variant)).collect();
        let limit = match spec.duration {
            Duration::Limited { limit, .. } => Some(written(limit)),
            Duration::Open => None,
        };
        // What all ways have in common is said once.
        let mut file = JobFile {
            name: spec.name.clone(),
            limit,
            workload: spec.workload.clone(),
            nodes: common(&mut ways, |way| &mut way.nodes),
            chips: common(&mut ways, |way| &mut way.chips),
            cores: common(&mut ways, |way| &mut way.cores),
            memory: common(&mut ways, |way| &mut way.memory),
            speed: common(&mut ways, |way| &mut way.speed),
            command: vec!["timer".to_owned()],
            objective: Some(spec.objective).filter(|o| *o != Objective::default()),
            priority: spec.priority,
            preemptible: spec.preemptible,
            checkpoint: spec.checkpoint.as_ref().map(|checkpoint| CheckpointFile {
                path: checkpoint.path.clone(),
                interval: checkpoint.interval.map(written),
                ..CheckpointFile::default()
            }),
            centers: only.iter().map(ToString::to_string).collect(),
            ..JobFile::default()
        };
        if let [first, rest @ ..] = &mut *ways
            && rest.iter().all(|way| way.env == first.env)
        {
            file.env = std::mem::take(&mut first.env);
            rest.iter_mut().for_each(|way| way.env.clear());
        }
        file.variants = ways;
        file
    }

    fn way(&self, variant: &Variant) -> VariantFile {
        let mut env = BTreeMap::from([(RUN_TIME.to_owned(), self.work(variant).0.to_string())]);
        if self.ending != Ending::Success {
            env.insert(EXIT_CODE.to_owned(), "1".to_owned());
        }
        let (on, chip) = match &variant.on {
            On::Class(class) => (Some(class.to_string()), None),
            On::Chip(chip) => (None, Some(chip.to_string())),
            On::Cpu => (None, None),
        };
        let figure = |thousandths: u64| Figure::from(Chips(thousandths));
        VariantFile {
            chips: chip.is_some().then(|| figure(variant.chips_per_node.0)),
            on,
            chip,
            nodes: Some(Figure::from(variant.nodes)),
            cores: Some(figure(variant.cores.0)),
            memory: Some(format!("{} B", variant.memory.0)),
            speed: variant.speed_thousandths.map(|speed| figure(speed.into())),
            limit: variant.limit.map(written),
            env,
            ..VariantFile::default()
        }
    }
}

/// Chips of a variant's gang.
pub(super) fn gang(variant: &Variant) -> Chips {
    variant.chips_per_node.times(variant.nodes.into())
}

/// A span as it is written in a job file, to the millisecond.
fn written(span: Span) -> String {
    format!("{}ms", span.0)
}

/// What all ways say alike, taken out of them.
fn common<T: Clone + PartialEq>(
    ways: &mut [VariantFile],
    of: impl Fn(&mut VariantFile) -> &mut Option<T>,
) -> Option<T> {
    let (first, rest) = ways.split_first_mut()?;
    let said = of(first).clone()?;
    if rest.iter_mut().any(|way| of(way).as_ref() != Some(&said)) {
        return None;
    }
    ways.iter_mut().for_each(|way| *of(way) = None);
    Some(said)
}
