//! `portolan load`: a load, replayed against a running server.
//!
//! A load is read as the simulator reads it, cut to the timer centers that the server has, submitted
//! through the API at its times, and followed by the log's facts. What the planner sees is what people
//! asked for; how long a job really runs is told to the timer alone.

mod follow;
mod job;
mod ledger;
mod network;
mod replay;
mod report;

use crate::failure::{Code, Failure};
use crate::progress;
use crate::session::{Session, note};
use crate::simulate::failed;
use clap::{Args, ValueEnum};
use client::Client;
use job::{Job, Pace};
use model::{Span, TenantId};
use network::Ground;
use replay::{Limits, Replay, Replayed};
use report::Report;
use simulator::scenario::{Scenario, Told};
use std::collections::BTreeSet;
use std::path::PathBuf;
use wire::view::{Document, NetworkFiles};

/// How many names a message lists.
const NAMED: usize = 5;

const HELP: &str = "\
A load is a scenario file, of which only `[load]` counts, or a bare list of jobs:
  FILE.toml   as `portolan simulate` plays it (scenarios/README.md)
  FILE.csv    a table with the columns submit, chips and work (seconds), and any of tenant,
              workload, limit, priority, preemptible, classes, models, end, cores, memory_gib
  FILE.swf    a list in the Standard Workload Format
The planner is told the limit; the timer runs as long as the job turns out to. Datasets that jobs
read are left out. Jobs too large for every timer pool are left out and counted.

Examples:
  A network of timers (docs/load.md starts one), then a small load at its times:
    portolan apply catalog/networks/timers.toml
    portolan load scenarios/short-jobs.toml
  As fast as the server takes it, or a recorded day in minutes:
    portolan load scenarios/short-jobs.toml --speed max
    portolan load scenarios/philly.toml --speed 10000 --declare-tenants
  Figures for a program; the exit code is not 0 where jobs were lost, refused or ended otherwise
  than the load says:
    portolan load jobs.csv --tenant lab --output json";

/// Replay a load against a running server whose centers run timers, and report how it went.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Load {
    /// The load: a scenario's file or a list of jobs.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How much faster than the load's time all of it goes, run times and limits too; `max` submits
    /// everything at once and leaves run times as they are.
    #[arg(long, value_name = "FACTOR", default_value = "1")]
    speed: Pace,
    /// Submit all jobs for this tenant, whoever the load names.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantId>,
    /// Declare the load's tenants that the network does not have; operators may.
    #[arg(long, conflicts_with = "tenant")]
    declare_tenants: bool,
    /// Apply these network files first: the load's tenants with their quotas, say; operators may.
    #[arg(long, value_name = "FILE")]
    apply: Vec<PathBuf>,
    /// The load's seed, where it is drawn; the scenario's first where none is named.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// This list of jobs instead of the scenario's, in the same form.
    #[arg(long, value_name = "FILE")]
    jobs: Option<PathBuf>,
    /// The folder to look for the scenario's files in first.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What the times to admission are told by; by workload where there are few, else by size.
    #[arg(long, value_enum, value_name = "WHAT")]
    by: Option<By>,
    /// How many submissions are under way at once at the most.
    #[arg(long, value_name = "N", default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    /// How long the server may be silent, and nothing may happen to jobs beyond their run times,
    /// before those that have not ended count as lost.
    #[arg(long, value_name = "TIME", default_value = "2m")]
    patience: Span,
}

/// What jobs are classed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// What the load says they have in common.
    Workload,
    /// How many chips they take.
    Size,
    /// Their priority.
    Priority,
    /// Whose they are.
    Tenant,
}

