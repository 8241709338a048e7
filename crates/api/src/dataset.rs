//! Datasets, and the tickets that open stores for them.

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::center::command;
use crate::extract::{Id, Json as Body, Query, read_text};
use crate::gate::{Call, TicketQuery};
use crate::keeping::{self, Trial};
use crate::problem::{Problem, Slug};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use controller::{Command, Copied};
use model::{CenterId, DatasetId, DatasetRef, DatasetVersion, Digest, TenantId};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;
use wire::view;
use world::Dataset;

fn archiving((center, wanted): (&CenterId, &world::Archiving)) -> view::Archiving {
    let (center, store, failed) = (center.clone(), wanted.store.clone(), wanted.failed.clone());
    view::Archiving { center, store, failed }
}

fn show(name: &DatasetId, dataset: &Dataset) -> view::Dataset {
    let version = |version: &world::Version| {
        let registered = &version.registered;
        let whole = version.replicas.iter().map(|(center, r)| (center, Copied::Whole(*r)));
        let others = version.uncounted.iter().map(|(center, u)| (center, Copied::Uncounted(*u)));
        let copy = |(center, state): (&CenterId, Copied)| view::Copy {
            center: center.clone(),
            in_store: version.only_in(center).cloned(),
            also_in: version.also_in(center).cloned(),
            passing: version.passing.contains(center),
            state: keeping::state(state),
        };
        view::DatasetVersion {
            version: registered.data.version,
            bytes: registered.bytes,
            files: registered.files,
            registered_ms: version.at,
            residency: registered.residency.clone(),
            replicas: version.replicas.keys().cloned().collect(),
            copies: whole.chain(others).map(copy).collect(),
            wanted: version.wanted.iter().cloned().collect(),
            archiving: version.archiving.iter().map(archiving).collect(),
            made_by: registered.made_by,
        }
    };
    view::Dataset {
        dataset: name.clone(),
        tenant: dataset.newest().registered.tenant.clone(),
        keeping: keeping::show(&dataset.keeping),
        versions: dataset.versions.iter().map(version).collect(),
    }
}

pub(crate) async fn find(api: &Api, name: &DatasetId) -> Result<Arc<Dataset>, Problem> {
    let wanted = name.clone();
    let dataset = api.gate.look(move |c| c.world().datasets.get(&wanted).cloned()).await?;
    dataset.ok_or_else(|| Problem::not_found(format!("dataset {name}")))
}

pub(crate) fn whose(dataset: &Dataset) -> Resource {
    Resource::Dataset(dataset.newest().registered.tenant.clone())
}

/// All datasets
#[utoipa::path(get, path = "/v1/datasets", tag = "data", responses((status = OK, body = view::Datasets)))]
pub(crate) async fn list_datasets(
    State(api): State<Api>,
    who: Who,
) -> Result<Json<view::Datasets>, Problem> {
    who.must(&api, Action::ListDatasets, Resource::Network)?;
    let datasets = api.gate.look(|c| c.world().datasets.clone()).await?;
    let datasets = datasets.iter().map(|(name, dataset)| show(name, dataset)).collect();
    Ok(Json(view::Datasets { datasets }))
}

/// A dataset with its versions and copies
#[utoipa::path(get, path = "/v1/datasets/{dataset}", tag = "data", params(("dataset" = String, Path)),
    responses((status = OK, body = view::Dataset)))]
pub(crate) async fn get_dataset(
    State(api): State<Api>,
    who: Who,
    Id(name): Id<DatasetId>,
) -> Result<Json<view::Dataset>, Problem> {
    who.must(&api, Action::ListDatasets, Resource::Network)?;
    let dataset = find(&api, &name).await?;
    who.must(&api, Action::GetDataset, whose(&dataset))?;
    Ok(Json(show(&name, &dataset)))
}

/// Remove a dataset with all its versions and copies
#[utoipa::path(delete, path = "/v1/datasets/{dataset}", tag = "data",
    params(("dataset" = String, Path), Trial), responses((status = NO_CONTENT)))]
