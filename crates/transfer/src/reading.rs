//! Data read while a job runs: each chunk compared before anybody sees it, from the store if the data
//! is here or registered in place, else from another center's door, as fast as was reserved.

use crate::carry::{BATCH_BYTES, blocking};
use crate::external::read_in_place;
use crate::layout::Layout;
use crate::picked::Picked;
use crate::remote::{Pieces, corrupted, manifest};
use crate::{Held, LocalStore, Pace, Progress, Source, TransferError};
use axum::body::Bytes as Piece;
use backon::{BackoffBuilder, ExponentialBuilder};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use model::dataset::CHUNK;
use model::{DatasetVersion, Digest, Rate};
use reqwest::Client;
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::OnceCell;

/// How many chunks are asked for at once, and how many such requests go on ahead of whoever reads.
const STEP: u64 = BATCH_BYTES / CHUNK.0;
const AHEAD: usize = 2;
/// How often another center is asked again, at first and at last after so long: ten minutes in all.
/// A job that waits is better off than one that failed.
const TRIES: usize = 66;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How often a chunk is asked for again that comes damaged.
const DAMAGED_TRIES: usize = 2;

/// One dataset version as a job reads it. Clones share what is known of it.
#[derive(Debug, Clone)]
pub struct Reading(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    data: DatasetVersion,
    store: LocalStore,
    http: Client,
    from: RwLock<Option<Source>>,
    pace: Pace,
    progress: Progress,
    /// The manifest as another center gave it.
    manifest: OnceCell<Arc<Layout>>,
}

/// Where the bytes are just now.
enum At {
    Here(Held),
    There(Source, Arc<Layout>),
}

impl Reading {
    /// Reading of `data`: from `store` if it has it, else [from another center](Self::read_from), no
    /// faster than `rate`.
    #[must_use]
    pub fn new(data: DatasetVersion, store: LocalStore, http: Client, rate: Option<Rate>) -> Self {
        let pace = rate.map_or_else(Pace::unlimited, Pace::steady);
        let (from, progress, manifest) = (RwLock::default(), Progress::default(), OnceCell::new());
        Self(Arc::new(Shared { data, store, http, from, pace, progress, manifest }))
    }

    /// From now on asks this center's door, if it has to ask any.
    pub fn read_from(&self, source: Option<Source>) {
        *self.0.from.write().unwrap_or_else(PoisonError::into_inner) = source;
    }

    /// What is read.
    #[must_use]
    pub fn data(&self) -> &DatasetVersion {
        &self.0.data
    }

