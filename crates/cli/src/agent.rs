//! `portolan agent`.

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use client::Client;
use model::{Bytes, EngineKind, Rate};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Run a center's agent, beside its engine.
#[derive(Debug, Args)]
pub(crate) struct Agent {
    /// The server, such as `https://portolan.example:7070`.
    #[arg(long, value_name = "URL", env = "PORTOLAN_SERVER", default_value = crate::SERVER)]
    server: String,
    /// The file that holds the center's token.
    #[arg(long, value_name = "FILE", env = "PORTOLAN_TOKEN_FILE")]
    token_file: PathBuf,
    /// Where its store, its attempts and its own notes are kept.
    #[arg(long, value_name = "DIR", env = "PORTOLAN_AGENT_DIR")]
    dir: PathBuf,
    /// What runs the center's jobs.
    #[arg(long, value_enum, default_value = "process")]
    engine: Engine,
    /// How that engine is used: a file with a table of its name, such as `[slurm]`.
    #[arg(long, value_name = "FILE")]
    engine_config: Option<PathBuf>,
    /// Where the store's door listens, for other centers and for people who put data there.
    #[arg(long, value_name = "ADDRESS")]
    data_listen: Option<SocketAddr>,
    /// How others reach that door, if not at the address it listens on.
    #[arg(long, value_name = "URL")]
    data_url: Option<String>,
    /// Where test packets of other centers are answered (UDP); without it no way from here is
    /// measured. Nobody but the network's own agents is answered.
    #[arg(long, value_name = "ADDRESS")]
    probe_listen: Option<SocketAddr>,
    /// How others reach that, if not at the address it listens on.
    #[arg(long, value_name = "HOST:PORT", requires = "probe_listen")]
    probe_address: Option<String>,
    /// This machine's clock follows UTC within this (chrony and ptp4l know it): one-way figures are
    /// told only where both sides say so.
    #[arg(long, value_name = "TIME")]
    clock_within: Option<model::Span>,
    /// Let the kernel keep the rates of transfers that leave through this network device. Needs root
    /// or CAP_NET_ADMIN, and `tc`; the device's root queueing discipline is taken over.
    #[arg(long, value_name = "DEVICE", requires = "data_listen")]
    shape: Option<String>,
    /// What the line behind that device carries, such as `950 Mbit/s`, where that is less than the
    /// device: transfers then go first.
    #[arg(long, value_name = "RATE", requires = "shape")]
    uplink: Option<Rate>,
    /// How much the store holds.
    #[arg(long, value_name = "SIZE", default_value = "1 TiB")]
    store: Bytes,
    /// The file that names further stores, in which data may lie: object stores, web servers, other
    /// directories. `portolan stores FILE` tries them.
    #[arg(long, value_name = "FILE")]
    stores: Option<PathBuf>,
    /// The directory with the secrets that jobs may ask for, `DIR/HOLDER/TENANT/NAME`: read as an
    /// attempt starts, given to it as a file, and never told to the server.
    #[arg(long, value_name = "DIR", env = "PORTOLAN_SECRETS")]
    secrets: Option<PathBuf>,
    /// Users to run attempts as, a different one for each job: FIRST:COUNT. Needs root, and is the
    /// rule there; `none` runs them as the agent's own user.
    #[arg(long, value_name = "RANGE", value_parser = parse_uids)]
    uids: Option<Uids>,
    /// End when whoever started it ends.
    #[arg(long, hide = true)]
    with_parent: bool,
    /// How often to check that the server's log extends what was seen before.
    #[arg(long, value_name = "TIME", default_value = "5s")]
    witness_every: model::Span,
}

/// What runs the center's jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// Plain processes of this machine.
    Process,
    /// A Slurm cluster, by its commands. DIR has to be on a file system that all nodes share.
    Slurm,
    /// A Kubernetes cluster. DIR has to be on a file system that all its pods can have.
    Kubernetes,
    /// A Ray cluster, by its jobs API. DIR has to be on a file system that all nodes share.
    Ray,
    /// The task spooler of the agent's own user.
    TaskSpooler,
    /// Timers; for load and soak runs.
    Timer,
}

/// Which users attempts run as.
#[derive(Debug, Clone, Copy)]
enum Uids {
    /// The agent's own.
    None,
    /// Each job's its own.
    Range(engines::UidRange),
}

fn parse_uids(text: &str) -> Result<Uids, String> {
    if text == "none" {
        return Ok(Uids::None);
    }
    let parse = || {
        let (first, count) = text.split_once(':')?;
        let (first, count) = (first.parse().ok()?, count.parse().ok()?);
        (first > 0 && count > 0).then_some(Uids::Range(engines::UidRange { first, count }))
    };
    parse().ok_or_else(|| format!("`{text}` is not FIRST:COUNT, such as 200000:10000, or `none`"))
}

/// The users set aside for attempts when the agent is root and nothing else is said.
const UIDS: engines::UidRange = engines::UidRange { first: 200_000, count: 50_000 };

/// What `--engine-config` names.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct EngineConfig {
    process: engines::ProcessOptions,
    slurm: engines::slurm::SlurmConfig,
    kubernetes: Option<engines::kubernetes::KubernetesConfig>,
    ray: Option<engines::ray::RayConfig>,
    task_spooler: engines::task_spooler::TaskSpoolerConfig,
    /// What `portolan center bench` runs; the agent itself has no use for it.
    bench: Vec<BenchCommand>,
}

