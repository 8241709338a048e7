//! Submitting jobs at their times, and waiting for their ends.
//!
//! One loop holds all state. Jobs that are due wait in a queue by tenant; a free connection takes all
//! that is due of the tenant whose oldest has waited longest, as one submission. So each job of a calm
//! load travels alone and at once, while batches grow by themselves where the server is slower than
//! the load.

use super::follow::{News, follow};
use super::job::Job;
use super::ledger::Ledger;
use anyhow::Context;
use client::{Client, Error, Submission};
use indicatif::ProgressBar;
use model::{CenterId, JobId, TenantId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use wire::view::Submitted;

/// Most jobs of one submission.
const BATCH: usize = 256;
/// How soon a submission is repeated that the server did not answer.
const AGAIN: Duration = Duration::from_millis(500);
/// How many news are taken in at once.
const AT_ONCE: usize = 4_096;

/// What a replay may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Submissions under way at once.
    pub(super) connections: usize,
    /// How long nothing may happen.
    pub(super) patience: Duration,
    /// How long the longest job runs: for so long nothing may have to happen.
    pub(super) longest: Duration,
}

/// A replay under way.
pub(super) struct Replay<'a> {
    client: Client,
    jobs: &'a [Job],
    only: &'a [CenterId],
    limits: Limits,
    bar: ProgressBar,
    begun: Instant,
    /// The next job to come.
    next: usize,
    queue: Queue,
    sending: JoinSet<Sent>,
    /// Submissions so far; part of their keys.
    sent: u64,
    key: u64,
    /// How many jobs were accepted.
    accepted: usize,
    /// Those of them that have not ended.
    open: BTreeSet<JobId>,
    done: Replayed,
}

/// What came of a replay.
#[derive(Debug)]
pub(super) struct Replayed {
    /// The jobs' numbers, in the load's order, where they were accepted.
    pub(super) ids: Vec<Option<JobId>>,
    /// Why jobs were refused.
    refused: Vec<(usize, String)>,
    /// What became of those accepted.
    pub(super) ledger: Ledger,
    /// Whether somebody broke it off.
    pub(super) interrupted: bool,
}

impl Replayed {
    /// Nothing has happened yet.
    pub(super) fn new(jobs: usize) -> Self {
        let ids = vec![None; jobs];
        Self { ids, refused: Vec::new(), ledger: Ledger::default(), interrupted: false }
    }

    /// Why jobs were refused: how many for which reason, the first few reasons.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for (jobs, why) in &self.refused {
            *reasons.entry(why).or_default() += jobs;
        }
        reasons.into_iter().map(|(why, jobs)| (jobs, why)).take(super::NAMED)
    }

    /// How many jobs were refused.
    pub(super) fn refused(&self) -> usize {
        self.refused.iter().map(|(jobs, _)| jobs).sum()
    }

    /// Jobs that were accepted and have not ended.
    pub(super) fn lost(&self) -> impl Iterator<Item = JobId> {
        self.ids.iter().flatten().copied().filter(|job| !self.ledger.has_ended(*job))
    }
}

/// A submission that was answered.
struct Sent {
    /// Its jobs, by place in the load.
    jobs: Vec<usize>,
    answer: Result<Submitted, Error>,
}

/// Jobs that are due, by tenant.
#[derive(Debug, Default)]
struct Queue {
    /// Tenants with jobs that are due, each once; whose turn is longest due first.
    turns: VecDeque<TenantId>,
    due: BTreeMap<TenantId, VecDeque<usize>>,
}

impl Queue {
    fn push(&mut self, tenant: &TenantId, job: usize) {
        let due = self.due.entry(tenant.clone()).or_default();
        if due.is_empty() {
            self.turns.push_back(tenant.clone());
        }
        due.push_back(job);
    }

    /// What is to be submitted next: a tenant and some of its jobs.
    fn take(&mut self) -> Option<(TenantId, Vec<usize>)> {
        let tenant = self.turns.pop_front()?;
        let due = self.due.get_mut(&tenant)?;
        let jobs: Vec<usize> = due.drain(..due.len().min(BATCH)).collect();
        if !due.is_empty() {
            self.turns.push_back(tenant.clone());
        }
        Some((tenant, jobs))
    }
}

impl<'a> Replay<'a> {
    /// Of these jobs, kept to the centers `only` where there are any.
    pub(super) fn new(
        client: Client,
        jobs: &'a [Job],
        only: &'a [CenterId],
        limits: Limits,
        bar: ProgressBar,
    ) -> Self {
        Self {
            client,
            jobs,
            only,
            limits,
            bar,
            begun: Instant::now(),
            next: 0,
            queue: Queue::default(),
            sending: JoinSet::new(),
            sent: 0,
            key: 0,
            accepted: 0,
            open: BTreeSet::new(),
            done: Replayed::new(jobs.len()),
        }
    }

