//! Replicas put into an external store, and brought back.
//!
//! ```text
//! <root>/<dataset>@<version>/<path>         the files
//! <root>/<dataset>@<version>.manifest.json  the manifest, canonical, written last
//! ```
//!
//! Nothing counts before the manifest is there, and it is written only after every file has been
//! read back.

use super::Location;
use super::fault::{Fault, at};
use super::read::{AHEAD, CHUNK_SIZE, spans};
use super::stores::ExternalStore;
use crate::carry::blocking;
use crate::incoming::Written;
use crate::layout::Layout;
use crate::remote::MANIFEST_MAX;
use crate::{LocalStore, Pace, Progress, TransferError};
use futures::{StreamExt, TryStreamExt, stream};
use model::dataset::{CHUNK, ManifestFile};
use model::{Bytes, DatasetVersion, Digest, Rate, Tier};
use opendal::Writer;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::runtime::Handle;

/// How much of a file goes up in one part; stores want 5 MiB at least, and 10,000 parts at most.
const PART: u64 = 8 << 20;
const PARTS: u64 = 10_000;
/// How many parts of a file, and how many files, go up at once.
const PARTS_AT_ONCE: usize = 4;
const FILES_AT_ONCE: usize = 4;
/// The most a store takes that wants a file in one request, which is held in memory.
const ONE_REQUEST: u64 = 1 << 30;

/// How an archived copy was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadBack {
    /// Every byte was read back and compared with the manifest.
    Bytes,
    /// Only the lengths were: the store is cold, and reading from it needs a recall.
    Lengths,
}

/// A copy that was archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Archived {
    /// How it was verified.
    pub how: ReadBack,
    /// How fast the file was read back that came fastest; absent where none was read.
    pub rate: Option<Rate>,
}

impl ExternalStore {
    /// Where it keeps `data`.
    #[must_use]
    pub fn location_of(&self, data: &DatasetVersion) -> Location {
        let path = format!("{}@{}", data.dataset, data.version);
        Location { store: self.name().to_owned(), path }
    }

