//! Copies under way.

use crate::Shared;
use client::Client;
use model::{Bytes, Rate, TransferId};
use reconciler::{Event, Fetched, NotFetched};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use transfer::{LocalStore, Pace, Progress, Seen, Source, TransferError, fetch};
use wire::{CopyUnderWay, Stage, UnderWay};

/// How often it is told how far copies are.
const TELL: Duration = Duration::from_secs(1);
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
    seen: Arc<Counters>,
}

/// How far each fetch is.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<BTreeMap<TransferId, Arc<Progress>>>);

impl Counters {
    fn all(&self) -> MutexGuard<'_, BTreeMap<TransferId, Arc<Progress>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the server how far copies are, as long as there are any.
pub(crate) async fn tell(client: Client, counters: Arc<Counters>) {
    let (mut before, mut was_told) = (BTreeMap::<TransferId, (Bytes, Rate)>::new(), false);
    let mut ticks = tokio::time::interval(TELL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut then = Instant::now();
    loop {
        ticks.tick().await;
        let millis = u64::try_from(then.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        then = Instant::now();
        let seen: Vec<_> =
            counters.all().iter().map(|(id, progress)| (*id, progress.seen())).collect();
        let copy = |(transfer, seen): (TransferId, Seen)| {
            let (moved, rate) = before.get(&transfer).copied().unwrap_or_default();
            let lately = seen.moved.saturating_sub(moved).0.saturating_mul(8_000) / millis;
            // Half of what it was keeps a figure from jumping.
            let rate = if rate == Rate::ZERO { lately } else { (rate.0 + lately) / 2 };
            (CopyUnderWay { transfer, done: seen.done, rate: Rate(rate) }, seen.moved)
        };
        let copies: Vec<_> = seen.into_iter().map(copy).collect();
        before = copies.iter().map(|(copy, moved)| (copy.transfer, (*moved, copy.rate))).collect();
        if copies.is_empty() && !was_told {
            continue;
        }
        was_told = !copies.is_empty();
        let told = UnderWay { copies: copies.into_iter().map(|(copy, _)| copy).collect() };
        if let Err(error) = client.agent_under_way(&told).await {
            tracing::debug!(%error, "how far copies are was not told");
        }
    }
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
        let (shared, http, seen) = (Arc::clone(shared), http.clone(), Arc::clone(&self.seen));
        let progress = Arc::new(Progress::default());
        seen.all().insert(transfer, Arc::clone(&progress));
        let task = tokio::spawn(async move {
            let end = carry(&shared, &http, &stage, &progress).await;
            seen.all().remove(&stage.transfer);
            let fetched = Event::Fetched { transfer: stage.transfer, end };
            // The agent is stopping when nobody listens.
            let _ = events.send(fetched).await;
        });
        self.running.insert(transfer, task);
    }

    /// How far they are, to be read from elsewhere.
    pub(crate) fn seen(&self) -> Arc<Counters> {
        Arc::clone(&self.seen)
    }

    /// Stops a fetch. What has come of it stays a while: another may go on with it.
    pub(crate) fn abandon(&mut self, transfer: TransferId) {
        if let Some(task) = self.running.remove(&transfer) {
            task.abort();
        }
        self.seen.all().remove(&transfer);
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
    progress: &Progress,
) -> Result<Fetched, NotFetched> {
    let ticket = stage.ticket.clone().unwrap_or_default();
    let sources = [Source { url: stage.url.clone(), ticket }];
    let pace = Pace::steps(&stage.steps);
    let store = &shared.store;
    let mut arrived = fetch(http, &sources, store, &stage.data, &pace, progress).await;
    if matches!(arrived, Err(TransferError::StoreFull { .. })) && give_up(store, IN_THE_WAY).await {
        arrived = fetch(http, &sources, store, &stage.data, &pace, progress).await;
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
