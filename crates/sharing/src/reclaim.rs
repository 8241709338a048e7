//! Who has to go so that a job fits its tenant's quota.

mod candidates;

use crate::Usage;
use crate::denied::Denied;
use candidates::{Call, Candidate, Variant};
use model::{ChipTime, Chips, FlavorId, JobId, Moment, TenantId};
use std::collections::BTreeMap;
use std::fmt;

/// A job that should fit.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// What it wants of each flavor.
    pub chips: &'a BTreeMap<FlavorId, Chips>,
    /// Its priority.
    pub priority: i32,
    /// When it was submitted.
    pub submitted: Moment,
}

/// A job that holds chips, counted in the usage.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// Which.
    pub job: JobId,
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// What it has of each flavor.
    pub chips: &'a BTreeMap<FlavorId, Chips>,
    /// Its priority.
    pub priority: i32,
    /// Whether it may be told to go at all.
    pub preemptible: bool,
    /// When it was submitted.
    pub submitted: Moment,
    /// Since when it has them.
    pub since: Moment,
    /// What of its work would be lost: what was done since its checkpoint, times its chips. Zero for
    /// all jobs gives Kueue's order.
    pub lost: ChipTime,
    /// Whether it is told to go already. Such jobs come first, for they cost nothing more.
    pub leaving: bool,
}

/// Why a job may be told to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Its own tenant has a job that comes before it.
    WithinQueue,
    /// Its tenant borrows what the asking tenant, or one it is part of, has as its own.
    ReclaimWithinCohort,
    /// Its tenant borrows, as the asking tenant will, and the job's priority is lower.
    ReclaimWhileBorrowing,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WithinQueue => "a job of its tenant comes before it",
            Self::ReclaimWithinCohort => "its tenant borrows what another takes back",
            Self::ReclaimWhileBorrowing => "its tenant borrows and its priority is lower",
        })
    }
}

/// A job to be told to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Victim {
    /// Which.
    pub job: JobId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Why it.
    pub why: Why,
    /// What of its work is lost.
    pub lost: ChipTime,
}

/// Who has to go. None of them can be spared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reclaim {
    /// In the order in which they were chosen. At each that is not the asking tenant's own, were those
    /// before it gone, its tenant still uses more than its nominal quota, and so does each tenant
    /// between it and the cohort it shares with the asking one, of a flavor that is short. One job
    /// may be more than what is borrowed; but nobody who borrows nothing loses any.
    pub victims: Vec<Victim>,
    /// Whether the job borrows once they are gone.
    pub borrows: bool,
}

/// That nobody can be told to go so that a job fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReclaimed {
    /// What is in the way.
    pub denied: Denied,
    /// How many jobs hold chips of a flavor that is short.
    pub holders: usize,
    /// How many of them the tenant's policies would let go; too few.
    pub candidates: usize,
}

impl fmt::Display for NotReclaimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { denied, holders, candidates } = self;
        write!(f, "{denied}; of {holders} jobs that have such chips ")?;
        match candidates {
            0 => write!(f, "none may be told to go for it"),
            _ => write!(f, "{candidates} may be told to go for it, which is not enough"),
        }
    }
}

/// Who has to go so that a job fits: nobody where it fits as it is. The tenant's policies say who
/// may be told, see [`Preemption`](model::Preemption).
///
/// As in Kueue, candidates are jobs of other tenants that use more than their nominal quota, and the
/// tenant's own. They are taken until the job fits. First come those over which it has the advantage:
/// it fits the quota of its tenant, or of one that it is part of, and theirs borrow from there or from above.
/// Then come those of other tenants, and the tenant's own last. In each group the lowest priority
/// goes first, of that who loses least work, then who came last, then by number. In the end each
/// that can stay after all stays.
///
/// Without `borrow_within_cohort` jobs of others over which it has no such advantage are only told to go
/// where the job is then within its tenant's nominal quota.
///
/// Beyond Kueue, a job larger than its tenant's nominal quota may still take the place of its
/// tenant's own jobs.
///
/// Costs O(holders × depth) and sorting the candidates; O(victims × depth) simulated changes.
///
/// # Errors
///
/// [`NotReclaimed`], an answer.
pub fn reclaim<'a>(
    usage: &Usage,
    asking: &Asking<'_>,
    holders: impl IntoIterator<Item = Holder<'a>>,
) -> Result<Reclaim, NotReclaimed> {
    let mut denied = None;
    let mut short = Vec::new();
    for (flavor, amount) in asking.chips {
        if let Err(why) = usage.admits(asking.tenant, flavor, *amount) {
            short.push(flavor);
            // What can never fit is the better reason.
            if denied.as_ref().is_none_or(|d: &Denied| d.could_ever_fit() && !why.could_ever_fit())
            {
                denied = Some(why);
            }
        }
    }
    let at = usage.quotas().tree().number(asking.tenant);
    let (denied, at) = match (denied, at) {
        (Some(denied), Some(at)) if denied.could_ever_fit() => (denied, at),
        (Some(denied), _) => return Err(NotReclaimed { denied, holders: 0, candidates: 0 }),
        (None, Some(at)) => {
            let borrows = Call::new(usage, asking, at, short).borrows(usage);
            return Ok(Reclaim { victims: Vec::new(), borrows });
        }
        (None, None) => {
            let denied = Denied::UnknownTenant { tenant: asking.tenant.clone() };
            return Err(NotReclaimed { denied, holders: 0, candidates: 0 });
        }
    };
    let call = Call::new(usage, asking, at, short);
    let (candidates, holders) = call.candidates(usage, holders);
    for &borrowing in call.attempts(usage, &candidates) {
        if let Some(found) = attempt(&call, usage, &candidates, borrowing) {
            return Ok(found);
        }
    }
    Err(NotReclaimed { denied, holders, candidates: candidates.len() })
}

/// Takes candidates in order until the job fits, then lets stay who can.
fn attempt(
    call: &Call<'_>,
    usage: &Usage,
    candidates: &[Candidate<'_>],
    borrowing: bool,
) -> Option<Reclaim> {
    let mut usage = usage.clone();
    let mut victims = Vec::new();
    let mut fits = false;
    for candidate in candidates {
        let barred = borrowing && candidate.variant == Variant::WithoutBorrowing;
        if barred || !call.still_borrows(&usage, candidate) {
            continue;
        }
        candidate.go(&mut usage);
        victims.push(candidate);
        fits = call.fits(&usage, borrowing);
        if fits {
            break;
        }
    }
    if !fits {
        return None;
    }
    // Without the last it did not fit, so it goes in any case.
    for index in (0..victims.len() - 1).rev() {
        victims[index].stay(&mut usage);
        if call.fits(&usage, borrowing) {
            victims.remove(index);
        } else {
            victims[index].go(&mut usage);
        }
    }
    let victims = victims.into_iter().map(Candidate::victim).collect();
    Some(Reclaim { victims, borrows: call.borrows(&usage) })
}
