//! What may be asked of a usage. Each answer walks from the tenant up to its root once.

use super::{Claim, Count, Held, Tally, Usage};
use crate::denied::{Bound, Denied, Limit};
use crate::quota::{Terms, chips};
use crate::room::{Account, Borrowed, Room};
use crate::tree::Number;
use model::{ChipTime, Chips, FlavorId, TenantId};
use std::collections::BTreeMap;

impl Usage {
    /// What a tenant has left of a flavor, and what bounds it. Nothing for an unknown tenant, unless
    /// the flavor is free.
    #[must_use]
    pub fn room(&self, tenant: &TenantId, flavor: &FlavorId) -> Room {
        let Some(terms) = self.quotas.terms(flavor) else {
            let (nominal, borrowable) = (Chips::ZERO, Chips::MAX);
            return Room { nominal, available: Chips::MAX, borrowable, bound: None };
        };
        let Some(at) = self.quotas.tree().number(tenant) else {
            let (most, used) = (Chips::ZERO, Chips::ZERO);
            let bound = Bound { tenant: tenant.clone(), limit: Limit::Quota, most, used };
            let none = Chips::ZERO;
            return Room { nominal: none, available: none, borrowable: none, bound: Some(bound) };
        };
        let (available, bound) = self.available(terms, at, flavor);
        let nominal = chips(terms[at].nominal - self.held(at, flavor).own);
        let available = chips(available);
        Room { nominal, available, borrowable: available - nominal, bound: Some(bound) }
    }

    /// Whether a tenant may have so much more of a flavor, and what of it would be borrowed. No chips at
    /// all always fit.
    ///
    /// # Errors
    ///
    /// [`Denied`], an answer: which limit is met first.
    pub fn admits(
        &self,
        tenant: &TenantId,
        flavor: &FlavorId,
        amount: Chips,
    ) -> Result<Borrowed, Denied> {
        let unknown = || Denied::UnknownTenant { tenant: tenant.clone() };
        let at = self.quotas.tree().number(tenant).ok_or_else(unknown)?;
        let asked = i128::from(amount.0);
        let Some(terms) = self.quotas.terms(flavor).filter(|_| asked > 0) else {
            return Ok(Borrowed::default());
        };
        let (available, bound) = self.available(terms, at, flavor);
        if asked > available {
            let (tenant, flavor) = (tenant.clone(), flavor.clone());
            let (over, ever) = (chips(asked - available), chips(terms[at].potential));
            return Err(Denied::Chips { tenant, flavor, asked: amount, over, ever, bound });
        }
        let own = self.held(at, flavor).own;
        let beyond = asked.min(own + asked - terms[at].nominal);
        if beyond <= 0 {
            return Ok(Borrowed::default());
        }
        let from = self.quotas.tree().id(self.lender(terms, at, flavor, asked)).clone();
        Ok(Borrowed { chips: chips(beyond), from: Some(from) })
    }

    /// Whether so many more jobs of a tenant may run or wait.
    ///
    /// # Errors
    ///
    /// [`Denied`], an answer: the nearest limit that is met, of the tenant or one it is part of.
    pub fn admits_jobs(&self, tenant: &TenantId, count: Count, more: u64) -> Result<(), Denied> {
        let unknown = || Denied::UnknownTenant { tenant: tenant.clone() };
        let number = self.quotas.tree().number(tenant).ok_or_else(unknown)?;
        for at in self.quotas.tree().path(number) {
            let caps = self.quotas.caps(at);
            let limit = match count {
                Count::Running => caps.running,
                Count::Queued => caps.queued,
            };
            let used = self.tallies.get(at).all.of(count);
            let fits = |most: u64| used + u128::from(more) <= u128::from(most);
            let Some(most) = limit.filter(|most| more > 0 && !fits(*most)) else { continue };
            let at = self.quotas.tree().id(at).clone();
            let used = u64::try_from(used).unwrap_or(u64::MAX);
            return Err(Denied::Jobs {
                tenant: tenant.clone(),
                asked: more,
                count,
                at,
                most,
                used,
            });
        }
        Ok(())
    }

    /// Whether budgets leave so much more chip time: what is spent and committed stays within each.
    ///
    /// # Errors
    ///
    /// [`Denied`], an answer: the nearest budget that does not, of the tenant or one it is part of.
    pub fn affords(&self, tenant: &TenantId, more: ChipTime) -> Result<(), Denied> {
        let unknown = || Denied::UnknownTenant { tenant: tenant.clone() };
        let number = self.quotas.tree().number(tenant).ok_or_else(unknown)?;
        for at in self.quotas.tree().path(number) {
            let Tally { committed, spent, .. } = self.tallies.get(at).all;
            let all = spent + committed + u128::from(more.0);
            let over = |most: &ChipTime| more.0 > 0 && all > u128::from(most.0);
            let Some(most) = self.quotas.caps(at).budget.filter(over) else { continue };
            let at = self.quotas.tree().id(at).clone();
            let [spent, committed] =
                [spent, committed].map(|time| ChipTime(u64::try_from(time).unwrap_or(u64::MAX)));
            let tenant = tenant.clone();
            return Err(Denied::Budget { tenant, asked: more, at, most, spent, committed });
        }
        Ok(())
    }

