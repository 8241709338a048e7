//! Copies under way.

use crate::Shared;
use model::{DatasetVersion, TransferId};
use reconciler::{Event, Fetched, NotFetched};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use transfer::{Pace, Progress, Source, TransferError, fetch};
use wire::Stage;

/// The fetches that go on.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    running: BTreeMap<TransferId, (DatasetVersion, JoinHandle<()>)>,
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
        let (transfer, data) = (stage.transfer, stage.data.clone());
        self.running.retain(|_, (_, task)| !task.is_finished());
        let (shared, http) = (Arc::clone(shared), http.clone());
        let task = tokio::spawn(async move {
            let end = carry(&shared, &http, &stage).await;
            let fetched = Event::Fetched { transfer: stage.transfer, end };
            // The agent is stopping when nobody listens.
            let _ = events.send(fetched).await;
        });
        self.running.insert(transfer, (data, task));
    }

    /// Stops a fetch; what has come of it goes.
    pub(crate) fn abandon(&mut self, shared: &Shared, transfer: TransferId) {
        let Some((data, task)) = self.running.remove(&transfer) else { return };
        task.abort();
        let others = self.running.values().any(|(other, _)| *other == data);
        if !others {
            let store = shared.store.clone();
            tokio::task::spawn_blocking(move || {
                if let Err(error) = store.abandon(&data) {
                    tracing::warn!(%error, "what was left of a copy could not be removed");
                }
            });
        }
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
    let arrived = fetch(http, &sources, &shared.store, &stage.data, &pace, &progress).await;
    match arrived {
        Ok(arrived) => Ok(Fetched { moved: arrived.moved, corrupted: arrived.corrupted }),
        Err(error) => {
            tracing::warn!(transfer = %stage.transfer, data = %stage.data, %error, "copy failed");
            let damaged = matches!(error, TransferError::Corrupted { .. });
            Err(NotFetched { why: error.to_string(), damaged })
        }
    }
}
