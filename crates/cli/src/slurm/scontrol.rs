//! `portolan scontrol`.

use super::row::{chips, hosts};
use super::{clock, date, state};
use crate::failure::{Code, Failure, report};
use crate::job::change::Change;
use crate::job::named::Named;
use crate::look::Look;
use crate::session::Session;
use clap::{Args, Subcommand};
use wire::view::JobDetail;

/// Hold, release, requeue and show jobs as Slurm's scontrol does.
#[derive(Debug, Subcommand)]
pub(crate) enum Scontrol {
    /// Keep waiting jobs from being planned.
    Hold(Which),
    /// Let held jobs be planned.
    Release(Which),
    /// Stop what runs of jobs, and have them begin anew.
    Requeue(Which),
    /// The same, but not before they are released.
    Requeuehold(Which),
    /// Show what is known of a job.
    #[command(subcommand)]
    Show(Show),
}

/// Jobs to change.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Which, such as 42 for a job or a whole array, or 42_7 for a task of one.
    #[arg(required = true, value_name = "JOB", value_delimiter = ',')]
    jobs: Vec<Named>,
}

/// What to show.
#[derive(Debug, Subcommand)]
pub(crate) enum Show {
    /// A job, in Slurm's fields.
    #[command(visible_aliases = ["jobid", "jobs"])]
    Job {
        /// Which, such as 42, or 42_7 for a task of an array.
        #[arg(value_name = "JOB")]
        job: Named,
    },
}

impl Scontrol {
    /// Does it.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        let (which, change) = match self {
            Self::Show(Show::Job { job }) => {
                let job = job.job(&client).await?;
                return session.show(&client.job(job).await?, shown);
            }
            Self::Hold(which) => (which, Change::Hold),
            Self::Release(which) => (which, Change::Release),
            Self::Requeue(which) => (which, Change::Requeue { hold: false }),
            Self::Requeuehold(which) => (which, Change::Requeue { hold: true }),
        };
        let mut failed: Option<Code> = None;
        for job in which.jobs {
            if let Err(error) = change.to(&client, job).await {
                let code = report(&error.context(job), &session.look);
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
    let task = job
        .array
        .zip(job.index)
        .map(|(array, index)| format!(" ArrayJobId={} ArrayTaskId={index}", array.number()));
    let restarts = job.attempts.saturating_sub(1);
    let mut lines = vec![
        format!("JobId={}{} JobName={}", job.job.number(), task.unwrap_or_default(), job.name),
        format!("   UserId={0} Account={0} Priority={1} QOS={qos}", job.tenant, job.priority),
        format!("   JobState={} Reason={}", state.long, state::reason(job)),
        format!("   Restarts={restarts} RunTime={ran} TimeLimit={limit}"),
        format!("   SubmitTime={}", date(Some(job.submitted_ms))),
        format!("   StartTime={} EndTime={}", start(detail), date(job.ended_ms)),
        format!("   Partition={center} NodeList={nodes} NumNodes={}", job.nodes),
    ];
    let called = detail.tries.last().and_then(|attempt| attempt.called.as_ref());
    lines.extend(called.map(|called| format!("   CenterJobId={called}")));
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
