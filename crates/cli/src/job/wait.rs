//! Waiting for jobs to end.

use super::is_end;
use super::list::{PAGE, table};
use crate::failure::{Code, Failure};
use crate::progress;
use crate::session::{Session, note};
use client::{Client, JobFilter};
use model::JobId;
use std::collections::BTreeMap;
use std::time::Duration;
use wire::view::{Job, Jobs, Submitted};

/// How often jobs are looked at; more seldom the more there are.
const AGAIN: Duration = Duration::from_millis(500);
/// More jobs than this are counted rather than listed.
const LISTED: usize = 20;

/// Waits until the jobs of a submission have ended and prints how. Ctrl-C ends the waiting, never
/// the jobs. Answers an error with the exit code of the worst end where one did not complete.
pub(crate) async fn wait(
    session: &Session,
    client: &Client,
    submitted: &Submitted,
) -> anyhow::Result<()> {
    let jobs = Jobs { jobs: until_ended(client, submitted).await?, next: None };
    session.show(&jobs, |jobs, look| {
        if jobs.jobs.len() > LISTED { format!("{}\n", say(&jobs.jobs)) } else { table(jobs, look) }
    })?;
    told(&jobs.jobs)
}

/// An error with the exit code of the worst end of `jobs`, where one did not complete.
pub(crate) fn told(jobs: &[Job]) -> anyhow::Result<()> {
    let code = worst(jobs);
    if code == Code::Ok { Ok(()) } else { Err(Failure::Told(code).into()) }
}

/// Waits until the jobs of a submission have ended. Ctrl-C ends the waiting, never the jobs.
pub(crate) async fn until_ended(
    client: &Client,
    submitted: &Submitted,
) -> anyhow::Result<Vec<Job>> {
    let bar = progress::jobs(submitted.count.into());
    let waiting = async {
        loop {
            match look(client, submitted).await {
                Ok(jobs) => {
                    let ended = jobs.iter().filter(|job| is_end(&job.state)).count();
                    bar.set_position(ended as u64);
                    bar.set_message(say(&jobs));
                    if ended == jobs.len() {
                        return Ok::<_, client::Error>(jobs);
                    }
                }
                Err(error) if error.is_transient() => {
                    bar.set_message("the server does not answer; still waiting");
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(AGAIN * (1 + submitted.count / 1_000)).await;
        }
    };
    let jobs = tokio::select! {
        jobs = waiting => jobs,
        signal = tokio::signal::ctrl_c() => {
            signal?;
            bar.finish_and_clear();
            return Err(left(submitted).into());
        }
    };
    bar.finish_and_clear();
    Ok(jobs?)
}

/// The jobs of a submission as they are now, in order. Their numbers follow each other.
async fn look(client: &Client, submitted: &Submitted) -> Result<Vec<Job>, client::Error> {
    let count = submitted.count as usize;
    let mut jobs: Vec<Job> = Vec::with_capacity(count);
    let mut before = JobId::new(submitted.first.number().saturating_add(submitted.count.into()));
    while jobs.len() < count {
        let filter = JobFilter {
            limit: Some((count - jobs.len()).min(PAGE)),
            before: Some(before.to_string()),
            ..JobFilter::default()
        };
        let page = client.jobs(&filter).await?.jobs;
        let Some(last) = page.last() else { break };
        before = last.job;
        jobs.extend(page.into_iter().filter(|job| job.job >= submitted.first));
        if before <= submitted.first {
            break;
        }
    }
    jobs.reverse();
    Ok(jobs)
}

/// One job with its place, or how many are in which state.
fn say(jobs: &[Job]) -> String {
    if let [job] = jobs {
        let place = job.center.as_ref().map_or(String::new(), |center| format!(" in {center}"));
        return format!("{} {}{place}", job.job, job.state);
    }
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for job in jobs {
        *states.entry(&job.state).or_default() += 1;
    }
    let counts: Vec<String> = states.iter().map(|(state, n)| format!("{n} {state}")).collect();
    counts.join(", ")
}

/// What the exit code tells of jobs that have ended: a failure before a limit before a cancelation.
fn worst(jobs: &[Job]) -> Code {
    let any = |state: &str| jobs.iter().any(|job| job.state == state);
    if any("failed") {
        Code::JobFailed
    } else if any("timed-out") {
        Code::JobTimedOut
    } else if any("canceled") || any("lapsed") || any("unmet") {
        Code::JobCanceled
    } else {
        Code::Ok
    }
}

fn left(submitted: &Submitted) -> Failure {
    let first = submitted.first;
    if submitted.count == 1 {
        note(format!("{first} goes on; `portolan job {first}` shows how far it is"));
    } else {
        note(format!("{} jobs from {first} on go on; `portolan jobs` shows them", submitted.count));
    }
    Failure::Told(Code::Interrupted)
}
