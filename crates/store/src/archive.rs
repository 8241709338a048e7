//! The archive: what is over, for people and their tools, in a database of its own.
//!
//! A projection of the log with its own cursor, written asynchronously and rebuildable at any time:
//! delete the file and feed it the log again. Tools read the view `jobs_archive`; the table behind
//! it keeps documents apart, so that lists and searches touch only what they show.

use crate::error::{Asking, Error, Result};
use crate::rows::{self, blame};
use sqlx::sqlite::{Sqlite, SqlitePool, SqlitePoolOptions};
use sqlx::{FromRow, QueryBuilder, query, query_as, query_scalar};
use std::collections::BTreeMap;
use std::path::Path;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS jobs (
    job INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL,
    submitted INTEGER NOT NULL, ended INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS jobs_by_tenant ON jobs (tenant, job);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, job);
CREATE INDEX IF NOT EXISTS jobs_by_both ON jobs (tenant, state, job);
CREATE TABLE IF NOT EXISTS docs (job INTEGER PRIMARY KEY, doc BLOB NOT NULL) STRICT;
CREATE VIEW IF NOT EXISTS jobs_archive AS SELECT jobs.*, doc FROM jobs JOIN docs USING (job);
CREATE TABLE IF NOT EXISTS tallies (
    tenant TEXT, state TEXT, jobs INTEGER NOT NULL, PRIMARY KEY (tenant, state)) STRICT;
CREATE TRIGGER IF NOT EXISTS tally_in AFTER INSERT ON jobs BEGIN
    INSERT INTO tallies VALUES (new.tenant, new.state, 1)
    ON CONFLICT (tenant, state) DO UPDATE SET jobs = jobs + 1;
END;
CREATE TRIGGER IF NOT EXISTS tally_out AFTER DELETE ON jobs BEGIN
    UPDATE tallies SET jobs = jobs - 1 WHERE tenant = old.tenant AND state = old.state;
END;
CREATE TABLE IF NOT EXISTS progress (
    one INTEGER PRIMARY KEY CHECK (one = 1), cursor INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO progress VALUES (1, 0);
";

/// How many rows one statement carries; SQLite takes 32,766 values. Such statements are not kept
/// for the next time: each number of rows is another one, of a megabyte.
const ROWS: usize = 1000;

/// A job that is over.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ArchivedJob {
    /// Its number.
    #[sqlx(try_from = "i64")]
    pub job: u64,
    /// Whose it was.
    pub tenant: String,
    /// What it was called.
    pub name: String,
    /// How it ended, as the caller words it.
    pub state: String,
    /// When it was submitted, in milliseconds since 1970.
    #[sqlx(try_from = "i64")]
    pub submitted: u64,
    /// When it ended, likewise.
    #[sqlx(try_from = "i64")]
    pub ended: u64,
    /// All else about it: the caller's bytes.
    pub doc: Vec<u8>,
}

/// Which jobs are wanted. Empty wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this tenant.
    pub tenant: Option<String>,
    /// Only in this state.
    pub state: Option<String>,
    /// Only with this in their name, whatever the case of ASCII letters.
    pub name: Option<String>,
    /// Only with a lower number: the last one of the page before.
    pub before: Option<u64>,
}

/// The archive. Clones share it.
#[derive(Debug, Clone)]
pub struct Archive {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Archive {
    /// Opens the archive in the file `path`, making it if there is none. A damaged one is made anew,
    /// with its cursor at zero.
    pub async fn open(path: &Path) -> Result<Self> {
        match Self::try_open(path).await {
            Ok(archive) => return Ok(archive),
            Err(Error::Database { source, .. }) => {
                let what = blame(source)?;
                tracing::warn!(archive = %path.display(), what, "damaged; made anew from the log");
            }
            Err(other) => return Err(other),
        }
        rows::remove_database(path)?;
        Self::try_open(path).await
    }

    async fn try_open(path: &Path) -> Result<Self> {
        const DOING: &str = "open the archive";
        let options = rows::options(path);
        let pool = || SqlitePoolOptions::new().idle_timeout(None).max_lifetime(None);
        let writer = pool().max_connections(1).connect_with(options.clone()).await.asking(DOING)?;
        if let Err(why) = Self::prepare(&writer).await {
            writer.close().await;
            return Err(why).asking(DOING);
        }
        let readers = pool().max_connections(4).connect_with(options.read_only(true));
        Ok(Self { writer, readers: readers.await.asking(DOING)? })
    }

