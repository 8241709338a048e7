//! Why a job is where it is, and what would become of one.

use super::{find, show, submit};
use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::dataset::For;
use crate::extract::{Id, Query, Raw, must_be_json};
use crate::problem::{Problem, Slug};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use model::job::Job;
use model::{Bytes, JobId, Moment, Phase};
use planner::{Candidate, Explanation, Snapshot, Standing, Transfer};
use wire::view;

/// Works something out on a snapshot, off the loop and off the runtime's own threads.
async fn on_snapshot<T: Send + 'static>(
    api: &Api,
    work: impl FnOnce(&Snapshot) -> T + Send + 'static,
) -> Result<T, Problem> {
    let _turn = api.planning_turn().await;
    let snapshot = api.gate.look(|c| Snapshot {
        world: c.world().to_plan(),
        view: c.board().view().clone(),
        situation: c.situation(),
        policy: c.policy().clone(),
    });
    let snapshot = snapshot.await?;
    tokio::task::spawn_blocking(move || work(&snapshot)).await.map_err(|error| {
        tracing::error!(%error, "planning failed");
        Problem::new(Slug::Broken, "the planner made a mistake; the server's log says more")
    })
}

fn plan(explanation: &Explanation) -> view::Plan {
    view::Plan {
        candidates: explanation.candidates.iter().map(candidate).collect(),
        standings: explanation.standings.iter().map(standing).collect(),
        ahead: explanation.ahead as u64,
    }
}

fn candidate(candidate: &Candidate) -> view::Candidate {
    let staged = candidate.transfers.iter().map(|transfer| match transfer {
        Transfer::New(staging) => staging.bytes,
        Transfer::Under(_) => Bytes::ZERO,
    });
    view::Candidate {
        center: candidate.center.clone(),
        pool: candidate.pool.clone(),
        variant: candidate.variant,
        data_ready_ms: candidate.data_ready,
        start_ms: candidate.start,
        finish_ms: candidate.finish,
        until_ms: candidate.until,
        price: candidate.price,
        energy_mwh: candidate.energy_mwh,
        staged_bytes: staged.sum(),
    }
}

fn standing(standing: &Standing) -> view::Standing {
    view::Standing {
        center: standing.center.clone(),
        reason: standing.refusal.token().to_owned(),
        text: standing.refusal.to_string(),
        may_pass: standing.refusal.may_pass(),
    }
}

/// Why a job is where it is
///
/// For a waiting job: the planner's own answer, center by center. For others, what was decided.
#[utoipa::path(get, path = "/v1/jobs/{job}/why", tag = "jobs", params(("job" = String, Path)),
    responses((status = OK, body = view::Why)))]
pub(crate) async fn explain_job(
    State(api): State<Api>,
    who: Who,
    Id(id): Id<JobId>,
) -> Result<Json<view::Why>, Problem> {
    let found = find(&api, &who, Action::ExplainJob, id).await?;
    let explanation = match found.job.phase {
        Phase::Waiting { .. } => {
            let explain = move |s: &Snapshot| {
                planner::explain(&s.world, &s.view, &s.situation, &s.policy, id)
            };
            on_snapshot(&api, explain).await?
        }
        Phase::Held | Phase::Placed(_) | Phase::Ended { .. } => None,
    };
    // A job that waited a moment ago and has its place by now is told as it is now.
    let found = match (&found.job.phase, &explanation) {
        (Phase::Waiting { .. }, None) => find(&api, &who, Action::ExplainJob, id).await?,
        _ => found,
    };
    Ok(Json(view::Why {
        job: id,
        state: found.job.phase.word().to_owned(),
        summary: summary(&found.job, explanation.as_ref()),
        plan: explanation.as_ref().map(plan),
        tries: show::tries(&found.job),
    }))
}

fn summary(job: &Job, explanation: Option<&Explanation>) -> String {
    let id = job.job;
    match (&job.phase, explanation) {
        (Phase::Held, _) => format!("{id} is on hold: release it to have it planned"),
        (Phase::Waiting { .. }, Some(explanation)) => waiting(job, explanation),
        (Phase::Waiting { not_before }, None) => {
            format!("{id} waits, and is not tried again before {not_before}")
        }
        (Phase::Placed(attempt), _) => {
            let place = &attempt.placement;
            format!(
                "{id} is {} in {}, chosen for a start at {}, a finish at {} and a price of {}",
                attempt.state.word(),
                place.center(),
                place.start,
                place.finish,
                place.price
            )
        }
        (Phase::Ended { end, at }, _) => match show::outcome(job) {
            Some(outcome) => format!("{id} is over: {} at {at} ({outcome})", end.word()),
            None => format!("{id} is over: {} at {at}", end.word()),
        },
    }
}

fn waiting(job: &Job, explanation: &Explanation) -> String {
    let (id, ahead) = (job.job, explanation.ahead);
    match explanation.candidates.first() {
        Some(best) => {
            let start = in_line(best.start);
            format!("{id} waits for {}, {start}; {ahead} jobs come before it", best.center)
        }
        None => {
            let nearest = explanation.standings.iter().max_by_key(|s| s.refusal.nearness());
            let nearest = nearest.map_or("there is no center".to_owned(), |standing| {
                format!("nearest is {}: {}", standing.center, standing.refusal)
            });
            let hope = if explanation.standings.iter().any(|s| s.refusal.may_pass()) {
                "can run nowhere at present"
            } else {
                "can run nowhere as the network is"
            };
            format!("{id} {hope}; {nearest}")
        }
    }
}

fn in_line(start: Moment) -> String {
    format!("where it can start at {start}")
}

/// What would become of a job if it were submitted now
///
/// Nothing is submitted. The body is a job file as JSON.
#[utoipa::path(post, path = "/v1/plan", tag = "jobs", params(For),
    request_body(content = Value, description = "A job file as JSON"),
    responses((status = OK, body = view::Plan)))]
pub(crate) async fn plan_job(
    State(api): State<Api>,
    who: Who,
    Query(named): Query<For>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Json<view::Plan>, Problem> {
    let tenant = who.tenant(named.tenant)?;
    who.must(&api, Action::PlanJob, Resource::Tenant(tenant.clone()))?;
    must_be_json(&headers)?;
    let now = api.tokens.now(&api.gate).await?;
    let spec = submit::spec(submit::read_job(&body)?, &tenant, now)?;
    let trial =
        move |s: &Snapshot| planner::trial(&s.world, &s.view, &s.situation, &s.policy, &spec);
    Ok(Json(plan(&on_snapshot(&api, trial).await?)))
}
