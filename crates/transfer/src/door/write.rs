//! What a holder of a write ticket may do.

use super::meter::Meter;
use super::problem::Problem;
use super::read::picked;
use super::{Asking, Gate};
use crate::carry::blocking;
use crate::incoming::{Incoming, Written};
use crate::layout::Layout;
use crate::remote::{MANIFEST_MAX, SILENCE};
use crate::upload::Missing;
use crate::{Arrived, TransferError, Verb};
use axum::Json;
use axum::body::{Body, BodyDataStream, Bytes as Piece, to_bytes};
use axum::extract::{Path, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use futures::StreamExt;
use std::sync::Arc;

type Names = Path<(String, String)>;

pub(super) async fn manifest(
    State(gate): State<Gate>,
    Path((dataset, version)): Names,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Missing>, Problem> {
    let data = gate.admit(&headers, &dataset, &version, Verb::Write)?;
    let _turn = gate.turn()?;
    let large = || {
        let detail = format_args!("a manifest may have {MANIFEST_MAX} bytes").to_string();
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    let said = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if said.is_some_and(|length: usize| length > MANIFEST_MAX) {
        return Err(large());
    }
    let text = tokio::time::timeout(SILENCE, to_bytes(body, MANIFEST_MAX)).await;
    let text = text.map_err(|_| silent())?.map_err(|_| large())?;
    let store = gate.door.store;
    let opened = blocking(move || {
        let layout = Layout::parse(&data, &text)?;
        if store.has(&data) {
            return Ok(nothing(&layout));
        }
        let incoming = store.incoming(&data, layout.manifest().clone())?;
        incoming.reuse()?;
        Ok::<_, TransferError>(lacks(&incoming))
    });
    Ok(Json(opened.await?))
}

pub(super) async fn missing(
    State(gate): State<Gate>,
    Path((dataset, version)): Names,
    headers: HeaderMap,
) -> Result<Json<Missing>, Problem> {
    let data = gate.admit(&headers, &dataset, &version, Verb::Write)?;
    let store = gate.door.store.clone();
    let told = blocking(move || match store.layout(&data) {
        Ok(layout) => Ok(nothing(&layout)),
        Err(TransferError::NotHere { .. }) => {
            let incoming = store.resume(&data)?.ok_or(TransferError::NotHere { data })?;
            Ok(lacks(&incoming))
        }
        Err(error) => Err(error),
    });
    Ok(Json(told.await?))
}

pub(super) async fn chunks(
    State(gate): State<Gate>,
    Path((dataset, version)): Names,
    headers: HeaderMap,
    asked: Asking,
    body: Body,
) -> Result<StatusCode, Problem> {
    let ticket = gate.ticket(&headers, &dataset, &version, Verb::Write)?;
    let _turn = gate.turn()?;
    // A sender keeps the plan's rates by itself; one that would not takes from others what is theirs.
    // Nothing leaves here, so the kernel has no part in it.
    let meter = gate.meters.enter(ticket.pace.as_ref(), (gate.door.now)(), None).await;
    let data = ticket.data;
    if gate.door.store.has(&data) {
        return Ok(StatusCode::NO_CONTENT);
    }
    let store = gate.door.store.clone();
    let incoming = blocking(move || {
        let incoming = store.resume(&data)?;
        incoming.ok_or(TransferError::NotHere { data })
    });
    let incoming = incoming.await?;
    let picked = picked(incoming.layout(), asked)?;
    let mut coming = Coming { body: body.into_data_stream(), rest: Piece::new(), meter };
    let mut damaged = Vec::new();
    for chunk in picked.chunks() {
        let bytes = coming.take(incoming.layout().place(chunk)?.bytes).await?;
        let incoming = incoming.clone();
        match blocking(move || incoming.take_chunk(chunk, &bytes)).await? {
            Written::Verified => {}
            Written::Corrupted => damaged.push(chunk),
        }
    }
    coming.end().await?;
    if damaged.is_empty() { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::damaged(damaged)) }
}

pub(super) async fn finish(
    State(gate): State<Gate>,
    Path((dataset, version)): Names,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let data = gate.admit(&headers, &dataset, &version, Verb::Write)?;
    let door = gate.door;
    let finished = blocking(move || {
        let mut arrived = Arrived::default();
        if !door.store.has(&data) {
            let incoming = door.store.resume(&data)?;
            let incoming = incoming.ok_or(TransferError::NotHere { data: data.clone() })?;
            arrived = incoming.taken();
            incoming.finish()?;
        }
        if let Some(replica) = door.store.replicas().get(&data) {
            (door.arrived)(&data, *replica, arrived);
        }
        Ok::<_, TransferError>(())
    });
    finished.await?;
    Ok(StatusCode::NO_CONTENT)
}

fn nothing(layout: &Layout) -> Missing {
    Missing { chunks: layout.chunks(), missing: Vec::new() }
}

fn lacks(incoming: &Incoming) -> Missing {
    let missing = incoming.missing().into_iter().map(|run| (run.start, run.end)).collect();
    Missing { chunks: incoming.layout().chunks(), missing }
}

fn silent() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "nothing came for too long")
}

/// A body as it comes.
struct Coming {
    body: BodyDataStream,
    rest: Piece,
    meter: Option<Arc<Meter>>,
}

impl Coming {
    async fn next(&mut self) -> Result<Option<Piece>, Problem> {
        let next = tokio::time::timeout(SILENCE, self.body.next()).await;
        let next = next.map_err(|_| silent())?.transpose().map_err(Problem::bad_request)?;
        if let (Some(piece), Some(meter)) = (&next, &self.meter) {
            meter.take(piece.len()).await;
        }
        Ok(next)
    }

    /// The next `bytes`.
    async fn take(&mut self, bytes: usize) -> Result<Vec<u8>, Problem> {
        let mut taken = Vec::with_capacity(bytes);
        loop {
            let part = self.rest.len().min(bytes - taken.len());
            taken.extend_from_slice(&self.rest.split_to(part));
            if taken.len() == bytes {
                return Ok(taken);
            }
            let more = self.next().await?;
            self.rest = more.ok_or_else(|| Problem::bad_request("the body ends in a chunk"))?;
        }
    }

    /// Checks that nothing follows.
    async fn end(mut self) -> Result<(), Problem> {
        loop {
            if !self.rest.is_empty() {
                return Err(Problem::bad_request("the body goes on after the last chunk"));
            }
            match self.next().await? {
                Some(more) => self.rest = more,
                None => return Ok(()),
            }
        }
    }
}
