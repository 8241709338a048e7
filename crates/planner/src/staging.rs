//! Bringing data to where it is needed: the best replica over the best path, beside all other
//! bookings.

use crate::coming::Coming;
use crate::proposal::Transfer;
use crate::refusal::Refusal;
use crate::roster::Seat;
use crate::scene::Scene;
use crate::view::View;
use crate::{Policy, Situation};
use calendar::Work;
use model::attempt::{Leg, RateStep};
use model::link::Hop;
use model::{
    Bytes, Center, CenterId, Currency, Lies, Moment, Money, Rate, Region, Span, Staging, TransferId,
};
use network::{Allowed, Booking, Links, NoTransfer, Site, Spread, Topology, TransferRequest};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use world::{Version, World};

/// The price of a path is the sum over its links, each rounded down to a micro-unit: no path has
/// more links than this.
const ROUNDED: i64 = 256;
/// Stretches that leave less than this part of a path are left to others: a transfer is not cut
/// into crumbs.
const LEAST_PART: u64 = 16;

/// The sites and links a world declares. A link with an end that was never declared carries
/// nothing, and neither does one that is cut.
pub(crate) fn topology(world: &World) -> Topology {
    let centers = world.centers.iter().filter_map(|(id, state)| {
        let region = state.center.site()?.region.to_string();
        Some(Site { name: id.to_string(), region })
    });
    let exchanges = world
        .exchanges
        .values()
        .map(|e| Site { name: e.exchange.to_string(), region: e.region.to_string() });
    let sites: BTreeMap<String, Site> =
        centers.chain(exchanges).map(|site| (site.name.clone(), site)).collect();
    let links = world.links.values().filter(|link| {
        let there = |end: &model::SiteId| sites.contains_key(end.as_str());
        there(&link.a) && there(&link.b) && link.a != link.b && !world.cut.contains(&link.link)
    });
    let links = links
        .map(|link| network::Link {
            link: link.link.clone(),
            a: link.a.to_string(),
            b: link.b.to_string(),
            capacity: world.planned_rate(link),
            latency_us: link.latency_us,
            toll: u64::try_from(link.price_per_gbps_hour.micros).unwrap_or(0),
        })
        .collect();
    Topology::new(sites.into_values().collect(), links).expect("sites and links are keyed by name")
}

/// How soon one input can be at each center.
pub(crate) struct Soonest<'a> {
    version: &'a Version,
    /// The sites that have it, and when jobs there can read it.
    at: Vec<(usize, Moment)>,
    /// The sites a copy is on its way to, and when it is there.
    coming: Vec<(usize, Moment)>,
    spread: Spread,
    /// Where it may be, even in passing.
    allowed: Allowed,
    /// Centers that have it and answer, and whether each has a door; worked out when it is first asked
    /// for.
    sources: OnceCell<Vec<(&'a str, bool)>>,
}

impl<'a> Soonest<'a> {
    pub(crate) fn of(scene: &Scene<'a>, version: &'a Version) -> Self {
        let Scene { world, view, coming, situation, .. } = *scene;
        let registered = &version.registered;
        let allowed = allowed(&view.topology, &registered.residency);
        let sources = (version.replicas.keys().map(CenterId::as_str), scene.policy.sources);
        let now = situation.now;
        let what = (registered.bytes.on_wire(), now, Rate::MAX, LEAST_PART);
        let spread = view.links.spread(&view.topology, sources, what, &allowed);
        let site = |center: &CenterId| view.topology.number(center.as_str());
        let ready = |center: &CenterId| Some((site(center)?, now + reading(version, center)));
        let at = version.replicas.keys().filter_map(ready).collect();
        let under_way = world.transfers_of(&registered.data).map(AsRef::as_ref);
        let planned = coming.of(&registered.data);
        let arrival = |s: &Staging| Some((site(&s.to)?, s.arrives.max(now)));
        let coming = under_way.chain(planned).filter_map(arrival).collect();
        Self { version, at, coming, spread, allowed, sources: OnceCell::new() }
    }

