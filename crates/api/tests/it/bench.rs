//! A loop whose appends are durable at once, and a way to ask the API in front of it.

use api::gate::{ArchiveQuery, Call, Gate, Lanes, LogError, Ticket};
use api::{Settings, router};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use controller::{Answer, Controller, Effect, Input, Rejected};
use futures::StreamExt;
use model::fact::{Head, Record, extend};
use model::job::Job;
use model::token::{Role, Token};
use model::{CenterId, Digest, Fact, JobId, Moment, NetworkUid, TenantId, TokenId};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc};
use tower::ServiceExt;
use wire::{Joined, LogPiece, Orders};
use world::World;

const LAPTOP: &str = include_str!("../../../../catalog/networks/laptop.toml");
const CHIPS: [(&str, &str); 3] = [
    ("a100", include_str!("../../../../catalog/chips/nvidia-a100-sxm4-80.toml")),
    ("910b3", include_str!("../../../../catalog/chips/ascend-910b3.toml")),
    ("k100", include_str!("../../../../catalog/chips/hygon-k100-ai.toml")),
];

/// The secret of a role's token in these tests.
pub(crate) fn secret(role: &Role) -> String {
    format!("ptl_{}", Digest::of(role.to_string().as_bytes()))
}

pub(crate) fn tenant(name: &str) -> Role {
    Role::Tenant(TenantId::new(name).unwrap())
}

pub(crate) fn center(name: &str) -> Role {
    Role::Center(CenterId::new(name).unwrap())
}

struct Loop {
    controller: Controller,
    records: Vec<Record>,
    head: Head,
    news: broadcast::Sender<Arc<Vec<Record>>>,
    archive: BTreeMap<JobId, Arc<Job>>,
    request: u64,
    now: Moment,
}

impl Loop {
    fn step(&mut self, input: Input) -> Option<Answer> {
        self.now = self.now + model::Span(1);
        let effects = self.controller.step(self.now, vec![input]);
        self.carry_out(effects)
    }

    fn carry_out(&mut self, effects: Vec<Effect>) -> Option<Answer> {
        let mut answer = None;
        for effect in effects {
            match effect {
                Effect::Append { at, facts } => self.append(at, facts),
                Effect::Reply { answer: reply, .. } => answer = Some(*reply),
                Effect::Archive(jobs) => {
                    let ids = jobs.iter().map(|job| job.job).collect();
                    self.archive.extend(jobs.into_iter().map(|job| (job.job, job)));
                    assert!(self.step(Input::Archived(ids)).is_none());
                }
                Effect::Halt(violations) | Effect::Alarm(violations) => panic!("{violations:?}"),
                Effect::Orders(_) | Effect::Solve(_) | Effect::WakeAt(_) => {}
            }
        }
        answer
    }

    fn append(&mut self, at: Moment, facts: Vec<Fact>) {
        let mut new = Vec::new();
        for fact in facts {
            let record = Record::new(self.head.number + 1, at, &fact);
            let digest = extend(&self.head.digest, &record.header.digest());
            self.head = Head { number: record.header.number, digest };
            new.push(record);
        }
        self.records.extend(new.iter().cloned());
        // Nobody may be listening.
        let _ = self.news.send(Arc::new(new));
    }

    fn after(&self, number: u64, limit: usize) -> impl Iterator<Item = &Record> {
        self.records.iter().skip(usize::try_from(number).unwrap()).take(limit)
    }

