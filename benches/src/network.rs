//! A real network: server and agents as processes of their own, in release, on loopback.

use crate::disk::Disk;
use crate::http::{Connection, TOML};
use anyhow::{Context, Result, anyhow, bail};
use hyper::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The most that a load may take, in seconds.
const LOAD_PATIENCE: &str = "300";

/// The tenants of both networks; each submits with a token of its own.
pub(crate) const TENANTS: [&str; 3] = ["lab", "startup", "university"];
const CENTERS: [&str; 3] = ["lingang", "zhangjiang", "kunshan"];
/// The file in a network's directory that tells its agents how their engine is used, if it is there.
pub(crate) const ENGINE_CONFIG: &str = "engine.toml";
/// How long whatever is waited for may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(2);

/// What a network consists of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Three centers of 64 chips whose attempts are timers.
    Timers,
    /// The sample network `laptop`: three centers whose attempts are processes.
    Processes,
    /// Three centers of 200 chips whose attempts are timers, and thirty tenants with quotas.
    Cohorts,
    /// One center that is a machine, whose attempts are processes of its agent's user; [`ENGINE_CONFIG`] may
    /// say more.
    Machine,
    /// One center that is a node of a Slurm cluster; [`ENGINE_CONFIG`] says of which.
    Slurm,
    /// Three centers of 336 such chips, and a thousand tenants with quotas.
    Many,
}

impl Shape {
    fn file(self) -> String {
        match self {
            Self::Timers => include_str!("../../catalog/networks/timers.toml").to_owned(),
            Self::Processes => include_str!("../../catalog/networks/laptop.toml").to_owned(),
            Self::Cohorts => include_str!("../../catalog/networks/cohorts.toml").to_owned(),
            Self::Many => crate::sharing::many(),
            Self::Machine | Self::Slurm => crate::engines::one_node(self.engine()),
        }
    }

    const fn engine(self) -> &'static str {
        match self {
            Self::Timers | Self::Cohorts | Self::Many => "timer",
            Self::Processes | Self::Machine => "process",
            Self::Slurm => "slurm",
        }
    }

    /// Those who submit with a token of their own.
    const fn tenants(self) -> &'static [&'static str] {
        match self {
            Self::Timers | Self::Processes => &TENANTS,
            Self::Machine | Self::Slurm => &["lab"],
            Self::Cohorts | Self::Many => &[],
        }
    }

    const fn centers(self) -> &'static [&'static str] {
        match self {
            Self::Machine | Self::Slurm => &["here"],
            Self::Timers | Self::Processes | Self::Cohorts | Self::Many => &CENTERS,
        }
    }
}

/// A process that does not outlive us.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn spawn(command: &mut Command, log: &Path) -> Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let command =
            command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn();
        Ok(Self(
            child.with_context(|| format!("cannot start {}", command.get_program().display()))?,
        ))
    }
}

impl Drop for Process {
    /// Kill -9: also how the restart rows end a server.
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A network that runs.
#[derive(Debug)]
pub(crate) struct Network {
    /// None while the server is down.
    server: Option<Process>,
    agents: Vec<Process>,
    portolan: PathBuf,
    dir: PathBuf,
    pub(crate) address: SocketAddr,
    operator: String,
    tenants: BTreeMap<&'static str, String>,
}

impl Network {
    /// Starts a server in `dir`, declares the network and brings its three agents to join it.
    pub(crate) async fn start(
        portolan: &Path,
        dir: PathBuf,
        shape: Shape,
        disk: Disk,
    ) -> Result<Self> {
        fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        let mut network = Self {
            server: None,
            agents: Vec::new(),
            portolan: portolan.to_owned(),
            dir,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            operator: String::new(),
            tenants: BTreeMap::new(),
        };
        let populated = network.populate(shape, disk).await;
        populated.map_err(|error| network.blame(&error))?;
        Ok(network)
    }

    async fn populate(&mut self, shape: Shape, disk: Disk) -> Result<()> {
        self.spawn_server(disk)?;
        let file = self.dir.join("address");
        self.address = until("the server to listen", async || {
            Ok(fs::read_to_string(&file).ok().and_then(|text| text.parse().ok()))
        })
        .await?;
        let token = fs::read_to_string(self.server_dir().join("operator.token"))?;
        self.operator = token.trim().to_owned();
        let mut operator = self.connect().await?;
        operator.send(Method::PUT, "/v1/network", TOML, shape.file().into()).await?;
        for tenant in shape.tenants() {
            let secret = new_token(&mut operator, "tenant", tenant).await?;
            self.tenants.insert(tenant, secret);
        }
        for center in shape.centers() {
            let secret = new_token(&mut operator, "center", center).await?;
            self.spawn_agent(center, &secret, shape)?;
        }
        let mut connection = self.connect().await?;
        until("the agents to join", async || {
            let answer = connection.get("/v1/centers").await?;
            let centers = answer["centers"].as_array().map_or(&[][..], Vec::as_slice);
            let joined = centers.iter().filter(|center| center["agent"].is_object()).count();
            Ok((joined == shape.centers().len()).then_some(()))
        })
        .await
    }