    /// Submits all jobs and waits until they have ended, until nothing happens any more, or until
    /// Ctrl-C.
    pub(super) async fn run(mut self) -> anyhow::Result<Replayed> {
        self.key = getrandom::u64().context("no randomness for the submissions' keys")?;
        let events = self.client.events(None).await?;
        let (tell, mut news) = mpsc::unbounded_channel();
        let follower = follow(self.client.clone(), events, tell, self.limits.patience);
        let follower = tokio::spawn(follower);
        let broken_off = tokio::signal::ctrl_c();
        tokio::pin!(broken_off);
        let mut heard = Vec::with_capacity(AT_ONCE);
        let mut silence = Instant::now() + self.limits.patience;
        self.begun = Instant::now();
        loop {
            self.queue_what_is_due();
            self.send();
            if self.is_done() {
                break;
            }
            let due = self.due(self.next).unwrap_or(silence);
            tokio::select! {
                () = sleep_until(due), if self.next < self.jobs.len() => {}
                Some(sent) = self.sending.join_next() => self.answered(sent?)?,
                count = news.recv_many(&mut heard, AT_ONCE) => {
                    silence = Instant::now() + self.limits.patience + self.limits.longest;
                    anyhow::ensure!(count > 0, "following the server's events broke off");
                    for news in heard.drain(..) {
                        self.hear(news?);
                    }
                }
                () = sleep_until(silence), if self.next == self.jobs.len() => break,
                signal = &mut broken_off => {
                    signal?;
                    self.done.interrupted = true;
                    break;
                }
            }
            self.show();
        }
        follower.abort();
        Ok(self.done)
    }

    fn due(&self, job: usize) -> Option<Instant> {
        self.jobs.get(job).map(|job| self.begun + job.at.to_std())
    }

    fn queue_what_is_due(&mut self) {
        let now = Instant::now();
        while self.due(self.next).is_some_and(|due| due <= now) {
            self.queue.push(&self.jobs[self.next].spec.tenant, self.next);
            self.next += 1;
        }
    }

    /// Submits while there are connections and jobs that are due.
    fn send(&mut self) {
        while self.sending.len() < self.limits.connections
            && let Some((tenant, jobs)) = self.queue.take()
        {
            self.sent += 1;
            let submission = Submission {
                jobs: jobs.iter().map(|job| self.jobs[*job].file(self.only)).collect(),
                tenant: Some(tenant),
                key: Some(format!("load-{:016x}-{}", self.key, self.sent)),
            };
            let (client, patience) = (self.client.clone(), self.limits.patience);
            self.sending.spawn(async move {
                Sent { jobs, answer: submit(&client, &submission, patience).await }
            });
        }
    }

    /// A submission was answered. What would be the answer to all of them is an error.
    fn answered(&mut self, sent: Sent) -> anyhow::Result<()> {
        let submitted = match sent.answer {
            Ok(submitted) => submitted,
            Err(error) if error.problem().is_some_and(|p| !matches!(p.status, 401..=404)) => {
                self.done.refused.push((sent.jobs.len(), error.to_string()));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for (job, id) in sent.jobs.into_iter().zip(submitted.jobs()) {
            self.done.ids[job] = Some(id);
            self.accepted += 1;
            // Its facts may have come before this answer.
            if !self.done.ledger.has_ended(id) {
                self.open.insert(id);
            }
        }
        Ok(())
    }

    fn hear(&mut self, news: News) {
        let job = news.job;
        self.done.ledger.hear(news);
        if self.done.ledger.has_ended(job) {
            self.open.remove(&job);
        }
    }

    fn is_done(&self) -> bool {
        let submitted = self.next == self.jobs.len() && self.queue.turns.is_empty();
        submitted && self.sending.is_empty() && self.open.is_empty()
    }

    fn show(&self) {
        if self.bar.is_hidden() {
            return;
        }
        let ended = self.accepted - self.open.len();
        self.bar.set_position(ended as u64);
        let running = self.done.ledger.running;
        let waiting = self.open.len().saturating_sub(running);
        let to_come = self.jobs.len() - self.accepted - self.done.refused();
        self.bar.set_message(format!("{running} running, {waiting} waiting, {to_come} to come"));
    }
}

/// Submits, again while the server does not answer: under its key nothing is submitted twice.
async fn submit(
    client: &Client,
    submission: &Submission,
    patience: Duration,
) -> Result<Submitted, Error> {
    let until = Instant::now() + patience;
    loop {
        match client.submit(submission).await {
            Err(error) if error.is_transient() && Instant::now() < until => {
                tokio::time::sleep(AGAIN).await;
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_take_turns_and_all_that_is_due_of_one_goes_together() {
        let tenant = |name: &str| TenantId::new(name).unwrap();
        let mut queue = Queue::default();
        (0..BATCH + 2).for_each(|job| queue.push(&tenant("a"), job));
        queue.push(&tenant("b"), 900);
        queue.push(&tenant("b"), 901);
        let (first, jobs) = queue.take().unwrap();
        assert_eq!((first, jobs.len()), (tenant("a"), BATCH));
        assert_eq!(queue.take(), Some((tenant("b"), vec![900, 901])));
        assert_eq!(queue.take(), Some((tenant("a"), vec![BATCH, BATCH + 1])));
        assert_eq!(queue.take(), None);
        queue.push(&tenant("b"), 902);
        assert_eq!(queue.take(), Some((tenant("b"), vec![902])));
    }
}
