//! What tenants of made-up networks book, and what they run there while everything goes wrong.

use super::{Maker, STORM, TENANTS, plain};
use crate::load::{Actual, Arrival, Ending};
use crate::setup::Setup;
use model::job::JobKind;
use model::{Bytes, Chips, Cores, JobId, JobSpec, Part, Span, Variant};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// Has every other network book a few windows, and run jobs in them. It draws for itself: what a seed is
/// beside what is booked does not hang on it. Jobs name their reservation by its place among the
/// arrivals.
pub(super) fn draw(seed: u64, setup: &Setup, arrivals: &mut Vec<Arrival>) {
    let mut maker = Maker { rng: ChaCha8Rng::seed_from_u64(seed ^ 0x42_4f_4f_4b) };
    if maker.once_in(2) {
        return;
    }
    let mut booked: Vec<(Arrival, Vec<Arrival>)> = Vec::new();
    for _ in 0..maker.rng.random_range(1..=3) {
        booked.push(maker.reservation(setup));
    }
    let mut all: Vec<(Arrival, Option<usize>)> =
        arrivals.drain(..).map(|arrival| (arrival, None)).collect();
    for (number, (window, inside)) in booked.iter().enumerate() {
        all.push((window.clone(), None));
        all.extend(inside.iter().map(|job| (job.clone(), Some(number))));
    }
    all.sort_by_key(|(arrival, _)| arrival.after);
    let place = |number: usize| {
        let is_it =
            |(arrival, _): &(Arrival, _)| Arc::ptr_eq(&arrival.spec, &booked[number].0.spec);
        all.iter().position(is_it).map(|at| JobId::new(at as u64))
    };
    let places: Vec<Option<JobId>> = (0..booked.len()).map(place).collect();
    for (arrival, of) in &mut all {
        if let Some(number) = of {
            Arc::make_mut(&mut arrival.spec).reservation = places[*number];
        }
    }
    arrivals.extend(all.into_iter().map(|(arrival, _)| arrival));
}

impl Maker {
    /// A window, and jobs that are to run in it.
    fn reservation(&mut self, setup: &Setup) -> (Arrival, Vec<Arrival>) {
        let after = self.millis(0, STORM.0 / 2);
        let (limit, ahead) = (self.millis(10_000, 100_000), self.millis(0, 60_000));
        let (start, lapse_after) = (setup.start + after + ahead, self.millis(5_000, 60_000));
        let tenant = self.one_of(&TENANTS);
        let variants = self.variants(&setup.declarations.centers);
        let whole = |mut variant: Variant| {
            variant.chips_per_node = Chips::whole(variant.chips_per_node.touched());
            variant.command.clear();
            // Of some centers there is not as much in proportion: then it is asked for.
            (variant.cores, variant.memory) = (Cores::ZERO, Bytes::ZERO);
            variant
        };
        let part = |variants| vec![Part { name: "main".to_owned(), variants }];
        let spec = JobSpec {
            kind: JobKind::Reservation { start, lapse_after },
            parts: part(variants.iter().cloned().map(whole).collect()),
            ..plain(tenant, limit)
        };
        let (seldom, work) = (self.once_in(6), self.millis(1, 100_000));
        let ending = if seldom { Ending::Withdrawn } else { Ending::Success };
        let actual = Actual { work, kind: 0, ending };
        let window = Arrival { after, spec: Arc::new(spec), actual };
        let mut inside = Vec::new();
        for _ in 0..self.rng.random_range(0..=5) {
            let limit = Span(self.rng.random_range(1_000..=limit.0));
            let spec = JobSpec {
                parts: part(variants.clone()),
                checkpoint: self.checkpoint(),
                preemptible: self.once_in(2),
                hold: self.once_in(10),
                retries: self.rng.random_range(0..=2),
                ..plain(tenant, limit)
            };
            let actual =
                Actual { work: self.millis(1, limit.0 + 5_000), kind: 0, ending: Ending::Success };
            let after = after + self.millis(0, ahead.0 + 60_000);
            inside.push(Arrival { after, spec: Arc::new(spec), actual });
        }
        (window, inside)
    }
}
