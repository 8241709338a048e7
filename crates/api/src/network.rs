//! The network as it is declared: applying files, and the tenants and chips they declare.

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::center::command;
use crate::extract::{Raw, is_media, read_json};
use crate::problem::{Problem, Slug, file_error};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use controller::{Answer, Command, Declarations};
use model::file::network::NetworkFile;
use model::file::{Catalog, Diagnostic, network};
use model::{Center, Chip, Tenant};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::view;
use world::World;

/// Declare or change parts of the network
///
/// The body is a network file (`application/toml`), or several of them together with chip files
/// (`application/json`). Files may refer to chips, centers and all else that the network knows already.
/// What is not named in them stays as it is.
#[utoipa::path(put, path = "/v1/network", tag = "network",
    request_body(content(
        (String = "application/toml"),
        (view::NetworkFiles = "application/json")
    )),
    responses((status = OK, body = view::Applied)))]
pub(crate) async fn apply_network(
    State(api): State<Api>,
    who: Who,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Json<view::Applied>, Problem> {
    who.must(&api, Action::ApplyNetwork, Resource::Network)?;
    let declarations = declarations(&api, &headers, &body).await?;
    match command(&api, who, Command::Apply(Box::new(declarations))).await? {
        Answer::Applied { changed } => Ok(Json(view::Applied { changed: changed as u64 })),
        other => unreachable!("applying was answered by {other:?}"),
    }
}

/// What the files of a request declare, which may refer to each other and to what is declared.
pub(crate) async fn declarations(
    api: &Api,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Declarations, Problem> {
    let files: view::NetworkFiles = if is_media(headers, "application/json") {
        read_json(body)?
    } else if is_media(headers, "application/toml") {
        let text = std::str::from_utf8(body);
        let text = text.map_err(|_| Problem::malformed("the network file is not UTF-8"))?;
        let file = view::Document { name: "network".to_owned(), text: text.to_owned() };
        view::NetworkFiles { network: vec![file], chips: Vec::new() }
    } else {
        let detail = "the body must be TOML (`Content-Type: application/toml`) or JSON";
        return Err(Problem::new(Slug::MediaType, detail));
    };
    let known =
        |world: &World| (world.chips.values().cloned().collect::<Vec<_>>(), declared(world));
    let (chips, beside) = api.gate.look(move |c| known(c.world())).await?;
    read(&files, &chips, &beside)
}

/// What is declared already, for new files to refer to.
fn declared(world: &World) -> NetworkFile {
    fn all<K, T: Clone>(of: &BTreeMap<K, Arc<T>>) -> Vec<T> {
        of.values().map(|one| T::clone(one)).collect()
    }
    NetworkFile {
        centers: world.centers.values().map(|state| Center::clone(state.declared())).collect(),
        exchanges: all(&world.exchanges),
        links: all(&world.links),
        flavors: all(&world.flavors),
        priority_classes: all(&world.priority_classes),
        tenants: all(&world.tenants),
        admission: world.admission,
    }
}

fn read(
    files: &view::NetworkFiles,
    known: &[Arc<Chip>],
    beside: &NetworkFile,
) -> Result<Declarations, Problem> {
    let wrong = |what, diagnostics: Vec<Diagnostic>| {
        Problem::invalid(what, diagnostics.iter().map(file_error).collect())
    };
    fn named(documents: &[view::Document]) -> Vec<(&str, &str)> {
        documents.iter().map(|file| (&*file.name, &*file.text)).collect()
    }
    let new = Catalog::read(&named(&files.chips)).map_err(|d| wrong("the chip files", d))?;
    let chips: Vec<Chip> = new.chips().cloned().collect();
    let catalog: Catalog = known.iter().map(|c| (**c).clone()).chain(chips.clone()).collect();
    let declared = network::read_beside(&named(&files.network), &catalog, beside)
        .map_err(|d| wrong("the network files", d))?;
    Ok(Declarations {
        chips,
        centers: declared.centers,
        exchanges: declared.exchanges,
        links: declared.links,
        flavors: declared.flavors,
        priority_classes: declared.priority_classes,
        tenants: declared.tenants,
        admission: declared.admission,
    })
}

/// Tenants the asker may see
#[utoipa::path(get, path = "/v1/tenants", tag = "network", responses((status = OK, body = view::Tenants)))]
pub(crate) async fn list_tenants(
    State(api): State<Api>,
    who: Who,
) -> Result<Json<view::Tenants>, Problem> {
    let tenants = api.gate.look(|c| c.world().tenants.values().cloned().collect::<Vec<_>>());
    let mut tenants = tenants.await?;
    tenants.retain(|t| who.may(&api, Action::ListTenants, Resource::Tenant(t.tenant.clone())));
    let show = |tenant: &Arc<Tenant>| view::Tenant {
        tenant: tenant.tenant.clone(),
        parent: tenant.parent.clone(),
        weight: tenant.weight,
        home: tenant.home.clone(),
        industry: tenant.industry.clone(),
        classes: tenant.classes.clone(),
    };
    Ok(Json(view::Tenants { tenants: tenants.iter().map(show).collect() }))
}

/// The chip catalog
#[utoipa::path(get, path = "/v1/chips", tag = "network", responses((status = OK, body = view::Chips)))]
pub(crate) async fn list_chips(
    State(api): State<Api>,
    who: Who,
) -> Result<Json<view::Chips>, Problem> {
    who.must(&api, Action::ListChips, Resource::Network)?;
    let chips = api.gate.look(|c| c.world().chips.values().cloned().collect::<Vec<_>>()).await?;
    let show = |chip: &Arc<Chip>| view::Chip {
        chip: chip.chip.clone(),
        vendor: chip.vendor.clone(),
        model: chip.model.clone(),
        class: chip.class.clone(),
        stack: chip.stack.clone(),
        memory_bytes: chip.memory.map(|m| m.0),
        memory_bytes_per_second: chip.memory_bandwidth.map(|b| b.0),
        peak_milli_tflops: chip.peak_milli_tflops.clone(),
        power_watts: chip.power_watts,
        allocation_unit: chip.allocation_unit,
        source: chip.source.clone(),
        confidence: chip.confidence.clone(),
        notes: chip.notes.clone(),
    };
    Ok(Json(view::Chips { chips: chips.iter().map(show).collect() }))
}