impl Load {
    /// Replays the load and tells what came of it.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        if !self.apply.is_empty() {
            let files =
                NetworkFiles { network: crate::network::read(&self.apply)?, chips: Vec::new() };
            let applied = client.apply(&files).await;
            applied.map_err(|error| crate::network::misprint(error, &files))?;
        }
        let ground = Ground::look(&client).await?;
        let jobs = self.read(&ground)?;
        let (jobs, unfit) = ground.sort_out(jobs)?;
        self.welcome(&jobs, &ground, &client).await?;
        if let Some(said) = ground.silence() {
            note(said);
        }
        let bar = progress::jobs(jobs.len() as u64);
        let limits = Limits {
            connections: self.connections.into(),
            patience: self.patience.to_std(),
            longest: jobs.iter().map(Job::longest).max().unwrap_or_default().to_std(),
        };
        let replayed = Replay::new(client, &jobs, &ground.only, limits, bar.clone()).run().await;
        bar.finish_and_clear();
        let replayed = replayed?;
        for (count, why) in replayed.refusals() {
            note(format!("{count} jobs refused: {why}"));
        }
        let report = Report::of(&jobs, unfit, &ground, &replayed, self.by);
        session.show(&report, report::text)?;
        judge(&report, &replayed)
    }

    /// The jobs of the load, in the order they come.
    fn read(&self, ground: &Ground) -> anyhow::Result<Vec<Job>> {
        let told = Told { data: self.data.clone(), jobs: self.jobs.clone(), ..Told::default() };
        let scenario = Scenario::on(ground.declared.clone(), &self.file, &told).map_err(failed)?;
        let seed = self.seed.or(scenario.seeds.first().copied()).unwrap_or(1);
        let case = scenario.case(None, seed).map_err(failed)?;
        let jobs = job::all(case.arrivals(), self.speed, self.tenant.as_ref());
        if jobs.is_empty() {
            let what = format!("there are no jobs in {}", self.file.display());
            return Err(Failure::said(Code::Invalid, what).into());
        }
        Ok(jobs)
    }

    /// That the network has all tenants; declares those it has not, if that is wanted.
    async fn welcome(&self, jobs: &[Job], ground: &Ground, client: &Client) -> anyhow::Result<()> {
        let named: BTreeSet<&TenantId> = jobs.iter().map(|job| &job.spec.tenant).collect();
        let unknown: Vec<&TenantId> =
            named.into_iter().filter(|tenant| !ground.tenants.contains(*tenant)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        if !self.declare_tenants {
            let what = format!("the network has no {} that this load names", listed(&unknown));
            let help = "declare them with --declare-tenants or in a network file, or submit all \
                        jobs for one with --tenant; `portolan tenants` lists those there are";
            return Err(Failure::said(Code::NotFound, what).help(help).into());
        }
        let text = unknown.iter().map(|tenant| format!("[[tenant]]\ntenant = \"{tenant}\"\n"));
        let file = Document { name: "the load's tenants".to_owned(), text: text.collect() };
        client.apply(&NetworkFiles { network: vec![file], chips: Vec::new() }).await?;
        Ok(())
    }
}

/// Tenants, the first few by name.
fn listed(tenants: &[&TenantId]) -> String {
    let names: Vec<&str> = tenants.iter().take(NAMED).map(|tenant| tenant.as_str()).collect();
    let rest = match tenants.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let word = if tenants.len() == 1 { "tenant" } else { "tenants" };
    format!("{word} {}{rest}", names.join(", "))
}

/// The exit code: what was not as it should have been, after the figures were told.
fn judge(report: &Report, replayed: &Replayed) -> anyhow::Result<()> {
    if replayed.interrupted {
        note("broken off; jobs submitted so far go on, `portolan jobs` shows them");
        return Err(Failure::Told(Code::Interrupted).into());
    }
    let mut wrong = Vec::new();
    if report.lost > 0 {
        wrong.push(format!("{} jobs were lost", report.lost));
    }
    if report.refused > 0 {
        wrong.push(format!("{} were refused", report.refused));
    }
    if report.astray > 0 {
        wrong.push(format!("{} ended otherwise than the load says", report.astray));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let failure = Failure::said(Code::Failed, wrong.join(", "));
    let failure = match replayed.lost().next() {
        Some(job) => failure.help(format!(
            "`portolan why {job}` says why the first of the lost has not ended; a longer --patience \
             waits longer"
        )),
        None => failure,
    };
    Err(failure.into())
}

#[cfg(test)]
mod tests;
