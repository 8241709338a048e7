//! What a holder of a read ticket may ask for.

use super::meter::metered;
use super::problem::Problem;
use super::range::{Asked, asked};
use super::{Asking, Gate, in_place};
use crate::carry::blocking;
use crate::error::io_at;
use crate::layout::Layout;
use crate::picked::Picked;
use crate::{Held, TransferError, Verb};
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::stream;
use model::DatasetVersion;
use std::io::SeekFrom;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

const BYTES: &str = "application/octet-stream";

impl Gate {
    async fn held(&self, data: DatasetVersion) -> Result<Held, TransferError> {
        let store = self.door.store.clone();
        blocking(move || store.held(&data)).await
    }
}

/// The chunks a request names, if the layout has them.
pub(super) fn picked(layout: &Layout, asked: Asking) -> Result<Picked, Problem> {
    let Query(asked) = asked.map_err(Problem::bad_request)?;
    let picked: Picked = asked.numbers.parse().map_err(Problem::bad_request)?;
    layout.place(picked.last())?;
    Ok(picked)
}

pub(super) async fn manifest(
    State(gate): State<Gate>,
    Path((dataset, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let data = gate.admit(&headers, &dataset, &version, Verb::Read)?;
    let (Held::Here(layout) | Held::Elsewhere(layout, _)) = gate.held(data).await?;
    let text = layout.manifest().canonical();
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}

pub(super) async fn chunks(
    State(gate): State<Gate>,
    Path((dataset, version)): Path<(String, String)>,
    parts: Parts,
    asked: Asking,
) -> Result<Response, Problem> {
    let (data, meter) = gate.admit_metered(&parts, &dataset, &version).await?;
    let (layout, elsewhere) = match gate.held(data).await? {
        Held::Here(layout) => (layout, None),
        Held::Elsewhere(layout, location) => (layout, Some(location)),
    };
    let picked = picked(&layout, asked)?;
    let sizes = picked.chunks().map(|chunk| Ok(layout.place(chunk)?.bytes as u64));
    let length = sizes.sum::<Result<u64, TransferError>>()?;
    let (turn, store) = (gate.turn()?, gate.door.store);
    let headers = [(CONTENT_TYPE, BYTES.to_owned()), (CONTENT_LENGTH, length.to_string())];
    if let Some(location) = elsewhere {
        let body = in_place::chunks(&store, &location, &layout, picked.chunks(), turn).await?;
        return Ok((headers, metered(body, meter)).into_response());
    }
    // A failure within breaks the connection off; the other side asks again and hears of it then.
    let pieces = stream::try_unfold((picked.chunks(), turn), move |(mut left, turn)| {
        let (store, layout) = (store.clone(), Arc::clone(&layout));
        async move {
            let Some(chunk) = left.next() else { return Ok(None) };
            let bytes = blocking(move || store.read_chunk(&layout, chunk)).await;
            let bytes =
                bytes.inspect_err(|e| tracing::error!(error = %e, chunk, "cannot serve"))?;
            Ok::<_, TransferError>(Some((Bytes::from(bytes), (left, turn))))
        }
    });
    Ok((headers, metered(pieces, meter)).into_response())
}

pub(super) async fn file(
    State(gate): State<Gate>,
    Path((dataset, version, path)): Path<(String, String, String)>,
    parts: Parts,
) -> Result<Response, Problem> {
    let (data, meter) = gate.admit_metered(&parts, &dataset, &version).await?;
    let held = gate.held(data.clone()).await?;
    let (Held::Here(layout) | Held::Elsewhere(layout, _)) = &held;
    // Only what the manifest names is ever opened.
    let (file, _) = layout.file(&path)?;
    let length = file.bytes.0;
    let range = parts.headers.get(RANGE).and_then(|range| range.to_str().ok());
    let asked = asked(range, length);
    let part = match &asked {
        Asked::Whole => 0..length,
        Asked::Part(part) => part.clone(),
        Asked::Beyond => return Ok(file_answer(&asked, length, Body::empty())),
    };
    let body = match &held {
        Held::Here(_) => {
            let at = gate.door.store.path(&data)?.join(&file.path);
            let mut open = tokio::fs::File::open(&at).await.map_err(io_at("open", &at))?;
            open.seek(SeekFrom::Start(part.start)).await.map_err(io_at("read", &at))?;
            let open = open.take(part.end - part.start);
            metered(ReaderStream::with_capacity(open, 64 << 10), meter)
        }
        Held::Elsewhere(layout, location) => {
            let (store, turn) = (gate.door.store.clone(), gate.turn()?);
            metered(in_place::part(&store, location, layout, &file.path, part, turn).await?, meter)
        }
    };
    Ok(file_answer(&asked, length, body))
}

/// The answer to whoever asks for a file of `length` bytes, or a part of it.
pub(super) fn file_answer(asked: &Asked, length: u64, body: Body) -> Response {
    let (status, size, range) = match asked {
        Asked::Whole => (StatusCode::OK, length, None),
        Asked::Part(part) => {
            let range = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            (StatusCode::PARTIAL_CONTENT, part.end - part.start, Some(range))
        }
        Asked::Beyond => {
            let what = format_args!("the file has {length} bytes");
            let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, what);
            return ([(CONTENT_RANGE, format!("bytes */{length}"))], problem).into_response();
        }
    };
    let headers = [
        (CONTENT_TYPE, BYTES.to_owned()),
        (ACCEPT_RANGES, "bytes".to_owned()),
        (CONTENT_LENGTH, size.to_string()),
    ];
    let mut response = (status, headers, body).into_response();
    if let Some(range) = range {
        let range = range.parse().expect("digits are a header value");
        response.headers_mut().insert(CONTENT_RANGE, range);
    }
    response
}
