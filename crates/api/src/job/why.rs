//! Why a job is where it is, and what would become of one.

use super::show::stream;
use super::{find, show, submit};
use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::extract::{Id, Query, Raw, must_be_json};
use crate::problem::{Problem, Slug};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use controller::Controller;
use model::job::{Dependency, Job};
use model::{Bytes, CenterId, FlavorId, JobId, Phase, Span, TenantId};
use planner::{
    Basis, Behind, Candidate, Explanation, Fetch, Of, Remedies, Remedy, Risk, Snapshot, Standing,
    Terms, Transfer,
};
use serde::Deserialize;
use sharing::Account;
use std::sync::Arc;
use utoipa::IntoParams;
use wire::view;
use world::{Met, World};

/// Works something out on a snapshot, off the loop and off the runtime's own threads.
pub(crate) async fn on_snapshot<T: Send + 'static>(
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

/// An explanation, and the changes that would help.
struct Answer {
    explanation: Explanation,
    remedies: Remedies,
    at: Option<CenterId>,
}

/// Explains a job, and seeks what would help it. `None` where it is not in line.
fn answer(snapshot: &Snapshot, of: Of<'_>, at: Option<CenterId>) -> Option<Answer> {
    let Snapshot { world, view, situation, policy } = snapshot;
    let explanation = match of {
        Of::Job(job) => planner::explain(world, view, situation, policy, job)?,
        Of::Spec(spec) => planner::trial(world, view, situation, policy, spec),
    };
    let remedies = planner::remedies(world, view, situation, policy, of, at.as_ref())?;
    Some(Answer { explanation, remedies, at })
}

fn plan(answer: &Answer) -> view::Plan {
    let Answer { explanation, .. } = answer;
    let candidates = explanation.candidates.iter().zip(&explanation.terms);
    view::Plan {
        candidates: candidates.map(|(place, terms)| candidate(place, terms)).collect(),
        standings: explanation.standings.iter().map(standing).collect(),
        ahead: explanation.ahead as u64,
        quota: explanation.quota.iter().map(quota_path).collect(),
        changes: changes(answer),
    }
}

fn quota_path((flavor, path): &(FlavorId, Vec<(TenantId, Account)>)) -> view::QuotaPath {
    let step = |(tenant, account): &(TenantId, Account)| view::QuotaStep {
        tenant: tenant.clone(),
        quota: account.subtree_quota,
        used: account.used,
        borrowed: account.borrowed,
    };
    view::QuotaPath { flavor: flavor.clone(), path: path.iter().map(step).collect() }
}

fn changes(answer: &Answer) -> view::Changes {
    let Answer { explanation, remedies, at } = answer;
    let goal = match (remedies.none_needed, at, explanation.candidates.is_empty()) {
        (true, ..) => "none",
        (false, Some(_), _) => "at",
        (false, None, true) => "run",
        (false, None, false) => "start",
    };
    view::Changes {
        goal: goal.to_owned(),
        at: at.clone(),
        found: remedies.found.iter().map(change).collect(),
        complete: remedies.complete,
    }
}

fn change(remedy: &Remedy) -> view::Change {
    let Remedy { change, size, place, at_once } = remedy;
    view::Change {
        field: change.token().to_owned(),
        text: change.to_string(),
        to: change.figure(),
        size_thousandths: *size,
        at_once: *at_once,
        center: place.center.clone(),
        pool: place.pool.clone(),
        start_ms: place.start,
        finish_ms: place.finish,
        price: place.price,
    }
}

fn basis(basis: Basis) -> view::RunBasis {
    let bare = |from: &str| view::RunBasis {
        from: from.to_owned(),
        speed_thousandths: None,
        pace_thousandths: None,
        jobs: None,
        of_limit_thousandths: None,
        confidence_thousandths: None,
        on_this_chip: None,
    };
    match basis {
        Basis::Told { speed_thousandths, pace_thousandths } => view::RunBasis {
            speed_thousandths: Some(speed_thousandths),
            pace_thousandths: Some(pace_thousandths),
            ..bare("told")
        },
        Basis::Limit { speed_thousandths, pace_thousandths } => view::RunBasis {
            speed_thousandths: Some(speed_thousandths),
            pace_thousandths: Some(pace_thousandths),
            ..bare("limit")
        },
        Basis::Learned { jobs, of_limit_thousandths, confidence_thousandths, on_this_chip } => {
            view::RunBasis {
                jobs: Some(jobs),
                of_limit_thousandths: Some(of_limit_thousandths),
                confidence_thousandths: Some(confidence_thousandths),
                on_this_chip: Some(on_this_chip),
                ..bare("learned")
            }
        }
    }
}

