//! `portolan logs`.

use super::named::Named;
use crate::session::{Session, note, write};
use clap::Args;
use client::{Error, LogPart, LogWish};
use model::AttemptId;
use std::time::Duration;

/// Print what a job prints.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Which, such as job-42, or `job-42[7]` of an array.
    job: Named,
    /// Go on until the attempt is over; wait for it where it has not begun.
    #[arg(long, short)]
    follow: bool,
    /// What it writes to standard error, instead of standard output.
    #[arg(long)]
    stderr: bool,
    /// Of which attempt; the newest where none is named.
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
}

/// How often a followed log is asked for more.
const AGAIN: Duration = Duration::from_millis(500);

impl Logs {
    /// Prints the log, piece by piece.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        let job = self.job.job(&client).await?;
        let attempt = self.attempt.map(|epoch| AttemptId { job, epoch });
        let mut wish = LogWish { attempt, stderr: self.stderr, offset: 0 };
        let mut patient = false;
        loop {
            let LogPart { text, next, complete } = match client.log(job, wish).await {
                Ok(part) => part,
                Err(error) if self.follow && may_come(&error) => {
                    if !patient {
                        note(format!("{error}; waiting"));
                        patient = true;
                    }
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            write(text.as_bytes())?;
            wish.offset = next;
            if complete || text.is_empty() && !self.follow {
                return Ok(());
            }
            if text.is_empty() {
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Whether there may be something to read later: the job has not begun, or somebody on the way
/// does not answer.
fn may_come(error: &Error) -> bool {
    error.is_transient() || error.problem().is_some_and(|problem| problem.slug() == "conflict")
}
