//! Where a class could go at all: what can be said of its candidates without any calendar.

use crate::Policy;
use crate::ask::Ask;
use crate::estimate::estimate;
use crate::lending::Guest;
use crate::rank::{Rank, Terms};
use crate::refusal::Refusal;
use crate::roster::{Band, BandNumber, Places, PoolNumber, Roster, Seat};
use model::center::Center;
use model::job::{JobSpec, On, SavedWork, Variant};
use model::{Chips, Moment, PartPlacement, Pool, Span};
use std::ops::Range;
use world::World;

/// Choices are broad where at least one in so many pools with the right chips is among them.
const BROAD: usize = 4;

/// A pool as one variant would use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) pool: PoolNumber,
    pub(crate) variant: u16,
    /// Whether it counts as lent.
    pub(crate) is_lent: bool,
    /// How long it is expected to run there.
    pub(crate) run: Span,
    /// What its chips cost for that long, in micro-units.
    pub(crate) price: i64,
}

/// All pools of one chip and speed as one variant would use them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) variant: u16,
    pub(crate) bands: Range<BandNumber>,
    /// Which places of each band are among the choices.
    pub(crate) places: Vec<Places>,
    /// How many choices stand in the bands before each, and in the rows before.
    before: Vec<u32>,
    /// Whether they all count as lent.
    pub(crate) are_lent: bool,
    /// How long it is expected to run there.
    pub(crate) run: Span,
}

/// A class's choices.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// The one first that is worth most where all could start at once; equals in the order of pools
    /// and variants.
    pub(crate) choices: Vec<Choice>,
    /// The choices' numbers row by row, band by band, place by place; empty where they are numbered
    /// in this order.
    order: Vec<u32>,
    /// The chips there is any choice with.
    pub(crate) rows: Vec<Row>,
    /// Whether a good part of all pools with these chips is among the choices.
    pub(crate) are_broad: bool,
    /// What each variant asks of a pool.
    pub(crate) asks: Vec<Ask>,
    /// How long each variant may run.
    pub(crate) limits: Vec<Span>,
    /// What a job is expected to need where it needs least, in thousandths of a chip for an hour.
    pub(crate) needs: u64,
}

impl Options {
    /// All that stands against nothing the world declares.
    pub(crate) fn of(world: &World, roster: &Roster, spec: &JobSpec, policy: &Policy) -> Self {
        Self::going_on(world, roster, spec, None, policy)
    }

    /// The same for jobs part of which is done: where their checkpoint is, less is left to run.
    pub(crate) fn going_on(
        world: &World,
        roster: &Roster,
        spec: &JobSpec,
        kept: Option<&SavedWork>,
        policy: &Policy,
    ) -> Self {
        let variants = || spec.parts.iter().take(1).flat_map(|part| &part.variants);
        let limit = |index| spec.limit(index).unwrap_or(Span::MAX);
        let families = variants().flat_map(|variant| roster.families(&variant.on));
        let bands = families.cloned().flatten();
        let most = bands.map(|band| roster.band(band).pools.len()).sum();
        let mut options = Self {
            choices: Vec::with_capacity(most),
            order: Vec::new(),
            rows: Vec::new(),
            are_broad: false,
            asks: variants().map(|variant| Ask::of(spec, variant)).collect(),
            limits: (0_u16..).zip(variants()).map(|(index, _)| limit(index)).collect(),
            needs: 0,
        };
        let guest = Guest::of(world, &spec.tenant);
        let lessons = world.lessons_of(&spec.tenant, spec.workload.as_deref());
        let lessons = lessons.filter(|_| policy.lessons);
        let mut pools = 0;
        for (index, variant) in (0_u16..).zip(variants()) {
            for family in roster.families(&variant.on) {
                let seat = roster.first_of(family);
                if chip_fits(spec, seat, variant).is_ok() {
                    let run = match spec.is_reservation() {
                        true => limit(index),
                        false => {
                            let on = (seat.pool().chip.as_ref(), seat.pace);
                            estimate(lessons, spec, index, on).0
                        }
                    };
                    let (bands, count) = (family.clone(), family.len());
                    let places = Vec::with_capacity(count);
                    let before = Vec::with_capacity(count);
                    let are_lent = true;
                    let row = Row { variant: index, bands, places, before, are_lent, run };
                    pools += options.fill((world, roster), (spec, &guest), kept, row);
                }
            }
        }
        // Where a checkpoint is, a run is shorter than elsewhere on the same chips.
        options.are_broad = kept.is_none() && options.choices.len() * BROAD >= pools;
        options.put_in_order(roster, spec, policy);
        options.needs = options.least_needed();
        // Classes may be very many, and keep it.
        if options.choices.len() * 2 < options.choices.capacity() {
            options.choices.shrink_to_fit();
        }
        options
    }

