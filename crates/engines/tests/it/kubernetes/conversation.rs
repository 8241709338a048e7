//! Conversations with an API server, held for real and recorded, or replayed.
//!
//! A recording is a file of JSON lines. The first names the server's version and the day; each other is a
//! request with its answer, or an event of a watch. A test goes on in steps, between which the world
//! changes: what was recorded in a step is replayed in it.

use super::control_plane::ControlPlane;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use tower::BoxError;

/// An answer's body.
type Answer = UnsyncBoxBody<Bytes, BoxError>;

/// Where recordings are.
fn file(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/kubernetes/recorded");
    dir.join(format!("{name}.jsonl"))
}

/// The first line of a recording.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    server: String,
    recorded: String,
}

/// Any other line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Line {
    step: u32,
    /// Method and path, without the version from which a watch goes on.
    request: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    body: Value,
    /// None for an event of a watch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    answer: Value,
}

/// What is said, and by whom.
pub(crate) struct Conversation {
    name: &'static str,
    step: watch::Sender<u32>,
    world: World,
}

enum World {
    Live { client: Client, version: String, lines: Arc<Mutex<Vec<Line>>> },
    Recorded(Arc<Mutex<Vec<Option<Line>>>>),
}

impl Conversation {
    pub(crate) fn live(name: &'static str, plane: &ControlPlane) -> Self {
        let (client, version) = (plane.client.clone(), plane.version.clone());
        let world = World::Live { client, version, lines: Arc::default() };
        Self { name, step: watch::Sender::new(0), world }
    }

    pub(crate) fn recorded(name: &'static str) -> Self {
        let text = fs::read_to_string(file(name)).unwrap();
        let mut lines = text.lines();
        let _: Head = serde_json::from_str(lines.next().unwrap()).unwrap();
        let lines = lines.map(|line| Some(serde_json::from_str(line).unwrap())).collect();
        let world = World::Recorded(Arc::new(Mutex::new(lines)));
        Self { name, step: watch::Sender::new(0), world }
    }

    /// Changes the world, where there is one.
    pub(crate) async fn change(&self, act: impl AsyncFnOnce(&Client)) {
        self.step.send_modify(|step| *step += 1);
        if let World::Live { client, .. } = &self.world {
            act(client).await;
        }
    }

    /// Who talks for the one that is tested.
    pub(crate) fn client(&self) -> Client {
        let step = self.step.subscribe();
        match &self.world {
            World::Live { client, lines, .. } => {
                let (client, lines) = (client.clone(), Arc::clone(lines));
                let ask =
                    move |request| ask(request, client.clone(), Arc::clone(&lines), step.clone());
                Client::new(tower::service_fn(ask), "default")
            }
            World::Recorded(lines) => {
                let lines = Arc::clone(lines);
                let remember = move |request| remember(request, Arc::clone(&lines), step.clone());
                Client::new(tower::service_fn(remember), "default")
            }
        }
    }