    /// Puts the replica of `data` in `from` here, no faster than `pace`, and says how it was verified.
    /// Files that are here at their length are not sent again, so a copy broken off goes on; one that
    /// is read back otherwise than it should be is sent a second time. What an error or a drop of the
    /// future leaves half sent is taken away as far as the store lets us: a killed process leaves it
    /// to the store's own rule for uploads that never end.
    ///
    /// Read back is every chunk, not the store's checksum: those differ by store, by encryption and
    /// by the size of parts, and tell what came in, not what will come out.
    pub async fn archive(
        &self,
        from: &LocalStore,
        data: &DatasetVersion,
        pace: &Pace,
        progress: &Progress,
    ) -> Result<Archived, TransferError> {
        let (store, wanted) = (from.clone(), data.clone());
        let layout = blocking(move || store.layout(&wanted)).await?;
        let how = if self.tier() == Tier::Cold { ReadBack::Lengths } else { ReadBack::Bytes };
        progress.begin(layout.bytes().0, 0);
        if self.has_archived(data).await? {
            progress.done(usize::try_from(layout.bytes().0).unwrap_or(usize::MAX));
            return Ok(Archived { how, rate: None });
        }
        let there = self.lengths(data).await?;
        self.room_for(&layout, &there).await?;
        let fastest = Mutex::new(None);
        let archiving =
            Archiving { store: self, from, layout: &layout, pace, progress, fastest: &fastest };
        let files = &layout.manifest().files;
        let mut work = Vec::with_capacity(files.len());
        for file in files {
            let sent = there.get(&file.path) == Some(&file.bytes.0);
            work.push(archiving.settle(file, sent, how));
        }
        stream::iter(work).buffer_unordered(FILES_AT_ONCE).try_collect::<Vec<()>>().await?;
        let path = self.manifest_path(data);
        let written = self.operator.write(&path, layout.manifest().canonical()).await;
        written.map_err(at(self.name(), "write", &path))?;
        let rate = *fastest.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Archived { how, rate })
    }

    /// The manifest of the copy of `data` archived here, verified against the version.
    pub async fn archived(&self, data: &DatasetVersion) -> Result<Layout, TransferError> {
        let path = self.manifest_path(data);
        let bytes = self.stat("", &path).await?.bytes;
        if bytes > MANIFEST_MAX as u64 {
            return Err(TransferError::WrongManifest { data: data.clone() });
        }
        Layout::parse(data, &self.read_range(&path, 0, bytes).await?)
    }

    /// Brings `data` from here into the store `into`, no faster than `pace`. What came earlier, or
    /// another version of the dataset has there, is not read again.
    pub async fn recall(
        &self,
        data: &DatasetVersion,
        into: &LocalStore,
        pace: &Pace,
        progress: &Progress,
    ) -> Result<(), TransferError> {
        let layout = Arc::new(self.archived(data).await?);
        self.bring(&self.location_of(data), &layout, into, pace, progress).await
    }

    /// The same for data that lies at `location`.
    pub async fn bring(
        &self,
        location: &Location,
        layout: &Arc<Layout>,
        into: &LocalStore,
        pace: &Pace,
        progress: &Progress,
    ) -> Result<(), TransferError> {
        let (store, wanted) = (into.clone(), Arc::clone(layout));
        let opened = blocking(move || {
            let incoming = store.incoming(wanted.data(), wanted.manifest().clone())?;
            let reused = incoming.reuse()?;
            Ok::<_, TransferError>((incoming, reused))
        });
        let (incoming, reused) = match opened.await {
            Err(TransferError::AlreadyHere { .. }) => return Ok(()),
            opened => opened?,
        };
        let missing = incoming.missing();
        let left = layout.spans(&missing)?;
        progress.begin(layout.bytes().0, (layout.bytes().0 - left).saturating_sub(reused.0));
        progress.reused(reused);
        let mut wanted = Vec::new();
        for run in missing {
            wanted.extend(spans(layout, run)?);
        }
        let incoming = &incoming;
        let reads = wanted.into_iter().map(|span| async move {
            pace.take(usize::try_from(layout.span(span.clone())?).unwrap_or(usize::MAX)).await;
            let read = self.read_span(location, layout, span).await?;
            progress.moved(read.bytes.len());
            let (incoming, size) = (incoming.clone(), read.bytes.len());
            blocking(move || {
                for (chunk, bytes) in read.chunks.zip(read.bytes.chunks(CHUNK_SIZE)) {
                    // It was verified as it was read.
                    let _: Written = incoming.write_chunk(chunk, bytes)?;
                }
                Ok::<_, TransferError>(())
            })
            .await?;
            progress.done(size);
            Ok::<_, TransferError>(())
        });
        stream::iter(reads).buffer_unordered(AHEAD).try_collect::<Vec<()>>().await?;
        let whole = incoming.clone();
        blocking(move || whole.finish()).await
    }

    /// Removes what is here of `data`, whole or broken off; the manifest first, so that it does not
    /// count any more. Nothing to remove is fine.
    pub async fn remove(&self, data: &DatasetVersion) -> Result<(), TransferError> {
        let (path, dir) = (self.manifest_path(data), self.location_of(data).path);
        self.operator.delete(&path).await.map_err(at(self.name(), "remove", &path))?;
        let below = format!("{dir}/");
        let removed = self.operator.delete_with(&below).recursive(true).await;
        removed.map_err(at(self.name(), "remove", &dir))
    }

    fn manifest_path(&self, data: &DatasetVersion) -> String {
        format!("{}.manifest.json", self.location_of(data).path)
    }

    async fn has_archived(&self, data: &DatasetVersion) -> Result<bool, TransferError> {
        match self.archived(data).await {
            Ok(_) => Ok(true),
            // One that is not whole is written again.
            Err(
                TransferError::External { fault: Fault::Gone, .. }
                | TransferError::WrongManifest { .. },
            ) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The lengths of the files of `data` that are here.
    async fn lengths(&self, data: &DatasetVersion) -> Result<BTreeMap<String, u64>, TransferError> {
        let cannot = |why: &str| {
            let (store, why) = (self.name().to_owned(), why.to_owned());
            TransferError::CannotTake { store, data: data.clone(), why }
        };
        if !self.takes() {
            return Err(cannot("this kind of store is only read: name another one"));
        }
        let listed = match self.list(&self.location_of(data).path).await {
            Err(TransferError::External { fault: Fault::Gone, .. }) => Vec::new(),
            listed => listed?,
        };
        Ok(listed.into_iter().map(|object| (object.path, object.bytes)).collect())
    }

    /// Whether the rest of the data fits by the configured capacity, which counts all below the
    /// store's root, and file by file.
    async fn room_for(
        &self,
        layout: &Layout,
        there: &BTreeMap<String, u64>,
    ) -> Result<(), TransferError> {
        let cannot = |why| {
            let store = self.name().to_owned();
            TransferError::CannotTake { store, data: layout.data().clone(), why }
        };
        let most = if self.in_parts() { PART * PARTS * 64 } else { ONE_REQUEST };
        if let Some(file) = layout.manifest().files.iter().find(|file| file.bytes.0 > most) {
            let (path, most) = (&file.path, Bytes(most));
            return Err(cannot(format!("`{path}` has more than {most}, all it takes of a file")));
        }
        let Some(capacity) = self.capacity() else { return Ok(()) };
        let used: u64 = self.list("").await?.iter().map(|object| object.bytes).sum();
        let rest = layout.bytes().0.saturating_sub(there.values().sum());
        if rest > capacity.0.saturating_sub(used) {
            let (rest, used) = (Bytes(rest), Bytes(used));
            return Err(cannot(format!(
                "{rest} wanted, {used} of its capacity of {capacity} taken: raise `capacity` or \
                 remove what is archived there"
            )));
        }
        Ok(())
    }

    /// Whether it takes files in parts.
    fn in_parts(&self) -> bool {
        self.operator.info().capability().write_can_multi
    }
}

/// An archiving under way.
struct Archiving<'a> {
    store: &'a ExternalStore,
    from: &'a LocalStore,
    layout: &'a Arc<Layout>,
    pace: &'a Pace,
    progress: &'a Progress,
    /// How fast the file was read back that came fastest.
    fastest: &'a Mutex<Option<Rate>>,
}

