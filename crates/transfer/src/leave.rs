//! The rates a ticket gives leave to. Pure.

use model::{AttemptId, Moment, Span, TransferId};
use serde::{Deserialize, Serialize};
use wire::PaceStep;

/// Who the rates of tickets are reserved for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// A transfer.
    Transfer(TransferId),
    /// An attempt that reads an input while it runs.
    Stream {
        /// Which attempt.
        attempt: AttemptId,
        /// Which of its inputs.
        input: String,
    },
}

impl From<TransferId> for Flow {
    fn from(transfer: TransferId) -> Self {
        Self::Transfer(transfer)
    }
}

/// The rates reserved for a flow. The door keeps them too: a reader that takes more than its
/// share takes it from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leave {
    /// For whom. All tickets of one share its rates.
    pub flow: Flow,
    /// From when on the steps count, compared with the center's clock: when the ticket was issued.
    pub since: Moment,
    /// How fast its data may go, sorted; none: as fast as it goes.
    pub steps: Vec<PaceStep>,
}

/// The most steps in a ticket, which travels in a header: some 6 KiB of it.
const MOST: usize = 64;

impl Leave {
    /// Leave for these steps, which are sorted. A longer list is made coarser from below, where that
    /// costs least: at no moment does it allow more than the steps do, for what is above the plan is
    /// promised to others, while a transfer held up is late only itself. The reader is to keep the
    /// same steps, lest it wait for a door that is silent by right.
    #[must_use]
    pub fn new(flow: impl Into<Flow>, since: Moment, mut steps: Vec<PaceStep>) -> Self {
        while steps.len() > MOST {
            coarsen(&mut steps);
        }
        Self { flow: flow.into(), since, steps }
    }

    /// What is left of the steps, counted from `now`; of the last at least its rate.
    #[must_use]
    pub fn left(&self, now: Moment) -> Vec<PaceStep> {
        let past = now.since(self.since);
        let last = self.steps.len().saturating_sub(1);
        let steps = self.steps.iter().enumerate().filter_map(|(at, step)| {
            let end = step.after.saturating_add(step.lasts);
            let (after, end) = (minus(step.after, past), minus(end, past));
            let lasts = minus(end, after);
            (lasts > Span::ZERO || at == last).then_some(PaceStep { after, lasts, ..*step })
        });
        steps.collect()
    }
}

fn minus(span: Span, less: Span) -> Span {
    Span(span.0.saturating_sub(less.0))
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

    fn leave(steps: Vec<PaceStep>) -> Leave {
        Leave::new(TransferId::new(1), Moment(1_000), steps)
    }

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
            let Leave { steps, .. } = leave(plan.clone());
            prop_assert!(steps.len() <= MOST);
            let (last, end) = (plan.last().unwrap(), steps.last().unwrap());
            prop_assert!(end.rate <= last.rate);
            for moment in 0..last.after.0 + last.lasts.0 {
                prop_assert!(at(&steps, moment) <= at(&plan, moment), "at {moment}");
            }
        }

        #[test]
        fn what_is_left_of_a_plan_is_its_later_part(plan in steps(), past in 0..5_000_u64) {
            let whole = leave(plan);
            let left = whole.left(Moment(1_000 + past));
            let (last, end) = (whole.steps.last().unwrap(), left.last().unwrap());
            prop_assert_eq!(last.rate, end.rate);
            for moment in past..last.after.0 + last.lasts.0 {
                prop_assert_eq!(at(&left, moment - past), at(&whole.steps, moment), "at {}", moment);
            }
        }
    }

    #[test]
    fn a_short_plan_is_kept_as_it_is_and_a_long_one_loses_its_smallest_parts() {
        let step = |n: u64| {
            let rate = if n.is_multiple_of(2) { Rate(1_000) } else { Rate(1_001) };
            PaceStep { after: Span(n * 10), lasts: Span(10), rate }
        };
        let plan: Vec<PaceStep> = (0..64).map(step).collect();
        assert_eq!(leave(plan.clone()).steps, plan);
        let long: Vec<PaceStep> = (0..200).map(step).collect();
        let coarse = leave(long.clone()).steps;
        assert_eq!(coarse.len(), MOST);
        assert!(volume(&coarse) * 1_000 >= volume(&long) * 999);
    }
}