    /// Takes what stands in a row's bands, if anything does; says how many pools of its chip there are
    /// then.
    fn fill(
        &mut self,
        (world, roster): (&World, &Roster),
        asked: (&JobSpec, &Guest<'_>),
        kept: Option<&SavedWork>,
        mut row: Row,
    ) -> usize {
        let bands = || row.bands.clone().map(|band| roster.band(band));
        let (before, pools) = (self.choices.len(), bands().map(|band| band.pools.len()).sum());
        for band in bands() {
            row.before.push(u32::try_from(self.choices.len()).expect("choices are few"));
            let way = (row.variant, row.run);
            row.places.push(self.fill_from((world, roster), asked, kept, way, band));
        }
        if self.choices.len() == before {
            return 0;
        }
        row.are_lent = self.choices[before..].iter().all(|choice| choice.is_lent);
        self.rows.push(row);
        pools
    }

    /// Takes what will do of a band, and says where that stands.
    fn fill_from(
        &mut self,
        (world, roster): (&World, &Roster),
        (spec, guest): (&JobSpec, &Guest<'_>),
        kept: Option<&SavedWork>,
        (variant, whole): (u16, Span),
        band: &Band,
    ) -> Places {
        let ask = self.asks[usize::from(variant)];
        let goes_anywhere = goes_anywhere(spec);
        let booked = spec.reservation.map(|_| place_of(world, spec));
        let all_will_do =
            goes_anywhere && band.are_for_all && size_fits(&band.smallest, &ask).is_ok();
        let will_do = |seat: &Seat| {
            let is_admitted = match booked {
                Some(place) => center(spec, &seat.center).is_ok() && seat.is_at(place),
                None => {
                    goes_anywhere && seat.is_for_all
                        || center(spec, &seat.center).is_ok()
                            && guest.may_have(&seat.center, &seat.lending).is_ok()
                }
            };
            is_admitted && size_fits(seat.pool(), &ask).is_ok()
        };
        let mut places = 0;
        // Many pools cost the same.
        let mut known = None;
        for (place, (pool, hourly)) in (0_u32..).zip(band.pools.iter().zip(&band.hourly)) {
            let seat = roster.seat(*pool);
            if !all_will_do && !will_do(seat) {
                continue;
            }
            let here = kept.filter(|kept| kept.center == seat.center.center);
            let run = here.map_or(whole, |k| whole.saturating_sub(k.work).max(Span(1)));
            let price = match known {
                Some((of, price)) if of == (*hourly, run) => price,
                // What runs in a reservation is paid for with that.
                _ if booked.is_some() => 0,
                _ => seat.pool().price(ask.nodes, ask.chips, run).micros,
            };
            known = Some(((*hourly, run), price));
            places |= 1 << place;
            let is_lent = !guest.is_at_home(&seat.center.center);
            self.choices.push(Choice { pool: *pool, variant, is_lent, run, price });
        }
        places
    }

    fn put_in_order(&mut self, roster: &Roster, spec: &JobSpec, policy: &Policy) {
        let rank = |choice: &Choice| {
            let carbon_mg = || least_carbon(roster.seat(choice.pool), self.ask(choice), choice.run);
            let (finish, price) = (Moment::ZERO + choice.run, choice.price);
            // What it costs others changes, and is seen to when places are ranked.
            let terms = Terms { finish, toll: 0, price, carbon_mg: &carbon_mg };
            (Rank::in_time(spec, policy, Moment::ZERO, &terms), choice.pool, choice.variant)
        };
        // Those of a row are in order already, or nearly: a stable sort finds that out.
        if self.choices.is_sorted_by_key(rank) {
            return;
        }
        let mut ranked: Vec<_> = self.choices.iter().map(rank).zip(0_usize..).collect();
        ranked.sort();
        self.choices = ranked.iter().map(|(_, nth)| self.choices[*nth]).collect();
        self.order = vec![0; ranked.len()];
        for (number, (_, nth)) in (0..).zip(&ranked) {
            self.order[*nth] = number;
        }
    }

    fn least_needed(&self) -> u64 {
        let needs = self.choices.iter().map(|choice| {
            u128::from(self.ask(choice).gang_chips().0) * u128::from(choice.run.0) / 3_600_000
        });
        u64::try_from(needs.min().unwrap_or(0)).unwrap_or(u64::MAX)
    }

    pub(crate) fn ask(&self, choice: &Choice) -> &Ask {
        &self.asks[usize::from(choice.variant)]
    }

    pub(crate) fn limit(&self, choice: &Choice) -> Span {
        self.limits[usize::from(choice.variant)]
    }

    /// The numbers of all choices, band by band: what is asked of each lies side by side.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> {
        (0_u32..).zip(&self.choices).map(|(nth, _)| self.number(nth))
    }

    /// The pools there is any choice in.
    pub(crate) fn pools(&self) -> impl Iterator<Item = PoolNumber> {
        self.choices.iter().map(|choice| choice.pool)
    }

    /// The numbers of the choices in the pool of this seat.
    pub(crate) fn in_pool(&self, seat: &Seat) -> impl Iterator<Item = u32> {
        self.rows.iter().filter_map(|row| self.at(row, seat.band, seat.place))
    }

    /// The first choice of a row: all of one row are of the same variant and flavor.
    pub(crate) fn first_in(&self, row: usize) -> Option<&Choice> {
        let row = self.rows.get(row)?;
        let band = (0..).zip(&row.places).find(|(_, places)| **places != 0);
        let (nth, places): (u32, _) = band?;
        let number = self.at(row, row.bands.start + nth, places.trailing_zeros())?;
        self.choices.get(number as usize)
    }

    /// The number of a row's choice at a place of a band, if there is one.
    pub(crate) fn at(&self, row: &Row, band: BandNumber, place: u32) -> Option<u32> {
        let nth = band.checked_sub(row.bands.start)? as usize;
        let places = *row.places.get(nth)?;
        let here: Places = 1 << place;
        (places & here != 0)
            .then(|| self.number(row.before[nth] + (places & (here - 1)).count_ones()))
    }

    /// The number of the choice that is the nth, row by row.
    fn number(&self, nth: u32) -> u32 {
        self.order.get(nth as usize).copied().unwrap_or(nth)
    }
}

/// Where the reservation is in which a job is to run.
pub(crate) fn place_of<'w>(world: &'w World, spec: &JobSpec) -> Option<&'w PartPlacement> {
    let attempt = world.job(spec.reservation?)?.phase.attempt()?;
    attempt.placement.parts.first().filter(|_| !attempt.is_over())
}

