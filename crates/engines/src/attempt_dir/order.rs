//! What is to be done in an attempt's directory.

use crate::Launch;
use model::BootId;
use serde::{Deserialize, Serialize};

/// What `launch.json` says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// During which boot it was given: it is not carried out in another, for nobody knows how far
    /// it got before.
    pub(crate) boot: BootId,
    pub(crate) launch: Launch,
    /// What a batch system's node has to know besides; none where a process of this machine runs it.
    #[serde(default)]
    pub(crate) batch: Option<Batch>,
}

/// What a supervisor that a batch system started goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batch {
    /// Variables of the batch system that the command gets to see: those whose names begin so.
    pub(crate) keeps: Vec<String>,
    /// Which of them may list the chips that the batch system gave, the first that is there counts.
    pub(crate) chips_in: Vec<String>,
    /// How many supervisors it starts for the attempt, one on each node; none if it starts the first node's
    /// only.
    #[serde(default)]
    pub(crate) nodes: u32,
    /// The name of the control group that a supervisor shares with nothing but what it starts, if it is in
    /// one; see [`Queue::own_group`](crate::Queue::own_group).
    #[serde(default)]
    pub(crate) own_group: Option<String>,
}