    /// Which version it is about.
    pub(crate) const fn version(&self) -> &'a Version {
        self.version
    }

    /// The centers it can be had from at `to`, and whether each has a door: where `to` has one, those
    /// without send it there.
    fn sources(&self, scene: &Scene<'a>, to: &CenterId) -> impl Iterator<Item = (&'a str, bool)> {
        let known = self.sources.get_or_init(|| {
            let all = holders(scene, self.version).map(|(center, door)| (center.as_str(), door));
            all.collect()
        });
        let opens = has_door(scene.world, to);
        known.iter().copied().filter(move |(_, door)| *door || opens)
    }

    /// What limits reading the copy of a source beside its links: how long it takes to begin, and how
    /// much goes on the links at most.
    fn limits(&self, source: &str) -> (Span, Rate) {
        let lies = CenterId::new(source).ok();
        let lies = lies.and_then(|center| self.version.lies_only_in_place(&center));
        let most = |lies: &Lies| lies.rate.map_or(Rate::MAX, Rate::on_wire);
        lies.map_or((Span::ZERO, Rate::MAX), |lies| (lies.recall, most(lies)))
    }

    /// A moment before which it is nowhere else than where it is or comes to already; none when it
    /// never is.
    pub(crate) fn elsewhere(&self) -> Option<Moment> {
        self.spread.soonest_elsewhere()
    }

    /// The centers it is at or comes to already.
    pub(crate) fn centers<'s>(&'s self, scene: &Scene<'s>) -> impl Iterator<Item = &'s CenterId> {
        let data = &self.version.registered.data;
        let under_way = scene.world.transfers_of(data).map(|staging| &staging.to);
        let planned = scene.coming.of(data).map(|staging| &staging.to);
        self.version.replicas.keys().chain(under_way).chain(planned)
    }

    /// A moment before which it is not at the seat's center, and what bringing it costs at least, in
    /// micro-units; none when it never is there.
    pub(crate) fn at(&self, scene: &Scene<'_>, seat: &Seat) -> Option<(Moment, i64)> {
        let Some(site) = seat.site else {
            let center = &seat.center.center;
            let ready = scene.situation.now + reading(self.version, center);
            return self.version.replicas.contains_key(center).then_some((ready, 0));
        };
        if let Some((_, ready)) = self.at.iter().find(|(at, _)| *at == site) {
            return Some((*ready, 0));
        }
        if let Some((_, arrives)) = self.coming.iter().find(|(to, _)| *to == site) {
            return Some((*arrives, 0));
        }
        let soonest = scene.view.topology.soonest(&self.spread, site)?;
        Some((soonest, self.toll_to(scene, site)))
    }

    /// A moment before which it is not at the seat's center, by what is booked on the way into it.
    pub(crate) fn into(&self, scene: &Scene<'_>, seat: &Seat, work: &mut Work) -> Moment {
        let Scene { view, situation, .. } = scene;
        match seat.site.filter(|site| !self.has(*site)) {
            None => situation.now,
            Some(site) => {
                view.links.soonest_into(&view.topology, &self.spread, site, LEAST_PART, work)
            }
        }
    }

    /// Whether it is at a site or comes there already.
    fn has(&self, site: usize) -> bool {
        self.at.iter().any(|(at, _)| *at == site)
            || self.coming.iter().any(|(coming, _)| *coming == site)
    }

    /// What bringing it to a site costs at least, in micro-units.
    fn toll_to(&self, scene: &Scene<'_>, site: usize) -> i64 {
        let toll = scene.view.topology.least_toll(&self.spread, site);
        let toll = i64::try_from(toll).unwrap_or(i64::MAX);
        toll_for(self.version.registered.bytes, toll).saturating_sub(ROUNDED)
    }

    /// What bringing it to any of these sites costs at least that it is not at or comes to already;
    /// nothing when there is no such site.
    pub(crate) fn toll_elsewhere(
        &self,
        scene: &Scene<'_>,
        sites: impl Iterator<Item = usize>,
    ) -> i64 {
        let tolls = sites.filter(|site| !self.has(*site)).map(|site| self.toll_to(scene, site));
        tolls.min().unwrap_or(0)
    }
}

/// The centers that have a copy and a door to give it out by.
pub(crate) fn sources<'a>(scene: &Scene<'a>, version: &'a Version) -> Vec<&'a str> {
    let open = holders(scene, version).filter(|(_, door)| *door);
    open.map(|(center, _)| center.as_str()).collect()
}

/// The centers that have a copy and answer, and whether each has a door.
pub(crate) fn holders<'a>(
    scene: &Scene<'a>,
    version: &'a Version,
) -> impl Iterator<Item = (&'a CenterId, bool)> {
    let Scene { world, situation, .. } = *scene;
    let answers = move |center: &&CenterId| {
        let state = world.centers.get(*center);
        state.is_some_and(|state| state.agent.is_some()) && !situation.silent.contains_key(*center)
    };
    version.replicas.keys().filter(answers).map(move |center| (center, has_door(world, center)))
}

fn has_door(world: &World, center: &CenterId) -> bool {
    world.centers.get(center).is_some_and(world::CenterState::has_door)
}

/// How long it takes until jobs in a center can read the copy that is there: one that lies in an
/// external store is brought into the center's own first.
pub(crate) fn reading(version: &Version, center: &CenterId) -> Span {
    let lies = version.lies_only_in_place(center);
    lies.map_or(Span::ZERO, |lies| lies.time_to_read(version.registered.bytes))
}

