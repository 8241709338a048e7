//! What tenants are entitled to of the network's chips, and who has less than that.
//!
//! At each round boundary all that runs and waits is laid out as if it could be divided at will, by
//! weighted lexicographic max-min in the tree of tenants, on the kinds of chips there are, on what owners
//! lend of them, and where data may be ([`allocation::fair`]). What a tenant has there it is *entitled*
//! to, counted in chips that run its jobs best. Entitled less had, over time, says how far it is behind:
//! as the time that it would take to make up for it. Who is furthest behind has its turn first, before
//! standings decide. At the boundary itself its jobs also take the place of preemptible ones, of tenants
//! that have more than they are entitled to and run more beside their weights than it does.
//!
//! Nothing of this is a fact: a server that starts anew finds nobody behind.

mod market;

use crate::demand::{Shape, shape_of};
use crate::roster::Roster;
use crate::toll::whole;
use crate::{Aim, Policy, View};
use allocation::{Class, Node, Problem, fair};
use market::{Inside, Market};
use model::job::Job;
use model::{Chips, JobSpec, Moment, Span, TenantId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use world::World;

/// Nobody is further behind than this, or ahead: what was long ago is forgotten.
const MOST: i64 = 12 * 3_600_000;

/// What one tenant's own jobs may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Entitled {
    /// Chips that run its jobs best that it is entitled to.
    pub to: Chips,
    /// What its jobs have, counted so: a chip that runs one half as fast counts half.
    pub has: Chips,
    /// How long it would have to have nothing to be where it is, in milliseconds; below zero where it had
    /// more than it was entitled to.
    pub behind_ms: i64,
}

/// What tenants are entitled to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entitlements {
    /// As of when; none where there are none yet.
    at: Option<Moment>,
    of: BTreeMap<TenantId, Entitled>,
}

impl Entitlements {
    /// What they are from now on, if a round is over.
    pub(crate) fn renewed(
        world: &World,
        view: &View,
        policy: &Policy,
        now: Moment,
    ) -> Option<Arc<Self>> {
        let round = policy.round.filter(|_| policy.aim == Aim::Fair)?;
        let before = &view.entitlements;
        let passed = before.at.map(|at| now.since(at));
        if passed.is_some_and(|passed| passed < round) {
            return None;
        }
        let wishes = Wishes::of(world, view);
        let mut of = wishes.entitled(world, &view.roster)?;
        for (tenant, entitled) in &mut of {
            entitled.has = wishes.has.get(tenant).copied().unwrap_or_default();
            let known = before.of.get(tenant).copied().unwrap_or_default();
            let lacked = i128::from(known.to.0) - i128::from(entitled.has.0);
            let since = passed.map_or(0, |passed| worth(lacked, passed, known.to));
            entitled.behind_ms = known.behind_ms.saturating_add(since).clamp(-MOST, MOST);
        }
        Some(Arc::new(Self { at: Some(now), of }))
    }

    /// What a tenant's own jobs are entitled to; none where it wants nothing.
    #[must_use]
    pub fn of(&self, tenant: &TenantId) -> Option<Entitled> {
        self.of.get(tenant).copied()
    }
}

/// How long a tenant that is entitled to so much would have to have nothing to lose so many chips for this
/// time, in milliseconds.
fn worth(chips: i128, span: Span, to: Chips) -> i64 {
    let worth = chips * i128::from(span.0) / i128::from(to.0.max(1));
    i64::try_from(worth).unwrap_or(if worth < 0 { i64::MIN } else { i64::MAX })
}

/// What runs or waits.
struct Wishes {
    /// Chips of the first kind named, by whose they are and where they could be.
    wanted: BTreeMap<(TenantId, Shape, Inside), f64>,
    /// What tenants have, in chips that run their jobs best.
    has: BTreeMap<TenantId, Chips>,
}

impl Wishes {
    fn of(world: &World, view: &View) -> Self {
        let mut wishes = Self { wanted: BTreeMap::new(), has: BTreeMap::new() };
        for (_, class) in view.lines.classes() {
            if let Some((shape, _)) = shape_of(world, &class.spec) {
                wishes.want(world, &class.spec, shape, class.jobs.len() as f64);
            }
        }
        for job in world.jobs.iter() {
            wishes.run(world, job);
        }
        wishes
    }

    fn want(&mut self, world: &World, spec: &JobSpec, mut shape: Shape, jobs: f64) {
        let Some((_, base, _)) = shape.ways.first() else { return };
        let Some(inside) = Inside::of(world, spec) else { return };
        let base = base.0.max(1);
        // Gangs of all sizes are alike: what is divided at will is counted by the chip.
        for (_, chips, _) in &mut shape.ways {
            chips.0 = chips.0.saturating_mul(1_000) / base;
        }
        let wanted = self.wanted.entry((spec.tenant.clone(), shape, inside)).or_default();
        *wanted += jobs * base as f64 / 1e3;
    }

