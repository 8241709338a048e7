//! Which jobs a tenant's policies let go, and in which order.

use super::{Asking, Holder, Victim, Why};
use crate::Usage;
use crate::tree::Number;
use model::quota::{BorrowWithinCohort, Preemption};
use model::{Chips, FlavorId};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// On what terms a candidate may go. In the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Variant {
    /// Its tenant borrows from a cohort in whose quota, or in that of one within, the job fits.
    Hierarchical,
    /// Its tenant borrows, and the job may borrow too.
    WhileBorrowing,
    /// Its tenant borrows, and the job may not.
    WithoutBorrowing,
    /// It is of the same tenant.
    WithinQueue,
}

/// A job that may go.
pub(super) struct Candidate<'a> {
    pub(super) holder: Holder<'a>,
    pub(super) variant: Variant,
    at: Number,
    /// The tenants whose use has to exceed their quota when it goes: its own and those it is part of,
    /// up to below the first that the asking tenant is part of too.
    below: Vec<Number>,
}

impl Candidate<'_> {
    pub(super) fn go(&self, usage: &mut Usage) {
        for (flavor, amount) in self.holder.chips {
            usage.shift(self.at, flavor, -i128::from(amount.0));
        }
    }

    pub(super) fn stay(&self, usage: &mut Usage) {
        for (flavor, amount) in self.holder.chips {
            usage.shift(self.at, flavor, i128::from(amount.0));
        }
    }

    pub(super) fn victim(&self) -> Victim {
        let why = match self.variant {
            Variant::WithinQueue => Why::WithinQueue,
            Variant::Hierarchical | Variant::WithoutBorrowing => Why::ReclaimWithinCohort,
            Variant::WhileBorrowing => Why::ReclaimWhileBorrowing,
        };
        let Holder { job, tenant, lost, .. } = self.holder;
        Victim { job, tenant: tenant.clone(), why, lost }
    }
}

/// What a tenant's jobs are to the asking one.
#[derive(Clone)]
enum Relation {
    Own,
    /// It borrows from a cohort they share.
    Borrower {
        /// Whether the job fits in a smaller quota than the one they share.
        advantage: bool,
        below: Vec<Number>,
    },
    Stranger,
}

