//! Trying what a store can do before anything depends on it.

use super::fault::{Fault, at};
use super::stores::ExternalStore;
use crate::TransferError;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a store turned out to be able to do.
#[derive(Debug)]
pub struct Checked {
    /// It answers, and the keys open it.
    pub reachable: Finding,
    /// What is in it can be read.
    pub readable: Finding,
    /// It can be written to.
    pub writable: Finding,
    /// It gives parts of a file, and not the whole where a part was asked for.
    pub ranges: Finding,
}

/// What came of one try.
#[derive(Debug)]
pub enum Finding {
    /// It can.
    Yes,
    /// It cannot, for this reason.
    No(TransferError),
    /// It could not be tried, for want of this.
    Untried(&'static str),
}

impl Checked {
    /// Whether data can be served from there; writing is needed only to archive.
    #[must_use]
    pub fn can_serve(&self) -> bool {
        let fine = |finding: &Finding| !matches!(finding, Finding::No(_));
        fine(&self.reachable) && fine(&self.readable) && fine(&self.ranges)
    }
}

impl From<Result<(), TransferError>> for Finding {
    fn from(tried: Result<(), TransferError>) -> Self {
        tried.map_or_else(Self::No, |()| Self::Yes)
    }
}

/// What is written to try a store, and which part of it is asked for.
const PROBE: &[u8] = b"Portolan tries whether this store can be written to.";
const PART: std::ops::Range<usize> = 9..14;

impl ExternalStore {
    /// Tries the store: writes a small file of an odd name, reads it whole and in part, and removes it.
    /// Where writing is not possible, the first file found is read instead.
    pub async fn check(&self) -> Checked {
        let reachable = self.reach().await;
        if let Err(error) = reachable {
            let untried = || Finding::Untried("it was not reached");
            let reachable = Finding::No(error);
            return Checked {
                reachable,
                readable: untried(),
                writable: untried(),
                ranges: untried(),
            };
        }
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        let path = format!("portolan-check-{nanos:x}");
        if !self.can_write() {
            let writable = Finding::Untried("this kind of store is only read");
            return self.check_what_is_there(writable).await;
        }
        let written = self.operator.write(&path, PROBE).await;
        if let Err(error) = written {
            let writable = Finding::No(at(self.name(), "write", &path)(error));
            return self.check_what_is_there(writable).await;
        }
        let readable = self.compare(&path, 0..PROBE.len()).await.into();
        let ranges = self.compare(&path, PART).await.into();
        let removed = self.operator.delete(&path).await;
        let writable = removed.map_err(at(self.name(), "remove", &path)).into();
        Checked { reachable: Finding::Yes, readable, writable, ranges }
    }

    /// Asks for what a store must answer: a listing, or where it has none its root.
    async fn reach(&self) -> Result<(), TransferError> {
        if self.can_list() {
            let listed = self.operator.list_with("").limit(1).await;
            return listed.map(drop).map_err(at(self.name(), "list", ""));
        }
        match self.stat("", "").await {
            Err(TransferError::External { fault: Fault::Gone, .. }) => Ok(()),
            answered => answered.map(drop),
        }
    }

    async fn check_what_is_there(&self, writable: Finding) -> Checked {
        let (readable, ranges) = match self.first_file().await {
            Err(error) => (Finding::No(error), Finding::Untried("nothing could be read")),
            Ok(None) => {
                let none = "no file was found in it to read";
                (Finding::Untried(none), Finding::Untried(none))
            }
            Ok(Some(path)) => {
                let read = self.read_range(&path, 0, 1).await.map(drop);
                let ranges = self.read_range(&path, 1, 1).await.map(drop);
                (read.into(), ranges.into())
            }
        };
        Checked { reachable: Finding::Yes, readable, writable, ranges }
    }

    /// The first file of two bytes or more, if the store can list.
    async fn first_file(&self) -> Result<Option<String>, TransferError> {
        if !self.can_list() {
            return Ok(None);
        }
        let listed = self.list("").await?;
        Ok(listed.into_iter().find(|object| object.bytes > 1).map(|object| object.path))
    }

    async fn compare(&self, path: &str, part: std::ops::Range<usize>) -> Result<(), TransferError> {
        let (from, length) = (part.start as u64, part.len() as u64);
        let read = self.read_range(path, from, length).await?;
        if read == PROBE[part] { Ok(()) } else { Err(self.changed(path)) }
    }
}
