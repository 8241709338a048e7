//! `portolan scontrol`.

use super::row::{chips, hosts};
use super::{clock, date, job, state};
use crate::failure::{Code, Failure, report};
use crate::look::Look;
use crate::session::Session;
use clap::{Args, Subcommand};
use model::JobId;
use wire::view::JobDetail;

/// Hold, release and show jobs as Slurm's scontrol does.
#[derive(Debug, Subcommand)]
pub(crate) enum Scontrol {
    /// Keep waiting jobs from being planned.
    Hold(Which),
    /// Let held jobs be planned.
    Release(Which),
    /// Show what is known of a job.
    #[command(subcommand)]
    Show(Show),
}

/// Jobs to change.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Which, such as 42.
    #[arg(required = true, value_name = "JOB", value_delimiter = ',', value_parser = job)]
    jobs: Vec<JobId>,
}

/// What to show.
#[derive(Debug, Subcommand)]
pub(crate) enum Show {
    /// A job, in Slurm's fields.
    #[command(visible_aliases = ["jobid", "jobs"])]
    Job {
        /// Which, such as 42.
        #[arg(value_name = "JOB", value_parser = job)]
        job: JobId,
    },
}

impl Scontrol {
    /// Does it.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        let (jobs, holds) = match self {
            Self::Show(Show::Job { job }) => {
                return session.show(&client.job(job).await?, shown);
            }
            Self::Hold(which) => (which.jobs, true),
            Self::Release(which) => (which.jobs, false),
        };
        let mut failed: Option<Code> = None;
        for job in jobs {
            let changed = if holds { client.hold(job).await } else { client.release(job).await };
            if let Err(error) = changed {
                let code = report(&anyhow::Error::new(error).context(job), &session.look);
                failed.get_or_insert(code);
            }
        }
        failed.map_or(Ok(()), |code| Err(Failure::Told(code).into()))
    }
}

/// A job in Slurm's fields.
pub(super) fn shown(detail: &JobDetail, look: &Look) -> String {
    let (job, asked) = (&detail.job, &detail.asked);
    let state = state::of(&job.state);
    let ran = job.started_ms.map_or("0:00".to_owned(), |at| clock(look.span(at, job.ended_ms)));
    let limit = asked.limit_ms.map_or("UNLIMITED".to_owned(), clock);
    let nodes = detail.tries.last().map_or(String::new(), hosts);
    let center = job.center.as_ref().map_or("(null)".to_owned(), ToString::to_string);
    let qos = asked.priority_class.as_ref().map_or("(null)".to_owned(), ToString::to_string);
    let restarts = job.attempts.saturating_sub(1);
    let mut lines = vec![
        format!("JobId={} JobName={}", job.job.number(), job.name),
        format!("   UserId={0} Account={0} Priority={1} QOS={qos}", job.tenant, job.priority),
        format!("   JobState={} Reason={}", state.long, state::reason(&job.state)),
        format!("   Restarts={restarts} RunTime={ran} TimeLimit={limit}"),
        format!("   SubmitTime={}", date(Some(job.submitted_ms))),
        format!("   StartTime={} EndTime={}", start(detail), date(job.ended_ms)),
        format!("   Partition={center} NodeList={nodes} NumNodes={}", job.nodes),
    ];
    for variant in asked.parts.iter().flat_map(|part| &part.variants) {
        let on = chips(variant).map_or(String::new(), |chips| format!(" TresPerNode={chips}"));
        let memory = variant.memory_bytes.0.div_ceil(1 << 20);
        lines.push(format!("   CPUs/Node={} MinMemoryNode={memory}M{on}", variant.cores_milli));
    }
    lines.extend(job.outcome.as_ref().map(|outcome| format!("   Outcome={outcome}")));
    lines.join("\n") + "\n"
}

fn start(detail: &JobDetail) -> String {
    date(detail.job.started_ms.or(detail.job.promised_ms))
}
