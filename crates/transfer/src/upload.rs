//! Putting a directory, or a copy of one's own store, into another center's store.

use crate::carry::{Carrier, blocking, carry_all};
use crate::disk::read_at;
use crate::external::{Location, read_in_place};
use crate::fetch::Arrived;
use crate::layout::Layout;
use crate::picked::Picked;
use crate::remote::{MANIFEST_MAX, PROBLEM_MAX, SILENCE, Source, corrupted};
use crate::{Held, LocalStore, Pace, Progress, TransferError};
use axum::body::Bytes as Piece;
use futures::channel::mpsc;
use futures::future::{Either, select};
use futures::{SinkExt, TryStreamExt};
use model::{DatasetVersion, Digest, Manifest};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Client, Method, StatusCode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// The chunks a door still wants.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Missing {
    /// How many chunks there are in all.
    pub(crate) chunks: u64,
    /// Half-open runs of those missing, in order.
    pub(crate) missing: Vec<(u64, u64)>,
}

/// The chunks a door found damaged: a member of its problem body.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Damaged {
    /// Their numbers, in order.
    pub(crate) damaged: Vec<u64>,
}

/// How long a store may take to look through what it has of a dataset, or to make ten thousands of
/// files durable.
const FINISHING: Duration = Duration::from_secs(600);

/// About how long a request's chunks take to go out by the pace.
const AT_ONCE: Duration = Duration::from_secs(2);

/// How much goes out between two looks at the pace.
const PIECE: usize = 64 << 10;

/// Puts the directory, or single file, at `from` into the store behind `to`, no faster than `pace`.
/// `manifest` is [`crate::survey`]'s of it, and `data` is its version, which the ticket must be for.
/// What arrived earlier is not sent again. A file that changed since the survey is an error.
pub async fn upload(
    http: &Client,
    from: &Path,
    manifest: &Manifest,
    data: &DatasetVersion,
    to: &Source,
    pace: &Pace,
    progress: &Progress,
) -> Result<Arrived, TransferError> {
    let layout = Arc::new(Layout::new(data, manifest.clone())?);
    let from = Origin::Directory(base(from)?);
    Uploading { http, from, layout: &layout, to, pace, progress }.all().await
}

/// Puts the copy of `data` that `from` has, itself or in place, into the store behind `to`, no faster
/// than `pace`. What arrived earlier is not sent again. A chunk that is not what its manifest says any
/// more is the error [`TransferError::Changed`], or an external store's [`TransferError::ObjectChanged`].
pub async fn send(
    http: &Client,
    from: &LocalStore,
    data: &DatasetVersion,
    to: &Source,
    pace: &Pace,
    progress: &Progress,
) -> Result<Arrived, TransferError> {
    let (store, wanted) = (from.clone(), data.clone());
    let (layout, from) = match blocking(move || store.held(&wanted)).await? {
        Held::Here(layout) => (layout, Origin::Directory(from.path(data)?)),
        Held::Elsewhere(layout, location) => (layout, Origin::InPlace(from.clone(), location)),
    };
    Uploading { http, from, layout: &layout, to, pace, progress }.all().await
}

/// Where the bytes are read that go out.
#[derive(Debug, Clone)]
enum Origin {
    /// In this directory.
    Directory(PathBuf),
    /// In an external store of a center.
    InPlace(LocalStore, Location),
}

/// The directory the manifest's paths are in; a single file's is the one around it.
fn base(from: &Path) -> Result<PathBuf, TransferError> {
    let meta = std::fs::symlink_metadata(from).map_err(crate::error::io_at("open", from))?;
    match from.parent().filter(|_| meta.is_file()) {
        Some(parent) => Ok(parent.to_owned()),
        None => Ok(from.to_owned()),
    }
}

/// Opens the copy at the far end, and what it lacks.
async fn open(
    http: &Client,
    layout: &Layout,
    to: &Source,
) -> Result<Vec<Range<u64>>, TransferError> {
    let request = to.request(http, Method::PUT, layout.data(), "manifest")?;
    let request =
        request.header(CONTENT_TYPE, "application/json").body(layout.manifest().canonical());
    let response = to.ask(request, FINISHING).await?;
    let text = to.whole(response, MANIFEST_MAX).await?;
    let fits = |missing: &Missing| {
        missing.chunks == layout.chunks()
            && missing.missing.iter().all(|run| run.0 <= run.1 && run.1 <= layout.chunks())
    };
    match serde_json::from_slice::<Missing>(&text).ok().filter(fits) {
        Some(answer) => Ok(answer.missing.into_iter().map(|(from, end)| from..end).collect()),
        None => Err(unreadable(to, StatusCode::OK)),
    }
}

fn unreadable(to: &Source, status: StatusCode) -> TransferError {
    let detail = "an answer that is not a Portolan store's".to_owned();
    TransferError::Answered { url: to.url.clone(), status: status.as_u16(), detail }
}

struct Uploading<'a> {
    http: &'a Client,
    from: Origin,
    layout: &'a Arc<Layout>,
    to: &'a Source,
    pace: &'a Pace,
    progress: &'a Progress,
}

