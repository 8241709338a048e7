//! A copy coming in: files written in place, and a map of the chunks verified.
//!
//! What a process wrote outlives it, so the map, which has a chunk as soon as its file has it, is
//! trusted as long as the machine has not started anew; after that the chunks it names are read and
//! compared again, which costs less than making every one of them durable while it comes in. A
//! replica is durable before it appears.

use crate::disk::{self, read_at, write_at, write_whole};
use crate::error::{TransferError, io_at};
use crate::fetch::Arrived;
use crate::layout::Layout;
use crate::store::LocalStore;
use model::{Bytes, DatasetVersion, Digest};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A copy coming into a store. Clones share it; chunks may come in any order and from several
/// threads. Dropping it loses nothing: [`LocalStore::resume`] goes on. Its methods block.
#[derive(Debug, Clone)]
pub struct Incoming {
    store: LocalStore,
    coming: Arc<Coming>,
}

/// What came of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is what the manifest says, and in its file.
    Verified,
    /// It is not what the manifest says; nothing was written.
    Corrupted,
}

/// A copy on disk.
#[derive(Debug)]
pub(crate) struct Coming {
    dir: PathBuf,
    layout: Arc<Layout>,
    state: Mutex<State>,
    /// What others put here came to so far, since this process goes on with it.
    put: AtomicU64,
    spoiled: AtomicU64,
    /// Held while the copy is made a replica.
    finishing: Mutex<()>,
}

#[derive(Debug)]
struct State {
    verified: Chunks,
    /// The map on disk.
    map: File,
    closed: bool,
}

impl Incoming {
    pub(crate) fn new(store: LocalStore, coming: Arc<Coming>) -> Self {
        Self { store, coming }
    }

    /// Which data is coming in.
    #[must_use]
    pub fn data(&self) -> &DatasetVersion {
        self.coming.layout.data()
    }

    /// Its chunks.
    #[must_use]
    pub fn layout(&self) -> &Arc<Layout> {
        &self.coming.layout
    }

    /// The store it comes into.
    pub(crate) fn store(&self) -> &LocalStore {
        &self.store
    }

    /// The chunks still missing, as ranges in order.
    #[must_use]
    pub fn missing(&self) -> Vec<Range<u64>> {
        self.coming.state().verified.missing()
    }

    /// Writes one chunk if it is what the manifest says. A chunk that is there already is not
    /// written again.
    pub fn write_chunk(&self, chunk: u64, bytes: &[u8]) -> Result<Written, TransferError> {
        let coming = &*self.coming;
        let place = coming.layout.place(chunk)?;
        if bytes.len() != place.bytes || Digest::of(bytes) != place.digest {
            return Ok(Written::Corrupted);
        }
        if coming.open_state()?.verified.has(chunk) {
            return Ok(Written::Verified);
        }
        let full = |error| self.store.told_full(error, Bytes(place.bytes as u64));
        let path = coming.files().join(&place.file.path);
        write_at(&path, place.offset, bytes).map_err(full)?;
        coming.note(chunk).map_err(full)?;
        Ok(Written::Verified)
    }

    /// [`Incoming::write_chunk`] for a chunk that somebody sends, which is counted.
    pub(crate) fn take_chunk(&self, chunk: u64, bytes: &[u8]) -> Result<Written, TransferError> {
        let written = self.write_chunk(chunk, bytes)?;
        self.coming.put.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let spoiled = u64::from(matches!(written, Written::Corrupted));
        self.coming.spoiled.fetch_add(spoiled, Ordering::Relaxed);
        Ok(written)
    }

    /// What was sent here since this process goes on with it.
    pub(crate) fn taken(&self) -> Arrived {
        let moved = Bytes(self.coming.put.load(Ordering::Relaxed));
        let corrupted = self.coming.spoiled.load(Ordering::Relaxed);
        Arrived { moved, corrupted, ..Arrived::default() }
    }

    /// Makes the copy a replica; every chunk must be there. Once it is one, this does nothing.
    pub fn finish(&self) -> Result<(), TransferError> {
        let coming = &*self.coming;
        let _turn = coming.finishing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.store.has(self.data()) {
            return self.store.abandon(self.data());
        }
        let missing = coming.open_state()?.verified.left();
        if missing > 0 {
            return Err(TransferError::Incomplete { data: self.data().clone(), missing });
        }
        let files = coming.files();
        for file in &coming.layout.manifest().files {
            disk::set_mode(&files.join(&file.path), disk::replica_mode(file.executable))?;
        }
        self.store.publish(&coming.layout, &files)
    }

    /// Gives the copy up and frees its room.
    pub fn abandon(&self) -> Result<(), TransferError> {
        self.store.abandon(self.data())
    }
}

