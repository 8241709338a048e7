//! What this machine allows, known before any engine is open.

use crate::Enforcement;
use crate::cgroup::Cgroups;
use std::fmt;

/// How far a process engine would enforce limits here.
pub(crate) fn enforcement_here() -> Enforcement {
    let groups = Cgroups::of_this_process();
    groups.prepare();
    groups.enforcement()
}

/// Whether this process may run attempts as users of their own.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CgroupV2 => "memory and processor limits by cgroup v2",
            Self::CgroupV1 => "memory and processor limits by cgroup v1",
            Self::ProcessGroup => "time limits only",
            Self::Batch => "limits by the batch system",
            Self::Simulated => "nothing real runs",
        })
    }
}
