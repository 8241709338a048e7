//! The best way for a volume: from which replica, over which path, at which rates when.

use crate::{Allowed, Booking, Links, Path, Topology};
use calendar::{Pouring, Profile, Work, pour};
use model::attempt::RateStep;
use model::{Bytes, Moment, Rate};
use std::sync::Arc;

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
    /// Stretches of time that allow less than this are left to others, so that a transfer is not cut
    /// into crumbs. On a path that is slower by nature its capacity counts instead.
    pub least: Rate,
    /// How many paths to look at from each source; one at least.
    pub paths: usize,
    /// Where the data may be, even in passing.
    pub allowed: Allowed,
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
}

/// A path from a source, and a moment before which nothing arrives over it.
struct Candidate<'a> {
    bound: Moment,
    source: &'a str,
    paths: Arc<[Path]>,
    path: usize,
}

impl Candidate<'_> {
    fn path(&self) -> &Path {
        &self.paths[self.path]
    }
}

impl Links {
    /// The transfer that arrives first among all sources and their shortest paths; among equals the
    /// one of least latency, then by the names of source and hops. It fits what is free now.
    ///
    /// Each path is used as soon and as fast as it allows. Candidates are looked at in the order of
    /// [`Path::soonest`], and not at all once that is later than what was found: the answer is the
    /// same as if all had been looked at.
    pub fn plan_transfer(
        &self,
        topology: &Topology,
        request: &TransferRequest<'_>,
        work: &mut Work,
    ) -> Result<TransferPlan, NoTransfer> {
        let candidates = candidates(topology, request)?;
        let mut best: Option<TransferPlan> = None;
        for candidate in &candidates {
            if best.as_ref().is_some_and(|best| best.arrives < candidate.bound) {
                break;
            }
            let Some(plan) = self.pour_over(candidate, request, work) else { continue };
            if best.as_ref().is_none_or(|best| rank(&plan) < rank(best)) {
                best = Some(plan);
            }
        }
        best.ok_or_else(|| NoTransfer::NoBandwidth {
            to: request.to.to_owned(),
            volume: request.volume,
        })
    }

    fn pour_over(
        &self,
        candidate: &Candidate<'_>,
        request: &TransferRequest<'_>,
        work: &mut Work,
    ) -> Option<TransferPlan> {
        let path = candidate.path();
        let pipes: Option<Vec<&Profile>> = path.hops.iter().map(|hop| self.free(hop)).collect();
        let what = Pouring {
            from: request.not_before,
            volume: request.volume,
            most: request.most,
            least: request.least.min(path.capacity),
        };
        let poured = pour(&pipes?, &what, work)?;
        let end = poured.last().map_or(request.not_before, |last| last.until);
        let step =
            |s: calendar::Segment| RateStep { from: s.from, until: s.until, rate: Rate(s.amount) };
        Some(TransferPlan {
            source: candidate.source.to_owned(),
            booking: Booking {
                hops: path.hops.clone(),
                steps: poured.into_iter().map(step).collect(),
            },
            latency_us: path.latency_us,
            arrives: end + path.latency(),
        })
    }
}

/// What makes one plan better than another: the lesser rank.
fn rank(plan: &TransferPlan) -> impl Ord + '_ {
    (plan.arrives, plan.latency_us, &plan.source, &plan.booking.hops)
}

/// All paths of all sources, the most promising first; or why there are none.
fn candidates<'a>(
    topology: &Topology,
    request: &TransferRequest<'a>,
) -> Result<Vec<Candidate<'a>>, NoTransfer> {
    let mut candidates = Vec::new();
    for &source in request.sources {
        let paths = topology.paths(source, request.to, request.paths.max(1), &request.allowed);
        for (path, found) in paths.iter().enumerate() {
            // A path that could never carry it is kept, at the end: it is why nothing was found.
            let soonest = found.soonest(request.volume, request.not_before, request.most);
            let bound = soonest.unwrap_or(Moment::MAX);
            candidates.push(Candidate { bound, source, paths: Arc::clone(&paths), path });
        }
    }
    if candidates.is_empty() {
        return Err(why_no_path(topology, request));
    }
    candidates.sort_by_key(|candidate| candidate.bound);
    Ok(candidates)
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