/// A job that asks, with what of it does not depend on who would go.
pub(super) struct Call<'a> {
    asking: &'a Asking<'a>,
    at: Number,
    policy: Preemption,
    /// The flavors of which it does not get enough.
    short: Vec<&'a FlavorId>,
    /// The tenants it is part of, itself first, each with whether the job fits in a smaller quota.
    path: BTreeMap<Number, bool>,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        usage: &Usage,
        asking: &'a Asking<'a>,
        at: Number,
        short: Vec<&'a FlavorId>,
    ) -> Self {
        let policy = usage.quotas().policy(at);
        let mut call = Self { asking, at, policy, short, path: BTreeMap::new() };
        let mut advantage = !call.borrows(usage);
        let mut rest: Vec<(&FlavorId, i128)> =
            asking.chips.iter().map(|(flavor, amount)| (flavor, i128::from(amount.0))).collect();
        for node in usage.quotas().tree().path(at) {
            call.path.insert(node, advantage);
            let mut fits = true;
            for (flavor, rest) in &mut rest {
                let Some(terms) = usage.quotas().terms(flavor) else { continue };
                let used = usage.used(node, flavor);
                fits &= used + *rest <= terms[node].subtree;
                *rest = (*rest - (terms[node].local - used).max(0)).max(0);
            }
            advantage |= fits;
        }
        call
    }

    /// Whether the tenant would use more than its nominal quota with the job.
    pub(super) fn borrows(&self, usage: &Usage) -> bool {
        self.asking.chips.iter().any(|(flavor, amount)| {
            let terms = usage.quotas().terms(flavor);
            let with = usage.own(self.at, flavor) + i128::from(amount.0);
            *amount > Chips::ZERO && terms.is_some_and(|terms| with > terms[self.at].nominal)
        })
    }

    /// Whether the job fits, be it by borrowing where that is allowed.
    pub(super) fn fits(&self, usage: &Usage, borrowing: bool) -> bool {
        let available = |(flavor, amount): (&FlavorId, &Chips)| {
            let terms = usage.quotas().terms(flavor).filter(|_| amount.0 > 0);
            terms.is_none_or(|t| usage.left(t, self.at, flavor) >= i128::from(amount.0))
        };
        (borrowing || !self.borrows(usage)) && self.asking.chips.iter().all(available)
    }

    /// In which ways to try: with borrowing allowed or not.
    pub(super) fn attempts(&self, usage: &Usage, candidates: &[Candidate<'_>]) -> &'static [bool] {
        let forbidden = self.policy.borrow_within_cohort.is_none();
        let others = candidates.iter().any(|c| c.variant != Variant::WithinQueue);
        let hierarchical = candidates.iter().any(|c| c.variant == Variant::Hierarchical);
        let under_nominal = self.short.iter().all(|flavor| {
            let terms = usage.quotas().terms(flavor).expect("what is short has quotas");
            usage.own(self.at, flavor) < terms[self.at].nominal
        });
        if !others || (forbidden && !under_nominal) {
            &[true]
        } else if forbidden && !hierarchical {
            // Others' jobs that borrowed are to go before the tenant's own.
            &[false, true]
        } else {
            &[true, false]
        }
    }

    /// Whether a candidate may go now that those before it are gone.
    pub(super) fn still_borrows(&self, usage: &Usage, candidate: &Candidate<'_>) -> bool {
        candidate.variant == Variant::WithinQueue
            || self.exceeds(usage, candidate.at, &candidate.below)
    }

    /// Whether a tenant's own jobs use more than its nominal quota, and the tenants `below` a cohort
    /// more than theirs, in any flavor that is short.
    fn exceeds(&self, usage: &Usage, at: Number, below: &[Number]) -> bool {
        let any = |exceeds: &dyn Fn(&FlavorId) -> bool| self.short.iter().any(|f| exceeds(f));
        let terms = |flavor: &FlavorId| usage.quotas().terms(flavor);
        any(&|f| terms(f).is_some_and(|t| usage.own(at, f) > t[at].nominal))
            && below.iter().all(|node| {
                any(&|f| terms(f).is_some_and(|t| usage.used(*node, f) > t[*node].subtree))
            })
    }

    /// All that may go, in order, and how many hold what is short.
    pub(super) fn candidates<'h>(
        &self,
        usage: &Usage,
        holders: impl IntoIterator<Item = Holder<'h>>,
    ) -> (Vec<Candidate<'h>>, usize) {
        let mut relations = BTreeMap::new();
        let (mut found, mut all) = (Vec::new(), 0);
        for holder in holders {
            let has = |flavor: &&&FlavorId| holder.chips.get(**flavor).is_some_and(|c| c.0 > 0);
            let at = usage.quotas().tree().number(holder.tenant);
            let Some(at) = at.filter(|_| self.short.iter().any(|f| has(&f))) else { continue };
            all += 1;
            if !holder.preemptible {
                continue;
            }
            let relation = relations.entry(at).or_insert_with(|| self.relation(usage, at));
            let Some(variant) = self.variant(relation, &holder) else { continue };
            let below = match relation {
                Relation::Borrower { below, .. } => below.clone(),
                Relation::Own | Relation::Stranger => Vec::new(),
            };
            found.push(Candidate { holder, variant, at, below });
        }
        // Whether a job may borrow does not change who of those goes first.
        let group = |variant: Variant| match variant {
            Variant::WhileBorrowing => Variant::WithoutBorrowing,
            other => other,
        };
        found.sort_by_key(|candidate| {
            let Holder { job, priority, since, lost, leaving, .. } = candidate.holder;
            (!leaving, group(candidate.variant), priority, lost, Reverse(since), job)
        });
        (found, all)
    }

    fn relation(&self, usage: &Usage, at: Number) -> Relation {
        if at == self.at {
            return Relation::Own;
        }
        let mut below = Vec::new();
        for node in usage.quotas().tree().path(at) {
            if let Some(&advantage) = self.path.get(&node) {
                return if self.exceeds(usage, at, &below) {
                    Relation::Borrower { advantage, below }
                } else {
                    Relation::Stranger
                };
            }
            below.push(node);
        }
        Relation::Stranger
    }

    fn variant(&self, relation: &Relation, holder: &Holder<'_>) -> Option<Variant> {
        let (leaves, comes) = (holder.priority, self.asking.priority);
        match relation {
            Relation::Stranger => None,
            Relation::Own => {
                let leaves = (leaves, holder.submitted);
                let goes = self.policy.within_queue.lets_go(leaves, (comes, self.asking.submitted));
                goes.then_some(Variant::WithinQueue)
            }
            Relation::Borrower { advantage, .. } => {
                let goes = self.policy.reclaim_within_cohort.lets_go(leaves, comes);
                let low = |limit: BorrowWithinCohort| {
                    leaves < comes && limit.max_priority.is_none_or(|most| leaves <= most)
                };
                goes.then_some(match self.policy.borrow_within_cohort {
                    _ if *advantage => Variant::Hierarchical,
                    Some(limit) if low(limit) => Variant::WhileBorrowing,
                    _ => Variant::WithoutBorrowing,
                })
            }
        }
    }
}
