//! Data that its source sends, and copies that are somewhere in passing.

use crate::promise::{Findings, Promise};
use model::{Bytes, CenterId, Staging};
use world::World;

/// Judges whether what is sent has somewhere to go in by.
pub(crate) fn judge_door(world: &World, staging: &Staging, found: &mut Findings) {
    let to = &staging.to;
    let opens = world.centers.get(to).is_some_and(|state| {
        let agent = state.agent.as_ref();
        agent.is_some_and(|a| a.data_url.is_some() || state.center.data_url.is_some())
    });
    found.judge(Promise::Links, opens || !staging.sent, || {
        format!("{} is sent to {to}, which has no door", staging.transfer)
    });
}

/// Judges whether a center lends more to copies in passing than its owner said.
pub(crate) fn judge_quota(world: &World, center: &CenterId, found: &mut Findings) {
    let versions = world.datasets.values().flat_map(|dataset| &dataset.versions);
    let passing = versions.filter(|version| version.passing.contains(center));
    let taken: Bytes = passing.map(|version| version.registered.bytes).sum();
    let lent = world.centers.get(center).and_then(|state| state.center.relay);
    let lent = lent.unwrap_or_default();
    found.judge(Promise::Copies, taken <= lent, || {
        format!("copies in passing take {taken} in {center}, whose owner lends {lent}")
    });
}
