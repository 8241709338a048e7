//! The two ends of a copy as processes of their own, so that each can live in a network namespace
//! and be killed.

use anyhow::{Context, Result, bail};
use axum::Json;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use clap::Args;
use http_body_util::BodyExt;
use model::{Bytes, DatasetVersion, Moment, Rate, Span, TransferId};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, Lines, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use transfer::door::{self, Door, router};
use transfer::{Giver, Leave, LocalStore, Pace, Progress, Shaper, Source, Ticket, Verb, ticket};
use wire::PaceStep;

const KEY: [u8; 32] = [7; 32];
const CENTER: &str = "bench";

/// Serves a store until standard input ends.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[arg(long)]
    store: PathBuf,
    #[arg(long)]
    listen: SocketAddr,
    /// The device at which the kernel keeps rates.
    #[arg(long)]
    shape: Option<String>,
    /// What the line behind it carries, in bits a second.
    #[arg(long)]
    uplink: Option<u64>,
}

/// Fetches a dataset version into a store.
#[derive(Debug, Args)]
pub(crate) struct Fetch {
    #[arg(long)]
    store: PathBuf,
    #[arg(long)]
    dataset: String,
    #[arg(long)]
    version: String,
    /// What is planned on the wire, in bits a second; as fast as it goes where nothing is said.
    #[arg(long)]
    rate: Option<u64>,
    /// Doors.
    urls: Vec<String>,
}

/// What serving took so far.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Served {
    /// Bytes of bodies handed to the network.
    pub(crate) bytes: u64,
    pub(crate) cpu_s: f64,
}

/// What the fetching end says of itself, one line each.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Told {
    /// So many bytes were there when it began.
    Begun { done: u64 },
    /// It is over.
    Ended { seconds: f64, cpu_s: f64, moved: u64 },
}

/// CPU seconds of this process.
fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
    .as_secs_f64()
}

fn open(dir: &Path) -> Result<LocalStore> {
    Ok(LocalStore::open(dir, Bytes::MAX)?.0)
}

/// The serving end.
pub(crate) async fn serve(order: Serve) -> Result<()> {
    let uplink = order.uplink.map(Rate);
    let shaper = order.shape.map(|device| Shaper::begin(&device, uplink)).transpose()?;
    let door = router(Door {
        store: open(&order.store)?,
        center: CENTER.parse()?,
        key: KEY,
        now: Arc::new(|| Moment(0)),
        arrived: Arc::new(|_, _, _| {}),
        classes: shaper.as_ref().map(Shaper::classes),
    });
    let served = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&served);
    let count = move |request: Request, next: Next| {
        let counter = Arc::clone(&counter);
        async move { counted(next.run(request).await, counter) }
    };
    let cost = move || {
        let served = Served { bytes: served.load(Relaxed), cpu_s: cpu_s() };
        std::future::ready(Json(served))
    };
    let app = door.layer(from_fn(count)).route("/served", get(cost));
    let listener = tokio::net::TcpListener::bind(order.listen).await?;
    println!("{}", listener.local_addr()?);
    io::stdout().flush()?;
    let (end, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let waited = io::stdin().read_to_end(&mut Vec::new());
        end.send(waited)
    });
    tokio::select! {
        served = door::serve(listener, app) => Ok(served?),
        _ = ended => Ok(()),
    }
}

fn counted(response: Response, counter: Arc<AtomicU64>) -> Response {
    let (parts, body) = response.into_parts();
    let exact = body.size_hint().exact();
    let body = body.map_frame(move |frame| {
        counter.fetch_add(frame.data_ref().map_or(0, |data| data.len() as u64), Relaxed);
        frame
    });
    let mut response = Response::from_parts(parts, Body::new(body));
    if let Some(length) = exact {
        // Without it the answer would go out in pieces of its own framing.
        response.headers_mut().entry("content-length").or_insert(length.into());
    }
    response
}

