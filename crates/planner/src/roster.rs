//! What the world declares of centers and pools, looked up by number.

use crate::packing::{NodeKind, Room};
use model::job::On;
use model::{
    Center, CenterId, Chip, ChipClass, ChipId, Chips, Flavor, FlavorId, Lending, PartPlacement,
    Pool, PoolId,
};
use network::Topology;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat_n;
use std::ops::Range;
use std::sync::Arc;
use world::World;

/// A pool's number: pools are numbered by the names of their centers, then by their own.
pub(crate) type PoolNumber = u32;

/// A center's number: centers are numbered by their names.
pub(crate) type CenterNumber = u32;

/// A band's number: bands are numbered by chip, then by price.
pub(crate) type BandNumber = u32;

/// Places in a band, one bit each.
pub(crate) type Places = u32;

/// How many pools a band has at the most: few enough to be kept in order by moving them, and to be
/// told apart by the bits of [`Places`].
const BAND: usize = Places::BITS as usize;

/// As fast as any, in thousandths.
pub(crate) const ALL_OF_IT: u32 = 1_000;

/// Pools with the same chip, as fast as each other, of the same flavor and of about the same price: what a
/// job wants of one it wants of all.
#[derive(Debug)]
pub(crate) struct Band {
    /// The cheapest first; equals in the order of numbers.
    pub(crate) pools: Vec<PoolNumber>,
    /// What each costs by the hour, in micro-units.
    pub(crate) hourly: Vec<i64>,
    /// A pool that has of everything as little as any of them.
    pub(crate) smallest: Pool,
    /// Whether all their centers take in jobs of every tenant.
    pub(crate) are_for_all: bool,
    /// The one whose center's electricity comes with least carbon in its greenest hour, cooling included.
    pub(crate) greenest: PoolNumber,
}

/// A pool and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) center: Arc<Center>,
    /// Its center's number.
    pub(crate) of: CenterNumber,
    /// A copy: it is read far more often than anything else of the center.
    pool: Pool,
    pub(crate) chip: Option<Arc<Chip>>,
    /// What its chips are counted as in quotas; none where nobody has one.
    pub(crate) flavor: Option<FlavorId>,
    /// How fast its chips are beside the fastest of their model, in thousandths, where both were
    /// measured; as fast where not.
    pub(crate) pace: u32,
    /// How its owner lends it.
    pub(crate) lending: Lending,
    /// Whether any tenant is at home in its center.
    pub(crate) has_own: bool,
    /// Whether its center takes in jobs of every tenant, and lends it to all.
    pub(crate) is_for_all: bool,
    /// The center's number in the topology.
    pub(crate) site: Option<usize>,
    /// Which kind its nodes are of.
    pub(crate) kind: usize,
    /// The bands of all pools with the same chip, as fast, and of the same flavor.
    pub(crate) bands: Range<BandNumber>,
    /// Its own among them.
    pub(crate) band: BandNumber,
    /// Its place in there.
    pub(crate) place: u32,
}

impl Seat {
    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Whether it is where a reservation is.
    pub(crate) fn is_at(&self, place: Option<&PartPlacement>) -> bool {
        place
            .is_some_and(|place| place.center == self.center.center && place.pool == self.pool.pool)
    }
}

/// Centers and pools by number. Immutable: a new declaration makes a new one.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    seats: Vec<Seat>,
    /// Each center, and the number of its first pool.
    centers: Vec<(Arc<Center>, PoolNumber)>,
    /// The bands of all pools with the same chip, or with none, as fast, and of the same flavor.
    families: Vec<Range<BandNumber>>,
    by_chip: BTreeMap<ChipId, Vec<Range<BandNumber>>>,
    by_class: BTreeMap<ChipClass, Vec<Range<BandNumber>>>,
    bands: Vec<Band>,
    kinds: Vec<NodeKind>,
}

/// The flavor that pools with a chip in a center are of, if any has them.
fn flavor(world: &World, chip: &Chip, center: &Center) -> Option<FlavorId> {
    let region = center.site().map(|site| &site.region);
    let has = |flavor: &&Arc<Flavor>| flavor.has(chip, &center.center, region);
    world.flavors.values().find(has).map(|flavor| flavor.flavor.clone())
}

