//! What tenants may use, as declared, and what follows of it that does not depend on usage.

use crate::Error;
use crate::tree::{Number, Tree};
use model::quota::ReclaimWithinCohort;
use model::{ChipTime, Chips, FlavorId, Preemption, Tenant, TenantId};
use std::collections::BTreeMap;

/// What follows from quotas of one flavor for one tenant. Signed and wide, so that no sum or
/// difference of amounts can overflow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Terms {
    pub(crate) nominal: i128,
    pub(crate) borrowing_limit: Option<i128>,
    /// What is the tenant's and those' below it together, less what those keep to themselves.
    pub(crate) subtree: i128,
    /// What of it nobody above sees.
    pub(crate) local: i128,
    /// The most that could ever be used here, if nobody else used anything.
    pub(crate) potential: i128,
}

/// A tenant's limits that are not of a flavor.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Caps {
    pub(crate) running: Option<u64>,
    pub(crate) queued: Option<u64>,
    pub(crate) budget: Option<ChipTime>,
}

/// The declared tree of tenants with its quotas. Never changes: another declaration is another
/// `Quotas`, under which a usage can be brought with [`Usage::under`](crate::Usage::under).
///
/// Of each flavor, with Kueue's semantics:
///
/// * A tenant's **subtree quota** is its nominal quota and what its children do not keep to
///   themselves. What it keeps, its **local quota**, is what of the subtree quota exceeds its lending
///   limit; nothing where it has none.
/// * Use counts where the job's tenant is, and what exceeds the local quota there counts with its parent
///   too, and so on up.
/// * What is **available** to a tenant is what is left of its local quota, and what is available to
///   its parent, but of that no more than its borrowing limit leaves. At the root it is what is left of
///   the root's subtree quota.
/// * A tenant without quota of a flavor uses what is lent to its parents. A flavor of which nobody
///   has a quota is free to everyone.
///
/// Beyond Kueue, whose cohorts run nothing, a tenant with children may run jobs: it is then like
/// one more child of itself, which has the nominal quota, keeps nothing and has no limit.
#[derive(Debug, Clone)]
pub struct Quotas {
    tree: Tree,
    flavors: BTreeMap<FlavorId, Vec<Terms>>,
    caps: Vec<Caps>,
    policies: Vec<Preemption>,
}

impl Quotas {
    /// The quotas of these tenants, in any order. Costs O(tenants × flavors).
    ///
    /// # Errors
    ///
    /// Two declarations of one tenant, an unknown parent, a circle, or a limit or policy that makes
    /// no sense: see [`Error`], which names the tenant and what to do.
    pub fn new<'a>(declared: impl IntoIterator<Item = &'a Tenant>) -> Result<Self, Error> {
        let mut at: Vec<&Tenant> = declared.into_iter().collect();
        let tree = Tree::new(at.iter().map(|d| (&d.tenant, d.parent.as_ref())))?;
        at.sort_by_key(|d| tree.number(&d.tenant));
        let mut flavors = BTreeMap::new();
        for (number, declared) in at.iter().enumerate() {
            check(&tree, number, declared)?;
            for flavor in declared.quotas.keys() {
                flavors.entry(flavor.clone()).or_default();
            }
        }
        for (flavor, terms) in &mut flavors {
            *terms = terms_of(&tree, &at, flavor);
        }
        let caps = at.iter().map(|d| Caps {
            running: d.max_running,
            queued: d.max_queued,
            budget: d.budget,
        });
        let mut policies: Vec<Preemption> = Vec::with_capacity(at.len());
        for (number, declared) in at.iter().enumerate() {
            let inherited = tree.parent(number).map(|parent| policies[parent]);
            policies.push(declared.preemption.or(inherited).unwrap_or_default());
        }
        Ok(Self { flavors, caps: caps.collect(), policies, tree })
    }

    /// Of nobody.
    #[must_use]
    pub fn none() -> Self {
        Self::new([]).expect("nobody has no parent")
    }

    /// All tenants, each after its parent.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.tree.ids().iter()
    }

    /// All flavors of which somebody has a quota.
    pub fn flavors(&self) -> impl Iterator<Item = &FlavorId> {
        self.flavors.keys()
    }

    /// Whether anybody has a quota of a flavor; if not, all may use it.
    #[must_use]
    pub fn has(&self, flavor: &FlavorId) -> bool {
        self.flavors.contains_key(flavor)
    }

    /// Whether nothing limits anybody.
    #[must_use]
    pub fn limit_nobody(&self) -> bool {
        let free =
            |caps: &Caps| caps.running.is_none() && caps.queued.is_none() && caps.budget.is_none();
        self.flavors.is_empty() && self.caps.iter().all(free)
    }

    /// A tenant's policies, its own or inherited; `None` for a tenant nobody declared.
    #[must_use]
    pub fn preemption(&self, tenant: &TenantId) -> Option<Preemption> {
        self.tree.number(tenant).map(|at| self.policies[at])
    }

    /// The most chips of a flavor a tenant could ever have if nobody else used anything: no more
    /// than nominal and borrowing limit, nor than what others lend. `None` where nothing limits it.
    #[must_use]
    pub fn potential(&self, tenant: &TenantId, flavor: &FlavorId) -> Option<Chips> {
        let terms = self.flavors.get(flavor)?;
        let at = self.tree.number(tenant);
        Some(at.map_or(Chips::ZERO, |at| chips(terms[at].potential)))
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// By tenant; `None` for a flavor that is free to everyone.
    pub(crate) fn terms(&self, flavor: &FlavorId) -> Option<&[Terms]> {
        self.flavors.get(flavor).map(Vec::as_slice)
    }

    pub(crate) fn caps(&self, at: Number) -> Caps {
        self.caps[at]
    }

    pub(crate) fn policy(&self, at: Number) -> Preemption {
        self.policies[at]
    }
}

