//! What a tenant wants run.

use crate::{
    Bytes, CenterId, ChipClass, ChipId, Chips, Cores, DatasetId, DatasetRef, JobId, Moment, Money,
    PriorityClassId, Rate, Region, Span, TenantId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A job as it was accepted: checked for form, in integers. People write it as a
/// [job file](crate::file::job).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobSpec {
    /// A name for people; need not be unique.
    pub name: String,
    /// Who it is for.
    pub tenant: TenantId,
    /// What it has in common with jobs that run alike: finished jobs of the same tenant and
    /// workload teach how fast chips are at it. Slurm's users know it as a `wckey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// Whether it ends by itself, goes on, or holds chips for later.
    pub kind: JobKind,
    /// The reservation in which it runs, and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<JobId>,
    /// Its parts, each a gang; one part is the usual case.
    pub parts: Vec<Part>,
    /// What binds the parts together.
    pub together: Together,
    /// How long it may and is expected to run.
    pub duration: Duration,
    /// Datasets it reads.
    pub inputs: Vec<Input>,
    /// Datasets it writes.
    pub outputs: Vec<Output>,
    /// What makes one placement better than another.
    pub objective: Objective,
    /// When it should be done. Placements that keep it come before those that do not.
    pub deadline: Option<Moment>,
    /// The most it may cost.
    pub budget: Option<Money>,
    /// Higher goes first within the tenant; that of its class where it names one.
    pub priority: i32,
    /// The class its priority comes from, if it named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_class: Option<PriorityClassId>,
    /// Whether it may be stopped and requeued for another's sake.
    pub preemptible: bool,
    /// Whether it waits for a release before it is planned.
    pub hold: bool,
    /// Its checkpoints, if it makes any.
    pub checkpoint: Option<Checkpoint>,
    /// What happens when its center is cut off.
    pub when_cut_off: WhenCutOff,
    /// Tries again after its own failure, beside those after failures that are not its own.
    pub retries: u32,
    /// Many alike jobs under one record.
    pub array: Option<Array>,
    /// Jobs it waits for.
    pub after: Vec<Dependency>,
    /// Secrets it is given, by name; values never enter a spec or a fact.
    pub secrets: Vec<SecretRef>,
    /// Centers it may run in; empty for any.
    pub centers: Vec<CenterId>,
    /// Regions it may run in; empty for any.
    pub regions: Vec<Region>,
}

impl JobSpec {
    /// How far beyond the end of its reservation's window a job may be planned to run. Orders take their
    /// time: without it none that is as long as the window could ever start in it.
    pub const OVERHANG: Span = Span::from_secs(60);

    /// Whether it holds chips for later and runs nothing itself.
    #[must_use]
    pub const fn is_reservation(&self) -> bool {
        matches!(self.kind, JobKind::Reservation { .. })
    }

    /// How many jobs it stands for.
    #[must_use]
    pub fn tasks(&self) -> u32 {
        self.array.as_ref().map_or(1, Array::tasks)
    }

    /// Whether its jobs may have to wait for others to end before they are planned.
    #[must_use]
    pub fn blocks(&self) -> bool {
        !self.after.is_empty() || self.array.as_ref().is_some_and(|a| a.at_once.is_some())
    }

    /// Whether its job in this place, counted from zero, waits for others when it is submitted.
    #[must_use]
    pub fn begins_blocked(&self, place: u32) -> bool {
        let at_once = self.array.as_ref().and_then(|array| array.at_once);
        !self.after.is_empty() || at_once.is_some_and(|at_once| place >= at_once)
    }

    /// How long it may run as this variant of its first part; `None` when it runs until stopped.
    #[must_use]
    pub fn limit(&self, variant: u16) -> Option<Span> {
        let variant = self.parts.first().and_then(|p| p.variants.get(usize::from(variant)));
        match self.duration {
            Duration::Limited { limit, .. } => Some(variant.and_then(|v| v.limit).unwrap_or(limit)),
            Duration::Open => None,
        }
    }

