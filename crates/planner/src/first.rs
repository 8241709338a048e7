//! When pools have free nodes again: remembered, for all classes of one shape ask the same.

use crate::board::View;
use crate::pool::Ask;
use crate::roster::PoolNumber;
use model::Moment;
use std::collections::BTreeMap;

/// Whole chips on a node, and how many such nodes.
type Shape = (u32, u32);

/// When each pool first has the nodes for a shape, for however short. Good for one plan.
#[derive(Debug, Default)]
pub(crate) struct FirstNodes {
    known: BTreeMap<Shape, Vec<Option<Known>>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// After how many changes of the pool.
    changes: u32,
    /// `None`: never.
    at: Option<Moment>,
}

impl FirstNodes {
    /// The first moment not before `now`, which is always the same, at which the pool has the nodes
    /// for `ask`.
    pub(crate) fn at(
        &mut self,
        view: &View,
        pool: PoolNumber,
        now: Moment,
        ask: &Ask,
    ) -> Option<Moment> {
        let pools = &view.pools;
        let of_shape = self.known.entry((ask.whole(), ask.nodes));
        let known = &mut of_shape.or_insert_with(|| vec![None; pools.len()])[pool as usize];
        let changes = view.changes(pool);
        match known {
            Some(known) if known.changes == changes => known.at,
            _ => {
                let at = pools[pool as usize].not_before(now, ask);
                *known = Some(Known { changes, at });
                at
            }
        }
    }
}
