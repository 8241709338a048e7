//! Centers.

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::extract::Id;
use crate::problem::Problem;
use crate::shown;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use controller::{Answer, Command, Controller};
use model::{Center, CenterId, Chips, Cores, Moment, Pool, PoolId};
use std::collections::BTreeMap;
use wire::view;
use world::World;

/// What attempts that are not over hold of a center's pools.
#[derive(Debug, Default)]
pub(crate) struct Held {
    attempts: u64,
    pools: BTreeMap<PoolId, (Chips, Cores)>,
    /// Chips of those whose tenants are not at home here.
    guests: BTreeMap<PoolId, Chips>,
}

impl Held {
    /// What is held in `center` now.
    pub(crate) fn of(controller: &Controller, center: &CenterId) -> Self {
        let world = controller.world();
        let mut held = Self::default();
        for id in world.live(center) {
            let (Some(job), Some(attempt)) = (world.job(id.job), world.live_attempt(id)) else {
                continue;
            };
            // A reservation has its chips while its window is open, and what runs in it none besides.
            let is_reservation = job.spec.is_reservation();
            held.attempts += u64::from(!is_reservation);
            let is_to_open = is_reservation && attempt.state.started().is_none();
            if is_to_open || attempt.placement.inside.is_some() {
                continue;
            }
            let is_guest = !world.is_at_home(&job.spec.tenant, center);
            for part in attempt.placement.parts.iter().filter(|p| p.center == *center) {
                let (chips, cores) = held.pools.entry(part.pool.clone()).or_default();
                for slots in &part.nodes {
                    let taken = slots.share.times(slots.chips.len() as u64);
                    *chips = chips.saturating_add(taken);
                    *cores = cores.saturating_add(slots.cores);
                }
                if is_guest {
                    let guests = held.guests.entry(part.pool.clone()).or_default();
                    *guests = guests.saturating_add(part.chips());
                }
            }
        }
        held
    }

    /// Chips of all pools.
    pub(crate) fn chips(&self) -> Chips {
        self.pools.values().fold(Chips::ZERO, |sum, (chips, _)| sum.saturating_add(*chips))
    }
}

/// How a pool is lent, and what is of it.
fn lending(world: &World, center: &Center, pool: &Pool, held: &Held) -> view::Lending {
    let lending = center.lending(pool);
    let recalled = world.recall_of(&center.center, &pool.pool).map(|recalled| view::TakenBack {
        chips_milli: recalled.chips,
        by_ms: recalled.in_time,
        until_ms: Some(recalled.until).filter(|until| *until < Moment::MAX),
    });
    view::Lending {
        percent: lending.percent,
        to: (!lending.to.are_all()).then(|| lending.to.to_string()),
        windows: lending.windows.iter().map(ToString::to_string).collect(),
        notice_ms: lending.notice,
        guests_milli: held.guests.get(&pool.pool).copied().unwrap_or_default(),
        recalled,
    }
}

/// How much of a center is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    /// All that is known.
    All,
    /// What fits beside others.
    Most,
}