    /// The time between the polite and the hard signal when it is stopped.
    #[must_use]
    pub fn grace(&self) -> Span {
        self.checkpoint.as_ref().map_or(Self::GRACE, |checkpoint| checkpoint.grace)
    }

    /// The [`grace`](Self::grace) of a job that makes no checkpoints.
    pub const GRACE: Span = Span::from_secs(10);
}

/// Whether a job ends by itself, goes on, or holds chips for later.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobKind {
    /// Runs to its end.
    Batch,
    /// Runs until it is stopped.
    Service {
        /// How many copies.
        replicas: u32,
        /// Where its users are.
        near: Vec<Region>,
    },
    /// A window of chips for later, for jobs that name it.
    Reservation {
        /// When the window opens; it is as long as the limit.
        start: Moment,
        /// It lapses when nothing has run in it for so long while it is open.
        lapse_after: Span,
    },
}

/// A gang: all of it runs or none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Part {
    /// A name for people, unique in the job.
    pub name: String,
    /// The ways to run it; the planner picks one.
    pub variants: Vec<Variant>,
}

/// One way to run a part.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Variant {
    /// Which chips it runs on.
    pub on: On,
    /// Nodes of the gang.
    pub nodes: u32,
    /// Chips on each node. A share of one chip is only for one node.
    pub chips_per_node: Chips,
    /// Cores on each node; none in a reservation: those that go with its chips.
    pub cores: Cores,
    /// Memory on each node; none in a reservation: what goes with its chips.
    pub memory: Bytes,
    /// The program and its arguments. It runs once, on the gang's first node.
    pub command: Vec<String>,
    /// A container image to run it in.
    pub image: Option<String>,
    /// Environment added to the engine's own.
    pub env: BTreeMap<String, String>,
    /// Speed beside the job's `expected` duration, in thousandths: 500 takes twice as long.
    pub speed_thousandths: Option<u32>,
    /// How long it may run this way, where that is not the job's own limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Span>,
}

/// Which chips a variant runs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum On {
    /// Any chip of the class.
    Class(ChipClass),
    /// One chip model.
    Chip(ChipId),
    /// No chip at all.
    Cpu,
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(class) => write!(f, "any {class} chip"),
            Self::Chip(chip) => write!(f, "{chip}"),
            Self::Cpu => write!(f, "no chip"),
        }
    }
}

/// What binds the parts of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct Together {
    /// How near each other.
    pub within: Within,
    /// Bandwidth reserved between each two parts in different centers.
    pub bandwidth: Option<Rate>,
    /// The most one-way latency between two parts, in microseconds.
    pub latency_us: Option<u64>,
}

/// How near the parts of a job must be.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Within {
    /// On one fast interconnect.
    Block,
    /// In one pool.
    Pool,
    /// In one center.
    #[default]
    Center,
    /// Anywhere within the latency and bandwidth asked for.
    Network,
}

/// How long a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duration {
    /// It is stopped after the limit.
    Limited {
        /// The most it may run.
        limit: Span,
        /// What its tenant expects; never more than the limit.
        expected: Option<Span>,
    },
    /// Until somebody stops it.
    Open,
}

impl Duration {
    /// The most it may run; none when it is open-ended.
    #[must_use]
    pub const fn limit(self) -> Option<Span> {
        match self {
            Self::Limited { limit, .. } => Some(limit),
            Self::Open => None,
        }
    }

    /// What its tenant expects, or else the limit.
    #[must_use]
    pub fn expected(self) -> Option<Span> {
        match self {
            Self::Limited { limit, expected } => Some(expected.unwrap_or(limit)),
            Self::Open => None,
        }
    }
}

/// A dataset a job reads. Its files appear in the directory named by `PORTOLAN_INPUT_<NAME>`, or where
/// it is streamed below the address in that variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Input {
    /// The name the job knows it by.
    pub name: String,
    /// Which dataset.
    pub dataset: DatasetRef,
    /// How it comes.
    pub mode: InputMode,
}

