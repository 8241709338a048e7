//! Where a job is to run, and what it holds there.

use super::Stream;
use crate::{
    Bytes, CenterId, Chips, Cores, DatasetVersion, FlavorId, JobId, Moment, Money, PlanId, PoolId,
    TransferId,
};
use serde::{Deserialize, Serialize};

/// Where and when a job is to run: one entry for each of its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The plan it came from.
    pub plan: PlanId,
    /// Each part's place, in the order of the job's parts.
    pub parts: Vec<PartPlacement>,
    /// When it is to start: nodes free and data there.
    pub start: Moment,
    /// When its nodes are free again at the latest.
    pub until: Moment,
    /// When it is expected to end.
    pub finish: Moment,
    /// What it is expected to cost.
    pub price: Money,
    /// The versions its inputs were settled at, in the order of the job's inputs.
    pub inputs: Vec<DatasetVersion>,
    /// The transfers it waits for.
    pub awaits: Vec<TransferId>,
    /// The inputs it reads over the network while it runs. What it reads that way and is at the
    /// center already is not among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<Stream>,
    /// The reservation whose nodes it runs on: it holds nothing that this does not hold already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<JobId>,
}

impl Placement {
    /// The center of its first part; a placement has at least one part.
    #[must_use]
    pub fn center(&self) -> &CenterId {
        &self.parts.first().expect("a placement has at least one part").center
    }
}

/// Where one part of a job runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartPlacement {
    /// In which center.
    pub center: CenterId,
    /// In which of its pools.
    pub pool: PoolId,
    /// As which of the part's variants, by index.
    pub variant: u16,
    /// On which nodes, sorted.
    pub nodes: Vec<Slots>,
    /// The flavor of the pool as it was declared then; none where nobody has a quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flavor: Option<FlavorId>,
    /// What each of its chips counts as when use is compared, in thousandths of
    /// [`Pool::REFERENCE`](crate::Pool::REFERENCE): by what was known of the pool then.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub worth: u32,
}

impl PartPlacement {
    /// All its chips together.
    #[must_use]
    pub fn chips(&self) -> Chips {
        let of = |slots: &Slots| slots.share.times(slots.chips.len() as u64);
        self.nodes.iter().map(of).fold(Chips::ZERO, Chips::saturating_add)
    }
}

const fn one() -> u32 {
    1_000
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_one(worth: &u32) -> bool {
    *worth == one()
}

/// What a gang holds of one node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slots {
    /// The node's index in its pool, from 0.
    pub node: u32,
    /// Indices of its chips there, from 0.
    pub chips: Vec<u16>,
    /// How much of each of those chips.
    pub share: Chips,
    /// Cores.
    pub cores: Cores,
    /// Memory.
    pub memory: Bytes,
}

impl Slots {
    /// What is left of these once others of the same node are taken; chips that are shared count as taken.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let is_left = |chip: &&u16| !other.chips.contains(chip);
        Self {
            node: self.node,
            chips: self.chips.iter().filter(is_left).copied().collect(),
            share: self.share,
            cores: Cores(self.cores.0.saturating_sub(other.cores.0)),
            memory: Bytes(self.memory.0.saturating_sub(other.memory.0)),
        }
    }
}
