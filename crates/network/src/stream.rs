//! A steady rate over a path for a while: from which replica, over which path, from when on.

use crate::topology::Route;
use crate::{Allowed, Booking, Links, Topology};
use calendar::Work;
use model::attempt::RateStep;
use model::{Moment, Rate, Span};

/// A rate that is wanted somewhere without a break.
#[derive(Debug, Clone)]
pub struct StreamRequest<'a> {
    /// The sites that have the data.
    pub sources: &'a [&'a str],
    /// The site that reads it.
    pub to: &'a str,
    /// How fast, on the links.
    pub rate: Rate,
    /// Not before.
    pub not_before: Moment,
    /// For how long.
    pub lasts: Span,
    /// How many paths to look at from each source; one at least.
    pub paths: usize,
    /// Where the data may be, even in passing.
    pub allowed: Allowed,
}

/// The best way found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPlan {
    /// The site whose replica is read.
    pub source: String,
    /// The bandwidth it needs, in one step; not yet booked.
    pub booking: Booking,
    /// One-way latency of the path in microseconds.
    pub latency_us: u64,
}

impl StreamPlan {
    /// From when on it is read.
    #[must_use]
    pub fn start(&self) -> Moment {
        self.booking.steps.first().map_or(Moment::MAX, |step| step.from)
    }
}

impl Links {
    /// The way that has the rate free for the whole time from the earliest moment on, among all
    /// sources and their shortest paths; among equals the one of least latency, then of fewest hops,
    /// then by the names of source and hops. `None` when no way ever has.
    pub fn plan_stream(
        &self,
        topology: &Topology,
        request: &StreamRequest<'_>,
        work: &mut Work,
    ) -> Option<StreamPlan> {
        let StreamRequest { rate, lasts, .. } = *request;
        let to = topology.number(request.to)?;
        let mut best: Option<StreamPlan> = None;
        for source in request.sources {
            let Some(from) = topology.number(source) else { continue };
            let routes = topology.routes(from, to, request.paths.max(1), &request.allowed);
            for path in routes.paths.iter() {
                let route = topology.route(&routes, path);
                let Some(start) = self.earliest_over(&route, request, work) else { continue };
                let step = RateStep { from: start, until: start + lasts, rate };
                let hops = topology.whole(&route).hops;
                let booking = Booking { hops, steps: vec![step] };
                let (source, latency_us) = ((*source).to_owned(), route.latency_us);
                let plan = StreamPlan { source, booking, latency_us };
                if best.as_ref().is_none_or(|best| rank(&plan) < rank(best)) {
                    best = Some(plan);
                }
            }
        }
        best
    }

    /// The earliest start from which every link of the route has the rate free for the whole time.
    fn earliest_over(
        &self,
        route: &Route<'_>,
        request: &StreamRequest<'_>,
        work: &mut Work,
    ) -> Option<Moment> {
        let StreamRequest { rate, not_before, lasts, .. } = *request;
        let mut start = not_before;
        // Each link puts it off to where it has room; done once none does.
        loop {
            let before = start;
            for direction in route.directions() {
                start = self.pipe(direction).earliest(start, lasts, rate.0, work)?;
            }
            if start == before {
                return Some(start);
            }
        }
    }
}

type Rank<'a> = (Moment, u64, usize, &'a str, &'a [model::link::Hop]);

fn rank(plan: &StreamPlan) -> Rank<'_> {
    let hops = plan.booking.hops.as_slice();
    (plan.start(), plan.latency_us, hops.len(), &plan.source, hops)
}
