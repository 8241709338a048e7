//! Jobs: submitting, watching, changing.

use crate::{Client, Error};
use model::file::job::JobFile;
use model::{AttemptId, CenterId, JobId, Moment, TenantId};
use reqwest::Method;
use serde::Serialize;
use std::fmt::Write;
use wire::view::{Job, JobDetail, Jobs, Plan, Promises, Submitted, Why};

/// What is submitted together, all of it or nothing.
#[derive(Debug, Clone, Default)]
pub struct Submission {
    /// The jobs, at least one.
    pub jobs: Vec<JobFile>,
    /// For whom; operators name a tenant, tenants are themselves.
    pub tenant: Option<TenantId>,
    /// Under which key it may be repeated; one is made up where none is given.
    pub key: Option<String>,
}

#[derive(Serialize)]
struct Batch<'a> {
    jobs: &'a [JobFile],
}

/// Which jobs are to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// This one.
    Job(JobId),
    /// All of the array whose first this is; or this one, where it is of none.
    Array(JobId),
}

/// Which jobs are wanted.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// In this state, or `live` or `ended`.
    pub state: Option<String>,
    /// Of this tenant.
    pub tenant: Option<String>,
    /// Whose name contains this.
    pub name: Option<String>,
    /// Whose newest attempt is or was in this center.
    pub center: Option<String>,
    /// Of the array with this first job.
    pub array: Option<JobId>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Submitted before this one: the `next` of the page before.
    pub before: Option<String>,
}

/// Whose promises are wanted: the whole network's where nobody is named.
#[derive(Debug, Clone, Default)]
pub struct PromiseFilter {
    /// Starts that came, or fell due, since about then.
    pub since: Option<Moment>,
    /// Of this tenant.
    pub tenant: Option<TenantId>,
    /// Of this center.
    pub center: Option<CenterId>,
}

/// Which piece of a log is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogWish {
    /// Of this attempt; the newest where none is named.
    pub attempt: Option<AttemptId>,
    /// Standard error instead of standard output.
    pub stderr: bool,
    /// From which byte.
    pub offset: u64,
}

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPart {
    /// The text.
    pub text: String,
    /// Where to go on.
    pub next: u64,
    /// Whether nothing will follow.
    pub complete: bool,
}

/// A key nobody else makes up.
fn fresh_key() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| Error::Unreachable { why: e.to_string() })?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    }))
}

impl Client {
    /// Submits jobs. Repeated by itself while the server cannot be reached: the key sees to it that
    /// nothing is submitted twice.
    pub async fn submit(&self, submission: &Submission) -> Result<Submitted, Error> {
        let key = match &submission.key {
            Some(key) => key.clone(),
            None => fresh_key()?,
        };
        let tenant = submission.tenant.as_ref().map(|t| ("tenant", t.to_string()));
        let query: Vec<_> = tenant.into_iter().collect();
        let body = Batch { jobs: &submission.jobs };
        let make = || {
            let request = self.request(Method::POST, "/v1/jobs").query(&query);
            request.header("idempotency-key", &key).json(&body)
        };
        let response = self.send_again(make).await?;
        response.json().await.map_err(Error::unreadable)
    }

