//! Copies under way.

use crate::under_way::Counters;
use crate::{Shared, link_test};
use model::{Bytes, CenterId, Span, TransferId};
use reconciler::{Event, Fetched, NotFetched};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use transfer::{Arrived, Giver, LocalStore, Pace, Progress, Source, TransferError, fetch, send};
use wire::{LinkTest, PaceStep, Report, Send, Stage, StageSource};

/// How long what came of a copy that nobody goes on with is kept.
const LEFT_FOR: Duration = Duration::from_secs(24 * 3_600);
/// How long at least it is, where a copy that is wanted now has no room.
pub(crate) const IN_THE_WAY: Duration = Duration::from_secs(60);
/// How long a receiver whose store is full is given to make room, and how often.
const ROOM_SOON: Duration = Duration::from_secs(10);
const ASKED_FOR_ROOM: usize = 3;
/// How often it is looked for.
const SWEEP: Duration = Duration::from_secs(3_600);

/// The fetches that go on, and what is sent.
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
        let (shared, http, window) = (Arc::clone(shared), http.clone(), self.window);
        self.run(stage.transfer, move |progress| async move {
            bring((&shared, &http), &stage, (window, &progress), &events).await;
        });
    }

    /// Begins to send a copy, or goes on where an earlier try ended.
    pub(crate) fn send(
        &mut self,
        shared: &Arc<Shared>,
        http: &reqwest::Client,
        order: Send,
        events: mpsc::Sender<Event>,
    ) {
        let (shared, http, window) = (Arc::clone(shared), http.clone(), self.window);
        self.run(order.transfer, move |progress| async move {
            give((&shared, &http), &order, (window, &progress), &events).await;
        });
    }

    /// Runs what moves a copy, and counts how far it is.
    fn run<F: Future<Output = ()> + std::marker::Send + 'static>(
        &mut self,
        transfer: TransferId,
        moving: impl FnOnce(Arc<Progress>) -> F,
    ) {
        self.running.retain(|_, task| !task.is_finished());
        let (seen, progress) = (Arc::clone(&self.seen), Arc::new(Progress::default()));
        seen.all().insert(transfer, Arc::clone(&progress));
        let moving = moving(progress);
        let task = tokio::spawn(async move {
            moving.await;
            seen.all().remove(&transfer);
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

/// Frees the room that a copy which is sent here needs, where it is taken by what nobody goes on with.
pub(crate) fn expect(store: &LocalStore, stage: Stage) {
    let store = store.clone();
    tokio::spawn(async move {
        let is_begun = matches!(store.resume(&stage.data), Ok(Some(_)));
        if !is_begun && store.free() < stage.bytes {
            give_up(&store, IN_THE_WAY).await;
        }
    });
}

/// Fetches a copy and tells what came of it.
async fn bring(
    (shared, http): (&Shared, &reqwest::Client),
    stage: &Stage,
    (window, progress): (Span, &Progress),
    events: &mpsc::Sender<Event>,
) {
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
    let ways = stage.sources.iter().zip(&givers).map(|(source, giver)| Way {
        from: &source.from,
        steps: &source.steps,
        giver: Some(giver),
        told: Bytes::ZERO,
    });
    let watched = Watched::start((stage.transfer, ways.collect()), progress);
    let end = watch(fetching, watched, window, events).await.map_err(|error| {
        tracing::warn!(transfer = %stage.transfer, data = %stage.data, %error, "copy failed");
        let damaged = matches!(error, TransferError::Corrupted { .. });
        NotFetched { why: error.to_string(), damaged }
    });
    // The agent is stopping when nobody listens.
    let _ = events.send(Event::Fetched { transfer: stage.transfer, end }).await;
}

/// Sends a copy and tells what came of it.
async fn give(
    (shared, http): (&Shared, &reqwest::Client),
    order: &Send,
    (window, progress): (Span, &Progress),
    events: &mpsc::Sender<Event>,
) {
    let ticket = order.ticket.clone().unwrap_or_default();
    let to = Source { url: order.url.clone(), ticket };
    let (pace, store) = (Pace::steps(&order.steps), &shared.store);
    let sending = async {
        for _ in 1..ASKED_FOR_ROOM {
            match send(http, store, &order.data, &to, &pace, progress).await {
                // Its agent was told to expect it, perhaps not yet.
                Err(TransferError::Answered { status: 507, .. }) => {}
                sent => return sent,
            }
            tokio::time::sleep(ROOM_SOON).await;
        }
        send(http, store, &order.data, &to, &pace, progress).await
    };
    let (from, steps) = (&order.from, &*order.steps);
    let way = Way { from, steps, giver: None, told: Bytes::ZERO };
    let watched = Watched::start((order.transfer, vec![way]), progress);
    let end = watch(sending, watched, window, events).await.map_err(|error| {
        tracing::warn!(transfer = %order.transfer, data = %order.data, %error, "copy not sent");
        NotFetched { why: error.to_string(), damaged: is_ours(&error) }
    });
    // The agent is stopping when nobody listens.
    let _ = events.send(Event::Fetched { transfer: order.transfer, end }).await;
}

/// Whether a copy that could not be sent is itself to blame.
const fn is_ours(error: &TransferError) -> bool {
    matches!(
        error,
        TransferError::Changed { .. }
            | TransferError::ObjectChanged { .. }
            | TransferError::NotHere { .. }
            | TransferError::Io { .. }
    )
}

/// Lets a copy move, and tells of it window by window.
async fn watch(
    moving: impl Future<Output = Result<Arrived, TransferError>>,
    mut watched: Watched<'_>,
    window: Span,
    events: &mpsc::Sender<Event>,
) -> Result<Fetched, TransferError> {
    tokio::pin!(moving);
    let arrived = loop {
        tokio::select! {
            arrived = &mut moving => break arrived?,
            () = tokio::time::sleep(window.to_std()) => watched.tell(events).await,
        }
    };
    // Before its end, after which the server knows no more over which path it came.
    watched.tell(events).await;
    Ok(Fetched { moved: arrived.moved, corrupted: arrived.corrupted })
}

/// What a fetch brought from each source, or what was sent so far, against what its steps allowed.
struct Watched<'a> {
    transfer: TransferId,
    ways: Vec<Way<'a>>,
    progress: &'a Progress,
    since: Instant,
    told_at: Instant,
}

/// The way from one store.
struct Way<'a> {
    from: &'a CenterId,
    steps: &'a [PaceStep],
    /// Who it is fetched from; none where it is sent.
    giver: Option<&'a Giver>,
    told: Bytes,
}

impl<'a> Watched<'a> {
    fn start((transfer, ways): (TransferId, Vec<Way<'a>>), progress: &'a Progress) -> Self {
        let now = Instant::now();
        Self { transfer, ways, progress, since: now, told_at: now }
    }

    /// Tells of the time since it was last told of. A fetch without steps has no plan to be held
    /// against.
    async fn tell(&mut self, events: &mpsc::Sender<Event>) {
        let seen = self.progress.seen();
        let (from, until) = (self.told_at - self.since, self.since.elapsed());
        let millis = |time: Duration| u64::try_from(time.as_millis());
        let (from, until) = (millis(from).unwrap_or(0), millis(until).unwrap_or(u64::MAX));
        self.told_at = Instant::now();
        let is_one_of_many = self.ways.len() > 1;
        for way in self.ways.iter_mut().filter(|way| !way.steps.is_empty()) {
            // Of several sources one that is gone, or has no more to bring, says nothing of its way.
            let idle = way.giver.filter(|_| is_one_of_many).map_or(Duration::ZERO, Giver::idle);
            let until = until.saturating_sub(millis(idle).unwrap_or(u64::MAX));
            if until <= from {
                continue;
            }
            let moved = way.giver.map_or(seen.moved, Giver::brought);
            // What another version had need not come, and is no shortfall.
            let came = moved.saturating_add(seen.reused);
            let report = Report::Delivered {
                transfer: self.transfer,
                from: way.from.clone(),
                lasted: Span(until - from),
                planned: planned(way.steps, from, until),
                delivered: came.saturating_sub(way.told),
            };
            way.told = came;
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
