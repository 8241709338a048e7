//! Where the tests' logs live, and the facts they hold.

use model::fact::{Fact, Head, JobTouched, JobsArchived, Record};
use model::{JobId, Moment, TokenId};
use std::fs;
use std::path::{Path, PathBuf};
use store::{Log, Opened, Settings, open};
use tempfile::TempDir;

/// A place for one log; the suite runs on every kind there is.
pub(crate) trait Bed {
    /// An empty one.
    fn fresh() -> Self;

    /// Opens the log.
    fn open(&self, settings: Settings) -> impl Future<Output = Opened> + Send;
}

/// A log on SQLite.
pub(crate) struct SqliteBed(TempDir);

impl SqliteBed {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A copy of the log as it is on disk now: what a kill would leave.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::fresh();
        copy_into(self.path(), copy.path());
        copy
    }

    /// Every file of the log with something in it, sorted.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut dirs = vec![self.path().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    dirs.push(entry.path());
                } else if entry.metadata().unwrap().len() > 0 {
                    files.push(entry.path());
                }
            }
        }
        files.sort();
        files
    }

    /// The files in a directory of the log.
    pub(crate) fn files_in(&self, sub: &str) -> Vec<PathBuf> {
        let dir = self.path().join(sub);
        self.files().into_iter().filter(|path| path.starts_with(&dir)).collect()
    }
}

impl Bed for SqliteBed {
    fn fresh() -> Self {
        Self(TempDir::new().unwrap())
    }

    async fn open(&self, settings: Settings) -> Opened {
        open(self.path(), settings).await.unwrap()
    }
}

fn copy_into(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_into(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Small segments, so that a test has several.
pub(crate) fn small() -> Settings {
    Settings { segment_facts: 40, ..Settings::default() }
}

/// Fact `number` of every test: some are small, some are not.
pub(crate) fn record(number: u64) -> Record {
    let at = Moment(number * 10);
    let fact = match number % 7 {
        0 => {
            let jobs = (number..number + 20 * (number % 5)).map(JobId::new).collect();
            Fact::JobsArchived(JobsArchived { jobs })
        }
        _ => Fact::JobHeld(JobTouched { job: JobId::new(number), by: TokenId::new(1) }),
    };
    Record::new(number, at, &fact)
}

pub(crate) fn records(numbers: std::ops::RangeInclusive<u64>) -> Vec<Record> {
    numbers.map(record).collect()
}

/// Appends up to fact `last` in batches of one to five.
pub(crate) async fn grow(log: &dyn Log, last: u64) -> Head {
    while log.head().number < last {
        let first = log.head().number + 1;
        log.append(records(first..=last.min(first + first % 5))).await.unwrap();
    }
    log.head()
}

/// All facts after `after`.
pub(crate) async fn read(log: &dyn Log, after: u64) -> store::Result<Vec<Record>> {
    let facts = log.read(after);
    tokio::task::spawn_blocking(move || facts.collect()).await.unwrap()
}