    fn take(&mut self, call: Call) {
        self.request += 1;
        let request = self.request;
        let sent = match call {
            Call::Command(by, command, reply) => {
                let answer = self.step(Input::Command { request, by, command }).unwrap();
                reply.send(answer).is_ok()
            }
            Call::Join(center, join, reply) => {
                let answer = self.step(Input::Join { request, center: center.clone(), join });
                let joined = match answer.unwrap() {
                    Answer::Joined { session } => Ok(Joined {
                        network: self.controller.world().network.unwrap(),
                        center,
                        session,
                        door_key: Digest::of(b"door"),
                        poll: model::Span::from_secs(1),
                        head: self.head,
                    }),
                    Answer::Rejected(rejected) => Err(rejected),
                    other => panic!("{other:?}"),
                };
                reply.send(joined).is_ok()
            }
            Call::Poll(center, poll, reply) => {
                let orders = self.controller.orders(&center, poll.session, poll.after);
                let orders =
                    orders.ok_or(Rejected::StaleSession).map(|(revision, orders)| Orders {
                        revision,
                        full: poll.after == 0,
                        orders,
                        asks: Vec::new(),
                        head: self.head,
                    });
                reply.send(orders).is_ok()
            }
            Call::Reports(center, reports, reply) => {
                let (session, reports) = (reports.session, reports.reports);
                let input = Input::Reports { request, center, session, reports };
                let head = match self.step(input).unwrap() {
                    Answer::Rejected(rejected) => Err(rejected),
                    _ => Ok(self.head),
                };
                reply.send(head).is_ok()
            }
            Call::Answered(..) => true,
            Call::Look(look) => {
                look(&self.controller)();
                true
            }
            Call::Log(query, reply) => {
                let text = if query.stderr { "oh\n" } else { "hello\nworld\n" };
                let piece = match usize::try_from(query.offset).ok().and_then(|o| text.get(o..)) {
                    Some(rest) => {
                        let most = usize::try_from(query.max).unwrap().min(rest.len());
                        let next = query.offset + most as u64;
                        let complete = next == text.len() as u64;
                        let text = rest[..most].to_owned();
                        Ok(LogPiece { offset: query.offset, text, next, complete })
                    }
                    None => Err(LogError::Gone("past the end".to_owned())),
                };
                reply.send(piece).is_ok()
            }
            Call::Archive(query, reply) => reply.send(Ok(self.archived(query))).is_ok(),
            Call::Records(after, limit, reply) => {
                reply.send(Ok(self.after(after, limit).cloned().collect())).is_ok()
            }
            Call::Heads(after, limit, reply) => {
                let digests = self.after(after, limit).map(|r| r.header.digest()).collect();
                reply.send(Ok((digests, self.head))).is_ok()
            }
            Call::Ticket(query, reply) => {
                let ticket = format!("{} {} {}", query.center, query.data.dataset, query.write);
                reply.send(Ok(Ticket { url: "http://127.0.0.1:1".to_owned(), ticket })).is_ok()
            }
        };
        // Whoever asked may have gone away.
        let _ = sent;
    }

    fn archived(&self, query: ArchiveQuery) -> Vec<Arc<Job>> {
        match query {
            ArchiveQuery::Job(id) => self.archive.get(&id).cloned().into_iter().collect(),
            ArchiveQuery::List { tenant, state, name, before, limit } => {
                let fits = |job: &&Arc<Job>| {
                    tenant.as_ref().is_none_or(|t| job.spec.tenant == *t)
                        && state.as_ref().is_none_or(|s| job.phase.word() == s)
                        && name.as_ref().is_none_or(|n| job.spec.name.contains(n.as_str()))
                        && before.is_none_or(|b| job.job < b)
                };
                self.archive.values().rev().filter(fits).take(limit).cloned().collect()
            }
        }
    }
}

/// The API, with tokens for the operator, two tenants and two centers.
pub(crate) struct Bench {
    pub(crate) router: Router,
    pub(crate) settings: Settings,
}

/// An answer read to its end.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is text")
    }

    /// The last part of the problem's type; empty when it is none.
    pub(crate) fn problem(&self) -> String {
        let kind = self.headers.get(header::CONTENT_TYPE).map(|v| v.to_str().unwrap());
        if kind != Some("application/problem+json") {
            return String::new();
        }
        let document = self.json();
        assert_eq!(document["status"], self.status.as_u16());
        document["type"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
    }
}

impl Bench {
    /// An empty network.
    pub(crate) fn empty(settings: Settings, archive_after: usize) -> Self {
        let (calls, mut called) = mpsc::channel(1_024);
        let (news, _) = broadcast::channel(64);
        let lanes = Lanes { centers: calls.clone(), people: calls };
        let gate = Gate::new(lanes, news.clone());
        let now = Moment(1_800_000_000_000);
        let limits = controller::Settings {
            keep_ended_jobs: archive_after,
            ..controller::Settings::default()
        };
        let mut state = Loop {
            controller: Controller::new(World::default(), now, limits),
            records: Vec::new(),
            head: Head::EMPTY,
            news,
            archive: BTreeMap::new(),
            request: 0,
            now,
        };
        let created = state.controller.create(now, NetworkUid::from_bytes([7; 8]));
        assert!(state.carry_out(created).is_none());
        state.token(&Role::Operator);
        tokio::spawn(async move {
            while let Some(call) = called.recv().await {
                state.take(call);
            }
        });
        Self { router: router(gate, settings.clone()), settings }
    }

