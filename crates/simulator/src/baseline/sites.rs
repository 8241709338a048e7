//! The pools of a network by number, and which of them a job could run in.

use super::nodes::Shape;
use crate::setup::START;
use controller::Declarations;
use model::job::On;
use model::{CenterId, ChipClass, ChipId, Chips, JobSpec, Pool, Span, Tenant, TenantId};
use std::collections::BTreeMap;

/// A network's pools and centers by number.
#[derive(Debug)]
pub(super) struct Sites<'a> {
    network: &'a Declarations,
    pools: Vec<(usize, &'a Pool, Option<&'a ChipClass>)>,
    /// Of each pool, the nominal power of a chip.
    watts: Vec<Option<u32>>,
    /// Where each tenant, and what it is part of, is at home; its own first.
    homes: BTreeMap<&'a TenantId, Vec<usize>>,
}

/// A pool that a job could run in.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub(super) pool: usize,
    pub(super) center: usize,
    pub(super) shape: Shape,
    /// The most it may run there.
    pub(super) limit: Span,
    /// That and the time its data takes, in milliseconds.
    pub(super) longest: u64,
}

impl<'a> Sites<'a> {
    pub(super) fn new(network: &'a Declarations) -> Self {
        let classes: BTreeMap<&ChipId, &ChipClass> =
            network.chips.iter().map(|chip| (&chip.chip, &chip.class)).collect();
        let class = |pool: &Pool| pool.chip.as_ref().and_then(|c| classes.get(c).copied());
        let numbered = network.centers.iter().enumerate();
        let pools = numbered
            .flat_map(|(center, c)| c.pools.iter().map(move |pool| (center, pool)))
            .map(|(center, pool)| (center, pool, class(pool)))
            .collect();
        let tenants: BTreeMap<&TenantId, &Tenant> =
            network.tenants.iter().map(|tenant| (&tenant.tenant, tenant)).collect();
        let homes = |tenant: &'a Tenant| {
            let above = |of: &&'a Tenant| tenants.get(of.parent.as_ref()?).copied();
            let path = std::iter::successors(Some(tenant), above).take(tenants.len());
            let at = path.filter_map(|of| {
                let home = of.home.as_ref()?;
                network.centers.iter().position(|c| c.center == *home)
            });
            (&tenant.tenant, at.collect())
        };
        let power: BTreeMap<&ChipId, Option<u32>> =
            network.chips.iter().map(|chip| (&chip.chip, chip.power_watts)).collect();
        let all = network.centers.iter().flat_map(|center| &center.pools);
        let watts = all.map(|pool| power.get(pool.chip.as_ref()?).copied().flatten()).collect();
        Self { network, pools, watts, homes: network.tenants.iter().map(homes).collect() }
    }

    /// Nodes of each pool, thousandths of chips on each of them, and what guests may have of all;
    /// nodes without chips count as one.
    pub(super) fn sizes(&self) -> impl Iterator<Item = (u32, u64, u64)> {
        self.pools.iter().map(|(center, pool, _)| {
            let lent = self.network.centers[*center].lending(pool).most(pool.chips());
            (pool.nodes, node_chips(pool), lent.0)
        })
    }

    /// The center a tenant is at home in.
    pub(super) fn home(&self, tenant: &TenantId) -> Option<usize> {
        self.homes.get(tenant)?.first().copied()
    }

    pub(super) fn center(&self, center: usize) -> &CenterId {
        &self.network.centers[center].center
    }

    pub(super) fn chip(&self, pool: usize) -> Option<&ChipId> {
        self.pools[pool].1.chip.as_ref()
    }

    /// Thousandths of chips of a pool.
    pub(super) fn chips(&self, pool: usize) -> u64 {
        let (_, pool, _) = self.pools[pool];
        node_chips(pool).saturating_mul(pool.nodes.into())
    }

    /// What so many chips of a choice use from a time on, in milliwatt-hours, and what carbon that comes
    /// with, in milligrams.
    pub(super) fn energy(
        &self,
        choice: &Choice,
        chips: Chips,
        from: Span,
        span: Span,
    ) -> (u64, u64) {
        let center = &self.network.centers[choice.center];
        let used = center.energy(self.watts[choice.pool], chips.over(span));
        (used, center.carbon(used, START + from, span))
    }

    /// What the chips of a choice cost for so long, in millionths.
    pub(super) fn price(&self, choice: &Choice, span: Span) -> f64 {
        let (_, pool, _) = self.pools[choice.pool];
        pool.price(choice.shape.nodes, Chips(choice.shape.each), span).micros as f64
    }

    /// All pools that could run the job if they were empty, each with the variant that needs the
    /// fewest nodes there.
    pub(super) fn choices(&self, spec: &JobSpec) -> impl Iterator<Item = Choice> {
        let numbered = self.pools.iter().enumerate();
        let choice =
            move |(number, (center, pool, class)): (usize, &(usize, &Pool, Option<&ChipClass>))| {
                let site = &self.network.centers[*center];
                let only = &site.only_tenants;
                if !only.is_empty() && !only.contains(&spec.tenant) {
                    return None;
                }
                let variants = &spec.parts.first()?.variants;
                let will_do = variants.iter().enumerate().filter(|(_, variant)| {
                    let chip = match &variant.on {
                        On::Class(wanted) => *class == Some(wanted),
                        On::Chip(wanted) => pool.chip.as_ref() == Some(wanted),
                        On::Cpu => true,
                    };
                    chip && variant.nodes <= pool.nodes
                        && variant.chips_per_node <= pool.node_chips()
                });
                let (variant, chosen) = will_do.min_by_key(|(_, variant)| variant.nodes)?;
                let limit = spec.limit(u16::try_from(variant).ok()?)?;
                let each = if pool.chip.is_none() { Chips::ONE } else { chosen.chips_per_node };
                let guest = !self.homes.get(&spec.tenant).is_some_and(|at| at.contains(center));
                let shape = Shape { nodes: chosen.nodes, each: each.0, guest };
                if shape.lent() > site.lending(pool).most(pool.chips()).0 {
                    return None;
                }
                Some(Choice { pool: number, center: *center, shape, limit, longest: limit.0 })
            };
        numbered.filter_map(choice)
    }
}

fn node_chips(pool: &Pool) -> u64 {
    if pool.chip.is_none() { Chips::ONE.0 } else { pool.node_chips().0 }
}
