//! Events: facts as they become durable, from any number on.

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::extract::{Query, read_text};
use crate::gate::ArchiveQuery;
use crate::job::archived;
use crate::log::{event, records};
use crate::problem::Problem;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use model::{JobId, Record, Role, TenantId};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::IntoParams;

/// Where browsers say what they saw last.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How many records are read from the log at once.
const AT_ONCE: usize = 512;
/// How many jobs' tenants a stream remembers.
const REMEMBERED: usize = 65_536;

/// Where to go on.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Events after this number; those from now on where neither this nor `Last-Event-ID` is given.
    after: Option<u64>,
    /// The token, for browsers, whose event sources send no headers of ours.
    token: Option<String>,
}

/// Who follows: by header, or by `token` in the query, which no other route takes.
pub(crate) struct Follower {
    who: Who,
    after: Option<u64>,
}

impl FromRequestParts<Api> for Follower {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Query(wanted) = Query::<Wanted>::from_request_parts(parts, api).await?;
        let who = match &wanted.token {
            Some(secret) => Who::by(api, Some(secret)).await?,
            None => Who::from_request_parts(parts, api).await?,
        };
        // A browser that comes back sends the newest it saw beside the query it began with.
        let after = last_seen(&parts.headers)?.or(wanted.after);
        Ok(Self { who, after })
    }
}

fn last_seen(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(id) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let id = id.to_str().unwrap_or_default();
    read_text(id)
        .map(Some)
        .map_err(|_| Problem::malformed("`Last-Event-ID` must be a fact's number"))
}

/// Facts as they become durable, as server-sent events
///
/// The id of an event is its fact's number; a stream resumes after `Last-Event-ID` without a gap.
/// Tenants and centers see the facts that name them.
#[utoipa::path(get, path = "/v1/events", tag = "log",
    params(Wanted, ("last-event-id" = Option<u64>, Header)),
    responses((status = OK, content_type = "text/event-stream", body = wire::view::Event)))]
pub(crate) async fn follow_events(
    State(api): State<Api>,
    Follower { who, after }: Follower,
) -> Result<Response, Problem> {
    who.must(&api, Action::FollowEvents, Resource::Network)?;
    let place = api.stream_place()?;
    let mut news = api.gate.records();
    let after = match after {
        Some(after) => after,
        None => api.gate.look(|c| c.world().number).await?,
    };
    let (events, stream) = mpsc::channel::<Result<Event, Infallible>>(64);
    let keep_alive = api.settings.keep_alive;
    tokio::spawn(async move {
        let shutdown = api.settings.shutdown.clone();
        let mut follow = Follow { api, sight: Sight::of(who.0.role), after, events };
        tokio::select! {
            ended = follow.run(&mut news) => drop(ended),
            () = shutdown.cancelled() => {}
        }
        drop(place);
    });
    let alive = KeepAlive::new().interval(keep_alive).text("still here");
    let sse = Sse::new(ReceiverStream::new(stream)).keep_alive(alive);
    Ok(([("x-accel-buffering", "no")], sse).into_response())
}

/// One stream.
struct Follow {
    api: Api,
    sight: Sight,
    /// The number of the last fact dealt with.
    after: u64,
    events: mpsc::Sender<Result<Event, Infallible>>,
}

/// A stream's end: nobody listens, the server stops, or the log cannot be read.
struct End;

impl Follow {
    async fn run(
        &mut self,
        news: &mut tokio::sync::broadcast::Receiver<Arc<Vec<Record>>>,
    ) -> Result<(), End> {
        loop {
            // What is in the log already, then what comes; from the log again after a gap.
            loop {
                let old = records(&self.api, self.after, AT_ONCE).await.map_err(|_| End)?;
                self.send(&old).await?;
                if old.len() < AT_ONCE {
                    break;
                }
            }
            loop {
                let new = tokio::select! {
                    new = news.recv() => new,
                    () = self.events.closed() => return Err(End),
                };
                match new {
                    Ok(new) => {
                        let first = new.first().map_or(0, |record| record.header.number);
                        if first > self.after + 1 {
                            break;
                        }
                        let seen = new.partition_point(|r| r.header.number <= self.after);
                        self.send(&new[seen..]).await?;
                    }
                    Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return Err(End),
                }
            }
        }
    }

    async fn send(&mut self, records: &[Record]) -> Result<(), End> {
        self.sight.learn(&self.api, records).await.map_err(|_| End)?;
        for record in records {
            self.after = record.header.number;
            if !self.sight.sees(record) {
                continue;
            }
            let shown = event(record).map_err(|_| End)?;
            let data = Event::default().id(shown.number.to_string()).event(&shown.kind);
            let data = data.json_data(&shown).map_err(|_| End)?;
            self.events.send(Ok(data)).await.map_err(|_| End)?;
        }
        Ok(())
    }
}

/// Which facts somebody sees.
enum Sight {
    All,
    /// Those that name this subject.
    Subject(String),
    /// Those that name this tenant, or one of its jobs.
    Tenant {
        tenant: TenantId,
        subject: String,
        own: BTreeMap<JobId, bool>,
    },
}

impl Sight {
    fn of(role: Role) -> Self {
        match role {
            Role::Operator => Self::All,
            Role::Center(center) => Self::Subject(format!("center:{center}")),
            Role::Tenant(tenant) => {
                let subject = format!("tenant:{tenant}");
                Self::Tenant { tenant, subject, own: BTreeMap::new() }
            }
        }
    }

    /// Finds out whose the jobs are that these records are about.
    async fn learn(&mut self, api: &Api, records: &[Record]) -> Result<(), Problem> {
        let Self::Tenant { tenant, subject, own } = self else { return Ok(()) };
        if own.len() > REMEMBERED {
            own.clear();
        }
        let mut unknown = Vec::new();
        for record in records {
            let Some(job) = job_of(record) else { continue };
            let names_tenant = |s: &String| s.starts_with("tenant:");
            if record.header.subjects.iter().any(names_tenant) {
                own.insert(job, record.header.subjects.contains(subject));
            } else if !own.contains_key(&job) {
                unknown.push(job);
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        if unknown.is_empty() {
            return Ok(());
        }
        let name = tenant.clone();
        let found = api.gate.look(move |c| {
            let is_own = |id: JobId| c.world().job(id).map(|job| job.spec.tenant == name);
            unknown.into_iter().map(|id| (id, is_own(id))).collect::<Vec<_>>()
        });
        for (id, is_own) in found.await? {
            let is_own = match is_own {
                Some(is_own) => is_own,
                None => {
                    let jobs = archived(api, ArchiveQuery::Job(id)).await?;
                    jobs.first().is_some_and(|found| found.job.spec.tenant == *tenant)
                }
            };
            own.insert(id, is_own);
        }
        Ok(())
    }

    fn sees(&self, record: &Record) -> bool {
        let names = |subject: &String| record.header.subjects.contains(subject);
        match self {
            Self::All => true,
            Self::Subject(subject) => names(subject),
            Self::Tenant { subject, own, .. } => {
                names(subject) || job_of(record).is_some_and(|job| own.get(&job) == Some(&true))
            }
        }
    }
}

/// The job a record is about: the first of its subjects, if it is one.
fn job_of(record: &Record) -> Option<JobId> {
    record.header.subjects.first()?.parse().ok()
}