/// How a dataset version gets to a center.
pub(crate) enum Staged {
    /// It is there, or its center brings it into its own store.
    Here {
        /// When jobs there can read it.
        from: Moment,
    },
    /// By a transfer.
    Coming {
        /// Which.
        transfer: Transfer,
        /// When it is there.
        arrives: Moment,
        /// What it costs this job, in micro-units.
        price: i64,
    },
}

/// The soonest way to have a copy of `version` at `to`, given what is free on `links`; a way that
/// takes longer than until `by` is of no use. What is `known` of how soon it can be anywhere is not
/// worked out again.
pub(crate) fn stage<'a>(
    scene: &Scene<'a>,
    links: &Links,
    version: &'a Version,
    (seat, by): (&Seat, Moment),
    known: Option<&Soonest<'a>>,
    work: &mut Work,
) -> Result<Staged, Refusal> {
    let own;
    let soonest = match known {
        Some(known) => known,
        None => {
            own = Soonest::of(scene, version);
            &own
        }
    };
    let to = &seat.center.center;
    if seat.site.is_none_or(|site| soonest.has(site))
        && let Some(staged) = staged_already(scene, version, to)
    {
        return Ok(staged);
    }
    if seat.center.store.is_none() {
        return Err(Refusal::NoStore);
    }
    let staging = fetch(scene, links, soonest, (to, by), work)?;
    let (arrives, micros) = (staging.arrives, staging.price.micros);
    Ok(Staged::Coming { transfer: Transfer::New(Box::new(staging)), arrives, price: micros })
}

/// The transfer that has a copy of `version` at `to` soonest, given what is booked by now: the
/// planner's own answer for whoever wants a copy without a job. Its number is still to be given. The
/// refusals are those of jobs: no store, no replica that is given out, no path.
pub fn copy(
    world: &World,
    view: &View,
    situation: &Situation,
    policy: &Policy,
    (version, to): (&Version, &Center),
) -> Result<Staging, Refusal> {
    if to.store.is_none() {
        return Err(Refusal::NoStore);
    }
    let coming = Coming::default();
    let scene = &Scene { world, view, coming: &coming, situation, policy };
    let soonest = Soonest::of(scene, version);
    let mut work = Work::unbounded();
    fetch(scene, &view.links, &soonest, (&to.center, Moment::MAX), &mut work)
}

/// Why a copy can be had from nowhere: nobody who answers has one, or it is on its way to a relay, or
/// neither end has a door.
pub(crate) fn nowhere(scene: &Scene<'_>, version: &Version, to: &CenterId) -> Refusal {
    let registered = &version.registered;
    let dataset = registered.data.dataset.clone();
    let relays = scene.world.transfers_of(&registered.data);
    let relays = relays.filter(|staging| has_door(scene.world, &staging.to));
    if let Some(first) = relays.min_by_key(|staging| staging.arrives) {
        let (relay, arrives) = (first.to.clone(), first.arrives.max(scene.situation.now));
        return Refusal::InPassing { dataset, relay, arrives };
    }
    match holders(scene, version).next() {
        Some((from, _)) => {
            let to = (!has_door(scene.world, to)).then(|| to.clone());
            Refusal::NoDoor { dataset, from: from.clone(), to }
        }
        None => Refusal::NoReplica { dataset },
    }
}

/// The soonest transfer to a center that has no copy and gets none.
fn fetch<'a>(
    scene: &Scene<'a>,
    links: &Links,
    soonest: &Soonest<'a>,
    (to, by): (&CenterId, Moment),
    work: &mut Work,
) -> Result<Staging, Refusal> {
    let Scene { world, view, situation, policy, .. } = scene;
    let registered = &soonest.version.registered;
    let data = &registered.data;
    // What limits a source beside the links, those without limits first: most often all are. One that
    // sends does so alone.
    let mut limits: BTreeMap<(Span, Rate, bool), Vec<&str>> = BTreeMap::new();
    for (source, has_door) in soonest.sources(scene, to) {
        let (recall, most) = soonest.limits(source);
        limits.entry((recall, most, !has_door)).or_default().push(source);
    }
    if limits.is_empty() {
        return Err(nowhere(scene, soonest.version, to));
    }
    let (mut best, mut refused, mut by) = (None, None, by);
    for ((recall, most, sends), sources) in &limits {
        let request = TransferRequest {
            sources,
            to: to.as_str(),
            volume: registered.bytes.on_wire(),
            not_before: situation.now + *recall,
            most: *most,
            least_part: LEAST_PART,
            paths: policy.paths,
            at_once: if *sends { 1 } else { policy.sources },
            allowed: soonest.allowed.clone(),
            by,
            spread: Some(&soonest.spread),
        };
        match links.plan_transfer(&view.topology, &request, work) {
            Ok(plan) => {
                by = Moment(plan.arrives.0.saturating_sub(1));
                best = Some(plan);
            }
            Err(no) => refused = refused.or(Some(no)),
        }
    }
    let plan = best.ok_or_else(|| match refused {
        Some(NoTransfer::TooLate { .. }) => Refusal::NoWindow,
        None | Some(NoTransfer::NoReplica) => Refusal::NoReplica { dataset: data.dataset.clone() },
        Some(
            NoTransfer::NoPath { .. }
            | NoTransfer::ForbiddenRegion { .. }
            | NoTransfer::NoBandwidth { .. },
        ) => Refusal::NoPath { dataset: data.dataset.clone() },
    })?;
    let center = |source: &str| CenterId::new(source).expect("sources are centers");
    let leg = |leg: network::Leg| {
        let Booking { hops, steps } = leg.booking;
        Leg { from: center(&leg.source), hops, steps }
    };
    let from = center(&plan.source);
    let mut staging = Staging {
        transfer: TransferId::new(0),
        data: data.clone(),
        bytes: registered.bytes,
        sent: !has_door(world, &from),
        passing: false,
        from,
        to: to.clone(),
        hops: plan.booking.hops,
        steps: plan.booking.steps,
        beside: plan.beside.into_iter().map(leg).collect(),
        arrives: plan.arrives,
        price: Money::zero(Currency::CNY),
    };
    staging.price = transfer_price(world, &staging);
    Ok(staging)
}

