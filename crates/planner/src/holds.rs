//! Whether what was planned a while ago still holds.

use crate::Situation;
use crate::preempt::right::is_rightful;
use crate::proposal::{Offer, Transfer};
use crate::staging::bookings;
use crate::view::View;
use world::{CenterState, World};

/// Whether an offer drawn up a while ago still holds on the live board.
#[must_use]
pub fn still_holds(world: &World, view: &View, situation: &Situation, offer: &Offer) -> bool {
    let place = &offer.placement;
    let from = place.start.max(situation.now);
    let until = place.until.max(from + model::Span(1));
    let nodes = place.parts.iter().all(|part| {
        let known = world.centers.get(&part.center).is_some_and(|c| c.agent.is_some());
        known
            && !situation.silent.contains_key(&part.center)
            && match place.inside {
                None => view.is_free_without(world, &offer.preempts, part, (from, until)),
                Some(_) => {
                    let number = view.roster.number(&part.center, &part.pool);
                    let board = number.and_then(|number| view.board(place.inside, number));
                    board.is_some_and(|board| board.is_free(&part.nodes, from, until))
                }
            }
    });
    let here = |data: &model::DatasetVersion| {
        let center = place.center();
        let version = world.exact(data);
        version.is_some_and(|v| v.replicas.contains_key(center))
            || world.transfer_to(data, center).is_some()
    };
    let mut links = view.links.clone();
    let transfers = offer.transfers.iter().all(|transfer| match transfer {
        Transfer::Under(id) => world.transfers.contains_key(id),
        Transfer::New(staging) => {
            let has =
                |from| world.exact(&staging.data).is_some_and(|v| v.replicas.contains_key(from));
            let opens = || world.centers.get(&staging.to).is_some_and(CenterState::has_door);
            world.transfer_to(&staging.data, &staging.to).is_some()
                || ((!staging.sent || opens())
                    && staging.legs().all(|(from, ..)| has(from))
                    && bookings(staging).all(|booking| links.book(&booking).is_ok()))
        }
    });
    let streams = place.streams.iter().all(|stream| {
        let version = world.exact(&stream.data);
        version.is_some_and(|v| v.replicas.contains_key(&stream.from))
            && !situation.silent.contains_key(&stream.from)
    }) && view.can_read(&place.streams, (from, until));
    let coming = |data: &&model::DatasetVersion| {
        place.streams.iter().any(|stream| stream.data == **data)
            || offer.transfers.iter().any(|t| matches!(t, Transfer::New(s) if s.data == **data))
    };
    nodes
        && view.admits(world, situation.now, offer)
        && is_rightful(world, view, offer)
        && view.lends(world, offer)
        && transfers
        && streams
        && place.inputs.iter().all(|data| coming(&data) || here(data))
}
