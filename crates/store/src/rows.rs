//! The database: the unsealed tail again, one row a batch, for reading by number.

use crate::chain::Batch;
use crate::durable;
use crate::error::{Asking, Result};
use model::Digest;
use model::fact::Head;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row, query, query_scalar};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS batches (
    first INTEGER PRIMARY KEY, last INTEGER NOT NULL,
    headers BLOB NOT NULL, payloads BLOB NOT NULL, head BLOB NOT NULL) STRICT";

/// How many rows one statement reads.
const PAGE: i64 = 256;

/// The database of the log in `dir`.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("log.db")
}

/// Removes the database of the log in `dir`.
pub(crate) fn remove(dir: &Path) -> Result<()> {
    remove_database(&path(dir))
}

/// Removes the database at `path` and what SQLite keeps beside it.
pub(crate) fn remove_database(path: &Path) -> Result<()> {
    for ending in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        durable::remove(Path::new(&name))?;
    }
    Ok(())
}

/// How every connection to a database of ours is made. It never syncs on commit: the journal does.
pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(Duration::from_secs(10))
        // A checkpoint syncs twice in the middle of a commit: every 16 MiB is often enough.
        .pragma("wal_autocheckpoint", "4096")
        .disable_statement_logging()
}

/// The one connection that writes. Each statement is a transaction of its own, so it takes the
/// write lock at once and never has to upgrade to it.
#[derive(Debug)]
pub(crate) struct Rows(SqliteConnection);

impl Rows {
    /// Opens the database in `dir`, making it if there is none.
    pub(crate) async fn open(dir: &Path) -> Result<Self, sqlx::Error> {
        let mut connection = options(&path(dir)).connect().await?;
        query(SCHEMA).execute(&mut connection).await?;
        Ok(Self(connection))
    }

    /// Adds one batch.
    pub(crate) async fn insert(&mut self, batch: &Batch) -> Result<()> {
        query("INSERT INTO batches VALUES (?, ?, ?, ?, ?)")
            .bind(signed(batch.first()))
            .bind(signed(batch.after.number))
            .bind(&batch.headers)
            .bind(&batch.payloads)
            .bind(&batch.after.digest.as_bytes()[..])
            .execute(&mut self.0)
            .await
            .asking("append a batch")
            .map(drop)
    }

    /// Adds batches in one transaction.
    pub(crate) async fn insert_all(&mut self, batches: &[Batch]) -> Result<()> {
        const DOING: &str = "restore batches";
        query("BEGIN IMMEDIATE").execute(&mut self.0).await.asking(DOING)?;
        for batch in batches {
            self.insert(batch).await?;
        }
        query("COMMIT").execute(&mut self.0).await.asking(DOING).map(drop)
    }

    /// Removes the batches up to fact `last`.
    pub(crate) async fn forget(&mut self, last: u64) -> Result<()> {
        query("DELETE FROM batches WHERE last <= ?")
            .bind(signed(last))
            .execute(&mut self.0)
            .await
            .asking("remove sealed batches")
            .map(drop)
    }

    /// Replaces the payloads of `batch`.
    pub(crate) async fn replace(&mut self, batch: &Batch) -> Result<()> {
        query("UPDATE batches SET payloads = ? WHERE first = ?")
            .bind(&batch.payloads)
            .bind(signed(batch.first()))
            .execute(&mut self.0)
            .await
            .asking("erase a payload")
            .map(drop)
    }

    /// Leaves no trace of what was removed or replaced in free pages and in the WAL.
    pub(crate) async fn scrub(&mut self) -> Result<()> {
        for statement in ["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"] {
            query(statement).execute(&mut self.0).await.asking("scrub")?;
        }
        Ok(())
    }

    /// Every batch there is; or what is wrong with the database, as far as it can be read.
    /// An error is the machine's fault, not the file's.
    pub(crate) async fn load(&mut self) -> Result<Loaded> {
        let mut loaded = Loaded::default();
        if let Err(why) = loaded.fill(&mut self.0).await {
            loaded.damaged = Some(blame(why)?);
        }
        Ok(loaded)
    }

    /// Closes it; its WAL is merged and removed.
    pub(crate) async fn close(self) -> Result<()> {
        self.0.close().await.asking("close the log")
    }
}

/// What the database holds.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Its rows; what each follows is not known to them, so `before` has no digest yet.
    pub(crate) batches: Vec<Batch>,
    /// What is wrong with the file.
    pub(crate) damaged: Option<String>,
}

