//! Slurm's own submissions beside an agent's: by the same REST server, over as many connections.

use crate::disk::Disk;
use crate::http::JSON;
use crate::network::{ENGINE_CONFIG, Network, Shape, until};
use crate::row::{self, Better, Figure, Peer, Samples, percentile};
use anyhow::{Context, Result, bail};
use clusters::Cluster;
use engines::slurm::{RestConfig, Slurm, SlurmConfig, SlurmPool};
use engines::{BatchConfig, BatchEngine, Engine as _, Launch, Place, SupervisorCommand};
use futures::{StreamExt, TryStreamExt, stream};
use hyper::Method;
use model::{AttemptId, JobId, NetworkUid};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;

/// How many submit at once, here as there: as many as an agent does.
const CONNECTIONS: usize = 4;
/// Submissions of a sample.
const SUBMITS: usize = 1_000;
/// How often both ways are measured, one after the other.
const PAIRS: usize = 4;
/// Jobs that are started one after the other, each way.
const STARTS: usize = 25;
/// The version that Debian 12's Slurm is spoken to in.
const VERSION: &str = "v0.0.38";
/// Where jobs write down when they start, below what the cluster shares.
const STARTED: &str = "started";
const PARTITION: &str = "train";
/// How often Slurm is asked how many it has taken: twenty times in the least that a sample may take.
const LOOK: Duration = Duration::from_millis(50);

const OVERHEAD: Figure = Figure {
    name: "slurm_overhead_p50_ms",
    unit: "ms",
    better: Better::Lower,
    target: Some(100.0),
};
const AGENT: Figure = super::per_second("slurm_submits_per_s", Some(200.0));
const RAW: Figure = super::per_second("slurm_rest_raw_submits_per_s", None);

/// Measures those rows whose names begin with `only`, on clusters of its own.
pub(super) async fn run(portolan: &Path, dir: &Path, only: &str) {
    let wants = |figure: &Figure| figure.name.starts_with(only);
    if wants(&OVERHEAD) {
        eprintln!("{STARTS} jobs one after the other, by Slurm alone and by the network …");
        let measured = match Bench::boot(portolan, dir) {
            Ok(bench) => bench.overhead().await,
            Err(error) => Err(error),
        };
        row::print_beside(&OVERHEAD, None, &measured);
    }
    if wants(&RAW) || wants(&AGENT) {
        eprintln!("{SUBMITS} submissions over {CONNECTIONS} connections, {PAIRS} times each way …");
        match submits(portolan, dir).await {
            Ok((raw, agent)) => {
                let how = "same run";
                let peer = Peer { name: "slurmrestd".to_owned(), value: raw.value, how };
                row::print_beside(&RAW, None, &Ok(raw));
                row::print_beside(&AGENT, Some(&peer), &Ok(agent));
            }
            Err(error) => {
                let none = Err(error);
                row::print_beside(&RAW, None, &none);
                row::print_beside(&AGENT, None, &none);
            }
        }
    }
}

/// What Slurm's REST server takes in a second, and what an agent's engine gets in: each time a cluster
/// that has never had a job, for every job that it remembers makes the next one slower; and each first
/// in turn, for a disk from which the one before was removed is slower too. Told is how many a second it
/// was in all: as much slower as each sample is than the last, a single one of them would say when it was
/// taken.
async fn submits(portolan: &Path, dir: &Path) -> Result<(Samples, Samples)> {
    let (mut raw, mut agent) = (Vec::new(), Vec::new());
    for sample in 0..PAIRS {
        let first = sample % 2 == 1;
        for agents_turn in [first, !first] {
            let bench = Bench::boot_drained(portolan, dir)?;
            match agents_turn {
                true => agent.push(bench.agent(sample).await?),
                false => raw.push(bench.raw().await?),
            }
        }
        eprintln!("  {:.0} and {:.0} a second", raw[sample], agent[sample]);
    }
    Ok((Samples::of_equal_work(&raw), Samples::of_equal_work(&agent)))
}

/// A cluster without accounting, whose REST server is asked.
struct Bench {
    portolan: PathBuf,
    dir: PathBuf,
    cluster: Cluster,
    token: String,
}

