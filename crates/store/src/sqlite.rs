//! The log on SQLite: rows and journal for the tail, files for what is sealed.

use crate::chain::Batch;
use crate::durable;
use crate::error::{Error, Result};
use crate::journal::{self, Journal};
use crate::log::{Answer, Log, Records, Settings};
use crate::read::Reader;
use crate::rows::{Readers, Rows};
use crate::segment::Segment;
use crate::snapshot;
use model::Digest;
use model::fact::{Head, Record};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, RwLock};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};

/// Rows of this many facts are removed in one go once they are sealed, then appends get their turn.
const SLICE: usize = 4096;

/// The log of one directory.
#[derive(Debug)]
pub(crate) struct SqliteLog {
    shared: Arc<Shared>,
    sealer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    settings: Settings,
    reader: Reader,
    durable: watch::Sender<Head>,
    /// Taken while a write is under way and put back when it went well; so a write that fails or
    /// is abandoned leaves nothing to write with.
    tip: Mutex<Option<Tip>>,
    failure: OnceLock<String>,
    /// Held while facts move to a segment, and while one of them is erased.
    sealing: Mutex<()>,
    /// None once closed. A write under way holds it too.
    lock: std::sync::Mutex<Option<Arc<File>>>,
}

/// Where writing goes on.
#[derive(Debug)]
struct Tip {
    head: Head,
    journal: Journal,
    rows: Rows,
    /// None once the log is closing.
    sealer: Option<mpsc::UnboundedSender<PathBuf>>,
}

impl SqliteLog {
    /// Starts on a mended log: `journals` are the files to seal and the one to append to.
    pub(crate) async fn start(
        dir: &Path,
        lock: File,
        settings: Settings,
        segments: Vec<Segment>,
        head: Head,
        (full, journal): (Vec<PathBuf>, Journal),
        rows: Rows,
    ) -> Result<Self> {
        let (sealer, sealable) = mpsc::unbounded_channel();
        for path in full {
            sealer.send(path).expect("the receiver is here");
        }
        let reader = Reader {
            segments: Arc::new(RwLock::new(segments)),
            rows: Readers::open(dir).await?,
            runtime: Handle::current(),
        };
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            settings,
            reader,
            durable: watch::Sender::new(head),
            tip: Mutex::new(Some(Tip { head, journal, rows, sealer: Some(sealer) })),
            failure: OnceLock::new(),
            sealing: Mutex::new(()),
            lock: std::sync::Mutex::new(Some(Arc::new(lock))),
        });
        let sealer = tokio::spawn(seal_all(Arc::clone(&shared), sealable));
        Ok(Self { shared, sealer: Mutex::new(Some(sealer)) })
    }
}

/// Seals journal files as they fill up, until no more can come.
async fn seal_all(shared: Arc<Shared>, mut sealable: mpsc::UnboundedReceiver<PathBuf>) {
    while let Some(path) = sealable.recv().await {
        if let Err(why) = shared.seal(&path).await {
            let (path, why) = (path.display(), why.chain());
            tracing::error!(%path, why, "cannot seal; the facts stay where they are, and restarting tries again");
            return;
        }
    }
}

impl Shared {
    fn poisoned(&self) -> Error {
        let why = self.failure.get().map_or("an append was abandoned", String::as_str);
        Error::Poisoned { why: why.into() }
    }

