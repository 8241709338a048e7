//! Copies under way.

use crate::Shared;
use model::TransferId;
use reconciler::{Event, Fetched, NotFetched};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use transfer::{LocalStore, Pace, Progress, Source, TransferError, fetch};
use wire::Stage;

/// How long what came of a copy that nobody goes on with is kept.
const LEFT_FOR: Duration = Duration::from_secs(24 * 3_600);
/// How long at least it is, where a copy that is wanted now has no room.
const IN_THE_WAY: Duration = Duration::from_secs(60);
/// How often it is looked for.
const SWEEP: Duration = Duration::from_secs(3_600);

/// The fetches that go on.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    running: BTreeMap<TransferId, JoinHandle<()>>,
}

impl Fetches {
    /// Begins to fetch a copy, or goes on where an earlier try ended.
    pub(crate) fn begin(
        &mut self,
        shared: &Arc<Shared>,
        http: &reqwest::Client,
        stage: Stage,
        events: mpsc::Sender<Event>,
    ) {
        let transfer = stage.transfer;
        self.running.retain(|_, task| !task.is_finished());
        let (shared, http) = (Arc::clone(shared), http.clone());
        let task = tokio::spawn(async move {
            let end = carry(&shared, &http, &stage).await;
            let fetched = Event::Fetched { transfer: stage.transfer, end };
            // The agent is stopping when nobody listens.
            let _ = events.send(fetched).await;
        });
        self.running.insert(transfer, task);
    }

    /// Stops a fetch. What has come of it stays a while: another may go on with it.
    pub(crate) fn abandon(&mut self, transfer: TransferId) {
        if let Some(task) = self.running.remove(&transfer) {
            task.abort();
        }
    }
}

/// Gives up, now and then, what came in and was never finished, until `stop`.
pub(crate) async fn sweep(store: LocalStore, stop: CancellationToken) {
    loop {
        give_up(&store, LEFT_FOR).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SWEEP) => {}
        }
    }
}

/// Frees the room of what was not added to for so long; whether there was any.
async fn give_up(store: &LocalStore, idle: Duration) -> bool {
    let store = store.clone();
    let swept = tokio::task::spawn_blocking(move || store.abandon_idle(idle)).await;
    match swept {
        Ok(Ok(given_up)) => {
            for data in &given_up {
                tracing::info!(%data, "what had come of it was given up");
            }
            !given_up.is_empty()
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "what was left of a copy could not be removed");
            false
        }
        // The agent is stopping.
        Err(_) => false,
    }
}

async fn carry(
    shared: &Shared,
    http: &reqwest::Client,
    stage: &Stage,
) -> Result<Fetched, NotFetched> {
    let ticket = stage.ticket.clone().unwrap_or_default();
    let sources = [Source { url: stage.url.clone(), ticket }];
    let (pace, progress) = (Pace::steps(&stage.steps), Progress::default());
    let store = &shared.store;
    let mut arrived = fetch(http, &sources, store, &stage.data, &pace, &progress).await;
    if matches!(arrived, Err(TransferError::StoreFull { .. })) && give_up(store, IN_THE_WAY).await {
        arrived = fetch(http, &sources, store, &stage.data, &pace, &progress).await;
    }
    match arrived {
        Ok(arrived) => Ok(Fetched { moved: arrived.moved, corrupted: arrived.corrupted }),
        Err(error) => {
            tracing::warn!(transfer = %stage.transfer, data = %stage.data, %error, "copy failed");
            let damaged = matches!(error, TransferError::Corrupted { .. });
            Err(NotFetched { why: error.to_string(), damaged })
        }
    }
}
