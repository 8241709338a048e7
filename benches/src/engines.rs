//! The group `engines`: how many small programs a center's engine runs, through the whole server and
//! beside HyperQueue with as many cores.

mod slurm;

use crate::disk::Disk;
use crate::job;
use crate::network::{Counts, ENGINE_CONFIG, Network, Shape};
use crate::row::{self, Better, Figure, Peer, Samples};
use anyhow::{Context, Result, anyhow, bail};
use hyper::Method;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Cores of the one worker, here as there.
pub(crate) const CORES: usize = 8;
/// Programs of a sample.
const PROGRAMS: usize = 2_000;
const SAMPLES: usize = 3;
/// How many go with one request.
const BATCH: usize = 500;
/// The longest a sample may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked whether it is over: a fiftieth of the least a sample has ever taken.
const LOOK: Duration = Duration::from_millis(50);

const fn per_second(name: &'static str, target: Option<f64>) -> Figure {
    Figure { name, unit: "1/s", better: Better::Higher, target }
}

const SPAWNS: Figure = per_second("bare_spawns_per_s", None);
const HYPERQUEUE: Figure = per_second("hyperqueue_jobs_per_s", None);
const PROCESS: Figure = per_second("process_jobs_per_s", Some(450.0));
const LIMITED: Figure = per_second("process_jobs_limited_per_s", None);
const SANDBOX: Figure = per_second("process_jobs_bwrap_per_s", None);

const SANDBOXES: &str = "[process]\nisolation = \"bubblewrap\"\n";

/// A run of the group.
#[derive(Debug)]
pub(crate) struct Engines {
    /// The program to measure.
    pub(crate) portolan: PathBuf,
    /// Where everything is kept meanwhile.
    pub(crate) dir: PathBuf,
    /// How the names of the rows to measure begin; all begin with nothing.
    pub(crate) only: String,
}

impl Engines {
    /// Measures the group and prints its rows as they come.
    pub(crate) async fn run(&self) {
        if self.wants(&SPAWNS) {
            row::print_beside(&SPAWNS, None, &spawns());
        }
        if self.wants(&HYPERQUEUE) || self.wants(&PROCESS) {
            self.beside_hyperqueue().await;
        }
        for (figure, config) in [(&LIMITED, "[process]\n"), (&SANDBOX, SANDBOXES)] {
            if self.wants(figure) {
                eprintln!("{PROGRAMS} programs through {}, {SAMPLES} times …", figure.name);
                row::print_beside(figure, None, &self.programs(figure.name, config).await);
            }
        }
        slurm::run(&self.portolan, &self.dir, &self.only).await;
    }

    /// The same programs through HyperQueue and through a network, in turn. What HyperQueue made stays until
    /// the end, and an agent removes once a minute: a disk from which files were just removed is slower.
    async fn beside_hyperqueue(&self) {
        eprintln!(
            "{PROGRAMS} programs through HyperQueue, and through a network, {SAMPLES} times …"
        );
        let network = self.machine(PROCESS.name, "[process]\nlimits = \"none\"\n").await;
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for sample in 0..SAMPLES {
            theirs.push(hyperqueue(&self.dir.join(format!("hyperqueue-{sample}"))));
            ours.push(match &network {
                Ok(network) => rate_of(network).await.map_err(|error| network.blame(&error)),
                Err(error) => Err(anyhow!("{error:#}")),
            });
            if let (Some(Ok(theirs)), Some(Ok(ours))) = (theirs.last(), ours.last()) {
                eprintln!("  {theirs:.0} and {ours:.0} a second");
            }
        }
        let median = |rates: Vec<Result<f64>>| {
            rates.into_iter().collect::<Result<Vec<_>>>().map(|rates| Samples::median(&rates))
        };
        let (theirs, ours) = (median(theirs), median(ours));
        row::print_beside(&HYPERQUEUE, None, &theirs);
        let value = theirs.ok().map(|samples| samples.value);
        let peer =
            value.map(|value| Peer { name: "HyperQueue".to_owned(), value, how: "same run" });
        row::print_beside(&PROCESS, peer.as_ref(), &ours);
    }