/// A signed amount as people see it: nothing where it is less.
pub(crate) fn chips(amount: i128) -> Chips {
    Chips(u64::try_from(amount.max(0)).unwrap_or(u64::MAX))
}

fn check(tree: &Tree, number: Number, declared: &Tenant) -> Result<(), Error> {
    let tenant = || declared.tenant.clone();
    let policy = declared.preemption.unwrap_or_default();
    let never = policy.reclaim_within_cohort == ReclaimWithinCohort::Never;
    if policy.borrow_within_cohort.is_some() && never {
        return Err(Error::BorrowsWithoutReclaim { tenant: tenant() });
    }
    for (flavor, quota) in &declared.quotas {
        let flavor = || flavor.clone();
        let alone = tree.parent(number).is_none();
        if alone && quota.borrowing_limit.is_some() {
            return Err(Error::BorrowsFromNobody { tenant: tenant(), flavor: flavor() });
        }
        let Some(limit) = quota.lending_limit else { continue };
        if alone {
            return Err(Error::LendsToNobody { tenant: tenant(), flavor: flavor() });
        }
        // Of a tenant with children the limit may wait for what they will have.
        if tree.children(number).is_empty() && limit > quota.nominal {
            let (tenant, flavor) = (tenant(), flavor());
            return Err(Error::LendsMoreThanItHas {
                tenant,
                flavor,
                limit,
                nominal: quota.nominal,
            });
        }
    }
    Ok(())
}

fn terms_of(tree: &Tree, at: &[&Tenant], flavor: &FlavorId) -> Vec<Terms> {
    let mut all = vec![Terms::default(); tree.len()];
    for number in (0..tree.len()).rev() {
        let quota = at[number].quotas.get(flavor).copied().unwrap_or_default();
        // What the children lend is there already: they have higher numbers.
        let terms = &mut all[number];
        terms.nominal = i128::from(quota.nominal.0);
        terms.borrowing_limit = quota.borrowing_limit.map(|limit| i128::from(limit.0));
        terms.subtree += terms.nominal;
        let lent = quota.lending_limit.map_or(terms.subtree, |limit| i128::from(limit.0));
        terms.local = (terms.subtree - lent).max(0);
        let seen = terms.subtree - terms.local;
        if let Some(parent) = tree.parent(number) {
            all[parent].subtree += seen;
        }
    }
    for number in 0..tree.len() {
        let above = tree.parent(number).map(|parent| all[parent].potential);
        let terms = &mut all[number];
        let most = above.map_or(terms.subtree, |above| terms.local + above);
        let limit = terms.borrowing_limit.map_or(most, |limit| terms.subtree + limit);
        terms.potential = most.min(limit);
    }
    all
}