impl Roster {
    pub(crate) fn of(world: &World, topology: &Topology) -> Self {
        let mut roster = Self::default();
        let homes: BTreeSet<&CenterId> =
            world.tenants.values().filter_map(|tenant| tenant.home.as_ref()).collect();
        for (of, state) in (0..).zip(world.centers.values()) {
            let center = &state.center;
            roster.centers.push((Arc::clone(center), roster.next()));
            let site = topology.number(center.center.as_str());
            let mut pools: Vec<usize> = (0..center.pools.len()).collect();
            pools.sort_by(|a, b| center.pools[*a].pool.cmp(&center.pools[*b].pool));
            for index in pools {
                let chip = center.pools[index].chip.as_ref().and_then(|id| world.chips.get(id));
                let flavor = chip.and_then(|chip| flavor(world, chip, center));
                let lending = center.lending(&center.pools[index]);
                roster.seats.push(Seat {
                    center: Arc::clone(center),
                    of,
                    pool: center.pools[index].clone(),
                    chip: chip.cloned(),
                    flavor,
                    pace: ALL_OF_IT,
                    is_for_all: center.only_tenants.is_empty() && lending.to.are_all(),
                    has_own: homes.contains(&center.center),
                    lending,
                    site,
                    kind: 0,
                    bands: 0..0,
                    band: 0,
                    place: 0,
                });
            }
        }
        roster.compare_speeds();
        roster.tell_kinds_apart();
        roster.put_in_bands();
        roster
    }

    /// What benchmarks reach of a chip's peak is less than all of it everywhere, so that pools are
    /// compared with the best that was shown of their chip, not with its data sheet.
    fn compare_speeds(&mut self) {
        let mut best: BTreeMap<ChipId, u64> = BTreeMap::new();
        let shown = |seat: &Seat| Some((seat.pool.chip.clone()?, seat.pool.capability.verified?));
        for (chip, speed) in self.seats.iter().filter_map(shown) {
            let known = best.entry(chip).or_default();
            *known = speed.max(*known);
        }
        for seat in &mut self.seats {
            if let Some((chip, speed)) = shown(seat) {
                let best = best.get(&chip).copied().unwrap_or(speed).max(1);
                let pace = u128::from(speed) * u128::from(ALL_OF_IT) / u128::from(best);
                seat.pace = u32::try_from(pace).unwrap_or(ALL_OF_IT).max(1);
            }
        }
    }

    /// Nodes are alike that have the same chips, cores and memory.
    fn tell_kinds_apart(&mut self) {
        let mut alike = BTreeMap::new();
        for seat in &mut self.seats {
            let Pool { chip, chips_per_node, cores, memory, nodes, .. } = &seat.pool;
            let next = self.kinds.len();
            seat.kind =
                *alike.entry((chip.clone(), *chips_per_node, *cores, *memory)).or_insert(next);
            if seat.kind == next {
                let chips = repeat_n(Chips::ONE, usize::from(*chips_per_node));
                self.kinds.push(NodeKind { empty: Room::new(*cores, *memory, chips), nodes: 0 });
            }
            self.kinds[seat.kind].nodes += u64::from(*nodes);
        }
    }

    fn put_in_bands(&mut self) {
        type Alike<'a> = (Option<&'a ChipId>, bool, Option<&'a FlavorId>, u32);
        let mut alike: BTreeMap<Alike<'_>, Vec<PoolNumber>> = BTreeMap::new();
        for (number, seat) in self.seats() {
            let chip = seat.chip.as_ref().map(|chip| &chip.chip);
            let has_none = seat.pool().chips_per_node == 0;
            let key = (chip, has_none, seat.flavor.as_ref(), seat.pace);
            alike.entry(key).or_default().push(number);
        }
        let mut bands: Vec<Band> = Vec::new();
        let next = |bands: &[Band]| u32::try_from(bands.len()).expect("fewer bands than pools");
        let mut of: Vec<(PoolNumber, Range<BandNumber>)> = Vec::new();
        let mut families = Vec::new();
        for mut pools in alike.into_values() {
            pools.sort_by_key(|number| (self.seat(*number).pool().price_per_hour.micros, *number));
            let first = next(&bands);
            bands.extend(pools.chunks(BAND).map(|pools| self.put_in_band(pools)));
            let family = first..next(&bands);
            of.extend(pools.iter().map(|number| (*number, family.clone())));
            families.push(family);
        }
        for (number, all) in of {
            self.seats[number as usize].bands = all;
        }
        for (band, pools) in (0..).zip(&bands) {
            for (place, number) in (0..).zip(&pools.pools) {
                let seat = &mut self.seats[*number as usize];
                (seat.band, seat.place) = (band, place);
            }
        }
        self.bands = bands;
        for family in &families {
            if let Some(chip) = &self.first_of(family).chip.clone() {
                self.by_chip.entry(chip.chip.clone()).or_default().push(family.clone());
                self.by_class.entry(chip.class.clone()).or_default().push(family.clone());
            }
        }
        self.families = families;
    }

