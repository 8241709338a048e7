//! Runs of chunks carried over one connection each, tried again where they broke.

use crate::TransferError;
use crate::layout::Layout;
use crate::progress::Progress;
use backon::{BackoffBuilder, ExponentialBuilder};
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeSet;
use std::future::Future;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// The most chunks one request may name.
pub(crate) const BATCH_CHUNKS: u64 = 64;
/// About how much one request carries: enough to hide a round trip, little enough to lose.
pub(crate) const BATCH_BYTES: u64 = 8 << 20;
/// How many requests are under way at once.
const PARALLEL: usize = 4;
/// How often a batch is tried again at one door without a chunk getting through.
const TRIES: usize = 5;

/// Something that carries chunks from or to one of several doors.
pub(crate) trait Carrier: Sync {
    /// Tries to carry the chunks `left` by way of `door`, and takes those out that got through.
    fn carry(
        &self,
        door: usize,
        left: &mut BTreeSet<u64>,
    ) -> impl Future<Output = Result<(), TransferError>> + Send;

    /// Chunks out of `left` will be asked for again.
    fn progress(&self) -> &Progress;
}

/// Carries all `missing` chunks, in order and a few batches at once, each by way of one of `doors`
/// doors that works, `favorite` tried first.
pub(crate) async fn carry_all(
    carrier: &impl Carrier,
    doors: usize,
    favorite: usize,
    layout: &Layout,
    missing: &[Range<u64>],
) -> Result<(), TransferError> {
    let favorite = AtomicUsize::new(favorite);
    let batches = batches(layout, missing)?;
    stream::iter(batches)
        .map(|batch| carry_batch(carrier, doors, &favorite, batch))
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await
}

/// Carries one batch. A door that fails stops being the favorite of the batches after it; one that
/// has merely a damaged chunk does not.
async fn carry_batch(
    carrier: &impl Carrier,
    doors: usize,
    favorite: &AtomicUsize,
    batch: Range<u64>,
) -> Result<(), TransferError> {
    let mut left: BTreeSet<u64> = batch.collect();
    let first = favorite.load(Relaxed);
    for nth in first..first + doors {
        let Err(error) = persist(carrier, nth % doors, &mut left).await else { return Ok(()) };
        if nth + 1 == first + doors || !error.is_the_sources() {
            return Err(error);
        }
        if !matches!(error, TransferError::Corrupted { .. }) {
            let _ = favorite.compare_exchange(nth, nth + 1, Relaxed, Relaxed);
        }
        tracing::warn!(%error, "trying the next source");
        carrier.progress().resent(left.len() as u64);
    }
    Ok(())
}

/// Carries `left` by way of one door, again while that gets anywhere.
async fn persist(
    carrier: &impl Carrier,
    door: usize,
    left: &mut BTreeSet<u64>,
) -> Result<(), TransferError> {
    let mut waits = backoff();
    loop {
        let before = left.len();
        let Err(error) = carrier.carry(door, left).await else { return Ok(()) };
        let again = error.is_transient() || matches!(error, TransferError::Corrupted { .. });
        if left.len() < before {
            waits = backoff();
        }
        let Some(wait) = waits.next().filter(|_| again) else { return Err(error) };
        tracing::debug!(%error, "trying again");
        carrier.progress().resent(left.len() as u64);
        tokio::time::sleep(wait).await;
    }
}

pub(crate) fn backoff() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(5))
        .with_max_times(TRIES)
        .with_jitter()
        .build()
}

/// The missing chunks in runs fit for one request.
fn batches(layout: &Layout, missing: &[Range<u64>]) -> Result<Vec<Range<u64>>, TransferError> {
    let mut batches: Vec<Range<u64>> = Vec::new();
    let mut room = 0;
    for chunk in missing.iter().cloned().flatten() {
        let bytes = layout.place(chunk)?.bytes as u64;
        match batches.last_mut() {
            Some(last)
                if last.end == chunk && last.end - last.start < BATCH_CHUNKS && bytes <= room =>
            {
                last.end += 1;
                room -= bytes;
            }
            _ => {
                batches.push(chunk..chunk + 1);
                room = BATCH_BYTES - bytes;
            }
        }
    }
    Ok(batches)
}

/// The runs of consecutive chunks in `left`.
pub(crate) fn runs(left: &BTreeSet<u64>) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for chunk in left {
        match runs.last_mut() {
            Some(last) if last.end == *chunk => last.end += 1,
            _ => runs.push(*chunk..*chunk + 1),
        }
    }
    runs
}

/// Runs `work`, which blocks on the disk, where that holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
