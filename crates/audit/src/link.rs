//! Links: paths exist, and no direction of a link is promised beyond what it has.

use crate::Judged;
use crate::overdraft::{Claim, overdraft};
use crate::promise::{Findings, Promise};
use model::attempt::RateStep;
use model::link::Hop;
use model::{LinkId, Rate, SiteId, Staging, TransferId};
use std::collections::BTreeMap;
use world::World;

/// Judges the path of a transfer and the shape of its reservation.
pub(crate) fn judge_path(world: &World, staging: &Staging, found: &mut Findings) {
    let id = staging.transfer;
    let mut here = SiteId::Center(staging.from.clone());
    for hop in &staging.hops {
        let Some(next) = across(world, hop, &here) else {
            found.say(Promise::Links, format!("{id} cannot go from {here} over {hop}"));
            return;
        };
        here = next;
    }
    found.judge(Promise::Links, here == SiteId::Center(staging.to.clone()), || {
        format!("{id} is to reach {} and its path ends at {here}", staging.to)
    });
    let apart = staging.steps.windows(2).all(|pair| pair[0].until <= pair[1].from);
    let lasting = |step: &RateStep| step.from < step.until;
    found.judge(Promise::Links, apart && staging.steps.iter().all(lasting), || {
        format!("{id} reserves its rates at times that are empty, overlap or go back")
    });
}

/// The site a hop leads to from `here`; none where there is no such way.
pub(crate) fn across(world: &World, hop: &Hop, here: &SiteId) -> Option<SiteId> {
    let link = world.links.get(&hop.link)?;
    let (from, to) = if hop.forward { (&link.a, &link.b) } else { (&link.b, &link.a) };
    (from == here).then(|| to.clone())
}

/// Judges the reservations on the directions of `links`.
pub(crate) fn judge_capacity(
    world: &World,
    links: Judged<'_, LinkId>,
    whom: Judged<'_, TransferId>,
    found: &mut Findings,
) {
    let mut claims: BTreeMap<&Hop, Vec<Claim<TransferId>>> = BTreeMap::new();
    for staging in world.transfers.values() {
        let (who, judged) = (staging.transfer, whom.is(&staging.transfer));
        for hop in staging.hops.iter().filter(|hop| links.is(&hop.link)) {
            let claim = |step: &RateStep| {
                let RateStep { from, until, rate: Rate(amount) } = *step;
                Claim { who, from, until, amount, judged }
            };
            claims.entry(hop).or_default().extend(staging.steps.iter().map(claim));
        }
    }
    for (hop, claims) in claims {
        // A link that does not exist is told by the path that crosses it.
        let Some(link) = world.links.get(&hop.link) else { continue };
        let carries = if world.cut.contains(&hop.link) { Rate::ZERO } else { link.capacity };
        if let Some(over) = overdraft(&claims, carries.0) {
            let (total, names) = (Rate(over.total), over.names());
            let what = format!("{hop}: {total} of {carries} reserved at {} by {names}", over.at);
            found.say(Promise::Links, what);
        }
    }
}
