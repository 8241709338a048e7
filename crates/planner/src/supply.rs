//! What there is of each kind of chip: in all, lent, and for those who are at home where it is.

use crate::roster::{BandNumber, Roster};
use model::{Center, CenterId, Chips};
use std::collections::BTreeMap;

/// The chips of a family.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Supply {
    pub(crate) all: Chips,
    /// What owners lend of them.
    pub(crate) lent: Chips,
    /// What there is of them in centers that have tenants of their own and lend not all, by center.
    pub(crate) own: BTreeMap<CenterId, Chips>,
}

/// What there is, by the first band of each family.
pub(crate) fn supply(roster: &Roster) -> BTreeMap<BandNumber, Supply> {
    supply_in(roster, |_| true)
}

/// What there is in some of the centers.
pub(crate) fn supply_in(
    roster: &Roster,
    counts: impl Fn(&Center) -> bool,
) -> BTreeMap<BandNumber, Supply> {
    let mut there: BTreeMap<BandNumber, Supply> = BTreeMap::new();
    for (_, seat) in roster.seats().filter(|(_, seat)| counts(&seat.center)) {
        let of = there.entry(seat.bands.start).or_default();
        let chips = seat.pool().chips();
        let most = seat.lending.most(chips);
        of.all = of.all.saturating_add(chips);
        of.lent = of.lent.saturating_add(most);
        if seat.has_own && most < chips {
            let own = of.own.entry(seat.center.center.clone()).or_default();
            *own = own.saturating_add(chips);
        }
    }
    there
}