    /// What came over the network so far.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.0.progress
    }

    /// The manifest, compared with the version.
    pub async fn layout(&self) -> Result<Arc<Layout>, TransferError> {
        Ok(match patiently(|| self.find()).await? {
            At::Here(Held::Here(layout) | Held::Elsewhere(layout, _)) | At::There(_, layout) => {
                layout
            }
        })
    }

    /// The bytes of a part of the file at `path`, in order and verified. Goes no further ahead than a
    /// few requests, waits for a center that does not answer, and ends with an error at a chunk that
    /// stays damaged.
    pub async fn part(
        &self,
        path: &str,
        part: Range<u64>,
    ) -> Result<impl Stream<Item = Result<Piece, TransferError>> + Send + use<>, TransferError>
    {
        let layout = self.layout().await?;
        let (_, all) = layout.file(path)?;
        let chunks = all.start + part.start / CHUNK.0..all.start + part.end.div_ceil(CHUNK.0);
        let first = (chunks.start - all.start) * CHUNK.0;
        let step = usize::try_from(STEP).expect("a few chunks");
        let end = chunks.end;
        let spans = chunks.step_by(step).map(move |from| from..(from + STEP).min(end));
        let reading = self.clone();
        let read = stream::iter(spans).map(move |span| {
            let reading = reading.clone();
            async move { reading.span(span).await }
        });
        let mut at = first;
        let pieces = read.buffered(AHEAD).map_ok(move |bytes| {
            let within = |moment: u64| {
                let place = moment.saturating_sub(at).min(bytes.len() as u64);
                usize::try_from(place).expect("at most a length in memory")
            };
            let piece = bytes.slice(within(part.start)..within(part.end));
            at += bytes.len() as u64;
            piece
        });
        Ok(pieces)
    }

    /// Where the data is now: it may have come into the store, or gone from it, since it was last asked
    /// for.
    async fn find(&self) -> Result<At, TransferError> {
        let (store, data) = (self.0.store.clone(), self.0.data.clone());
        match blocking(move || store.held(&data)).await {
            Err(TransferError::NotHere { .. }) => {}
            held => return held.map(At::Here),
        }
        let from = self.0.from.read().unwrap_or_else(PoisonError::into_inner).clone();
        let none = || TransferError::NoSource { data: self.0.data.clone() };
        let source = from.ok_or_else(none)?;
        let ask = async || manifest(&self.0.http, &source, &self.0.data).await.map(Arc::new);
        let layout = Arc::clone(self.0.manifest.get_or_try_init(ask).await?);
        Ok(At::There(source, layout))
    }

    /// The bytes of consecutive chunks of one file.
    async fn span(&self, chunks: Range<u64>) -> Result<Piece, TransferError> {
        patiently(|| async {
            match self.find().await? {
                At::Here(Held::Here(layout)) => self.own(layout, chunks.clone()).await,
                At::Here(Held::Elsewhere(layout, location)) => {
                    let stores = self.0.store.external();
                    let spans = read_in_place(&stores, &location, &layout, chunks.clone())?;
                    let spans: Vec<_> = spans.map_ok(|span| span.bytes).try_collect().await?;
                    Ok(spans.concat().into())
                }
                At::There(source, layout) => self.theirs(&source, &layout, chunks.clone()).await,
            }
        })
        .await
    }

    async fn own(&self, layout: Arc<Layout>, chunks: Range<u64>) -> Result<Piece, TransferError> {
        let store = self.0.store.clone();
        blocking(move || {
            let mut span = Vec::new();
            for chunk in chunks {
                let bytes = store.read_chunk(&layout, chunk)?;
                if Digest::of(&bytes) != layout.place(chunk)?.digest {
                    return Err(corrupted(&layout, chunk, "the center's own store"));
                }
                span.extend_from_slice(&bytes);
            }
            Ok(span.into())
        })
        .await
    }

    async fn theirs(
        &self,
        source: &Source,
        layout: &Layout,
        chunks: Range<u64>,
    ) -> Result<Piece, TransferError> {
        let Shared { http, data, pace, progress, .. } = &*self.0;
        let mut pieces =
            Pieces::open(http, source, data, &Picked::of(&chunks.clone().collect())).await?;
        let mut span = Vec::new();
        for chunk in chunks {
            let place = layout.place(chunk)?;
            let bytes = pieces.take(place.bytes, pace, progress).await?;
            if Digest::of(&bytes) != place.digest {
                progress.corrupted();
                return Err(corrupted(layout, chunk, &source.url));
            }
            span.extend_from_slice(&bytes);
            progress.done(place.bytes);
        }
        Ok(span.into())
    }
}

/// Tries again what another try may do: as soon as whatever is damaged, later and later for who does
/// not answer.
async fn patiently<T, F: Future<Output = Result<T, TransferError>>>(
    mut what: impl FnMut() -> F,
) -> Result<T, TransferError> {
    let mut waits = ExponentialBuilder::new()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .with_max_times(TRIES)
        .with_jitter()
        .build();
    let mut damaged = 0;
    loop {
        let error = match what().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let wait = match error {
            TransferError::Corrupted { .. } => {
                damaged += 1;
                (damaged < DAMAGED_TRIES).then_some(Duration::ZERO)
            }
            // A link was cut, and nobody has found another way so far.
            TransferError::NoSource { .. } => waits.next(),
            // A ticket of before the other center was started anew: a new one comes.
            TransferError::Answered { status: 401 | 403, .. } => waits.next(),
            _ => waits.next().filter(|_| error.is_transient()),
        };
        let Some(wait) = wait else { return Err(error) };
        tracing::debug!(%error, "reading again");
        tokio::time::sleep(wait).await;
    }
}
