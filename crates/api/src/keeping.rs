//! What is to be kept of datasets, their copies, and the stores they are in.

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::center::command;
use crate::dataset::{find, whose};
use crate::extract::{Id, Json as Body, Query, read_text};
use crate::problem::{Problem, Slug};
use crate::transfer;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use controller::{Answer, ArchivePlan, Command, Controller, Copied, StoreUse};
use model::{Bytes, CenterId, DatasetId, DatasetRef, Digest, Expiry, Keeping, Leave, Moment};
use serde::Deserialize;
use utoipa::IntoParams;
use wire::view;
use world::{Uncounted, World};

/// Whether something is only tried.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Trial {
    /// Say what would come of it, and do nothing.
    #[serde(default)]
    pub(crate) dry_run: bool,
}

pub(crate) fn show(keeping: &Keeping) -> view::Keeping {
    let (at, after) = match keeping.expires {
        Some(Expiry::At(at)) => (Some(at), None),
        Some(Expiry::After(after)) => (None, Some(after)),
        None => (None, None),
    };
    view::Keeping {
        copies: keeping.copies,
        versions: keeping.versions,
        expires_at_ms: at,
        expires_after_ms: after,
        pinned: keeping.pinned.iter().cloned().collect(),
    }
}

fn read(wanted: view::Keeping) -> Result<Keeping, Problem> {
    let expires = match (wanted.expires_at_ms, wanted.expires_after_ms) {
        (Some(_), Some(_)) => {
            let detail = "`expires_at_ms` and `expires_after_ms` exclude each other; leave one out";
            return Err(Problem::new(Slug::Invalid, detail));
        }
        (Some(at), None) => Some(Expiry::At(at)),
        (None, Some(after)) => Some(Expiry::After(after)),
        (None, None) => None,
    };
    let pinned = wanted.pinned.into_iter().collect();
    Ok(Keeping { copies: wanted.copies, versions: wanted.versions, expires, pinned })
}

pub(crate) fn state(copy: Copied) -> view::CopyState {
    match copy {
        Copied::Whole(replica) => view::CopyState::Whole {
            verified_ms: replica.verified,
            needed_ms: replica.needed,
            to_be_read: replica.is_to_be_read,
        },
        Copied::Uncounted(Uncounted::Doubted) => view::CopyState::Doubted,
        Copied::Uncounted(Uncounted::Damaged { chunks }) => view::CopyState::Damaged { chunks },
        Copied::Uncounted(Uncounted::Leaving(why)) => leaving(why),
    }
}

fn leaving(why: Leave) -> view::CopyState {
    view::CopyState::Leaving { why: why.to_string() }
}

/// Say what is to be kept of a dataset
///
/// The rules replace those before. The answer says which copies will be made and which versions go.
#[utoipa::path(put, path = "/v1/datasets/{dataset}/keeping", tag = "data",
    params(("dataset" = String, Path), Trial), request_body = view::Keeping,
    responses((status = OK, body = view::Outlook)))]
pub(crate) async fn keep_dataset(
    State(api): State<Api>,
    who: Who,
    Id(name): Id<DatasetId>,
    Query(trial): Query<Trial>,
    Body(wanted): Body<view::Keeping>,
) -> Result<Json<view::Outlook>, Problem> {
    who.must(&api, Action::ListDatasets, Resource::Network)?;
    who.must(&api, Action::KeepDataset, whose(&*find(&api, &name).await?))?;
    let keeping = read(wanted)?;
    let (about, rules) = (name.clone(), keeping.clone());
    let outlook = api.gate.look(move |c| c.outlook(&about, &rules)).await??;
    if !trial.dry_run {
        command(&api, who, Command::Keep { dataset: name, keeping }).await?;
    }
    let missing = outlook.missing.into_iter();
    let going = outlook.going.into_iter();
    Ok(Json(view::Outlook {
        missing: missing
            .map(|(data, copies)| view::MissingCopies { version: data.version, copies })
            .collect(),
        going: going
            .map(|(data, why)| view::GoingVersion { version: data.version, why: why.to_string() })
            .collect(),
    }))
}

/// Have a copy brought to a center
#[utoipa::path(post, path = "/v1/datasets/{dataset}/copies", tag = "data",
    params(("dataset" = String, Path), Trial), request_body = view::WantedCopy,
    responses((status = OK, body = view::CopyPlan)))]
