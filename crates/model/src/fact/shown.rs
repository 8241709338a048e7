//! What a center has shown: that its engine does what it must, how much there is, how fast it is.

use crate::{Bytes, CenterId, ChipId, Cores, Digest, EngineKind, Figure, Moment, PoolId, TokenId};
use serde::{Deserialize, Serialize};

/// Content of `center-checked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CenterChecked {
    /// Which center.
    pub center: CenterId,
    /// When, by the clock of the host that checked.
    pub taken: Moment,
    /// What was checked.
    pub engine: EngineKind,
    /// The engine's version.
    pub version: String,
    /// How far it enforces limits, in words.
    pub enforcement: String,
    /// Requirements that were met.
    pub met: u32,
    /// All that were asked of such an engine.
    pub asked: u32,
    /// Those that were not met, each with what happened instead.
    pub broken: Vec<(String, String)>,
    /// What there is of its pools.
    pub pools: Vec<PoolShown>,
    /// Who handed it in.
    pub by: TokenId,
}

/// What an engine showed of a pool. What it cannot tell is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolShown {
    /// Which pool.
    pub pool: PoolId,
    /// How many nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u32>,
    /// Chips of its kind that each node has at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chips_per_node: Option<u16>,
    /// Cores that each node has at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<Cores>,
    /// Memory that each node has at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
}

/// Content of `pool-measured`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolMeasured {
    /// Whose pool.
    pub center: CenterId,
    /// Which pool.
    pub pool: PoolId,
    /// The chip that was measured.
    pub chip: Option<ChipId>,
    /// What one of its chips does in bf16, or else in fp16, in milli-TFLOPS; absent where nothing showed
    /// it.
    pub verified: Option<u64>,
    /// When, by the clock of the host that measured.
    pub taken: Moment,
    /// On which host.
    pub host: String,
    /// What was measured without any vendor's help.
    pub figures: Vec<Figure>,
    /// What vendors' commands said.
    pub commands: Vec<CommandSaid>,
    /// Who handed it in.
    pub by: TokenId,
}

/// What a vendor's command said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSaid {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The chip it is about.
    pub chip: Option<ChipId>,
    /// In which precision.
    pub precision: String,
    /// What was read from its output, of one chip.
    pub figure: Option<Figure>,
    /// Its output, cut after 16 KiB.
    pub output: String,
    /// How long the output was in all.
    pub output_bytes: u64,
    /// The digest of all of it.
    pub output_digest: Digest,
}
