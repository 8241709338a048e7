//! Where the data is: copies in stores, and copies on their way, whose bandwidth is booked as the
//! planner books it.

use crate::Error;
use crate::load::Stock;
use calendar::Work;
use controller::Declarations;
use model::link::SiteId;
use model::{Bytes, DatasetId, Moment, Rate, Region};
use network::{Allowed, Link, Links, Site, Topology, TransferPlan, TransferRequest};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

/// Stretches that leave less than this part of a path are left to others, as the planner leaves them.
const LEAST_PART: u64 = 16;

/// The copies of all datasets. Centers and datasets are numbers: their places in the network and in
/// the stock.
#[derive(Debug)]
pub(super) struct Copies<'a> {
    stock: &'a [Stock],
    numbers: BTreeMap<&'a DatasetId, usize>,
    centers: Vec<&'a str>,
    topology: Topology,
    links: Links,
    /// For each dataset, which of `homes` it may be in.
    home: Vec<usize>,
    homes: Vec<Home>,
    /// Price of a link in millionths for a gigabit, by its name.
    prices: BTreeMap<&'a str, f64>,
    copies: BTreeMap<(usize, usize), Copy>,
    stores: Vec<Store>,
}

/// Where datasets of one residency may be, and how they get from center to center there.
#[derive(Debug)]
struct Home {
    residency: Vec<Region>,
    allowed: Allowed,
    /// By numbers of both centers; found when first asked for.
    legs: Vec<OnceCell<Option<Leg>>>,
}

/// The shortest path between two centers.
#[derive(Debug, Clone, Copy)]
struct Leg {
    latency_us: u64,
    capacity: Rate,
    /// In millionths for a gigabit.
    price: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Copy {
    /// From when on it is there.
    ready: u64,
    used: u64,
    users: u32,
}

#[derive(Debug, Clone, Copy)]
struct Store {
    holds: Bytes,
    most: Bytes,
}

/// A copy's way to where it is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Way {
    /// When it is there.
    pub(super) ready: u64,
    /// What is moved for it.
    pub(super) moved: Bytes,
    /// What that costs, in millionths.
    pub(super) price: f64,
}

