//! Copies under way.

use crate::Shared;
use model::{Bytes, DatasetVersion, Span, TransferId};
use reconciler::{Event, Fetched, NotFetched};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use transfer::{Pace, Progress, Source, TransferError, fetch};
use wire::{PaceStep, Report, Stage};

/// The fetches that go on.
#[derive(Debug)]
pub(crate) struct Fetches {
    running: BTreeMap<TransferId, (DatasetVersion, JoinHandle<()>)>,
    /// How long a fetch goes on before it is told what it brought.
    window: Span,
}

impl Default for Fetches {
    fn default() -> Self {
        Self { running: BTreeMap::new(), window: Span::from_secs(300) }
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
        let (transfer, data) = (stage.transfer, stage.data.clone());
        self.running.retain(|_, (_, task)| !task.is_finished());
        let (shared, http, window) = (Arc::clone(shared), http.clone(), self.window);
        let task = tokio::spawn(async move {
            let end = carry((&shared, &http), &stage, window, &events).await;
            let fetched = Event::Fetched { transfer: stage.transfer, end };
            // The agent is stopping when nobody listens.
            let _ = events.send(fetched).await;
        });
        self.running.insert(transfer, (data, task));
    }

    /// Tells of fetches begun from now on at least this often.
    pub(crate) const fn report_every(&mut self, window: Span) {
        self.window = window;
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
    (shared, http): (&Shared, &reqwest::Client),
    stage: &Stage,
    window: Span,
    events: &mpsc::Sender<Event>,
) -> Result<Fetched, NotFetched> {
    let ticket = stage.ticket.clone().unwrap_or_default();
    let sources = [Source { url: stage.url.clone(), ticket }];
    let (pace, progress) = (Pace::steps(&stage.steps), Progress::default());
    let fetching = fetch(http, &sources, &shared.store, &stage.data, &pace, &progress);
    tokio::pin!(fetching);
    let mut watched = Watched::start(stage, &progress);
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

/// What a fetch brought so far against what its steps allowed.
struct Watched<'a> {
    stage: &'a Stage,
    progress: &'a Progress,
    since: Instant,
    told_at: Instant,
    told: Bytes,
}

impl<'a> Watched<'a> {
    fn start(stage: &'a Stage, progress: &'a Progress) -> Self {
        let now = Instant::now();
        Self { stage, progress, since: now, told_at: now, told: Bytes::ZERO }
    }

    /// Tells of the time since it was last told of. A fetch without steps has no plan to be held
    /// against.
    async fn tell(&mut self, events: &mpsc::Sender<Event>) {
        let seen = self.progress.seen();
        // What another version had need not come, and is no shortfall.
        let came = seen.moved.saturating_add(seen.reused);
        let (from, until) = (self.told_at - self.since, self.since.elapsed());
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis());
        let (from, until) = (millis(from).unwrap_or(0), millis(until).unwrap_or(u64::MAX));
        let report = Report::Delivered {
            transfer: self.stage.transfer,
            lasted: Span(until - from),
            planned: planned(&self.stage.steps, from, until),
            delivered: came.saturating_sub(self.told),
        };
        (self.told_at, self.told) = (Instant::now(), came);
        if !self.stage.steps.is_empty() {
            // The agent is stopping when nobody listens.
            let _ = events.send(Event::Measured(report)).await;
        }
    }
}

/// What these steps allow between two times in milliseconds. After the last one its rate stays, as
/// [`Pace::steps`] has it.
fn planned(steps: &[PaceStep], from: u64, until: u64) -> Bytes {
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
