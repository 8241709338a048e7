//! Why something does not fit under quotas: an answer, in one line of plain words.

use crate::Count;
use model::{ChipTime, Chips, FlavorId, JobId, Span, TenantId};
use serde::Serialize;
use std::fmt;

/// The limit that is met first on a tenant's way up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// Whose limit: the tenant's own or that of one it is part of.
    pub tenant: TenantId,
    /// Which.
    pub limit: Limit,
    /// How much it allows.
    pub most: Chips,
    /// How much of it is used. More than `most` where a quota was lowered.
    pub used: Chips,
}

/// A kind of limit on chips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// The subtree quota of a root: all that it and those below it have and do not keep to
    /// themselves.
    Quota,
    /// The borrowing limit of a tenant for itself and those below it.
    BorrowingLimit,
}

/// Why a tenant may not have something now. Whether waiting helps: [`Denied::could_ever_fit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "limit")]
pub enum Denied {
    /// Nobody declared the tenant.
    UnknownTenant {
        /// Its name.
        tenant: TenantId,
    },
    /// More chips than are available to it.
    Chips {
        /// Who asks.
        tenant: TenantId,
        /// For what.
        flavor: FlavorId,
        /// For how many.
        asked: Chips,
        /// By how much that is too many.
        over: Chips,
        /// What it could ever have at most, if nobody else used anything.
        ever: Chips,
        /// The limit that is met first.
        bound: Bound,
    },
    /// More jobs than may run or wait at a time.
    Jobs {
        /// Who asks.
        tenant: TenantId,
        /// For how many.
        asked: u64,
        /// Which are counted.
        count: Count,
        /// Whose limit is met: the tenant's own or that of one it is part of.
        at: TenantId,
        /// How many it allows.
        most: u64,
        /// How many there are.
        used: u64,
    },
    /// A job of the tenant has waited so long for the same that no other takes it before.
    Behind {
        /// Whose jobs both are.
        tenant: TenantId,
        /// The job that comes first.
        job: JobId,
        /// How long it has waited.
        waited: Span,
    },
    /// More chip time than is left of a budget.
    Budget {
        /// Who asks.
        tenant: TenantId,
        /// For how much.
        asked: ChipTime,
        /// Whose budget: the tenant's own or that of one it is part of.
        at: TenantId,
        /// The budget.
        most: ChipTime,
        /// What of it is spent.
        spent: ChipTime,
        /// What of it is promised to running jobs.
        committed: ChipTime,
    },
}

impl Denied {
    /// Whether it would fit once others have given back what they have, with no quota changed.
    #[must_use]
    pub fn could_ever_fit(&self) -> bool {
        match self {
            Self::UnknownTenant { .. } => false,
            Self::Behind { .. } => true,
            Self::Chips { asked, ever, .. } => asked <= ever,
            Self::Jobs { asked, most, .. } => asked <= most,
            Self::Budget { asked, most, spent, .. } => {
                asked.0.checked_add(spent.0).is_some_and(|both| both <= most.0)
            }
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownTenant { tenant } => {
                write!(f, "there is no tenant `{tenant}`; declare it first")
            }
            Self::Chips { tenant, flavor, asked, over, ever, bound } => {
                write!(f, "{asked} chips of `{flavor}` for `{tenant}` are {over} too many: ")?;
                write!(f, "{bound}; ")?;
                if asked <= ever {
                    write!(f, "fits when others give back what they use")
                } else {
                    write!(f, "never fits, {ever} is the most `{tenant}` can have")
                }
            }
            Self::Behind { tenant, job, waited } => {
                write!(f, "{job} of `{tenant}` has waited {waited} for the same and comes first")
            }
            Self::Jobs { tenant, asked, count, at, most, used } => {
                let over = u128::from(*used) + u128::from(*asked) - u128::from(*most);
                let doing = count.doing();
                write!(f, "{asked} more jobs of `{tenant}` are {over} too many: of `{at}` ")?;
                write!(f, "{used} of at most {most} {doing}; ")?;
                if asked <= most {
                    write!(f, "fits when they end")
                } else {
                    write!(f, "never fits")
                }
            }
            Self::Budget { tenant, asked, at, most, spent, committed } => {
                let sum = [spent, committed, asked].iter().map(|time| u128::from(time.0)).sum();
                let over = u64::try_from(u128::saturating_sub(sum, most.0.into()));
                let over = ChipTime(over.unwrap_or(u64::MAX));
                write!(f, "{asked} for `{tenant}` are {over} too many: of the {most} of `{at}` ")?;
                write!(f, "{spent} are spent and {committed} committed; ")?;
                if self.could_ever_fit() {
                    write!(f, "fits when running jobs use less than they may")
                } else {
                    write!(f, "fits when the budget is raised")
                }
            }
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, limit, most, used } = self;
        match limit {
            Limit::Quota if *most == Chips::ZERO => write!(f, "`{tenant}` has no quota of it"),
            Limit::Quota => write!(f, "{used} of the {most} that `{tenant}` can share are in use"),
            Limit::BorrowingLimit => {
                write!(f, "`{tenant}` may borrow {most} and has borrowed {used}")
            }
        }
    }
}