impl<'a> Copies<'a> {
    /// As they lie at the start.
    pub(super) fn new(network: &'a Declarations, stock: &'a [Stock]) -> Result<Self, Error> {
        let topology = topology(network)?;
        let mut homes: Vec<Home> = Vec::new();
        let mut home = Vec::new();
        for data in stock {
            let same = homes.iter().position(|home| home.residency == data.residency);
            home.push(same.unwrap_or(homes.len()));
            if same.is_none() {
                homes.push(Home::new(&topology, &data.residency, network.centers.len()));
            }
        }
        let store =
            |most: Option<Bytes>| Store { holds: Bytes::ZERO, most: most.unwrap_or_default() };
        let price = |link: &'a model::Link| {
            (link.link.as_str(), link.price_per_gbps_hour.micros as f64 / 3_600.0)
        };
        let mut this = Self {
            stock,
            numbers: stock.iter().enumerate().map(|(n, s)| (&s.data.dataset, n)).collect(),
            centers: network.centers.iter().map(|c| c.center.as_str()).collect(),
            links: Links::new(&topology),
            topology,
            home,
            homes,
            prices: network.links.iter().map(price).collect(),
            copies: BTreeMap::new(),
            stores: network.centers.iter().map(|center| store(center.store)).collect(),
        };
        for (number, data) in stock.iter().enumerate() {
            for home in &data.at {
                let center = this.centers.iter().position(|c| *c == home.as_str());
                let center = center.ok_or_else(|| Error::Unfit {
                    said: format!("{} lies at {home}, which is no center", data.data.dataset),
                    help: "name a center of the network".to_owned(),
                })?;
                this.copies.insert((number, center), Copy::default());
                this.stores[center].holds += data.bytes;
            }
        }
        Ok(this)
    }

    /// The number of a dataset.
    pub(super) fn number(&self, dataset: &DatasetId) -> Option<usize> {
        self.numbers.get(dataset).copied()
    }

    /// Whether a copy is at the center.
    pub(super) fn is_at(&self, data: usize, center: usize, now: u64) -> bool {
        self.copies.get(&(data, center)).is_some_and(|copy| copy.ready <= now)
    }

    /// How fast anything can come into these centers from elsewhere, by all links that lead there.
    pub(super) fn inbound(&self, centers: &BTreeSet<usize>) -> Rate {
        let inside = |site: &str| centers.iter().any(|center| self.centers[*center] == site);
        let links = self.topology.links().iter();
        let into = links.filter(|link| inside(&link.a) != inside(&link.b));
        into.fold(Rate(0), |all, link| Rate(all.0.saturating_add(link.capacity.0)))
    }

    /// How a copy would come to the center from the nearest one there is if nothing else were on its
    /// way; `None` where it may not, or cannot.
    pub(super) fn way(&self, data: usize, center: usize, now: u64) -> Option<Way> {
        if let Some(copy) = self.copies.get(&(data, center)) {
            return Some(Way { ready: copy.ready.max(now), moved: Bytes::ZERO, price: 0.0 });
        }
        if self.stores[center].most == Bytes::ZERO {
            return None;
        }
        let there = self.copies.range((data, 0)..=(data, usize::MAX));
        let there = there.filter(|(_, copy)| copy.ready <= now).map(|((_, at), _)| *at);
        let near = there.filter_map(|from| self.leg(&self.homes[self.home[data]], from, center));
        let leg = near.min_by_key(|leg| leg.latency_us)?;
        let bytes = self.stock[data].bytes;
        let gigabits = bytes.0 as f64 * 8.0 / 1e9;
        let takes = bytes.time_at(leg.capacity)?;
        Some(Way { ready: now.saturating_add(takes.0), moved: bytes, price: leg.price * gigabits })
    }

    fn leg(&self, home: &Home, from: usize, to: usize) -> Option<Leg> {
        *home.legs[from * self.centers.len() + to].get_or_init(|| {
            let (from, to) = (self.centers[from], self.centers[to]);
            let paths = self.topology.paths(from, to, 1, &home.allowed);
            let path = paths.first()?;
            let price = |hop: &model::link::Hop| self.prices.get(hop.link.as_str());
            Some(Leg {
                latency_us: path.latency_us,
                capacity: path.capacity,
                price: path.hops.iter().filter_map(price).sum(),
            })
        })
    }

    /// Brings the copy by what is free of links, and keeps it as long as somebody uses it; how that
    /// is done.
    pub(super) fn bring(&mut self, data: usize, center: usize, now: u64) -> Option<Way> {
        let mut way = self.way(data, center, now)?;
        if way.moved > Bytes::ZERO {
            way.ready = self.book(data, center, now)?;
            self.stores[center].holds += way.moved;
            self.make_room(center, now);
        }
        let copy = self.copies.entry((data, center)).or_default();
        copy.ready = way.ready;
        copy.used = now;
        copy.users += 1;
        Some(way)
    }

    /// Books the bandwidth of the soonest transfer there is, from all who have a copy; when it is
    /// there.
    fn book(&mut self, data: usize, center: usize, now: u64) -> Option<u64> {
        let there = self.copies.range((data, 0)..=(data, usize::MAX));
        let there = there.filter(|(_, copy)| copy.ready <= now);
        let sources: Vec<&str> = there.map(|((_, at), _)| self.centers[*at]).collect();
        let policy = planner::Policy::default();
        let request = TransferRequest {
            sources: &sources,
            to: self.centers[center],
            volume: self.stock[data].bytes.on_wire(),
            not_before: Moment(now),
            most: Rate::MAX,
            least_part: LEAST_PART,
            paths: policy.paths,
            at_once: policy.sources,
            allowed: self.homes[self.home[data]].allowed.clone(),
            by: Moment::MAX,
            spread: None,
        };
        self.links.forget_before(Moment(now));
        let plan = self.links.plan_transfer(&self.topology, &request, &mut Work::unbounded());
        let TransferPlan { booking, beside, arrives, .. } = plan.ok()?;
        for booking in beside.iter().map(|leg| &leg.booking).chain([&booking]) {
            self.links.book(booking).expect("a plan fits the links it was made on");
        }
        Some(arrives.0)
    }

    /// Somebody no longer uses it.
    pub(super) fn release(&mut self, data: usize, center: usize, now: u64) {
        if let Some(copy) = self.copies.get_mut(&(data, center)) {
            copy.users = copy.users.saturating_sub(1);
            copy.used = now;
        }
    }

    /// Copies used least recently give way, never the last of a dataset.
    fn make_room(&mut self, center: usize, now: u64) {
        while self.stores[center].holds > self.stores[center].most {
            let others = |data: usize| {
                let all = self.copies.range((data, 0)..=(data, usize::MAX));
                all.filter(|((_, at), copy)| *at != center && copy.ready <= now).count()
            };
            let idle = self.copies.iter().filter(|((data, at), copy)| {
                *at == center && copy.users == 0 && copy.ready <= now && others(*data) > 0
            });
            let Some((&key, _)) = idle.min_by_key(|(key, copy)| (copy.used, **key)) else { return };
            self.copies.remove(&key);
            let store = &mut self.stores[center];
            store.holds = store.holds.saturating_sub(self.stock[key.0].bytes);
        }
    }
}

impl Home {
    fn new(topology: &Topology, residency: &[Region], centers: usize) -> Self {
        let inside = |region: &str| {
            let region = region.parse::<Region>();
            let home = |region: &Region| residency.iter().any(|home| home.contains(region));
            residency.is_empty() || region.as_ref().is_ok_and(home)
        };
        Self {
            residency: residency.to_vec(),
            allowed: topology.allow(inside),
            legs: vec![OnceCell::new(); centers * centers],
        }
    }
}

fn topology(network: &Declarations) -> Result<Topology, Error> {
    let centers = network.centers.iter().filter_map(|center| {
        let region = center.site()?.region.to_string();
        Some(Site { name: center.center.to_string(), region })
    });
    let exchanges = network.exchanges.iter().map(|exchange| Site {
        name: exchange.exchange.to_string(),
        region: exchange.region.to_string(),
    });
    let end = |site: &SiteId| site.as_str().to_owned();
    let links = network.links.iter().map(|link| Link {
        link: link.link.clone(),
        a: end(&link.a),
        b: end(&link.b),
        capacity: link.capacity,
        latency_us: link.latency_us,
        toll: 0,
    });
    Topology::new(centers.chain(exchanges).collect(), links.collect()).map_err(|wrong| {
        Error::Unfit {
            said: wrong.to_string(),
            help: "the network's links must join sites that it has".to_owned(),
        }
    })
}