fn fetch(fetch: &Fetch) -> view::Fetch {
    view::Fetch {
        dataset: fetch.data.dataset.clone(),
        bytes: fetch.bytes,
        from: fetch.from.clone(),
        beside: fetch.beside.clone(),
        in_store: fetch.recalled.as_ref().map(|(store, _)| store.clone()),
        recalled_ms: fetch.recalled.as_ref().map(|(_, until)| *until),
        arrives_ms: fetch.arrives,
        price: fetch.price,
        is_under_way: fetch.is_under_way,
        slow_links: fetch.slow_links.iter().map(ToString::to_string).collect(),
    }
}

fn behind(behind: Behind) -> view::Behind {
    let by = |by: &str| view::Behind {
        by: by.to_owned(),
        later_ms: None,
        dearer: None,
        carbon_mg: None,
    };
    match behind {
        Behind::Deadline(late) => view::Behind { later_ms: Some(late), ..by("deadline") },
        Behind::Time(later) => view::Behind { later_ms: Some(later), ..by("time") },
        Behind::Price(dearer) => view::Behind { dearer: Some(dearer), ..by("price") },
        Behind::Carbon(more) => view::Behind { carbon_mg: Some(more), ..by("carbon") },
        Behind::UndisclosedPower => by("undisclosed-power"),
        Behind::Nothing => by("nothing"),
    }
}

fn risk(risk: &Risk) -> view::Risk {
    view::Risk {
        told: risk.told,
        held: risk.held,
        attempts: risk.tries.over,
        refused: risk.tries.refused,
        lost: risk.tries.lost,
        overrun_ms: risk.overrun,
    }
}

fn candidate(candidate: &Candidate, terms: &Terms) -> view::Candidate {
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
        carbon_mg: candidate.carbon_mg,
        staged_bytes: staged.sum(),
        wait_ms: terms.wait,
        run_ms: terms.run,
        limit_ms: terms.limit,
        run_from: basis(terms.basis),
        chips_price: terms.chips_price,
        transfers_price: terms.transfers_price,
        fetches: terms.fetches.iter().map(fetch).collect(),
        streams: terms.streams.iter().map(stream).collect(),
        risk: risk(&terms.risk),
        behind: terms.behind.map(behind),
    }
}

/// Where a job is wanted to run.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wish {
    /// Say what would make this center the best.
    #[param(value_type = Option<String>)]
    at: Option<CenterId>,
}

/// For whom, and where a job is wanted to run.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TrialFor {
    /// The tenant, where the token does not say.
    #[param(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// Say what would make this center the best.
    #[param(value_type = Option<String>)]
    at: Option<CenterId>,
}

/// Refuses a center that is not there.
async fn must_exist(api: &Api, at: Option<&CenterId>) -> Result<(), Problem> {
    let Some(center) = at.cloned() else { return Ok(()) };
    let asked = center.clone();
    let known = api.gate.look(move |c| c.world().centers.contains_key(&asked)).await?;
    if known { Ok(()) } else { Err(Problem::not_found(center)) }
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
/// For a waiting job: the planner's own answer, center by center, and the smallest changes that
/// would help. For others, what was decided.
#[utoipa::path(get, path = "/v1/jobs/{job}/why", tag = "jobs",
    params(("job" = String, Path), Wish),
    responses((status = OK, body = view::Why)))]