    fn poison<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|why| {
            let why = why.chain();
            tracing::error!(log = %self.dir.display(), why, "the log takes nothing more");
            // The first failure is the one to tell.
            let _known = self.failure.set(why);
        })
    }

    async fn append(&self, records: Vec<Record>) -> Result<Head> {
        let mut slot = self.tip.lock().await;
        let Some(tip) = slot.as_ref() else { return Err(self.poisoned()) };
        if records.is_empty() {
            return Ok(tip.head);
        }
        let batch = Batch::of(tip.head, &records)?;
        let tip = slot.take().expect("it was there a moment ago");
        let tip = self.poison(self.commit(tip, batch).await)?;
        if let Some(delay) = self.settings.commit_delay {
            tokio::time::sleep(delay).await;
        }
        let head = tip.head;
        *slot = Some(tip);
        drop(slot);
        self.durable.send_replace(head);
        Ok(head)
    }

    /// Writes `batch` to both copies at the same time.
    async fn commit(&self, mut tip: Tip, batch: Batch) -> Result<Tip> {
        let batch = Arc::new(batch);
        let mut journal = tip.journal;
        let journaled = spawn_blocking({
            let (dir, batch) = (self.dir.clone(), Arc::clone(&batch));
            let full = self.settings.segment_facts;
            let lock = self.lock.lock().expect("nobody panics with the lock").clone();
            move || {
                let _abandoned_or_not = lock;
                journal.append(&batch)?;
                let finished = journal.facts >= full;
                let next = finished.then(|| Journal::create(&dir, batch.after.number + 1));
                Ok::<_, Error>((journal, next.transpose()?))
            }
        });
        let inserted = tip.rows.insert(&batch).await;
        let journaled = journaled.await.expect("appending to the journal does not panic");
        let (journal, next) = match inserted.and(journaled) {
            Ok(journals) => journals,
            Err(why) => {
                // The first error is the one to tell.
                let _closed = tip.rows.close().await;
                return Err(why);
            }
        };
        let full = next.is_some().then(|| journal.path().to_owned());
        let tip = Tip { head: batch.after, journal: next.unwrap_or(journal), ..tip };
        if let (Some(path), Some(sealer)) = (full, &tip.sealer) {
            // The sealer is gone if it failed; then the file waits for the next opening.
            let _waits = sealer.send(path);
        }
        Ok(tip)
    }

    /// Moves the facts of a full journal file to a segment, then forgets them here.
    async fn seal(&self, path: &Path) -> Result<()> {
        let _sealing = self.sealing.lock().await;
        let base = self.reader.sealed();
        let sealed = spawn_blocking({
            let (dir, path) = (self.dir.clone(), path.to_owned());
            move || {
                let batches = journal::scan(std::slice::from_ref(&path))?.batches;
                let follows = batches.first().is_some_and(|batch| batch.before == base)
                    && batches.windows(2).all(|pair| pair[0].after == pair[1].before);
                if !follows {
                    let what = format!("{} is damaged", path.display());
                    return Err(Error::Damaged { number: base.number + 1, what });
                }
                let bounds: Vec<u64> = batches.chunks(SLICE).filter_map(last_fact).collect();
                Ok((Segment::seal(&dir, &batches)?, bounds))
            }
        });
        let (segment, bounds) = sealed.await.expect("sealing does not panic")?;
        self.reader.segments.write().expect("nobody panics with the segments").push(segment);
        for last in bounds {
            let mut slot = self.tip.lock().await;
            let mut tip = slot.take().ok_or_else(|| self.poisoned())?;
            self.poison(tip.rows.forget(last).await)?;
            *slot = Some(tip);
        }
        durable::remove(path)
    }

    async fn erase(&self, number: u64) -> Result<()> {
        if number == 0 || number > self.durable.borrow().number {
            return Err(Error::NoSuchFact { number });
        }
        let _sealing = self.sealing.lock().await;
        let mut slot = self.tip.lock().await;
        if slot.is_none() {
            return Err(self.poisoned());
        }
        let batch = match self.reader.segment(number) {
            Some(segment) => {
                let erased = spawn_blocking(move || segment.erase(number));
                erased.await.expect("erasing does not panic")?;
                None
            }
            None => Some(self.batch_of(number).await?.without_payload(number)),
        };
        let mut tip = slot.take().expect("it was there a moment ago");
        let erase = async {
            if let Some(batch) = batch {
                let dir = self.dir.clone();
                let journal = spawn_blocking(move || erase_in_journal(&dir, number, tip.journal));
                tip.journal = journal.await.expect("erasing does not panic")?;
                tip.rows.replace(&batch).await?;
            }
            // What was sealed may still be in pages the database has free.
            tip.rows.scrub().await?;
            Ok(tip)
        };
        let tip = self.poison(erase.await)?;
        *slot = Some(tip);
        Ok(())
    }

    /// The unsealed batch that holds fact `number`.
    async fn batch_of(&self, number: u64) -> Result<Batch> {
        let before = self.reader.rows.head_before(number).await?;
        let before = before.unwrap_or(self.reader.sealed());
        let batch = self.reader.rows.batches(before, 1).await?.pop();
        batch.filter(|batch| batch.after.number >= number).ok_or(Error::NoSuchFact { number })
    }

    /// Finishes what is under way and lets go of everything.
    async fn close(&self, sealer: Option<JoinHandle<()>>) -> Result<()> {
        if let Some(tip) = self.tip.lock().await.as_mut() {
            // Without a sender the sealer ends when it has done what it was given.
            tip.sealer = None;
        }
        if let Some(sealer) = sealer {
            sealer.await.expect("sealing does not panic");
        }
        let tip = self.tip.lock().await.take();
        let _known = self.failure.set("it was closed".into());
        self.reader.rows.close().await;
        let closed = match tip {
            Some(tip) => tip.rows.close().await,
            None => Ok(()),
        };
        self.lock.lock().expect("nobody panics with the lock").take();
        closed
    }
}

