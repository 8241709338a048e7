//! How far a copy is, readable from elsewhere while it goes on.

use model::Bytes;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of a copy under way, one copy at a time. Share it by reference or `Arc`, and read it
/// with [`Progress::seen`].
#[derive(Debug, Default)]
pub struct Progress {
    total: AtomicU64,
    done: AtomicU64,
    moved: AtomicU64,
    resent: AtomicU64,
    corrupted: AtomicU64,
    reused: AtomicU64,
}

/// What a copy's counters showed at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// All bytes of the data; zero until its manifest is known.
    pub total: Bytes,
    /// Bytes verified on the far end, those of earlier tries included.
    pub done: Bytes,
    /// Bytes that crossed the network in this try, damaged and repeated ones included.
    pub moved: Bytes,
    /// Chunks asked for again.
    pub resent: u64,
    /// Chunks that came damaged.
    pub corrupted: u64,
    /// Bytes of those done that need not move: another version of the dataset had them.
    pub reused: Bytes,
}

impl Progress {
    /// The counters now.
    #[must_use]
    pub fn seen(&self) -> Seen {
        Seen {
            total: Bytes(self.total.load(Relaxed)),
            done: Bytes(self.done.load(Relaxed)),
            moved: Bytes(self.moved.load(Relaxed)),
            resent: self.resent.load(Relaxed),
            corrupted: self.corrupted.load(Relaxed),
            reused: Bytes(self.reused.load(Relaxed)),
        }
    }

    pub(crate) fn begin(&self, total: u64, done: u64) {
        self.total.store(total, Relaxed);
        self.done.store(done, Relaxed);
        self.moved.store(0, Relaxed);
        self.resent.store(0, Relaxed);
        self.corrupted.store(0, Relaxed);
        self.reused.store(0, Relaxed);
    }

    pub(crate) fn moved(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn done(&self, bytes: usize) {
        self.done.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn reused(&self, bytes: Bytes) {
        self.reused.fetch_add(bytes.0, Relaxed);
        self.done.fetch_add(bytes.0, Relaxed);
    }

    pub(crate) fn resent(&self, chunks: u64) {
        self.resent.fetch_add(chunks, Relaxed);
    }

    pub(crate) fn corrupted(&self) {
        self.corrupted.fetch_add(1, Relaxed);
    }
}
