//! The rates a ticket gives leave to. Pure.

use model::TransferId;
use serde::{Deserialize, Serialize};
use wire::PaceStep;

/// The rates reserved for a transfer. The door keeps them too: a reader that takes more than its
/// share takes it from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leave {
    /// Which transfer. All tickets of one share its rates.
    pub transfer: TransferId,
    /// How fast its data may go, counted from the first request, sorted; none: as fast as it goes.
    pub steps: Vec<PaceStep>,
}

/// The most steps in a ticket, which travels in a header: some 6 KiB of it.
const MOST: usize = 64;

impl Leave {
    /// Leave for these steps, which are sorted. A longer list is made coarser from below, where that
    /// costs least: at no moment does it allow more than the steps do. The reader keeps the true ones
    /// by itself, so the other way around nobody honest would be held up; but what is above the plan
    /// is promised to others, while a transfer held up is late only itself.
    #[must_use]
    pub fn new(transfer: TransferId, mut steps: Vec<PaceStep>) -> Self {
        while steps.len() > MOST {
            coarsen(&mut steps);
        }
        Self { transfer, steps }
    }
}

/// How to have one step less.
enum Cut {
    /// Nothing goes during this one.
    Drop(usize),
    /// This one and the next become one, at the lower rate.
    Merge(usize),
}

/// Takes one step out so that the least is lost. The last one stays: its rate holds for ever.
fn coarsen(steps: &mut Vec<PaceStep>) {
    let volume = |rate: u64, step: &PaceStep| u128::from(rate) * u128::from(step.lasts.0);
    let drops =
        steps.iter().enumerate().map(|(at, step)| (volume(step.rate.0, step), Cut::Drop(at)));
    let drops = drops.take(steps.len() - 1);
    let merges = steps.windows(2).enumerate().filter_map(|(at, pair)| {
        let [one, next] = pair else { return None };
        let adjoin = one.after.saturating_add(one.lasts) == next.after;
        let higher = if one.rate > next.rate { one } else { next };
        let lost = volume(one.rate.0.abs_diff(next.rate.0), higher);
        adjoin.then_some((lost, Cut::Merge(at)))
    });
    match drops.chain(merges).min_by_key(|(lost, _)| *lost) {
        Some((_, Cut::Drop(at))) => {
            steps.remove(at);
        }
        Some((_, Cut::Merge(at))) => {
            let next = steps.remove(at + 1);
            steps[at].lasts = steps[at].lasts.saturating_add(next.lasts);
            steps[at].rate = steps[at].rate.min(next.rate);
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Rate, Span};
    use proptest::prelude::*;

    fn at(steps: &[PaceStep], moment: u64) -> u64 {
        let on = |s: &&PaceStep| (s.after.0..s.after.0 + s.lasts.0).contains(&moment);
        steps.iter().find(on).map_or(0, |step| step.rate.0)
    }

    fn volume(steps: &[PaceStep]) -> u64 {
        steps.iter().map(|step| step.rate.0 * step.lasts.0).sum()
    }

    fn steps() -> impl Strategy<Value = Vec<PaceStep>> {
        let step = (prop_oneof![Just(0_u64), 1..50_u64], 1..50_u64, 1..1_000_u64);
        prop::collection::vec(step, 1..200).prop_map(|parts| {
            let mut clock = 0;
            let step = |(gap, lasts, rate)| {
                let after = clock + gap;
                clock = after + lasts;
                PaceStep { after: Span(after), lasts: Span(lasts), rate: Rate(rate) }
            };
            parts.into_iter().map(step).collect()
        })
    }

    proptest! {
        #[test]
        fn a_ticket_never_allows_more_than_the_plan(plan in steps()) {
            let Leave { steps, .. } = Leave::new(TransferId::new(1), plan.clone());
            prop_assert!(steps.len() <= MOST);
            let (last, end) = (plan.last().unwrap(), steps.last().unwrap());
            prop_assert!(end.rate <= last.rate);
            for moment in 0..last.after.0 + last.lasts.0 {
                prop_assert!(at(&steps, moment) <= at(&plan, moment), "at {moment}");
            }
        }
    }

    #[test]
    fn a_short_plan_is_kept_as_it_is_and_a_long_one_loses_its_smallest_parts() {
        let step = |n: u64| {
            let rate = if n % 2 == 0 { Rate(1_000) } else { Rate(1_001) };
            PaceStep { after: Span(n * 10), lasts: Span(10), rate }
        };
        let plan: Vec<PaceStep> = (0..64).map(step).collect();
        assert_eq!(Leave::new(TransferId::new(1), plan.clone()).steps, plan);
        let long: Vec<PaceStep> = (0..200).map(step).collect();
        let coarse = Leave::new(TransferId::new(1), long.clone()).steps;
        assert_eq!(coarse.len(), MOST);
        assert!(volume(&coarse) * 1_000 >= volume(&long) * 999);
    }
}
