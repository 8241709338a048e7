//! Why something could not be measured.

use std::io;
use std::path::PathBuf;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A product was not what it has to be: the machine, or what multiplies, is broken.
    #[error("a product of matrices came out as {found} where it is {right}")]
    Miscalculated {
        /// What it is.
        right: f64,
        /// What came out.
        found: f64,
    },
    /// There is too little memory free to measure it without the caches.
    #[error("{free} bytes of memory are free, measuring takes {needed}")]
    NoMemory {
        /// What is free.
        free: u64,
        /// What it takes.
        needed: u64,
    },
    /// The directory is in memory, so that nothing of a disk is measured there.
    #[error("{} is in memory (tmpfs); name a directory on the storage that jobs will use", .0.display())]
    InMemory(PathBuf),
    /// There is too little room.
    #[error("{} has {free} bytes free, measuring takes {needed}", .dir.display())]
    NoRoom {
        /// Where.
        dir: PathBuf,
        /// What is free.
        free: u64,
        /// What it takes.
        needed: u64,
    },
    /// Writing failed, so that there is nothing to read.
    #[error("nothing was written that could be read")]
    NothingToRead,
    /// Files could not be made, written or read.
    #[error("cannot {what} {}", .path.display())]
    File {
        /// What was to be done.
        what: &'static str,
        /// With which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The other host does not answer, or not as it should.
    #[error("{peer} does not answer; run `portolan center bench --listen ADDRESS` there")]
    Peer {
        /// Which.
        peer: String,
        /// Why.
        source: io::Error,
    },
    /// No address can be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: String,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// It, with all that caused it.
    #[must_use]
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        text
    }
}
