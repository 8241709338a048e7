//! Where a class could go at all: what can be said of its candidates without any calendar.

use crate::pool::Ask;
use crate::refusal::Refusal;
use crate::roster::{PoolNumber, Roster, Seat};
use model::center::Center;
use model::job::{JobSpec, On, Variant, Within};
use model::{ChipId, Chips, Span};
use world::World;

/// A pool as one variant would use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) pool: PoolNumber,
    pub(crate) variant: u16,
    /// How long it is expected to run there.
    pub(crate) run: Span,
    /// What its chips cost for that long, in micro-units.
    pub(crate) price: i64,
}

/// A class's choices, in the order of pools and variants.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) choices: Vec<Choice>,
    /// What each variant asks of a pool.
    pub(crate) asks: Vec<Ask>,
    /// How long each variant may run.
    pub(crate) limits: Vec<Span>,
}

impl Options {
    /// All that stands against nothing the world declares.
    pub(crate) fn of(world: &World, roster: &Roster, spec: &JobSpec) -> Self {
        let variants = || spec.parts.iter().take(1).flat_map(|part| &part.variants);
        let limit = |index| spec.limit(index).unwrap_or(Span::MAX);
        let mut options = Self {
            choices: Vec::new(),
            asks: variants().map(|variant| ask(spec, variant)).collect(),
            limits: (0_u16..).zip(variants()).map(|(index, _)| limit(index)).collect(),
        };
        for (index, variant) in (0_u16..).zip(variants()) {
            let ask = options.asks[usize::from(index)];
            let mut consider = |number: PoolNumber| {
                let seat = roster.seat(number);
                if center(spec, &seat.center).is_ok() && pool(spec, seat, variant, &ask).is_ok() {
                    options.choices.push(choice(world, seat, spec, index, number, &ask));
                }
            };
            match &variant.on {
                On::Chip(chip) => roster.with_chip(chip).iter().copied().for_each(&mut consider),
                On::Class(class) => roster.of_class(class).iter().copied().for_each(&mut consider),
                On::Cpu => roster.seats().for_each(|(number, _)| consider(number)),
            }
        }
        options.choices.sort_unstable_by_key(|choice| (choice.pool, choice.variant));
        options
    }

    pub(crate) fn ask(&self, choice: &Choice) -> &Ask {
        &self.asks[usize::from(choice.variant)]
    }

    pub(crate) fn limit(&self, choice: &Choice) -> Span {
        self.limits[usize::from(choice.variant)]
    }

    /// The numbers of the choices in a pool.
    pub(crate) fn in_pool(&self, pool: PoolNumber) -> std::ops::Range<usize> {
        let first = self.choices.partition_point(|choice| choice.pool < pool);
        let count = self.choices[first..].iter().take_while(|c| c.pool == pool).count();
        first..first + count
    }
}

pub(crate) fn ask(spec: &JobSpec, variant: &Variant) -> Ask {
    Ask {
        nodes: variant.nodes,
        chips: variant.chips_per_node,
        cores: variant.cores,
        memory: variant.memory,
        one_block: spec.together.within == Within::Block,
    }
}

fn choice(
    world: &World,
    seat: &Seat,
    spec: &JobSpec,
    index: u16,
    pool: PoolNumber,
    ask: &Ask,
) -> Choice {
    let run = expected_run(world, spec, index, seat.pool().chip.as_ref());
    let price = seat.pool().price(ask.nodes, ask.chips, run).micros;
    Choice { pool, variant: index, run, price }
}

