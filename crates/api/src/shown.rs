//! What centers show of themselves: checks of their engines, and benchmarks of their pools.

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::center::command;
use crate::extract::{Id, Json as Body, Query};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use controller::Command;
use model::fact::{CenterChecked, CommandSaid, PoolMeasured, PoolShown};
use model::{CenterId, Figure, Pool, PoolId, TokenId};
use planner::Refusal;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;
use wire::view;
use world::{CenterState, NotReady, World};

/// The most that is kept of a vendor's output.
const KEPT: usize = 16 << 10;
/// The most commands of one report.
const MOST_COMMANDS: usize = 8;
/// The most figures of one report, and repeats of one.
const MOST_FIGURES: usize = 64;

/// Hand in a check of a center's engine
///
/// The body is what `portolan center check --json` prints. For the center itself or an operator. A center
/// that shows less than it was declared with is planned with as it is shown; where the network asks for
/// more requirements than it meets, it is given no work.
#[utoipa::path(post, path = "/v1/centers/{center}/checks", tag = "network",
    params(("center" = String, Path)), request_body = view::CheckReport,
    responses((status = NO_CONTENT)))]
pub(crate) async fn show_check(
    State(api): State<Api>,
    who: Who,
    Id(center): Id<CenterId>,
    Body(report): Body<view::CheckReport>,
) -> Result<StatusCode, Problem> {
    who.must(&api, Action::ShowCheck, Resource::Center(center.clone()))?;
    let broken = |found: view::Requirement| match found.verdict.as_str() {
        "broken" => Some((found.requirement, found.why.unwrap_or_default())),
        _ => None,
    };
    let pool = |seen: view::PoolSeen| PoolShown {
        pool: seen.pool,
        nodes: seen.nodes,
        chips_per_node: seen.chips_per_node,
        cores: seen.cores_milli,
        memory: seen.memory_bytes,
    };
    let checked = CenterChecked {
        center,
        taken: report.taken_ms,
        engine: report.engine,
        version: report.version,
        enforcement: report.enforcement,
        met: report.met,
        asked: report.asked,
        broken: report.findings.into_iter().filter_map(broken).collect(),
        pools: report.pools.into_iter().map(pool).collect(),
        by: TokenId::new(0),
    };
    command(&api, who, Command::ShowCheck(Box::new(checked))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Of which pool.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfPool {
    /// The pool whose nodes are like the host that was measured.
    #[param(value_type = String)]
    pool: PoolId,
}

/// Hand in a benchmark of a center's pool
///
/// The body is what `portolan center bench --out FILE` writes. For the center itself or an operator. What a
/// vendor's command said of the pool's chip in bf16, or else in fp16, is its verified speed from now on;
/// where none did, it has none.
#[utoipa::path(post, path = "/v1/centers/{center}/benches", tag = "network",
    params(("center" = String, Path), OfPool), request_body = view::BenchReport,
    responses((status = NO_CONTENT)))]
pub(crate) async fn show_bench(
    State(api): State<Api>,
    who: Who,
    Id(center): Id<CenterId>,
    Query(OfPool { pool }): Query<OfPool>,
    Body(report): Body<view::BenchReport>,
) -> Result<StatusCode, Problem> {
    who.must(&api, Action::ShowBench, Resource::Center(center.clone()))?;
    let is_long = |figure: &Figure| figure.samples.len() > MOST_FIGURES;
    let read = report.commands.iter().filter_map(|run| run.figure.as_ref());
    if report.commands.len() > MOST_COMMANDS
        || report.figures.len() > MOST_FIGURES
        || report.figures.iter().chain(read).any(is_long)
    {
        let detail = format!(
            "a report has at most {MOST_COMMANDS} commands and {MOST_FIGURES} figures, and each figure as \
             many repeats"
        );
        return Err(Problem::malformed(detail));
    }
    let said = |run: view::CommandRun| CommandSaid {
        command: run.command,
        chip: run.chip,
        precision: run.precision,
        figure: run.figure,
        output: run.output[..run.output.floor_char_boundary(KEPT)].to_owned(),
        output_bytes: run.output_bytes,
        output_digest: run.output_digest,
    };
    let measured = PoolMeasured {
        center,
        pool,
        chip: None,
        verified: None,
        taken: report.taken_ms,
        host: format!("{}, {} cores of {}", report.host.name, report.host.cores, report.host.cpu),
        figures: report.figures,
        commands: report.commands.into_iter().map(said).collect(),
        by: TokenId::new(0),
    };
    command(&api, who, Command::ShowBench(Box::new(measured))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How far a center is ready for work, where anybody asks or it has shown anything.
pub(crate) fn readiness(world: &World, state: &CenterState) -> Option<view::Readiness> {
    let admission = world.admission.as_ref();
    let checked = state.checked.as_ref();
    if admission.is_none() && checked.is_none() {
        return None;
    }
    let not = state.unready(admission);
    let refusal = not.map(|NotReady { shows, asks }| Refusal::NotReady { shows, asks });
    Some(view::Readiness {
        not_admitted: refusal.map(|refusal| refusal.to_string()),
        asks: admission.map(|admission| admission.readiness.to_string()),
        check: checked.map(check),
    })
}

fn check(checked: &Arc<CenterChecked>) -> view::Check {
    let broken = |(requirement, why): &(String, String)| view::Requirement {
        requirement: requirement.clone(),
        verdict: "broken".to_owned(),
        why: Some(why.clone()),
    };
    view::Check {
        taken_ms: checked.taken,
        version: checked.version.clone(),
        met: checked.met,
        asked: checked.asked,
        broken: checked.broken.iter().map(broken).collect(),
    }
}

/// What a pool was declared with, where it is planned with as less.
pub(crate) fn declared(state: &CenterState, pool: &Pool) -> Option<view::DeclaredSize> {
    let declared = state.declared().pool(&pool.pool)?;
    let size = |pool: &Pool| (pool.nodes, pool.chips_per_node, pool.cores, pool.memory);
    (size(declared) != size(pool)).then_some(view::DeclaredSize {
        nodes: declared.nodes,
        chips_per_node: declared.chips_per_node,
        cores_milli: declared.cores,
        memory_bytes: declared.memory,
    })
}

/// How fast a pool's chips are, where anybody says; with all that commands said, where it is to be.
pub(crate) fn capability(
    state: &CenterState,
    pool: &Pool,
    in_full: bool,
) -> Option<view::Capability> {
    let measured = state.measured.get(&pool.pool);
    let (declared, verified) = (pool.capability.declared, pool.capability.verified);
    if declared.is_none() && verified.is_none() && measured.is_none() {
        return None;
    }
    let said = |said: &CommandSaid| view::CommandSaid {
        command: said.command.clone(),
        precision: said.precision.clone(),
        figure: said.figure.clone(),
        output: in_full.then(|| said.output.clone()),
        output_bytes: said.output_bytes,
        output_digest: said.output_digest,
    };
    let measured = measured.map(|measured| view::Measured {
        taken_ms: measured.taken,
        host: measured.host.clone(),
        figures: measured.figures.clone(),
        commands: measured.commands.iter().map(said).collect(),
    });
    Some(view::Capability { declared, verified, measured })
}
