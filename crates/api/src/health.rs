//! Whether it works, how much of what there is, and what it can do.

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::center::Held;
use crate::metrics::{CenterFigures, State as Figures};
use crate::problem::{Problem, Slug};
use axum::extract::FromRequestParts;
use axum::extract::State;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use controller::Controller;
use std::sync::LazyLock;
use std::time::Duration;

/// How long the loop may take to answer before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the loop answers
#[utoipa::path(get, path = "/healthz", tag = "service", security(()), responses((status = OK, body = String)))]
pub(crate) async fn healthz(State(api): State<Api>) -> Result<&'static str, Problem> {
    let answer = tokio::time::timeout(PATIENCE, api.gate.look(|_| ())).await;
    let stuck = |_| Problem::new(Slug::TimedOut, "the loop does not answer");
    answer.map_err(stuck)??;
    Ok("ok\n")
}

/// Whether it takes work
#[utoipa::path(get, path = "/readyz", tag = "service", security(()), responses((status = OK, body = String)))]
pub(crate) async fn readyz(State(api): State<Api>) -> Result<&'static str, Problem> {
    if api.settings.shutdown.is_cancelled() {
        return Err(crate::gate::Stopping.into());
    }
    healthz(State(api)).await
}

/// The OpenAPI document
#[utoipa::path(get, path = "/v1/openapi.json", tag = "service", security(()),
    responses((status = OK, body = Value)))]
pub(crate) async fn openapi_json() -> Response {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| crate::openapi().to_json().expect("the document has only text keys"));
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

/// Somebody who may read metrics.
pub(crate) struct Reader;

impl FromRequestParts<Api> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        if !api.settings.metrics_open {
            let who = Who::from_request_parts(parts, api).await?;
            who.must(api, Action::ReadMetrics, Resource::Network)?;
        }
        Ok(Self)
    }
}

/// Metrics in OpenMetrics text
#[utoipa::path(get, path = "/metrics", tag = "service", responses((status = OK, body = String)))]
pub(crate) async fn read_metrics(
    State(api): State<Api>,
    _reader: Reader,
) -> Result<Response, Problem> {
    let figures = api.gate.look(figures).await?;
    let text = api.settings.metrics.text(&figures);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

fn figures(controller: &Controller) -> Figures {
    let world = controller.world();
    let mut figures = Figures {
        facts: world.number,
        ended: world.ended.clone(),
        promises: world.promises.clone(),
        ..Figures::default()
    };
    let waiting = world.waiting_len() as u64;
    let mut placed = 0;
    for (_, attempt) in world.all_live() {
        if let Some(job) = world.job(attempt.job) {
            *figures.jobs.entry(job.word()).or_default() += 1;
            placed += 1;
        }
    }
    let held =
        (world.jobs.len() as u64).saturating_sub(world.ended_len() as u64 + waiting + placed);
    figures.jobs.insert("waiting", waiting);
    figures.jobs.insert("held", held);
    let loans = world.loans(controller.now(), |_, _| true).into_iter();
    let loans = loans.map(|((lender, to), loan)| ((lender.to_string(), to), loan.now.0));
    figures.lent = loans.collect();
    let silent = controller.situation().silent;
    figures.centers.extend(world.centers.iter().map(|(id, state)| CenterFigures {
        center: id.to_string(),
        silent: silent.contains_key(id),
        chips_milli: state.center.pools.iter().map(|pool| pool.chips().0).sum(),
        held_milli: Held::of(controller, id).chips().0,
    }));
    figures
}
