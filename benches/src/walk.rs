//! The group `loop`: submission to durable answer, submission to started process, restart from the
//! log; each on this machine's disk and on a slow one.

use crate::disk::{Disk, commits_per_s};
use crate::job;
use crate::load::Load;
use crate::network::{Network, Shape};
use crate::restart::Laden;
use crate::row::{self, Better, Bound, Figure, Samples};
use crate::start;
use anyhow::{Context, Result, anyhow};
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// No measurement takes longer than this, whatever goes wrong.
const PATIENCE: Duration = Duration::from_secs(150);
const BATCH: usize = 100;

const fn higher(name: &'static str, unit: &'static str, target: Option<f64>) -> Figure {
    Figure { name, unit, better: Better::Higher, target }
}

const fn lower(name: &'static str, unit: &'static str, target: Option<f64>) -> Figure {
    Figure { name, unit, better: Better::Lower, target }
}

const FSYNC: [Figure; 1] = [higher("fsync_per_s", "1/s", None)];
const SINGLE: [Figure; 3] = [
    higher("submit_single_per_s", "1/s", Some(1_000.0)),
    lower("submit_single_p99_ms", "ms", None),
    higher("submit_single_ended_per_s", "1/s", None),
];
const BATCHES: [Figure; 3] = [
    higher("submit_batch_per_s", "1/s", Some(5_000.0)),
    lower("submit_batch_p99_ms", "ms", None),
    higher("submit_batch_ended_per_s", "1/s", None),
];
const START: [Figure; 2] = [
    lower("submit_to_start_p50_ms", "ms", Some(50.0)),
    lower("submit_to_start_p99_ms", "ms", Some(250.0)),
];
const RESTART: [Figure; 1] = [lower("restart_100k_s", "s", Some(3.0))];
const RESTART_FULL: [Figure; 1] = [lower("restart_100k_full_s", "s", Some(10.0))];

/// A run of the group.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The program to measure.
    pub(crate) portolan: PathBuf,
    /// Where everything is kept meanwhile.
    pub(crate) dir: PathBuf,
    /// How the names of the rows to measure begin; all begin with nothing.
    pub(crate) only: String,
}

impl Walk {
    /// Measures the group and prints its rows as they come.
    pub(crate) async fn run(&self) {
        for disk in Disk::BOTH {
            let name = |what: &str| self.dir.join(format!("{what}{}", disk.suffix()));
            let commits = async { commits_per_s(&self.dir, disk) };
            let commits = self.rows(&FSYNC, disk, None, commits).await;
            let bound = commits.map(|value| Bound { name: "fsync_per_s", value });
            let singles = self.load(name("single"), disk, single());
            self.rows(&SINGLE, disk, bound, singles).await;
            let batches = self.load(name("batch"), disk, batch());
            self.rows(&BATCHES, disk, bound, batches).await;
            let starts = start::measure(&self.portolan, name("start"), disk);
            self.rows(&START, disk, None, starts).await;
        }
        if self.wants(&RESTART) || self.wants(&RESTART_FULL) {
            self.restarts().await;
        }
    }

    /// One log serves all restarts: filling it takes longer than they do.
    async fn restarts(&self) {
        let laden = Laden::fill(&self.portolan, self.dir.join("restart"));
        let mut filled = in_time("filling the log", laden).await;
        for disk in Disk::BOTH {
            for (figures, snapshots) in [(&RESTART, true), (&RESTART_FULL, false)] {
                let restarts = async {
                    let laden = filled.as_mut().map_err(|error| anyhow!("{error:#}"))?;
                    laden.restart(disk, snapshots).await
                };
                self.rows(figures, disk, None, restarts).await;
            }
        }
    }

    async fn load(&self, dir: PathBuf, disk: Disk, load: Load) -> Result<Vec<Samples>> {
        let network = Network::start(&self.portolan, dir, Shape::Timers, disk).await?;
        load.run(&network).await.map_err(|error| network.blame(&error))
    }

    fn wants(&self, figures: &[Figure]) -> bool {
        figures.iter().any(|figure| figure.name.starts_with(&self.only))
    }

    /// Measures figures, prints their rows and returns the first one's value.
    async fn rows(
        &self,
        figures: &[Figure],
        disk: Disk,
        bound: Option<Bound>,
        measure: impl Future<Output = Result<Vec<Samples>>>,
    ) -> Option<f64> {
        if !self.wants(figures) {
            return None;
        }
        let what = format!("{}{}", figures[0].name, disk.suffix());
        let measured = in_time(&what, measure).await;
        row::print(figures, disk.suffix(), bound, &measured);
        measured.ok()?.first().map(|samples| samples.value)
    }
}

fn single() -> Load {
    let bodies = (0..192).map(|n| job::single(&job::short(n))).collect();
    Load { bodies, jobs_each: 1 }
}

fn batch() -> Load {
    let jobs = |b: usize| (b * BATCH..(b + 1) * BATCH).map(job::short);
    let bodies = (0..48).map(|b| job::batch(jobs(b))).collect();
    Load { bodies, jobs_each: u32::try_from(BATCH).expect("a small number") }
}

async fn in_time<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    eprintln!("{what} …");
    let began = Instant::now();
    let done = tokio::time::timeout(PATIENCE, work).await;
    let done = done.with_context(|| format!("not done within {} s", PATIENCE.as_secs()));
    eprintln!("{what}: {:.1} s", began.elapsed().as_secs_f64());
    done.flatten()
}
