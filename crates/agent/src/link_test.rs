//! Filler under way, to learn what a link delivers.

use crate::staging::planned;
use model::{Bytes, Span};
use reconciler::{Event, Fetched, NotFetched};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use transfer::{Pace, Progress, Source, fill};
use wire::{LinkTest, Report};

/// How many windows are told of.
const WINDOWS: u32 = 2;

/// Fetches filler and tells what came of it in each window.
pub(crate) async fn carry(
    http: &reqwest::Client,
    test: &LinkTest,
    progress: &Progress,
    events: &mpsc::Sender<Event>,
) -> Result<Fetched, NotFetched> {
    let since = Instant::now();
    let ticket = test.ticket.clone().unwrap_or_default();
    let (source, pace) = (Source { url: test.url.clone(), ticket }, Pace::steps(&test.steps));
    let filling = fill(http, &source, &pace, progress);
    let ended = tokio::select! {
        ended = filling => ended,
        () = tell(test, since, progress, events) => Ok(()),
    };
    match ended {
        Ok(()) => Ok(Fetched { moved: progress.seen().moved, corrupted: 0 }),
        Err(error) => {
            tracing::warn!(test = %test.transfer, %error, "filler could not be had");
            Err(NotFetched { why: error.to_string(), damaged: false })
        }
    }
}

/// Tells of the windows as they close, until the last one has.
async fn tell(test: &LinkTest, since: Instant, progress: &Progress, events: &mpsc::Sender<Event>) {
    let begins = test.steps.first().map_or(Span::ZERO, |step| step.after);
    let mut opens = since + begins.to_std() + test.warm_up.to_std();
    sleep_until(opens).await;
    opens = opens.max(Instant::now());
    let mut before = progress.seen().moved;
    for _ in 0..WINDOWS {
        sleep_until(opens + test.window.to_std()).await;
        let (closes, moved) = (Instant::now(), progress.seen().moved);
        let (from, until) = (millis(opens - since), millis(closes - since));
        let report = Report::Delivered {
            transfer: test.transfer,
            from: test.from.clone(),
            lasted: Span(until - from),
            planned: planned(&test.steps, from, until),
            delivered: Bytes(moved.0 - before.0),
        };
        (opens, before) = (closes, moved);
        // The agent is stopping when nobody listens.
        let _ = events.send(Event::Measured(report)).await;
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
