//! Sets of alike jobs: so many of a kind for each tenant, one after the other at a steady rate. The
//! plainest load there is, for runs whose figures are to be compared with others'.

use super::ask::{Allowed, Ask, Wish, plain_actual};
use super::{Ending, generate, lists};
use model::{ChipClass, Chips, Span, TenantId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Sets of alike jobs, the same for each tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sets {
    /// Who submits them.
    pub tenants: Vec<TenantId>,
    /// What each of them submits.
    pub sets: Vec<Set>,
}

/// Alike jobs of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// What they have in common.
    pub workload: String,
    /// How many.
    pub count: u32,
    /// When the first comes, after the load's start.
    pub from: Span,
    /// How long after each the next comes.
    pub every: Span,
    /// Chips of each.
    pub chips: Chips,
    /// How long each runs at speed 1: at least and at most, all spans between being as likely.
    pub run: (Span, Span),
    /// The most each may run; a round figure where nothing is said.
    pub limit: Option<Span>,
    /// Higher goes first within the tenant.
    pub priority: i32,
    /// Whether they may be stopped and requeued.
    pub preemptible: bool,
    /// Classes of chips they can run on; any where none is named.
    pub classes: Vec<ChipClass>,
}

/// So many tenants with nothing but numbers.
#[must_use]
pub fn numbered(count: u32) -> Vec<TenantId> {
    (0..count).map(generate::numbered).collect()
}

/// The jobs, sorted by time; those that come at once are in turn each tenant's.
#[must_use]
pub fn jobs(sets: &Sets, seed: u64, factor: f64) -> Vec<Ask> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut asks: Vec<(Span, u32, Ask)> = Vec::new();
    for tenant in &sets.tenants {
        for set in &sets.sets {
            let (least, most) = set.run;
            for number in 0..set.count {
                let work = Span(rng.random_range(least.0..=most.0.max(least.0)));
                let after = Span(set.every.0.saturating_mul(number.into())) + set.from;
                let limit = set.limit.unwrap_or_else(|| lists::asked(work, factor));
                let on = match &*set.classes {
                    [] => Allowed::Any,
                    classes => Allowed::Classes(classes.to_vec()),
                };
                let wish = Wish {
                    on,
                    priority: set.priority,
                    preemptible: set.preemptible,
                    ..Wish::plain(tenant.clone(), &set.workload, set.chips, limit)
                };
                let actual = plain_actual(work, Ending::Success);
                asks.push((after, number, Ask { after, wish, actual }));
            }
        }
    }
    asks.sort_by_key(|(after, number, _)| (*after, *number));
    asks.into_iter().map(|(_, _, ask)| ask).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(workload: &str, count: u32, every: u64) -> Set {
        Set {
            workload: workload.to_owned(),
            count,
            from: Span::ZERO,
            every: Span(every),
            chips: Chips::ONE,
            run: (Span(200), Span(2_000)),
            limit: None,
            priority: 0,
            preemptible: false,
            classes: Vec::new(),
        }
    }

    #[test]
    fn each_tenant_submits_each_set_at_its_rate() {
        let sets = Sets { tenants: numbered(3), sets: vec![set("a", 4, 100), set("b", 2, 0)] };
        let asks = jobs(&sets, 1, 2.0);
        assert_eq!(asks.len(), 18);
        let first: Vec<&str> = asks.iter().take(4).map(|ask| ask.wish.tenant.as_str()).collect();
        assert_eq!(first, ["t000", "t000", "t001", "t001"]);
        assert!(asks.is_sorted_by_key(|ask| ask.after));
        assert_eq!(asks.last().map(|ask| ask.after), Some(Span(300)));
        let runs: Vec<u64> = asks.iter().map(|ask| ask.actual.work.0).collect();
        assert!(runs.iter().all(|run| (200..=2_000).contains(run)), "{runs:?}");
        assert_eq!(asks, jobs(&sets, 1, 2.0));
        assert_ne!(asks, jobs(&sets, 2, 2.0));
    }
}
