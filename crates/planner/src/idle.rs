//! For how long chips that are free would be nobody's anyway.
//!
//! A price says what a chip costs others for an hour that one of them would have it. A chip that is free
//! is nobody's at first: those who come and want it more take as many chips as there are in the time for
//! which chips are held on average, and so all that are free in such a part of that time as they are of
//! all. So long a run costs nobody anything. Of many chips that many want hardly any are free; of few, a
//! price that is right in the mean would have jobs wait beside idle chips.

use crate::roster::BandNumber;
use crate::toll::whole;
use crate::{Aim, Policy, View};
use model::{Moment, Span};
use std::collections::BTreeMap;

/// For how long, by the first band of each family.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Idle(BTreeMap<BandNumber, Span>);

impl Idle {
    pub(crate) fn of(&self, family: BandNumber) -> Span {
        self.0.get(&family).copied().unwrap_or(Span::ZERO)
    }

    /// As of now, where prices are minded and there are any.
    fn now(view: &View, policy: &Policy, now: Moment) -> Self {
        if policy.aim != Aim::MeanCompletion || !policy.prices || !view.tolls.are_there() {
            return Self::default();
        }
        let mut families: BTreeMap<BandNumber, (u64, u64)> = BTreeMap::new();
        for ((_, seat), board) in view.roster.seats().zip(view.pools.iter()) {
            let pool = seat.pool();
            let (all, free) = families.entry(seat.bands.start).or_default();
            *all += u64::from(pool.nodes) * u64::from(pool.chips_per_node);
            *free += board.about_free(now);
        }
        let held_for = view.offered.held_for();
        let part = |(all, free): (u64, u64)| free as f64 / all.max(1) as f64;
        let idle =
            families.into_iter().map(|(of, chips)| (of, Span(whole(held_for * part(chips)))));
        Self(idle.collect())
    }
}

impl View {
    /// Looks how many chips are free now, before places are ranked by what they cost others. It stays so
    /// while places are given: what is worth something changes little by what one plan gives.
    pub(crate) fn look_for_idle(&mut self, policy: &Policy, now: Moment) {
        self.idle = Idle::now(self, policy, now).into();
    }
}