    /// These pools, of which there is one at least, as a band.
    fn put_in_band(&self, numbers: &[PoolNumber]) -> Band {
        let pools = || numbers.iter().map(|number| self.seat(*number).pool());
        let least = |of: fn(&Pool) -> u32| pools().map(of).min().unwrap_or(0);
        let carbon = |number: &&PoolNumber| {
            let center = &self.seat(**number).center;
            u64::from(center.carbon.least()) * u64::from(center.pue_thousandths)
        };
        let greenest = numbers.iter().min_by_key(carbon).expect("a band is not empty");
        let mut smallest = self.seat(*greenest).pool().clone();
        smallest.nodes = least(|pool| pool.nodes);
        // Where nodes are in no blocks, all are as in one.
        smallest.nodes_per_block = least(|pool| match pool.nodes_per_block {
            0 => pool.nodes,
            block => block,
        });
        for pool in pools() {
            smallest.chips_per_node = smallest.chips_per_node.min(pool.chips_per_node);
            smallest.cores = smallest.cores.min(pool.cores);
            smallest.memory = smallest.memory.min(pool.memory);
        }
        Band {
            pools: numbers.to_vec(),
            hourly: pools().map(|pool| pool.price_per_hour.micros).collect(),
            smallest,
            are_for_all: numbers.iter().all(|number| self.seat(*number).is_for_all),
            greenest: *greenest,
        }
    }

    /// How many bands there are.
    pub(crate) const fn bands(&self) -> usize {
        self.bands.len()
    }

    pub(crate) fn band(&self, number: BandNumber) -> &Band {
        &self.bands[number as usize]
    }

    fn next(&self) -> PoolNumber {
        u32::try_from(self.seats.len()).expect("pools are fewer than four billion")
    }

    pub(crate) fn seat(&self, pool: PoolNumber) -> &Seat {
        &self.seats[pool as usize]
    }

    pub(crate) fn seats(&self) -> impl Iterator<Item = (PoolNumber, &Seat)> {
        (0_u32..).zip(&self.seats)
    }

    /// Centers in the order of their names, which is the order of their numbers.
    pub(crate) fn centers(&self) -> impl Iterator<Item = &Arc<Center>> {
        self.centers.iter().map(|(center, ..)| center)
    }

    /// The bands of all pools a job can ask for by this, by chip.
    pub(crate) fn families(&self, on: &On) -> &[Range<BandNumber>] {
        let asked = match on {
            On::Cpu => Some(&self.families),
            On::Chip(chip) => self.by_chip.get(chip),
            On::Class(class) => self.by_class.get(class),
        };
        asked.map_or(&[], Vec::as_slice)
    }

    /// The kinds of nodes there are.
    pub(crate) fn kinds(&self) -> &[NodeKind] {
        &self.kinds
    }

    /// Those a job can ask for by this, by number.
    pub(crate) fn kinds_for(&self, on: &On) -> BTreeSet<usize> {
        let bands = self.families(on).iter().cloned().flatten();
        let pools = bands.flat_map(|band| &self.band(band).pools);
        pools.map(|pool| self.seat(*pool).kind).collect()
    }

    /// The cheapest pool of these bands, whose chip is that of them all.
    pub(crate) fn first_of(&self, family: &Range<BandNumber>) -> &Seat {
        self.seat(self.band(family.start).pools[0])
    }

    /// The number of a center by its name.
    pub(crate) fn center(&self, center: &CenterId) -> Option<CenterNumber> {
        let found = self.centers.binary_search_by(|(c, ..)| c.center.cmp(center)).ok()?;
        u32::try_from(found).ok()
    }

    /// The numbers of a center's pools.
    pub(crate) fn pools_of(&self, center: &CenterId) -> Range<PoolNumber> {
        let Some(of) = self.center(center).map(|of| of as usize) else { return 0..0 };
        let end = self.centers.get(of + 1).map_or_else(|| self.next(), |next| next.1);
        self.centers[of].1..end
    }

    /// The number of a pool by its names.
    pub(crate) fn number(&self, center: &CenterId, pool: &PoolId) -> Option<PoolNumber> {
        self.pools_of(center).find(|number| self.seat(*number).pool().pool == *pool)
    }
}
