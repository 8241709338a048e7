//! What is booked, and what becomes of it.

use crate::Api;
use crate::access::Who;
use crate::extract::Query;
use crate::job::list::whose;
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use controller::Controller;
use model::job::{Job, JobKind};
use model::{ChipTime, Chips, Moment, PartPlacement, Phase, Placement, TenantId};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;
use wire::view;

/// Whose.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Of this tenant.
    #[param(value_type = Option<String>)]
    tenant: Option<TenantId>,
}

/// Chips that are booked, the next to open first
///
/// Reservations that are not over, and those that were over lately, with what runs in them and how much
/// of them was used.
#[utoipa::path(get, path = "/v1/reservations", tag = "jobs", params(Wanted),
    responses((status = OK, body = view::Reservations)))]
pub(crate) async fn list_reservations(
    State(api): State<Api>,
    who: Who,
    Query(wanted): Query<Wanted>,
) -> Result<Json<view::Reservations>, Problem> {
    let tenant = whose(&api, &who, wanted.tenant)?;
    let look = move |c: &Controller| {
        let is_meant = |job: &&Arc<Job>| {
            // A tenant's are those of whoever it is part of, too: its jobs may run there.
            let mine = |tenant| c.world().is_part_of(tenant, &job.spec.tenant);
            job.spec.is_reservation() && tenant.as_ref().is_none_or(mine)
        };
        let all = c.world().jobs.iter().filter(is_meant);
        all.filter_map(|job| show(c, job)).collect::<Vec<_>>()
    };
    let mut reservations = api.gate.look(look).await?;
    reservations.sort_by_key(|reservation| (reservation.opens_ms, reservation.job));
    Ok(Json(view::Reservations { reservations }))
}

fn show(controller: &Controller, job: &Job) -> Option<view::Reservation> {
    let (world, now) = (controller.world(), controller.now());
    let JobKind::Reservation { lapse_after, .. } = job.spec.kind else { return None };
    let live = job.phase.attempt();
    let placement = match live {
        Some(live) => &live.placement,
        None => &job.past.last()?.placement,
    };
    let part = placement.parts.first()?;
    let jobs: Vec<_> = world.inside(job.job).map(|attempt| attempt.job.to_string()).collect();
    let used = world.used(job.job).unwrap_or_default();
    let running = world.inside(job.job).filter_map(|id| {
        let live = world.live_attempt(id)?;
        Some(chips(&live.placement).over(now.since(live.state.started()?)))
    });
    let opened = live.and_then(|live| live.state.started());
    let lapses = opened.filter(|_| jobs.is_empty()).map(|at| at.max(used.last) + lapse_after);
    let closes_ms = match job.phase {
        Phase::Ended { at, .. } => at.min(placement.until),
        _ => placement.until,
    };
    Some(view::Reservation {
        job: job.job,
        name: job.spec.name.clone(),
        tenant: job.spec.tenant.clone(),
        state: job.word().to_owned(),
        center: part.center.clone(),
        pool: part.pool.clone(),
        nodes: u32::try_from(part.nodes.len()).unwrap_or(u32::MAX),
        chips_milli: chips(placement),
        opens_ms: placement.start,
        closes_ms,
        lapses_ms: lapses.filter(|at: &Moment| *at < placement.until),
        jobs,
        used_ms: running.fold(used.had, ChipTime::saturating_add),
    })
}

fn chips(placement: &Placement) -> Chips {
    let parts = placement.parts.iter().map(PartPlacement::chips);
    parts.fold(Chips::ZERO, Chips::saturating_add)
}
