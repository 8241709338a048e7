//! How jobs are named on the command line.

use anyhow::{Context, bail};
use client::{Client, Which};
use model::JobId;
use std::str::FromStr;
use wire::view::{Array, Job};

/// `job-42`, or `job-42[7]` for the task of an array with this index; as in Slurm also `42` and `42_7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named {
    job: JobId,
    index: Option<u32>,
}

impl Named {
    /// The one job that is meant: of an array named by itself, its first.
    pub(crate) async fn job(self, client: &Client) -> anyhow::Result<JobId> {
        let Some(index) = self.index else { return Ok(self.job) };
        let detail = client.job(self.job).await?;
        let array = detail.asked.array.filter(|_| detail.job.array == Some(self.job));
        let array =
            array.with_context(|| format!("{} is not the first job of an array", self.job))?;
        match place(&array, index) {
            Some(place) => Ok(JobId::new(self.job.number() + u64::from(place))),
            None => bail!(
                "{} has no task {index}: it has {} to {}, in steps of {}",
                self.job,
                array.first,
                array.last,
                array.step
            ),
        }
    }

    /// Whether this job is among those meant.
    pub(crate) fn means(self, job: &Job) -> bool {
        match self.index {
            None => job.job == self.job || job.array == Some(self.job),
            Some(_) => job.array == Some(self.job) && job.index == self.index,
        }
    }

    /// The jobs that are meant: of an array named by itself, all.
    pub(crate) async fn jobs(self, client: &Client) -> anyhow::Result<Which> {
        match self.index {
            Some(_) => self.job(client).await.map(Which::Job),
            None => Ok(Which::Array(self.job)),
        }
    }
}

fn place(array: &Array, index: u32) -> Option<u32> {
    let Array { first, last, step, at_once } = *array;
    model::job::Array { first, last, step, at_once }.place(index)
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}[{index}]", self.job),
            None => self.job.fmt(f),
        }
    }
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let text = text.strip_prefix("job-").unwrap_or(text);
            let (job, index) = match text.split_once('_') {
                Some((job, index)) => (job, Some(index)),
                None => match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
                    Some((job, index)) => (job, Some(index)),
                    None => (text, None),
                },
            };
            let index = index.map(str::parse).transpose().ok()?;
            Some(Self { job: JobId::new(job.parse().ok()?), index })
        };
        read().ok_or_else(|| {
            format!("expected a job such as `job-42`, or `job-42[7]` of an array, found `{text}`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_named_as_here_and_as_in_slurm() {
        let read = |text: &str| text.parse::<Named>().map(|named| named.to_string());
        assert_eq!(read("job-42").as_deref(), Ok("job-42"));
        assert_eq!(read("42").as_deref(), Ok("job-42"));
        assert_eq!(read("job-42[7]").as_deref(), Ok("job-42[7]"));
        assert_eq!(read("42_7").as_deref(), Ok("job-42[7]"));
        for wrong in ["", "job", "job-", "42_", "42[7", "job-42[]", "42_7_8", "plan-3"] {
            assert!(read(wrong).unwrap_err().ends_with(&format!("found `{wrong}`")));
        }
    }
}
