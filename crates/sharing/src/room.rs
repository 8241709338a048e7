//! How much of a flavor is left for a tenant, and what of a claim is borrowed.

use crate::Bound;
use model::{Chips, TenantId};

/// What a tenant may still have of a flavor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// What of its nominal quota its own jobs do not use, be it lent to others at present or not.
    /// More than `available` where others have it: the difference can be reclaimed.
    pub nominal: Chips,
    /// What it can have now without anybody going, its own and borrowed together;
    /// [`Chips::MAX`] of a flavor that is free to everyone.
    pub available: Chips,
    /// What of `available` is beyond its nominal quota.
    pub borrowable: Chips,
    /// What keeps it from more; `None` for a flavor that is free to everyone.
    pub bound: Option<Bound>,
}

impl Room {
    /// How many jobs that want so much each fit now: the answer for a whole class of jobs.
    #[must_use]
    pub fn jobs(&self, each: Chips) -> u64 {
        let free = self.bound.is_none();
        self.available.0.checked_div(each.0).filter(|_| !free).unwrap_or(u64::MAX)
    }
}

/// What of a claim that fits is borrowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Borrowed {
    /// How many chips are beyond the tenant's nominal quota.
    pub chips: Chips,
    /// The nearest tenant on its way up, itself included, whose subtree quota holds all that counts
    /// there and the claim: whose members lend. `None` when nothing is borrowed.
    pub from: Option<TenantId>,
}

/// How a tenant stands with a flavor, for people to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// Its nominal quota.
    pub nominal: Chips,
    /// What its own jobs use.
    pub own: Chips,
    /// What it and those below it have together, less what those keep to themselves.
    pub subtree_quota: Chips,
    /// What of that nobody above may use, by its lending limit.
    pub local_quota: Chips,
    /// What counts against the subtree quota: its own use, and what children use beyond what they keep.
    pub used: Chips,
    /// What it and those below it use beyond their subtree quota, borrowed from above.
    pub borrowed: Chips,
    /// What they could ever use.
    pub potential: Chips,
}
