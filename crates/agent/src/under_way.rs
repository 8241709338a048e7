//! How far copies are, told to the server while they come.

use client::Client;
use model::{Bytes, Rate, TransferId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;
use transfer::{Progress, Seen};
use wire::{CopyUnderWay, UnderWay};

/// How often it is told.
const TELL: Duration = Duration::from_secs(1);

/// How far each fetch is.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<BTreeMap<TransferId, Arc<Progress>>>);

impl Counters {
    pub(crate) fn all(&self) -> MutexGuard<'_, BTreeMap<TransferId, Arc<Progress>>> {
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
