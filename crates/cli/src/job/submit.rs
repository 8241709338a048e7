//! `portolan submit`.

use super::file::{Form, read_all};
use super::wait::wait;
use crate::session::{Session, note};
use clap::Args;
use client::Submission;
use model::{JobId, TenantId};
use std::path::PathBuf;
use wire::view::Submitted;

/// Submit jobs: all of them are accepted, or none.
#[derive(Debug, Args)]
pub(crate) struct Submit {
    /// Job files in TOML or YAML; `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Submit each so many times.
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// Repeating a submission under the same key within seven days changes nothing.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// For which tenant; operators must say.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantId>,
    /// Run them in this reservation, whatever the files say.
    #[arg(long, value_name = "JOB")]
    reservation: Option<JobId>,
    /// In what the files are written, where their names do not say.
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Form>,
    /// Wait until all have ended; the exit code says how.
    #[arg(long, short)]
    wait: bool,
}

impl Submit {
    /// Submits, and waits if that is wanted.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let mut files = read_all(&self.files, self.format)?;
        if let Some(reservation) = self.reservation {
            files.iter_mut().for_each(|job| job.reservation = Some(reservation.to_string()));
        }
        let times = usize::try_from(self.count)?;
        let jobs: Vec<_> =
            files.iter().flat_map(|job| std::iter::repeat_n(job.clone(), times)).collect();
        let client = session.client()?;
        let submission = Submission { jobs, tenant: self.tenant, key: self.key };
        let submitted = client.submit(&submission).await?;
        if submitted.repeated {
            note("The same had been submitted before; nothing has changed.");
        }
        if !self.wait {
            return session.show(&submitted, |submitted, _| accepted(submitted));
        }
        note(accepted(&submitted).trim_end());
        wait(session, &client, &submitted).await
    }
}

/// The jobs accepted, one a line where they are few.
fn accepted(submitted: &Submitted) -> String {
    const FEW: u32 = 10;
    let mut jobs = submitted.jobs();
    if submitted.count <= FEW {
        return jobs.map(|job| format!("{job}\n")).collect();
    }
    match (jobs.next(), jobs.last()) {
        (Some(first), Some(last)) => format!("{first} to {last}: {} jobs\n", submitted.count),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_accepted_are_named_or_counted() {
        let submitted = |count| Submitted { first: JobId::new(7), count, repeated: false };
        assert_eq!(accepted(&submitted(2)), "job-7\njob-8\n");
        assert_eq!(accepted(&submitted(100)), "job-7 to job-106: 100 jobs\n");
    }
}
