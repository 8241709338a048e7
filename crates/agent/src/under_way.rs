//! How far copies are and why attempts do not run yet, told to the server while that is so.

use client::Client;
use engines::{Observation, State};
use model::{AttemptId, Bytes, Rate, TransferId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;
use transfer::{Progress, Seen};
use wire::{CopyUnderWay, UnderWay};

/// How often it is told how far copies are.
const TELL: Duration = Duration::from_secs(1);
/// How often it is told, if only for what waits.
const TELL_WAITS: Duration = Duration::from_secs(5);
/// Of how many attempts it is told at most why they wait: what a cluster says of one it mostly says of all.
const WAITS_TOLD: usize = 1_000;

/// How far each fetch is.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<BTreeMap<TransferId, Arc<Progress>>>);

impl Counters {
    pub(crate) fn all(&self) -> MutexGuard<'_, BTreeMap<TransferId, Arc<Progress>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why attempts do not run yet that the engine has taken, of those of which it says so.
#[derive(Debug, Default)]
pub(crate) struct Waits(Mutex<BTreeMap<AttemptId, String>>);

impl Waits {
    /// These are all attempts there are.
    pub(crate) fn are(&self, all: &[Observation]) {
        let waits = all.iter().filter_map(|seen| Some((seen.attempt, why(&seen.state)?.clone())));
        *self.all() = waits.collect();
    }

    /// So one attempt is now.
    pub(crate) fn is(&self, attempt: AttemptId, state: &State) {
        match why(state) {
            Some(why) => self.all().insert(attempt, why.clone()),
            None => self.all().remove(&attempt),
        };
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<AttemptId, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn to_tell(&self) -> BTreeMap<AttemptId, String> {
        self.all().iter().take(WAITS_TOLD).map(|(id, why)| (*id, brief(why))).collect()
    }
}

/// The first line, as far as people read it.
fn brief(why: &str) -> String {
    why.lines().next().unwrap_or_default().chars().take(300).collect()
}

fn why(state: &State) -> Option<&String> {
    match state {
        State::Starting { why } => why.as_ref(),
        State::Unattended | State::Running { .. } | State::Ended(_) | State::Lost { .. } => None,
    }
}

/// Tells the server how far copies are and what attempts wait for, as long as there are any.
pub(crate) async fn tell(client: Client, counters: Arc<Counters>, waits: Arc<Waits>) {
    let mut before = BTreeMap::<TransferId, (Bytes, Rate)>::new();
    let (mut told, mut at) = (UnderWay::default(), Instant::now());
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
        let copies = copies.into_iter().map(|(copy, _)| copy).collect();
        let now = UnderWay { copies, waits: waits.to_tell() };
        let is_due = !now.waits.is_empty() && at.elapsed() >= TELL_WAITS;
        if now == told && now.copies.is_empty() && !is_due {
            continue;
        }
        match client.agent_under_way(&now).await {
            Ok(()) => (told, at) = (now, Instant::now()),
            Err(error) => tracing::debug!(%error, "how far things are was not told"),
        }
    }
}
