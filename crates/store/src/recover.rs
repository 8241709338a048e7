//! Making a surveyed log whole: opening, repairing, verifying, restoring.

use crate::chain::Batch;
use crate::durable;
use crate::error::{Asking, Doing, Error, Result};
use crate::journal::{self, Journal};
use crate::log::{Opened, Settings};
use crate::merge::State;
use crate::rows::{self, Rows};
use crate::segment;
use crate::snapshot;
use crate::sqlite::SqliteLog;
use crate::survey::{Depth, Survey, exists, survey};
use model::fact::{Fact, Head, NetworkCreated, Record};
use model::{Moment, NetworkUid};
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One of the two copies of the unsealed tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    /// The SQLite database `log.db` with its WAL.
    Database,
    /// The files in `journal/`.
    Journal,
}

/// Something a survey of the log came upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A write was cut off before it was acknowledged; its bytes were dropped.
    TornWrite {
        /// How many bytes of it there were.
        bytes: u64,
    },
    /// The database lacked facts that the journal has, as after a power loss.
    CaughtUp {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// A copy of the tail was damaged and was written anew from the other.
    Repaired {
        /// Which copy.
        copy: Copy,
        /// What was wrong with it.
        what: String,
    },
    /// A snapshot cannot be used; an older one or a full replay takes its place.
    BrokenSnapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Facts were given up by `repair` with `accept_loss`.
    Lost {
        /// The first fact given up.
        from: u64,
        /// Why it could not be read.
        what: String,
        /// Where the files with what is left of them were put.
        aside: PathBuf,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TornWrite { bytes } => {
                write!(f, "dropped {bytes} bytes of a write that was never acknowledged")
            }
            Self::CaughtUp { first, last } => {
                write!(f, "the database lacked facts {first} to {last}; restored from the journal")
            }
            Self::Repaired { copy: Copy::Database, what } => {
                write!(f, "the database was damaged ({what}); rebuilt from the journal")
            }
            Self::Repaired { copy: Copy::Journal, what } => {
                write!(f, "the journal was damaged ({what}); rebuilt from the database")
            }
            Self::BrokenSnapshot { path, why } => {
                write!(f, "snapshot {} cannot be used: {why}", path.display())
            }
            Self::Lost { from, what, aside } => write!(
                f,
                "facts from {from} on are given up ({what}); what is left of them is in {}",
                aside.display()
            ),
        }
    }
}

/// What opening found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Where the log ends.
    pub head: Head,
    /// How many sealed segments it has.
    pub segments: usize,
    /// What was found; empty after an orderly stop.
    pub findings: Vec<Finding>,
}

/// What verifying a part of the log came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which part.
    pub what: String,
    /// What is wrong with it.
    pub wrong: Option<String>,
}

/// What verifying the whole log came to. It prints one line a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Where the readable log ends.
    pub head: Head,
    /// The first acknowledged fact that cannot be read in any copy; the log does not open then.
    pub damaged: Option<u64>,
    /// Each part by itself: segments, journal, database, snapshots.
    pub verdicts: Vec<Verdict>,
}

impl VerifyReport {
    /// Whether nothing at all is wrong, not even in a part that would repair itself.
    #[must_use]
    pub fn sound(&self) -> bool {
        self.damaged.is_none() && self.verdicts.iter().all(|verdict| verdict.wrong.is_none())
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Verdict { what, wrong } in &self.verdicts {
            writeln!(f, "{what}: {}", wrong.as_deref().unwrap_or("good"))?;
        }
        match self.damaged {
            Some(number) => writeln!(f, "damaged from fact {number} on"),
            None => writeln!(f, "{} facts, head {}", self.head.number, self.head.digest),
        }
    }
}

