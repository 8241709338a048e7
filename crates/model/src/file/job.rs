//! Job files: what a tenant wants run, as people write it. One form for TOML and YAML files and for
//! the JSON body of a submission.
//!
//! ```toml
//! name = "count-words"
//! limit = "10m"
//! on = "cuda"
//! command = ["sh", "-c", "wc -l $PORTOLAN_INPUT_NODES/*.csv"]
//!
//! [[input]]
//! name = "nodes"
//! dataset = "openb-nodes"
//! ```
//!
//! Amounts are text with their unit; counts of nodes, chips and cores may be numbers or text. What
//! is left out has the default its field names. Ways to run the job stand flat beside its name
//! where there is one way, else under `[[variant]]`, which takes what it leaves out from the flat
//! fields; a job of several gangs has `[[part]]`s, each with `[[part.variant]]`s.

mod check;
mod spec;
mod variant;

use super::tree::Node;
use super::{Diagnostic, Problem, shape, tree};
use crate::job::{DependencyKind, Within};
use crate::{JobSpec, Moment, Objective, TenantId};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

macro_rules! document {
    ($($(#[$doc:meta])* pub struct $name:ident {
        $($(#[$field_doc:meta])* pub $field:ident $(as $key:literal)?: $kind:ty,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(
                $(#[$field_doc])*
                #[serde($(rename = $key,)? skip_serializing_if = "is_absent")]
                pub $field: $kind,
            )*
        }
    )*};
}

document! {
    /// A job as a document. [`JobFile::spec`] checks it and puts it in integers.
    pub struct JobFile {
        /// A name for people, at most 128 characters.
        pub name: String,
        /// What kind of work it is; `batch` where nothing is said.
        pub kind: Option<Kind>,
        /// The most it may run, such as `"2h"`; for a reservation, how long the window is.
        pub limit: Option<String>,
        /// How long it is expected to run.
        pub expected: Option<String>,
        /// It runs until it is stopped. So does a service without a limit.
        pub open_ended: bool,

        /// What it has in common with jobs that run alike, such as `"llm-7b"`: how fast chips were
        /// at it is remembered.
        pub workload: Option<String>,

        /// The portability class of the chips it runs on, such as `cuda`.
        pub on: Option<String>,
        /// The one chip model it runs on, instead of `on`. Neither: it needs no chip.
        pub chip: Option<String>,
        /// Nodes of the gang; 1 where nothing is said.
        pub nodes: Option<Figure>,
        /// Chips on each node; 1 where `on` or `chip` is given. On one node, a share such as 0.25.
        pub chips: Option<Figure>,
        /// Cores on each node; 1 where nothing is said. A reservation of chips has those that go with
        /// them: of half of a node's chips, half of its cores.
        pub cores: Option<Figure>,
        /// Memory on each node; `"1 GiB"` where nothing is said; of a reservation as with cores.
        pub memory: Option<String>,
        /// The program and its arguments.
        pub command: Vec<String>,
        /// A container image to run it in.
        pub image: Option<String>,
        /// Environment added to the engine's own.
        pub env: BTreeMap<String, String>,
        /// Speed beside `expected`: 0.5 takes twice as long.
        pub speed: Option<Figure>,
        /// Several ways to run it.
        pub variants as "variant": Vec<VariantFile>,
        /// Its parts, where there are several gangs.
        pub parts as "part": Vec<PartFile>,
        /// What binds the parts.
        pub together: Option<TogetherFile>,

        /// Datasets it reads.
        pub inputs as "input": Vec<InputFile>,
        /// Datasets it writes.
        pub outputs as "output": Vec<OutputFile>,
        /// What makes one placement better than another; `fastest` where nothing is said.
        pub objective: Option<Objective>,
        /// When it should be done: a time such as `"2026-11-23T20:00:00+08:00"`, or a span after
        /// submission such as `"2h"`.
        pub deadline: Option<String>,
        /// The most it may cost, such as `"20 CNY"`.
        pub budget: Option<String>,
        /// Higher goes first within the tenant; 0 where nothing is said.
        pub priority: i32,
        /// A priority with a name, which the network declares, instead of a number.
        pub priority_class: Option<String>,
        /// It may be stopped and requeued for another's sake.
        pub preemptible: bool,
        /// It waits for a release before it is planned.
        pub hold: bool,
        /// Its checkpoints, if it makes any.
        pub checkpoint: Option<CheckpointFile>,
        /// What happens when its center is cut off; `hold` where nothing is said.
        pub when_cut_off: Option<CutOff>,
        /// How long it runs without word from the server before it moves; `"10m"` where nothing is
        /// said. Only with `when_cut_off = "move"`.
        pub lease: Option<String>,
        /// Tries again after its own failure, at most 100.
        pub retries: u32,
        /// Many alike jobs under one record.
        pub array: Option<ArrayFile>,
        /// Jobs it waits for.
        pub after: Vec<DependencyFile>,
        /// Secrets it is given, by name.
        pub secrets as "secret": Vec<SecretFile>,
        /// Centers it may run in; any where none is named.
        pub centers: Vec<String>,
        /// Regions it may run in; any where none is named.
        pub regions: Vec<String>,

        /// Copies of a service; 1 where nothing is said.
        pub replicas: Option<u32>,
        /// Regions where a service's users are.
        pub near: Vec<String>,
        /// When a reservation's window opens: a time or a span after submission.
        pub start: Option<String>,
        /// A reservation lapses when nothing has run in it for so long; `"15m"` where nothing is said.
        pub lapse_after: Option<String>,
        /// The reservation in which the job runs, such as `job-42`.
        pub reservation: Option<String>,
    }

    /// One way to run a job or a part. What it leaves out it takes from the job's flat fields.
    pub struct VariantFile {
        /// As in [`JobFile::on`].
        pub on: Option<String>,
        /// As in [`JobFile::chip`].
        pub chip: Option<String>,
        /// As in [`JobFile::nodes`].
        pub nodes: Option<Figure>,
        /// As in [`JobFile::chips`].
        pub chips: Option<Figure>,
        /// As in [`JobFile::cores`].
        pub cores: Option<Figure>,
        /// As in [`JobFile::memory`].
        pub memory: Option<String>,
        /// As in [`JobFile::command`].
        pub command: Vec<String>,
        /// As in [`JobFile::image`].
        pub image: Option<String>,
        /// As in [`JobFile::env`]; added to the job's.
        pub env: BTreeMap<String, String>,
        /// As in [`JobFile::speed`].
        pub speed: Option<Figure>,
        /// How long it may run this way, instead of the job's `limit`.
        pub limit: Option<String>,
    }

    /// A gang among several.
    pub struct PartFile {
        /// A name for people, unique in the job.
        pub name: String,
        /// The ways to run it; where there are none, the job's flat fields are its one way.
        pub variants as "variant": Vec<VariantFile>,
    }

    /// What binds parts.
    pub struct TogetherFile {
        /// How near each other; one center where nothing is said.
        pub within: Option<Within>,
        /// Bandwidth reserved between each two parts in different centers.
        pub bandwidth: Option<String>,
        /// The most one-way latency between two parts, such as `"1ms"`.
        pub latency: Option<String>,
    }

    /// A dataset a job reads.
    pub struct InputFile {
        /// The name the job knows it by; its files are in `$PORTOLAN_INPUT_<NAME>`.
        pub name: String,
        /// The dataset, or `dataset@version` for one version of it.
        pub dataset: String,
        /// The sustained rate at which it is read over the network; staged where nothing is said.
        pub stream: Option<String>,
    }

    /// A dataset a job writes.
    pub struct OutputFile {
        /// The name the job knows it by; its files go to `$PORTOLAN_OUTPUT_<NAME>`.
        pub name: String,
        /// The dataset it becomes a version of.
        pub dataset: String,
        /// Regions it may not leave; the inputs' where none is named.
        pub residency: Vec<String>,
    }

    /// How a job keeps its progress.
    pub struct CheckpointFile {
        /// Where, below the job's working directory.
        pub path: String,
        /// How often it writes one by itself.
        pub interval: Option<String>,
        /// The signal that asks for one, such as `USR1`.
        pub signal: Option<String>,
        /// How long it may take to write one; `"30s"` where nothing is said.
        pub grace: Option<String>,
    }

    /// Indices of an array.
    pub struct ArrayFile {
        /// The first; 0 where nothing is said.
        pub first: u32,
        /// The last, included.
        pub last: u32,
        /// The distance between two; 1 where nothing is said.
        pub step: Option<u32>,
        /// How many may run at once.
        pub at_once: Option<u32>,
    }

    /// Another job that must come first.
    pub struct DependencyFile {
        /// Which, such as `job-3`.
        pub job: String,
        /// In what way; `afterok` where nothing is said.
        pub when: Option<DependencyKind>,
    }

    /// A secret by name and holder.
    pub struct SecretFile {
        /// Its name: the command reads it from the file `$PORTOLAN_SECRETS_DIR/NAME`.
        pub name: String,
        /// Who holds the value, such as `vault`: a name that agents know.
        pub holder: String,
    }
}

fn is_absent<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The kinds of work a document can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Runs to its end.
    Batch,
    /// Runs until it is stopped.
    Service,
    /// A window of chips for later.
    Reservation,
}

/// What a document can ask for when a center is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutOff {
    /// Keep running.
    Hold,
    /// Stop after the lease, and start elsewhere.
    Move,
}

