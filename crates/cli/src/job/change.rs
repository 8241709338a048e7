//! `portolan cancel`, `hold`, `release` and `requeue`.

use super::named::Named;
use crate::failure::{Code, Failure, report};
use crate::session::Session;
use clap::Args;
use client::Client;
use wire::view::Job;

/// Jobs to change.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Which, such as job-42; the first job of an array stands for all of it, `job-42[7]` for one.
    #[arg(required = true, value_name = "JOB")]
    jobs: Vec<Named>,
}

/// Jobs to begin anew.
#[derive(Debug, Args)]
pub(crate) struct Requeue {
    #[command(flatten)]
    which: Which,
    /// Not before they are released.
    #[arg(long)]
    hold: bool,
}

/// What to do with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// End them.
    Cancel,
    /// Keep them from being planned.
    Hold,
    /// Let them be planned.
    Release,
    /// Stop what runs of them, and have them begin anew, or be held.
    Requeue { hold: bool },
}

impl Change {
    /// Does it to what is named.
    pub(crate) async fn to(self, client: &Client, named: Named) -> anyhow::Result<Job> {
        let which = named.jobs(client).await?;
        Ok(match self {
            Self::Cancel => client.cancel(which).await?,
            Self::Hold => client.hold(which).await?,
            Self::Release => client.release(which).await?,
            Self::Requeue { hold } => client.requeue(which, hold).await?,
        })
    }
}

impl Which {
    /// Changes one after the other; one that cannot be changed does not keep the others from it.
    /// The exit code is that of the first that could not.
    pub(crate) async fn run(self, change: Change, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        let mut failed: Option<Code> = None;
        for named in self.jobs {
            match change.to(&client, named).await {
                Ok(job) => session.tell(&job, format!("{named}  {}", job.state))?,
                Err(error) => {
                    let code = report(&error.context(named), &session.look);
                    failed.get_or_insert(code);
                }
            }
        }
        failed.map_or(Ok(()), |code| Err(Failure::Told(code).into()))
    }
}

impl Requeue {
    /// The same, to have them begin anew.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        self.which.run(Change::Requeue { hold: self.hold }, session).await
    }
}