/// Opens the log in `dir`, making one if there is none, and repairs what either copy of the tail
/// can give. Needs a tokio runtime, which must outlive the log.
///
/// Everything a restart rests on is verified: the newest good snapshot, all facts after it, the last
/// segment and the whole tail in both copies. If acknowledged facts are in neither copy, it is
/// refused with [`Error::Damaged`] and nothing is changed.
pub async fn open(dir: &Path, settings: Settings) -> Result<Opened> {
    fs::create_dir_all(dir).doing("create", dir)?;
    let lock = lock(dir)?;
    let survey = survey(dir, Depth::Restart).await?;
    if let Some(flaw) = survey.damage {
        return Err(flaw.into());
    }
    mend(dir, lock, survey, settings).await
}

/// Repairs the log in `dir` as [`open`] does. With `accept_loss`, what [`open`] would refuse is given
/// up from its first unreadable fact on; the files as they were are kept in `damaged-…/`.
///
/// After a loss the numbers are given out again: agents that saw the old facts raise an alarm, as
/// they should, and the log needs a new uid ([`restore`]).
pub async fn repair(dir: &Path, accept_loss: bool) -> Result<RecoveryReport> {
    let lock = lock_existing(dir)?;
    let mut survey = survey(dir, Depth::Restart).await?;
    if let Some(flaw) = survey.damage.take() {
        if !accept_loss {
            return Err(flaw.into());
        }
        let aside = set_aside(dir, &survey)?;
        let broken = || State::Broken("facts were given up".into());
        (survey.merged.database, survey.merged.journal) = (broken(), broken());
        survey.findings.push(Finding::Lost { from: flaw.number, what: flaw.what, aside });
    }
    let opened = mend(dir, lock, survey, Settings::default()).await?;
    opened.log.close().await?;
    Ok(opened.report)
}

/// Verifies the whole log in `dir`: each segment, both copies of the tail, the snapshots and the
/// chain through all of them. Changes nothing that was acknowledged; the log must not be in use.
pub async fn verify(dir: &Path) -> Result<VerifyReport> {
    let _lock = lock_existing(dir)?;
    let survey = survey(dir, Depth::Whole).await?;
    Ok(VerifyReport {
        head: survey.head(),
        damaged: survey.damage.as_ref().map(|flaw| flaw.number),
        verdicts: survey.verdicts,
    })
}

/// Marks the log in `dir`, a copy of another, as restored: from now on it is the network `network`,
/// a new random uid, so that nobody takes the original's attempts for its own.
pub async fn restore(dir: &Path, network: NetworkUid, at: Moment) -> Result<Head> {
    drop(lock_existing(dir)?);
    let log = open(dir, Settings::default()).await?.log;
    let fact = Fact::NetworkRestored(NetworkCreated { network });
    let head = log.append(vec![Record::new(log.head().number + 1, at, &fact)]).await?;
    log.close().await?;
    Ok(head)
}

/// Takes the log's lock, held as long as the file is.
pub(crate) fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let file = File::options().create(true).append(true).open(&path).doing("open", &path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(why)) => Err(why).doing("lock", &path),
    }
}

pub(crate) fn lock_existing(dir: &Path) -> Result<File> {
    if exists(dir)? { lock(dir) } else { Err(Error::Missing { dir: dir.to_owned() }) }
}

/// Brings both copies of the tail to what the survey found, and opens the log.
async fn mend(dir: &Path, lock: File, survey: Survey, settings: Settings) -> Result<Opened> {
    for finding in &survey.findings {
        tracing::warn!(log = %dir.display(), "{finding}");
    }
    let base = survey.base();
    let report = RecoveryReport {
        head: survey.head(),
        segments: survey.segments.len(),
        findings: survey.findings,
    };
    let tail = survey.merged.tail;
    // The journal first: once it has everything, a crash here costs nothing.
    let whole = survey.merged.journal == State::Sound && survey.merged.torn == 0;
    let journals = mend_journal(dir, base, &tail, survey.journals, whole)?;
    let rows = mend_rows(dir, base, &tail, &survey.merged.database).await?;
    let log = SqliteLog::start(dir, lock, settings, survey.segments, report.head, journals, rows);
    let snapshot = survey.snapshot.map(|snapshot| (snapshot.head, snapshot.bytes));
    Ok(Opened { log: Arc::new(log.await?), snapshot, report })
}