    /// Replays a load here and returns the report of `portolan load`.
    pub(crate) async fn replay(
        &self,
        portolan: &Path,
        file: &Path,
        more: &[&str],
    ) -> Result<Value> {
        let output = tokio::process::Command::new("timeout")
            .arg(LOAD_PATIENCE)
            .arg(portolan)
            .args(["--output", "json", "load"])
            .arg(file)
            .args(more)
            .env("PORTOLAN_SERVER", format!("http://{}", self.address))
            .env("PORTOLAN_TOKEN_FILE", self.server_dir().join("operator.token"))
            .output()
            .await
            .context("cannot run `timeout`")?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!("the load did not end well: {}", said.trim());
        }
        let report: Value = serde_json::from_slice(&output.stdout).context("no report")?;
        eprintln!("  {report}");
        Ok(report)
    }

    pub(crate) fn server_dir(&self) -> PathBuf {
        self.dir.join("server")
    }

    fn spawn_server(&mut self, disk: Disk) -> Result<()> {
        let mut command = Command::new(&self.portolan);
        command.arg("serve").arg("--dir").arg(self.server_dir());
        command.arg("--listen").arg(self.address.to_string());
        command.arg("--address-file").arg(self.dir.join("address"));
        if let Some(delay) = disk.delay() {
            command.arg("--commit-delay").arg(format!("{}ms", delay.as_millis()));
        }
        self.server = Some(Process::spawn(&mut command, &self.dir.join("server.log"))?);
        Ok(())
    }

    fn spawn_agent(&mut self, center: &str, secret: &str, shape: Shape) -> Result<()> {
        let token = self.dir.join(format!("{center}.token"));
        fs::write(&token, secret)?;
        let mut command = Command::new(&self.portolan);
        command.arg("agent").arg("--server").arg(format!("http://{}", self.address));
        command.arg("--token-file").arg(token).arg("--dir").arg(self.dir.join(center));
        command.args(["--engine", shape.engine(), "--store", "1 GiB"]);
        if matches!(shape, Shape::Machine) {
            command.args(["--uids", "none"]);
        }
        let config = self.dir.join(ENGINE_CONFIG);
        if config.exists() {
            command.arg("--engine-config").arg(config);
        }
        let log = self.dir.join(format!("{center}.log"));
        self.agents.push(Process::spawn(&mut command, &log)?);
        Ok(())
    }

    /// Kills the server at whatever instruction it is.
    pub(crate) fn kill_server(&mut self) {
        self.server = None;
    }

    /// Starts the server again where it was, and says how long it took from there until it says
    /// that it is ready.
    pub(crate) async fn restart(&mut self, disk: Disk) -> Result<Duration> {
        let began = Instant::now();
        self.spawn_server(disk)?;
        until("the server to be ready", async || {
            // Refused while it does not listen yet.
            let Ok(mut connection) = Connection::open(self.address, "").await else {
                return Ok(None);
            };
            Ok(connection.is_ready().await.then_some(()))
        })
        .await?;
        Ok(began.elapsed())
    }

    /// A connection as operator.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        Connection::open(self.address, &self.operator).await
    }

    /// A connection as one of the tenants.
    pub(crate) async fn connect_as(&self, tenant: &str) -> Result<Connection> {
        let token = self.tenants.get(tenant).with_context(|| format!("no tenant {tenant}"))?;
        Connection::open(self.address, token).await
    }

    /// An error with what the server last said about itself.
    pub(crate) fn blame(&self, error: &anyhow::Error) -> anyhow::Error {
        let log = fs::read_to_string(self.dir.join("server.log")).unwrap_or_default();
        let mut last: Vec<&str> = log.lines().rev().take(3).collect();
        last.reverse();
        anyhow!("{error:#}; the server said last: {}", last.join(" / "))
    }
}

async fn new_token(operator: &mut Connection, role: &str, of: &str) -> Result<String> {
    let made = operator.post("/v1/tokens", &json!({"role": role, "of": of})).await?;
    let secret = made["secret"].as_str().context("the answer holds no secret")?;
    Ok(secret.to_owned())
}

/// Jobs that ended so far and facts in the log, as the server counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) ended: u64,
    pub(crate) waiting: u64,
    pub(crate) facts: u64,
}

impl Counts {
    pub(crate) async fn read(operator: &mut Connection) -> Result<Self> {
        let text = operator.text("/metrics").await?;
        let sum = |name: &str| {
            let lines = text.lines().filter(|line| line.starts_with(name));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
        };
        let facts = sum("portolan_facts_total");
        if facts == 0 {
            bail!("/metrics does not count facts");
        }
        Ok(Self { ended: sum("portolan_jobs_ended{"), waiting: sum("portolan_queue_jobs"), facts })
    }
}

/// Looks again and again until there is something, in vain for a minute at most.
pub(crate) async fn until<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if began.elapsed() > PATIENCE {
            bail!("waited {} s in vain for {what}", PATIENCE.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The job that a submission was answered with, or the first of them.
pub(crate) fn first_job(submitted: &Value) -> Result<&str> {
    submitted["first"].as_str().context("the answer names no job")
}
