//! An agent: runs beside a center's engine, fetches its orders, reports what is.
//!
//! The one door is [`run`]. What to do is decided by the crate `reconciler`; here is only doing:
//! calling the server, the engine and the store, and telling the reconciler what came of it. An
//! agent may be killed at any instruction and started again: attempts go on under their
//! supervisors, and it finds them.
//!
//! Deliberately absent: decisions, and any way in but the store's door.

mod checkpoints;
mod copies;
mod external;
mod home;
mod keeping;
mod link_test;
mod measuring;
mod mind;
mod nodes;
mod reading;
mod secrets;
mod session;
mod settled;
mod sight;
mod staging;
mod under_way;
mod witness;

pub use home::HomeError;

use client::Client;
use engines::kubernetes::{Kubernetes, KubernetesConfig};
use engines::ray::{Ray, RayConfig};
use engines::slurm::{Slurm, SlurmConfig};
use engines::task_spooler::{TaskSpooler, TaskSpoolerConfig};
use engines::{
    AnyEngine, BatchConfig, BatchEngine, Capacity, ProcessConfig, ProcessEngine, ProcessOptions,
    TimerEngine,
};
use home::Home;
use measuring::Answering;
use model::{Bytes, Cores, EngineKind, NetworkUid, Rate, Span};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use transfer::{Classes, ExternalStores, LocalStore, Shaper, TransferError};

/// What an agent needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where its store, its attempts and its own notes are. One agent at a time.
    pub dir: PathBuf,
    /// What runs the jobs.
    pub engine: EngineKind,
    /// How this machine is used, where processes of it are the engine.
    pub process: ProcessOptions,
    /// How Slurm is used, where that is the engine.
    pub slurm: SlurmConfig,
    /// How Kubernetes is used, where that is the engine; it must be said then.
    pub kubernetes: Option<KubernetesConfig>,
    /// How Ray is used, where that is the engine; it must be said then.
    pub ray: Option<RayConfig>,
    /// How task spooler is used, where that is the engine.
    pub task_spooler: TaskSpoolerConfig,
    /// Where the store's door listens; none when the center gives nothing away.
    pub data_listen: Option<SocketAddr>,
    /// How others reach that door, if not at the address it listens on.
    pub data_url: Option<String>,
    /// Where test packets are answered; none when no way from here is measured.
    pub probe_listen: Option<SocketAddr>,
    /// How others reach that, as `host:port`, if not at the address it listens on.
    pub probe_address: Option<String>,
    /// How closely this machine's clock follows UTC; without it one-way figures stay unknown.
    pub clock_within: Option<Duration>,
    /// The network device that door sends through, where the kernel is to keep transfers' rates;
    /// needs root or `CAP_NET_ADMIN`. Where it cannot, the agent does not start.
    pub shape: Option<String>,
    /// What the line behind that device carries, where that is less than the device.
    pub uplink: Option<Rate>,
    /// How much the store holds.
    pub store: Bytes,
    /// The file that names further stores, in which data may lie; none where there are none.
    pub stores: Option<PathBuf>,
    /// The directory that holds the secrets of jobs, `HOLDER/TENANT/NAME`; none where there are none.
    pub secrets: Option<PathBuf>,
    /// The users to run attempts as; needs root.
    pub uids: Option<engines::UidRange>,
    /// How long logs of attempts that are over are kept.
    pub keep_logs: Duration,
    /// How many attempts that are over keep their logs, as is looked at once a minute.
    pub keep_logs_most: usize,
    /// How often it checks that the server's log extends what it saw before.
    pub witness_every: Duration,
    /// How a supervisor is started.
    pub supervisor: engines::SupervisorCommand,
}

impl Settings {
    /// Ordinary settings for an agent that keeps its things in `dir`.
    #[must_use]
    pub fn new(dir: PathBuf, engine: EngineKind) -> Self {
        Self {
            dir,
            engine,
            process: ProcessOptions::default(),
            slurm: SlurmConfig::default(),
            kubernetes: None,
            ray: None,
            task_spooler: TaskSpoolerConfig::default(),
            data_listen: None,
            data_url: None,
            probe_listen: None,
            probe_address: None,
            clock_within: None,
            shape: None,
            uplink: None,
            store: Bytes(1 << 40),
            stores: None,
            secrets: None,
            uids: None,
            keep_logs: Duration::from_secs(7 * 86_400),
            keep_logs_most: 1_000,
            witness_every: Duration::from_secs(5),
            supervisor: engines::SupervisorCommand::default(),
        }
    }
}