    fn wants(&self, figure: &Figure) -> bool {
        figure.name.starts_with(&self.only)
    }

    /// A center that is this machine, with this file on its engine.
    async fn machine(&self, name: &str, config: &str) -> Result<Network> {
        let dir = self.dir.join(name);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join(ENGINE_CONFIG), config)?;
        Network::start(&self.portolan, dir, Shape::Machine, Disk::Own).await
    }

    async fn programs(&self, name: &str, config: &str) -> Result<Samples> {
        let network = self.machine(name, config).await?;
        let mut rates = Vec::new();
        for _ in 0..SAMPLES {
            let rate = rate_of(&network).await.map_err(|error| network.blame(&error))?;
            eprintln!("  {rate:.0} a second");
            rates.push(rate);
        }
        Ok(Samples::median(&rates))
    }
}

/// From the first request until all have ended.
async fn rate_of(network: &Network) -> Result<f64> {
    let mut operator = network.connect().await?;
    let before = Counts::read(&mut operator).await?.ended;
    let one = json!({"name": "true", "limit": "1m", "cores": 1, "memory": "64 MiB",
        "command": ["/bin/true"]});
    let bodies: Vec<_> = (0..PROGRAMS / BATCH)
        .map(|_| job::batch(std::iter::repeat_n(one.clone(), BATCH)))
        .collect();
    let mut tenant = network.connect_as("lab").await?;
    let began = Instant::now();
    for body in bodies {
        tenant.send(Method::POST, "/v1/jobs", crate::http::JSON, body).await?;
    }
    loop {
        let ended = Counts::read(&mut operator).await?.ended - before;
        if ended >= PROGRAMS as u64 {
            return Ok(PROGRAMS as f64 / began.elapsed().as_secs_f64());
        }
        if began.elapsed() > PATIENCE {
            bail!("{ended} of {PROGRAMS} programs ended in {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The least there is to running a program: start it and see it end, one after the other.
fn spawns() -> Result<Samples> {
    let mut rates = Vec::new();
    for _ in 0..SAMPLES {
        let began = Instant::now();
        for _ in 0..PROGRAMS {
            let ended = Command::new("/bin/true").stdin(Stdio::null()).status();
            ended.context("cannot run /bin/true")?;
        }
        rates.push(PROGRAMS as f64 / began.elapsed().as_secs_f64());
    }
    Ok(Samples::median(&rates))
}

/// HyperQueue as its wheel starts it: server and one worker, without a journal, which the wheel has no
/// switch for. The outputs of the programs are left in a new directory.
fn hyperqueue(outputs: &Path) -> Result<f64> {
    fs::create_dir(outputs)?;
    let script = include_str!("beside_hyperqueue.py");
    let mut python = Command::new("python3");
    python
        .args(["-c", script])
        .arg(outputs)
        .args([CORES, PROGRAMS].map(|number| number.to_string()));
    let ran = python.output().context("cannot run python3")?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        let last = said.lines().last().unwrap_or_default();
        bail!("HyperQueue cannot be measured; `pip install hyperqueue`? {last}");
    }
    let said = String::from_utf8_lossy(&ran.stdout);
    said.lines().last().unwrap_or_default().parse().context("no rate")
}

/// A network of one center with this engine, of one node with so many cores.
pub(crate) fn one_node(engine: &str) -> String {
    format!(
        "[[center]]\ncenter = \"here\"\nowner = \"owner\"\nregion = \"cn/yrd/shanghai\"\n\
         latitude = 31.2\nlongitude = 121.5\ntime_zone = \"Asia/Shanghai\"\nengine = \"{engine}\"\n\
         [[center.pool]]\npool = \"cpu\"\nchip = \"nvidia-a100-sxm4-80\"\nnodes = 1\nchips_per_node = 8\ncores = {CORES}\n\
         memory = \"64 GiB\"\nprice_per_chip_hour = \"1 CNY\"\n\
         [[tenant]]\ntenant = \"lab\"\n"
    )
}