/// Leaves journal files with exactly the tail, the last of them open to append to; the others wait
/// to be sealed.
fn mend_journal(
    dir: &Path,
    base: Head,
    tail: &[Batch],
    mut paths: Vec<PathBuf>,
    whole: bool,
) -> Result<(Vec<PathBuf>, Journal)> {
    for sub in [dir.join("journal"), segment::directory(dir), snapshot::directory(dir)] {
        fs::create_dir_all(&sub).doing("create", &sub)?;
        for leftover in durable::list(&sub, durable::UNFINISHED)? {
            durable::remove(&leftover)?;
        }
    }
    durable::sync_dir(dir)?;
    let starts = |path: &PathBuf| journal::first_in_name(path);
    // A file whose facts are sealed is a leftover; its successor tells where it ended.
    while paths.get(1).is_some_and(|next| starts(next) <= base.number + 1) {
        durable::remove(&paths.remove(0))?;
    }
    let end = tail.last().map_or(base, |batch| batch.after).number;
    let straddles = paths.first().is_some_and(|path| starts(path) != base.number + 1);
    if whole && !straddles {
        let Some(last) = paths.pop() else {
            return Ok((paths, Journal::create(dir, base.number + 1)?));
        };
        let facts = (end + 1).saturating_sub(starts(&last));
        return Ok((paths, Journal::reopen(last, facts)?));
    }
    let path = journal::path(dir, base.number + 1);
    journal::rewrite(&path, tail)?;
    for old in paths.iter().filter(|old| **old != path) {
        durable::remove(old)?;
    }
    Ok((Vec::new(), Journal::reopen(path, end - base.number)?))
}

/// Leaves a database with exactly the tail.
async fn mend_rows(dir: &Path, base: Head, tail: &[Batch], state: &State) -> Result<Rows> {
    if matches!(state, State::Broken(_)) {
        rows::remove(dir)?;
    }
    let mut rows = Rows::open(dir).await.asking("open the log")?;
    rows.forget(base.number).await?;
    match state {
        State::Sound => {}
        State::Short(from) => rows.insert_all(&tail[*from..]).await?,
        State::Broken(_) => rows.insert_all(tail).await?,
    }
    Ok(rows)
}

/// Keeps what a lossy repair gives up in a directory of its own. Linked before anything is removed,
/// so that a crash in between loses nothing.
fn set_aside(dir: &Path, survey: &Survey) -> Result<PathBuf> {
    let name = |n: u32| dir.join(format!("damaged-{n}"));
    let aside = (1..).map(name).find(|path| !path.exists()).expect("numbers do not run out");
    fs::create_dir_all(&aside).doing("create", &aside)?;
    let mut gone = durable::list(&segment::directory(dir), segment::ENDING)?;
    gone.retain(|path| survey.segments.iter().all(|segment| segment.path != *path));
    let mut snapshots = snapshot::list(dir)?;
    snapshots.retain(|path| snapshot::number_in_name(path) > survey.head().number);
    gone.extend(snapshots);
    let mut kept = durable::list(&dir.join("journal"), journal::ENDING)?;
    kept.extend(["log.db", "log.db-wal"].map(|name| dir.join(name)));
    for path in gone.iter().chain(&kept).filter(|path| path.exists()) {
        let copy = aside.join(path.file_name().expect("a listed file has a name"));
        fs::hard_link(path, &copy)
            .or_else(|_| fs::copy(path, &copy).map(drop))
            .doing("keep", path)?;
    }
    durable::sync_dir(&aside)?;
    gone.iter().try_for_each(|path| durable::remove(path))?;
    Ok(aside)
}