impl Archiving<'_> {
    /// Sees to it that a file is here and what it should be.
    async fn settle(
        &self,
        file: &ManifestFile,
        mut sent: bool,
        how: ReadBack,
    ) -> Result<(), TransferError> {
        let mut again = true;
        loop {
            if !sent {
                self.send(file).await?;
            }
            match self.read_back(file, how).await {
                Err(TransferError::ObjectChanged { .. }) if again => {
                    self.progress.corrupted();
                    (sent, again) = (false, false);
                }
                verified => {
                    verified?;
                    self.progress.done(usize::try_from(file.bytes.0).unwrap_or(usize::MAX));
                    return Ok(());
                }
            }
        }
    }

    async fn send(&self, file: &ManifestFile) -> Result<(), TransferError> {
        let dir = self.store.location_of(self.layout.data());
        let path = dir.join(&file.path);
        let failed = || at(self.store.name(), "write", &path);
        if file.bytes == Bytes(0) {
            let written = self.store.operator.write(&path, Vec::<u8>::new()).await;
            return written.map(drop).map_err(failed());
        }
        let writer = self.store.operator.writer_with(&path);
        let writer = if self.store.in_parts() {
            let part = PART.max(file.bytes.0.div_ceil(PARTS)).next_multiple_of(CHUNK.0);
            let part = usize::try_from(part).unwrap_or(usize::MAX);
            writer.chunk(part).concurrent(PARTS_AT_ONCE).await
        } else {
            writer.await
        };
        let mut upload = Upload(Some(writer.map_err(failed())?));
        let (_, chunks) = self.layout.file(&file.path)?;
        // What is not sent in parts is one write: WebDAV takes no second one.
        let mut whole = Vec::new();
        for chunk in chunks {
            let (from, layout) = (self.from.clone(), Arc::clone(self.layout));
            let bytes = blocking(move || {
                let bytes = from.read_chunk(&layout, chunk)?;
                let good = Digest::of(&bytes) == layout.place(chunk)?.digest;
                Ok::<_, TransferError>(good.then_some(bytes))
            });
            let Some(bytes) = bytes.await? else {
                let path = self.from.path(self.layout.data())?.join(&file.path);
                return Err(TransferError::Changed { path });
            };
            let size = bytes.len();
            self.pace.take(size).await;
            if self.store.in_parts() {
                upload.writer().write(bytes).await.map_err(failed())?;
            } else {
                whole.extend_from_slice(&bytes);
            }
            self.progress.moved(size);
        }
        if !whole.is_empty() {
            upload.writer().write(whole).await.map_err(failed())?;
        }
        upload.writer().close().await.map_err(failed())?;
        upload.0 = None;
        Ok(())
    }

    async fn read_back(&self, file: &ManifestFile, how: ReadBack) -> Result<(), TransferError> {
        let location = self.store.location_of(self.layout.data());
        let found = self.store.stat(&location.path, &file.path).await?;
        if found.bytes != file.bytes.0 {
            return Err(self.store.changed(&location.join(&file.path)));
        }
        if how == ReadBack::Lengths {
            return Ok(());
        }
        let (_, chunks) = self.layout.file(&file.path)?;
        let begun = Instant::now();
        for span in spans(self.layout, chunks)? {
            let size = self.layout.span(span.clone())?;
            self.pace.take(usize::try_from(size).unwrap_or(usize::MAX)).await;
            self.store.read_span(&location, self.layout, span).await?;
        }
        let rate = file.bytes.rate_over(begun.elapsed());
        let mut fastest = self.fastest.lock().unwrap_or_else(PoisonError::into_inner);
        *fastest = (*fastest).max(rate);
        Ok(())
    }
}

/// A file going up. Dropped before its end, it is broken off at the store too.
struct Upload(Option<Writer>);

impl Upload {
    fn writer(&mut self) -> &mut Writer {
        self.0.as_mut().expect("taken only at its end")
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let (Some(mut writer), Ok(runtime)) = (self.0.take(), Handle::try_current()) else {
            return;
        };
        runtime.spawn(async move {
            if let Err(error) = writer.abort().await {
                tracing::warn!(%error, "what was sent of a file could not be taken away");
            }
        });
    }
}
