//! What the last plan for everybody came to.

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use controller::LastPlan;
use planner::Gap;
use wire::view;

/// The last plan for the whole queue, and how far it is from what no plan could better
#[utoipa::path(get, path = "/v1/plans/last", tag = "network", responses((status = OK, body = view::PlanReport)))]
pub(crate) async fn read_plan(
    State(api): State<Api>,
    who: Who,
) -> Result<Json<view::PlanReport>, Problem> {
    who.must(&api, Action::ReadPlan, Resource::Network)?;
    let last = api.gate.look(controller::Controller::last_plan).await?;
    Ok(Json(view::PlanReport {
        plan: last.map(shown),
        gap: last.and_then(|last| last.gap).map(gap),
    }))
}

fn shown(last: LastPlan) -> view::LastPlan {
    view::LastPlan {
        at_ms: last.at,
        considered: last.considered as u64,
        left: last.left as u64,
        given: last.given as u64,
        told: last.told as u64,
    }
}

fn gap(gap: Gap) -> view::PlanGap {
    view::PlanGap {
        jobs: gap.jobs as u64,
        value_ms: gap.value,
        bound_ms: gap.bound,
        gap_thousandths: gap.thousandths(),
        by: gap.by.to_string(),
    }
}
