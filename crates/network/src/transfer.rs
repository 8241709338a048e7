//! The best way for a volume: from which replica, over which path, at which rates when.

use crate::topology::Route;
use crate::{Allowed, Booking, Links, Path, Spread, Topology};
use calendar::{Pouring, Profile, Segment, Work, pour};
use model::attempt::RateStep;
use model::{Bytes, Moment, Rate, Span};
use std::borrow::Cow;

/// A volume that is wanted somewhere.
#[derive(Debug, Clone)]
pub struct TransferRequest<'a> {
    /// The sites that have a replica.
    pub sources: &'a [&'a str],
    /// The site that wants one.
    pub to: &'a str,
    /// How much is to be moved.
    pub volume: Bytes,
    /// Not before.
    pub not_before: Moment,
    /// Never faster than this: what the stores at both ends can do.
    pub most: Rate,
    /// Stretches of time that leave less than one part in so many of a path's capacity are left to
    /// others, so that a transfer is not cut into crumbs; `u64::MAX` uses every stretch.
    pub least_part: u64,
    /// How many paths to look at from each source; one at least.
    pub paths: usize,
    /// How many sources may send at once; one at least.
    pub at_once: usize,
    /// Where the data may be, even in passing.
    pub allowed: Allowed,
    /// What arrives later is of no use.
    pub by: Moment,
    /// How soon the volume can be anywhere from these sources at the least, where that is known
    /// already: [`Links::spread`] on these links or before they were booked further.
    pub spread: Option<&'a Spread>,
}

/// The best way found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferPlan {
    /// The site whose replica is read.
    pub source: String,
    /// The bandwidth it needs; not yet booked.
    pub booking: Booking,
    /// What else is read at the same time, from other sites, none of them twice.
    pub beside: Vec<Leg>,
    /// One-way latency of its path in microseconds.
    pub latency_us: u64,
    /// When the last bit is there, latency included.
    pub arrives: Moment,
}

/// What one source sends of a volume that several send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// The site whose replica is read.
    pub source: String,
    /// The bandwidth it needs.
    pub booking: Booking,
}

/// Why there is no way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTransfer {
    /// Nobody has the data.
    #[error("no site has a replica")]
    NoReplica,
    /// No links join any replica with where it is wanted.
    #[error("no path leads from `{from}` to `{to}`")]
    NoPath {
        /// A site with a replica.
        from: String,
        /// Where it is wanted.
        to: String,
    },
    /// There are paths, but all touch a region where the data must not be.
    #[error(
        "every path from `{from}` to `{to}` touches a forbidden region, the shortest `{region}`"
    )]
    ForbiddenRegion {
        /// A site with a replica.
        from: String,
        /// Where it is wanted.
        to: String,
        /// The first forbidden region on the shortest path.
        region: String,
    },
    /// There are paths, but none ever has enough bandwidth free.
    #[error("no path to `{to}` ever has the bandwidth free for {volume}")]
    NoBandwidth {
        /// Where it is wanted.
        to: String,
        /// How much is to be moved.
        volume: Bytes,
    },
    /// There are paths, but by none is it there in time.
    #[error("nothing arrives at `{to}` by {by}")]
    TooLate {
        /// Where it is wanted.
        to: String,
        /// When it is wanted at the latest.
        by: Moment,
    },
}

impl Links {
    /// The transfer that arrives first among all sources and their shortest paths; among equals the
    /// one of least latency, then of fewest hops, then by the names of source and hops. Where others
    /// beside it have it arrive a good deal sooner, and more than one may send at once, they do. It
    /// fits what is free now.
    ///
    /// Each path is used as soon and as fast as it allows. Sources and paths are looked at in the
    /// order of what they could do at best, and not at all once that is later than what was found:
    /// the answer is the same as if all had been looked at. The links are those of the topology.
    pub fn plan_transfer(
        &self,
        topology: &Topology,
        request: &TransferRequest<'_>,
        work: &mut Work,
    ) -> Result<TransferPlan, NoTransfer> {
        let mut best: Option<TransferPlan> = None;
        let mut sources = self.sources(topology, request);
        let a_path_leads_there = !sources.is_empty();
        sources.sort_unstable();
        sources.dedup();
        // What is late alone may be in time with others beside it.
        let has_others = request.at_once > 1 && sources.len() > 1;
        let alone = if has_others { Moment::MAX } else { request.by };
        for source in &sources {
            let by = best.as_ref().map_or(alone, |best| best.arrives);
            if source.soonest > by {
                break;
            }
            let shortest = topology.routes(source.from, source.to, 1, &request.allowed);
            let Some(path) = shortest.paths.first() else { continue };
            let route = topology.route(&shortest, path);
            let first = self.pour_over(&route, (request, by), work);
            let arrives = first.as_ref().map(|poured| poured.arrives);
            keep_better(&mut best, first, &|| topology.whole(&route), source.name);
            // Where the shortest path carries it as fast as any could, the others are not asked for.
            let is_done = |soonest| arrives.is_some_and(|arrives| arrives <= soonest);
            if !is_done(source.soonest)
                && let Some(soonest) = self.through_both_ends(topology, (request, by), source, work)
                && !is_done(soonest)
            {
                self.try_others(topology, (request, by), (source, path), &mut best, work);
            }
        }
        best = best.map(|best| self.beside(topology, request, &sources, best, work));
        best = best.filter(|best| best.arrives <= request.by);
        if best.is_none() && a_path_leads_there && request.by < Moment::MAX {
            return Err(NoTransfer::TooLate { to: request.to.to_owned(), by: request.by });
        }
        let leads_there =
            |source: &&str| !topology.paths(source, request.to, 1, &request.allowed).is_empty();
        best.ok_or_else(|| match request.sources.iter().any(leads_there) {
            true => NoTransfer::NoBandwidth { to: request.to.to_owned(), volume: request.volume },
            false => why_no_path(topology, request),
        })
    }

