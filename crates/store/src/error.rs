//! What can go wrong with a log, and what to do about it.

use std::path::{Path, PathBuf};

/// Why the log did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the log open.
    #[error("the log in {} is in use by another process: stop it first, or choose another directory", dir.display())]
    Locked {
        /// The log's directory.
        dir: PathBuf,
    },
    /// There is no log where one was expected.
    #[error("there is no log in {}", dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// There is a log where none was expected.
    #[error("{} already holds a log: choose an empty directory", dir.display())]
    Present {
        /// The directory.
        dir: PathBuf,
    },
    /// Facts that were acknowledged cannot be read in any copy.
    #[error(
        "the log is damaged from fact {number} on: {what}; put the file back from a copy, or give up \
         fact {number} and all after it with `portolan log repair --accept-loss`"
    )]
    Damaged {
        /// The first fact that cannot be read.
        number: u64,
        /// Where and how.
        what: String,
    },
    /// The files were written by a newer program.
    #[error("{} has format {format}, which this program does not know: a newer one wrote it, so run that", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// The records do not follow the log's last fact.
    #[error("fact {expected} is the next one, not {found}")]
    OutOfOrder {
        /// The number that would have been right.
        expected: u64,
        /// The number given.
        found: u64,
    },
    /// A record whose header and payload do not fit, or whose payload is not one line.
    #[error("fact {number} cannot be stored: {what}")]
    Unfit {
        /// Its number.
        number: u64,
        /// What is wrong with it.
        what: String,
    },
    /// No such fact is in the log.
    #[error("there is no fact {number} in the log")]
    NoSuchFact {
        /// The number asked for.
        number: u64,
    },
    /// An earlier write failed or was abandoned: what is durable is known again only after opening
    /// anew.
    #[error("the log takes nothing more since a write failed ({why}): restart to recover")]
    Poisoned {
        /// What failed.
        why: String,
    },
    /// An exported log cannot be read.
    #[error("line {line} of the exported log: {what}")]
    Transcript {
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The file system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The database refused.
    #[error("cannot {doing} in the database")]
    Database {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        #[source]
        source: sqlx::Error,
    },
}

/// What a call of this crate answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says what was being done when the file system or the database refused.
pub(crate) trait Doing<T> {
    /// With a file.
    fn doing(self, doing: &'static str, path: &Path) -> Result<T>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, doing: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io { doing, path: path.to_owned(), source })
    }
}

/// Says what was being done when the database refused.
pub(crate) trait Asking<T> {
    /// In the database.
    fn asking(self, doing: &'static str) -> Result<T>;
}

impl<T> Asking<T> for Result<T, sqlx::Error> {
    fn asking(self, doing: &'static str) -> Result<T> {
        self.map_err(|source| Error::Database { doing, source })
    }
}

impl Error {
    /// The error with its sources, on one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}
