//! What tenants use, kept change by change, and what they may use beside it.

mod questions;

use crate::Error;
use crate::quota::{Quotas, Terms};
use crate::sheet::Sheet;
use crate::tree::Number;
use model::{ChipTime, Chips, FlavorId, TenantId};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one running job has of its tenant's quotas, or chips that are booked without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// How many running jobs it counts as.
    pub jobs: u64,
    /// Its chips by flavor.
    pub chips: BTreeMap<FlavorId, Chips>,
    /// The chip time committed to it: chips for as long as it may run.
    pub card_time: ChipTime,
}

impl Default for Claim {
    /// A job's that has nothing.
    fn default() -> Self {
        Self { jobs: 1, chips: BTreeMap::new(), card_time: ChipTime::ZERO }
    }
}

/// Jobs that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Count {
    /// Those that run.
    Running,
    /// Those that wait.
    Queued,
}

impl Count {
    pub(crate) const fn doing(self) -> &'static str {
        match self {
            Self::Running => "run",
            Self::Queued => "wait",
        }
    }
}

/// Of one flavor and one tenant.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    /// What its own jobs have.
    own: i128,
    /// What counts against its subtree quota.
    used: i128,
}

/// Jobs and chip time; wide, so that no sum can overflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    running: u128,
    queued: u128,
    committed: u128,
    spent: u128,
}

impl Tally {
    fn of(&self, count: Count) -> u128 {
        match count {
            Count::Running => self.running,
            Count::Queued => self.queued,
        }
    }

