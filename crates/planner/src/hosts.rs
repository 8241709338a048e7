//! Where a job could run at all.

use crate::Policy;
use crate::options::Options;
use crate::view::View;
use model::job::JobSpec;
use model::{CenterId, Chips};
use std::collections::BTreeMap;
use world::World;

/// The centers a job could run in if nobody else wanted anything there, each with the chips of the
/// pools that would do for it: how likely it goes there, beside the others.
#[must_use]
pub fn hosts(
    world: &World,
    view: &View,
    policy: &Policy,
    spec: &JobSpec,
) -> BTreeMap<CenterId, Chips> {
    let mut pools: Vec<_> =
        Options::of(world, &view.roster, spec, policy).choices.iter().map(|c| c.pool).collect();
    // Several variants may do with the same pool.
    pools.sort_unstable();
    pools.dedup();
    let mut hosts = BTreeMap::new();
    for seat in pools.into_iter().map(|pool| view.roster.seat(pool)) {
        let chips: &mut Chips = hosts.entry(seat.center.center.clone()).or_insert(Chips::ZERO);
        *chips = chips.saturating_add(seat.pool().chips());
    }
    hosts
}
