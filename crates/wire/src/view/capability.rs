//! What a host, an engine and a center show.

use model::{ChipId, Digest, Figure, Moment};
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
