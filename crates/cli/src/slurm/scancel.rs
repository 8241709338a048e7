//! `portolan scancel`.

use super::squeue::{Which, states};
use crate::failure::{Code, Failure, report};
use crate::job::named::Named;
use crate::session::{Session, note};
use clap::Args;
use client::{Client, Which as Of};

/// End jobs: those named, or all that fit what is said of them.
#[derive(Debug, Args)]
pub(crate) struct Scancel {
    /// Which, such as 42 for a job or a whole array, or 42_7 for a task of one.
    #[arg(value_name = "JOB")]
    jobs: Vec<Named>,
    /// Of this tenant.
    #[arg(
        long,
        short,
        visible_short_alias = 'A',
        visible_alias = "account",
        value_name = "TENANT"
    )]
    user: Vec<String>,
    /// Your own; the server shows tenants no others anyway.
    #[arg(long)]
    me: bool,
    /// With this name.
    #[arg(long, short, visible_alias = "jobname", value_name = "NAME")]
    name: Vec<String>,
    /// In this state, such as PENDING.
    #[arg(long, short = 't', value_name = "STATE", value_delimiter = ',')]
    state: Vec<String>,
    /// In this center.
    #[arg(long, short, value_name = "CENTER")]
    partition: Vec<String>,
    /// Say nothing of jobs that have ended already.
    #[arg(long, short)]
    quiet: bool,
    /// Say which jobs are ended.
    #[arg(long, short)]
    verbose: bool,
}

impl Scancel {
    /// Ends the jobs, one after the other; one that cannot be ended does not keep the others alive.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let filters = [&self.user, &self.name, &self.state, &self.partition];
        let filtered = self.me || filters.iter().any(|list| !list.is_empty());
        if self.jobs.is_empty() && !filtered {
            let none = Failure::said(Code::Invalid, "no job was named");
            return Err(none.help("name jobs, such as 42, or say whose with --user").into());
        }
        let client = session.client()?;
        let jobs = match filtered {
            false => named(&self.jobs, &client).await?,
            true => {
                let which = Which {
                    users: self.user,
                    names: self.name,
                    centers: self.partition,
                    jobs: self.jobs,
                    states: states(&self.state)?,
                };
                which.fetch(&client).await?.jobs.iter().map(|job| Of::Job(job.job)).collect()
            }
        };
        let mut failed: Option<Code> = None;
        for job in jobs {
            match client.cancel(job).await {
                Ok(job) if self.verbose => note(format!("{} is {}", job.job, job.state)),
                Ok(_) => {}
                Err(error) if self.quiet && error.problem().is_some_and(|p| p.status == 409) => {}
                Err(error) => {
                    let code = report(&anyhow::Error::new(error).context(said(job)), &session.look);
                    failed.get_or_insert(code);
                }
            }
        }
        failed.map_or(Ok(()), |code| Err(Failure::Told(code).into()))
    }
}

/// Jobs and whole arrays by their names.
async fn named(jobs: &[Named], client: &Client) -> anyhow::Result<Vec<Of>> {
    let mut all = Vec::new();
    for job in jobs {
        all.push(job.jobs(client).await?);
    }
    Ok(all)
}

fn said(of: Of) -> String {
    match of {
        Of::Job(job) | Of::Array(job) => job.to_string(),
    }
}
