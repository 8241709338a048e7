//! What is better than what for a job.

use crate::Policy;
use model::job::JobSpec;
use model::{Moment, Objective, Span};

/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// What a job's objective makes of a place; the least is the best. Of places of equal rank
/// that comes first which would if all could start at once, then by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// Past its deadline.
    late: bool,
    terms: (i64, i64),
}

/// What a place is judged by.
pub(crate) struct Terms<'a> {
    pub(crate) finish: Moment,
    /// By how much it has all others over later, in milliseconds.
    pub(crate) toll: u64,
    /// In micro-units.
    pub(crate) price: i64,
    /// In milligrams. Costs a division or two to work out, and few ask for it.
    pub(crate) carbon_mg: &'a dyn Fn() -> u64,
}

impl Rank {
    pub(crate) fn of(spec: &JobSpec, policy: &Policy, now: Moment, terms: &Terms<'_>) -> Self {
        let late = spec.deadline.is_some_and(|deadline| terms.finish > deadline);
        Self { late, ..Self::in_time(spec, policy, now, terms) }
    }

    /// The rank of a place that is worth less by so much time.
    pub(crate) fn later(self, by: Span) -> Self {
        let by = i64::try_from(by.0).unwrap_or(i64::MAX);
        Self { terms: (self.terms.0.saturating_add(by), self.terms.1), ..self }
    }

    /// The rank where data decides first: when it is there, then what else counts most.
    pub(crate) fn by_data_first(self, ready: Moment) -> Self {
        Self { terms: (i64::try_from(ready.0).unwrap_or(i64::MAX), self.terms.0), ..self }
    }

    /// The rank of a place that meets whatever deadline.
    pub(crate) fn in_time(spec: &JobSpec, policy: &Policy, now: Moment, terms: &Terms<'_>) -> Self {
        let signed = |unsigned: u64| i64::try_from(unsigned).unwrap_or(i64::MAX);
        let (finish, price) = (signed(terms.finish.0), terms.price);
        let terms = match spec.objective {
            Objective::Fastest => (finish.saturating_add(signed(terms.toll)), price),
            Objective::Cheapest => (price, finish),
            Objective::Balanced => {
                let (wait, worth) = (signed(terms.finish.since(now).0), policy.hour_is_worth);
                // What is too much to count is too much to wait.
                let costs = wait.checked_mul(worth).map_or(i64::MAX, |product| product / HOUR_MS);
                (price.saturating_add(costs), finish)
            }
            Objective::Greenest => (signed((terms.carbon_mg)()), finish),
        };
        Self { late: false, terms }
    }
}