    fn run(&mut self, world: &World, job: &Job) {
        let Some(live) = job.phase.attempt().filter(|live| !live.is_over()) else { return };
        let Some((shape, _)) = shape_of(world, &job.spec) else { return };
        let variant = live.placement.parts.first().map_or(0, |part| usize::from(part.variant));
        let Some(((_, base, _), (.., times))) = shape.ways.first().zip(shape.ways.get(variant))
        else {
            return;
        };
        let counts = base.0.saturating_mul(1_000) / (*times).max(1);
        let has = self.has.entry(job.spec.tenant.clone()).or_default();
        *has = has.saturating_add(Chips(counts));
        self.want(world, &job.spec, shape, 1.0);
    }

    /// What each tenant that wants anything is entitled to. None where the solver gives up.
    fn entitled(&self, world: &World, roster: &Roster) -> Option<BTreeMap<TenantId, Entitled>> {
        let (nodes, numbers) = tree(world);
        let market = Market::of(roster, self.wanted.keys().map(|(_, _, inside)| inside));
        let class = |((tenant, shape, inside), chips): (&(TenantId, Shape, Inside), &f64)| Class {
            count: *chips,
            of: numbers.get(tenant).copied(),
            weight: 1.0,
            choices: market.choices(roster, shape, inside),
        };
        let classes: Vec<Class> = self.wanted.iter().map(class).collect();
        let found = fair(&Problem { capacities: market.capacities, nodes, classes }).ok()?;
        let mut entitled: BTreeMap<TenantId, f64> = BTreeMap::new();
        for (((tenant, ..), chips), throughput) in self.wanted.iter().zip(found.throughputs) {
            *entitled.entry(tenant.clone()).or_default() += chips * throughput;
        }
        let to = |chips: f64| Entitled { to: Chips(whole(chips * 1e3)), ..Entitled::default() };
        Some(entitled.into_iter().map(|(tenant, chips)| (tenant, to(chips))).collect())
    }
}

/// Tenants as the nodes of a problem, parents first, and their numbers.
fn tree(world: &World) -> (Vec<Node>, BTreeMap<TenantId, usize>) {
    let above = |tenant: &TenantId| world.tenants.get(tenant)?.parent.clone();
    let depth = |tenant: &TenantId| {
        std::iter::successors(above(tenant), above).take(world.tenants.len()).count()
    };
    let mut tenants: Vec<_> = world.tenants.values().collect();
    tenants.sort_by_key(|tenant| depth(&tenant.tenant));
    let mut numbers: BTreeMap<TenantId, usize> = BTreeMap::new();
    let mut nodes = Vec::new();
    for tenant in tenants {
        let parent = tenant.parent.as_ref().and_then(|parent| numbers.get(parent)).copied();
        numbers.insert(tenant.tenant.clone(), nodes.len());
        nodes.push(Node { parent, weight: f64::from(tenant.weight.max(1)) });
    }
    (nodes, numbers)
}

/// Who is behind, while turns are given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behind {
    of: BTreeMap<TenantId, Entitled>,
    /// Those that are, the furthest first.
    order: BTreeSet<(Reverse<i64>, TenantId)>,
    round: Span,
}

impl Behind {
    /// Those of the tenants that are.
    pub(crate) fn of<'t>(
        view: &View,
        policy: &Policy,
        tenants: impl Iterator<Item = &'t TenantId>,
    ) -> Self {
        let Some(round) = policy.round.filter(|_| policy.aim == Aim::Fair) else {
            return Self::default();
        };
        let of = tenants.filter_map(|t| Some((t.clone(), view.entitlements.of(t)?))).collect();
        let mut behind = Self { of, order: BTreeSet::new(), round };
        let is_behind = |(_, entitled): &(&TenantId, &Entitled)| entitled.behind_ms > 0;
        let place =
            |(t, entitled): (&TenantId, &Entitled)| (Reverse(entitled.behind_ms), t.clone());
        behind.order = behind.of.iter().filter(is_behind).map(place).collect();
        behind
    }

    /// Who is furthest behind of those that have turns.
    pub(crate) fn first(&self, has_turns: impl Fn(&TenantId) -> bool) -> Option<&TenantId> {
        self.order.iter().map(|(_, tenant)| tenant).find(|tenant| has_turns(tenant))
    }

    /// A tenant was given so many chips, which it will have at least for a round.
    pub(crate) fn charge(&mut self, tenant: &TenantId, chips: Chips) {
        let Some(entitled) = self.of.get_mut(tenant) else { return };
        let was = (Reverse(entitled.behind_ms), tenant.clone());
        let gains = worth(chips.0.into(), self.round, entitled.to);
        entitled.behind_ms = entitled.behind_ms.saturating_sub(gains);
        self.order.remove(&was);
        if entitled.behind_ms > 0 {
            self.order.insert((Reverse(entitled.behind_ms), tenant.clone()));
        }
    }
}
