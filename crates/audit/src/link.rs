//! Links: paths exist, and no direction of a link is promised beyond what it has.

use crate::Judged;
use crate::overdraft::{Claim, overdraft};
use crate::promise::{Findings, Promise};
use model::attempt::RateStep;
use model::link::Hop;
use model::quality::LinkTest;
use model::{CenterId, LinkId, Rate, SiteId, Staging, TransferId};
use std::collections::{BTreeMap, BTreeSet};
use world::World;

/// Bandwidth that a transfer or a test of a link reserves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reserved<'a> {
    id: TransferId,
    from: &'a CenterId,
    to: &'a CenterId,
    hops: &'a [Hop],
    steps: &'a [RateStep],
}

impl<'a> From<&'a Staging> for Reserved<'a> {
    fn from(staging: &'a Staging) -> Self {
        let Staging { transfer, from, to, hops, steps, .. } = staging;
        Self { id: *transfer, from, to, hops, steps }
    }
}

impl<'a> From<&'a LinkTest> for Reserved<'a> {
    fn from(test: &'a LinkTest) -> Self {
        let LinkTest { transfer, from, to, hops, steps, .. } = test;
        Self { id: *transfer, from, to, hops, steps }
    }
}

/// All that is reserved in a world.
pub(crate) fn reserved(world: &World) -> impl Iterator<Item = Reserved<'_>> {
    let transfers = world.transfers.values().map(|staging| (&**staging).into());
    transfers.chain(world.tests.values().map(|test| (&**test).into()))
}

impl Reserved<'_> {
    /// Which transfer or test.
    pub(crate) const fn id(&self) -> TransferId {
        self.id
    }

    /// Whether it crosses any of these links.
    pub(crate) fn crosses(&self, links: &BTreeSet<&LinkId>) -> bool {
        self.hops.iter().any(|hop| links.contains(&hop.link))
    }
}

/// Judges the path of a transfer or a test, and the shape of its reservation.
pub(crate) fn judge_path(world: &World, reserved: Reserved<'_>, found: &mut Findings) {
    let Reserved { id, from, to, hops, steps } = reserved;
    let mut here = SiteId::Center(from.clone());
    for hop in hops {
        let Some(next) = across(world, hop, &here) else {
            found.say(Promise::Links, format!("{id} cannot go from {here} over {hop}"));
            return;
        };
        here = next;
    }
    found.judge(Promise::Links, here == SiteId::Center(to.clone()), || {
        format!("{id} is to reach {to} and its path ends at {here}")
    });
    let apart = steps.windows(2).all(|pair| pair[0].until <= pair[1].from);
    let lasting = |step: &RateStep| step.from < step.until;
    found.judge(Promise::Links, apart && steps.iter().all(lasting), || {
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
    for Reserved { id: who, hops, steps, .. } in reserved(world) {
        let judged = whom.is(&who);
        for hop in hops.iter().filter(|hop| links.is(&hop.link)) {
            let claim = |step: &RateStep| {
                let RateStep { from, until, rate: Rate(amount) } = *step;
                Claim { who, from, until, amount, judged }
            };
            claims.entry(hop).or_default().extend(steps.iter().map(claim));
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
