//! Who uses: a node in the tree of organizations and projects.

use crate::{CenterId, ChipClass, TenantId};
use serde::{Deserialize, Serialize};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its name.
    pub tenant: TenantId,
    /// The tenant it is part of; none at the root.
    pub parent: Option<TenantId>,
    /// Its weight beside its siblings when capacity is shared.
    pub weight: u32,
    /// The center it is at home in.
    pub home: Option<CenterId>,
    /// What line of work it is in, for reports.
    pub industry: Option<String>,
    /// The portability classes it keeps builds for.
    pub classes: Vec<ChipClass>,
}
