//! Bringing data to where it is needed: the best replica over the best path, beside all other
//! bookings.

use crate::board::View;
use crate::candidate::Scene;
use crate::plan::Transfer;
use crate::refusal::Refusal;
use calendar::Work;
use model::{Bytes, CenterId, DatasetVersion, Moment, Money, Rate, Region, Staging, TransferId};
use network::{Booking, NoTransfer, Site, Topology, TransferRequest};
use std::collections::BTreeMap;
use world::{Version, World};

/// Stretches that allow less are left to others: a transfer is not cut into crumbs.
const LEAST_RATE: Rate = Rate(1_000_000);

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
        })
        .collect();
    Topology::new(sites.into_values().collect(), links).expect("sites and links are keyed by name")
}

/// Copies that jobs earlier in the same plan bring along.
#[derive(Debug, Default)]
pub(crate) struct Coming {
    copies: BTreeMap<(DatasetVersion, CenterId), Staging>,
}

impl Coming {
    /// Notes a copy to be brought, and books its bandwidth on the working view.
    pub(crate) fn add(&mut self, view: &mut View, staging: &Staging) {
        let key = (staging.data.clone(), staging.to.clone());
        if self.copies.insert(key, staging.clone()).is_none() {
            let booking = Booking { hops: staging.hops.clone(), steps: staging.steps.clone() };
            // Where a link was declared smaller meanwhile there is nothing left to book.
            let _ = view.links.book(&booking);
        }
    }

    /// How many copies there are.
    pub(crate) fn len(&self) -> usize {
        self.copies.len()
    }

    /// When a copy that is on its way, or will be, is there.
    pub(crate) fn arrives(
        &self,
        world: &World,
        data: &DatasetVersion,
        to: &CenterId,
    ) -> Option<Moment> {
        let under = world.transfer_to(data, to).map(|under| under.arrives);
        under.or_else(|| self.copies.get(&(data.clone(), to.clone())).map(|s| s.arrives))
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

/// The soonest way to have a copy of `version` at `to`.
pub(crate) fn stage(
    scene: &Scene<'_>,
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
    if let Some(staging) = coming.copies.get(&(data.clone(), to.clone())) {
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
        least: LEAST_RATE,
        paths: policy.paths,
        allowed,
    };
    let dataset = data.dataset.clone();
    let plan = view.links.plan_transfer(&view.topology, &request, work).map_err(|no| match no {
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

/// A moment before which no copy of `version` is at `to`, whatever is booked; none when there never
/// is one.
pub(crate) fn soonest(scene: &Scene<'_>, version: &Version, to: &CenterId) -> Option<Moment> {
    let registered = &version.registered;
    let Scene { view, situation, .. } = scene;
    let allowed = allowed(&view.topology, &registered.residency);
    let from = |source: &CenterId| {
        let (topology, now) = (&view.topology, situation.now);
        topology.soonest(source.as_str(), to.as_str(), registered.bytes, now, Rate::MAX, &allowed)
    };
    version.replicas.iter().filter_map(from).min()
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
    let bits = i128::from(bytes.0) * 8;
    let mut total = Money::zero(model::Currency::CNY);
    for hop in &booking.hops {
        let Some(link) = world.links.get(&hop.link) else { continue };
        let micros = i128::from(link.price_per_gbps_hour.micros) * bits / 3_600_000_000_000;
        total.currency = link.price_per_gbps_hour.currency;
        total.micros = total.micros.saturating_add(i64::try_from(micros).unwrap_or(i64::MAX));
    }
    total
}