impl Bench {
    fn boot(portolan: &Path, dir: &Path) -> Result<Self> {
        if !clusters::can_boot() {
            let packages = clusters::NEEDS.map(|(_, package)| package).join(" ");
            bail!("no Slurm here, or not root; apt install {packages}");
        }
        let shape = clusters::Shape {
            nodes: 4,
            chip: "ascend910b",
            accounting: false,
            limits_memory: false,
        };
        let cluster = Cluster::boot(shape)?;
        let user = format!("username={}", clusters::USER);
        let said = cluster.says("scontrol", &["token", &user, "lifespan=86400"]);
        let token = said.trim().strip_prefix("SLURM_JWT=").context("no token")?.to_owned();
        let starts = cluster.shared().join(STARTED);
        fs::create_dir(&starts)?;
        fs::set_permissions(&starts, Permissions::from_mode(0o777))?;
        // Jobs of another user find their attempts below.
        let dir = dir.join("slurm");
        fs::create_dir_all(&dir)?;
        for closed in [Some(dir.as_path()), dir.parent()].into_iter().flatten() {
            fs::set_permissions(closed, Permissions::from_mode(0o711))?;
        }
        Ok(Self { portolan: portolan.to_owned(), dir, cluster, token })
    }

    fn config(&self) -> SlurmConfig {
        let url = format!("unix:{}", self.cluster.rest().display());
        let pool = SlurmPool { partition: Some(PARTITION.to_owned()), ..SlurmPool::default() };
        SlurmConfig {
            conf: Some(self.cluster.conf()),
            user: Some(clusters::USER.to_owned()),
            rest: Some(RestConfig { url, ..RestConfig::default() }),
            pools: BTreeMap::from([(PARTITION.to_owned(), pool)]),
            ..SlurmConfig::default()
        }
    }

    /// By how much longer a job takes to its first instruction through the network than when Slurm is
    /// asked directly: the difference of the medians.
    async fn overhead(&self) -> Result<Samples> {
        let file = self.dir.join(ENGINE_CONFIG);
        let (conf, rest) = (self.cluster.conf(), self.cluster.rest());
        let text = format!(
            "[slurm]\nconf = {conf:?}\nuser = \"{}\"\n[slurm.rest]\nurl = \"unix:{}\"\n\
             [slurm.pools.cpu]\npartition = \"{PARTITION}\"\n",
            clusters::USER,
            rest.display()
        );
        fs::write(&file, text)?;
        let network =
            Network::start(&self.portolan, self.dir.clone(), Shape::Slurm, Disk::Own).await?;
        let (mut alone, mut through) = (Vec::new(), Vec::new());
        let client = self.client()?;
        let mut tenant = network.connect_as("lab").await?;
        for i in 0..STARTS {
            let started = self.cluster.shared().join(STARTED).join(format!("alone-{i}"));
            let began = SystemTime::now();
            self.post(&client, &said_to(&started)).await?;
            alone.push(self.started(&started, began).await?);
            let started = self.cluster.shared().join(STARTED).join(format!("through-{i}"));
            let job = json!({"name": "start", "limit": "1m", "cores": 1, "memory": "64 MiB",
                "command": ["sh", "-c", said_to(&started)]});
            let began = SystemTime::now();
            tenant.send(Method::POST, "/v1/jobs", JSON, job.to_string().into()).await?;
            through.push(self.started(&started, began).await.map_err(|e| network.blame(&e))?);
        }
        eprintln!("  alone {alone:.0?} ms\n  through {through:.0?} ms");
        let differences: Vec<f64> = through.iter().zip(&alone).map(|(a, b)| a - b).collect();
        let median = percentile(&through, 50.0) - percentile(&alone, 50.0);
        Ok(Samples::with_value(median, &differences))
    }

    /// How long after `began` a job says that it started, in milliseconds; then it is over for Slurm.
    async fn started(&self, file: &Path, began: SystemTime) -> Result<f64> {
        let said = until("a job to start", async || {
            Ok(fs::read_to_string(file).ok().filter(|text| text.ends_with('\n')))
        });
        let at: u64 = said.await?.trim().parse().context("no time")?;
        until("its end", async || {
            let left = self.cluster.says("squeue", &["-h", "-o", "%i"]);
            Ok(left.trim().is_empty().then_some(()))
        })
        .await?;
        let began = began.duration_since(UNIX_EPOCH)?;
        let at = Duration::from_nanos(at);
        Ok((at.as_secs_f64() - began.as_secs_f64()) * 1_000.0)
    }