fn last_fact(batches: &[Batch]) -> Option<u64> {
    batches.last().map(|batch| batch.after.number)
}

/// Empties the payload in the journal file that holds the fact; `current` may be that file.
fn erase_in_journal(dir: &Path, number: u64, current: Journal) -> Result<Journal> {
    let paths = durable::list(&dir.join("journal"), journal::ENDING)?;
    let at = paths.partition_point(|path| journal::first_in_name(path) <= number);
    let path = at.checked_sub(1).map(|at| paths[at].clone());
    let path = path.ok_or(Error::NoSuchFact { number })?;
    let mut batches = journal::scan(std::slice::from_ref(&path))?.batches;
    let holds = |batch: &&mut Batch| batch.first() <= number && number <= batch.after.number;
    let batch = batches.iter_mut().find(holds).ok_or(Error::NoSuchFact { number })?;
    *batch = batch.clone().without_payload(number);
    journal::rewrite(&path, &batches)?;
    if path == current.path() { Journal::reopen(path, current.facts) } else { Ok(current) }
}

impl Log for SqliteLog {
    fn head(&self) -> Head {
        *self.shared.durable.borrow()
    }

    fn append(&self, records: Vec<Record>) -> Answer<'_, Head> {
        Box::pin(self.shared.append(records))
    }

    fn read(&self, after: u64) -> Records {
        let (reader, end) = (self.shared.reader.clone(), self.head().number);
        Records::spawn(move |give| reader.walk(after, end, |record, _| give(record)))
    }

    fn heads(&self, after: u64, limit: usize) -> Answer<'_, Vec<Digest>> {
        Box::pin(async move {
            let (reader, end) = (self.shared.reader.clone(), self.head().number);
            let end = end.min(after.saturating_add(limit as u64));
            let reading = spawn_blocking(move || {
                let mut digests = Vec::new();
                reader.walk(after, end, |record, _| {
                    digests.push(record.header.digest());
                    true
                })?;
                Ok(digests)
            });
            reading.await.expect("reading does not panic")
        })
    }

    fn head_at(&self, number: u64) -> Answer<'_, Option<Head>> {
        Box::pin(async move {
            let end = self.head();
            if number == 0 || number >= end.number {
                return Ok([Head::EMPTY, end].into_iter().find(|head| head.number == number));
            }
            let reader = self.shared.reader.clone();
            let reading = spawn_blocking(move || {
                let mut found = None;
                reader.walk(number - 1, number, |_, head| {
                    found = Some(head);
                    false
                })?;
                Ok(found)
            });
            reading.await.expect("reading does not panic")
        })
    }

    fn erase_payload(&self, number: u64) -> Answer<'_, ()> {
        Box::pin(self.shared.erase(number))
    }

    fn save_snapshot(&self, head: Head, bytes: Vec<u8>) -> Answer<'_, ()> {
        let dir = self.shared.dir.clone();
        Box::pin(async move {
            if self.head_at(head.number).await? != Some(head) {
                return Err(Error::NoSuchFact { number: head.number });
            }
            let saving = spawn_blocking(move || snapshot::save(&dir, head, &bytes));
            saving.await.expect("saving does not panic")
        })
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            let sealer = self.sealer.lock().await.take();
            self.shared.close(sealer).await
        })
    }
}
