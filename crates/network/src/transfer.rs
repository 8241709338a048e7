//! The best way for a volume: from which replica, over which path, at which rates when.

use crate::{Allowed, Booking, Links, Path, Spread, Topology};
use calendar::{Pouring, Profile, Work, pour};
use model::attempt::RateStep;
use model::{Bytes, Moment, Rate};

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
    /// Where the data may be, even in passing.
    pub allowed: Allowed,
    /// What arrives later is of no use.
    pub by: Moment,
}

/// The best way found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferPlan {
    /// The site whose replica is read.
    pub source: String,
    /// The bandwidth it needs; not yet booked.
    pub booking: Booking,
    /// One-way latency of the path in microseconds.
    pub latency_us: u64,
    /// When the last bit is there, latency included.
    pub arrives: Moment,
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
    /// one of least latency, then of fewest hops, then by the names of source and hops. It fits what
    /// is free now.
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
        let to = topology.number(request.to);
        let mut sources: Vec<Candidate<'_>> = to.map_or_else(Vec::new, |to| {
            let mut candidate = |name| {
                let from = topology.number(name)?;
                let soonest = self.soonest(topology, request, (from, to), work)?;
                Some(Candidate { soonest, name, from, to })
            };
            request.sources.iter().copied().filter_map(&mut candidate).collect()
        });
        sources.sort_unstable();
        let is_known_to_lead_there = !sources.is_empty();
        for source in &sources {
            let in_time =
                |soonest| soonest <= best.as_ref().map_or(request.by, |best| best.arrives);
            if !in_time(source.soonest) {
                break;
            }
            // Where the shortest path carries it as fast as any could, the others are not asked for.
            let shortest = topology.ways(source.from, source.to, 1, &request.allowed);
            let Some(path) = shortest.first() else { continue };
            let first = self.pour_over(source.name, path, request, work);
            let is_done = first.as_ref().is_some_and(|plan| plan.arrives <= source.soonest);
            keep_better(&mut best, first);
            if !is_done {
                self.try_all(topology, request, source, &mut best, work);
            }
        }
        best = best.filter(|best| best.arrives <= request.by);
        if best.is_none() && is_known_to_lead_there && request.by < Moment::MAX {
            return Err(NoTransfer::TooLate { to: request.to.to_owned(), by: request.by });
        }
        let leads_there =
            |source: &&str| !topology.paths(source, request.to, 1, &request.allowed).is_empty();
        best.ok_or_else(|| match request.sources.iter().any(leads_there) {
            true => NoTransfer::NoBandwidth { to: request.to.to_owned(), volume: request.volume },
            false => why_no_path(topology, request),
        })
    }

    /// When the volume could be there at the soonest from this source, over whatever path: as soon
    /// as the links that every path crosses let it, were all others empty.
    fn soonest(
        &self,
        topology: &Topology,
        request: &TransferRequest<'_>,
        (from, to): (usize, usize),
        work: &mut Work,
    ) -> Option<Moment> {
        let TransferRequest { volume, not_before, most, allowed, .. } = request;
        let mut origin = topology.origin(from, *volume, *most, allowed);
        if from != to && *volume > Bytes::ZERO {
            let ends = [topology.only_way_out(from), topology.only_way_in(to)];
            let pipes: Vec<&Profile> = ends.into_iter().flatten().map(|n| self.pipe(n)).collect();
            let least = least_of(topology.narrowest(), request.least_part);
            let what = Pouring { from: *not_before, volume: *volume, most: *most, least };
            if !pipes.is_empty() {
                origin.out = pour(&pipes, &what, work)?.last()?.until;
            }
        }
        let spread = Spread { from: vec![origin], volume: *volume, not_before: *not_before };
        topology.soonest(&spread, to)
    }

    /// Looks at the shortest paths of one source in the order of what they could do at best.
    fn try_all(
        &self,
        topology: &Topology,
        request: &TransferRequest<'_>,
        source: &Candidate<'_>,
        best: &mut Option<TransferPlan>,
        work: &mut Work,
    ) {
        let Candidate { from, to, .. } = *source;
        let paths = topology.ways(from, to, request.paths.max(1), &request.allowed);
        let mut paths: Vec<(Moment, &Path)> = paths
            .iter()
            .filter_map(|path| {
                let soonest = path.soonest(request.volume, request.not_before, request.most);
                Some((soonest?, path))
            })
            .collect();
        paths.sort_by_key(|(soonest, _)| *soonest);
        for (soonest, path) in paths {
            if best.as_ref().is_some_and(|best| best.arrives < soonest) {
                return;
            }
            keep_better(best, self.pour_over(source.name, path, request, work));
        }
    }

    /// How soon a volume can be anywhere from these sources, no faster than `most` and using
    /// stretches as [`TransferRequest::least_part`] says.
    #[must_use]
    pub fn spread<'a>(
        &self,
        topology: &Topology,
        sources: impl Iterator<Item = &'a str>,
        (volume, not_before, most, least_part): (Bytes, Moment, Rate, u64),
        allowed: &Allowed,
    ) -> Spread {
        let least = least_of(topology.narrowest(), least_part);
        let what = Pouring { from: not_before, volume, most, least };
        let origin = |source: &str| {
            let source = topology.number(source)?;
            let mut origin = topology.origin(source, volume, most, allowed);
            let pipe = topology.only_way_out(source).map(|number| self.pipe(number));
            origin.out = match pipe {
                Some(pipe) if volume > Bytes::ZERO => {
                    pour(&[pipe], &what, &mut Work::unbounded())?.last()?.until
                }
                _ => not_before,
            };
            Some(origin)
        };
        Spread { from: sources.filter_map(origin).collect(), volume, not_before }
    }

    fn pour_over(
        &self,
        source: &str,
        path: &Path,
        request: &TransferRequest<'_>,
        work: &mut Work,
    ) -> Option<TransferPlan> {
        let pipes: Vec<&Profile> =
            path.directions.iter().map(|number| self.pipe(*number)).collect();
        let what = Pouring {
            from: request.not_before,
            volume: request.volume,
            most: request.most,
            least: least_of(path.capacity, request.least_part),
        };
        let poured = pour(&pipes, &what, work)?;
        let end = poured.last().map_or(request.not_before, |last| last.until);
        let step =
            |s: calendar::Segment| RateStep { from: s.from, until: s.until, rate: Rate(s.amount) };
        Some(TransferPlan {
            source: source.to_owned(),
            booking: Booking {
                hops: path.hops.clone(),
                steps: poured.into_iter().map(step).collect(),
            },
            latency_us: path.latency_us,
            arrives: end + path.latency(),
        })
    }
}

fn keep_better(best: &mut Option<TransferPlan>, plan: Option<TransferPlan>) {
    if let Some(plan) = plan
        && best.as_ref().is_none_or(|best| is_better(&plan, best))
    {
        *best = Some(plan);
    }
}

fn is_better(plan: &TransferPlan, than: &TransferPlan) -> bool {
    let rank = |p: &TransferPlan| (p.arrives, p.latency_us, p.booking.hops.len());
    rank(plan)
        .cmp(&rank(than))
        .then_with(|| plan.source.cmp(&than.source))
        .then_with(|| plan.booking.hops.iter().rev().cmp(than.booking.hops.iter().rev()))
        .is_lt()
}

/// A source of a transfer, by what it could do at best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate<'a> {
    soonest: Moment,
    name: &'a str,
    from: usize,
    to: usize,
}

/// What a stretch has to leave of so much capacity.
fn least_of(capacity: Rate, part: u64) -> Rate {
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