    /// One whose nodes take no work, so that nothing but submitting is measured.
    fn boot_drained(portolan: &Path, dir: &Path) -> Result<Self> {
        let bench = Self::boot(portolan, dir)?;
        let drain = ["update", "nodename=ALL", "state=drain", "reason=bench"];
        if !bench.cluster.command("scontrol", &drain)?.status.success() {
            bail!("the nodes cannot be drained");
        }
        Ok(bench)
    }

    async fn raw(&self) -> Result<f64> {
        let began = Instant::now();
        let mut all = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let (client, request) = (self.client()?, self.request("exec true")?);
            all.spawn(async move {
                for _ in 0..SUBMITS / CONNECTIONS {
                    let answer = client.execute(request.try_clone().context("no body")?).await?;
                    answer.error_for_status()?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = all.join_next().await {
            done??;
        }
        Ok(SUBMITS as f64 / began.elapsed().as_secs_f64())
    }

    async fn agent(&self, sample: usize) -> Result<f64> {
        let network = NetworkUid::from_bytes([u8::try_from(sample)?; 8]);
        let supervisor = self.portolan.clone();
        let config = BatchConfig {
            base: self.dir.clone(),
            network,
            supervisor: SupervisorCommand {
                program: supervisor,
                arguments: vec!["supervise".into()],
            },
            ask_every: Duration::from_secs(5),
        };
        let engine = BatchEngine::open(config, Slurm::find(self.config()).await?).await?;
        let client = self.client()?;
        let before = self.submitted(&client).await?;
        let began = Instant::now();
        let launch = |job: u64| {
            let attempt = AttemptId { job: JobId::new(job), epoch: 1 };
            let mut launch = Launch::new(network, attempt, vec!["true".to_owned()]);
            launch.place = Some(Place { pool: PARTITION.to_owned(), nodes: 1, chips_per_node: 0 });
            let engine = &engine;
            async move { engine.launch(&launch).await }
        };
        // As an agent does.
        let jobs = stream::iter(1..=u64::try_from(SUBMITS)?);
        let mut launched = jobs.map(launch).buffered(CONNECTIONS);
        while launched.try_next().await?.is_some() {}
        while self.submitted(&client).await? < before + SUBMITS as u64 {
            if began.elapsed() > Duration::from_secs(120) {
                bail!("not all of {SUBMITS} were submitted");
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(SUBMITS as f64 / began.elapsed().as_secs_f64())
    }

    /// How many jobs the controller has taken. Asked by REST, which costs a hundredth of what `sdiag` does.
    async fn submitted(&self, client: &reqwest::Client) -> Result<u64> {
        let request = client.get(format!("http://localhost/slurm/{VERSION}/diag"));
        let answer = request
            .header("X-SLURM-USER-NAME", clusters::USER)
            .header("X-SLURM-USER-TOKEN", &self.token)
            .send();
        let said: Value = answer.await?.json().await?;
        said["statistics"]["jobs_submitted"].as_u64().with_context(|| format!("no count: {said}"))
    }

    fn client(&self) -> Result<reqwest::Client> {
        let client = reqwest::Client::builder().http1_only().no_proxy();
        Ok(client.unix_socket(self.cluster.rest()).build()?)
    }

    fn request(&self, script: &str) -> Result<reqwest::Request> {
        let job = json!({
            "script": format!("#!/bin/sh\n{script}\n"),
            "job": {
                "name": "bench",
                "partition": PARTITION,
                "current_working_directory": self.cluster.shared(),
                "standard_output": "/dev/null",
                "tasks": 1,
                "time_limit": 5,
                "environment": {"PATH": "/usr/bin:/bin"},
            },
        });
        let client = self.client()?;
        let request = client
            .post(format!("http://localhost/slurm/{VERSION}/job/submit"))
            .header("X-SLURM-USER-NAME", clusters::USER)
            .header("X-SLURM-USER-TOKEN", &self.token)
            .json(&job);
        Ok(request.build()?)
    }

    async fn post(&self, client: &reqwest::Client, script: &str) -> Result<()> {
        let answer = client.execute(self.request(script)?).await?;
        let status = answer.status();
        let said: Value = answer.json().await?;
        if !status.is_success() {
            bail!("Slurm did not take a job: {said}");
        }
        Ok(())
    }
}

/// A script that writes down when it starts.
fn said_to(file: &Path) -> String {
    format!("date +%s%N > {}", file.display())
}
