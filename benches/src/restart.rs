//! From kill -9 to ready, with 100,000 jobs in the log.

use crate::disk::Disk;
use crate::http::JSON;
use crate::job;
use crate::network::{Counts, Network, Shape, TENANTS, until};
use crate::row::Samples;
use anyhow::{Context, Result};
use hyper::Method;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Jobs that wait or run when the server is killed.
const JOBS: usize = 100_000;
/// Jobs that ended before: six facts each, so that with a snapshot every 50,000 facts the kill
/// comes between two of them, not just after one.
const ENDED: usize = 4_200;
const BATCH: usize = 1_000;
const CONNECTIONS: usize = 8;
/// No fact for so long means that all has settled.
const QUIET: Duration = Duration::from_millis(1_500);
const RESTARTS: usize = 3;

/// A network whose server has much to remember.
#[derive(Debug)]
pub(crate) struct Laden(Network);

impl Laden {
    /// Starts the network and fills its log. The log is written on the disk as it is; what a slow
    /// one would change is only how many facts share a commit, and that in its favor.
    pub(crate) async fn fill(portolan: &Path, dir: PathBuf) -> Result<Self> {
        let network = Network::start(portolan, dir, Shape::Timers, Disk::Own).await?;
        let filled = fill(&network).await;
        filled.map_err(|error| network.blame(&error))?;
        Ok(Self(network))
    }

    /// Seconds from starting the killed server until it is ready: with the snapshots it took by
    /// itself, or from the log alone.
    pub(crate) async fn restart(&mut self, disk: Disk, snapshots: bool) -> Result<Vec<Samples>> {
        let mut took_s = Vec::new();
        for _ in 0..RESTARTS {
            self.0.kill_server();
            if !snapshots {
                forget_snapshots(&self.0.server_dir().join("snapshots"))?;
            }
            let restarted = self.0.restart(disk).await;
            took_s.push(restarted.map_err(|error| self.0.blame(&error))?.as_secs_f64());
            self.check().await.map_err(|error| self.0.blame(&error))?;
        }
        Ok(vec![Samples::median(&took_s)])
    }

    /// A restart that forgot jobs is none.
    async fn check(&self) -> Result<()> {
        let counts = Counts::read(&mut self.0.connect().await?).await?;
        let remembered = counts.waiting + 3 * 64 + counts.ended >= (JOBS + ENDED) as u64;
        remembered.then_some(()).with_context(|| format!("jobs were lost: {counts:?}"))
    }
}

async fn fill(network: &Network) -> Result<()> {
    let mut operator = network.connect().await?;
    submit(network, ENDED, job::short).await?;
    until("the first jobs to end", async || {
        Ok((Counts::read(&mut operator).await?.ended >= ENDED as u64).then_some(()))
    })
    .await?;
    submit(network, JOBS, job::long).await?;
    let mut last = (Counts::read(&mut operator).await?, Instant::now());
    until("facts to stop coming", async || {
        let counts = Counts::read(&mut operator).await?;
        if counts != last.0 {
            last = (counts, Instant::now());
        }
        Ok((last.1.elapsed() > QUIET).then_some(()))
    })
    .await?;
    eprintln!("  {:?}", last.0);
    Ok(())
}

/// Submits `jobs` jobs in batches over some connections.
async fn submit(network: &Network, jobs: usize, job: fn(usize) -> serde_json::Value) -> Result<()> {
    let mut connections = JoinSet::new();
    for i in 0..CONNECTIONS {
        let mut connection = network.connect_as(TENANTS[i % TENANTS.len()]).await?;
        connections.spawn(async move {
            for first in (i * BATCH..jobs).step_by(CONNECTIONS * BATCH) {
                let batch = job::batch((first..jobs.min(first + BATCH)).map(job));
                connection.send(Method::POST, "/v1/jobs", JSON, batch).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(submitted) = connections.join_next().await {
        submitted.context("a connection broke off")??;
    }
    Ok(())
}

fn forget_snapshots(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}