pub(crate) async fn copy_dataset(
    State(api): State<Api>,
    who: Who,
    Id(name): Id<DatasetId>,
    Query(trial): Query<Trial>,
    Body(wanted): Body<view::WantedCopy>,
) -> Result<Json<view::CopyPlan>, Problem> {
    who.must(&api, Action::ListDatasets, Resource::Network)?;
    who.must(&api, Action::CopyDataset, whose(&*find(&api, &name).await?))?;
    let (data, to) = (DatasetRef { dataset: name, version: wanted.version }, wanted.center);
    let staging = if trial.dry_run {
        api.gate.look(move |c| c.copy_plan(&data, &to)).await??
    } else {
        match command(&api, who, Command::Copy { data, to }).await? {
            Answer::Copy(staging) => staging,
            _ => None,
        }
    };
    Ok(Json(view::CopyPlan {
        transfer: staging.map(|staging| transfer::show(&staging, (None, Moment::ZERO))),
    }))
}

/// Have a center's copy put into an external store of its
///
/// Refused, with the reason, where that store is not there, is only read or is too full. What goes
/// wrong at the center is told with the dataset and with the store.
#[utoipa::path(post, path = "/v1/datasets/{dataset}/archives", tag = "data",
    params(("dataset" = String, Path), Trial), request_body = view::WantedArchive,
    responses((status = OK, body = view::ArchivePlan)))]
pub(crate) async fn archive_copy(
    State(api): State<Api>,
    who: Who,
    Id(name): Id<DatasetId>,
    Query(trial): Query<Trial>,
    Body(wanted): Body<view::WantedArchive>,
) -> Result<Json<view::ArchivePlan>, Problem> {
    who.must(&api, Action::ListDatasets, Resource::Network)?;
    who.must(&api, Action::ArchiveCopy, whose(&*find(&api, &name).await?))?;
    let view::WantedArchive { center, store, version } = wanted;
    let data = DatasetRef { dataset: name, version };
    let (about, at, into) = (data.clone(), center.clone(), store.clone());
    let plan = api.gate.look(move |c| c.archive_plan(&about, &at, &into)).await??;
    if !trial.dry_run {
        command(&api, who, Command::Archive { data, center, store }).await?;
    }
    let ArchivePlan { data, bytes, is_there } = plan;
    Ok(Json(view::ArchivePlan { version: data.version, bytes, is_there }))
}

/// Which copy is to go.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Evicted {
    /// From whose store.
    #[param(value_type = String)]
    center: CenterId,
    /// Of which version; of the newest where none is named.
    version: Option<String>,
    /// Say whether it can go, and do nothing.
    #[serde(default)]
    dry_run: bool,
}

/// Remove a copy from a center
///
/// Refused, with the reason, for a copy that is read, pinned, the last one or needed for the number
/// of copies to be kept.
#[utoipa::path(delete, path = "/v1/datasets/{dataset}/copies", tag = "data",
    params(("dataset" = String, Path), Evicted), responses((status = NO_CONTENT)))]
pub(crate) async fn evict_copy(
    State(api): State<Api>,
    who: Who,
    Id(name): Id<DatasetId>,
    Query(evicted): Query<Evicted>,
) -> Result<StatusCode, Problem> {
    who.must(&api, Action::ListDatasets, Resource::Network)?;
    who.must(&api, Action::EvictCopy, whose(&*find(&api, &name).await?))?;
    let version = evicted.version.as_deref().map(read_text::<Digest>).transpose()?;
    let (data, center) = (DatasetRef { dataset: name, version }, evicted.center);
    if evicted.dry_run {
        api.gate.look(move |c| c.may_evict(&data, &center)).await??;
    } else {
        command(&api, who, Command::Evict { data, center }).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Have copies read and compared with their manifests
///
/// One after the other in each center. What is damaged is repaired from other copies.
#[utoipa::path(post, path = "/v1/scrubs", tag = "data", params(Trial),
    request_body = view::Scrub, responses((status = OK, body = view::Scrubbing)))]