    /// Writes down what was said.
    pub(crate) fn keep(self) {
        let World::Live { version, lines, .. } = self.world else { return };
        let date = std::process::Command::new("date").args(["-u", "+%F"]).output().unwrap();
        let recorded = String::from_utf8(date.stdout).unwrap().trim().to_owned();
        let mut text = serde_json::to_string(&Head { server: version, recorded }).unwrap();
        text.push('\n');
        for line in lines.lock().unwrap().iter() {
            text.push_str(&serde_json::to_string(line).unwrap());
            text.push('\n');
        }
        let file = file(self.name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
}

/// What a request asks for: method and path, and its body.
async fn read(request: Request<Body>) -> (String, Value, Request<Body>) {
    let (head, body) = request.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = head.uri.path_and_query().unwrap().as_str();
    let lasting = text.split('&').filter(|part| !part.starts_with("resourceVersion"));
    let key = format!("{} {}", head.method, lasting.collect::<Vec<_>>().join("&"));
    let value = serde_json::from_slice(&bytes).unwrap_or_default();
    (key, value, Request::from_parts(head, Body::from(bytes.to_vec())))
}

/// Passes a request on, and writes down what is said.
async fn ask(
    request: Request<Body>,
    client: Client,
    lines: Arc<Mutex<Vec<Line>>>,
    step: watch::Receiver<u32>,
) -> Result<Response<Answer>, BoxError> {
    let (key, body, request) = read(request).await;
    let (head, answer) = client.send(request).await?.into_parts();
    if key.contains("watch=true") {
        let mut rest = Vec::new();
        let answer = answer.map_frame(move |frame| {
            rest.extend(frame.data_ref().into_iter().flatten());
            while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
                let event: Vec<u8> = rest.drain(..=end).collect();
                let answer = lean(serde_json::from_slice(&event).unwrap());
                let (step, request) = (*step.borrow(), key.clone());
                let line = Line { step, request, body: Value::Null, status: None, answer };
                lines.lock().unwrap().push(line);
            }
            frame
        });
        return Ok(Response::from_parts(head, answer.map_err(Into::into).boxed_unsync()));
    }
    let bytes = answer.collect().await?.to_bytes();
    let answer = lean(serde_json::from_slice(&bytes).unwrap_or_default());
    let (step, status) = (*step.borrow(), Some(head.status.as_u16()));
    let line = Line { step, request: key, body, status, answer };
    let mut lines = lines.lock().unwrap();
    // Asked until something changes.
    let before = lines.iter().rev().find(|before| before.request == line.request);
    if before != Some(&line) {
        lines.push(line);
    }
    Ok(Response::from_parts(head, whole(bytes)))
}

fn whole(bytes: Bytes) -> Answer {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// Without what nobody reads.
fn lean(mut answer: Value) -> Value {
    match &mut answer {
        Value::Object(fields) => {
            fields.remove("managedFields");
            fields.values_mut().for_each(|field| *field = lean(field.take()));
        }
        Value::Array(all) => all.iter_mut().for_each(|one| *one = lean(one.take())),
        _ => {}
    }
    answer
}

/// Answers a request by what was said before.
async fn remember(
    request: Request<Body>,
    lines: Arc<Mutex<Vec<Option<Line>>>>,
    step: watch::Receiver<u32>,
) -> Result<Response<Answer>, BoxError> {
    let (key, body, _) = read(request).await;
    if key.contains("watch=true") {
        let next = move |(key, lines, mut step): (String, Arc<Mutex<Vec<Option<Line>>>>, _)| async move {
            let step_now: &mut watch::Receiver<u32> = &mut step;
            loop {
                let now = *step_now.borrow_and_update();
                if let Some(line) = take(&lines, |line| line.request == key && line.step <= now) {
                    let frame = Frame::data(format!("{}\n", line.answer).into_bytes().into());
                    return Some((Ok::<_, BoxError>(frame), (key, lines, step)));
                }
                if step_now.changed().await.is_err() {
                    return None;
                }
            }
        };
        let events = StreamBody::new(stream::unfold((key, lines, step), next));
        return Ok(Response::new(events.boxed_unsync()));
    }
    let now = *step.borrow();
    let is_it = |line: &Line| line.request == key && line.body == body && line.status.is_some();
    let is_now = |line: &Line| is_it(line) && line.step == now;
    // What is asked until something changes is asked more or less often.
    let only = lines.lock().unwrap().iter().flatten().filter(|line| is_now(line)).count() == 1;
    let found = match only {
        true => lines.lock().unwrap().iter().flatten().find(|line| is_now(line)).cloned(),
        false => take(&lines, is_now).or_else(|| take(&lines, is_it)),
    };
    let Some(Line { status: Some(status), answer, .. }) = found else {
        return Err(format!("nobody asked this in step {now}: {key} {body}").into());
    };
    let bytes = answer.to_string().into_bytes();
    Ok(Response::builder().status(status).body(whole(bytes.into()))?)
}

fn take(lines: &Mutex<Vec<Option<Line>>>, is_it: impl Fn(&Line) -> bool) -> Option<Line> {
    let mut lines = lines.lock().unwrap();
    lines.iter_mut().find(|line| line.as_ref().is_some_and(&is_it)).and_then(Option::take)
}