/// The fetching end.
pub(crate) async fn fetch(order: Fetch) -> Result<()> {
    let data = DatasetVersion { dataset: order.dataset.parse()?, version: order.version.parse()? };
    let step = |rate| PaceStep { after: Span::ZERO, lasts: Span::MAX, rate: Rate(rate).payload() };
    let steps: Vec<PaceStep> = order.rate.map(step).into_iter().collect();
    let leave = Ticket {
        center: CENTER.parse()?,
        data: data.clone(),
        verb: Verb::Read,
        expires: Moment(u64::MAX),
        pace: Some(Leave::new(TransferId::new(1), Moment(0), steps.clone())),
    };
    let opens = ticket::issue(&KEY, &leave);
    let source = |url: String| Source { url, ticket: opens.clone() };
    let sources: Vec<Source> = order.urls.into_iter().map(source).collect();
    let store = open(&order.store)?;
    let pace = Pace::steps(&steps);
    let http = reqwest::Client::builder().no_proxy().build()?;
    let (progress, began) = (Progress::default(), Instant::now());
    say(Told::Begun { done: there(&store, &data)? })?;
    let givers = Giver::sharing(&sources, &pace);
    let arrived = transfer::fetch(&http, &givers, &store, &data, &progress).await?;
    let seconds = began.elapsed().as_secs_f64();
    say(Told::Ended { seconds, cpu_s: cpu_s(), moved: arrived.moved.0 })
}

/// How many bytes of a copy begun earlier are verified.
fn there(store: &LocalStore, data: &DatasetVersion) -> Result<u64> {
    let Some(incoming) = store.resume(data)? else { return Ok(0) };
    let layout = incoming.layout();
    let mut there = layout.bytes().0;
    for chunk in incoming.missing().into_iter().flatten() {
        there -= layout.place(chunk)?.bytes as u64;
    }
    Ok(there)
}

fn say(told: Told) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&told)?)?;
    Ok(out.flush()?)
}

/// Where an end of a copy runs.
pub(crate) type Place<'a> = &'a dyn Fn(&str) -> Command;

/// A serving process; it ends with this.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(
        place: Place<'_>,
        store: &Path,
        listen: &str,
        shape: Option<(&str, u64)>,
    ) -> Result<Self> {
        let program = std::env::current_exe()?;
        let mut command = place(&program.display().to_string());
        command.arg("serve").arg("--store").arg(store).args(["--listen", listen]);
        if let Some((device, uplink)) = shape {
            command.args([format!("--shape={device}"), format!("--uplink={uplink}")]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut out = lines(&mut child)?;
        let line = out.next().context("the serving end stopped")??;
        Ok(Self { child, address: line.parse()? })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it did so far, asked from `place`.
    pub(crate) fn served(&self, place: Place<'_>) -> Result<Served> {
        let mut command = place("curl");
        command.args(["-s", "--noproxy", "*", &format!("{}/served", self.url())]);
        Ok(serde_json::from_slice(&command.output().context("cannot run curl")?.stdout)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It is gone either way.
        let _ = self.child.wait();
    }
}

/// A fetching process.
#[derive(Debug)]
pub(crate) struct Fetching {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Fetching {
    pub(crate) fn start(
        place: Place<'_>,
        urls: &[String],
        store: &Path,
        data: &DatasetVersion,
        rate: Option<u64>,
    ) -> Result<Self> {
        let program = std::env::current_exe()?;
        let mut command = place(&program.display().to_string());
        command.arg("fetch").arg("--store").arg(store);
        command.args(["--dataset", &data.dataset.to_string()]);
        command.args(["--version", &data.version.to_string()]);
        command.args(rate.map(|rate| format!("--rate={rate}"))).args(urls);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let lines = lines(&mut child)?;
        Ok(Self { child, lines })
    }

    /// The next thing it says; none once it has ended.
    pub(crate) fn told(&mut self) -> Result<Option<Told>> {
        let line = self.lines.next().transpose()?;
        Ok(line.map(|line| serde_json::from_str(&line)).transpose()?)
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits for its end: seconds, CPU seconds, bytes moved.
    pub(crate) fn end(mut self) -> Result<(f64, f64, u64)> {
        while let Some(told) = self.told()? {
            if let Told::Ended { seconds, cpu_s, moved } = told {
                self.child.wait()?;
                return Ok((seconds, cpu_s, moved));
            }
        }
        bail!("the fetching end failed: {}", self.child.wait()?)
    }
}

fn lines(child: &mut Child) -> Result<Lines<BufReader<ChildStdout>>> {
    let out = child.stdout.take().context("its output is piped")?;
    Ok(BufReader::new(out).lines())
}