pub(crate) async fn explain_job(
    State(api): State<Api>,
    who: Who,
    Id(id): Id<JobId>,
    Query(wish): Query<Wish>,
) -> Result<Json<view::Why>, Problem> {
    let found = find(&api, &who, Action::ExplainJob, id).await?;
    must_exist(&api, wish.at.as_ref()).await?;
    let answered = match found.job.phase {
        Phase::Waiting { .. } => {
            on_snapshot(&api, move |s| answer(s, Of::Job(id), wish.at)).await?
        }
        Phase::Held | Phase::Blocked | Phase::Placed(_) | Phase::Ended { .. } => None,
    };
    let blocked = match found.job.phase {
        Phase::Blocked => {
            let job = Arc::clone(&found.job);
            Some(api.gate.look(move |c| blocked(c.world(), &job)).await?)
        }
        _ => None,
    };
    let explanation = answered.as_ref().map(|answer| &answer.explanation);
    // A job that waited a moment ago and has its place by now is told as it is now.
    let found = match (&found.job.phase, explanation) {
        (Phase::Waiting { .. }, None) => find(&api, &who, Action::ExplainJob, id).await?,
        _ => found,
    };
    Ok(Json(view::Why {
        job: id,
        state: found.job.word().to_owned(),
        summary: std::iter::once(blocked.unwrap_or_else(|| summary(&found.job, explanation)))
            .chain(show::made_room(&found.job))
            .chain(
                show::center_says(&found.job, &api.under_way)
                    .map(|why| format!("its center says: {why}")),
            )
            .collect::<Vec<String>>()
            .join("; "),
        plan: answered.as_ref().map(plan),
        tries: show::tries(&found.job),
    }))
}

/// Whom a blocked job waits for.
fn blocked(world: &World, job: &Job) -> String {
    let open = |after: &&Dependency| world.met(job, after) != Met::Yes;
    let name = |after: &Dependency| {
        let tasks = world.tasks(after.job).map(|tasks| format!(", {} tasks to go", tasks.open));
        format!("{} ({}{})", after.job, after.when.word(), tasks.unwrap_or_default())
    };
    let waits: Vec<String> = job.spec.after.iter().filter(open).map(name).collect();
    if !waits.is_empty() {
        return format!("{} waits for {} to end", job.job, waits.join(", "));
    }
    let at_once = job.spec.array.as_ref().and_then(|array| array.at_once).unwrap_or_default();
    format!("{} waits for its turn: {at_once} of {} may run at once", job.job, job.first())
}

fn summary(job: &Job, explanation: Option<&Explanation>) -> String {
    let id = job.job;
    match (&job.phase, explanation) {
        (Phase::Held, _) => format!("{id} is on hold: release it to have it planned"),
        (Phase::Blocked, _) => format!("{id} waits for other jobs to end"),
        (Phase::Waiting { .. }, Some(explanation)) => waiting(job, explanation),
        (Phase::Waiting { not_before }, None) => {
            format!("{id} waits, and is not tried again before {not_before}")
        }
        (Phase::Placed(attempt), _) if job.spec.is_reservation() => {
            let place = &attempt.placement;
            let (word, at) = (job.word(), place.center());
            format!("{id} is {word} in {at}, from {} until {}", place.start, place.until)
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
            let before = match ahead {
                0 => "no job of its tenant comes before it".to_owned(),
                1 => "1 job of its tenant comes before it".to_owned(),
                _ => format!("{ahead} jobs of its tenant come before it"),
            };
            let start = match explanation.terms.first().map(|terms| terms.wait) {
                None | Some(Span::ZERO) => "at once".to_owned(),
                Some(wait) => format!("in {wait}"),
            };
            format!("{id} waits for {}, where it can start {start}; {before}", best.center)
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

/// What would become of a job if it were submitted now
///
/// Nothing is submitted. The body is a job file as JSON.
#[utoipa::path(post, path = "/v1/plan", tag = "jobs", params(TrialFor),
    request_body(content = Value, description = "A job file as JSON"),
    responses((status = OK, body = view::Plan)))]
pub(crate) async fn plan_job(
    State(api): State<Api>,
    who: Who,
    Query(named): Query<TrialFor>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Json<view::Plan>, Problem> {
    let tenant = who.tenant(named.tenant)?;
    who.must(&api, Action::PlanJob, Resource::Tenant(tenant.clone()))?;
    must_be_json(&headers)?;
    let now = api.tokens.now(&api.gate).await?;
    let spec = submit::spec(submit::read_job(&body)?, &tenant, now)?;
    must_exist(&api, named.at.as_ref()).await?;
    let by = who.0.clone();
    let fits = move |c: &Controller| c.as_submitted(&by, Arc::new(spec));
    let spec = api.gate.look(fits).await?.map_err(Problem::from)?;
    let trial = move |s: &Snapshot| answer(s, Of::Spec(&spec), named.at);
    let answered = on_snapshot(&api, trial).await?;
    Ok(Json(plan(&answered.expect("what was not submitted can always be explained"))))
}
