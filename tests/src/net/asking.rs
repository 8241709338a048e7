//! Waiting, and what people ask for.

use super::{LOOK_AGAIN, Net, SOON};
use crate::facts::Facts;
use crate::put::Data;
use model::{DatasetVersion, JobId};
use serde_json::Value;
use std::time::{Duration, Instant};
use wire::view;

impl Net {
    /// Waits until `probe` gives something: looks after every fact the server tells, and now and
    /// then, for files tell nothing. `what` is for the message when it never comes.
    pub async fn until<T>(&self, what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
        self.within(SOON, what, &mut probe).await
    }

    /// [`Self::until`] with another deadline than the usual.
    pub async fn within<T>(
        &self,
        limit: Duration,
        what: &str,
        mut probe: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + limit;
        let mut facts = self.facts.as_ref().map(Facts::newest);
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
            let told = async {
                let Some(facts) = &mut facts else { return std::future::pending().await };
                if facts.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = told => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Waits until a center's agent has been heard of.
    pub async fn until_there(&self, center: &str) {
        let path = format!("/v1/centers/{center}");
        let there = async || {
            let answer = self.operator.try_send(self.operator.request(reqwest::Method::GET, &path));
            let center: view::Center = answer.await.ok()?.ok();
            (center.agent.is_some() && center.silent_since_ms.is_none()).then_some(())
        };
        self.until(&format!("the agent of {center} is there"), there).await;
    }

    /// Submits a job; the test ends if it is refused.
    pub async fn submit(&self, tenant: &str, job: &Value) -> JobId {
        let submitted: view::Submitted = self.tenant(tenant).post("/v1/jobs", job).await.ok();
        submitted.first
    }

    /// A job as it is now.
    pub async fn job(&self, job: JobId) -> view::JobDetail {
        self.operator.get(&format!("/v1/jobs/{job}")).await.ok()
    }

    /// A job once `is` holds of it.
    pub async fn job_once(
        &self,
        job: JobId,
        what: &str,
        is: impl Fn(&view::JobDetail) -> bool,
    ) -> view::JobDetail {
        let path = format!("/v1/jobs/{job}");
        let probe = async || {
            let request = self.operator.request(reqwest::Method::GET, &path);
            // The server may be down just now.
            let answer = self.operator.try_send(request).await.ok()?;
            let job: view::JobDetail = (answer.status < 400).then(|| answer.ok())?;
            is(&job).then_some(job)
        };
        self.until(&format!("{job} {what}"), probe).await
    }

    /// A job once it is in this state.
    pub async fn in_state(&self, job: JobId, state: &str) -> view::JobDetail {
        self.job_once(job, &format!("is {state}"), |job| job.job.state == state).await
    }

    /// A job once it has ended.
    pub async fn ended(&self, job: JobId) -> view::JobDetail {
        self.job_once(job, "has ended", |job| job.job.ended_ms.is_some()).await
    }

    /// Why a job is where it is.
    pub async fn why(&self, job: JobId) -> view::Why {
        self.operator.get(&format!("/v1/jobs/{job}/why")).await.ok()
    }

    /// All jobs there are, oldest first.
    pub async fn jobs(&self) -> Vec<view::Job> {
        let (mut all, mut before) = (Vec::new(), String::new());
        loop {
            let page = self.operator.get(&format!("/v1/jobs?limit=500{before}")).await;
            let page: view::Jobs = page.ok();
            all.extend(page.jobs);
            let Some(next) = page.next else { break };
            before = format!("&before={next}");
        }
        all.reverse();
        all
    }

    /// All of what a job printed, once it is over.
    pub async fn output(&self, job: JobId) -> String {
        self.operator.get(&format!("/v1/jobs/{job}/logs?follow=true")).await.text
    }

    /// Puts one file as a dataset into a center's store, and waits until the network knows.
    pub async fn put(
        &self,
        tenant: &str,
        (dataset, center): (&str, &str),
        (path, bytes): (&str, &[u8]),
        residency: &[&str],
    ) -> DatasetVersion {
        let data = Data::new(path, bytes);
        let announcement = data.announcement(dataset, center, residency);
        let ticket: view::Ticket =
            self.tenant(tenant).post("/v1/datasets", &announcement).await.ok();
        let carried = data.carry(&ticket).await;
        assert!(carried.status < 300, "{} {}", carried.status, carried.text);
        self.until_copy(dataset, center).await;
        DatasetVersion { dataset: ticket.dataset, version: ticket.version }
    }

    /// Waits until a center has a copy of the newest version of a dataset.
    pub async fn until_copy(&self, dataset: &str, center: &str) -> view::DatasetVersion {
        let probe = async || {
            let answer = self.operator.get(&format!("/v1/datasets/{dataset}")).await;
            let known: view::Dataset = (answer.status < 400).then(|| answer.ok())?;
            let newest = known.versions.last()?.clone();
            newest.replicas.iter().any(|c| c.as_str() == center).then_some(newest)
        };
        self.until(&format!("{dataset} is at {center}"), probe).await
    }

    /// Facts told so far to somebody who follows events all the time: their numbers and kinds.
    #[must_use]
    pub fn told(&self) -> Vec<(u64, String)> {
        self.facts.as_ref().map(Facts::told).unwrap_or_default()
    }
}