impl Carrier for Uploading<'_> {
    async fn carry(&self, _door: usize, left: &mut BTreeSet<u64>) -> Result<(), TransferError> {
        while !left.is_empty() {
            let picked = Picked::of(&self.some_of(left)?);
            let damaged = self.put(&picked).await?;
            for chunk in picked.chunks().filter(|chunk| !damaged.contains(chunk)) {
                left.remove(&chunk);
                self.progress.done(self.layout.place(chunk)?.bytes);
            }
            if let Some(chunk) = damaged.first() {
                damaged.iter().for_each(|_| self.progress.corrupted());
                return Err(corrupted(self.layout, *chunk, &self.to.url));
            }
        }
        Ok(())
    }

    fn progress(&self) -> &Progress {
        self.progress
    }
}

impl Uploading<'_> {
    /// Sends what the far end lacks, and has it made a replica.
    async fn all(&self) -> Result<Arrived, TransferError> {
        let Self { http, layout, to, progress, .. } = *self;
        let missing = open(http, layout, to).await?;
        progress.begin(layout.bytes().0, layout.bytes().0 - layout.spans(&missing)?);
        carry_all(self, 1, layout, &missing).await?;
        let request = to.request(http, Method::POST, layout.data(), "finish")?;
        to.ask(request, FINISHING).await?;
        Ok(Arrived::of(progress.seen()))
    }

    /// The first chunks of these, about as many as go in [`AT_ONCE`]: what got through is known once the
    /// door has answered.
    fn some_of(&self, left: &BTreeSet<u64>) -> Result<BTreeSet<u64>, TransferError> {
        let (rate, _) = self.pace.now();
        let goes = rate.map_or(u64::MAX, |rate| rate.0 / 8 * AT_ONCE.as_secs());
        let (mut some, mut bytes) = (BTreeSet::new(), 0);
        for chunk in left {
            bytes += self.layout.place(*chunk)?.bytes as u64;
            if bytes > goes && !some.is_empty() {
                break;
            }
            some.insert(*chunk);
        }
        Ok(some)
    }

    async fn read(&self, picked: &Picked) -> Result<Piece, TransferError> {
        let layout = Arc::clone(self.layout);
        match &self.from {
            Origin::Directory(from) => {
                let (from, chunks) = (from.clone(), picked.chunks());
                blocking(move || read_chunks(&layout, &from, chunks)).await
            }
            Origin::InPlace(store, location) => {
                let stores = store.external();
                let spans = read_in_place(&stores, location, &layout, picked.chunks())?;
                let whole = spans.try_fold(Vec::new(), |mut whole, span| async move {
                    whole.extend_from_slice(&span.bytes);
                    Ok(whole)
                });
                Ok(whole.await?.into())
            }
        }
    }

    /// Sends chunks; those that arrived damaged.
    async fn put(&self, picked: &Picked) -> Result<Vec<u64>, TransferError> {
        let (rest, bytes) = (format!("chunks?numbers={picked}"), self.read(picked).await?);
        // A door takes somebody who says nothing for long for dead.
        self.pace.open().await;
        let request = self.to.request(self.http, Method::PUT, self.layout.data(), &rest)?;
        let (pieces, body) = mpsc::channel(1);
        let request = request.header(CONTENT_LENGTH, bytes.len()).body(Body::wrap_stream(body));
        let (feed, answer) = (pin!(self.feed(bytes, pieces)), pin!(request.send()));
        let response = match select(answer, feed).await {
            Either::Left((answer, _)) => {
                self.to.in_time(SILENCE, std::future::ready(answer)).await?
            }
            Either::Right((fed, answer)) => {
                fed?;
                self.to.in_time(SILENCE, answer).await?
            }
        };
        let status = response.status();
        if status.is_success() {
            return Ok(Vec::new());
        }
        let body = self.to.whole(response, PROBLEM_MAX).await?;
        match serde_json::from_slice::<Damaged>(&body) {
            Ok(damaged) if status == StatusCode::UNPROCESSABLE_ENTITY => Ok(damaged.damaged),
            _ => Err(self.to.refused(status, &body)),
        }
    }

    /// Hands `bytes` to a request under way as the pace allows, until it takes no more.
    async fn feed(
        &self,
        mut bytes: Piece,
        mut pieces: mpsc::Sender<Result<Piece, std::io::Error>>,
    ) -> Result<(), TransferError> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE));
            let size = piece.len();
            self.pace.take(size).await;
            match tokio::time::timeout(SILENCE, pieces.send(Ok(piece))).await {
                Ok(Ok(())) => self.progress.moved(size),
                // The request is over; its answer says why.
                Ok(Err(_)) => break,
                Err(late) => {
                    let (url, source) = (self.to.url.clone(), late.into());
                    return Err(TransferError::Unreachable { url, source });
                }
            }
        }
        Ok(())
    }
}

/// The bytes of these chunks, if the files are still what was surveyed.
fn read_chunks(
    layout: &Layout,
    from: &Path,
    chunks: impl Iterator<Item = u64>,
) -> Result<Piece, TransferError> {
    let mut bytes = Vec::new();
    for chunk in chunks {
        let place = layout.place(chunk)?;
        let path = from.join(&place.file.path);
        let read = read_at(&path, place.offset, place.bytes)?;
        if Digest::of(&read) != place.digest {
            return Err(TransferError::Changed { path });
        }
        bytes.extend_from_slice(&read);
    }
    Ok(bytes.into())
}
