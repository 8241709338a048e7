//! Who used how much, and who holds what of which flavor.

use crate::{Lent, World};
use model::fact::CapacityRecalled;
use model::job::Job;
use model::{
    CenterId, ChipTime, Chips, FlavorId, JobSpec, Moment, Placement, PoolId, Span, Tenant, TenantId,
};
use serde::{Deserialize, Serialize};
use sharing::{Claim, Draw, Error, Standings};
use std::collections::BTreeMap;
use std::sync::Arc;

/// After so long use counts half: a week, as in Slurm.
const HALF_LIFE: Span = Span::from_secs(7 * 86_400);

/// What tenants used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    /// Decayed, against weights.
    pub standings: Standings,
    /// By each tenant's own attempts that are over, as it was.
    pub spent: BTreeMap<TenantId, ChipTime>,
    /// By attempts that are over, of centers that are not their tenant's own.
    pub lent: Lent,
}

impl Default for Shares {
    fn default() -> Self {
        let standings = Standings::new([], HALF_LIFE).expect("a week is a half-life");
        Self { standings, spent: BTreeMap::new(), lent: Lent::default() }
    }
}

/// What a tenant's own live attempts hold that nobody else is to have instead.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    /// Chips by flavor; of none where nothing is held.
    pub chips: BTreeMap<FlavorId, Chips>,
    /// How many attempts there are.
    pub attempts: u64,
    /// The chip time they may take, in chip-milliseconds.
    pub committed: u128,
}

/// What an owner took back of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recalled {
    /// How many of its chips no guest has.
    pub chips: Chips,
    /// Until when.
    pub until: Moment,
    /// By when they are back; a recall of an older program does not say.
    pub in_time: Option<Moment>,
}

/// What an attempt has of its tenant's quotas. It has it from its offer until it is over or makes
/// room for another job, for then that has it.
#[must_use]
pub fn claim(spec: &JobSpec, placement: &Placement) -> Claim {
    // A reservation is no job that runs.
    let jobs = u64::from(!spec.is_reservation());
    let mut claim = Claim { jobs, ..Claim::default() };
    // What runs in a reservation has nothing that this does not have.
    let parts = placement.parts.iter().filter(|_| placement.inside.is_none());
    for part in parts {
        let chips = part.chips();
        if let Some(flavor) = part.flavor.as_ref().filter(|_| chips > Chips::ZERO) {
            let of = claim.chips.entry(flavor.clone()).or_default();
            *of = of.saturating_add(chips);
        }
        let limit = spec.limit(part.variant).unwrap_or(Span::MAX);
        claim.card_time = claim.card_time.saturating_add(chips.over(limit));
    }
    claim
}

/// What an attempt draws while it runs.
#[must_use]
pub fn draw(placement: &Placement) -> Draw {
    let mut draw = Draw::default();
    let parts = placement.parts.iter().filter(|_| placement.inside.is_none());
    for part in parts {
        let of = Draw::normalised(part.chips(), part.worth.into());
        draw.chips = draw.chips.saturating_add(of.chips);
        draw.standard = draw.standard.saturating_add(of.standard);
        for slots in &part.nodes {
            draw.cores = draw.cores.saturating_add(slots.cores);
            draw.memory = draw.memory.saturating_add(slots.memory);
        }
    }
    for stream in &placement.streams {
        draw.bandwidth = draw.bandwidth.saturating_add(stream.rate);
    }
    draw
}

/// An attempt that runs: since when, and where.
#[derive(Debug, Clone)]
pub(crate) struct Runs {
    since: Moment,
    placement: Arc<Placement>,
}

impl PartialEq for Runs {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.placement, &other.placement)
    }
}

/// A job's attempt, if it runs.
pub(crate) fn runs(job: &Job) -> Option<Runs> {
    let attempt = job.phase.attempt().filter(|attempt| !attempt.is_over())?;
    let since = attempt.state.started()?;
    Some(Runs { since, placement: Arc::clone(&attempt.placement) })
}

impl World {
    pub(crate) fn tenant_declared(&mut self, tenant: &Arc<Tenant>) {
        let known = self.tenants.insert(tenant.tenant.clone(), Arc::clone(tenant));
        let same =
            |known: Arc<Tenant>| (&known.parent, known.weight) == (&tenant.parent, tenant.weight);
        if known.is_some_and(same) {
            return;
        }
        // Declared one by one, tenants may be in a circle or have no parent for a moment; the last of
        // them puts it right.
        let all = self.tenants.values().map(Arc::as_ref);
        if let Ok(standings) = self.shares.standings.under(all) {
            self.shares.standings = standings;
        }
    }

    /// A tenant's attempt began to run, is over, or reads otherwise than it did.
    pub(crate) fn draws_otherwise(
        &mut self,
        tenant: &TenantId,
        (before, after): (Option<Runs>, Option<Runs>),
        at: Moment,
    ) -> Result<(), String> {
        let Shares { standings, spent, .. } = &mut self.shares;
        let known = |told: Result<(), Error>| match told {
            // Nobody compares a tenant that was never declared with others.
            Ok(()) | Err(Error::UnknownTenant { .. }) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        if let Some(Runs { since, placement }) = &before {
            let draw = draw(placement);
            known(standings.stop(tenant, &draw, at))?;
            if after.is_none() {
                let of = spent.entry(tenant.clone()).or_default();
                *of = of.saturating_add(draw.chips.over(at.since(*since)));
            }
        }
        if let (Some(Runs { since, placement }), None) = (&before, &after) {
            self.had(tenant, placement, (*since, at));
        }
        let standings = &mut self.shares.standings;
        match &after {
            Some(Runs { placement, .. }) => known(standings.start(tenant, &draw(placement), at)),
            None => Ok(()),
        }
    }

    pub(crate) fn recalled(&mut self, fact: &CapacityRecalled) {
        let pools = self.recalls.entry(fact.center.clone()).or_default();
        if fact.chips == Chips::ZERO {
            pools.remove(&fact.pool);
        } else {
            let CapacityRecalled { chips, until, in_time, .. } = *fact;
            pools.insert(fact.pool.clone(), Recalled { chips, until, in_time });
        }
        if pools.is_empty() {
            self.recalls.remove(&fact.center);
        }
    }

    /// What of a pool its owner took back, as long as it is so.
    #[must_use]
    pub fn recall_of(&self, center: &CenterId, pool: &PoolId) -> Option<Recalled> {
        self.recalls.get(center)?.get(pool).copied()
    }

    /// What a tenant's own live attempts hold; `None` where they hold nothing.
    #[must_use]
    pub fn held(&self, tenant: &TenantId) -> Option<&Held> {
        self.index.held.get(tenant)
    }
}
