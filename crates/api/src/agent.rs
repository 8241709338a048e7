//! The agents' door. The center is the token's; nothing in a message can name another.

use crate::Api;
use crate::access::{Action, Who};
use crate::extract::Json as Body;
use crate::gate::{Call, Stopping};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

/// Introduce a center's agent
#[utoipa::path(post, path = "/v1/agent/join", tag = "agents", request_body = Value,
    responses((status = OK, body = Value)))]
pub(crate) async fn join_agent(
    State(api): State<Api>,
    who: Who,
    Body(join): Body<wire::Join>,
) -> Result<Json<wire::Joined>, Problem> {
    let center = who.center(&api, Action::JoinAgent)?;
    let joined = api.gate.call(|reply| Call::Join(center, Box::new(join), reply)).await??;
    Ok(Json(joined))
}

/// Ask for orders
///
/// Answered when there are some, or when the wait asked for is over.
#[utoipa::path(post, path = "/v1/agent/poll", tag = "agents", request_body = Value,
    responses((status = OK, body = Value)))]
pub(crate) async fn poll_agent(
    State(api): State<Api>,
    who: Who,
    Body(poll): Body<wire::Poll>,
) -> Result<Json<wire::Orders>, Problem> {
    let center = who.center(&api, Action::PollAgent)?;
    let orders = api.gate.call(|reply| Call::Poll(center, poll, reply));
    let orders = tokio::select! {
        orders = orders => orders?,
        () = api.settings.shutdown.cancelled() => return Err(Stopping.into()),
    };
    Ok(Json(orders?))
}

/// Report what is at a center
#[utoipa::path(post, path = "/v1/agent/reports", tag = "agents", request_body = Value,
    responses((status = OK, body = Value)))]
pub(crate) async fn report_agent(
    State(api): State<Api>,
    who: Who,
    Body(reports): Body<wire::Reports>,
) -> Result<Json<wire::Acknowledged>, Problem> {
    let center = who.center(&api, Action::ReportAgent)?;
    let head = api.gate.call(|reply| Call::Reports(center, reports, reply)).await??;
    Ok(Json(wire::Acknowledged { head }))
}

/// Tell how far the copies are that come to a center
#[utoipa::path(post, path = "/v1/agent/under-way", tag = "agents", request_body = Value,
    responses((status = NO_CONTENT)))]
pub(crate) async fn tell_under_way(
    State(api): State<Api>,
    who: Who,
    Body(told): Body<wire::UnderWay>,
) -> Result<StatusCode, Problem> {
    let center = who.center(&api, Action::TellUnderWay)?;
    api.under_way.tell(center, told);
    Ok(StatusCode::NO_CONTENT)
}

/// Answer what a center's agent was asked
#[utoipa::path(post, path = "/v1/agent/answers", tag = "agents", request_body = Value,
    responses((status = NO_CONTENT)))]
pub(crate) async fn answer_agent(
    State(api): State<Api>,
    who: Who,
    Body(answers): Body<Vec<wire::Answer>>,
) -> Result<StatusCode, Problem> {
    let center = who.center(&api, Action::AnswerAgent)?;
    api.gate.tell(Call::Answered(center, answers)).await?;
    Ok(StatusCode::NO_CONTENT)
}
