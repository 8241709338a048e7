//! Chips as what tenants have parts of.

use crate::candidate::meet;
use crate::demand::Shape;
use crate::roster::{BandNumber, Roster};
use crate::supply::{Supply, supply, supply_in};
use allocation::{Choice, Uses};
use model::job::On;
use model::{Center, CenterId, Chips, JobSpec, Region};
use std::collections::{BTreeMap, BTreeSet};
use world::World;

/// The regions that jobs can run in, by their own wish and by where what they read and write may be;
/// everywhere where none is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Inside(Vec<Region>);

impl Inside {
    /// None where a job can run nowhere.
    pub(super) fn of(world: &World, spec: &JobSpec) -> Option<Self> {
        let read = spec.inputs.iter().filter_map(|input| world.version(&input.dataset));
        let read = read.map(|version| &version.registered.residency);
        let mut inside = spec.regions.clone();
        for allowed in read.chain(spec.outputs.iter().map(|output| &output.residency)) {
            let both = meet(&inside, allowed);
            if both.is_empty() && !(inside.is_empty() && allowed.is_empty()) {
                return None;
            }
            inside = both;
        }
        inside.sort_unstable();
        Some(Self(inside))
    }

    fn is_everywhere(&self) -> bool {
        self.0.is_empty()
    }

    fn has(&self, center: &Center) -> bool {
        let within = |site: &model::Site| self.0.iter().any(|region| region.contains(&site.region));
        self.is_everywhere() || center.site().is_some_and(within)
    }

    /// Whether all that is inside `other` is inside this.
    fn contains(&self, other: &Self) -> bool {
        let within = |region: &Region| self.0.iter().any(|own| own.contains(region));
        self.is_everywhere() || !other.is_everywhere() && other.0.iter().all(within)
    }
}

/// The chips of a family as resources, by number: all, what is lent, and what is each home's.
struct Family {
    all: usize,
    lent: usize,
    own: BTreeMap<CenterId, usize>,
}

/// Chips as the resources of a problem.
pub(super) struct Market {
    pub(super) capacities: Vec<f64>,
    families: BTreeMap<BandNumber, Family>,
    /// The same of those regions alone that some jobs are to stay inside. What of these lie side by side
    /// or in each other is exact; what overlaps in part may come to more than there is.
    parts: Vec<(Inside, BTreeMap<BandNumber, Family>)>,
}

impl Market {
    /// All chips there are, for those who want them inside these regions.
    pub(super) fn of<'i>(roster: &Roster, wanted: impl Iterator<Item = &'i Inside>) -> Self {
        let mut capacities = Vec::new();
        let mut families = |supply: BTreeMap<BandNumber, Supply>| {
            let mut row = |chips: Chips| {
                capacities.push(chips.0 as f64 / 1e3);
                capacities.len() - 1
            };
            let mut family = |of: Supply| {
                let own = of.own.into_iter().map(|(home, chips)| (home, row(chips))).collect();
                Family { all: row(of.all), lent: row(of.lent), own }
            };
            supply.into_iter().map(|(at, of)| (at, family(of))).collect()
        };
        let everywhere = families(supply(roster));
        let parts: BTreeSet<&Inside> = wanted.filter(|inside| !inside.is_everywhere()).collect();
        let part = |inside: &Inside| {
            (inside.clone(), families(supply_in(roster, |center| inside.has(center))))
        };
        let parts = parts.into_iter().map(part).collect();
        Self { capacities, families: everywhere, parts }
    }

    /// Where a chip's worth of a shape could run inside these regions.
    pub(super) fn choices(&self, roster: &Roster, shape: &Shape, inside: &Inside) -> Vec<Choice> {
        let mut choices = Vec::new();
        for (on, chips, times) in &shape.ways {
            let rate = 1e3 / (*times).max(1) as f64;
            let uses = chips.0 as f64 / 1e3;
            for around in self.families_of(roster, on, inside) {
                let Some(innermost) = around.last() else { continue };
                let lent = around.iter().map(|family| family.lent).collect();
                let own = shape.homes.iter().filter(|home| innermost.own.contains_key(home));
                let own = own.map(|home| around.iter().filter_map(|f| f.own.get(home)).copied());
                for rows in own.map(Iterator::collect).chain([lent]) {
                    let rows: Vec<usize> = rows;
                    let all = around.iter().map(|family| family.all);
                    let uses: Uses = all.chain(rows).map(|row| (row, uses)).collect();
                    choices.push(Choice { rate, uses });
                }
            }
        }
        choices
    }

    /// The families with chips of a kind inside these regions: each of all centers first, then of those
    /// regions, the largest first, that these are inside.
    fn families_of<'m>(
        &'m self,
        roster: &'m Roster,
        on: &On,
        inside: &'m Inside,
    ) -> impl Iterator<Item = Vec<&'m Family>> {
        let mut parts: Vec<_> =
            self.parts.iter().filter(|(part, _)| part.contains(inside)).collect();
        // What contains the most of the others comes first.
        parts.sort_by_key(|(part, _)| {
            std::cmp::Reverse(self.parts.iter().filter(|(other, _)| part.contains(other)).count())
        });
        let all = std::iter::once(&self.families);
        let around: Vec<_> = all.chain(parts.into_iter().map(|(_, families)| families)).collect();
        roster.families(on).iter().filter_map(move |family| {
            around.iter().map(|families| families.get(&family.start)).collect::<Option<_>>()
        })
    }
}
