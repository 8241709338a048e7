//! `portolan jobs`.

use super::tone;
use crate::look::Look;
use crate::session::{Session, note, print};
use crate::table::{Cell, Column, Table, or_dash};
use clap::Args;
use client::JobFilter;
use model::{CenterId, Chips, JobId, TenantId};
use std::io::IsTerminal;
use std::time::Duration;
use wire::view::{Job, Jobs};

/// List jobs, newest first.
#[derive(Debug, Clone, Args)]
pub(crate) struct List {
    /// In this state: held, blocked, waiting, offered, staging, running, stopping, ending, completed,
    /// failed, timed-out, canceled, lapsed, unmet, of reservations booked, open; or live or ended.
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Of this tenant.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantId>,
    /// Whose name contains this.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Whose newest attempt is or was in this center.
    #[arg(long, value_name = "CENTER")]
    center: Option<CenterId>,
    /// Of the array with this first job.
    #[arg(long, value_name = "JOB")]
    array: Option<JobId>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// All of them, however many.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Show the list again every two seconds, until Ctrl-C.
    #[arg(long, short)]
    watch: bool,
}

/// The most jobs asked for at once.
pub(crate) const PAGE: usize = 1_000;
/// How often a watched list is shown again.
const AGAIN: Duration = Duration::from_secs(2);

impl List {
    /// Prints the jobs.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        loop {
            let jobs = self.fetch(&client).await?;
            if self.watch && !session.is_json() && std::io::stdout().is_terminal() {
                // To the top left, and everything below it blank.
                print("\x1b[H\x1b[2J\x1b[3J")?;
            }
            session.show(&jobs, table)?;
            if !self.watch {
                if jobs.next.is_some() && !session.is_json() {
                    note("There are more; see --limit and --all.");
                }
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                signal = tokio::signal::ctrl_c() => return Ok(signal?),
            }
        }
    }

    async fn fetch(&self, client: &client::Client) -> anyhow::Result<Jobs> {
        let wanted = if self.all { usize::MAX } else { usize::try_from(self.limit)? };
        let mut jobs = Jobs { jobs: Vec::new(), next: None };
        loop {
            let page = client
                .jobs(&JobFilter {
                    tenant: self.tenant.as_ref().map(ToString::to_string),
                    state: self.state.clone(),
                    name: self.name.clone(),
                    center: self.center.as_ref().map(ToString::to_string),
                    array: self.array,
                    limit: Some((wanted - jobs.jobs.len()).min(PAGE)),
                    before: jobs.next.take(),
                })
                .await?;
            jobs.jobs.extend(page.jobs);
            jobs.next = page.next;
            if jobs.next.is_none() || jobs.jobs.len() >= wanted {
                return Ok(jobs);
            }
        }
    }
}

/// Jobs as a table.
pub(crate) fn table(jobs: &Jobs, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("JOB"),
        Column::new("NAME").least(10),
        Column::new("TENANT").least(8).rank(2),
        Column::new("STATE"),
        Column::new("CENTER").least(8).rank(1),
        Column::new("CHIPS").right().rank(3),
        Column::new("CHIP").least(12).rank(5),
        Column::new("WAITED").right().rank(4),
        Column::new("RAN").right().rank(3),
    ]);
    for job in &jobs.jobs {
        table.row([
            job.job.into(),
            job.name.as_str().into(),
            job.tenant.as_str().into(),
            Cell::new(job.state.as_str(), tone(&job.state)),
            or_dash(job.center.as_ref()).into(),
            chips(job.chips_milli).into(),
            or_dash(job.chip.as_ref().filter(|_| job.chips_milli > Chips::ZERO)).into(),
            look.span(job.submitted_ms, job.started_ms.or(job.ended_ms)).into(),
            ran(job, look).into(),
        ]);
    }
    table.render(look, "no jobs")
}

/// Chips, where there are any.
pub(crate) fn chips(chips: Chips) -> String {
    if chips == Chips::ZERO { "-".to_owned() } else { chips.to_string() }
}

/// How long its newest attempt ran, or runs.
pub(crate) fn ran(job: &Job, look: &Look) -> String {
    or_dash(job.started_ms.map(|started| look.span(started, job.ended_ms)))
}
