//! What jobs print.

use super::find;
use crate::Api;
use crate::access::{Action, Who};
use crate::extract::{Id, Query, read_text};
use crate::gate::{Call, LogError, LogQuery};
use crate::problem::{Problem, Slug};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use model::job::Job;
use model::{AttemptId, CenterId, JobId, Phase};
use serde::Deserialize;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::IntoParams;
use wire::LogPiece;

/// Where the next piece begins.
const NEXT_OFFSET: HeaderName = HeaderName::from_static("portolan-next-offset");
/// Whether nothing will follow.
const COMPLETE: HeaderName = HeaderName::from_static("portolan-log-complete");
/// How many bytes a piece has where nothing is said.
const USUAL_PIECE: u64 = 256 << 10;
/// The most bytes a piece has.
const LARGEST_PIECE: u64 = 1 << 20;
/// How often the center of a followed log is asked for more.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Which part of a log.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// `stdout`, or else `stderr`.
    #[param(inline)]
    stream: Option<Stream>,
    /// From which byte.
    #[serde(default)]
    offset: u64,
    /// At most so many bytes; at most 1 MiB.
    max: Option<u64>,
    /// Of which attempt, by its id or its epoch; the newest where none is named.
    attempt: Option<String>,
    /// Goes on until the log is complete.
    #[serde(default)]
    follow: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// What is to be read where.
enum Source {
    At(AttemptId, CenterId),
    /// There is nothing to read yet.
    NotYet,
}

/// A job's output
///
/// A piece of it as text, with headers that say where the next begins and whether any will follow;
/// or, with `follow`, all of it as it comes.
#[utoipa::path(get, path = "/v1/jobs/{job}/logs", tag = "jobs", params(("job" = String, Path), Wanted),
    responses((status = OK, body = String, content_type = "text/plain", headers(
        ("portolan-next-offset" = u64), ("portolan-log-complete" = bool)
    ))))]
pub(crate) async fn read_job_log(
    State(api): State<Api>,
    who: Who,
    Id(job): Id<JobId>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let found = find(&api, &who, Action::ReadJobLog, job).await?;
    let epoch = wanted.attempt.as_deref().map(|text| epoch(job, text)).transpose()?;
    let source = source(&found.job, epoch)?;
    let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    if wanted.follow {
        let place = api.stream_place()?;
        let (pieces, stream) = mpsc::channel::<Result<Bytes, Infallible>>(4);
        tokio::spawn(async move {
            let shutdown = api.settings.shutdown.clone();
            let follow = follow(&api, &who, (job, epoch), wanted, &pieces);
            tokio::select! {
                () = follow => {}
                () = shutdown.cancelled() => {}
            }
            drop(place);
        });
        let body = Body::from_stream(ReceiverStream::new(stream));
        return Ok((text, [("x-accel-buffering", "no")], body).into_response());
    }
    let Source::At(attempt, center) = source else {
        let detail = format!("{job} has no output yet: it is {}", found.job.word());
        return Err(Problem::new(Slug::Conflict, detail));
    };
    let piece = read(&api, (attempt, center), &wanted, wanted.offset).await?;
    let headers = [(NEXT_OFFSET, piece.next.to_string()), (COMPLETE, piece.complete.to_string())];
    Ok((text, headers, piece.text).into_response())
}

/// The epoch that `text` means: itself, or that of an attempt of this job.
fn epoch(job: JobId, text: &str) -> Result<u32, Problem> {
    if let Ok(epoch) = text.parse() {
        return Ok(epoch);
    }
    let attempt: AttemptId = read_text(text)?;
    if attempt.job == job {
        Ok(attempt.epoch)
    } else {
        Err(Problem::malformed(format!("{attempt} is no attempt of {job}")))
    }
}

fn source(job: &Job, attempt: Option<u32>) -> Result<Source, Problem> {
    let id = |epoch| AttemptId { job: job.job, epoch };
    let live = job.phase.attempt().map(|live| (live.attempt.epoch, &live.placement));
    let past = job.past.iter().rev().map(|past| (past.epoch, &past.placement));
    let mut all = live.into_iter().chain(past);
    let found = match attempt {
        None => all.next(),
        Some(epoch) => all.find(|(known, _)| *known == epoch),
    };
    match (found, attempt) {
        (Some((epoch, place)), _) => Ok(Source::At(id(epoch), place.center().clone())),
        (None, None) if !matches!(job.phase, Phase::Ended { .. }) => Ok(Source::NotYet),
        (None, None) => {
            let detail = format!("{} never started, so it has no output", job.job);
            Err(Problem::new(Slug::NotFound, detail))
        }
        (None, Some(epoch)) => Err(Problem::not_found(format!("attempt {}", id(epoch)))),
    }
}

async fn read(
    api: &Api,
    (attempt, center): (AttemptId, CenterId),
    wanted: &Wanted,
    offset: u64,
) -> Result<LogPiece, Problem> {
    let max = wanted.max.unwrap_or(USUAL_PIECE).clamp(1, LARGEST_PIECE);
    let stderr = wanted.stream == Some(Stream::Stderr);
    let query = LogQuery { attempt, center, stderr, offset, max };
    let limit = api.settings.request_timeout;
    let piece = tokio::time::timeout(limit, api.gate.call(|reply| Call::Log(query, reply))).await;
    let late = |_| Problem::new(Slug::CenterSilent, "the center did not answer in time");
    piece.map_err(late)??.map_err(|error| match &error {
        LogError::Silent(_) => Problem::new(Slug::CenterSilent, error.to_string()),
        LogError::Gone(_) => Problem::new(Slug::NotFound, error.to_string()),
    })
}

/// Sends the log to `pieces` until it is complete, nobody listens, or it can be had no more.
async fn follow(
    api: &Api,
    who: &Who,
    (job, epoch): (JobId, Option<u32>),
    wanted: Wanted,
    pieces: &mpsc::Sender<Result<Bytes, Infallible>>,
) {
    let mut offset = wanted.offset;
    let mut reading: Option<AttemptId> = None;
    while !pieces.is_closed() {
        let Ok(found) = find(api, who, Action::ReadJobLog, job).await else { return };
        // An attempt once begun is read to its end, even when there is a newer one by then.
        let attempt = reading.map(|attempt| attempt.epoch).or(epoch);
        let Ok(source) = source(&found.job, attempt) else { return };
        if let Source::At(attempt, center) = source {
            match read(api, (attempt, center), &wanted, offset).await {
                Ok(piece) => {
                    offset = piece.next;
                    let is_empty = piece.text.is_empty();
                    if !is_empty {
                        reading = Some(attempt);
                        if pieces.send(Ok(piece.text.into())).await.is_err() {
                            return;
                        }
                    }
                    if piece.complete {
                        return;
                    }
                    if !is_empty {
                        continue;
                    }
                }
                Err(_) if matches!(found.job.phase, Phase::Ended { .. }) => return,
                Err(_) => {}
            }
        }
        tokio::select! {
            () = tokio::time::sleep(ASK_AGAIN) => {}
            () = pieces.closed() => return,
        }
    }
}