    /// Whether a job with this claim may start: its chips, one more running job, its chip time.
    /// Says what would be borrowed by flavor.
    ///
    /// # Errors
    ///
    /// [`Denied`], an answer. Of several reasons one that waiting does not help comes first.
    pub fn admits_claim(
        &self,
        tenant: &TenantId,
        claim: &Claim,
    ) -> Result<BTreeMap<FlavorId, Borrowed>, Denied> {
        let (mut borrowed, mut denied) = (BTreeMap::new(), Vec::new());
        for (flavor, amount) in &claim.chips {
            match self.admits(tenant, flavor, *amount) {
                Ok(of) if of.chips > Chips::ZERO => drop(borrowed.insert(flavor.clone(), of)),
                Ok(_) => {}
                Err(why) => denied.push(why),
            }
        }
        denied.extend(self.admits_jobs(tenant, Count::Running, claim.jobs).err());
        denied.extend(self.affords(tenant, claim.card_time).err());
        denied.into_iter().min_by_key(Denied::could_ever_fit).map_or(Ok(borrowed), Err)
    }

    /// How a tenant stands with a flavor. `None` for an unknown tenant.
    #[must_use]
    pub fn account(&self, tenant: &TenantId, flavor: &FlavorId) -> Option<Account> {
        self.quotas.tree().number(tenant).map(|at| self.account_at(at, flavor))
    }

    /// How a tenant and each it is part of stand with a flavor, itself first, its root last: what
    /// its room comes from. Empty for an unknown tenant.
    #[must_use]
    pub fn quota_path(&self, tenant: &TenantId, flavor: &FlavorId) -> Vec<(TenantId, Account)> {
        let tree = self.quotas.tree();
        let path = tree.number(tenant).into_iter().flat_map(|at| tree.path(at));
        path.map(|at| (tree.id(at).clone(), self.account_at(at, flavor))).collect()
    }

    fn account_at(&self, at: Number, flavor: &FlavorId) -> Account {
        let Held { own, used } = self.held(at, flavor);
        let (own, used) = (chips(own), chips(used));
        let Some(terms) = self.quotas.terms(flavor).map(|terms| terms[at]) else {
            return Account { own, used, potential: Chips::MAX, ..Account::default() };
        };
        let (subtree_quota, local_quota) = (chips(terms.subtree), chips(terms.local));
        Account {
            nominal: chips(terms.nominal),
            own,
            subtree_quota,
            local_quota,
            used,
            borrowed: used - subtree_quota,
            potential: chips(terms.potential),
        }
    }

    /// How many jobs of a tenant and those below it run or wait. None of an unknown tenant.
    #[must_use]
    pub fn jobs(&self, tenant: &TenantId, count: Count) -> u64 {
        let at = self.quotas.tree().number(tenant);
        let jobs = at.map_or(0, |at| self.tallies.get(at).all.of(count));
        u64::try_from(jobs).unwrap_or(u64::MAX)
    }

    /// What is available to a tenant, less than nothing where more is used than allowed, and what
    /// bounds it. Each tenant on the way up adds what is left of its local quota; each limit met
    /// bounds the sum so far and itself.
    pub(super) fn available(
        &self,
        terms: &[Terms],
        at: Number,
        flavor: &FlavorId,
    ) -> (i128, Bound) {
        let tree = self.quotas.tree();
        let (mut local, mut least) = (0, None::<(i128, Number, Limit)>);
        let mut take = |amount: i128, node: Number, limit: Limit| {
            if least.is_none_or(|(least, ..)| amount < least) {
                least = Some((amount, node, limit));
            }
        };
        for node in tree.path(at) {
            let (terms, used) = (terms[node], self.held(node, flavor).used);
            if tree.parent(node).is_none() {
                take(local + terms.subtree - used, node, Limit::Quota);
                continue;
            }
            local += (terms.local - used).max(0);
            if let Some(limit) = terms.borrowing_limit {
                let seen = terms.subtree - terms.local;
                let used_above = (used - terms.local).max(0);
                take(local + seen - used_above + limit, node, Limit::BorrowingLimit);
            }
        }
        let (available, node, limit) = least.expect("a path ends at a root");
        let (of, used) = (terms[node], self.held(node, flavor).used);
        let (most, used) = match limit {
            Limit::Quota => (of.subtree, used),
            Limit::BorrowingLimit => (of.borrowing_limit.unwrap_or_default(), used - of.subtree),
        };
        let bound =
            Bound { tenant: tree.id(node).clone(), limit, most: chips(most), used: chips(used) };
        (available, bound)
    }

    /// The nearest tenant whose subtree quota holds the use below it with so much more by a tenant
    /// below; the root if none does.
    fn lender(&self, terms: &[Terms], at: Number, flavor: &FlavorId, asked: i128) -> Number {
        let (mut rest, mut last) = (asked, at);
        for node in self.quotas.tree().path(at) {
            let used = self.held(node, flavor).used;
            last = node;
            if used + rest <= terms[node].subtree {
                break;
            }
            rest -= (terms[node].local - used).clamp(0, rest);
        }
        last
    }
}
