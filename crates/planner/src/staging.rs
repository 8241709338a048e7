//! Bringing data to where it is needed: the best replica over the best path, beside all other
//! bookings.

use crate::board::View;
use crate::candidate::Scene;
use crate::plan::Transfer;
use crate::refusal::Refusal;
use crate::roster::Seat;
use calendar::Work;
use model::job::JobSpec;
use model::{Bytes, CenterId, DatasetVersion, Moment, Money, Rate, Region, Staging, TransferId};
use network::{Booking, Links, NoTransfer, Site, Spread, Topology, TransferRequest};
use std::collections::BTreeMap;
use world::{Version, World};

/// The price of a path is the sum over its links, each rounded down to a micro-unit: no path has
/// more links than this.
const ROUNDED: i64 = 256;
/// Stretches that leave less than this part of a path are left to others: a transfer is not cut
/// into crumbs.
const LEAST_PART: u64 = 16;

/// The sites and links a world declares. A link with an end that was never declared carries
/// nothing.
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
        there(&link.a) && there(&link.b) && link.a != link.b
    });
    let links = links
        .map(|link| network::Link {
            link: link.link.clone(),
            a: link.a.to_string(),
            b: link.b.to_string(),
            capacity: link.capacity,
            latency_us: link.latency_us,
            toll: u64::try_from(link.price_per_gbps_hour.micros).unwrap_or(0),
        })
        .collect();
    Topology::new(sites.into_values().collect(), links).expect("sites and links are keyed by name")
}

/// Copies that jobs earlier in the same plan bring along.
#[derive(Debug, Default)]
pub(crate) struct Coming {
    copies: BTreeMap<DatasetVersion, BTreeMap<CenterId, Staging>>,
    /// What came where, in the order it was planned.
    planned: Vec<(DatasetVersion, CenterId)>,
}

impl Coming {
    /// Notes a copy to be brought, and books its bandwidth on the working view.
    pub(crate) fn add(&mut self, view: &mut View, staging: &Staging) {
        let copies = self.copies.entry(staging.data.clone()).or_default();
        if copies.insert(staging.to.clone(), staging.clone()).is_none() {
            let booking = Booking { hops: staging.hops.clone(), steps: staging.steps.clone() };
            // Where a link was declared smaller meanwhile there is nothing left to book.
            let _ = view.links.book(&booking);
            self.planned.push((staging.data.clone(), staging.to.clone()));
        }
    }

    /// Whether a job before brings this copy; its bandwidth is booked then.
    pub(crate) fn has(&self, staging: &Staging) -> bool {
        self.copies.get(&staging.data).is_some_and(|copies| copies.contains_key(&staging.to))
    }

    /// How many copies there are.
    pub(crate) fn len(&self) -> usize {
        self.planned.len()
    }

    /// Where copies of a job's inputs come to that were planned after the first `seen`.
    pub(crate) fn since(&self, seen: usize, world: &World, spec: &JobSpec) -> Vec<&CenterId> {
        let reads = |data: &DatasetVersion| {
            let versions = spec.inputs.iter().filter_map(|i| world.version(&i.dataset));
            versions.into_iter().any(|version| version.registered.data == *data)
        };
        let new = self.planned[seen..].iter().filter(|(data, _)| reads(data));
        new.map(|(_, center)| center).collect()
    }
}

/// How soon one input can be at each center.
pub(crate) struct Soonest<'a> {
    version: &'a Version,
    /// The sites that have it.
    at: Vec<usize>,
    /// Copies that jobs before bring along.
    planned: Option<&'a BTreeMap<CenterId, Staging>>,
    /// Whether any copy is under way.
    any_under_way: bool,
    spread: Spread,
}

impl<'a> Soonest<'a> {
    pub(crate) fn of(scene: &Scene<'a>, version: &'a Version) -> Self {
        let Scene { world, view, coming, situation, .. } = *scene;
        let registered = &version.registered;
        let allowed = allowed(&view.topology, &registered.residency);
        let sources = version.replicas.iter().map(CenterId::as_str);
        let now = situation.now;
        let what = (registered.bytes, now, Rate::MAX, LEAST_PART);
        let spread = view.links.spread(&view.topology, sources, what, &allowed);
        let any_under_way = world.transfers_of(&registered.data).next().is_some();
        let at = version.replicas.iter().filter_map(|c| view.topology.number(c.as_str())).collect();
        Self { version, at, planned: coming.copies.get(&registered.data), any_under_way, spread }
    }

    fn is_at(&self, seat: &Seat) -> bool {
        match seat.site {
            Some(site) => self.at.contains(&site),
            None => self.version.replicas.contains(&seat.center.center),
        }
    }

    /// When a copy that is on its way to the center is there.
    fn coming(&self, scene: &Scene<'_>, center: &CenterId) -> Option<Moment> {
        let data = &self.version.registered.data;
        let under_way = match self.any_under_way {
            true => scene.world.transfer_to(data, center),
            false => None,
        };
        let arrives = under_way.map(|transfer| transfer.arrives.max(scene.situation.now));
        arrives.or_else(|| Some(self.planned?.get(center)?.arrives))
    }

