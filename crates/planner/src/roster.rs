//! What the world declares of centers and pools, looked up by number.

use model::{Center, CenterId, Chip, ChipClass, ChipId, Pool, PoolId};
use network::Topology;
use std::collections::BTreeMap;
use std::sync::Arc;
use world::World;

/// A pool's number: pools are numbered by the names of their centers, then by their own.
pub(crate) type PoolNumber = u32;

/// A pool and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) center: Arc<Center>,
    /// The pool's place in the center's list.
    index: usize,
    pub(crate) chip: Option<Arc<Chip>>,
    /// The center's number in the topology.
    pub(crate) site: Option<usize>,
}

impl Seat {
    pub(crate) fn pool(&self) -> &Pool {
        &self.center.pools[self.index]
    }
}

/// Centers and pools by number. Immutable: a new declaration makes a new one.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    seats: Vec<Seat>,
    /// Each center, and the number of its first pool.
    centers: Vec<(Arc<Center>, PoolNumber)>,
    by_chip: BTreeMap<ChipId, Vec<PoolNumber>>,
    by_class: BTreeMap<ChipClass, Vec<PoolNumber>>,
}

impl Roster {
    pub(crate) fn of(world: &World, topology: &Topology) -> Self {
        let mut roster = Self::default();
        for state in world.centers.values() {
            let center = &state.center;
            roster.centers.push((Arc::clone(center), roster.next()));
            let site = topology.number(center.center.as_str());
            let mut pools: Vec<usize> = (0..center.pools.len()).collect();
            pools.sort_by(|a, b| center.pools[*a].pool.cmp(&center.pools[*b].pool));
            for index in pools {
                let chip = center.pools[index].chip.as_ref().and_then(|id| world.chips.get(id));
                let number = roster.next();
                if let Some(chip) = chip {
                    roster.by_chip.entry(chip.chip.clone()).or_default().push(number);
                    roster.by_class.entry(chip.class.clone()).or_default().push(number);
                }
                let (center, chip) = (Arc::clone(center), chip.cloned());
                roster.seats.push(Seat { center, index, chip, site });
            }
        }
        roster
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

    pub(crate) fn with_chip(&self, chip: &ChipId) -> &[PoolNumber] {
        self.by_chip.get(chip).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn of_class(&self, class: &ChipClass) -> &[PoolNumber] {
        self.by_class.get(class).map_or(&[], Vec::as_slice)
    }

    /// The numbers of a center's pools.
    pub(crate) fn pools_of(&self, center: &CenterId) -> std::ops::Range<PoolNumber> {
        let Ok(of) = self.centers.binary_search_by(|(c, ..)| c.center.cmp(center)) else {
            return 0..0;
        };
        let end = self.centers.get(of + 1).map_or_else(|| self.next(), |next| next.1);
        self.centers[of].1..end
    }

    /// The number of a pool by its names.
    pub(crate) fn number(&self, center: &CenterId, pool: &PoolId) -> Option<PoolNumber> {
        self.pools_of(center).find(|number| self.seat(*number).pool().pool == *pool)
    }
}
