//! What was made of chips that were booked.

use crate::World;
use model::{AttemptId, ChipTime, JobId, Moment, PartPlacement, Placement};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a reservation was used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Used {
    /// When an attempt in it was last over.
    pub last: Moment,
    /// What attempts in it had that are over.
    pub had: ChipTime,
}

/// Reservations something ran in, as long as their jobs are here.
pub(crate) type Reservations = BTreeMap<JobId, Used>;

impl World {
    /// How a reservation was used, if anything ever ran in it.
    #[must_use]
    pub fn used(&self, reservation: JobId) -> Option<Used> {
        self.reservations.get(&reservation).copied()
    }

    /// Attempts that are not over and run, or are to run, in a reservation.
    pub fn inside(&self, reservation: JobId) -> impl Iterator<Item = AttemptId> {
        self.index.inside.get(&reservation).into_iter().flatten().copied()
    }

    /// Reservations whose windows have not opened.
    pub fn to_open(&self) -> impl Iterator<Item = JobId> {
        self.index.to_open.iter().copied()
    }

    /// Whether any attempt runs, or is to run, in a reservation.
    #[must_use]
    pub fn any_inside(&self) -> bool {
        !self.index.inside.is_empty()
    }

    /// An attempt in a reservation, if it was in one, is over.
    pub(crate) fn ran_inside(
        &mut self,
        placement: &Placement,
        started: Option<Moment>,
        at: Moment,
    ) {
        let (Some(reservation), Some(started)) = (placement.inside, started) else { return };
        let used = self.reservations.entry(reservation).or_default();
        used.last = at;
        let chips = placement.parts.iter().map(PartPlacement::chips);
        let ran = at.since(started);
        used.had = chips.map(|chips| chips.over(ran)).fold(used.had, ChipTime::saturating_add);
    }
}
