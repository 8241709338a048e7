//! What a log is, whichever database keeps it.

use crate::error::{Error, Result};
use crate::recover::RecoveryReport;
use model::Digest;
use model::fact::{Head, Record};
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

/// An answer that takes a while.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// The log: facts in order, never changed, chained. One writer at a time.
///
/// Nothing read from it is newer than [`head`](Log::head), the last durable fact.
pub trait Log: Debug + Send + Sync {
    /// How far the log is durable.
    fn head(&self) -> Head;

    /// Adds `records` as one transaction and answers once they are durable. They must follow the
    /// last fact ([`Error::OutOfOrder`]), fit their headers and hold compact JSON
    /// ([`Error::Unfit`]); then nothing has changed. After any other error, or when the answer is
    /// dropped before it is there, the log is poisoned: nothing more is acknowledged until it is
    /// opened anew. Appending nothing answers the head.
    fn append(&self, records: Vec<Record>) -> Answer<'_, Head>;

    /// The facts after number `after`, up to the head as it is now, verified on the way.
    fn read(&self, after: u64) -> Records;

    /// The digests of at most `limit` headers after number `after`: what an agent that knows the
    /// head at `after` needs to check that a later one extends it.
    fn heads(&self, after: u64, limit: usize) -> Answer<'_, Vec<Digest>>;

    /// The head as it was at fact `number`; none beyond the last.
    fn head_at(&self, number: u64) -> Answer<'_, Option<Head>>;

    /// Removes the payload of fact `number` from every copy, for good. The chain still verifies.
    /// Erasing twice is no error. Snapshots and projections are the caller's to clean.
    fn erase_payload(&self, number: u64) -> Answer<'_, ()>;

    /// Keeps `bytes`, the caller's world at `head`, for the next opening. The newest two are kept.
    /// [`Error::NoSuchFact`] if the log never had that head.
    fn save_snapshot(&self, head: Head, bytes: Vec<u8>) -> Answer<'_, ()>;

    /// Finishes background work, closes and unlocks. The log answers [`Error::Poisoned`] after.
    fn close(&self) -> Answer<'_, ()>;
}

/// How a log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many facts a sealed segment has at least.
    pub segment_facts: u64,
    /// Makes every commit take this much longer: for measuring on a slow disk.
    pub commit_delay: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { segment_facts: 65_536, commit_delay: None }
    }
}

/// A log just opened.
#[derive(Debug)]
pub struct Opened {
    /// The log, locked against every other process.
    pub log: Arc<dyn Log>,
    /// The newest good snapshot, and the head it was taken at: replay starts after it.
    pub snapshot: Option<(Head, Vec<u8>)>,
    /// What was found and repaired.
    pub report: RecoveryReport,
}

/// Facts being read on a thread of their own. Iterating waits for them, so do it off the runtime's
/// own threads (`spawn_blocking`). After an error there is nothing more.
#[derive(Debug)]
pub struct Records {
    parts: Receiver<Result<Vec<Record>>>,
    part: std::vec::IntoIter<Record>,
    over: bool,
}

/// How many facts the reading thread hands over at once.
const PART: usize = 512;

impl Records {
    /// Runs `read` on a thread of its own; what it gives to its argument comes out here. The argument
    /// answers whether more is wanted.
    pub(crate) fn spawn<F>(read: F) -> Self
    where
        F: FnOnce(&mut dyn FnMut(Record) -> bool) -> Result<()> + Send + 'static,
    {
        let (sender, parts) = sync_channel(8);
        let reading = thread::Builder::new().name("log-reader".into()).spawn(move || {
            let mut part = Vec::with_capacity(PART);
            let mut give = |record| {
                part.push(record);
                part.len() < PART || sender.send(Ok(std::mem::take(&mut part))).is_ok()
            };
            let end = read(&mut give).map(|()| Vec::new());
            // Nobody listens any more if these fail. The empty part says that this is the end.
            let _gone = sender.send(Ok(part)).and_then(|()| sender.send(end));
        });
        let (over, part) = (reading.is_err(), Vec::new().into_iter());
        Self { parts, part, over }
    }

    fn broken_off() -> Error {
        Error::Poisoned { why: "the thread that reads the log broke off".into() }
    }
}

impl Iterator for Records {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.part.next() {
                return Some(Ok(record));
            }
            if self.over {
                return None;
            }
            match self.parts.recv() {
                Ok(Ok(part)) if !part.is_empty() => self.part = part.into_iter(),
                Ok(Ok(_)) => self.over = true,
                Ok(Err(error)) => {
                    self.over = true;
                    return Some(Err(error));
                }
                Err(_) => {
                    self.over = true;
                    return Some(Err(Self::broken_off()));
                }
            }
        }
    }
}