/// Why an agent cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its directory cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Its store cannot be used.
    #[error("the store cannot be opened")]
    Store(#[from] TransferError),
    /// Its further stores cannot be used.
    #[error("the external stores cannot be used")]
    Stores(#[source] TransferError),
    /// Its engine cannot be used.
    #[error("the engine cannot be used")]
    Engine(#[from] engines::Error),
    /// The server will not have it.
    #[error("the server refuses this agent: {0}")]
    Refused(String),
    /// The server turned out to be another network's: everything is to be opened anew.
    #[error("the server speaks for network {is}, this agent ran for {was}")]
    OtherNetwork {
        /// The network it ran for.
        was: NetworkUid,
        /// The server's.
        is: NetworkUid,
    },
    /// Transfers' rates cannot be kept by the kernel.
    #[error("cannot shape the device {0}")]
    Shape(String, #[source] TransferError),
    /// The store's door cannot be opened.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// Test packets cannot be answered.
    #[error("test packets cannot be answered")]
    Reflector(#[source] probe::ProbeError),
    /// This kind of engine is not built yet.
    #[error("an agent for this engine is not supported yet: {0:?}")]
    NotSupported(EngineKind),
}

/// Runs the agent until `stop`; attempts go on without it.
pub async fn run(settings: Settings, client: Client, stop: CancellationToken) -> Result<(), Error> {
    let home = Arc::new(Home::open(&settings.dir)?);
    let (store, found) = LocalStore::open(&settings.dir.join("store"), settings.store)?;
    if let Some(file) = &settings.stores {
        store.attach(ExternalStores::read(file).map_err(Error::Stores)?);
    }
    let shaper = match settings.shape.clone() {
        Some(device) => Some(
            Shaper::begin(&device, settings.uplink).map_err(|error| Error::Shape(device, error))?,
        ),
        None => None,
    };
    for broken in &found.quarantined {
        tracing::warn!(path = %broken.path.display(), why = broken.why, "damaged data put aside");
    }
    let swept = stop.child_token();
    tokio::spawn(staging::sweep(store.clone(), swept.clone()));
    let _sweeper = swept.drop_guard();
    loop {
        let listener = match settings.data_listen {
            Some(at) => Some(TcpListener::bind(at).await.map_err(|e| Error::Listen(at, e))?),
            None => None,
        };
        let bound = listener.as_ref().and_then(|l| l.local_addr().ok());
        // An address that means this machine whoever says it is none: then the declared one holds.
        let said = bound.filter(|at| !at.ip().is_unspecified());
        let data_url = settings.data_url.clone().or_else(|| Some(format!("http://{}", said?)));
        if bound.is_some() && data_url.is_none() {
            tracing::warn!(
                "others reach the store where the center was declared with `data_url`, if it was: \
                 --data-listen {} says no address of this machine, --data-url would",
                settings.data_listen.map(|at| at.to_string()).unwrap_or_default(),
            );
        }
        let answering = match settings.probe_listen {
            Some(at) => Some(Answering::open(at, wall_clock(&settings)).await?),
            None => None,
        };
        let probe_address = settings
            .probe_address
            .clone()
            .or_else(|| Some(answering.as_ref()?.address().to_string()));
        let shared = Arc::new(Shared {
            settings: settings.clone(),
            client: client.clone(),
            home: Arc::clone(&home),
            store: store.clone(),
            classes: shaper.as_ref().map(Shaper::classes),
            data_url,
            probe_address: answering.as_ref().and(probe_address),
            enforcement: settings.enforcement().await?,
        });
        match mind::run(shared, listener, answering, stop.clone()).await {
            Err(Error::OtherNetwork { was, is }) => {
                tracing::warn!(%was, %is, "the server's log was restored: its network is another");
            }
            ended => return ended,
        }
    }
}

impl Settings {
    /// How a batch system's attempts are kept.
    fn batch(&self, network: NetworkUid) -> BatchConfig {
        BatchConfig {
            base: self.dir.join("attempts"),
            network,
            supervisor: self.supervisor.clone(),
            ask_every: ASK_EVERY,
        }
    }
}

/// What all parts of an agent hold.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    client: Client,
    home: Arc<Home>,
    store: LocalStore,
    classes: Option<Classes>,
    data_url: Option<String>,
    probe_address: Option<String>,
    /// How far attempts are limited and enclosed, in words.
    enforcement: String,
}

/// What is known of this machine's clock.
fn wall_clock(settings: &Settings) -> probe::WallClock {
    settings.clock_within.map_or(probe::WallClock::Free, probe::WallClock::Within)
}

impl Settings {
    /// How far attempts are limited and enclosed, in words, as the agent says before it knows the network
    /// it will run them for.
    async fn enforcement(&self) -> Result<String, Error> {
        match self.engine {
            EngineKind::Timer => return Ok("attempts are timers".to_owned()),
            EngineKind::Process => {}
            _ => return Ok(engines::Enforcement::Batch.to_string()),
        }
        let (options, limits) = (self.process.clone(), self.process.limits);
        let found = tokio::task::spawn_blocking(move || options.enclosures(None)).await;
        let found = found.map_err(|error| engines::Error::Setup(error.to_string()))??;
        let mut words = vec![limits.enforcement().to_string()];
        words.extend(found.versions().iter().cloned());
        Ok(words.join(", "))
    }

    /// Opens the engine for a network, as an agent with these settings does.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub async fn open_engine(&self, network: NetworkUid) -> Result<AnyEngine, Error> {
        match self.engine {
            EngineKind::Process => {
                let config = ProcessConfig {
                    base: self.dir.join("attempts"),
                    network,
                    supervisor: self.supervisor.clone(),
                    uids: self.uids,
                    options: self.process.clone(),
                };
                Ok(AnyEngine::Process(ProcessEngine::open(config).await?))
            }
            EngineKind::Slurm => {
                let slurm = Slurm::find(self.slurm.clone()).await?;
                let batch = self.batch(network);
                Ok(AnyEngine::Slurm(BatchEngine::open(batch, slurm).await?))
            }
            EngineKind::Kubernetes => {
                let Some(config) = self.kubernetes.clone() else {
                    let why = "how Kubernetes is used must be said: a table [kubernetes] in the file that \
                               --engine-config names; docs/kubernetes.md has one";
                    return Err(engines::Error::Setup(why.to_owned()).into());
                };
                let batch = self.batch(network);
                let kubernetes = Kubernetes::find(config, &batch.base).await?;
                Ok(AnyEngine::Kubernetes(BatchEngine::open(batch, kubernetes).await?))
            }
            EngineKind::Ray => {
                let Some(config) = self.ray.clone() else {
                    let why = "how Ray is used must be said: a table [ray] in the file that \
                               --engine-config names; docs/ray.md has one";
                    return Err(engines::Error::Setup(why.to_owned()).into());
                };
                let ray = Ray::find(config).await?;
                let batch = self.batch(network);
                Ok(AnyEngine::Ray(BatchEngine::open(batch, ray).await?))
            }
            EngineKind::TaskSpooler => {
                let spooler = TaskSpooler::find(self.task_spooler.clone()).await?;
                let batch = self.batch(network);
                Ok(AnyEngine::TaskSpooler(BatchEngine::open(batch, spooler).await?))
            }
            EngineKind::Timer => {
                let capacity = Capacity { cpu: Cores::MAX, memory: Bytes::MAX };
                Ok(AnyEngine::Timer(TimerEngine::new(network, capacity)))
            }
            other @ EngineKind::Portolan => Err(Error::NotSupported(other)),
        }
    }
}

/// The clock that leases are counted on: milliseconds since boot, suspended time included.
fn boot_now() -> u64 {
    engines::BootTime::now().0
}

/// How often a batch system is asked about attempts that have no result: those that ran tell by
/// themselves.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// The longest an agent waits before it tries the server again.
const LONGEST_PAUSE: Span = Span::from_secs(2);
