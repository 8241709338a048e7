//! Runs of chunks carried over a few connections by way of several doors at once.

use crate::TransferError;
use crate::layout::Layout;
use crate::progress::Progress;
use backon::{BackoffBuilder, ExponentialBuilder};
use futures::future::try_join_all;
use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most chunks one request may name.
pub(crate) const BATCH_CHUNKS: u64 = 256;
/// About how much one request carries: enough to hide a round trip, little enough to lose.
pub(crate) const BATCH_BYTES: u64 = 8 << 20;
/// How many requests are under way at once, two at each door at least.
pub(crate) const PARALLEL: usize = 4;
/// How often a batch is tried again at one door without a chunk getting through.
const TRIES: usize = 5;
/// The same where all that is left of it comes damaged: then another door is asked.
const DAMAGED_TRIES: usize = 2;

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

/// Carries all `missing` chunks, about in order, by way of all of `doors` doors at once: a connection
/// that is done takes the next batch, so a faster door carries more. A door that fails is not tried
/// again; one that has merely a damaged chunk is, for others. What no door has is an error.
pub(crate) async fn carry_all(
    carrier: &impl Carrier,
    doors: usize,
    layout: &Layout,
    missing: &[Range<u64>],
) -> Result<(), TransferError> {
    let waiting = batches(layout, missing)?.into_iter().map(Batch::new).collect();
    let open = vec![true; doors];
    let load = Load { carrier, state: Mutex::new(State { waiting, open, last: None }) };
    let each = PARALLEL.div_ceil(doors.max(1)).max(2);
    while load.state().is_worth_a_round() {
        let connections = (0..doors).flat_map(|door| (0..each).map(move |_| door));
        try_join_all(connections.map(|door| load.carry_by(door))).await?;
    }
    let mut state = load.state();
    match state.last.take().filter(|_| !state.waiting.is_empty()) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// What is to be carried, shared by the connections that carry it.
struct Load<'a, C> {
    carrier: &'a C,
    state: Mutex<State>,
}

struct State {
    waiting: VecDeque<Batch>,
    /// Which doors have not failed.
    open: Vec<bool>,
    /// Why a door failed, the last one.
    last: Option<TransferError>,
}

struct Batch {
    left: BTreeSet<u64>,
    /// The doors that could not carry it.
    failed: Vec<usize>,
}

impl Batch {
    const fn new(left: BTreeSet<u64>) -> Self {
        Self { left, failed: Vec::new() }
    }
}

impl State {
    fn is_worth_a_round(&self) -> bool {
        let carries = |batch: &Batch, door| self.open[door] && !batch.failed.contains(&door);
        self.waiting.iter().any(|batch| (0..self.open.len()).any(|door| carries(batch, door)))
    }

    fn take(&mut self, door: usize) -> Option<Batch> {
        let can = |batch: &Batch| self.open[door] && !batch.failed.contains(&door);
        let at = self.waiting.iter().position(can)?;
        self.waiting.remove(at)
    }

    fn give_back(&mut self, mut batch: Batch, door: usize, error: TransferError) {
        self.open[door] &= matches!(error, TransferError::Corrupted { .. });
        self.last = Some(error);
        batch.failed.push(door);
        self.waiting.push_back(batch);
    }
}

impl<C: Carrier> Load<'_, C> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries batches by way of `door` until none is left for it.
    async fn carry_by(&self, door: usize) -> Result<(), TransferError> {
        loop {
            let Some(mut batch) = self.state().take(door) else { return Ok(()) };
            let Err(error) = persist(self.carrier, door, &mut batch.left).await else { continue };
            if !error.is_the_sources() {
                return Err(error);
            }
            tracing::warn!(%error, chunks = batch.left.len(), "a source cannot give these");
            self.carrier.progress().resent(batch.left.len() as u64);
            self.state().give_back(batch, door, error);
        }
    }
}

/// Carries `left` by way of one door, again while that gets anywhere.
async fn persist(
    carrier: &impl Carrier,
    door: usize,
    left: &mut BTreeSet<u64>,
) -> Result<(), TransferError> {
    let (mut waits, mut damaged) = (backoff(), 0);
    loop {
        let before = left.len();
        let Err(error) = carrier.carry(door, left).await else { return Ok(()) };
        if left.len() < before {
            (waits, damaged) = (backoff(), 0);
        }
        let wait = match error {
            // What the line did it does not do again; what the disk did it always does.
            TransferError::Corrupted { .. } => {
                damaged += 1;
                (damaged < DAMAGED_TRIES).then_some(Duration::ZERO)
            }
            _ => waits.next().filter(|_| error.is_transient()),
        };
        let Some(wait) = wait else { return Err(error) };
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

/// The missing chunks by what is fit for one request.
fn batches(layout: &Layout, missing: &[Range<u64>]) -> Result<Vec<BTreeSet<u64>>, TransferError> {
    let mut batches: Vec<BTreeSet<u64>> = Vec::new();
    let mut room = 0;
    for chunk in missing.iter().cloned().flatten() {
        let bytes = layout.place(chunk)?.bytes as u64;
        match batches.last_mut() {
            Some(last) if (last.len() as u64) < BATCH_CHUNKS && bytes <= room => {
                last.insert(chunk);
                room -= bytes;
            }
            _ => {
                batches.push(BTreeSet::from([chunk]));
                room = BATCH_BYTES - bytes;
            }
        }
    }
    Ok(batches)
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
