//! How far everything is from where a volume is, and how soon it can be there at best.

use super::{Allowed, Topology, Way};
use model::{Bytes, Moment, Rate, Span};
use pathfinding::prelude::dijkstra_all;
use std::sync::Arc;

/// From one site to each: latency in the upper bits, links crossed in the lower [`HOPS`].
pub(super) type Distances = Arc<[u64]>;
/// How many bits count links crossed.
const HOPS: u32 = 20;
/// The distance of what cannot be reached.
pub(super) const NEVER: u64 = u64::MAX;

/// A volume at its sources.
#[derive(Debug, Clone)]
pub struct Spread {
    pub(crate) from: Vec<Origin>,
    pub(crate) volume: Bytes,
    /// What one source brings of it at least, where several may bring it together.
    pub(crate) part: Bytes,
    pub(crate) not_before: Moment,
}

impl Spread {
    /// When the volume can be at the soonest at any site that is none of its sources. `None` when it
    /// leaves none of them.
    #[must_use]
    pub fn soonest_elsewhere(&self) -> Option<Moment> {
        let Self { from, volume, not_before, .. } = self;
        let leaves = from.iter().filter(|o| o.distances.is_some() && o.part.out < Moment::MAX);
        let arrives = |origin: &Origin| match *volume {
            Bytes::ZERO => Some(*not_before),
            _ => Some((*not_before + origin.part.takes?).max(origin.part.out)),
        };
        leaves.filter_map(arrives).min()
    }
}

/// A source, and what limits it wherever the volume goes.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    site: usize,
    widest: Rate,
    /// `None` where the volume must not be.
    distances: Option<Measured>,
    /// What it costs to get anywhere; nothing where nothing costs anything.
    tolls: Option<Measured>,
    /// All of it from here.
    pub(crate) whole: Leaving,
    /// The least that comes from here if anything does.
    pub(crate) part: Leaving,
}

/// How a volume leaves a site at best.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaving {
    /// When it is out at the soonest; the end of time where it never is.
    pub(crate) out: Moment,
    /// How long it takes where nothing is narrower than the site's own links.
    takes: Option<Span>,
}

/// How far everything is from a site: what leads out of it by its only link, then from there.
#[derive(Debug, Clone)]
struct Measured {
    first: u64,
    then: Distances,
}

impl Measured {
    fn to(&self, site: usize) -> Option<u64> {
        match self.then.get(site) {
            None | Some(&NEVER) => None,
            Some(distance) => Some(self.first.saturating_add(*distance)),
        }
    }
}

impl Topology {
    /// How soon a volume can be anywhere from these sources.
    pub(crate) fn origin(
        &self,
        site: usize,
        (volume, part): (Bytes, Bytes),
        most: Rate,
        allowed: &Allowed,
    ) -> Origin {
        let widest = self.widest[site].min(most);
        let leaving = |volume: Bytes| Leaving { out: Moment::ZERO, takes: volume.time_at(widest) };
        let (whole, part) = (leaving(volume), leaving(part));
        let mut origin = Origin { site, widest, distances: None, tolls: None, whole, part };
        if !allowed.has(site) {
            return origin;
        }
        // What is at the end of one link is as far from everything as its neighbor, and that link.
        let stub = self.stub(site);
        let start = stub.map_or(site, |way| way.to);
        let first = stub.map_or(0, |way| self.cost(&way));
        origin.distances = Some(Measured { first, then: self.distances(start, allowed) });
        if self.has_tolls {
            let first = stub.map_or(0, |way| self.links[way.link].toll);
            origin.tolls = Some(Measured { first, then: self.tolls(start, allowed) });
        }
        origin
    }

    /// When a spreading volume can be at a site at the soonest, over whatever path from whichever
    /// source: no plan arrives earlier. `None` when no path leads there.
    #[must_use]
    pub fn soonest(&self, spread: &Spread, to: usize) -> Option<Moment> {
        let part = |origin: &Origin| self.arrives(spread, origin, (spread.part, origin.part), to);
        spread.from.iter().filter_map(part).map(|(arrives, _)| arrives).min()
    }

    /// The same where all of it comes from one of its sources, and the latency of the shortest path
    /// from there.
    pub(crate) fn soonest_from(
        &self,
        spread: &Spread,
        from: usize,
        to: usize,
    ) -> Option<(Moment, Span)> {
        let origin = spread.from.iter().find(|origin| origin.site == from)?;
        self.arrives(spread, origin, (spread.volume, origin.whole), to)
    }

    fn arrives(
        &self,
        spread: &Spread,
        origin: &Origin,
        (volume, leaving): (Bytes, Leaving),
        to: usize,
    ) -> Option<(Moment, Span)> {
        let not_before = &spread.not_before;
        let distances = origin.distances.as_ref()?;
        if origin.site == to {
            return Some((*not_before, Span::ZERO));
        }
        let latency = latency_of(distances.to(to)?);
        if volume == Bytes::ZERO {
            return Some((*not_before + latency, latency));
        }
        let takes = match self.widest[to] < origin.widest {
            true => volume.time_at(self.widest[to])?,
            false => leaving.takes?,
        };
        if leaving.out == Moment::MAX {
            return None;
        }
        Some(((*not_before + takes).max(leaving.out) + latency, latency))
    }

    pub(super) fn distances(&self, from: usize, allowed: &Allowed) -> Distances {
        let origin = (from, allowed.number);
        if let Some(known) = self.known().distances.get(&origin) {
            return Arc::clone(known);
        }
        let distances = self.measure(from, allowed, |way| self.cost(way));
        self.known().distances.insert(origin, Arc::clone(&distances));
        distances
    }

    fn tolls(&self, from: usize, allowed: &Allowed) -> Distances {
        let origin = (from, allowed.number);
        if let Some(known) = self.known().tolls.get(&origin) {
            return Arc::clone(known);
        }
        let tolls = self.measure(from, allowed, |way| self.links[way.link].toll);
        self.known().tolls.insert(origin, Arc::clone(&tolls));
        tolls
    }

    fn measure(&self, from: usize, allowed: &Allowed, of: impl Fn(&Way) -> u64) -> Distances {
        let mut distances = vec![NEVER; self.sites.len()];
        if allowed.has(from) {
            distances[from] = 0;
            let successors = |site: &usize| -> Vec<(usize, u64)> {
                let ways = self.out[*site].iter().filter(|way| allowed.has(way.to));
                ways.map(|way| (way.to, of(way))).collect()
            };
            for (site, (_, distance)) in dijkstra_all(&from, successors) {
                distances[site] = distance;
            }
        }
        distances.into()
    }

    /// What a spreading volume pays in tolls at least to get to a site.
    #[must_use]
    pub fn least_toll(&self, spread: &Spread, to: usize) -> u64 {
        let toll = |origin: &Origin| match &origin.tolls {
            Some(tolls) => tolls.to(to),
            None => Some(0),
        };
        spread.from.iter().filter_map(toll).min().unwrap_or(0)
    }

    /// 2^43 microseconds and 2^20 hops are far more than any path has.
    pub(super) fn cost(&self, way: &Way) -> u64 {
        (self.links[way.link].latency_us.min(1 << 32) << HOPS) + 1
    }
}

/// The latency in a distance, in milliseconds, rounded up.
fn latency_of(distance: u64) -> Span {
    Span((distance >> HOPS).div_ceil(1_000))
}