pub(crate) async fn scrub_copies(
    State(api): State<Api>,
    who: Who,
    Query(trial): Query<Trial>,
    Body(wanted): Body<view::Scrub>,
) -> Result<Json<view::Scrubbing>, Problem> {
    who.must(&api, Action::ListDatasets, Resource::Network)?;
    let about = match &wanted.dataset {
        Some(name) => whose(&*find(&api, name).await?),
        None => Resource::Network,
    };
    who.must(&api, Action::ScrubCopies, about)?;
    let view::Scrub { dataset, center } = wanted;
    let copies = if trial.dry_run {
        let count = move |c: &Controller| c.copies_to_scrub(dataset.as_ref(), center.as_ref());
        api.gate.look(count).await??
    } else {
        match command(&api, who, Command::Scrub { dataset, center }).await? {
            Answer::Scrubbing { copies } => copies,
            _ => 0,
        }
    };
    Ok(Json(view::Scrubbing { copies: copies as u64 }))
}

fn store(center: &CenterId, store: &StoreUse, evictable: Option<&Bytes>) -> view::Store {
    view::Store {
        center: center.clone(),
        capacity_bytes: store.capacity,
        is_measured: store.is_told,
        copies_bytes: store.copies,
        leaving_bytes: store.leaving,
        evictable_bytes: evictable.copied().unwrap_or_default(),
        coming_bytes: store.coming,
        other_bytes: store.other,
        free_bytes: store.free(),
    }
}

fn external(world: &World, center: &CenterId) -> Vec<view::ExternalStore> {
    let stores = world.external.get(center).into_iter().flatten();
    let show = |store: &model::ExternalStore| view::ExternalStore {
        store: store.store.clone(),
        kind: store.kind.clone(),
        tier: store.tier.to_string(),
        recall_ms: store.recall,
        capacity_bytes: store.capacity,
        copies_bytes: controller::in_external(world, center, &store.store),
        takes: store.takes,
    };
    stores.map(show).collect()
}

fn archiving(world: &World, center: &CenterId) -> Vec<view::ArchivingData> {
    let versions = world.datasets.values().flat_map(|dataset| &dataset.versions);
    let show = |version: &world::Version| {
        let (wanted, data) = (version.archiving.get(center)?, &version.registered.data);
        let (dataset, version) = (data.dataset.clone(), data.version);
        let (store, failed) = (wanted.store.clone(), wanted.failed.clone());
        Some(view::ArchivingData { dataset, version, store, failed })
    };
    versions.filter_map(show).collect()
}

/// All stores and how full they are
#[utoipa::path(get, path = "/v1/stores", tag = "data", responses((status = OK, body = view::Stores)))]
pub(crate) async fn list_stores(
    State(api): State<Api>,
    who: Who,
) -> Result<Json<view::Stores>, Problem> {
    who.must(&api, Action::ListStores, Resource::Network)?;
    let stores = api.gate.look(|c| {
        let (stores, evictable) = (controller::stores(c.world()), c.evictable());
        stores.iter().map(|(center, used)| store(center, used, evictable.get(center))).collect()
    });
    Ok(Json(view::Stores { stores: stores.await? }))
}

/// A center's store with all that is in it, and why each copy stays
#[utoipa::path(get, path = "/v1/stores/{center}", tag = "data", params(("center" = String, Path)),
    responses((status = OK, body = view::StoreDetail)))]
pub(crate) async fn get_store(
    State(api): State<Api>,
    who: Who,
    Id(center): Id<CenterId>,
) -> Result<Json<view::StoreDetail>, Problem> {
    who.must(&api, Action::GetStore, Resource::Network)?;
    let about = center.clone();
    let detail = api.gate.look(move |c| {
        let used = controller::stores(c.world()).remove(&about)?;
        let holding = |holding: controller::Holding| view::Holding {
            dataset: holding.data.dataset,
            version: holding.data.version,
            bytes: holding.bytes,
            in_store: holding.in_store,
            also_in: holding.also_in,
            state: state(holding.state),
            stays: holding.stays.map(|why| why.to_string()),
        };
        let copies = c.holdings(&about).into_iter().map(holding).collect();
        let store = store(&about, &used, c.evictable().get(&about));
        let (external, archiving) = (external(c.world(), &about), archiving(c.world(), &about));
        Some(view::StoreDetail { store, copies, external, archiving })
    });
    let what = || Problem::not_found(format!("store of a center {center}"));
    Ok(Json(detail.await?.ok_or_else(what)?))
}