    /// The sources from which a path leads there, with what they could do at best.
    fn sources<'a>(
        &self,
        topology: &Topology,
        request: &TransferRequest<'a>,
    ) -> Vec<Candidate<'a>> {
        let TransferRequest { volume, not_before, most, least_part, .. } = *request;
        let Some(to) = topology.number(request.to) else { return Vec::new() };
        let spread = match request.spread {
            Some(spread) => Cow::Borrowed(spread),
            None => {
                let what = (volume, not_before, most, least_part);
                let sources = (request.sources.iter().copied(), request.at_once);
                Cow::Owned(self.spread(topology, sources, what, &request.allowed))
            }
        };
        let candidate = |name: &&'a str| {
            let from = topology.number(name)?;
            let (soonest, latency) = topology.soonest_from(&spread, from, to)?;
            Some(Candidate { soonest, name, from, to, latency })
        };
        request.sources.iter().filter_map(candidate).collect()
    }

    /// When the volume could be there at the soonest from this source, over whatever path: as soon
    /// as the links that every path crosses let it, were all others empty. `None` when it is not in
    /// time.
    fn through_both_ends(
        &self,
        topology: &Topology,
        (request, by): (&TransferRequest<'_>, Moment),
        source: &Candidate<'_>,
        work: &mut Work,
    ) -> Option<Moment> {
        let Candidate { from, to, soonest, latency, .. } = *source;
        let TransferRequest { volume, not_before, most, .. } = *request;
        let ends = [topology.only_way_out(from), topology.only_way_in(to)];
        let pipes: Vec<&Profile> = ends.into_iter().flatten().map(|n| self.pipe(n)).collect();
        if from == to || pipes.is_empty() {
            return Some(soonest);
        }
        let least = least_of(topology.narrowest(), request.least_part);
        let what = Pouring { from: not_before, volume, most, least, by };
        let out = pour(&pipes, &what, work)?.last().map_or(not_before, |last| last.until);
        Some(soonest.max(out + latency))
    }

    /// Looks at the short paths of one source but the shortest, in the order of what they could do at
    /// best.
    fn try_others(
        &self,
        topology: &Topology,
        (request, by): (&TransferRequest<'_>, Moment),
        (source, shortest): (&Candidate<'_>, &Path),
        best: &mut Option<TransferPlan>,
        work: &mut Work,
    ) {
        let Candidate { from, to, .. } = *source;
        let routes = topology.routes(from, to, request.paths.max(1), &request.allowed);
        let mut by_promise: Vec<(Moment, Route<'_>)> = routes
            .paths
            .iter()
            .filter(|path| path.directions != shortest.directions)
            .filter_map(|path| {
                let route = topology.route(&routes, path);
                Some((route.soonest(request.volume, request.not_before, request.most)?, route))
            })
            .collect();
        by_promise.sort_by_key(|(soonest, _)| *soonest);
        for (soonest, route) in by_promise {
            let by = best.as_ref().map_or(by, |best| best.arrives);
            if by < soonest {
                return;
            }
            let poured = self.pour_over(&route, (request, by), work);
            keep_better(best, poured, &|| topology.whole(&route), source.name);
        }
    }

    /// How soon a volume can be anywhere from these sources, so many of them at once at most, no
    /// faster than `most` and using stretches as [`TransferRequest::least_part`] says.
    #[must_use]
    pub fn spread<'a>(
        &self,
        topology: &Topology,
        (sources, at_once): (impl Iterator<Item = &'a str>, usize),
        (volume, not_before, most, least_part): (Bytes, Moment, Rate, u64),
        allowed: &Allowed,
    ) -> Spread {
        let least = least_of(topology.narrowest(), least_part);
        let sources: Vec<usize> = sources.filter_map(|source| topology.number(source)).collect();
        // Of several sources that bring it together, one brings at least the average.
        let parts = at_once.clamp(1, sources.len().max(1)) as u64;
        let part = Bytes(volume.0 / parts);
        let leaves = |site: usize, volume: Bytes| {
            let pipe = topology.only_way_out(site).map(|number| self.pipe(number));
            let what = Pouring { from: not_before, volume, most, least, by: Moment::MAX };
            match pipe {
                Some(pipe) if volume > Bytes::ZERO => {
                    let poured = pour(&[pipe], &what, &mut Work::unbounded());
                    poured.and_then(|poured| Some(poured.last()?.until)).unwrap_or(Moment::MAX)
                }
                _ => not_before,
            }
        };
        let origin = |site: usize| {
            let mut origin = topology.origin(site, (volume, part), most, allowed);
            origin.whole.out = leaves(site, volume);
            origin.part.out = if part < volume { leaves(site, part) } else { origin.whole.out };
            origin
        };
        Spread { from: sources.into_iter().map(origin).collect(), volume, part, not_before }
    }

    /// When a spreading volume is at a site at the soonest that it has to be brought to, by what is
    /// booked on the only way into it; the start where there are many.
    #[must_use]
    pub fn soonest_into(
        &self,
        topology: &Topology,
        spread: &Spread,
        to: usize,
        least_part: u64,
        work: &mut Work,
    ) -> Moment {
        let Spread { volume, not_before, .. } = *spread;
        let Some(way) = topology.only_way_in(to) else { return not_before };
        let least = least_of(topology.narrowest(), least_part);
        let by = Moment::MAX;
        let what = Pouring { from: not_before, volume, most: Rate::MAX, least, by };
        let poured = pour(&[self.pipe(way)], &what, work);
        poured.map_or(Moment::MAX, |poured| poured.last().map_or(not_before, |last| last.until))
    }

    /// The volume poured over a route, if it is there by then.
    pub(crate) fn pour_over(
        &self,
        route: &Route<'_>,
        (request, by): (&TransferRequest<'_>, Moment),
        work: &mut Work,
    ) -> Option<Poured> {
        let pipes: Vec<&Profile> =
            route.directions().map(|direction| self.pipe(direction)).collect();
        let what = Pouring {
            from: request.not_before,
            volume: request.volume,
            most: request.most,
            least: least_of(route.capacity, request.least_part),
            by,
        };
        let step = |s: Segment| RateStep { from: s.from, until: s.until, rate: Rate(s.amount) };
        let steps: Vec<RateStep> = pour(&pipes, &what, work)?.into_iter().map(step).collect();
        let end = steps.last().map_or(request.not_before, |last| last.until);
        let (latency_us, hops) = (route.latency_us, pipes.len());
        Some(Poured { steps, arrives: end + route.latency(), latency_us, hops })
    }
}

/// A volume poured over a path.
pub(crate) struct Poured {
    pub(crate) steps: Vec<RateStep>,
    arrives: Moment,
    latency_us: u64,
    hops: usize,
}

/// Keeps what was poured over a path from `source` if it is better: only then the path is wanted.
fn keep_better(
    best: &mut Option<TransferPlan>,
    poured: Option<Poured>,
    path: &dyn Fn() -> Path,
    source: &str,
) {
    let Some(Poured { steps, arrives, latency_us, hops }) = poured else { return };
    let rank = |best: &TransferPlan| (best.arrives, best.latency_us, best.booking.hops.len());
    if best.as_ref().is_some_and(|best| rank(best) < (arrives, latency_us, hops)) {
        return;
    }
    let booking = Booking { hops: path().hops, steps };
    let (source, beside) = (source.to_owned(), Vec::new());
    let plan = TransferPlan { source, booking, beside, latency_us, arrives };
    let is_better = best.as_ref().is_none_or(|best| {
        let (hops, others) = (plan.booking.hops.iter().rev(), best.booking.hops.iter().rev());
        let by_name = plan.source.cmp(&best.source).then_with(|| hops.cmp(others));
        rank(best) > rank(&plan) || by_name.is_lt()
    });
    if is_better {
        *best = Some(plan);
    }
}

/// A source of a transfer, by what it could do at best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate<'a> {
    soonest: Moment,
    pub(crate) name: &'a str,
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Of the shortest path.
    latency: Span,
}

/// What a stretch has to leave of so much capacity.
pub(crate) fn least_of(capacity: Rate, part: u64) -> Rate {
    Rate(capacity.0.checked_div(part).unwrap_or(1).max(1))
}

fn why_no_path(topology: &Topology, request: &TransferRequest<'_>) -> NoTransfer {
    let Some(&first) = request.sources.first() else {
        return NoTransfer::NoReplica;
    };
    let forbidden = request.sources.iter().find_map(|source| {
        let region = topology.forbidden_on_the_way(source, request.to, &request.allowed)?;
        Some(NoTransfer::ForbiddenRegion {
            from: (*source).to_owned(),
            to: request.to.to_owned(),
            region: region.to_owned(),
        })
    });
    forbidden
        .unwrap_or_else(|| NoTransfer::NoPath { from: first.to_owned(), to: request.to.to_owned() })
}
