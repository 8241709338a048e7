//! The log, for those who check it.

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::extract::Query;
use crate::gate::Call;
use crate::problem::{Problem, Slug};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use model::Record;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::IntoParams;
use wire::view;

/// The head the digests were read under: its number.
const HEAD_NUMBER: HeaderName = HeaderName::from_static("portolan-head-number");
/// And its digest.
const HEAD_DIGEST: HeaderName = HeaderName::from_static("portolan-head-digest");
/// The most header digests in one answer: a megabyte.
const MOST_HEADS: usize = 32_768;
/// How many records a page has where nothing is said.
const USUAL_PAGE: usize = 100;

/// Where to go on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct After {
    /// Facts after this number.
    #[serde(default)]
    after: u64,
    /// At most so many.
    limit: Option<usize>,
}

/// A record as an event. Stored payloads are JSON; one that is empty was withheld or erased.
pub(crate) fn event(record: &Record) -> Result<view::Event<&RawValue>, Problem> {
    let content = match &*record.payload {
        [] => None,
        payload => Some(serde_json::from_slice(payload).map_err(|error| {
            tracing::error!(number = record.header.number, %error, "a fact is no JSON");
            Problem::new(Slug::Broken, format!("fact {} is damaged", record.header.number))
        })?),
    };
    let header = &record.header;
    Ok(view::Event {
        number: header.number,
        kind: header.kind.clone(),
        at_ms: header.at,
        subjects: header.subjects.clone(),
        content,
    })
}

fn show(record: &Record) -> Result<view::LogRecord<&RawValue>, Problem> {
    Ok(view::LogRecord {
        event: event(record)?,
        version: record.header.version,
        payload: record.header.payload,
        header: record.header.digest(),
    })
}

/// Records after `after`, at most `limit`.
pub(crate) async fn records(api: &Api, after: u64, limit: usize) -> Result<Vec<Record>, Problem> {
    let records = api.gate.call(|reply| Call::Records(after, limit, reply)).await?;
    records.map_err(|why| unreadable(&why))
}

fn unreadable(why: &str) -> Problem {
    tracing::error!(why, "the log cannot be read");
    Problem::new(Slug::Broken, "the log cannot be read; the server's log says more")
}

/// Facts in order
#[utoipa::path(get, path = "/v1/log", tag = "log", params(After),
    responses((status = OK, body = view::LogPage)))]
pub(crate) async fn read_log(
    State(api): State<Api>,
    who: Who,
    Query(page): Query<After>,
) -> Result<impl IntoResponse, Problem> {
    who.must(&api, Action::ReadLog, Resource::Network)?;
    let limit = api.page(page.limit, USUAL_PAGE)?;
    let records = records(&api, page.after, limit).await?;
    let next = records.last().map(|r| r.header.number).filter(|_| records.len() == limit);
    let shown = records.iter().map(show).collect::<Result<Vec<_>, Problem>>()?;
    Ok(Json(view::LogPage { records: shown, next }).into_response())
}

/// The digests of headers, to check that the log extends a head
///
/// 32 bytes each, for the facts after `after`; the headers name the head they were read under.
#[utoipa::path(get, path = "/v1/log/heads", tag = "log", params(After),
    responses((status = OK, body = Vec<u8>, content_type = "application/octet-stream", headers(
        ("portolan-head-number" = u64), ("portolan-head-digest" = String)
    ))))]
pub(crate) async fn read_log_heads(
    State(api): State<Api>,
    who: Who,
    Query(page): Query<After>,
) -> Result<impl IntoResponse, Problem> {
    who.must(&api, Action::ReadLogHeads, Resource::Network)?;
    let limit = page.limit.unwrap_or(MOST_HEADS).min(MOST_HEADS);
    let heads = api.gate.call(|reply| Call::Heads(page.after, limit, reply)).await?;
    let (digests, head) = heads.map_err(|why| unreadable(&why))?;
    let bytes: Vec<u8> = digests.iter().flat_map(|digest| *digest.as_bytes()).collect();
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (HEAD_NUMBER, head.number.to_string()),
        (HEAD_DIGEST, head.digest.to_string()),
    ];
    Ok((headers, bytes))
}
