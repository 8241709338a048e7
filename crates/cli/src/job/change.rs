//! `portolan cancel`, `hold` and `release`.

use crate::failure::{Code, Failure, report};
use crate::session::Session;
use clap::Args;
use model::JobId;

/// Jobs to change.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Which, such as job-42.
    #[arg(required = true, value_name = "JOB")]
    jobs: Vec<JobId>,
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
}

impl Which {
    /// Changes one after the other; one that cannot be changed does not keep the others from it.
    /// The exit code is that of the first that could not.
    pub(crate) async fn run(self, change: Change, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        let mut failed: Option<Code> = None;
        for job in self.jobs {
            let changed = match change {
                Change::Cancel => client.cancel(job).await,
                Change::Hold => client.hold(job).await,
                Change::Release => client.release(job).await,
            };
            match changed {
                Ok(job) => session.tell(&job, format!("{}  {}", job.job, job.state))?,
                Err(error) => {
                    let error = anyhow::Error::new(error).context(job);
                    let code = report(&error, &session.look);
                    failed.get_or_insert(code);
                }
            }
        }
        failed.map_or(Ok(()), |code| Err(Failure::Told(code).into()))
    }
}
