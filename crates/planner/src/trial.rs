//! What would become of the queue under other quotas.

use crate::board::Board;
use crate::{Plan, Snapshot};
use model::{Flavor, JobId, Tenant, TenantId};
use sharing::Usage;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What would change if tenants and flavors were declared otherwise.
#[derive(Debug)]
pub struct QuotaTrial {
    /// What tenants use under the quotas there would be.
    pub usage: Usage,
    /// Waiting jobs that would be given a place at once, and would not as it is.
    pub start: BTreeMap<JobId, TenantId>,
    /// Jobs that would be told to make room, and would not as it is.
    pub leave: BTreeMap<JobId, TenantId>,
    /// Waiting jobs that would be given a place at once as it is, and would not then.
    pub wait: BTreeMap<JobId, TenantId>,
}

/// Draws up the plan for the whole queue as it is, and as it would be with these tenants and flavors
/// declared. They are to make sense together with what is declared already.
#[must_use]
pub fn try_quotas(snapshot: &Snapshot, tenants: &[Tenant], flavors: &[Flavor]) -> QuotaTrial {
    let mut world = snapshot.world.clone();
    for tenant in tenants {
        world.tenants.insert(tenant.tenant.clone(), Arc::new(tenant.clone()));
    }
    for flavor in flavors {
        world.flavors.insert(flavor.flavor.clone(), Arc::new(flavor.clone()));
    }
    let view = Board::of(&world, snapshot.situation.now).view().clone();
    let usage = view.usage().clone();
    let (situation, policy) = (snapshot.situation.clone(), snapshot.policy.clone());
    let other = Snapshot { world, view, situation, policy };
    let (before, after) = (Outcome::of(&snapshot.plan()), Outcome::of(&other.plan()));
    let whose = |jobs: Vec<JobId>| {
        let of = |job: JobId| Some((job, snapshot.world.job(job)?.spec.tenant.clone()));
        jobs.into_iter().filter_map(of).collect()
    };
    QuotaTrial {
        usage,
        start: whose(after.starts.iter().filter(|j| !before.starts.contains(j)).copied().collect()),
        leave: whose(after.leaves.iter().filter(|j| !before.leaves.contains(j)).copied().collect()),
        wait: whose(before.starts.iter().filter(|j| !after.starts.contains(j)).copied().collect()),
    }
}

/// Who would be given a place, and who told to make room.
struct Outcome {
    starts: Vec<JobId>,
    leaves: Vec<JobId>,
}

impl Outcome {
    fn of(plan: &Plan) -> Self {
        let leaves = plan.offers.iter().flat_map(|offer| &offer.preempts);
        let leaves = leaves.map(|attempt| attempt.job).collect();
        Self { starts: plan.offers.iter().map(|offer| offer.job).collect(), leaves }
    }
}
