//! Data that lies in external stores: found, read, and brought into the center's own store.

use crate::{Shared, copies, staging};
use model::{DatasetVersion, Lies, StoreId};
use reconciler::{Event, InPlace};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use transfer::{ExternalStore, Held, LocalStore, Pace, Progress, Registration, TransferError};

/// How often it is looked for data that somebody registered in place, or no longer.
const LOOK: Duration = Duration::from_secs(2);

/// All data registered in place in stores that are configured; other is left alone.
pub(crate) fn in_place(store: &LocalStore) -> Event {
    let external = store.external();
    let usable = |(data, at): (DatasetVersion, transfer::InPlace)| {
        let known = external.get(&at.location.store);
        let known = known.inspect_err(|error| tracing::warn!(%data, %error, "it cannot be had"));
        Some((data, lying(known.ok()?, &at)?))
    };
    Event::InPlace(store.in_place().into_iter().filter_map(usable).collect())
}

/// How data that `store` has lies there.
fn lying(store: &ExternalStore, at: &transfer::InPlace) -> Option<InPlace> {
    let lies = Lies {
        store: store.name().parse().ok()?,
        tier: store.tier(),
        recall: store.recall_time(),
        rate: at.rate,
        archived: at.archived,
    };
    Some(InPlace { lies, bytes: at.bytes, files: at.files })
}

/// The center's external stores, as the server is told of them.
pub(crate) fn told(store: &LocalStore) -> Vec<model::ExternalStore> {
    let external = store.external();
    let told = |store: &ExternalStore| {
        Some(model::ExternalStore {
            store: store.name().parse().ok()?,
            kind: store.kind().to_string(),
            tier: store.tier(),
            recall: store.recall_time(),
            capacity: store.capacity(),
            takes: store.takes(),
        })
    };
    external.iter().filter_map(told).collect()
}

/// Tells of what others register in the store's directory or take back, for ever.
pub(crate) async fn watch(shared: Arc<Shared>, events: mpsc::Sender<Event>) {
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        let store = shared.store.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let changes = store.look_in_place()?;
            for (data, at) in &changes.come {
                tracing::info!(%data, location = %at.location, "registered in place");
            }
            for data in &changes.gone {
                tracing::info!(%data, "no longer registered in place");
            }
            let is_news = !changes.come.is_empty() || !changes.gone.is_empty();
            Ok::<_, TransferError>(is_news.then(|| in_place(&store)))
        });
        match looked.await {
            Ok(Ok(Some(all))) => _ = events.send(all).await,
            Ok(Err(error)) => {
                tracing::warn!(%error, "what is registered in place could not be looked for");
            }
            // The agent is stopping, or nothing is new.
            Err(_) | Ok(Ok(None)) => {}
        }
    }
}

/// Brings data registered in place into the store, for jobs to read; goes on where an earlier try ended.
pub(crate) async fn bring(shared: Arc<Shared>, data: DatasetVersion, events: mpsc::Sender<Event>) {
    let brought = match carry(&shared.store, &data).await {
        Err(TransferError::StoreFull { .. })
            if staging::give_up(&shared.store, staging::IN_THE_WAY).await =>
        {
            carry(&shared.store, &data).await
        }
        brought => brought,
    };
    let end = brought.map_err(|error| {
        tracing::warn!(%data, error = &error as &dyn std::error::Error, "it could not be brought");
        format!("{data} could not be read where it lies: {error}")
    });
    // The agent is stopping when nobody listens.
    let _ = events.send(Event::Brought { data, end }).await;
}

/// Puts a copy into an external store; goes on where an earlier try ended.
pub(crate) async fn archive(
    shared: Arc<Shared>,
    data: DatasetVersion,
    into: StoreId,
    events: mpsc::Sender<Event>,
) {
    let end = put(&shared.store, &data, &into).await.map_err(|error| {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(%data, store = %into, error, "it could not be archived");
        error.to_string()
    });
    // The agent is stopping when nobody listens.
    let _ = events.send(Event::Archived { data, store: into, end }).await;
}

async fn put(
    store: &LocalStore,
    data: &DatasetVersion,
    into: &StoreId,
) -> Result<InPlace, TransferError> {
    let external = store.external().get(into.as_str())?.clone();
    let (pace, progress) = (Pace::unlimited(), Progress::default());
    let archived = external.archive(store, data, &pace, &progress).await?;
    let (own, known) = (store.clone(), data.clone());
    let location = external.location_of(data);
    let registering = tokio::task::spawn_blocking(move || {
        let manifest = own.layout(&known)?.manifest().clone();
        let rate = archived.rate;
        own.register_in_place(&known, Registration { location, manifest, rate, archived: true })
    });
    registering.await.expect("registering data does not panic")?;
    tracing::info!(%data, store = %into, bytes = progress.seen().moved.0, "archived");
    let gone = || TransferError::NotHere { data: data.clone() };
    let at = store.in_place().remove(data).ok_or_else(gone)?;
    lying(&external, &at).ok_or_else(gone)
}

async fn carry(store: &LocalStore, data: &DatasetVersion) -> Result<(), TransferError> {
    let Held::Elsewhere(layout, location) = copies::held(store, data).await? else { return Ok(()) };
    let external = store.external().get(&location.store)?.clone();
    let (pace, progress) = (Pace::unlimited(), Progress::default());
    external.bring(&location, &layout, store, &pace, &progress).await?;
    tracing::info!(%data, %location, bytes = progress.seen().moved.0, "brought into the store");
    Ok(())
}
