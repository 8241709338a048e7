//! Transfers.

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use model::attempt::RateStep;
use model::link::Hop;
use model::{CenterId, Moment, Staging};
use wire::{CopyUnderWay, view};

/// A transfer, and how far it is at `now` if its receiver told.
pub(crate) fn show(
    transfer: &Staging,
    (seen, now): (Option<&CopyUnderWay>, Moment),
) -> view::Transfer {
    let expected = |seen: &CopyUnderWay| {
        let left = transfer.bytes.saturating_sub(seen.done);
        left.time_at(seen.rate).map(|span| now + span)
    };
    let step = |step: &RateStep| view::RateStep {
        from_ms: step.from,
        until_ms: step.until,
        rate_bps: step.rate,
    };
    let leg = |(from, hops, steps): (&CenterId, &[Hop], &[RateStep])| view::TransferLeg {
        from: from.clone(),
        hops: hops.iter().map(ToString::to_string).collect(),
        steps: steps.iter().map(step).collect(),
    };
    let mut legs = transfer.legs().map(leg);
    let first = legs.next().expect("a transfer comes from somewhere");
    view::Transfer {
        transfer: transfer.transfer,
        dataset: transfer.data.dataset.clone(),
        version: transfer.data.version,
        bytes: transfer.bytes,
        from: first.from,
        to: transfer.to.clone(),
        hops: first.hops,
        steps: first.steps,
        beside: legs.collect(),
        arrives_ms: transfer.arrives,
        done_bytes: seen.map(|seen| seen.done),
        coming_bps: seen.map(|seen| seen.rate),
        expected_ms: seen.and_then(expected),
        price: transfer.price,
        sent: transfer.sent,
        passing: transfer.passing,
    }
}

/// Transfers that are not over
#[utoipa::path(get, path = "/v1/transfers", tag = "data", responses((status = OK, body = view::Transfers)))]
pub(crate) async fn list_transfers(
    State(api): State<Api>,
    who: Who,
) -> Result<Json<view::Transfers>, Problem> {
    who.must(&api, Action::ListTransfers, Resource::Network)?;
    let transfers =
        api.gate.look(|c| (c.now(), c.world().transfers.values().cloned().collect::<Vec<_>>()));
    let ((now, transfers), seen) = (transfers.await?, api.under_way.seen());
    let transfers = transfers.iter().map(|t| show(t, (seen.get(&t.transfer), now))).collect();
    Ok(Json(view::Transfers { transfers }))
}