/// A vendor's command that measures accelerators.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BenchCommand {
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// Where its output has the number: a regular expression with a group around it, or a JSON pointer.
    #[serde(alias = "pattern")]
    pub(crate) reads: String,
    /// What it counts in, such as `TFLOPS`.
    pub(crate) unit: String,
    /// The chip that it measures.
    pub(crate) chip: Option<model::ChipId>,
    /// How many chips it keeps busy.
    #[serde(default = "one")]
    pub(crate) chips: u32,
    /// In which precision it computes.
    #[serde(default = "bf16")]
    pub(crate) precision: String,
    /// How long it may take.
    #[serde(default = "a_minute", deserialize_with = "span")]
    pub(crate) limit: model::Span,
}

impl BenchCommand {
    /// How long a command may take where nothing is said.
    pub(crate) const LIMIT: model::Span = model::Span::from_secs(60);
}

const fn one() -> u32 {
    1
}

fn bf16() -> String {
    "bf16".to_owned()
}

fn span<'de, D: serde::Deserializer<'de>>(value: D) -> Result<model::Span, D::Error> {
    let text: String = serde::Deserialize::deserialize(value)?;
    text.parse().map_err(serde::de::Error::custom)
}

const fn a_minute() -> model::Span {
    BenchCommand::LIMIT
}

/// What the `[[bench]]` tables of an engine's file say.
pub(crate) fn bench_commands(file: &Path) -> anyhow::Result<Vec<BenchCommand>> {
    Ok(read_engine_config(file)?.bench)
}

impl Engine {
    /// What it is called in the network.
    pub(crate) const fn kind(self) -> EngineKind {
        match self {
            Self::Process => EngineKind::Process,
            Self::Slurm => EngineKind::Slurm,
            Self::Kubernetes => EngineKind::Kubernetes,
            Self::Ray => EngineKind::Ray,
            Self::TaskSpooler => EngineKind::TaskSpooler,
            Self::Timer => EngineKind::Timer,
        }
    }

    /// Settings of an agent that has this engine, used as `config` says.
    pub(crate) fn settings(
        self,
        dir: PathBuf,
        config: Option<&Path>,
    ) -> anyhow::Result<agent::Settings> {
        let mut settings = agent::Settings::new(dir, self.kind());
        if let Some(file) = config {
            let EngineConfig { process, slurm, kubernetes, ray, task_spooler, bench: _ } =
                read_engine_config(file)?;
            settings.process = process;
            settings.slurm = slurm;
            settings.kubernetes = kubernetes;
            settings.ray = ray;
            settings.task_spooler = task_spooler;
        }
        Ok(settings)
    }
}

fn read_engine_config(file: &Path) -> anyhow::Result<EngineConfig> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read how the engine is used in {}", file.display()))?;
    toml::from_str(&text).with_context(|| format!("{} says something else", file.display()))
}

impl Agent {
    /// Runs until a signal comes; attempts go on without it.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        if self.with_parent {
            crate::serve::end_with_parent()?;
        }
        let token = std::fs::read_to_string(&self.token_file)
            .with_context(|| format!("cannot read the token in {}", self.token_file.display()))?;
        let client = Client::new(&self.server, token.trim())?;
        let settings = self.settings()?;
        let stop = CancellationToken::new();
        let running = agent::run(settings, client, stop.clone());
        tokio::pin!(running);
        tokio::select! {
            result = &mut running => return Ok(result?),
            signal = crate::serve::asked_to_stop() => signal?,
        }
        stop.cancel();
        Ok(running.await?)
    }

    fn settings(&self) -> anyhow::Result<agent::Settings> {
        let root = engines::is_root();
        let uids = match self.uids {
            Some(Uids::None) => None,
            Some(Uids::Range(range)) => Some(range),
            None => root.then_some(UIDS),
        };
        if uids.is_none() && self.engine == Engine::Process && !client::is_loopback(&self.server) {
            bail!(
                "tenants' programs would run as this agent's own user, and could read its token: \
                 run the agent as root, or set users aside with --uids FIRST:COUNT"
            );
        }
        let dir = std::path::absolute(&self.dir)?;
        let mut settings = self.engine.settings(dir, self.engine_config.as_deref())?;
        settings.data_listen = self.data_listen;
        settings.data_url = self.data_url.clone();
        if self.probe_address.is_none()
            && let Some(at) = self.probe_listen.filter(|at| at.ip().is_unspecified())
        {
            bail!(
                "others cannot reach {at}: name the address they should send to with \
                 --probe-address HOST:PORT"
            );
        }
        settings.probe_listen = self.probe_listen;
        settings.probe_address = self.probe_address.clone();
        settings.clock_within = self.clock_within.map(model::Span::to_std);
        settings.shape = self.shape.clone();
        settings.uplink = self.uplink;
        settings.store = self.store;
        settings.stores = self.stores.clone();
        settings.secrets = self.secrets.clone();
        settings.uids = uids;
        settings.witness_every = Duration::from_millis(self.witness_every.0);
        Ok(settings)
    }
}