fn show(
    c: &Controller,
    state: &world::CenterState,
    held: &Held,
    (silent_since, how): (Option<Moment>, Show),
) -> view::Center {
    let (world, center) = (c.world(), &state.center);
    let site = center.site();
    let pool = |pool: &Pool| {
        let (chips, cores) = held.pools.get(&pool.pool).copied().unwrap_or_default();
        view::Pool {
            pool: pool.pool.clone(),
            chip: pool.chip.clone(),
            nodes: pool.nodes,
            nodes_closed: state.closed(pool),
            chips_per_node: pool.chips_per_node,
            cores_milli: pool.cores,
            memory_bytes: pool.memory,
            chips_milli: pool.chips(),
            chips_held_milli: chips,
            cores_held_milli: cores,
            price_per_hour: pool.price_per_hour,
            indicative_price_ms: c.board().view().indicative_price(&center.center, &pool.pool),
            lending: Some(lending(world, center, pool, held)),
            declared: shown::declared(state, pool),
            capability: shown::capability(state, pool, how == Show::All),
        }
    };
    let agent = state.agent.as_ref().map(|agent| view::Agent {
        version: agent.version.clone(),
        engine: agent.engine,
        engine_version: agent.engine_version.clone(),
        enforcement: agent.enforcement.clone(),
        data_url: agent.data_url.clone(),
        probe_address: agent.probe_address.clone(),
    });
    view::Center {
        center: center.center.clone(),
        owner: center.owner.clone(),
        region: site.map(|s| s.region.clone()),
        latitude_micro: site.map_or(0, |s| s.latitude_micro),
        longitude_micro: site.map_or(0, |s| s.longitude_micro),
        time_zone: site.map(|s| s.time_zone.clone()).unwrap_or_default(),
        engine: center.engine,
        silent_since_ms: silent_since.filter(|_| agent.is_some()),
        agent,
        pools: center.pools.iter().map(pool).collect(),
        attempts: held.attempts,
        store_bytes: center.store,
        relay_bytes: center.relay,
        pue_thousandths: center.pue_thousandths,
        carbon_grams_per_kwh: center.carbon.grams().to_vec(),
        lend_percent: center.lend_percent,
        only_tenants: center.only_tenants.clone(),
        readiness: shown::readiness(world, state),
    }
}

/// All centers with their pools' use
#[utoipa::path(get, path = "/v1/centers", tag = "network", responses((status = OK, body = view::Centers)))]
pub(crate) async fn list_centers(
    State(api): State<Api>,
    who: Who,
) -> Result<Json<view::Centers>, Problem> {
    who.must(&api, Action::ListCenters, Resource::Network)?;
    let centers = api.gate.look(|c| {
        let silent = c.situation().silent;
        let one =
            |(id, state)| show(c, state, &Held::of(c, id), (silent.get(id).copied(), Show::Most));
        c.world().centers.iter().map(one).collect()
    });
    Ok(Json(view::Centers { centers: centers.await? }))
}

/// A center
#[utoipa::path(get, path = "/v1/centers/{center}", tag = "network", params(("center" = String, Path)),
    responses((status = OK, body = view::Center)))]
pub(crate) async fn get_center(
    State(api): State<Api>,
    who: Who,
    Id(center): Id<CenterId>,
) -> Result<Json<view::Center>, Problem> {
    who.must(&api, Action::GetCenter, Resource::Network)?;
    let name = center.clone();
    let shown = api.gate.look(move |c| {
        let state = c.world().centers.get(&center)?;
        let silent = c.situation().silent.get(&center).copied();
        Some(show(c, state, &Held::of(c, &center), (silent, Show::All)))
    });
    shown.await?.map(Json).ok_or_else(|| Problem::not_found(format!("center {name}")))
}

/// Say that nothing runs in a center any more
///
/// Its attempts are taken to be over, and jobs that hold are placed again. Only for a center whose
/// machines are known to be off or wiped: it may start a job a second time.
#[utoipa::path(post, path = "/v1/centers/{center}/lost", tag = "network", params(("center" = String, Path)),
    responses((status = NO_CONTENT)))]
pub(crate) async fn declare_center_lost(
    State(api): State<Api>,
    who: Who,
    Id(center): Id<CenterId>,
) -> Result<StatusCode, Problem> {
    who.must(&api, Action::DeclareCenterLost, Resource::Network)?;
    command(&api, who, Command::DeclareLost(center)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Has the loop do something for `who`; a rejection is a problem.
pub(crate) async fn command(api: &Api, who: Who, command: Command) -> Result<Answer, Problem> {
    let answer = api.gate.call(|reply| crate::gate::Call::Command(who.0, command, reply)).await?;
    match answer {
        Answer::Rejected(rejected) => Err(rejected.into()),
        done => Ok(done),
    }
}
