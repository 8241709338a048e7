//! Bytes made up to load a line, for whoever has a ticket for them.

use super::meter::metered;
use super::problem::Problem;
use super::{Gate, Verb};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures::stream::{self, StreamExt};
use model::Span;
use std::convert::Infallible;

/// How much is made at a time.
const PIECE: usize = 256 << 10;

/// Sends bytes that nothing on the way can make fewer, no faster than the ticket's steps and not
/// after the last of them: what comes later is in the way of what others booked.
pub(super) async fn filler(
    State(gate): State<Gate>,
    Path((dataset, version)): Path<(String, String)>,
    parts: Parts,
) -> Result<Response, Problem> {
    let ticket = gate.ticket(&parts.headers, &dataset, &version, Verb::Fill)?;
    let left = ticket.pace.as_ref().map(|pace| pace.left((gate.door.now)()));
    let ends =
        left.as_deref().and_then(<[_]>::last).map(|step| step.after.saturating_add(step.lasts));
    let ends = ends.filter(|ends| *ends > Span::ZERO);
    let ends =
        ends.ok_or_else(|| Problem::bad_request("the time of this ticket's steps is over"))?;
    let meter = gate.meter(&ticket, &parts).await;
    let turn = gate.turn()?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(Problem::bad_request)?;
    let noise = blake3::Hasher::new_keyed(&seed).finalize_xof();
    let pieces = stream::unfold((noise, turn), |(mut noise, turn)| async move {
        let mut piece = vec![0; PIECE];
        noise.fill(&mut piece);
        Some((Ok::<_, Infallible>(Bytes::from(piece)), (noise, turn)))
    });
    let over = tokio::time::sleep(ends.to_std());
    let body = metered(pieces, meter).into_data_stream().take_until(Box::pin(over));
    let headers = [(CONTENT_TYPE, "application/octet-stream")];
    Ok((headers, axum::body::Body::from_stream(body)).into_response())
}
