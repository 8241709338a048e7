//! Fetching a dataset version into a store.

use crate::carry::{Carrier, backoff, blocking, carry_all};
use crate::incoming::{Incoming, Written};
use crate::layout::Layout;
use crate::picked::Picked;
use crate::remote::{Pieces, Source, corrupted, manifest};
use crate::{LocalStore, Pace, Progress, Seen, TransferError};
use model::{Bytes, DatasetVersion};
use reqwest::Client;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::Instant;

/// What a fetch took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrived {
    /// Bytes of chunks that crossed the network this time, damaged and repeated ones included.
    pub moved: Bytes,
    /// Chunks asked for again.
    pub resent: u64,
    /// Chunks that came damaged.
    pub corrupted: u64,
    /// Bytes that another version of the dataset had here already.
    pub reused: Bytes,
}

impl Arrived {
    pub(crate) fn of(seen: Seen) -> Self {
        let Seen { moved, resent, corrupted, reused, .. } = seen;
        Self { moved, resent, corrupted, reused }
    }
}

/// A door that chunks are fetched from, and how fast.
#[derive(Debug)]
pub struct Giver {
    source: Source,
    pace: Pace,
    brought: AtomicU64,
    began: Instant,
    /// Milliseconds since then.
    last: AtomicU64,
}

impl Giver {
    /// One that nothing came from yet.
    #[must_use]
    pub fn new(source: Source, pace: Pace) -> Self {
        let (brought, last) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { source, pace, brought, began: Instant::now(), last }
    }

    /// Of each of these doors one, all of which together keep a pace.
    #[must_use]
    pub fn sharing(sources: &[Source], pace: &Pace) -> Vec<Self> {
        sources.iter().map(|source| Self::new(source.clone(), pace.clone())).collect()
    }

    /// How long nothing has come from there: since the last whole chunk, or since the beginning. It may
    /// be slow or gone, or no more is asked of it because others have it.
    #[must_use]
    pub fn idle(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.last.load(Relaxed)))
    }

    fn brings(&self, bytes: usize) {
        self.brought.fetch_add(bytes as u64, Relaxed);
        let at = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(at, Relaxed);
    }

    /// Bytes of chunks that came from there, damaged and repeated ones included.
    #[must_use]
    pub fn brought(&self) -> Bytes {
        Bytes(self.brought.load(Relaxed))
    }
}

/// Brings a verified copy of `data` into the store from all of `givers` at once, from none faster than
/// its pace. What was fetched earlier, in this process or before a crash, is not fetched again, nor what
/// another version of the dataset has here. Dropping the future breaks the copy off; a later call
/// resumes it. A chunk that stays damaged at every source is an error that names it.
pub async fn fetch(
    http: &Client,
    givers: &[Giver],
    into: &LocalStore,
    data: &DatasetVersion,
    progress: &Progress,
) -> Result<Arrived, TransferError> {
    if into.has(data) {
        return Ok(Arrived::default());
    }
    let incoming = match open(http, givers, into, data).await {
        Err(TransferError::AlreadyHere { .. }) => return Ok(Arrived::default()),
        opened => opened?,
    };
    let layout = incoming.layout();
    progress.begin(layout.bytes().0, layout.bytes().0 - layout.spans(&incoming.missing())?);
    let reusing = incoming.clone();
    let reused = blocking(move || reusing.reuse()).await?;
    progress.reused(reused);
    let missing = incoming.missing();
    if givers.is_empty() && !missing.is_empty() {
        return Err(TransferError::NoSource { data: data.clone() });
    }
    let fetching = Fetching { http, givers, incoming: &incoming, progress };
    carry_all(&fetching, givers.len(), layout, &missing).await?;
    let whole = incoming.clone();
    blocking(move || whole.finish()).await?;
    Ok(Arrived::of(progress.seen()))
}

/// The copy begun earlier, or a new one by the manifest of the first source that has it.
async fn open(
    http: &Client,
    givers: &[Giver],
    into: &LocalStore,
    data: &DatasetVersion,
) -> Result<Incoming, TransferError> {
    let (store, wanted) = (into.clone(), data.clone());
    if let Some(incoming) = blocking(move || store.resume(&wanted)).await? {
        return Ok(incoming);
    }
    let mut answer = Err(TransferError::NoSource { data: data.clone() });
    for Giver { source, .. } in givers {
        answer = patient_manifest(http, source, data).await;
        if !answer.as_ref().is_err_and(TransferError::is_the_sources) {
            break;
        }
    }
    let (store, layout) = (into.clone(), answer?);
    blocking(move || store.incoming(layout.data(), layout.manifest().clone())).await
}

async fn patient_manifest(
    http: &Client,
    source: &Source,
    data: &DatasetVersion,
) -> Result<Layout, TransferError> {
    let mut waits = backoff();
    loop {
        let answer = manifest(http, source, data).await;
        match waits.next() {
            Some(wait) if answer.as_ref().is_err_and(TransferError::is_transient) => {
                tokio::time::sleep(wait).await;
            }
            _ => return answer,
        }
    }
}

struct Fetching<'a> {
    http: &'a Client,
    givers: &'a [Giver],
    incoming: &'a Incoming,
    progress: &'a Progress,
}

impl Carrier for Fetching<'_> {
    async fn carry(&self, door: usize, left: &mut BTreeSet<u64>) -> Result<(), TransferError> {
        let giver = &self.givers[door];
        let Giver { source, pace, .. } = giver;
        let layout = self.incoming.layout();
        let mut damaged = None;
        let (data, picked) = (self.incoming.data(), Picked::of(left));
        pace.open().await;
        let mut pieces = Pieces::open(self.http, source, data, &picked).await?;
        for chunk in picked.chunks() {
            let size = layout.place(chunk)?.bytes;
            let bytes = pieces.take(size, pace, self.progress).await?;
            giver.brings(size);
            let incoming = self.incoming.clone();
            match blocking(move || incoming.write_chunk(chunk, &bytes)).await? {
                Written::Verified => {
                    left.remove(&chunk);
                    self.progress.done(size);
                }
                Written::Corrupted => {
                    self.progress.corrupted();
                    damaged.get_or_insert(chunk);
                }
            }
        }
        match damaged {
            Some(chunk) => Err(corrupted(layout, chunk, &source.url)),
            None => Ok(()),
        }
    }

    fn progress(&self) -> &Progress {
        self.progress
    }
}
