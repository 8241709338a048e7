//! `portolan-bench GROUP` measures a group of figures on the real programs and prints each as one
//! line of JSON on standard output; what it does meanwhile is on standard error.
//!
//! A measurement that fails is a row that says why. What a group owes is listed in `xtask`.
//!
//! Deliberately absent: tables, machines, commits and verdicts, which are the task runner's.

mod disk;
mod engines;
mod http;
mod job;
mod load;
mod network;
mod planner;
mod quality;
mod restart;
mod row;
mod sharing;
mod start;
mod transfer;
mod walk;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// As in `portolan`, whose planner and loop this program also runs in itself.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measure Portolan.
#[derive(Debug, Parser)]
struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Submission, start and restart.
    Loop(Options),
    /// Plans of national size.
    Planner(Options),
    /// Data on its way.
    Transfer(Options),
    /// Loads of many tenants under quotas.
    Sharing(Options),
    /// Programs that engines run, beside others.
    Engines(Options),
    /// Decisions beside others' and beside bounds.
    Quality(Options),
    /// One end of a copy that is measured.
    #[command(hide = true)]
    Serve(transfer::hands::Serve),
    /// The other end.
    #[command(hide = true)]
    Fetch(transfer::hands::Fetch),
}

#[derive(Debug, Args)]
struct Options {
    /// Where logs and attempts are kept meanwhile: on the disk to be measured. Beside the directory
    /// of this program where nothing is said.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Measure only the rows whose names begin so.
    #[arg(long, value_name = "NAME", default_value = "")]
    only: String,
    /// The folder with `openb/` and `delta/`, whose files are not shipped; rows that need them have
    /// no value without it.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Options {
    /// The directory, where nothing is said the one beside that of this program.
    fn dir(&self) -> Result<PathBuf> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let beside = program.ancestors().nth(2).map(PathBuf::from);
        self.dir.clone().or(beside).context("say --dir")
    }
}

fn main() -> Result<()> {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        bail!("there is a crypto provider already");
    }
    match Bench::parse().what {
        What::Loop(options) => measure_live(options, |portolan, dir, only| async move {
            walk::Walk { portolan, dir, only }.run().await;
        }),
        What::Sharing(options) => {
            let player = planner::Player { portolan: portolan()?, data: options.data.clone() };
            measure_live(options, |portolan, dir, only| async move {
                sharing::Owners { portolan, dir, only, player }.run().await;
            })
        }
        What::Planner(Options { only, data, .. }) => {
            planner::run(&only, &planner::Player { portolan: portolan()?, data });
            Ok(())
        }
        What::Quality(options) => {
            let data = options.data.clone();
            let player = planner::Player { portolan: portolan()?, data: data.clone() };
            measure_live(options, |portolan, dir, only| async move {
                quality::Quality { only, data, player, portolan, dir }.run().await;
            })
        }
        What::Engines(options) => measure_live(options, |portolan, dir, only| async move {
            engines::Engines { portolan, dir, only }.run().await;
        }),
        What::Transfer(options) => {
            transfer::run(&options.only, &options.dir()?);
            Ok(())
        }
        What::Serve(order) => hand(transfer::hands::serve(order)),
        What::Fetch(order) => hand(transfer::hands::fetch(order)),
    }
}

/// Runs one end of a copy as an agent would.
fn hand(end: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(end)
}

/// The program to measure.
fn portolan() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let portolan = program.with_file_name("portolan");
    if !portolan.exists() {
        bail!("{} is missing: `cargo xtask bench` builds it", portolan.display());
    }
    Ok(portolan)
}

/// Measures what runs real networks, in a directory of its own.
fn measure_live<F: Future<Output = ()>>(
    options: Options,
    measure: impl FnOnce(PathBuf, PathBuf, String) -> F,
) -> Result<()> {
    let (portolan, base) = (portolan()?, options.dir()?);
    let dir = tempfile::Builder::new().prefix("bench-").tempdir_in(&base);
    let dir = dir.with_context(|| format!("cannot use {}", base.display()))?;
    // Attempts that run as users of their own pass through.
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o711))?;
    // One thread: two cores are little for a server, three agents and what submits to them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            () = measure(portolan, dir.path().to_owned(), options.only) => Ok(()),
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        }
    })
}
