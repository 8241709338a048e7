//! In which of several flavors a job should go.

use crate::reclaim::{Asking, Holder, NotReclaimed, Reclaim, reclaim};
use crate::{Usage, room::Borrowed};
use model::FlavorId;
use std::collections::BTreeMap;

/// What to do at a flavor where a job fits only by borrowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenCanBorrow {
    /// Borrow.
    #[default]
    Borrow,
    /// Look at the next flavor, and come back where none is better.
    TryNext,
}

/// What to do at a flavor where a job fits only when others go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenCanPreempt {
    /// Tell them to go.
    Preempt,
    /// Look at the next flavor, and come back where none is better.
    #[default]
    TryNext,
}

/// Kueue's fungibility of flavors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fungibility {
    /// Where a job fits only by borrowing.
    pub when_can_borrow: WhenCanBorrow,
    /// Where a job fits only when others go.
    pub when_can_preempt: WhenCanPreempt,
}

/// How a job fits a flavor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it is, with what it borrows.
    Fits(BTreeMap<FlavorId, Borrowed>),
    /// When these go.
    Preempts(Reclaim),
    /// Not.
    Not(NotReclaimed),
}

impl Verdict {
    fn borrows(&self) -> bool {
        match self {
            Self::Fits(borrowed) => !borrowed.is_empty(),
            Self::Preempts(reclaim) => reclaim.borrows,
            Self::Not(_) => false,
        }
    }

    /// Less is better: fits, then preempts; of each, without borrowing first.
    fn rank(&self) -> (u8, bool) {
        let kind = match self {
            Self::Fits(_) => 0,
            Self::Preempts(_) => 1,
            Self::Not(_) => 2,
        };
        (kind, self.borrows())
    }

    fn is_final(&self, policy: Fungibility) -> bool {
        let may_borrow = !self.borrows() || policy.when_can_borrow == WhenCanBorrow::Borrow;
        match self {
            Self::Fits(_) => may_borrow,
            Self::Preempts(_) => may_borrow && policy.when_can_preempt == WhenCanPreempt::Preempt,
            Self::Not(_) => false,
        }
    }
}

/// A choice between ways to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The place of the chosen among the ways given.
    pub chosen: usize,
    /// What was found of each looked at, in order: why the others were not chosen.
    pub verdicts: Vec<Verdict>,
}

/// Chooses between ways to ask for a job, given in order of preference: each the same job in another
/// flavor. `None` where no way fits, not even when others go, or none is given.
///
/// Costs a [`reclaim()`](crate::reclaim()) for each way looked at that does not fit as it is.
pub fn choose<'a, H>(
    usage: &Usage,
    policy: Fungibility,
    ways: &[Asking<'_>],
    holders: impl Fn() -> H,
) -> Option<Choice>
where
    H: IntoIterator<Item = Holder<'a>>,
{
    let mut verdicts: Vec<Verdict> = Vec::new();
    for way in ways {
        let fits: Result<BTreeMap<_, _>, _> = way
            .chips
            .iter()
            .map(|(flavor, amount)| {
                let borrowed = usage.admits(way.tenant, flavor, *amount)?;
                Ok((flavor.clone(), borrowed))
            })
            .collect();
        let verdict = match fits {
            Ok(mut borrowed) => {
                borrowed.retain(|_, borrowed| borrowed.from.is_some());
                Verdict::Fits(borrowed)
            }
            Err(crate::Denied::UnknownTenant { .. }) => return None,
            Err(_) => reclaim(usage, way, holders()).map_or_else(Verdict::Not, Verdict::Preempts),
        };
        let last = verdict.is_final(policy);
        verdicts.push(verdict);
        if last {
            break;
        }
    }
    let (chosen, best) = verdicts.iter().enumerate().min_by_key(|(_, verdict)| verdict.rank())?;
    let none = matches!(best, Verdict::Not(_));
    (!none).then_some(Choice { chosen, verdicts })
}
