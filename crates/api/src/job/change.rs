//! Canceling, holding and releasing jobs.

use super::{Found, find, show};
use crate::Api;
use crate::access::{Action, Who};
use crate::center::command;
use crate::extract::Id;
use crate::problem::{Problem, Slug};
use axum::Json;
use axum::extract::State;
use controller::{Answer, Command};
use model::{JobId, Phase};
use wire::view;

async fn change(
    api: &Api,
    who: Who,
    (action, wanted): (Action, Command),
    id: JobId,
) -> Result<Json<view::Job>, Problem> {
    let found = find(api, &who, action, id).await?;
    if let Phase::Ended { end, .. } = &found.job.phase {
        if action == Action::CancelJob {
            return Ok(Json(show::job(&found)));
        }
        return Err(Problem::new(Slug::Conflict, format!("{id} is over: {}", end.word())));
    }
    match command(api, who, wanted).await? {
        Answer::Job(job) => Ok(Json(show::job(&Found { job, chip: found.chip }))),
        other => unreachable!("a change of a job was answered by {other:?}"),
    }
}

/// End a job
///
/// It has ended once nothing of it is alive. Canceling one that is over changes nothing.
#[utoipa::path(post, path = "/v1/jobs/{job}/cancel", tag = "jobs", params(("job" = String, Path)),
    responses((status = OK, body = view::Job)))]
pub(crate) async fn cancel_job(
    State(api): State<Api>,
    who: Who,
    Id(job): Id<JobId>,
) -> Result<Json<view::Job>, Problem> {
    change(&api, who, (Action::CancelJob, Command::Cancel(job)), job).await
}

/// Keep a waiting job from being planned
#[utoipa::path(post, path = "/v1/jobs/{job}/hold", tag = "jobs", params(("job" = String, Path)),
    responses((status = OK, body = view::Job)))]
pub(crate) async fn hold_job(
    State(api): State<Api>,
    who: Who,
    Id(job): Id<JobId>,
) -> Result<Json<view::Job>, Problem> {
    change(&api, who, (Action::HoldJob, Command::Hold(job)), job).await
}

/// Let a held job be planned
#[utoipa::path(post, path = "/v1/jobs/{job}/release", tag = "jobs", params(("job" = String, Path)),
    responses((status = OK, body = view::Job)))]
pub(crate) async fn release_job(
    State(api): State<Api>,
    who: Who,
    Id(job): Id<JobId>,
) -> Result<Json<view::Job>, Problem> {
    change(&api, who, (Action::ReleaseJob, Command::Release(job)), job).await
}
