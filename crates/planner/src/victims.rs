//! Who may be told to make room.

use crate::roster::PoolNumber;
use model::AttemptId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Attempts of preemptible jobs that are not told to stop, with their jobs' priorities, by pool. A
/// copy shares every pool with the original until one of them changes it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Victims {
    pools: Arc<BTreeMap<PoolNumber, Arc<BTreeMap<AttemptId, i32>>>>,
    /// How many there are of each priority.
    priorities: BTreeMap<i32, usize>,
}

impl Victims {
    pub(crate) fn add(&mut self, pool: PoolNumber, attempt: AttemptId, priority: i32) {
        let pool = Arc::make_mut(&mut self.pools).entry(pool).or_default();
        if Arc::make_mut(pool).insert(attempt, priority).is_none() {
            *self.priorities.entry(priority).or_default() += 1;
        }
    }

    pub(crate) fn remove(&mut self, pool: PoolNumber, attempt: AttemptId) {
        if !self.has(pool, attempt) {
            return;
        }
        let pools = Arc::make_mut(&mut self.pools);
        let Some(here) = pools.get_mut(&pool) else { return };
        let priority = Arc::make_mut(here).remove(&attempt);
        if here.is_empty() {
            pools.remove(&pool);
        }
        if let Some(priority) = priority
            && let Some(count) = self.priorities.get_mut(&priority)
        {
            *count -= 1;
            if *count == 0 {
                self.priorities.remove(&priority);
            }
        }
    }

    /// Whether an attempt in this pool may be told to.
    pub(crate) fn has(&self, pool: PoolNumber, attempt: AttemptId) -> bool {
        self.pools.get(&pool).is_some_and(|here| here.contains_key(&attempt))
    }

    /// Whether anybody may make room for a job of this priority.
    pub(crate) fn any_below(&self, priority: i32) -> bool {
        self.priorities.first_key_value().is_some_and(|(lowest, _)| *lowest < priority)
    }

    /// All in a pool, with their jobs' priorities.
    pub(crate) fn in_pool(&self, pool: PoolNumber) -> impl Iterator<Item = (AttemptId, i32)> {
        let here = self.pools.get(&pool).into_iter().flat_map(|here| here.iter());
        here.map(|(attempt, priority)| (*attempt, *priority))
    }
}