impl Coming {
    /// The copy in `dir`, begun now or earlier.
    pub(crate) fn open(dir: PathBuf, layout: Arc<Layout>) -> Result<Self, TransferError> {
        let files = Self::files_in(&dir);
        fs::create_dir_all(&files).map_err(io_at("create", &files))?;
        let mut made = BTreeSet::new();
        for file in &layout.manifest().files {
            for parent in disk::parents(&file.path) {
                if made.insert(parent) {
                    let parent = files.join(parent);
                    fs::create_dir_all(&parent).map_err(io_at("create", &parent))?;
                }
            }
            if file.bytes == Bytes::ZERO {
                write_at(&files.join(&file.path), 0, &[])?;
            }
        }
        let manifest = dir.join("manifest.json");
        if !manifest.exists() {
            write_whole(&manifest, &layout.manifest().canonical())?;
        }
        let progress = dir.join("progress");
        let known = fs::read(&progress).unwrap_or_default();
        let (boot, bits) = known.split_at(known.len().min(BOOT));
        let mut verified = Chunks::from_bytes(bits.to_vec(), layout.chunks());
        let this = boot_mark();
        if boot != this || this == NO_BOOT {
            reread(&layout, &files, &mut verified);
            let known = [&this, verified.bits.as_slice()].concat();
            write_whole(&progress, &known)?;
        }
        let map = File::options().write(true).open(&progress).map_err(io_at("open", &progress))?;
        let state = State { verified, map, closed: false };
        Ok(Self {
            dir,
            layout,
            state: Mutex::new(state),
            put: AtomicU64::new(0),
            spoiled: AtomicU64::new(0),
            finishing: Mutex::default(),
        })
    }

    /// No chunk is taken from now on.
    pub(crate) fn close(&self) {
        self.state().closed = true;
    }

    /// Where the files of the copy in `dir` are.
    pub(crate) fn files_in(dir: &Path) -> PathBuf {
        dir.join("files")
    }

    fn files(&self) -> PathBuf {
        Self::files_in(&self.dir)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_state(&self) -> Result<MutexGuard<'_, State>, TransferError> {
        let state = self.state();
        if state.closed {
            return Err(TransferError::Abandoned { data: self.layout.data().clone() });
        }
        Ok(state)
    }

    /// Writes down that a chunk is in its file.
    fn note(&self, chunk: u64) -> Result<(), TransferError> {
        let mut state = self.open_state()?;
        state.verified.add(chunk);
        let (byte, _) = Chunks::bit(chunk);
        let bits = [state.verified.bits[byte]];
        // Under the lock: nobody writes an older byte over it.
        let written = state.map.write_all_at(&bits, (BOOT + byte) as u64);
        written.map_err(io_at("write", &self.dir.join("progress")))
    }
}

/// The map begins with the boot it was written in.
const BOOT: usize = 16;
const NO_BOOT: [u8; BOOT] = [0; BOOT];

fn boot_mark() -> [u8; BOOT] {
    disk::boot().map_or(NO_BOOT, |boot| *boot.as_bytes())
}

/// The map of a copy of so many chunks that lacks only some.
pub(crate) fn map_without(lacking: &[u64], chunks: u64) -> Vec<u8> {
    let mut verified = Chunks::from_bytes(Vec::new(), chunks);
    (0..chunks).for_each(|chunk| verified.add(chunk));
    lacking.iter().for_each(|chunk| verified.remove(*chunk));
    [&boot_mark(), verified.bits.as_slice()].concat()
}

/// Unmarks chunks that are not on disk as they should be.
fn reread(layout: &Layout, files: &Path, verified: &mut Chunks) {
    for chunk in (0..layout.chunks()).filter(|chunk| verified.has(*chunk)).collect::<Vec<_>>() {
        let there = layout.place(chunk).and_then(|place| {
            let bytes = read_at(&files.join(&place.file.path), place.offset, place.bytes)?;
            Ok(Digest::of(&bytes) == place.digest)
        });
        if !matches!(there, Ok(true)) {
            verified.remove(chunk);
        }
    }
}

/// A set of chunks.
#[derive(Debug)]
struct Chunks {
    bits: Vec<u8>,
    count: u64,
}

impl Chunks {
    fn from_bytes(mut bits: Vec<u8>, count: u64) -> Self {
        let bytes =
            usize::try_from(count.div_ceil(8)).expect("as many chunks as digests in memory");
        bits.resize(bytes, 0);
        Self { bits, count }
    }

    fn bit(chunk: u64) -> (usize, u8) {
        let byte = usize::try_from(chunk / 8).expect("as many chunks as digests in memory");
        (byte, 1 << (chunk % 8))
    }

    fn has(&self, chunk: u64) -> bool {
        let (byte, bit) = Self::bit(chunk);
        self.bits[byte] & bit != 0
    }

    fn add(&mut self, chunk: u64) {
        let (byte, bit) = Self::bit(chunk);
        self.bits[byte] |= bit;
    }

    fn remove(&mut self, chunk: u64) {
        let (byte, bit) = Self::bit(chunk);
        self.bits[byte] &= !bit;
    }

    fn left(&self) -> u64 {
        (0..self.count).filter(|chunk| !self.has(*chunk)).count() as u64
    }

    fn missing(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for chunk in (0..self.count).filter(|chunk| !self.has(*chunk)) {
            match ranges.last_mut() {
                Some(last) if last.end == chunk => last.end += 1,
                _ => ranges.push(chunk..chunk + 1),
            }
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn missing_ranges_are_what_was_not_added(added in prop::collection::btree_set(0_u64..40, 0..40)) {
            let mut chunks = Chunks::from_bytes(Vec::new(), 40);
            added.iter().for_each(|chunk| chunks.add(*chunk));
            let read = Chunks::from_bytes(chunks.bits.clone(), 40);
            let missing: Vec<u64> = read.missing().into_iter().flatten().collect();
            let wanted: Vec<u64> = (0..40).filter(|chunk| !added.contains(chunk)).collect();
            prop_assert_eq!(read.left(), wanted.len() as u64);
            prop_assert_eq!(missing, wanted);
        }
    }
}
