//! Arrays, and jobs that are to come after others.

use crate::load::Arrival;
use model::JobId;
use model::job::{Array, Dependency, DependencyKind, JobKind};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// Makes some jobs arrays and has some come after earlier ones, in every second run. Jobs are named by
/// their place among the arrivals: their numbers are given once they are submitted.
pub(super) fn draw(seed: u64, arrivals: &mut [Arrival]) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x4f_52_44_52);
    if rng.random_range(0..2) == 0 {
        return;
    }
    let mut arrays: Vec<(u64, Array)> = Vec::new();
    for (number, arrival) in (0..).zip(arrivals) {
        let spec = Arc::make_mut(&mut arrival.spec);
        if !matches!(spec.kind, JobKind::Batch) {
            continue;
        }
        let (is_array, is_after) = (rng.random_range(0..6) == 0, rng.random_range(0..3) == 0);
        if is_array {
            let (first, step) = (rng.random_range(0..3), rng.random_range(1..=2));
            let last = first + rng.random_range(0..=4) * step;
            let at_once = (rng.random_range(0..2) == 0).then(|| rng.random_range(1..=2));
            // Many tasks that read much would need an hour for what is to be over in minutes.
            spec.inputs.clear();
            spec.array = Some(Array { first, last, step, at_once });
        }
        if is_after && number > 0 {
            let when = match rng.random_range(0..2) {
                0 => DependencyKind::AfterOk,
                _ => DependencyKind::AfterAny,
            };
            spec.after = vec![Dependency { job: JobId::new(rng.random_range(0..number)), when }];
        }
        if let Some(array) = &spec.array {
            let has_all = |(_, other): &&(u64, Array)| {
                (0..array.tasks()).all(|place| other.place(array.index(place)).is_some())
            };
            if let Some((other, _)) = arrays.iter().find(has_all)
                && rng.random_range(0..2) == 0
            {
                let when = DependencyKind::AfterCorr;
                spec.after.push(Dependency { job: JobId::new(*other), when });
            }
            arrays.push((number, array.clone()));
        }
    }
}
