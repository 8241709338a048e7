//! Canceling, holding, releasing and requeuing jobs.

use super::{Found, find, show};
use crate::Api;
use crate::access::{Action, Who};
use crate::center::command;
use crate::extract::{Id, Query};
use crate::problem::{Problem, Slug};
use axum::Json;
use axum::extract::State;
use controller::{Answer, Change, Command, Of};
use model::{JobId, Phase};
use serde::Deserialize;
use utoipa::IntoParams;
use wire::view;

/// Which jobs are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// All of the array whose first job this is, and not it alone.
    #[serde(default)]
    array: bool,
}

/// Which jobs are meant, and whether they begin anew at once.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Anew {
    /// All of the array whose first job this is, and not it alone.
    #[serde(default)]
    array: bool,
    /// Not before somebody releases them.
    #[serde(default)]
    hold: bool,
}

async fn change(
    api: &Api,
    who: Who,
    (action, wanted): (Action, Change),
    (id, array): (JobId, bool),
) -> Result<Json<view::Job>, Problem> {
    let found = find(api, &who, action, id).await?;
    if let Phase::Ended { end, .. } = &found.job.phase
        && !(array && found.job.is_first())
    {
        if action == Action::CancelJob {
            return Ok(Json(show::job(&found, &api.under_way)));
        }
        return Err(Problem::new(Slug::Conflict, format!("{id} is over: {}", end.word())));
    }
    let of = if array { Of::Array(id) } else { Of::Job(id) };
    match command(api, who, Command::Change(of, wanted)).await? {
        Answer::Job(job) => {
            let found = Found { job, chip: found.chip };
            Ok(Json(show::job(&found, &api.under_way)))
        }
        other => unreachable!("a change of a job was answered by {other:?}"),
    }
}

/// End a job
///
/// It has ended once nothing of it is alive. Canceling one that is over changes nothing.
#[utoipa::path(post, path = "/v1/jobs/{job}/cancel", tag = "jobs",
    params(("job" = String, Path), Which), responses((status = OK, body = view::Job)))]
pub(crate) async fn cancel_job(
    State(api): State<Api>,
    who: Who,
    Id(job): Id<JobId>,
    Query(which): Query<Which>,
) -> Result<Json<view::Job>, Problem> {
    change(&api, who, (Action::CancelJob, Change::Cancel), (job, which.array)).await
}

/// Keep a waiting job from being planned
#[utoipa::path(post, path = "/v1/jobs/{job}/hold", tag = "jobs",
    params(("job" = String, Path), Which), responses((status = OK, body = view::Job)))]
pub(crate) async fn hold_job(
    State(api): State<Api>,
    who: Who,
    Id(job): Id<JobId>,
    Query(which): Query<Which>,
) -> Result<Json<view::Job>, Problem> {
    change(&api, who, (Action::HoldJob, Change::Hold), (job, which.array)).await
}

/// Let a held job be planned
#[utoipa::path(post, path = "/v1/jobs/{job}/release", tag = "jobs",
    params(("job" = String, Path), Which), responses((status = OK, body = view::Job)))]
pub(crate) async fn release_job(
    State(api): State<Api>,
    who: Who,
    Id(job): Id<JobId>,
    Query(which): Query<Which>,
) -> Result<Json<view::Job>, Problem> {
    change(&api, who, (Action::ReleaseJob, Change::Release), (job, which.array)).await
}

/// Have a job begin anew
///
/// What runs of it is stopped as it would be to cancel it, and it waits for a place again. Its checkpoints
/// are kept.
#[utoipa::path(post, path = "/v1/jobs/{job}/requeue", tag = "jobs",
    params(("job" = String, Path), Anew), responses((status = OK, body = view::Job)))]
pub(crate) async fn requeue_job(
    State(api): State<Api>,
    who: Who,
    Id(job): Id<JobId>,
    Query(anew): Query<Anew>,
) -> Result<Json<view::Job>, Problem> {
    let change_to = Change::Requeue { hold: anew.hold };
    change(&api, who, (Action::RequeueJob, change_to), (job, anew.array)).await
}
