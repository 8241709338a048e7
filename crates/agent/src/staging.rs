//! Copies under way.

use crate::under_way::Counters;
use crate::{Shared, link_test};
use model::{Bytes, Span, TransferId};
use reconciler::{Event, Fetched, NotFetched};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use transfer::{Giver, LocalStore, Pace, Progress, Source, TransferError, fetch};
use wire::{LinkTest, PaceStep, Report, Stage, StageSource};

/// How long what came of a copy that nobody goes on with is kept.
const LEFT_FOR: Duration = Duration::from_secs(24 * 3_600);
/// How long at least it is, where a copy that is wanted now has no room.
pub(crate) const IN_THE_WAY: Duration = Duration::from_secs(60);
/// How often it is looked for.
const SWEEP: Duration = Duration::from_secs(3_600);

/// The fetches that go on.
#[derive(Debug)]
pub(crate) struct Fetches {
    running: BTreeMap<TransferId, JoinHandle<()>>,
    seen: Arc<Counters>,
    /// How long a fetch goes on before it is told what it brought.
    window: Span,
}

impl Default for Fetches {
    fn default() -> Self {
        Self { running: BTreeMap::new(), seen: Arc::default(), window: Span::from_secs(300) }
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
        let (shared, http, window) = (Arc::clone(shared), http.clone(), self.window);
        let (seen, progress) = (Arc::clone(&self.seen), Arc::new(Progress::default()));
        seen.all().insert(transfer, Arc::clone(&progress));
        let task = tokio::spawn(async move {
            let end = carry((&shared, &http), &stage, (window, &progress), &events).await;
            seen.all().remove(&stage.transfer);
            let fetched = Event::Fetched { transfer: stage.transfer, end };
            // The agent is stopping when nobody listens.
            let _ = events.send(fetched).await;
        });
        self.running.insert(transfer, task);
    }

    /// Begins to fetch filler. How far it is is told by nothing but its windows.
    pub(crate) fn load(
        &mut self,
        http: &reqwest::Client,
        test: LinkTest,
        events: mpsc::Sender<Event>,
    ) {
        let (transfer, http) = (test.transfer, http.clone());
        let task = tokio::spawn(async move {
            let end = link_test::carry(&http, &test, &Progress::default(), &events).await;
            // The agent is stopping when nobody listens.
            let _ = events.send(Event::Fetched { transfer, end }).await;
        });
        self.running.insert(transfer, task);
    }

    /// Tells of fetches begun from now on at least this often.
    pub(crate) const fn report_every(&mut self, window: Span) {
        self.window = window;
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
pub(crate) async fn give_up(store: &LocalStore, idle: Duration) -> bool {
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
    (shared, http): (&Shared, &reqwest::Client),
    stage: &Stage,
    (window, progress): (Span, &Progress),
    events: &mpsc::Sender<Event>,
) -> Result<Fetched, NotFetched> {
    let giver = |source: &StageSource| {
        let ticket = source.ticket.clone().unwrap_or_default();
        Giver::new(Source { url: source.url.clone(), ticket }, Pace::steps(&source.steps))
    };
    let givers: Vec<Giver> = stage.sources.iter().map(giver).collect();
    let store = &shared.store;
    let fetching = async {
        let arrived = fetch(http, &givers, store, &stage.data, progress).await;
        let is_full = matches!(arrived, Err(TransferError::StoreFull { .. }));
        match is_full && give_up(store, IN_THE_WAY).await {
            true => fetch(http, &givers, store, &stage.data, progress).await,
            false => arrived,
        }
    };
    tokio::pin!(fetching);
    let mut watched = Watched::start(stage, (&givers, progress));
    let arrived = loop {
        tokio::select! {
            arrived = &mut fetching => break arrived,
            () = tokio::time::sleep(window.to_std()) => watched.tell(events).await,
        }
    };
    if arrived.is_ok() {
        // Before its end, after which the server knows no more over which path it came.
        watched.tell(events).await;
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

/// What a fetch brought so far from each source against what its steps allowed.
struct Watched<'a> {
    stage: &'a Stage,
    givers: &'a [Giver],
    progress: &'a Progress,
    since: Instant,
    told_at: Instant,
    told: Vec<Bytes>,
}

impl<'a> Watched<'a> {
    fn start(stage: &'a Stage, (givers, progress): (&'a [Giver], &'a Progress)) -> Self {
        let now = Instant::now();
        let told = vec![Bytes::ZERO; givers.len()];
        Self { stage, givers, progress, since: now, told_at: now, told }
    }

    /// Tells of the time since it was last told of. A fetch without steps has no plan to be held
    /// against.
    async fn tell(&mut self, events: &mpsc::Sender<Event>) {
        // What another version had need not come, and is no shortfall.
        let reused = self.progress.seen().reused;
        let (from, until) = (self.told_at - self.since, self.since.elapsed());
        let millis = |time: Duration| u64::try_from(time.as_millis());
        let (from, until) = (millis(from).unwrap_or(0), millis(until).unwrap_or(u64::MAX));
        self.told_at = Instant::now();
        let each = self.stage.sources.iter().zip(self.givers).zip(&mut self.told);
        for ((source, giver), told) in each.filter(|((source, _), _)| !source.steps.is_empty()) {
            let came = giver.brought().saturating_add(reused);
            let report = Report::Delivered {
                transfer: self.stage.transfer,
                from: source.from.clone(),
                lasted: Span(until - from),
                planned: planned(&source.steps, from, until),
                delivered: came.saturating_sub(*told),
            };
            *told = came;
            // The agent is stopping when nobody listens.
            let _ = events.send(Event::Measured(report)).await;
        }
    }
}

/// What these steps allow between two times in milliseconds. After the last one its rate stays, as
/// [`Pace::steps`] has it.
pub(crate) fn planned(steps: &[PaceStep], from: u64, until: u64) -> Bytes {
    let mut bits = 0;
    for (at, step) in steps.iter().enumerate() {
        let is_last = at + 1 == steps.len();
        let end = if is_last { u64::MAX } else { step.after.0.saturating_add(step.lasts.0) };
        let millis = until.min(end).saturating_sub(from.max(step.after.0));
        bits += u128::from(step.rate.0) * u128::from(millis) / 1_000;
    }
    Bytes(u64::try_from(bits / 8).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Rate;

    #[test]
    fn what_steps_allow_is_the_sum_of_what_each_does_and_the_last_goes_on() {
        let step = |after, lasts, mbps: u64| PaceStep {
            after: Span(after),
            lasts: Span(lasts),
            rate: Rate(mbps * 8_000_000),
        };
        let steps = [step(0, 1_000, 1), step(2_000, 1_000, 3)];
        let planned = |from, until| planned(&steps, from, until).0 / 1_000;
        assert_eq!(planned(0, 1_000), 1_000);
        assert_eq!(planned(500, 2_500), 500 + 1_500);
        assert_eq!(planned(1_000, 2_000), 0);
        assert_eq!(planned(2_000, 5_000), 9_000);
    }
}
