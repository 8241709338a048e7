//! Who may use how much of what: Kueue's words over the tree of tenants.

use crate::{
    CenterId, Chip, ChipClass, ChipId, Chips, FlavorId, Moment, PriorityClassId, Region, TenantId,
};
use serde::{Deserialize, Serialize};

/// What quotas are counted in: some chips in some centers. A pool is of the first flavor, in the
/// order of names, that has it; of one that is of none nobody has a quota, and all may use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flavor {
    /// Its name.
    pub flavor: FlavorId,
    /// These chips; with no `classes` either, all.
    pub chips: Vec<ChipId>,
    /// Chips of these portability classes too.
    pub classes: Vec<ChipClass>,
    /// In these centers; with no `regions` either, everywhere.
    pub centers: Vec<CenterId>,
    /// In centers in these regions too.
    pub regions: Vec<Region>,
}

impl Flavor {
    /// Whether pools with this chip in this center, which is in this region, are of the flavor.
    #[must_use]
    pub fn has(&self, chip: &Chip, center: &CenterId, region: Option<&Region>) -> bool {
        let any_chip = self.chips.is_empty() && self.classes.is_empty();
        let chip =
            any_chip || self.chips.contains(&chip.chip) || self.classes.contains(&chip.class);
        let anywhere = self.centers.is_empty() && self.regions.is_empty();
        let inside = || region.is_some_and(|of| self.regions.iter().any(|r| r.contains(of)));
        chip && (anywhere || self.centers.contains(center) || inside())
    }
}

/// A tenant's quota of one flavor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Quota {
    /// What is its own. Of a tenant with children it is *beside* theirs, and they borrow from it.
    pub nominal: Chips,
    /// The most the tenant and all below it may use beyond what is theirs together; `None` for no
    /// limit but what others lend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub borrowing_limit: Option<Chips>,
    /// The most of what is theirs together that others may use; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lending_limit: Option<Chips>,
}

/// A priority with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriorityClass {
    /// Its name.
    pub priority_class: PriorityClassId,
    /// The priority of jobs that name it.
    pub value: i32,
    /// Only jobs of these tenants, and of those below them, may name it; all where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<TenantId>,
}

/// Whose jobs of its own a tenant's waiting job may tell to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WithinQueue {
    /// Nobody's.
    #[default]
    Never,
    /// Those of lower priority.
    LowerPriority,
    /// Those of lower priority, and those of the same that were submitted later.
    LowerOrNewerEqual,
}

impl WithinQueue {
    /// Whether a job may be told to go for another of its tenant. Of each its priority and when it was
    /// submitted.
    #[must_use]
    pub const fn lets_go(self, leaves: (i32, Moment), comes: (i32, Moment)) -> bool {
        let ((low, later), (high, sooner)) = (leaves, comes);
        match self {
            Self::Never => false,
            Self::LowerPriority => low < high,
            Self::LowerOrNewerEqual => low < high || (low == high && later.0 > sooner.0),
        }
    }
}

/// Which jobs of tenants that borrow a tenant's waiting job may tell to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReclaimWithinCohort {
    /// None.
    #[default]
    Never,
    /// Those of lower priority.
    LowerPriority,
    /// All.
    Any,
}

impl ReclaimWithinCohort {
    /// Whether a job of the one priority, whose tenant borrows, may be told to go for one of the other.
    #[must_use]
    pub const fn lets_go(self, leaves: i32, comes: i32) -> bool {
        match self {
            Self::Never => false,
            Self::LowerPriority => leaves < comes,
            Self::Any => true,
        }
    }
}

/// That a job may tell others' to go even where it borrows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BorrowWithinCohort {
    /// The highest priority of those it may tell; theirs is lower than its own in any case.
    pub max_priority: Option<i32>,
}

/// A tenant's policies of preemption. By default it tells nobody to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Preemption {
    /// Among its own jobs.
    pub within_queue: WithinQueue,
    /// Among jobs of tenants that borrow.
    pub reclaim_within_cohort: ReclaimWithinCohort,
    /// While it borrows itself; not at all by default.
    pub borrow_within_cohort: Option<BorrowWithinCohort>,
}