    /// What bringing it to the seat's center costs at least, in micro-units.
    pub(crate) fn price(&self, scene: &Scene<'_>, seat: &Seat) -> i64 {
        if self.is_at(seat) || self.coming(scene, &seat.center.center).is_some() {
            return 0;
        }
        let toll = seat.site.map_or(0, |site| scene.view.topology.least_toll(&self.spread, site));
        let toll = i64::try_from(toll).unwrap_or(i64::MAX);
        toll_for(self.version.registered.bytes, toll).saturating_sub(ROUNDED)
    }

    /// A moment before which it is not at the seat's center; none when it never is.
    pub(crate) fn at(&self, scene: &Scene<'_>, seat: &Seat) -> Option<Moment> {
        if self.is_at(seat) {
            return Some(scene.situation.now);
        }
        match self.coming(scene, &seat.center.center) {
            Some(arrives) => Some(arrives),
            None => scene.view.topology.soonest(&self.spread, seat.site?),
        }
    }
}

/// How a dataset version gets to a center.
pub(crate) enum Staged {
    /// It is there.
    Here,
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

/// The soonest way to have a copy of `version` at `to`, given what is free on `links`.
pub(crate) fn stage(
    scene: &Scene<'_>,
    links: &Links,
    version: &Version,
    to: &CenterId,
    work: &mut Work,
) -> Result<Staged, Refusal> {
    if version.replicas.contains(to) {
        return Ok(Staged::Here);
    }
    let Scene { world, view, coming, situation, policy } = scene;
    let now = situation.now;
    let registered = &version.registered;
    let data = &registered.data;
    if let Some(under) = world.transfer_to(data, to) {
        let (transfer, arrives) = (Transfer::Under(under.transfer), under.arrives.max(now));
        return Ok(Staged::Coming { transfer, arrives, price: 0 });
    }
    if let Some(staging) = coming.copies.get(data).and_then(|copies| copies.get(to)) {
        let (transfer, arrives) = (Transfer::New(staging.clone()), staging.arrives);
        return Ok(Staged::Coming { transfer, arrives, price: 0 });
    }
    if world.centers.get(to).is_none_or(|c| c.center.store.is_none()) {
        return Err(Refusal::NoStore);
    }
    let reachable = |center: &&CenterId| {
        let state = world.centers.get(*center);
        let door = state.is_some_and(|s| {
            let agent = s.agent.as_ref();
            agent.is_some_and(|a| a.data_url.is_some() || s.center.data_url.is_some())
        });
        door && !situation.silent.contains_key(*center)
    };
    let sources: Vec<&str> =
        version.replicas.iter().filter(reachable).map(CenterId::as_str).collect();
    let allowed = allowed(&view.topology, &registered.residency);
    let request = TransferRequest {
        sources: &sources,
        to: to.as_str(),
        volume: registered.bytes,
        not_before: now,
        most: Rate::MAX,
        least_part: LEAST_PART,
        paths: policy.paths,
        allowed,
    };
    let dataset = data.dataset.clone();
    let plan = links.plan_transfer(&view.topology, &request, work).map_err(|no| match no {
        NoTransfer::NoReplica => Refusal::NoReplica { dataset: dataset.clone() },
        NoTransfer::NoPath { .. }
        | NoTransfer::ForbiddenRegion { .. }
        | NoTransfer::NoBandwidth { .. } => Refusal::NoPath { dataset: dataset.clone() },
    })?;
    let price = link_price(world, &plan.booking, registered.bytes);
    let staging = Staging {
        transfer: TransferId::new(0),
        data: data.clone(),
        bytes: registered.bytes,
        from: CenterId::new(&plan.source).expect("sources are centers"),
        to: to.clone(),
        hops: plan.booking.hops,
        steps: plan.booking.steps,
        arrives: plan.arrives,
        price,
    };
    let (arrives, micros) = (staging.arrives, price.micros);
    Ok(Staged::Coming { transfer: Transfer::New(staging), arrives, price: micros })
}

/// Where a dataset may be, even in passing.
fn allowed(topology: &Topology, residency: &[Region]) -> network::Allowed {
    let names: Vec<String> = residency.iter().map(ToString::to_string).collect();
    topology.within(&names, |region| allows(residency, region))
}

fn allows(residency: &[Region], region: &str) -> bool {
    residency.is_empty()
        || region.parse::<Region>().is_ok_and(|r| residency.iter().any(|a| a.contains(&r)))
}

/// What moving `bytes` over the booking's links costs: each link's price for a Gbit/s and hour,
/// times the Gbit/s and hours the volume takes, whatever its rate.
fn link_price(world: &World, booking: &Booking, bytes: Bytes) -> Money {
    let mut total = Money::zero(model::Currency::CNY);
    for hop in &booking.hops {
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
