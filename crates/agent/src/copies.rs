//! Reading and removing copies, in the store or where data was registered in place.

use crate::external;
use model::{Bytes, DatasetVersion};
use reconciler::Event;
use std::time::Duration;
use tokio::sync::mpsc;
use transfer::{Held, LocalStore, TransferError};

/// How long an external store that does not answer is left alone before data in it is read again.
const AGAIN: Duration = Duration::from_secs(60);

/// How the center has some data.
pub(crate) async fn held(store: &LocalStore, data: &DatasetVersion) -> Result<Held, TransferError> {
    let (store, data) = (store.clone(), data.clone());
    let held = tokio::task::spawn_blocking(move || store.held(&data)).await;
    held.expect("looking at a manifest does not panic")
}

/// Reads a copy and compares it with its manifest: its bytes and files if it is whole, else how many
/// chunks are damaged. Waits for an external store that does not answer: that says nothing about
/// the data.
pub(crate) async fn inspect(
    store: &LocalStore,
    data: &DatasetVersion,
) -> Result<(Bytes, u64), u64> {
    let known = match held(store, data).await {
        Ok(Held::Elsewhere(layout, location)) => {
            store.external().get(&location.store).map(|store| (layout, location, store.clone()))
        }
        Ok(Held::Here(_)) => {
            let (store, data) = (store.clone(), data.clone());
            let read = tokio::task::spawn_blocking(move || inspect_own(&store, &data)).await;
            return read.expect("reading a copy does not panic");
        }
        Err(error) => Err(error),
    };
    let (layout, location, external) = known.map_err(|error| {
        tracing::warn!(%data, %error, "the copy could not be read");
        0_u64
    })?;
    loop {
        match external.damaged(&location, &layout).await {
            Ok(0) => return Ok((layout.bytes(), layout.manifest().files.len() as u64)),
            Ok(damaged) => return Err(damaged),
            Err(error) => tracing::warn!(%data, %error, "it cannot be read now; trying again"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The same for one in the store. What is good of a damaged one is set aside for its repair, and
/// nobody reads the rest any more.
fn inspect_own(store: &LocalStore, data: &DatasetVersion) -> Result<(Bytes, u64), u64> {
    let damaged = match store.verify(data) {
        Ok(damaged) if damaged.is_empty() => {
            let replica = store.replicas().get(data).copied();
            return replica.map(|replica| (replica.bytes, replica.files)).ok_or(0);
        }
        Ok(damaged) => damaged,
        Err(error) => {
            tracing::warn!(%data, %error, "the copy could not be read");
            let layout = store.layout(data);
            layout.map_or_else(|_| Vec::new(), |layout| (0..layout.chunks()).collect())
        }
    };
    if let Err(error) = store.set_aside_damaged(data, &damaged) {
        tracing::warn!(%data, %error, "the damaged copy could not be set aside");
    }
    Err(damaged.len() as u64)
}

/// Removes the copy in the store and, unless that is to stay, what lies of it in an external one.
pub(crate) async fn remove(
    store: LocalStore,
    data: DatasetVersion,
    keep_in_place: bool,
    events: mpsc::Sender<Event>,
) {
    let removed = remove_all(&store, &data, keep_in_place).await;
    if let Err(error) = &removed {
        tracing::warn!(%data, %error, "the copy could not be removed");
    }
    let removed = Event::Removed { data, gone: removed.is_ok() };
    // The agent is stopping when nobody listens.
    if events.send(external::in_place(&store)).await.is_ok() {
        let _ = events.send(removed).await;
    }
}

async fn remove_all(
    store: &LocalStore,
    data: &DatasetVersion,
    keep_in_place: bool,
) -> Result<(), TransferError> {
    let (own, known) = (store.clone(), data.clone());
    let removing = tokio::task::spawn_blocking(move || own.remove(&known));
    removing.await.expect("removing a copy does not panic")?;
    let Some(at) = store.in_place().remove(data).filter(|_| !keep_in_place) else { return Ok(()) };
    // What was only registered is not ours to remove.
    if at.archived {
        store.external().get(&at.location.store)?.clone().remove(data).await?;
    }
    let (own, known) = (store.clone(), data.clone());
    let forgetting = tokio::task::spawn_blocking(move || own.forget_in_place(&known));
    forgetting.await.expect("forgetting where data lies does not panic")
}
