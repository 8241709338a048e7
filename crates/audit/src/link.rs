//! Links: paths exist, and no direction of a link is promised beyond what it has.

use crate::Judged;
use crate::overdraft::{Claim, overdraft};
use crate::promise::{Findings, Promise};
use model::attempt::{RateStep, Stream};
use model::job::Job;
use model::link::Hop;
use model::quality::LinkTest;
use model::{Attempt, AttemptId, CenterId, LinkId, Moment, Rate, SiteId, Staging, TransferId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
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

/// What a transfer reserves, for each store it comes from.
pub(crate) fn of_transfer(staging: &Staging) -> impl Iterator<Item = Reserved<'_>> {
    let (id, to) = (staging.transfer, &staging.to);
    staging.legs().map(move |(from, hops, steps)| Reserved { id, from, to, hops, steps })
}

impl<'a> From<&'a LinkTest> for Reserved<'a> {
    fn from(test: &'a LinkTest) -> Self {
        let LinkTest { transfer, from, to, hops, steps, .. } = test;
        Self { id: *transfer, from, to, hops, steps }
    }
}

/// All that is reserved in a world.
pub(crate) fn reserved(world: &World) -> impl Iterator<Item = Reserved<'_>> {
    let transfers = world.transfers.values().map(AsRef::as_ref).flat_map(of_transfer);
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

/// Judges the way an attempt reads an input by.
pub(crate) fn judge_stream(
    world: &World,
    attempt: &Attempt,
    stream: &Stream,
    found: &mut Findings,
) {
    let (id, to) = (attempt.attempt, SiteId::Center(attempt.placement.center().clone()));
    let from = SiteId::Center(stream.from.clone());
    let end = stream.hops.iter().try_fold(from, |here, hop| across(world, hop, &here));
    found.judge(Promise::Links, end.as_ref() == Some(&to), || {
        format!("{id} is to read {} from {} and no way leads from there", stream.data, stream.from)
    });
}

/// Whoever holds bandwidth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    Transfer(TransferId),
    Attempt(AttemptId),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transfer(id) => id.fmt(f),
            Self::Attempt(id) => id.fmt(f),
        }
    }
}

/// When an attempt holds what was planned for it: from its real start, where that is later, until it
/// must end, where that is sooner.
fn window(job: &Job, attempt: &Attempt) -> (Moment, Moment) {
    let (mut from, mut until) = (attempt.placement.start, attempt.placement.until);
    if let Some(started) = attempt.state.started() {
        from = from.max(started);
        let limit = attempt.placement.parts.first().and_then(|part| job.spec.limit(part.variant));
        until = until.min(limit.map_or(Moment::MAX, |limit| started + limit));
    }
    (from, attempt.preempted.map_or(until, |preempted| until.min(preempted.until)))
}

/// Judges the reservations on the directions of `links`; those of attempts are all looked at where one
/// was offered that reads over a link.
pub(crate) fn judge_capacity(
    world: &World,
    links: Judged<'_, LinkId>,
    (transfers, attempts): (Judged<'_, TransferId>, Judged<'_, AttemptId>),
    found: &mut Findings,
) {
    let mut claims: BTreeMap<&Hop, Vec<Claim<Holder>>> = BTreeMap::new();
    for Reserved { id, hops, steps, .. } in reserved(world) {
        let (who, judged) = (Holder::Transfer(id), transfers.is(&id));
        for hop in hops.iter().filter(|hop| links.is(&hop.link)) {
            let claim = |step: &RateStep| {
                let RateStep { from, until, rate: Rate(amount) } = *step;
                Claim { who, from, until, amount, judged }
            };
            claims.entry(hop).or_default().extend(steps.iter().map(claim));
        }
    }
    for id in world.readers() {
        let Some((job, attempt)) = world.job(id.job).and_then(|j| Some((j, j.phase.attempt()?)))
        else {
            continue;
        };
        let (from, until) = window(job, attempt);
        for stream in &attempt.placement.streams {
            let from = from.max(stream.since);
            for hop in stream.hops.iter().filter(|hop| links.is(&hop.link) && from < until) {
                let (who, judged) = (Holder::Attempt(id), attempts.is(&id));
                let claim = Claim { who, from, until, amount: stream.rate.0, judged };
                claims.entry(hop).or_default().push(claim);
            }
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
