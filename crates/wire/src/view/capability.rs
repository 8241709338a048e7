//! What a host, an engine and a center show.

use model::{Bytes, ChipId, Cores, Digest, EngineKind, Figure, Moment, PoolId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What `portolan center bench` measured on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BenchReport {
    /// When, by that host's clock.
    #[schema(value_type = u64)]
    pub taken_ms: Moment,
    /// The version of the program that measured.
    pub version: String,
    /// Which host.
    pub host: Host,
    /// What was measured without any vendor's help.
    #[schema(value_type = Vec<FigureSchema>)]
    pub figures: Vec<Figure>,
    /// Vendors' commands that were run.
    pub commands: Vec<CommandRun>,
    /// What was asked for and could not be measured.
    pub missing: Vec<Missing>,
}

/// The host that was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its processor, as its maker calls it.
    pub cpu: String,
    /// Cores that were used, all of those that may be.
    pub cores: u32,
    /// Its memory.
    pub memory_bytes: u64,
}

/// A vendor's command and what it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandRun {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The chip it is about.
    #[schema(value_type = Option<String>)]
    pub chip: Option<ChipId>,
    /// How many chips it kept busy; what it said was divided by them.
    pub chips: u32,
    /// In which precision, such as `bf16`.
    pub precision: String,
    /// What was read from its output, of one chip.
    #[schema(value_type = Option<FigureSchema>)]
    pub figure: Option<Figure>,
    /// Why nothing was read.
    pub why: Option<String>,
    /// Its output, as it was, cut after 16 KiB.
    pub output: String,
    /// How long the output was in all.
    pub output_bytes: u64,
    /// The digest of all of it.
    #[schema(value_type = String)]
    pub output_digest: Digest,
}

/// What could not be measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// The figure's name.
    pub name: String,
    /// Why not.
    pub why: String,
}

/// What `portolan center check` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckReport {
    /// When, by the clock of the host that checked.
    #[schema(value_type = u64)]
    pub taken_ms: Moment,
    /// What was checked.
    #[schema(value_type = String, example = "slurm")]
    pub engine: EngineKind,
    /// The engine's version.
    pub version: String,
    /// How far it enforces limits, in words.
    pub enforcement: String,
    /// Requirements that were met.
    pub met: u32,
    /// All that were asked of such an engine.
    pub asked: u32,
    /// Each requirement.
    pub findings: Vec<Requirement>,
    /// What there is of the center's pools, as far as the engine can tell.
    pub pools: Vec<PoolSeen>,
}

/// One requirement of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// It, as a sentence.
    pub requirement: String,
    /// `met`, `broken` or `not asked`.
    pub verdict: String,
    /// What happened instead, where it is broken.
    pub why: Option<String>,
}

/// What an engine shows of a pool. What it cannot tell is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolSeen {
    /// Which pool.
    #[schema(value_type = String)]
    pub pool: PoolId,
    /// How many nodes.
    pub nodes: Option<u32>,
    /// Chips of its kind that each node has at least.
    pub chips_per_node: Option<u16>,
    /// Cores that each node has at least, in thousandths.
    #[schema(value_type = Option<u64>)]
    pub cores_milli: Option<Cores>,
    /// Memory that each node has at least.
    #[schema(value_type = Option<u64>)]
    pub memory_bytes: Option<Bytes>,
}

/// How far a center is ready for work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// What keeps it from being given work; absent where nothing does.
    #[schema(example = "not admitted: shows 14 of 16, 16 of 16 are asked")]
    pub not_admitted: Option<String>,
    /// What the network asks; absent where it asks nothing.
    #[schema(example = "16 of 16")]
    pub asks: Option<String>,
    /// What it has shown; absent where it has shown no check.
    pub check: Option<Check>,
}

/// A check that was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// When it was made.
    #[schema(value_type = u64)]
    pub taken_ms: Moment,
    /// The version of the engine that was checked.
    pub version: String,
    /// Requirements that were met.
    pub met: u32,
    /// All that were asked.
    pub asked: u32,
    /// Those that were not met.
    pub broken: Vec<Requirement>,
}

/// What a pool's chips do at bf16, dense, in milli-TFLOPS of one chip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Capability {
    /// What its owner says.
    pub declared: Option<u64>,
    /// What a benchmark showed.
    pub verified: Option<u64>,
    /// The benchmark that was handed in last.
    pub measured: Option<Measured>,
}

/// A benchmark that was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Measured {
    /// When it was made.
    #[schema(value_type = u64)]
    pub taken_ms: Moment,
    /// On which host.
    pub host: String,
    /// What was measured without any vendor's help.
    #[schema(value_type = Vec<FigureSchema>)]
    pub figures: Vec<Figure>,
    /// What vendors' commands said; their output only where one center is asked for.
    pub commands: Vec<CommandSaid>,
}

/// What a vendor's command said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommandSaid {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// In which precision.
    pub precision: String,
    /// What was read from its output, of one chip.
    #[schema(value_type = Option<FigureSchema>)]
    pub figure: Option<Figure>,
    /// Its output, cut after 16 KiB.
    pub output: Option<String>,
    /// How long the output was in all.
    pub output_bytes: u64,
    /// The digest of all of it.
    #[schema(value_type = String)]
    pub output_digest: Digest,
}

/// What a pool was declared with, where it has shown less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeclaredSize {
    /// How many nodes.
    pub nodes: u32,
    /// Chips of each node.
    #[serde(default)]
    pub chips_per_node: u16,
    /// Cores of each node, in thousandths.
    #[schema(value_type = u64)]
    pub cores_milli: Cores,
    /// Memory of each node.
    #[schema(value_type = u64)]
    pub memory_bytes: Bytes,
}

/// A figure in the schema; in the program it is [`model::Figure`].
#[derive(Debug, ToSchema)]
#[schema(as = Figure)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct FigureSchema {
    /// What was measured, such as `gemm-f64`.
    name: String,
    /// `flop-per-second`, `bytes-per-second`, `bits-per-second` or `nanoseconds`.
    #[schema(example = "flop-per-second")]
    unit: String,
    /// What each repeat showed.
    samples: Vec<u64>,
    /// How it was measured.
    how: String,
}
