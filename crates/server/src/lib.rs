//! The server: the loop, its log and its doors, wired together.
//!
//! The one door is [`serve`]. It recovers the world from the log, drives the controller with a
//! clock, commits what it decides, and lets nothing out before it is durable. Deciding happens in
//! the crate `controller`, HTTP in `api`, the disk in `store`; here they meet.
//!
//! Deliberately absent: decisions, and any second copy of the state.

mod archiving;
mod clock;
mod doors;
mod driver;
mod first_run;
mod inbox;
mod polls;
mod recent;
mod recover;

pub use first_run::OPERATOR_TOKEN;
pub use recover::{Recovered, recover};

use clock::Clock;
use controller::Controller;
use doors::Doors;
use driver::{Driver, Parts};
use inbox::Inbox;
use model::Span;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{broadcast, oneshot};
use tokio_util::sync::CancellationToken;

/// How many batches of records a follower may lag behind.
const BATCHES: usize = 1_024;

/// How long requests under way may take to end when the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// What a server needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where its log, its archive and its secrets are. One server at a time.
    pub dir: PathBuf,
    /// Where it listens. Off loopback it needs [`Settings::tls`].
    pub listen: SocketAddr,
    /// What it proves itself with.
    pub tls: Option<api::serve::Tls>,
    /// What the loop may be told.
    pub controller: controller::Settings,
    /// What the doors for people and programs may be told.
    pub api: api::Settings,
    /// How long an agent's poll may be held back.
    pub poll: Span,
    /// A snapshot is taken after so many facts; it makes the next start fast.
    pub snapshot_every: u64,
    /// Makes every commit take this much longer: for measuring on a slow disk.
    pub commit_delay: Option<Duration>,
    /// Breaks a promise on purpose, to prove that the tests notice.
    pub sabotage: Option<Sabotage>,
}

impl Settings {
    /// Ordinary settings for a server that keeps its things in `dir` and listens on loopback.
    #[must_use]
    pub fn new(dir: PathBuf, listen: SocketAddr) -> Self {
        Self {
            dir,
            listen,
            tls: None,
            controller: controller::Settings::default(),
            api: api::Settings::default(),
            poll: Span::from_secs(20),
            snapshot_every: 50_000,
            commit_delay: None,
            sabotage: None,
        }
    }
}

/// A promise broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Answers leave before the facts they rest on are durable.
    ReplyBeforeAppend,
    /// Attempts of a silent center are placed again at once, whatever their lease.
    NoFencing,
}

/// Why a server cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read or written.
    #[error("the log: {0}")]
    Store(#[source] store::Error),
    /// A fact cannot be read; skipping it would make a different world.
    #[error(transparent)]
    Unreadable(#[from] model::fact::UnreadableFact),
    /// A fact contradicts those before it.
    #[error("the log does not make sense: {0}; restore it from a copy, or report this")]
    Contradiction(#[from] world::Contradiction),
    /// A file cannot be used.
    #[error("cannot use {0}")]
    File(PathBuf, #[source] std::io::Error),
    /// The loop broke a promise and was stopped before it could do harm.
    #[error("stopped before breaking a promise: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    BrokenPromise(Vec<audit::Violation>),
    /// The doors cannot be opened.
    #[error(transparent)]
    Serve(#[from] api::serve::ServeError),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The shipped catalog is damaged.
    #[error("the chip catalog cannot be read: {0}")]
    Catalog(String),
    /// A task of the server ended without a word.
    #[error("the loop broke off")]
    BrokenOff,
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    ended: oneshot::Receiver<Result<(), Error>>,
}

impl Running {
    /// Waits until the server has stopped.
    pub async fn ended(self) -> Result<(), Error> {
        self.ended.await.unwrap_or(Err(Error::BrokenOff))
    }
}

/// Starts a server; it runs until `stop`, or until it cannot go on.
pub async fn serve(settings: Settings, stop: CancellationToken) -> Result<Running, Error> {
    let dir = settings.dir.clone();
    std::fs::create_dir_all(&dir).map_err(|e| Error::File(dir.clone(), e))?;
    let log = store::Settings { commit_delay: settings.commit_delay, ..store::Settings::default() };
    let recovered = recover(&dir, log).await?;
    let clock = Clock::start(recovered.world.at);
    let mut loop_settings = settings.controller.clone();
    loop_settings.fencing = settings.sabotage != Some(Sabotage::NoFencing);
    let mut controller = Controller::new(recovered.world, clock.now(), loop_settings);
    let first = first_run::prepare(&mut controller, &dir, clock.now())?;
    let doors = Doors::open(&dir).map_err(|e| Error::File(dir.join("doors.secret"), e))?;
    let archive =
        store::archive::Archive::open(&dir.join("archive.db")).await.map_err(Error::Store)?;

    let listener = listen(&settings)?;
    let address = listener.local_addr().map_err(api::serve::ServeError::Socket)?;
    let (lanes, inbox) = Inbox::new();
    let (records, _) = broadcast::channel(BATCHES);
    let gate = api::gate::Gate::new(lanes, records.clone());
    let doors_settings = api::Settings { shutdown: stop.clone(), ..settings.api.clone() };
    let router = api::router(gate, doors_settings);
    let parts = Parts {
        controller,
        log: recovered.log,
        snapshot_at: recovered.snapshot,
        archive,
        clock,
        doors,
        inbox,
        records,
        poll: settings.poll,
        snapshot_every: settings.snapshot_every,
        sabotage: settings.sabotage,
        stop: stop.clone(),
    };
    let (done, ended) = oneshot::channel();
    let serving = tokio::spawn(async move {
        api::serve::serve(listener, router, settings.tls.as_ref(), stop.clone(), DRAIN).await
    });
    tokio::spawn(async move {
        let stop = parts.stop.clone();
        let result = Driver::run(parts, first).await;
        // Whatever ended the loop ends the doors too.
        stop.cancel();
        let served = serving.await.unwrap_or(Ok(()));
        // Nobody may be waiting for the end.
        let _ = done.send(result.and(served.map_err(Error::Serve)));
    });
    Ok(Running { address, ended })
}

fn listen(settings: &Settings) -> Result<std::net::TcpListener, Error> {
    api::serve::check_exposure(settings.listen, settings.tls.is_some())?;
    let listener = std::net::TcpListener::bind(settings.listen);
    listener.map_err(|e| Error::Listen(settings.listen, e))
}
