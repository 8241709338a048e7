//! What runs in reservations, on what these hold, and only while they do.

use super::{Hold, View, judge_node};
use crate::Judged;
use crate::promise::{Findings, Promise};
use model::{AttemptId, JobId, JobSpec};
use std::collections::BTreeMap;
use world::World;

/// Judges what is held of a node by those that run in reservations.
pub(super) fn judge(
    world: &World,
    name: &str,
    holds: &[Hold<'_>],
    whom: Judged<'_, AttemptId>,
    found: &mut Findings,
) {
    let mut inside: BTreeMap<JobId, Vec<Hold<'_>>> = BTreeMap::new();
    for hold in holds {
        if let Some(reservation) = hold.attempt.placement.inside {
            inside.entry(reservation).or_default().push(*hold);
        }
    }
    for (reservation, guests) in inside {
        let of = |hold: &&Hold<'_>| hold.attempt.attempt.job == reservation;
        let Some(own) = holds.iter().find(of) else {
            for guest in guests.iter().filter(|guest| whom.is(&guest.attempt.attempt)) {
                let attempt = guest.attempt.attempt;
                found.say(
                    Promise::Capacity,
                    format!("{name}: {attempt} is where {reservation} holds nothing"),
                );
            }
            continue;
        };
        for guest in guests.iter().filter(|guest| whom.is(&guest.attempt.attempt)) {
            judge_guest(name, own, guest, found);
        }
        let name = format!("{name}, in {reservation}");
        let limits = (own.slots.cores, own.slots.memory);
        judge_node(&name, limits, &guests, View::Promised, world.at, whom, found);
    }
}

fn judge_guest(name: &str, own: &Hold<'_>, guest: &Hold<'_>, found: &mut Findings) {
    // As it was booked: a window may open a moment late.
    let (opens, closes) = (own.attempt.placement.start, own.attempt.placement.until);
    let place = &guest.attempt.placement;
    let (attempt, reservation) = (guest.attempt.attempt, own.attempt.attempt.job);
    let inside = opens <= place.start && place.until <= closes + JobSpec::OVERHANG;
    found.judge(Promise::Capacity, inside, || {
        format!(
            "{attempt} has its nodes from {} until {}, and {reservation} from {opens} until {closes}",
            place.start, place.until
        )
    });
    let is_own = |chip: &u16| own.slots.chips.contains(chip);
    found.judge(Promise::Capacity, guest.slots.chips.iter().all(is_own), || {
        format!("{name}: {attempt} has chips that {reservation} does not hold")
    });
}
