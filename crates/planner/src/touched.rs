//! What a plan within a step has to look at.

use crate::class::ClassId;
use crate::roster::PoolNumber;
use model::JobId;
use std::collections::BTreeSet;

/// What changed since the last plan: all that a plan within a step has to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Anything may have changed.
    pub(crate) all: bool,
    /// Classes somebody came into line of.
    pub(crate) classes: BTreeSet<ClassId>,
    /// Pools something was freed in.
    pub(crate) pools: BTreeSet<PoolNumber>,
    /// Jobs whose reservations are due.
    pub(crate) due: BTreeSet<JobId>,
}

impl Touched {
    /// Whether nothing did.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { all, classes, pools, due } = self;
        !all && classes.is_empty() && pools.is_empty() && due.is_empty()
    }
}
