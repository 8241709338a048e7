//! Transfers.

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use model::Staging;
use wire::view;

pub(crate) fn show(transfer: &Staging) -> view::Transfer {
    let step = |step: &model::attempt::RateStep| view::RateStep {
        from_ms: step.from,
        until_ms: step.until,
        rate_bps: step.rate,
    };
    view::Transfer {
        transfer: transfer.transfer,
        dataset: transfer.data.dataset.clone(),
        version: transfer.data.version,
        bytes: transfer.bytes,
        from: transfer.from.clone(),
        to: transfer.to.clone(),
        hops: transfer.hops.iter().map(ToString::to_string).collect(),
        steps: transfer.steps.iter().map(step).collect(),
        arrives_ms: transfer.arrives,
        price: transfer.price,
    }
}

/// Transfers that are not over
#[utoipa::path(get, path = "/v1/transfers", tag = "data", responses((status = OK, body = view::Transfers)))]
pub(crate) async fn list_transfers(
    State(api): State<Api>,
    who: Who,
) -> Result<Json<view::Transfers>, Problem> {
    who.must(&api, Action::ListTransfers, Resource::Network)?;
    let transfers = api.gate.look(|c| c.world().transfers.values().cloned().collect::<Vec<_>>());
    let transfers = transfers.await?.iter().map(|transfer| show(transfer)).collect();
    Ok(Json(view::Transfers { transfers }))
}
