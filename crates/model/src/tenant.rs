//! Who uses: a node in the tree of organizations and projects.

use crate::quota::{Preemption, Quota};
use crate::{CenterId, ChipClass, ChipTime, FlavorId, TenantId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its name.
    pub tenant: TenantId,
    /// The tenant it is part of; none at the root. The tenants of one parent form a cohort; without
    /// a parent nothing is borrowed or lent.
    pub parent: Option<TenantId>,
    /// Its weight beside its siblings when capacity is shared.
    pub weight: u32,
    /// The center it is at home in.
    pub home: Option<CenterId>,
    /// What line of work it is in, for reports.
    pub industry: Option<String>,
    /// The portability classes it keeps builds for.
    pub classes: Vec<ChipClass>,
    /// Its quotas. A flavor that is not here is one of which nothing is its own, without limits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quotas: BTreeMap<FlavorId, Quota>,
    /// The most jobs of it and those below it that run at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_running: Option<u64>,
    /// The most jobs of it and those below it that wait at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_queued: Option<u64>,
    /// The most chip time that it and those below it may have spent and committed together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<ChipTime>,
    /// Its policies of preemption; `None` for those of its parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preemption: Option<Preemption>,
}

impl Tenant {
    /// A tenant of weight 1, without quotas, limits or anything else.
    #[must_use]
    pub const fn new(tenant: TenantId, parent: Option<TenantId>) -> Self {
        Self {
            tenant,
            parent,
            weight: 1,
            home: None,
            industry: None,
            classes: Vec::new(),
            quotas: BTreeMap::new(),
            max_running: None,
            max_queued: None,
            budget: None,
            preemption: None,
        }
    }
}