impl Input {
    /// The rate it is read at while the job runs; none where a copy comes first.
    #[must_use]
    pub const fn streamed(&self) -> Option<Rate> {
        match self.mode {
            InputMode::Staged => None,
            InputMode::Streamed { rate } => Some(rate),
        }
    }
}

/// How an input comes to a job.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum InputMode {
    /// A verified copy is at the center before the job starts.
    #[default]
    Staged,
    /// It is read over the network while the job runs.
    Streamed {
        /// The sustained rate reserved for it.
        rate: Rate,
    },
}

/// A dataset a job writes: whatever is in the directory named by `PORTOLAN_OUTPUT_<NAME>` when it
/// completes. Published only if the attempt is the live one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Output {
    /// The name the job knows it by.
    pub name: String,
    /// The dataset it becomes a version of.
    pub dataset: DatasetId,
    /// Regions it may not leave; empty for the same as the inputs'.
    pub residency: Vec<Region>,
}

/// What makes one placement better than another.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// The earliest finish.
    #[default]
    Fastest,
    /// The lowest price.
    Cheapest,
    /// Price and time weighed.
    Balanced,
    /// The least carbon.
    Greenest,
}

/// How a job keeps its progress.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Where, below the job's working directory.
    pub path: String,
    /// How often it writes one by itself.
    pub interval: Option<Span>,
    /// The signal that asks for one, such as `USR1`.
    pub signal: Option<String>,
    /// How long it may take to write one after the signal.
    pub grace: Span,
}

/// What happens to a job whose center is cut off.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum WhenCutOff {
    /// It keeps running, and is placed elsewhere only after its center returned or was declared
    /// lost.
    #[default]
    Hold,
    /// It stops itself after the lease, and may then start elsewhere.
    Move {
        /// How long it runs without word from the server.
        lease: Span,
    },
}

impl WhenCutOff {
    /// The lease where none is named.
    pub const DEFAULT_LEASE: Span = Span::from_secs(600);
    /// The shortest lease there is: an agent must be able to poll three times in it.
    pub const SHORTEST_LEASE: Span = Span::from_secs(3);

    /// The lease, for jobs that move.
    #[must_use]
    pub const fn lease(self) -> Option<Span> {
        match self {
            Self::Hold => None,
            Self::Move { lease } => Some(lease),
        }
    }
}

/// Alike jobs under one record, told apart by an index.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Array {
    /// First index.
    pub first: u32,
    /// Last index, included.
    pub last: u32,
    /// Distance between two.
    pub step: u32,
    /// How many may run at once.
    pub at_once: Option<u32>,
}

impl Array {
    /// How many tasks it has.
    #[must_use]
    pub const fn tasks(&self) -> u32 {
        let step = if self.step == 0 { 1 } else { self.step };
        self.last.saturating_sub(self.first) / step + 1
    }

    /// The index of its task in this place, counted from zero.
    #[must_use]
    pub const fn index(&self, place: u32) -> u32 {
        self.first.saturating_add(place.saturating_mul(self.step))
    }

    /// The place of the task with this index, counted from zero; `None` where there is none.
    #[must_use]
    pub const fn place(&self, index: u32) -> Option<u32> {
        let step = if self.step == 0 { 1 } else { self.step };
        if index < self.first || index > self.last || !(index - self.first).is_multiple_of(step) {
            return None;
        }
        Some((index - self.first) / step)
    }
}

/// Another job that must come first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dependency {
    /// Which job.
    pub job: JobId,
    /// In what way.
    pub when: DependencyKind,
}

/// In what way a job waits for another, in Slurm's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DependencyKind {
    /// After it completed.
    AfterOk,
    /// After it ended, however.
    AfterAny,
    /// Each task of an array after the task of the same index.
    AfterCorr,
}

impl DependencyKind {
    /// Its word in documents.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AfterOk => "afterok",
            Self::AfterAny => "afterany",
            Self::AfterCorr => "aftercorr",
        }
    }
}

/// A secret by name and holder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SecretRef {
    /// Its name, which can be a file's.
    pub name: String,
    /// Who holds the value: a name that agents know, and that can be a directory's.
    pub holder: String,
}