    /// Jobs, newest first, a page of them.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Jobs, Error> {
        let JobFilter { state, tenant, name, center, array, limit, before } = filter;
        let query = [
            ("state", state.clone()),
            ("tenant", tenant.clone()),
            ("name", name.clone()),
            ("center", center.clone()),
            ("limit", limit.map(|l| l.to_string())),
            ("array", array.as_ref().map(ToString::to_string)),
            ("before", before.clone()),
        ];
        let query: Vec<_> = query.into_iter().filter_map(|(k, v)| Some((k, v?))).collect();
        self.get("/v1/jobs", &query).await
    }

    /// One job with all its attempts.
    pub async fn job(&self, job: JobId) -> Result<JobDetail, Error> {
        self.get(&format!("/v1/jobs/{job}"), &[]).await
    }

    /// Why a job waits, or was placed where it is, and what would make it run sooner, or in the
    /// center `at`.
    pub async fn why(&self, job: JobId, at: Option<&CenterId>) -> Result<Why, Error> {
        let query: Vec<_> = at.iter().map(|at| ("at", at.to_string())).collect();
        self.get(&format!("/v1/jobs/{job}/why"), &query).await
    }

    /// How the starts held that jobs were told.
    pub async fn promises(&self, filter: &PromiseFilter) -> Result<Promises, Error> {
        let PromiseFilter { since, tenant, center } = filter;
        let query = [
            ("since_ms", since.map(|since| since.0.to_string())),
            ("tenant", tenant.as_ref().map(ToString::to_string)),
            ("center", center.as_ref().map(ToString::to_string)),
        ];
        let query: Vec<_> = query.into_iter().filter_map(|(k, v)| Some((k, v?))).collect();
        self.get("/v1/promises", &query).await
    }

    /// Asks for a job's end.
    pub async fn cancel(&self, which: Which) -> Result<Job, Error> {
        self.change(which, "cancel", "").await
    }

    /// Keeps a waiting job from being placed.
    pub async fn hold(&self, which: Which) -> Result<Job, Error> {
        self.change(which, "hold", "").await
    }

    /// Lets a held job be placed.
    pub async fn release(&self, which: Which) -> Result<Job, Error> {
        self.change(which, "release", "").await
    }

    /// Has a job stop and begin anew: at once, or `held`.
    pub async fn requeue(&self, which: Which, held: bool) -> Result<Job, Error> {
        self.change(which, "requeue", if held { "&hold=true" } else { "" }).await
    }

    async fn change(&self, which: Which, verb: &str, more: &str) -> Result<Job, Error> {
        let (job, array) = match which {
            Which::Job(job) => (job, false),
            Which::Array(job) => (job, true),
        };
        let path = format!("/v1/jobs/{job}/{verb}?array={array}{more}");
        let response = self.send_again(|| self.request(Method::POST, &path)).await?;
        response.json().await.map_err(Error::unreadable)
    }

    /// What would become of a job if it were submitted now, and what would make it run sooner, or
    /// in the center `at`.
    pub async fn plan(
        &self,
        job: &JobFile,
        tenant: Option<&TenantId>,
        at: Option<&CenterId>,
    ) -> Result<Plan, Error> {
        let tenant = tenant.map(|t| ("tenant", t.to_string()));
        let query: Vec<_> = tenant.into_iter().chain(at.map(|at| ("at", at.to_string()))).collect();
        let make = || self.request(Method::POST, "/v1/plan").query(&query).json(job);
        let response = self.send_again(make).await?;
        response.json().await.map_err(Error::unreadable)
    }

    /// A piece of an attempt's log.
    pub async fn log(&self, job: JobId, wish: LogWish) -> Result<LogPart, Error> {
        let path = format!("/v1/jobs/{job}/logs");
        let stream = if wish.stderr { "stderr" } else { "stdout" };
        let mut query = vec![("stream", stream.to_owned()), ("offset", wish.offset.to_string())];
        query.extend(wish.attempt.map(|attempt| ("attempt", attempt.to_string())));
        let response = self.send_again(|| self.request(Method::GET, &path).query(&query)).await?;
        let header = |name: &str| {
            let text = response.headers().get(name).and_then(|value| value.to_str().ok());
            text.map(str::to_owned)
        };
        let next = header("portolan-next-offset").and_then(|text| text.parse().ok());
        let complete = header("portolan-log-complete").as_deref() == Some("true");
        let text = response.text().await.map_err(Error::unreadable)?;
        let next = next.unwrap_or(wish.offset + text.len() as u64);
        Ok(LogPart { text, next, complete })
    }
}