/// What stands against a center, whatever its pools are.
pub(crate) fn center(spec: &JobSpec, center: &Center) -> Result<(), Refusal> {
    let id = &center.center;
    if let Some(site) = center.site() {
        let region = &site.region;
        let asked = spec.centers.is_empty() || spec.centers.contains(id);
        let inside = spec.regions.is_empty() || spec.regions.iter().any(|r| r.contains(region));
        if !asked || !inside {
            return Err(Refusal::NotAsked { region: region.clone() });
        }
        for output in spec.outputs.iter().filter(|o| !o.residency.is_empty()) {
            if !output.residency.iter().any(|r| r.contains(region)) {
                let (dataset, allowed) = (output.dataset.clone(), output.residency.clone());
                return Err(Refusal::Residency { dataset, allowed });
            }
        }
    }
    if !center.only_tenants.is_empty() && !center.only_tenants.contains(&spec.tenant) {
        return Err(Refusal::NotAdmitted);
    }
    Ok(())
}

/// What stands against a gang of the variant ever running in a pool.
pub(crate) fn pool(
    spec: &JobSpec,
    seat: &Seat,
    variant: &Variant,
    ask: &Ask,
) -> Result<(), Refusal> {
    chip_fits(spec, seat, variant)?;
    let pool = seat.pool();
    if ask.chips > pool.node_chips() {
        return Err(Refusal::NodeTooSmall { has: pool.node_chips(), wants: ask.chips });
    }
    if ask.cores > pool.cores {
        return Err(Refusal::TooFewCores { has: pool.cores, wants: ask.cores });
    }
    if ask.memory > pool.memory {
        return Err(Refusal::TooLittleMemory { has: pool.memory, wants: ask.memory });
    }
    let has = match pool.nodes_per_block {
        block @ 1.. if ask.one_block => block.min(pool.nodes),
        _ => pool.nodes,
    };
    if ask.nodes > has {
        return Err(Refusal::TooFewNodes { has, wants: ask.nodes });
    }
    Ok(())
}

fn chip_fits(spec: &JobSpec, seat: &Seat, variant: &Variant) -> Result<(), Refusal> {
    let chip = seat.chip.as_ref();
    let right = match (&variant.on, chip) {
        (On::Cpu, _) => true,
        (On::Chip(wanted), Some(chip)) => chip.chip == *wanted,
        (On::Class(wanted), Some(chip)) => chip.class == *wanted,
        (On::Chip(_) | On::Class(_), None) => false,
    };
    if !right {
        let has = chip.map_or_else(|| "no chips".to_owned(), |c| c.chip.to_string());
        let variants = spec.parts.iter().flat_map(|p| &p.variants);
        let wants: Vec<String> = variants.map(|v| v.on.to_string()).collect();
        return Err(Refusal::WrongChip { has, wants: wants.join(" or ") });
    }
    let unit = chip.map_or(1, |c| c.allocation_unit.max(1));
    if unit > 1 && !variant.chips_per_node.0.is_multiple_of(Chips::whole(u64::from(unit)).0) {
        return Err(Refusal::AllocationUnit { unit });
    }
    Ok(())
}

/// How long the job is expected to run as this variant on this chip: its tenant's figure where
/// there is one, scaled by the variant's speed; else the limit, scaled by what was learned from
/// finished jobs of the same tenant and workload. Never more than the limit.
fn expected_run(world: &World, spec: &JobSpec, index: u16, chip: Option<&ChipId>) -> Span {
    let limit = spec.limit(index).unwrap_or(Span::MAX);
    let told = match spec.duration {
        model::job::Duration::Limited { expected, .. } => expected,
        model::job::Duration::Open => None,
    };
    let variant = spec.parts.first().and_then(|p| p.variants.get(usize::from(index)));
    let speed = variant.and_then(|v| v.speed_thousandths).filter(|speed| *speed > 0);
    let run = match (told, speed) {
        (Some(told), Some(speed)) => told.scaled(1_000, u64::from(speed)),
        (Some(told), None) => told,
        (None, _) => match world.lesson(&spec.tenant, spec.workload.as_deref(), chip) {
            Some(lesson) => limit.scaled(lesson.thousandths(), 1_000),
            None => {
                let own = variant.is_some_and(|v| v.limit.is_some());
                let speed = speed.filter(|_| !own).unwrap_or(1_000);
                limit.scaled(1_000, u64::from(speed))
            }
        },
    };
    run.min(limit)
}
