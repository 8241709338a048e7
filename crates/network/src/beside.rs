//! Several sources for one volume: what others can bring beside the best one.

use crate::topology::Route;
use crate::transfer::{Candidate, least_of};
use crate::{Booking, Leg, Links, Topology, TransferPlan, TransferRequest};
use calendar::Work;
use model::attempt::RateStep;
use model::link::Hop;
use model::{Moment, Span};
use std::iter::once;

/// Another source is worth its connections where the volume arrives by this part of its time sooner.
const WORTH: u64 = 10;
/// And by this much at least.
const WORTH_SPAN: Span = Span(1_000);

/// What passes over one path, in order.
struct Pour {
    steps: Vec<RateStep>,
    latency: Span,
}

impl Pour {
    /// What has arrived by then, in thousandths of a bit.
    fn arrived(&self, by: Moment) -> u128 {
        let left = Moment(by.0.saturating_sub(self.latency.0));
        let passed = |step: &RateStep| {
            u128::from(step.rate.0) * u128::from(left.min(step.until).since(step.from).0)
        };
        self.steps.iter().map(passed).sum()
    }

    /// Leaves out what arrives later.
    fn cut(&mut self, by: Moment) {
        let left = Moment(by.0.saturating_sub(self.latency.0));
        self.steps.iter_mut().for_each(|step| step.until = step.until.min(left));
        self.steps.retain(|step| step.from < step.until);
    }
}

/// When all of it is there that `pours` bring together, not after `by`.
fn together(pours: &[Pour], volume: u128, (from, by): (Moment, Moment)) -> Moment {
    let is_there = |at: Moment| pours.iter().map(|pour| pour.arrived(at)).sum::<u128>() >= volume;
    let (mut early, mut late) = (from.0, by.0);
    while early < late {
        let middle = early + (late - early) / 2;
        match is_there(Moment(middle)) {
            true => late = middle,
            false => early = middle + 1,
        }
    }
    Moment(late)
}

/// Whether arriving at one moment is worth more than arriving at a later one.
fn is_worth(from: Moment, late: Moment, early: Moment) -> bool {
    let saved = late.since(early);
    saved >= WORTH_SPAN && saved.0 >= late.since(from).0 / WORTH
}

impl Links {
    /// The plan with other sources beside its own, each over the path that brings most in time, as
    /// long as one more has it arrive a tenth sooner, and a second. Every source sends as soon and as
    /// fast as what those before leave it allows, until all of it is there.
    pub(crate) fn beside(
        &self,
        topology: &Topology,
        request: &TransferRequest<'_>,
        sources: &[Candidate<'_>],
        mut plan: TransferPlan,
        work: &mut Work,
    ) -> TransferPlan {
        let from = request.not_before;
        if request.at_once <= 1 || sources.len() <= 1 || !is_worth(from, plan.arrives, from) {
            return plan;
        }
        let Some(to) = topology.number(request.to) else { return plan };
        let mut free = self.clone();
        if free.book(&plan.booking).is_err() {
            return plan;
        }
        let latency = Span(plan.latency_us.div_ceil(1_000));
        let mut pours = vec![Pour { steps: plan.booking.steps.clone(), latency }];
        let volume = u128::from(request.volume.0) * 8_000;
        for source in sources.iter().filter(|source| source.name != plan.source) {
            // Where the only way in is full, nobody adds anything.
            if pours.len() >= request.at_once || !free.lets_in(topology, (request, &plan), to, work)
            {
                break;
            }
            let until = (request, plan.arrives);
            let Some((hops, pour)) = free.most_in_time(topology, until, source, work) else {
                continue;
            };
            pours.push(pour);
            let arrives = together(&pours, volume, (from, plan.arrives));
            let steps = pours.last().map(|pour| pour.steps.clone()).unwrap_or_default();
            let booking = Booking { hops, steps };
            if !is_worth(from, plan.arrives, arrives) || free.book(&booking).is_err() {
                pours.pop();
                continue;
            }
            plan.arrives = arrives;
            plan.beside.push(Leg { source: source.name.to_owned(), booking });
        }
        if !plan.beside.is_empty() {
            pours.iter_mut().for_each(|pour| pour.cut(plan.arrives));
            let bookings =
                once(&mut plan.booking).chain(plan.beside.iter_mut().map(|leg| &mut leg.booking));
            bookings.zip(pours).for_each(|(booking, pour)| booking.steps = pour.steps);
            plan.beside.retain(|leg| !leg.booking.steps.is_empty());
        }
        plan
    }

    /// Whether the only way into a site, where there is only one, has room for more before a plan's
    /// end.
    fn lets_in(
        &self,
        topology: &Topology,
        (request, plan): (&TransferRequest<'_>, &TransferPlan),
        to: usize,
        work: &mut Work,
    ) -> bool {
        let Some(way) = topology.only_way_in(to) else { return true };
        let least = least_of(topology.narrowest(), request.least_part).0;
        let free = self.pipe(way).earliest(request.not_before, Span(1), least, work);
        free.is_some_and(|free| free < plan.arrives)
    }

    /// Over which short path of a source most arrives by then, and how.
    fn most_in_time(
        &self,
        topology: &Topology,
        (request, by): (&TransferRequest<'_>, Moment),
        source: &Candidate<'_>,
        work: &mut Work,
    ) -> Option<(Vec<Hop>, Pour)> {
        let routes =
            topology.routes(source.from, source.to, request.paths.max(1), &request.allowed);
        let mut most: Option<(u128, Route<'_>, Pour)> = None;
        for path in routes.paths.iter() {
            let route = topology.route(&routes, path);
            // All of it, however long that takes: what is late is cut off.
            let Some(all) = self.pour_over(&route, (request, Moment::MAX), work) else { continue };
            let mut pour = Pour { steps: all.steps, latency: route.latency() };
            pour.cut(by);
            let arrived = pour.arrived(by);
            if arrived > most.as_ref().map_or(0, |(most, ..)| *most) {
                most = Some((arrived, route, pour));
            }
        }
        let (_, route, pour) = most?;
        Some((topology.whole(&route).hops, pour))
    }
}