pub(crate) async fn remove_dataset(
    State(api): State<Api>,
    who: Who,
    Id(name): Id<DatasetId>,
    Query(trial): Query<Trial>,
) -> Result<StatusCode, Problem> {
    who.must(&api, Action::ListDatasets, Resource::Network)?;
    let dataset = find(&api, &name).await?;
    who.must(&api, Action::RemoveDataset, whose(&dataset))?;
    if trial.dry_run {
        api.gate.look(move |c| c.may_remove(&name).map(drop)).await??;
        return Ok(StatusCode::NO_CONTENT);
    }
    command(&api, who, Command::RemoveDataset(name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whom a request is for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct For {
    /// The tenant, where the token does not say.
    #[param(value_type = Option<String>)]
    pub(crate) tenant: Option<TenantId>,
}

/// Announce data that is about to be put into a center's store
///
/// The answer opens that store. The dataset exists for others once its center says it is there.
#[utoipa::path(post, path = "/v1/datasets", tag = "data", params(For),
    request_body = view::Announcement, responses((status = CREATED, body = view::Ticket)))]
pub(crate) async fn announce_dataset(
    State(api): State<Api>,
    who: Who,
    Query(named): Query<For>,
    Body(announced): Body<view::Announcement>,
) -> Result<(StatusCode, Json<view::Ticket>), Problem> {
    let tenant = who.tenant(named.tenant)?;
    who.must(&api, Action::AnnounceDataset, Resource::Tenant(tenant.clone()))?;
    let data = DatasetVersion { dataset: announced.dataset, version: announced.version };
    let center = announced.center;
    let put = Command::PutDataset {
        data: data.clone(),
        bytes: announced.bytes,
        files: announced.files,
        center: center.clone(),
        tenant,
        residency: announced.residency,
    };
    command(&api, who, put).await?;
    let ticket = ticket(&api, TicketQuery { center, data, write: true }).await?;
    Ok((StatusCode::CREATED, Json(ticket)))
}

async fn ticket(api: &Api, query: TicketQuery) -> Result<view::Ticket, Problem> {
    let (center, data) = (query.center.clone(), query.data.clone());
    let ticket = api.gate.call(|reply| Call::Ticket(query, reply)).await??;
    Ok(view::Ticket {
        center,
        dataset: data.dataset,
        version: data.version,
        url: ticket.url,
        ticket: ticket.ticket,
    })
}

/// Which copy is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Copy {
    /// The version; the newest where none is named.
    version: Option<String>,
    /// From whose store; any that is there where none is named.
    #[param(value_type = Option<String>)]
    center: Option<CenterId>,
}

/// A ticket that opens the store of a center with a copy
#[utoipa::path(get, path = "/v1/datasets/{dataset}/ticket", tag = "data",
    params(("dataset" = String, Path), Copy), responses((status = OK, body = view::Ticket)))]
pub(crate) async fn get_dataset_ticket(
    State(api): State<Api>,
    who: Who,
    Id(name): Id<DatasetId>,
    Query(wanted): Query<Copy>,
) -> Result<Json<view::Ticket>, Problem> {
    who.must(&api, Action::ListDatasets, Resource::Network)?;
    let dataset = find(&api, &name).await?;
    who.must(&api, Action::GetDatasetTicket, whose(&dataset))?;
    let version = wanted.version.as_deref().map(read_text::<Digest>).transpose()?;
    let reference = DatasetRef { dataset: name.clone(), version };
    let text = reference.to_string();
    let copies = api.gate.look(move |c| {
        let version = c.world().version(&reference)?;
        let silent = c.situation().silent;
        let there = version.replicas.keys().filter(|center| !silent.contains_key(*center));
        let mut there: Vec<CenterId> = there.cloned().collect();
        // Those that can be reached come first; of the others it is said that they cannot.
        let opens = |center: &CenterId| {
            c.world().centers.get(center).is_some_and(world::CenterState::has_door)
        };
        there.sort_by_key(|center| !opens(center));
        Some((version.registered.data.clone(), there))
    });
    let (data, mut centers) =
        copies.await?.ok_or_else(|| Problem::not_found(format!("dataset {text}")))?;
    if let Some(center) = &wanted.center {
        centers.retain(|c| c == center);
    }
    let Some(center) = centers.into_iter().next() else {
        let where_to = wanted.center.map_or("any center".to_owned(), |c| format!("center {c}"));
        let detail = format!("there is no copy of {data} in {where_to} whose agent is there");
        return Err(Problem::new(Slug::NotFound, detail));
    };
    Ok(Json(ticket(&api, TicketQuery { center, data, write: false }).await?))
}