/// How a version is at a center already, or gets there without anything being done for it.
fn staged_already(scene: &Scene<'_>, version: &Version, to: &CenterId) -> Option<Staged> {
    let Scene { world, coming, situation, .. } = scene;
    let data = &version.registered.data;
    if version.replicas.contains_key(to) {
        return Some(Staged::Here { from: situation.now + reading(version, to) });
    }
    if let Some(under) = world.transfer_to(data, to) {
        let arrives = under.arrives.max(situation.now);
        let transfer = Transfer::Under(under.transfer);
        return Some(Staged::Coming { transfer, arrives, price: 0 });
    }
    let staging = coming.to(data, to)?;
    let (transfer, arrives) = (Transfer::New(Box::new(staging.clone())), staging.arrives);
    Some(Staged::Coming { transfer, arrives, price: 0 })
}

/// Where a dataset may be, even in passing.
pub(crate) fn allowed(topology: &Topology, residency: &[Region]) -> Allowed {
    let names: Vec<String> = residency.iter().map(ToString::to_string).collect();
    topology.within(&names, |region| allows(residency, region))
}

fn allows(residency: &[Region], region: &str) -> bool {
    residency.is_empty()
        || region.parse::<Region>().is_ok_and(|r| residency.iter().any(|a| a.contains(&r)))
}

/// What a transfer's links hold for it, a booking for each store it comes from.
pub(crate) fn bookings(staging: &Staging) -> impl Iterator<Item = Booking> {
    staging.legs().map(|(_, hops, steps)| Booking { hops: hops.to_vec(), steps: steps.to_vec() })
}

/// What a transfer costs: of what comes from each store its part.
fn transfer_price(world: &World, staging: &Staging) -> Money {
    let bits = |steps: &[RateStep]| -> u128 {
        steps.iter().map(|s| u128::from(s.rate.0) * u128::from(s.until.since(s.from).0)).sum()
    };
    let all = staging.legs().map(|(.., steps)| bits(steps)).sum::<u128>().max(1);
    let mut left = staging.bytes;
    let mut total = Money::zero(Currency::CNY);
    for (number, (_, hops, steps)) in staging.legs().enumerate() {
        let part = u128::from(staging.bytes.0) * bits(steps) / all;
        let part = match number == staging.beside.len() {
            true => left,
            false => Bytes(u64::try_from(part).unwrap_or(u64::MAX)).min(left),
        };
        left = left.saturating_sub(part);
        let price = link_price(world, hops, part);
        total.currency = price.currency;
        total.micros = total.micros.saturating_add(price.micros);
    }
    total
}

/// What moving `bytes` over these links costs: each link's price for a Gbit/s and hour, times the
/// Gbit/s and hours the volume takes, whatever its rate.
pub(crate) fn link_price(world: &World, hops: &[Hop], bytes: Bytes) -> Money {
    let mut total = Money::zero(Currency::CNY);
    for hop in hops {
        let Some(link) = world.links.get(&hop.link) else { continue };
        total.currency = link.price_per_gbps_hour.currency;
        let toll = toll_for(bytes, link.price_per_gbps_hour.micros);
        total.micros = total.micros.saturating_add(toll);
    }
    total
}

/// What `bytes` cost on a link of this price for a Gbit/s and hour.
fn toll_for(bytes: Bytes, per_gbps_hour: i64) -> i64 {
    let micros = i128::from(per_gbps_hour) * i128::from(bytes.0) * 8 / 3_600_000_000_000;
    i64::try_from(micros).unwrap_or(i64::MAX)
}