    fn count(&mut self, count: Count) -> &mut u128 {
        match count {
            Count::Running => &mut self.running,
            Count::Queued => &mut self.queued,
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Tallies {
    own: Tally,
    /// Of the tenant and all below it.
    all: Tally,
}

/// What all tenants use, under the quotas they have.
///
/// Questions and changes cost O(depth of the tree); of a claim, that for each of its flavors. A clone
/// costs nothing; the first write after it copies a few pointers per flavor and per 32 tenants.
///
/// Changes are not checked against quotas: the caller asks first, and what happened has happened.
#[derive(Debug, Clone)]
pub struct Usage {
    quotas: Arc<Quotas>,
    /// Also of flavors that are free now, for they may get quotas.
    chips: Arc<BTreeMap<FlavorId, Sheet<Held>>>,
    tallies: Sheet<Tallies>,
}

impl Usage {
    /// Nothing used yet.
    #[must_use]
    pub fn new(quotas: Arc<Quotas>) -> Self {
        let tallies = Sheet::new(quotas.tree().len());
        Self { quotas, chips: Arc::default(), tallies }
    }

    /// The quotas it is under.
    #[must_use]
    pub fn quotas(&self) -> &Arc<Quotas> {
        &self.quotas
    }

    /// The same use under other quotas. Costs O(tenants × flavors × depth). Nobody goes for it: who
    /// has more than is now allowed has room for nothing more, and may be reclaimed from.
    ///
    /// # Errors
    ///
    /// [`Error::StillUsed`] when a tenant that uses something is no longer declared.
    pub fn under(&self, quotas: Arc<Quotas>) -> Result<Self, Error> {
        let mut new = Self::new(quotas);
        for (number, tenant) in self.quotas.tree().ids().iter().enumerate() {
            let tally = self.tallies.get(number).own;
            let owns = self.chips.iter().map(|(flavor, sheet)| (flavor, sheet.get(number).own));
            let owns: Vec<_> = owns.filter(|(_, own)| *own != 0).collect();
            let Some(at) = new.quotas.tree().number(tenant) else {
                let busy = tally.running + tally.queued > 0 || tally.committed > 0;
                if busy || !owns.is_empty() {
                    return Err(Error::StillUsed { tenant: tenant.clone() });
                }
                continue;
            };
            for (flavor, own) in owns {
                new.shift(at, flavor, own);
            }
            new.tallies.get_mut(at).own = tally;
            let path: Vec<_> = new.quotas.tree().path(at).collect();
            for above in path {
                let all = &mut new.tallies.get_mut(above).all;
                all.running += tally.running;
                all.queued += tally.queued;
                all.committed += tally.committed;
                all.spent += tally.spent;
            }
        }
        Ok(new)
    }

    /// A tenant uses so much more of a flavor.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTenant`].
    pub fn add(&mut self, tenant: &TenantId, flavor: &FlavorId, more: Chips) -> Result<(), Error> {
        let at = self.number(tenant)?;
        self.shift(at, flavor, i128::from(more.0));
        Ok(())
    }

    /// A tenant gives so much back; exactly undoes [`Usage::add`].
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTenant`], and [`Error::NotHeld`] where its own jobs do not have as much.
    pub fn remove(
        &mut self,
        tenant: &TenantId,
        flavor: &FlavorId,
        less: Chips,
    ) -> Result<(), Error> {
        let at = self.number(tenant)?;
        let less = i128::from(less.0);
        if self.held(at, flavor).own < less {
            return Err(not_held(tenant, format!("chips of `{flavor}`")));
        }
        self.shift(at, flavor, -less);
        Ok(())
    }

    /// So many more jobs of a tenant run or wait.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTenant`].
    pub fn count(&mut self, tenant: &TenantId, count: Count, more: u64) -> Result<(), Error> {
        let at = self.number(tenant)?;
        self.tally(at, |tally| *tally.count(count) += u128::from(more));
        Ok(())
    }

    /// So many of them no longer do.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTenant`], and [`Error::NotHeld`] where there are not as many.
    pub fn uncount(&mut self, tenant: &TenantId, count: Count, less: u64) -> Result<(), Error> {
        let at = self.number(tenant)?;
        if self.tallies.get(at).own.of(count) < u128::from(less) {
            return Err(not_held(tenant, format!("jobs that {}", count.doing())));
        }
        self.tally(at, |tally| *tally.count(count) -= u128::from(less));
        Ok(())
    }

    /// A job starts: its chips, one running job, and the chip time committed to it.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTenant`].
    pub fn take(&mut self, tenant: &TenantId, claim: &Claim) -> Result<(), Error> {
        let at = self.number(tenant)?;
        for (flavor, amount) in &claim.chips {
            self.shift(at, flavor, i128::from(amount.0));
        }
        self.tally(at, |tally| {
            tally.running += u128::from(claim.jobs);
            tally.committed += u128::from(claim.card_time.0);
        });
        Ok(())
    }

    /// A job ended that had this claim, having spent so much chip time, which may be more than was
    /// committed.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTenant`], and [`Error::NotHeld`] where the claim is not held.
    pub fn give(&mut self, tenant: &TenantId, claim: &Claim, spent: ChipTime) -> Result<(), Error> {
        let at = self.number(tenant)?;
        let (committed, own) = (u128::from(claim.card_time.0), self.tallies.get(at).own);
        if own.running < u128::from(claim.jobs) || own.committed < committed {
            return Err(not_held(tenant, "running jobs or committed chip time".to_owned()));
        }
        let short = |(flavor, amount): &(&FlavorId, &Chips)| {
            self.held(at, flavor).own < i128::from(amount.0)
        };
        if let Some((flavor, _)) = claim.chips.iter().find(short) {
            return Err(not_held(tenant, format!("chips of `{flavor}`")));
        }
        for (flavor, amount) in &claim.chips {
            self.shift(at, flavor, -i128::from(amount.0));
        }
        self.tally(at, |tally| {
            tally.running -= u128::from(claim.jobs);
            tally.committed -= committed;
            tally.spent += u128::from(spent.0);
        });
        Ok(())
    }

    /// A job that gave back its claim early is over, and spent so much chip time in all.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTenant`].
    pub fn spend(&mut self, tenant: &TenantId, spent: ChipTime) -> Result<(), Error> {
        let at = self.number(tenant)?;
        self.tally(at, |tally| tally.spent += u128::from(spent.0));
        Ok(())
    }

    fn number(&self, tenant: &TenantId) -> Result<Number, Error> {
        let unknown = || Error::UnknownTenant { tenant: tenant.clone() };
        self.quotas.tree().number(tenant).ok_or_else(unknown)
    }

    fn held(&self, at: Number, flavor: &FlavorId) -> Held {
        self.chips.get(flavor).map(|sheet| *sheet.get(at)).unwrap_or_default()
    }

    /// Changes what a tenant's own jobs use, and what counts above: of a change here, what it changes
    /// beyond the local quota.
    pub(crate) fn shift(&mut self, at: Number, flavor: &FlavorId, by: i128) {
        let quotas = Arc::clone(&self.quotas);
        let (tree, terms) = (quotas.tree(), quotas.terms(flavor));
        let all = Arc::make_mut(&mut self.chips);
        if !all.contains_key(flavor) {
            all.insert(flavor.clone(), Sheet::new(tree.len()));
        }
        let sheet = all.get_mut(flavor).expect("it was just put there");
        sheet.get_mut(at).own += by;
        let mut by = by;
        for node in tree.path(at) {
            if by == 0 {
                break;
            }
            let local = terms.map_or(0, |terms| terms[node].local);
            let used = &mut sheet.get_mut(node).used;
            let before = *used;
            *used += by;
            by = (*used - local).max(0) - (before - local).max(0);
        }
    }

    fn tally(&mut self, at: Number, mut change: impl FnMut(&mut Tally)) {
        let quotas = Arc::clone(&self.quotas);
        change(&mut self.tallies.get_mut(at).own);
        for node in quotas.tree().path(at) {
            change(&mut self.tallies.get_mut(node).all);
        }
    }

    /// What reclaim asks of a tenant's own jobs.
    pub(crate) fn own(&self, at: Number, flavor: &FlavorId) -> i128 {
        self.held(at, flavor).own
    }

    /// What reclaim asks of what counts at a tenant.
    pub(crate) fn used(&self, at: Number, flavor: &FlavorId) -> i128 {
        self.held(at, flavor).used
    }

    pub(crate) fn left(&self, terms: &[Terms], at: Number, flavor: &FlavorId) -> i128 {
        self.available(terms, at, flavor).0
    }
}

fn not_held(tenant: &TenantId, what: String) -> Error {
    Error::NotHeld { tenant: tenant.clone(), what }
}
