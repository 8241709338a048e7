//! What is told of a center's nodes.

use crate::{CenterId, PoolId};
use serde::{Deserialize, Serialize};

/// Content of `nodes-counted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodesCounted {
    /// Whose nodes.
    pub center: CenterId,
    /// Of which pool.
    pub pool: PoolId,
    /// How many take work, now or when what they run is over.
    pub up: u32,
}
