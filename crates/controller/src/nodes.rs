//! How many nodes of their pools centers say take work.

use crate::Controller;
use model::fact::{Fact, NodesCounted};
use model::{CenterId, PoolId};

/// What agents say of a pool whose nodes are started when they are needed.
const AS_DECLARED: u32 = u32::MAX;

impl Controller {
    /// Notes how many nodes of a pool take work, if that is news.
    pub(crate) fn counted(&mut self, center: &CenterId, pool: PoolId, up: u32) {
        let state = self.world.centers.get(center);
        let Some(declared) = state.and_then(|state| state.declared().pool(&pool)) else { return };
        // More than are declared now may be declared later, and are not told again then.
        let up = if up == AS_DECLARED { declared.nodes } else { up };
        let known = state.and_then(|state| state.up.get(&pool)).copied();
        if known.unwrap_or(declared.nodes) != up {
            let center = center.clone();
            self.emit(Fact::NodesCounted(NodesCounted { center, pool, up }));
        }
    }
}