/// A count as it was written: a number, or text such as `"0.25"`. It means something only once it
/// is asked as what it is to be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(transparent)]
pub struct Figure(String);

impl Figure {
    /// It, as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: fmt::Display> From<T> for Figure {
    fn from(written: T) -> Self {
        Self(written.to_string())
    }
}

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Written;

        impl Visitor<'_> for Written {
            type Value = Figure;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a number")
            }

            fn visit_u64<E>(self, number: u64) -> Result<Figure, E> {
                Ok(number.into())
            }

            fn visit_i64<E>(self, number: i64) -> Result<Figure, E> {
                Ok(number.into())
            }

            fn visit_f64<E>(self, number: f64) -> Result<Figure, E> {
                Ok(number.into())
            }

            fn visit_str<E>(self, text: &str) -> Result<Figure, E> {
                Ok(text.into())
            }
        }

        from.deserialize_any(Written)
    }
}

/// The format of a job file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// TOML.
    Toml,
    /// YAML, and so JSON.
    Yaml,
}

impl Format {
    /// The format a file's name ends in: `.yaml`, `.yml` and `.json` are YAML, all else is TOML.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
            Some("yaml" | "yml" | "json") => Self::Yaml,
            _ => Self::Toml,
        }
    }
}

/// Reads a job file, and checks all that [`JobFile::spec`] would, so that each problem has its line;
/// only a deadline that has passed is left to it. Errors are all that is wrong, once the shape is
/// right.
pub fn read(name: &str, text: &str, format: Format) -> Result<JobFile, Vec<Diagnostic>> {
    let text: Arc<str> = Arc::from(text);
    let root: Node = match format {
        Format::Toml => tree::toml(name, &text)?,
        Format::Yaml => tree::yaml(name, &text)?,
    };
    let job: JobFile = shape::read(name, &text, &root)?;
    let nobody = TenantId::new("nobody").expect("a slug");
    let Err(problems) = job.clone().spec(nobody, Moment::ZERO) else { return Ok(job) };
    let mut wrong: Vec<_> = problems
        .into_iter()
        .map(|problem| Diagnostic::new(name, &text, root.place(&problem.at), problem))
        .collect();
    wrong.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
    Err(wrong)
}

impl JobFile {
    /// The job it asks for, of `tenant`, submitted at `now`. Errors are all that is wrong in it, by
    /// path. What is well said but cannot be planned yet is no error here.
    pub fn spec(self, tenant: TenantId, now: Moment) -> Result<JobSpec, Vec<Problem>> {
        spec::spec(self, tenant, now)
    }
}
