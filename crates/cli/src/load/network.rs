//! What a running network has for a load: centers whose agents run timers, their chips, its tenants.

use super::NAMED;
use super::job::{Job, gang};
use crate::failure::{Code, Failure};
use client::Client;
use controller::Declarations;
use model::job::On;
use model::{
    Bytes, Capability, CarbonIntensity, Center, CenterId, Chip, Chips, EngineKind, Pool, Site,
    Span, TenantId, Variant,
};
use simulator::floor::Way;
use std::collections::BTreeSet;
use wire::view;

/// The network that a load is cut to.
#[derive(Debug)]
pub(super) struct Ground {
    /// Its timer centers that are there. Nothing of it is but what a load is cut to.
    pub(super) declared: Declarations,
    /// The centers that jobs must be kept to, where others would run them for real.
    pub(super) only: Vec<CenterId>,
    /// All tenants the asker may see.
    pub(super) tenants: BTreeSet<TenantId>,
    /// Timer centers without an agent at present.
    silent: Vec<CenterId>,
}

impl Ground {
    /// Asks the server.
    pub(super) async fn look(client: &Client) -> anyhow::Result<Self> {
        let (centers, chips, tenants) =
            (client.centers().await?, client.chips().await?, client.tenants().await?);
        Ok(Self::of(centers, chips, tenants)?)
    }

    /// What there is, or why nothing can be replayed there.
    pub(super) fn of(
        centers: view::Centers,
        chips: view::Chips,
        tenants: view::Tenants,
    ) -> Result<Self, Failure> {
        let engine = |center: &view::Center| {
            center.agent.as_ref().map_or(center.engine, |agent| agent.engine)
        };
        let (timers, others): (Vec<_>, Vec<_>) =
            centers.centers.into_iter().partition(|center| engine(center) == EngineKind::Timer);
        let is_there =
            |center: &view::Center| center.agent.is_some() && center.silent_since_ms.is_none();
        let (there, silent): (Vec<_>, Vec<_>) = timers.into_iter().partition(is_there);
        if there.is_empty() {
            return Err(none(&silent));
        }
        let named = |centers: &[view::Center]| centers.iter().map(|c| c.center.clone()).collect();
        let only = if others.is_empty() { Vec::new() } else { named(&there) };
        let silent = named(&silent);
        let declared = Declarations {
            chips: chips.chips.into_iter().map(chip).collect(),
            centers: there.into_iter().map(center).collect(),
            ..Declarations::default()
        };
        let tenants = tenants.tenants.into_iter().map(|tenant| tenant.tenant).collect();
        Ok(Self { declared, only, tenants, silent })
    }

    /// That a load is replayed without some centers, if it is.
    pub(super) fn silence(&self) -> Option<String> {
        let names: Vec<&str> = self.silent.iter().take(NAMED).map(CenterId::as_str).collect();
        let some = format!(
            "no agent is there for {} timer centers ({} …): the load is replayed without them",
            self.silent.len(),
            names.join(", ")
        );
        (!self.silent.is_empty()).then_some(some)
    }

    /// Its pools.
    pub(super) fn pools(&self) -> impl Iterator<Item = (&Center, &Pool)> {
        let centers = self.declared.centers.iter();
        centers.flat_map(|center| center.pools.iter().map(move |pool| (center, pool)))
    }

    /// Jobs that fit, and how many do not.
    pub(super) fn sort_out(&self, mut jobs: Vec<Job>) -> Result<(Vec<Job>, usize), Failure> {
        let all = jobs.len();
        jobs.retain(|job| self.ways(job).next().is_some());
        if jobs.is_empty() {
            let what = format!("none of the load's {all} jobs fits a pool of the timer centers");
            let help = "they need other chips, more of them in one pool, or a tenant those centers \
                        take: see `portolan centers`, and `portolan apply` for more";
            return Err(Failure::said(Code::Invalid, what).help(help));
        }
        let unfit = all - jobs.len();
        Ok((jobs, unfit))
    }

    /// Where and how a job can run; rooms are the pools, by place.
    pub(super) fn ways<'a>(&'a self, job: &'a Job) -> impl Iterator<Item = Way> + 'a {
        job.variants().iter().flat_map(move |variant| {
            let takes = move |(_, (center, pool)): &(usize, (&Center, &Pool))| {
                let tenants = &center.only_tenants;
                let welcome = tenants.is_empty() || tenants.contains(&job.spec.tenant);
                welcome && self.fits(variant, pool)
            };
            let way = move |(place, _)| Way {
                room: (variant.on != On::Cpu).then_some(place),
                chips: gang(variant),
                run: job.run(variant),
            };
            self.pools().enumerate().filter(takes).map(way)
        })
    }