/// Whether nothing of a job's own wishes stands against any center.
fn goes_anywhere(spec: &JobSpec) -> bool {
    spec.reservation.is_none()
        && spec.centers.is_empty()
        && spec.regions.is_empty()
        && spec.outputs.iter().all(|output| output.residency.is_empty())
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
    size_fits(seat.pool(), ask)
}

fn size_fits(pool: &Pool, ask: &Ask) -> Result<(), Refusal> {
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

/// The energy the chips of a gang are expected to use in `run`, cooling included, in
/// milliwatt-hours.
pub(crate) fn energy(seat: &Seat, ask: &Ask, run: Span) -> u64 {
    let watts = seat.chip.as_ref().and_then(|chip| chip.power_watts);
    seat.center.energy(watts, ask.chips.times(ask.nodes.into()).over(run))
}

/// The least carbon dioxide that energy comes with, whenever the gang runs, in milligrams; more than
/// any other where nobody says what the chips use.
pub(crate) fn least_carbon(seat: &Seat, ask: &Ask, run: Span) -> u64 {
    match says_power(seat) {
        true => seat.center.least_carbon(energy(seat, ask, run)),
        false => u64::MAX,
    }
}

/// Whether it is known what the chips of a pool use.
pub(crate) fn says_power(seat: &Seat) -> bool {
    seat.chip.as_ref().is_some_and(|chip| chip.power_watts.is_some())
}
