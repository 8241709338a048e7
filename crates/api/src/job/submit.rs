//! Submissions.

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::center::command;
use crate::dataset::For;
use crate::extract::{Query, Raw, must_be_json, read_json};
use crate::problem::{Problem, Slug, spec_error};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use controller::{Answer, Command, Key};
use model::file::job::JobFile;
use model::{Digest, JobSpec, Moment, TenantId};
use serde::Deserialize;
use std::sync::Arc;
use wire::view::{SpecError, Submitted};

/// Under which key a submission may be repeated.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest such key.
const LONGEST_KEY: usize = 255;
/// Bodies above this are read on a thread of their own, lest they hold up other requests.
const LARGE: usize = 128 << 10;

/// Several jobs, all accepted or none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    jobs: Vec<JobFile>,
}

/// Submit a job, or several as one
///
/// The body is a job file as JSON, or `{"jobs": […]}` with several, which are accepted together or
/// not at all. Repeating a submission under the same `Idempotency-Key` within seven days changes
/// nothing and gives the same answer.
#[utoipa::path(post, path = "/v1/jobs", tag = "jobs",
    params(For, ("idempotency-key" = Option<String>, Header)),
    request_body(content = Value, content_type = "application/json",
        description = "A job file as JSON, or `{\"jobs\": […]}`"),
    responses(
        (status = CREATED, description = "Accepted", body = Submitted),
        (status = OK, description = "Had been accepted before", body = Submitted)
    ))]
pub(crate) async fn submit_jobs(
    State(api): State<Api>,
    who: Who,
    Query(named): Query<For>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Response, Problem> {
    let tenant = who.tenant(named.tenant)?;
    who.must(&api, Action::SubmitJobs, Resource::Tenant(tenant.clone()))?;
    must_be_json(&headers)?;
    let key = key(&headers, &tenant, &body)?;
    let now = api.tokens.now(&api.gate).await?;
    let most = api.settings.max_batch;
    let jobs = if body.len() > LARGE {
        let read = move || read(&body, &tenant, now, most);
        tokio::task::spawn_blocking(read).await.map_err(|error| {
            tracing::error!(%error, "reading a submission failed");
            Problem::new(Slug::Broken, "the submission could not be read")
        })??
    } else {
        read(&body, &tenant, now, most)?
    };
    match command(&api, who, Command::Submit { jobs, key }).await? {
        Answer::Submitted { first, count, repeated } => {
            let status = if repeated { StatusCode::OK } else { StatusCode::CREATED };
            let location = HeaderValue::try_from(format!("/v1/jobs/{first}")).expect("plain text");
            let submitted = Json(Submitted { first, count, repeated });
            Ok((status, [(header::LOCATION, location)], submitted).into_response())
        }
        other => unreachable!("a submission was answered by {other:?}"),
    }
}

fn key(headers: &HeaderMap, tenant: &TenantId, body: &[u8]) -> Result<Option<Key>, Problem> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = key.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > LONGEST_KEY {
        let detail = format!("`Idempotency-Key` must be 1 to {LONGEST_KEY} plain characters");
        return Err(Problem::malformed(detail));
    }
    // No tenant's name holds a zero, so no two pairs are one text.
    let named = format!("{tenant}\0{key}");
    Ok(Some(Key { key: Digest::of(named.as_bytes()), content: Digest::of(body) }))
}

fn read(
    body: &[u8],
    tenant: &TenantId,
    now: Moment,
    most: usize,
) -> Result<Vec<Arc<JobSpec>>, Problem> {
    if !is_batch(body) {
        return Ok(vec![Arc::new(spec(read_job(body)?, tenant, now)?)]);
    }
    let Batch { jobs } = read_json(body)?;
    if jobs.is_empty() {
        return Err(Problem::malformed("`jobs` names no job"));
    }
    if jobs.len() > most {
        let detail = format!("{} jobs at once; a batch has at most {most}", jobs.len());
        return Err(Problem::new(Slug::BatchTooLarge, detail));
    }
    let (mut specs, mut wrong) = (Vec::with_capacity(jobs.len()), Vec::<SpecError>::new());
    for (i, job) in jobs.into_iter().enumerate() {
        match job.spec(tenant.clone(), now) {
            Ok(spec) => specs.push(Arc::new(spec)),
            Err(problems) => {
                let below = |problem| spec_error(&format!("jobs[{i}]."), problem);
                wrong.extend(problems.into_iter().map(below));
            }
        }
    }
    if wrong.is_empty() { Ok(specs) } else { Err(Problem::invalid("the batch", wrong)) }
}

/// The job file that `body` is.
pub(crate) fn read_job(body: &[u8]) -> Result<JobFile, Problem> {
    // A list would be read as a job file without its keys.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::malformed(
            "the body is a list; several jobs go into `{\"jobs\": […]}`",
        ));
    }
    read_json(body)
}

/// Whether the body is a batch. A job file has no key `jobs`, a batch no other.
fn is_batch(body: &[u8]) -> bool {
    let inside = body.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    inside.is_some_and(|inside| inside.starts_with(b"\"jobs\""))
}

/// The job that `file` asks for.
pub(crate) fn spec(file: JobFile, tenant: &TenantId, now: Moment) -> Result<JobSpec, Problem> {
    file.spec(tenant.clone(), now).map_err(|problems| {
        let wrong = problems.into_iter().map(|problem| spec_error("", problem));
        Problem::invalid("the job", wrong.collect())
    })
}