    /// Whether a gang can ever have nodes of a pool.
    fn fits(&self, variant: &Variant, pool: &Pool) -> bool {
        let chip = match &variant.on {
            On::Cpu => true,
            On::Chip(chip) => pool.chip.as_ref() == Some(chip) && self.is_whole(chip, variant),
            // Loads are cut to models.
            On::Class(_) => false,
        };
        chip && variant.nodes <= pool.nodes
            && variant.chips_per_node <= pool.node_chips()
            && variant.cores <= pool.cores
            && variant.memory <= pool.memory
    }

    /// Whether its chips are as many as are given out at once.
    fn is_whole(&self, chip: &model::ChipId, variant: &Variant) -> bool {
        let known = self.declared.chips.iter().find(|known| known.chip == *chip);
        let unit = u64::from(known.map_or(1, |chip| chip.allocation_unit.max(1)));
        variant.chips_per_node.0.is_multiple_of(unit * Chips::ONE.0) || unit == 1
    }
}

fn none(silent: &[view::Center]) -> Failure {
    let how = "start an agent with `portolan agent --engine timer` for each, as docs/load.md shows";
    match silent {
        [] => Failure::said(Code::NotFound, "no center of this network runs timers").help(format!(
            "declare some (`portolan apply catalog/networks/timers.toml`) and {how}; jobs of a load \
             are never run for real"
        )),
        [first, ..] => {
            let what = format!(
                "none of the {} timer centers has an agent at present; {} is the first",
                silent.len(),
                first.center
            );
            Failure::said(Code::NotFound, what).help(how)
        }
    }
}

fn center(seen: view::Center) -> Center {
    let site = seen.region.map(|region| Site {
        region,
        latitude_micro: seen.latitude_micro,
        longitude_micro: seen.longitude_micro,
        time_zone: seen.time_zone,
    });
    Center {
        center: seen.center,
        owner: seen.owner,
        sites: site.into_iter().collect(),
        engine: EngineKind::Timer,
        pools: seen.pools.into_iter().map(pool).collect(),
        store: seen.store_bytes,
        relay: seen.relay_bytes,
        data_url: None,
        pue_thousandths: seen.pue_thousandths,
        carbon: carbon(seen.carbon_grams_per_kwh),
        lend_percent: seen.lend_percent,
        recall_notice: Span::ZERO,
        lend_to: model::Guests::default(),
        lend_windows: Vec::new(),
        partners: Vec::new(),
        only_tenants: seen.only_tenants,
        external_ids: Vec::new(),
    }
}

fn carbon(grams: Vec<u32>) -> CarbonIntensity {
    match grams.as_slice() {
        [always] => CarbonIntensity::always(*always),
        _ => CarbonIntensity::hourly(grams).unwrap_or_default(),
    }
}

fn pool(seen: view::Pool) -> Pool {
    Pool {
        pool: seen.pool,
        chip: seen.chip,
        nodes: seen.nodes,
        chips_per_node: seen.chips_per_node,
        cores: seen.cores_milli,
        memory: seen.memory_bytes,
        nodes_per_block: 0,
        price_per_hour: seen.price_per_hour,
        capability: Capability::default(),
        lending: None,
    }
}

fn chip(seen: view::Chip) -> Chip {
    Chip {
        chip: seen.chip,
        vendor: seen.vendor,
        model: seen.model,
        class: seen.class,
        stack: seen.stack,
        memory: seen.memory_bytes.map(Bytes),
        memory_kind: None,
        memory_bandwidth: seen.memory_bytes_per_second.map(Bytes),
        interconnect: None,
        interconnect_bandwidth: None,
        peak_milli_tflops: seen.peak_milli_tflops,
        power_watts: seen.power_watts,
        allocation_unit: seen.allocation_unit,
        visible_devices: String::new(),
        kubernetes_resources: Vec::new(),
        slurm_gres: None,
        pci_vendor: None,
        source: seen.source,
        confidence: seen.confidence,
        notes: seen.notes,
    }
}
