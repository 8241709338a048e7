//! Data that a job reads over the network while it runs, at a rate that is reserved for it.

use crate::board::window;
use crate::coming::Coming;
use crate::refusal::Refusal;
use crate::roster::Seat;
use crate::scene::Scene;
use crate::staging::{allowed, link_price, nowhere, sources};
use crate::view::View;
use crate::{Policy, Situation};
use calendar::Work;
use model::attempt::{RateStep, Stream};
use model::job::{Input, JobSpec};
use model::{AttemptId, Bytes, CenterId, DatasetVersion, Moment, Rate, Span};
use network::{Booking, StreamPlan, StreamRequest};
use std::borrow::Cow;
use world::{Version, World};

impl Scene<'_> {
    /// The earliest moment, not before `from`, at which all that a job reads over the network can be
    /// read for as long as it may run, and how. That is `from` itself for a job that reads nothing so,
    /// or nothing that its center has not.
    pub(crate) fn streams(
        &self,
        spec: &JobSpec,
        seat: &Seat,
        (from, lasts): (Moment, Span),
        work: &mut Work,
    ) -> Result<(Moment, Vec<Stream>), Refusal> {
        let mut wanted: Vec<(&Input, Rate, &Version)> = Vec::new();
        for input in &spec.inputs {
            let Some(rate) = input.streamed() else { continue };
            let dataset = &input.dataset.dataset;
            let missing = || Refusal::NoDataset { dataset: dataset.clone() };
            let version = self.world.version(&input.dataset).ok_or_else(missing)?;
            if !version.replicas.contains_key(&seat.center.center) {
                wanted.push((input, rate, version));
            }
        }
        let mut start = from;
        'later: loop {
            let mut links = Cow::Borrowed(&self.view.links);
            let mut streams = Vec::new();
            for (number, (input, rate, version)) in wanted.iter().enumerate() {
                let plan = self.stream(&links, (version, *rate), seat, (start, lasts), work)?;
                if plan.start() > start {
                    start = plan.start();
                    continue 'later;
                }
                // What one takes of the links is not there for the next.
                if number + 1 < wanted.len() {
                    let booked = links.to_mut().book(&plan.booking);
                    booked.expect("what was planned on these links fits them");
                }
                streams.push(self.reserved(input, &version.registered.data, *rate, plan));
            }
            return Ok((start, streams));
        }
    }

    fn reserved(
        &self,
        input: &Input,
        data: &DatasetVersion,
        rate: Rate,
        plan: StreamPlan,
    ) -> Stream {
        let since = plan.start();
        let lasts = plan.booking.steps.first().map_or(Span::ZERO, |s| s.until.since(since));
        Stream {
            input: input.name.clone(),
            data: data.clone(),
            from: CenterId::new(&plan.source).expect("sources are centers"),
            price: link_price(self.world, &plan.booking.hops, volume(rate, lasts)),
            hops: plan.booking.hops,
            rate: rate.on_wire(),
            since,
        }
    }

    fn stream(
        &self,
        links: &network::Links,
        (version, rate): (&Version, Rate),
        seat: &Seat,
        (not_before, lasts): (Moment, Span),
        work: &mut Work,
    ) -> Result<StreamPlan, Refusal> {
        let registered = &version.registered;
        let dataset = || registered.data.dataset.clone();
        let mut sources = sources(self, version);
        if sources.is_empty() {
            return Err(nowhere(self, version, &seat.center.center));
        }
        // What lies in an external store is read at once there, and as fast, or not this way.
        sources.retain(|source| {
            let lies = CenterId::new(source).ok();
            let lies = lies.and_then(|center| version.lies_only_in_place(&center));
            lies.is_none_or(|lies| {
                lies.recall == Span::ZERO && lies.rate.is_none_or(|most| most >= rate)
            })
        });
        let request = StreamRequest {
            sources: &sources,
            to: seat.center.center.as_str(),
            rate: rate.on_wire(),
            not_before,
            lasts,
            paths: self.policy.paths,
            allowed: allowed(&self.view.topology, &registered.residency),
        };
        let plan = links.plan_stream(&self.view.topology, &request, work);
        plan.ok_or_else(|| Refusal::NoRate { dataset: dataset(), rate })
    }
}

/// The ways that a live attempt could read by from now on, or from its start on, of what it is to read
/// over the network and has no way to, and whether something is left that it has none for. Its rate is
/// free on them as long as the attempt may run.
#[must_use]
pub fn reroute(
    world: &World,
    view: &View,
    situation: &Situation,
    policy: &Policy,
    attempt: AttemptId,
) -> (Vec<Stream>, bool) {
    let (mut found, mut lacks) = (Vec::new(), false);
    let job = world.job(attempt.job);
    let Some((job, live)) = job.and_then(|job| Some((job, job.phase.attempt()?))) else {
        return (found, lacks);
    };
    let place = &live.placement;
    let coming = Coming::default();
    let scene = Scene { world, view, coming: &coming, situation, policy };
    let number = place.parts.first().and_then(|part| view.roster.number(&part.center, &part.pool));
    let Some(number) = number else { return (found, lacks) };
    let (from, until) = window(live, job);
    let from = from.max(situation.now);
    let mut links = view.links.clone();
    for (input, data) in job.spec.inputs.iter().zip(&place.inputs) {
        let Some(rate) = input.streamed() else { continue };
        let version = world.exact(data);
        let is_here = version.is_some_and(|v| v.replicas.contains_key(place.center()));
        if is_here || place.streams.iter().any(|stream| stream.input == input.name) {
            continue;
        }
        let (seat, span) = (view.roster.seat(number), (from, until.since(from)));
        let way = version.and_then(|version| {
            let mut work = Work::unbounded();
            let plan = scene.stream(&links, (version, rate), seat, span, &mut work).ok()?;
            (plan.start() == from && links.book(&plan.booking).is_ok()).then_some(plan)
        });
        match way {
            Some(plan) => found.push(scene.reserved(input, data, rate, plan)),
            None => lacks = true,
        }
    }
    (found, lacks)
}

/// What is read at a rate in a time.
fn volume(rate: Rate, lasts: Span) -> Bytes {
    let bytes = u128::from(rate.0) * u128::from(lasts.0) / 8_000;
    Bytes(u64::try_from(bytes).unwrap_or(u64::MAX))
}

/// What streams take of the links while an attempt holds its nodes.
pub(crate) fn bookings(
    streams: &[Stream],
    (from, until): (Moment, Moment),
) -> impl Iterator<Item = Booking> {
    streams.iter().map(move |stream| {
        let step = RateStep { from, until, rate: stream.rate };
        Booking { hops: stream.hops.clone(), steps: vec![step] }
    })
}

impl View {
    /// Whether the links have what streams are to take of them.
    pub(crate) fn can_read(&self, streams: &[Stream], window: (Moment, Moment)) -> bool {
        let mut links = Cow::Borrowed(&self.links);
        bookings(streams, window).all(|booking| links.to_mut().book(&booking).is_ok())
    }

    /// Books streams on the working view.
    pub(crate) fn read_over(&mut self, streams: &[Stream], window: (Moment, Moment)) {
        for booking in bookings(streams, window) {
            // Where a link was declared smaller meanwhile there is nothing left to book.
            let _ = self.links.book(&booking);
        }
    }

    /// Takes back what [`View::read_over`] booked.
    pub(crate) fn read_no_more(&mut self, streams: &[Stream], window: (Moment, Moment)) {
        for booking in bookings(streams, window) {
            let _ = self.links.release(&booking);
        }
    }
}