    /// The laptop network.
    pub(crate) async fn laptop_with(settings: Settings, archive_after: usize) -> Self {
        let bench = Self::empty(settings, archive_after);
        let document = |(name, text): &(&str, &str)| json!({"name": name, "text": text});
        let files = json!({
            "network": [document(&("laptop.toml", LAPTOP))],
            "chips": CHIPS.iter().map(document).collect::<Vec<_>>(),
        });
        let applied = bench.ask(&Role::Operator, "PUT", "/v1/network", Some(files)).await;
        assert_eq!(applied.status, StatusCode::OK, "{}", applied.text());
        for role in [tenant("lab"), tenant("startup"), center("lingang"), center("kunshan")] {
            bench.known_token(&role).await;
        }
        bench
    }

    pub(crate) async fn laptop() -> Self {
        Self::laptop_with(Settings::default(), 10_000).await
    }

    /// Creates a token by the API and remembers its secret under the role's name.
    async fn known_token(&self, role: &Role) {
        let (kind, of) = match role {
            Role::Operator => ("operator", None),
            Role::Center(center) => ("center", Some(center.to_string())),
            Role::Tenant(tenant) => ("tenant", Some(tenant.to_string())),
        };
        let new = json!({"role": kind, "of": of, "label": "test"});
        let made = self.ask(&Role::Operator, "POST", "/v1/tokens", Some(new)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        let secret = made.json()["secret"].as_str().unwrap().to_owned();
        SECRETS.with(|secrets| secrets.borrow_mut().insert(role.to_string(), secret));
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answered {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answered { status: parts.status, headers: parts.headers, body }
    }

    /// A request by the holder of a role's token.
    pub(crate) fn request(role: &Role, method: &str, path: &str) -> axum::http::request::Builder {
        let known = SECRETS.with(|secrets| secrets.borrow().get(&role.to_string()).cloned());
        let secret = known.unwrap_or_else(|| secret(role));
        let request = Request::builder().method(method).uri(path);
        request.header(header::AUTHORIZATION, format!("Bearer {secret}"))
    }

    pub(crate) async fn ask(
        &self,
        role: &Role,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answered {
        let request = Self::request(role, method, path);
        let request = match body {
            Some(body) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        self.send(request.unwrap()).await
    }

    pub(crate) async fn get(&self, role: &Role, path: &str) -> Answered {
        self.ask(role, "GET", path, None).await
    }

    pub(crate) async fn post(&self, role: &Role, path: &str, body: Value) -> Answered {
        self.ask(role, "POST", path, Some(body)).await
    }

    /// Submits a job that wants no chip; returns its id.
    pub(crate) async fn submit(&self, role: &Role, name: &str) -> String {
        let answer = self.post(role, "/v1/jobs", job(name)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer.json()["first"].as_str().unwrap().to_owned()
    }

    /// Opens an event stream; its events come as they are read.
    pub(crate) async fn events(&self, request: Request<Body>) -> Events {
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Events { stream: response.into_body().into_data_stream(), text: String::new() }
    }
}

thread_local! {
    static SECRETS: std::cell::RefCell<BTreeMap<String, String>> = const { std::cell::RefCell::new(BTreeMap::new()) };
}

/// A job file that fits the laptop network and wants no chip.
pub(crate) fn job(name: &str) -> Value {
    json!({"name": name, "limit": "10m", "command": ["true"]})
}

/// An open event stream.
pub(crate) struct Events {
    stream: axum::body::BodyDataStream,
    text: String,
}

impl Events {
    /// The next event's id, kind and data; none at the stream's end.
    pub(crate) async fn next(&mut self) -> Option<(u64, String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event.lines().find_map(|l| l.strip_prefix(name)).map(|v| v.trim().to_owned())
                };
                let (id, kind, data) = (field("id:"), field("event:"), field("data:"));
                self.text = rest.to_owned();
                if let (Some(id), Some(kind), Some(data)) = (id, kind, data) {
                    let data = serde_json::from_str(&data).unwrap();
                    return Some((id.parse().unwrap(), kind, data));
                }
                continue;
            }
            let piece = self.stream.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }
}

impl Loop {
    /// A token whose secret the tests know, made before anybody asks.
    fn token(&mut self, role: &Role) {
        let digest = Digest::of(secret(role).as_bytes());
        let first = Token {
            token: TokenId::new(1),
            secret: digest,
            role: role.clone(),
            label: "first".to_owned(),
            expires: None,
        };
        let by = model::Principal { role: Role::Operator, token: first.token };
        let command = controller::Command::CreateToken {
            secret: digest,
            role: first.role,
            label: first.label,
            expires: None,
        };
        let made = self.step(Input::Command { request: 0, by, command });
        assert!(matches!(made, Some(Answer::Token(_))));
    }
}
