//! What is wrong with a declaration, or with a change of usage.

use model::{Chips, FlavorId, TenantId};

/// Why a tree of tenants cannot be, or a change cannot be made. What was to be changed is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two declarations of one tenant.
    #[error("tenant `{tenant}` is declared twice; leave one")]
    Twice {
        /// Which.
        tenant: TenantId,
    },
    /// A parent that is not declared.
    #[error("tenant `{tenant}` is part of `{parent}`, which is not declared; declare it too")]
    UnknownParent {
        /// Whose parent.
        tenant: TenantId,
        /// Who it should be.
        parent: TenantId,
    },
    /// Tenants that are part of themselves.
    #[error(
        "{} are part of each other in a circle; give one of them another parent or none",
        names(tenants)
    )]
    Cycle {
        /// Each is part of the next, the last of the first.
        tenants: Vec<TenantId>,
    },
    /// A borrowing limit where there is nobody to borrow from.
    #[error(
        "tenant `{tenant}` has a borrowing limit for `{flavor}` but no parent to borrow from; \
         remove the limit or give it a parent"
    )]
    BorrowsFromNobody {
        /// Whose limit.
        tenant: TenantId,
        /// For which flavor.
        flavor: FlavorId,
    },
    /// A lending limit where there is nobody to lend to.
    #[error(
        "tenant `{tenant}` has a lending limit for `{flavor}` but no parent to lend to; \
         remove the limit or give it a parent"
    )]
    LendsToNobody {
        /// Whose limit.
        tenant: TenantId,
        /// For which flavor.
        flavor: FlavorId,
    },
    /// A tenant without children would lend more than it has.
    #[error(
        "tenant `{tenant}` would lend {limit} chips of `{flavor}` but has {nominal}; \
         lower the limit, or remove it to lend all"
    )]
    LendsMoreThanItHas {
        /// Whose limit.
        tenant: TenantId,
        /// For which flavor.
        flavor: FlavorId,
        /// The lending limit.
        limit: Chips,
        /// Its nominal quota.
        nominal: Chips,
    },
    /// Preemption while borrowing without reclaim.
    #[error(
        "tenant `{tenant}` may preempt while it borrows but never reclaims; set \
         reclaim_within_cohort to lower-priority or any, or remove borrow_within_cohort"
    )]
    BorrowsWithoutReclaim {
        /// Whose policy.
        tenant: TenantId,
    },
    /// A half-life of no time, or of more than 30 years.
    #[error("a half-life has to be longer than nothing and at most 30 years")]
    HalfLife,
    /// A tenant nobody declared.
    #[error("there is no tenant `{tenant}`; declare it first")]
    UnknownTenant {
        /// Its name.
        tenant: TenantId,
    },
    /// A tenant is no longer declared but still has something.
    #[error("tenant `{tenant}` still has running or waiting jobs; end or move them first")]
    StillUsed {
        /// Its name.
        tenant: TenantId,
    },
    /// More would be given back than is held.
    #[error("tenant `{tenant}` gives back more {what} than it has")]
    NotHeld {
        /// Who.
        tenant: TenantId,
        /// Of what, as a word or two.
        what: String,
    },
}

fn names(tenants: &[TenantId]) -> String {
    let quoted: Vec<_> = tenants.iter().map(|tenant| format!("`{tenant}`")).collect();
    quoted.join(", ")
}