impl Loaded {
    async fn fill(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let mut after = i64::MIN;
        loop {
            let page = query("SELECT * FROM batches WHERE first > ? ORDER BY first LIMIT ?");
            let rows = page.bind(after).bind(PAGE).fetch_all(&mut *connection).await?;
            let Some(last) = rows.last() else { break };
            let last = last.try_get(0)?;
            if last <= after {
                return Err(sqlx::Error::Protocol("rows are out of order".into()));
            }
            after = last;
            for row in rows {
                self.batches.push(batch(&row, None)?);
            }
        }
        let verdict: String = query_scalar("PRAGMA quick_check(1)").fetch_one(connection).await?;
        self.damaged = (verdict != "ok").then_some(verdict);
        Ok(())
    }
}

/// What is wrong with the file if `why` is its fault; the error if it is the machine's.
pub(crate) fn blame(why: sqlx::Error) -> Result<String> {
    const SHORT_READ: i32 = 522;
    let code = match &why {
        sqlx::Error::Database(error) => error.code().and_then(|c| c.parse::<i32>().ok()),
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => None,
        _ => Some(1),
    };
    // SQLite's primary result codes for: no permission, busy, locked, no memory, interrupted,
    // input/output, full.
    match code {
        Some(SHORT_READ) => Ok(why.to_string()),
        Some(code) if ![3, 5, 6, 7, 9, 10, 13].contains(&(code & 0xff)) => Ok(why.to_string()),
        _ => Err(why).asking("read the log"),
    }
}

/// The connections that read.
#[derive(Debug, Clone)]
pub(crate) struct Readers(SqlitePool);

impl Readers {
    /// Opens them.
    pub(crate) async fn open(dir: &Path) -> Result<Self> {
        let options = options(&path(dir)).read_only(true);
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await;
        pool.map(Self).asking("open the log for reading")
    }

    /// The head before the batch that holds fact `number`, if an earlier batch is here to tell.
    pub(crate) async fn head_before(&self, number: u64) -> Result<Option<Head>> {
        let row = query(
            "SELECT last, head FROM batches WHERE last < ?1 AND first <= ?1
             ORDER BY first DESC LIMIT 1",
        )
        .bind(signed(number))
        .fetch_optional(&self.0)
        .await
        .asking("read the log")?;
        let head =
            |row: SqliteRow| Ok(Head { number: number_at(&row, 0)?, digest: digest(&row, 1)? });
        row.map(head).transpose().asking("read the log")
    }

    /// The next batches from the one that holds the fact after `head`, `head` being the head before
    /// that batch; few or many, none if there is no such row.
    pub(crate) async fn batches(&self, head: Head, at_most: i64) -> Result<Vec<Batch>> {
        let rows = query("SELECT * FROM batches WHERE first > ? ORDER BY first LIMIT ?")
            .bind(signed(head.number))
            .bind(at_most.min(PAGE))
            .fetch_all(&self.0)
            .await
            .asking("read the log")?;
        let mut before = head;
        let mut batches = Vec::with_capacity(rows.len());
        for row in rows {
            let batch = batch(&row, Some(before)).asking("read the log")?;
            before = batch.after;
            batches.push(batch);
        }
        Ok(batches)
    }

    /// Closes them.
    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

/// A row as the batch after `before`.
fn batch(row: &SqliteRow, before: Option<Head>) -> Result<Batch, sqlx::Error> {
    let first = number_at(row, 0)?;
    let alone = Head { number: first.saturating_sub(1), digest: model::fact::GENESIS };
    let before = before.filter(|head| head.number == alone.number).unwrap_or(alone);
    let after = Head { number: number_at(row, 1)?, digest: digest(row, 4)? };
    Ok(Batch { before, after, headers: row.try_get(2)?, payloads: row.try_get(3)? })
}

fn digest(row: &SqliteRow, column: usize) -> Result<Digest, sqlx::Error> {
    let bytes: &[u8] = row.try_get(column)?;
    let bytes = bytes.try_into().map_err(|_| sqlx::Error::Protocol("a head is 32 bytes".into()))?;
    Ok(Digest::from_bytes(bytes))
}

fn number_at(row: &SqliteRow, column: usize) -> Result<u64, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|_| sqlx::Error::Protocol("a fact's number is negative".into()))
}

/// A fact's number as SQLite has it. Numbers are handed out one by one, so 63 bits are enough.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
