//! When pools have free nodes again: remembered, for all classes of one shape ask the same.

use crate::ask::Ask;
use crate::board::View;
use crate::roster::PoolNumber;
use model::{Moment, Span};
use std::collections::BTreeMap;

/// Whole chips on a node, and how many such nodes.
type Shape = (u32, u32);

/// When each pool first has the nodes for a shape, for however short. Good for one plan.
#[derive(Debug, Default)]
pub(crate) struct FirstNodes {
    known: BTreeMap<Shape, Vec<Known>>,
}

/// Small, for very many are looked at one after another.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// After how many changes of the pool, and one.
    changes: u32,
    /// Milliseconds from now on; what is later than that is taken for that.
    after: u32,
}

const NEVER: u32 = u32::MAX;

impl FirstNodes {
    /// A moment not before `now`, which is always the same, before which the pool does not have the
    /// nodes for `ask`. `None` when it never has.
    pub(crate) fn at(
        &mut self,
        view: &View,
        pool: PoolNumber,
        now: Moment,
        ask: &Ask,
    ) -> Option<Moment> {
        let unknown = || vec![Known { changes: 0, after: 0 }; view.pools.len()];
        let of_shape = self.known.entry((ask.whole(), ask.nodes)).or_insert_with(unknown);
        let known = &mut of_shape[pool as usize];
        let changes = view.changes(pool).wrapping_add(1).max(1);
        if known.changes != changes {
            let at = view.pools[pool as usize].not_before(now, ask);
            let after = at.map(|at| u32::try_from(at.since(now).0).unwrap_or(NEVER - 1));
            *known = Known { changes, after: after.map_or(NEVER, |after| after.min(NEVER - 1)) };
        }
        (known.after != NEVER).then(|| now + Span(known.after.into()))
    }
}