    async fn prepare(writer: &SqlitePool) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(SCHEMA).execute(writer).await?;
        let _cursor: i64 = query_scalar("SELECT cursor FROM progress").fetch_one(writer).await?;
        Ok(())
    }

    /// The number of the last fact it knows of; zero in a new one.
    pub async fn cursor(&self) -> Result<u64> {
        let cursor: i64 = query_scalar("SELECT cursor FROM progress")
            .fetch_one(&self.writer)
            .await
            .asking("read the archive's cursor")?;
        Ok(u64::try_from(cursor).unwrap_or(0))
    }

    /// Adds `jobs`, replacing those it has, and moves the cursor to fact `cursor`: both or neither.
    /// Of two with one number the later counts.
    pub async fn put(&self, jobs: &[ArchivedJob], cursor: u64) -> Result<()> {
        const DOING: &str = "write to the archive";
        let latest: BTreeMap<u64, &ArchivedJob> = jobs.iter().map(|job| (job.job, job)).collect();
        let jobs: Vec<&ArchivedJob> = latest.into_values().collect();
        let mut write = self.writer.begin_with("BEGIN IMMEDIATE").await.asking(DOING)?;
        for part in jobs.chunks(ROWS) {
            let mut gone = QueryBuilder::<Sqlite>::new("DELETE FROM jobs WHERE job IN (");
            let mut numbers = gone.separated(", ");
            for job in part {
                numbers.push_bind(signed(job.job));
            }
            gone.push(")");
            gone.build().persistent(false).execute(&mut *write).await.asking(DOING)?;
            let mut rows = QueryBuilder::<Sqlite>::new("INSERT INTO jobs ");
            rows.push_values(part, |mut row, job| {
                row.push_bind(signed(job.job)).push_bind(&job.tenant).push_bind(&job.name);
                row.push_bind(&job.state);
                row.push_bind(signed(job.submitted)).push_bind(signed(job.ended));
            });
            rows.build().persistent(false).execute(&mut *write).await.asking(DOING)?;
            let mut docs = QueryBuilder::<Sqlite>::new("INSERT OR REPLACE INTO docs ");
            docs.push_values(part, |mut row, job| {
                row.push_bind(signed(job.job)).push_bind(&job.doc);
            });
            docs.build().persistent(false).execute(&mut *write).await.asking(DOING)?;
        }
        query("UPDATE progress SET cursor = ?")
            .bind(signed(cursor))
            .execute(&mut *write)
            .await
            .asking(DOING)?;
        write.commit().await.asking(DOING)
    }

    /// One job.
    pub async fn get(&self, job: u64) -> Result<Option<ArchivedJob>> {
        query_as("SELECT * FROM jobs_archive WHERE job = ?")
            .bind(signed(job))
            .fetch_optional(&self.readers)
            .await
            .asking("read the archive")
    }

    /// At most `limit` jobs, the highest numbers first.
    pub async fn list(&self, filter: &Filter, limit: u32) -> Result<Vec<ArchivedJob>> {
        // Numbers first, so that no document is read that is not shown.
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT * FROM jobs_archive WHERE job IN (SELECT job FROM jobs WHERE job < ",
        );
        sql.push_bind(filter.before.map_or(i64::MAX, signed));
        if let Some(tenant) = &filter.tenant {
            sql.push(" AND tenant = ").push_bind(tenant);
        }
        if let Some(state) = &filter.state {
            sql.push(" AND state = ").push_bind(state);
        }
        if let Some(name) = &filter.name {
            sql.push(" AND instr(lower(name), lower(").push_bind(name).push(")) > 0");
        }
        sql.push(" ORDER BY job DESC LIMIT ").push_bind(limit).push(") ORDER BY job DESC");
        sql.build_query_as()
            .persistent(false)
            .fetch_all(&self.readers)
            .await
            .asking("read the archive")
    }

    /// How many jobs there are in each state, of one tenant or of all.
    pub async fn counts(&self, tenant: Option<&str>) -> Result<BTreeMap<String, u64>> {
        let rows: Vec<(String, i64)> = query_as(
            "SELECT state, SUM(jobs) FROM tallies WHERE ?1 IS NULL OR tenant = ?1
             GROUP BY state HAVING SUM(jobs) > 0",
        )
        .bind(tenant)
        .fetch_all(&self.readers)
        .await
        .asking("read the archive")?;
        Ok(rows.into_iter().map(|(state, jobs)| (state, jobs.unsigned_abs())).collect())
    }

    /// Writes what is pending and closes it.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
