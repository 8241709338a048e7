//! Centers whose jobs real Slurm clusters run.

mod array;
mod away;
mod memory;

use clusters::{Cluster, Shape};
use engines::conformance::{Site, Verdict, check};
use engines::slurm::{RestConfig, Slurm, SlurmConfig, SlurmPool};
use engines::{BatchConfig, BatchEngine, Place, Queue, SupervisorCommand};
use model::{JobId, NetworkUid};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use whole_system::{Finished, Net, Plan, portolan, sh};
use wire::view;

/// A network of two Slurm clusters and a machine.
const NETWORK: &str = r#"
[[center]]
center = "alpha"
owner = "alpha-university"
region = "cn/yrd/shanghai"
latitude = 31.2
longitude = 121.6
time_zone = "Asia/Shanghai"
engine = "slurm"
pue = 1.2
store = "1 GiB"

[[center.pool]]
pool = "train"
chip = "ascend-910b3"
nodes = 4
chips_per_node = 8
cores = 64
memory = "400 GiB"
price_per_chip_hour = "5 CNY"

[[center]]
center = "beta"
owner = "beta-institute"
region = "cn/yrd/jiangsu"
latitude = 32.0
longitude = 118.8
time_zone = "Asia/Shanghai"
engine = "slurm"
pue = 1.2
store = "1 GiB"

[[center.pool]]
pool = "spot"
chip = "cambricon-mlu370-x8"
nodes = 2
chips_per_node = 8
cores = 64
memory = "400 GiB"
price_per_chip_hour = "3 CNY"

[[center]]
center = "gamma"
owner = "gamma-lab"
region = "cn/yrd/shanghai"
latitude = 31.2
longitude = 121.6
time_zone = "Asia/Shanghai"
engine = "process"
pue = 1.2
store = "1 GiB"

[[center.pool]]
pool = "a100"
chip = "nvidia-a100-sxm4-80"
nodes = 1
chips_per_node = 8
cores = 16
memory = "32 GiB"
price_per_chip_hour = "9 CNY"

[[tenant]]
tenant = "lab"
home = "alpha"
classes = ["cann", "neuware", "cuda"]
"#;

const ALPHA: Shape<'_> =
    Shape { nodes: 4, chip: "ascend910b", accounting: true, limits_memory: false };
const BETA: Shape<'_> = Shape { nodes: 2, chip: "mlu370", accounting: false, limits_memory: false };

/// Whether clusters can be booted here; says what is missing.
fn can_boot() -> bool {
    let can = clusters::can_boot();
    if !can {
        let packages = clusters::NEEDS.map(|(_, package)| package);
        eprintln!("skipped: no Slurm here, or not root; apt install {}", packages.join(" "));
    }
    can
}

/// Whom the lab's jobs run as at the center that uses Slurm's commands.
const LAB: &str = "daemon";

/// Both clusters and the network that they are centers of.
struct Ground {
    alpha: Cluster,
    beta: Cluster,
    net: Net,
    _configs: TempDir,
}

impl Ground {
    /// None where no cluster can be booted.
    async fn boot() -> Option<Self> {
        if !can_boot() {
            return None;
        }
        let (alpha, beta) = std::thread::scope(|scope| {
            let alpha = scope.spawn(|| Cluster::boot(ALPHA).unwrap());
            let beta = Cluster::boot(BETA).unwrap();
            (alpha.join().unwrap(), beta)
        });
        let configs = tempfile::tempdir().unwrap();
        let config = |cluster: &Cluster, pool: &str, shape: Shape<'_>| {
            let path = configs.path().join(format!("{pool}.toml"));
            let (conf, user, chip) = (cluster.conf(), clusters::USER, shape.chip);
            let mut text = format!("[slurm]\nconf = {conf:?}\nuser = \"{user}\"\n");
            // The one with accounting is reached by REST, the other by Slurm's commands.
            if shape.accounting {
                text += &format!("\n[slurm.rest]\nurl = \"unix:{}\"\n", cluster.rest().display());
            }
            text += &format!("\n[slurm.pools.{pool}]\ngres = \"gpu:{chip}\"\n");
            text += &match shape.accounting {
                true => format!("\n[slurm.tenants.lab]\naccount = \"{}\"\n", clusters::ACCOUNT),
                false => format!("\n[slurm.tenants.lab]\nuser = \"{LAB}\"\n"),
            };
            std::fs::write(&path, text).unwrap();
            path
        };
        let plan = Plan::of(NETWORK)
            .engine_of("alpha", &config(&alpha, "train", ALPHA))
            .engine_of("beta", &config(&beta, "spot", BETA));
        Some(Self { net: plan.start().await, alpha, beta, _configs: configs })
    }

    async fn submit(&self, job: &Value, on: &str, (nodes, chips): (u32, u32)) -> JobId {
        let mut job = job.clone();
        job["variant"] = json!([{"on": on, "chips": chips, "nodes": nodes}]);
        self.net.submit("lab", &job).await
    }

    /// The job once it has ended, after as many tries as it takes: each may first have to be found dead.
    async fn ended(&self, job: JobId) -> view::JobDetail {
        let ended = async || {
            let seen = self.net.job(job).await;
            seen.job.ended_ms.is_some().then_some(seen)
        };
        self.net.within(Duration::from_secs(240), &format!("{job} has ended"), ended).await
    }

    /// Waits until the job's output has this word; all of it so far.
    async fn says(&self, job: JobId, word: &str) -> String {
        let logs = format!("/v1/jobs/{job}/logs");
        let said = async || {
            let text = self.net.operator().get(&logs).await.text;
            text.contains(word).then_some(text)
        };
        self.net.until(&format!("{job} says {word}"), said).await
    }
}

/// The words behind `NAME=` in what a job wrote.
fn value<'a>(output: &'a str, name: &str) -> &'a str {
    let lines = output.lines().filter_map(|line| line.split_once('='));
    lines.into_iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
}

/// What an engine for this cluster does not do as it should, through one of its doors.
async fn unmet(cluster: &Cluster, rest: Option<RestConfig>) -> Vec<String> {
    let door = u8::from(rest.is_some());
    let mut uid = u64::from(std::process::id()).to_be_bytes();
    uid[0] = door;
    let network = NetworkUid::from_bytes(uid);
    let train = SlurmPool { gres: Some("gpu:ascend910b".to_owned()), ..SlurmPool::default() };
    let config = SlurmConfig {
        conf: Some(cluster.conf()),
        user: Some(clusters::USER.to_owned()),
        rest,
        pools: BTreeMap::from([("train".to_owned(), train)]),
        ..SlurmConfig::default()
    };
    std::fs::create_dir(cluster.shared().join(door.to_string())).unwrap();
    let batch = BatchConfig {
        base: cluster.shared().join(door.to_string()),
        network,
        supervisor: SupervisorCommand { program: portolan(), arguments: vec!["supervise".into()] },
        ask_every: Duration::from_secs(1),
    };
    let open = async || {
        let slurm = Slurm::find(config.clone()).await?;
        assert_eq!(slurm.version().contains("by REST v0.0.38"), config.rest.is_some());
        BatchEngine::open(batch.clone(), slurm).await
    };
    let place = Place { pool: "train".to_owned(), nodes: 2, chips_per_node: 0 };
    let site = Site { network, place: Some(place) };
    let findings = check(&site, open, |_| ()).await.unwrap();
    let unmet = findings.iter().filter(|finding| finding.verdict != Verdict::Met);
    unmet.map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slurm_conforms_by_its_commands_and_by_rest() {
    if !can_boot() {
        return;
    }
    // Who has a server has one by now; here is none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = Cluster::boot(ALPHA).unwrap();
    let url = format!("unix:{}", cluster.rest().display());
    // Each token ends long before the suite does.
    let token = ["scontrol", "token", "lifespan=6", &format!("username={}", clusters::USER)];
    let token_command = Some(token.map(str::to_owned).to_vec());
    let rest = RestConfig { url, token_command, ..RestConfig::default() };
    let (by_commands, by_rest) = tokio::join!(unmet(&cluster, None), unmet(&cluster, Some(rest)));
    assert!(by_commands.is_empty() && by_rest.is_empty(), "{by_commands:#?}\n{by_rest:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_run_on_two_clusters_and_a_machine() {
    let Some(ground) = Ground::boot().await else { return };
    let net = &ground.net;
    let show = "echo nodes=$SLURM_JOB_NUM_NODES; echo number=$SLURM_JOB_ID; echo user=$(id -un); \
                echo account=$SLURM_JOB_ACCOUNT; echo cluster=$SLURM_CLUSTER_NAME; \
                echo npu=$ASCEND_RT_VISIBLE_DEVICES; echo mlu=$MLU_VISIBLE_DEVICES; \
                echo cuda=$CUDA_VISIBLE_DEVICES; sleep 2";
    let gang = ground.submit(&sh("gang", show), "cann", (2, 8)).await;
    let part = ground.submit(&sh("part", show), "neuware", (1, 2)).await;
    let here = ground.submit(&sh("here", show), "cuda", (1, 1)).await;
    let fails = ground.submit(&sh("fails", "echo no >&2; exit 7"), "cann", (1, 1)).await;
    let mut long = sh("long", "echo begun; sleep 300");
    long["limit"] = "1h".into();
    let withdrawn = ground.submit(&long, "neuware", (1, 1)).await;
    let saves = "trap 'echo saved; kill $!; exit 0' USR1; echo begun; sleep 300 & wait";
    let mut late = sh("late", saves);
    late["limit"] = "3s".into();
    late["checkpoint"] = json!({"path": "state", "signal": "USR1", "grace": "20s"});
    let late = ground.submit(&late, "cann", (1, 1)).await;

    let alpha = (gang, "alpha", &ground.alpha, [clusters::USER, clusters::ACCOUNT]);
    let beta = (part, "beta", &ground.beta, [LAB, ""]);
    for (job, at, cluster, [user, account]) in [alpha, beta] {
        let ended = net.ended(job).await;
        assert_eq!(ended.job.state, "completed", "{ended:?}\n{}", net.said(at));
        let output = net.output(job).await;
        assert_eq!(value(&output, "cluster"), cluster.name(), "{output}");
        let called = ended.tries.last().and_then(|one| one.called.as_deref());
        assert_eq!(called, Some(value(&output, "number")), "{ended:?}");
        assert_eq!(
            [value(&output, "user"), value(&output, "account")],
            [user, account],
            "{output}"
        );
    }
    let output = net.output(gang).await;
    assert_eq!((value(&output, "nodes"), value(&output, "npu")), ("2", "0,1,2,3,4,5,6,7"));
    assert_eq!(value(&net.output(part).await, "mlu").split(',').count(), 2);
    let ended = net.ended(here).await;
    assert_eq!((&*ended.job.state, &ended.tries[0].called), ("completed", &None));
    assert_eq!(value(&net.output(here).await, "cluster"), "");
    let ended = net.ended(fails).await;
    assert_eq!(ended.job.state, "failed");
    assert_eq!(ended.tries[0].outcome.as_deref(), Some("exit code 7"));

    // More nodes than a partition gives to any one job: Slurm takes it, and would never start it.
    let most = ["update", "partition=spot", "maxnodes=1"];
    assert!(ground.beta.command("scontrol", &most).unwrap().status.success());
    let wide = ground.submit(&sh("wide", "true"), "neuware", (2, 1)).await;
    let told = async || {
        let tries = net.job(wide).await.tries;
        let told = tries.iter().filter_map(|one| one.outcome.clone());
        told.into_iter().find(|why| why.contains("PartitionNodeLimit"))
    };
    net.until("what Slurm would never start is given back", told).await;
    let cancel = format!("/v1/jobs/{wide}/cancel");
    let _: Value = net.tenant("lab").post(&cancel, &Value::Null).await.ok();

    ground.says(withdrawn, "begun").await;
    let cancel = format!("/v1/jobs/{withdrawn}/cancel");
    let _: Value = net.tenant("lab").post(&cancel, &Value::Null).await.ok();
    assert_eq!(net.ended(withdrawn).await.job.state, "canceled");
    let ended = net.ended(late).await;
    assert_eq!(ended.job.state, "timed-out", "{ended:?}");
    // It was asked for a checkpoint while Slurm would have let it run for minutes more.
    assert!(net.output(late).await.contains("saved"), "{ended:?}");
    ground
        .beta
        .until("nothing of Portolan's is left in the queue", |beta| {
            beta.says("squeue", &["-h"]).is_empty()
        })
        .unwrap();
}

/// Where jobs leave word when two attempts of one run at a time.
struct Witness(PathBuf);

impl Witness {
    fn at(cluster: &Cluster) -> Self {
        let runs = cluster.shared().join("runs");
        std::fs::create_dir(&runs).unwrap();
        std::fs::set_permissions(&runs, std::fs::Permissions::from_mode(0o777)).unwrap();
        Self(runs)
    }

    /// What a job does that takes so many seconds.
    fn script(&self, seconds: u32) -> String {
        // The kernel gives the lock back with the last process of whoever holds it.
        format!(
            "cd {}; exec 9> $PORTOLAN_JOB.lock; flock --nonblock 9 || touch $PORTOLAN_JOB.double; \
             echo begun; sleep {seconds}; echo done",
            self.0.display()
        )
    }

    fn doubles(&self) -> Vec<String> {
        let names = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(".double")).collect()
    }
}

/// A controller that crashes forgets jobs, gives their numbers to others and starts them twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_controller_loses_no_job_and_runs_none_twice() {
    let Some(mut ground) = Ground::boot().await else { return };
    let witness = Witness::at(&ground.alpha);
    let script = witness.script(6);
    let mut jobs = Vec::new();
    // Slurm saves what it knows five seconds later. Moments after a submission, in milliseconds.
    let crashes: &[u64] =
        if cfg!(feature = "long") { &[300, 2_000, 4_000, 7_000, 12_000] } else { &[300, 2_000] };
    for (number, after) in crashes.iter().enumerate() {
        let mut job = sh(&format!("crash-{number}"), &script);
        job["retries"] = 3.into();
        let first = ground.submit(&job, "cann", (1, 1)).await;
        ground.says(first, "begun").await;
        let second = ground.submit(&job, "cann", (1, 1)).await;
        tokio::time::sleep(Duration::from_millis(*after)).await;
        ground.alpha.kill_controller();
        ground.alpha.start_controller().unwrap();
        jobs.extend([first, second]);
    }
    for job in jobs {
        let ended = ground.ended(job).await;
        assert_eq!(ended.job.state, "completed", "{ended:?}\n{}", ground.net.said("alpha"));
    }
    assert_eq!(witness.doubles(), Vec::<String>::new());
}

/// A cluster's own jobs, nodes and operators go first: what they end is tried again, elsewhere or later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_cluster_ends_is_tried_again() {
    let Some(mut ground) = Ground::boot().await else { return };
    let first = "echo begun; test $PORTOLAN_EPOCH -gt 1 || sleep 300; echo done";
    let mut job = sh("goes-on", first);
    job["limit"] = "1h".into();
    // An owner's job of more worth takes the place of a guest's.
    let preempted = ground.submit(&job, "neuware", (1, 1)).await;
    ground.says(preempted, "begun").await;
    let own = ["--partition=train", "--nodes=2", "--exclusive", "--output=/dev/null"];
    let own = [&own[..], &["--chdir=/", "--wrap=sleep 15"]].concat();
    let taken = ground.beta.command("sbatch", &own).unwrap();
    assert!(taken.status.success(), "{taken:?}");
    let says = async || {
        let said = ground.net.job(preempted).await.job.center_says?;
        ["Resources", "Priority"].contains(&&*said).then_some(())
    };
    ground.net.until("its center says why it waits there", says).await;
    let ended = ground.net.ended(preempted).await;
    assert_eq!(ended.job.state, "completed", "{ended:?}\n{}", ground.net.said("beta"));
    assert_eq!(ended.job.attempts, 2, "{ended:?}");

    // An operator drains a node: what runs there runs on, what comes goes elsewhere.
    let drain = ["update", "nodename=n1", "state=drain", "reason=test"];
    assert!(ground.alpha.command("scontrol", &drain).unwrap().status.success());
    let mut gang = sh("gang", "echo node=$SLURM_JOB_NODELIST");
    gang["limit"] = "1h".into();
    let gang = ground.submit(&gang, "cann", (3, 8)).await;
    assert_eq!(ground.net.ended(gang).await.job.state, "completed");
    assert_eq!(value(&ground.net.output(gang).await, "node"), "n[2-4]");

    // The agent is killed while its jobs run, one ends meanwhile, one is canceled, and it finds all.
    let (short, long, doomed) = (
        ground.submit(&sh("short", "echo begun; sleep 2"), "cann", (1, 1)).await,
        ground.submit(&sh("long", "echo begun; sleep 8"), "cann", (1, 1)).await,
        ground.submit(&sh("doomed", "echo begun; sleep 300"), "cann", (1, 1)).await,
    );
    for job in [short, long, doomed] {
        ground.says(job, "begun").await;
    }
    ground.net.kill_agent("alpha");
    let cancel = format!("/v1/jobs/{doomed}/cancel");
    let _: Value = ground.net.tenant("lab").post(&cancel, &Value::Null).await.ok();
    tokio::time::sleep(Duration::from_secs(3)).await;
    ground.net.start_agent("alpha").await;
    for job in [short, long] {
        let ended = ground.net.ended(job).await;
        assert_eq!((&*ended.job.state, ended.job.attempts), ("completed", 1), "{ended:?}");
    }
    assert_eq!(ground.net.ended(doomed).await.job.state, "canceled");
    let left = ground.alpha.command("squeue", &["--noheader", "--states=running"]).unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}

/// The suite as the owner of a center runs it, and what it says of one whose Slurm is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_checks_a_center_before_it_joins() {
    if !can_boot() {
        return;
    }
    let cluster = Cluster::boot(BETA).unwrap();
    let config = cluster.shared().join("engine.toml");
    let (conf, user) = (cluster.conf(), clusters::USER);
    let text = format!(
        "[slurm]\nconf = {conf:?}\nuser = \"{user}\"\n[slurm.pools.train]\ngres = \"gpu\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let (config, dir) = (config.display().to_string(), cluster.shared().display().to_string());
    let args = ["center", "check", "--engine", "slurm", "--config", &config, "--dir", &dir];
    let as_json = [&args[..], &["--output", "json"]].concat();
    let checked = Finished::run(&as_json, &[], &cluster.shared()).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let report: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!((&report["met"], &report["asked"]), (&json!(16), &json!(16)), "{report:#}");
    // As its nodes claim, by partition; chips where it is said what they are.
    let pool = |pool: &str, chips: Option<u32>| {
        json!({
            "pool": pool, "nodes": 2, "chips_per_node": chips, "cores_milli": 64_000,
            "memory_bytes": 512_000_u64 << 20,
        })
    };
    assert_eq!(report["pools"], json!([pool("spot", None), pool("train", Some(8))]));

    std::fs::write(&config, format!("[slurm]\nconf = {conf:?}\nuser = \"root\"\n")).unwrap();
    let refused = Finished::run(&args, &[], &cluster.shared()).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("would run as root"), "{refused:?}");
    std::fs::write(&config, "[slurm]\npartition = \"x\"\n").unwrap();
    let refused = Finished::run(&args, &[], &cluster.shared()).await;
    assert!(refused.stderr.contains("unknown field `partition`"), "{refused:?}");
}

/// A daemon that dies takes no job with it; a node that dies takes them along, and nobody runs twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_a_node_that_fails_are_tried_again_once_their_lease_has_passed() {
    let Some(mut ground) = Ground::boot().await else { return };
    let mut job = sh("long", "echo node=$SLURMD_NODENAME; sleep 25; echo done");
    job["limit"] = "1h".into();
    job["when_cut_off"] = "move".into();
    job["lease"] = "10s".into();
    let runs_on = ground.submit(&job, "cann", (1, 8)).await;
    let runs_again = ground.submit(&job, "cann", (1, 8)).await;
    let mut nodes = Vec::new();
    for job in [runs_on, runs_again] {
        let output = ground.says(job, "node=n").await;
        nodes.push(value(&output, "node").trim_start_matches('n').parse::<u16>().unwrap());
    }
    ground.alpha.kill_node(nodes[0]);
    ground.alpha.burn_node(nodes[1]);
    // Until Slurm knows, it may give the second try another node that is no longer there.
    for (job, attempts) in [(runs_on, 1..=1), (runs_again, 2..=u32::MAX)] {
        let ended = ground.ended(job).await;
        assert_eq!(ended.job.state, "completed", "{ended:?}\n{}", ground.net.said("alpha"));
        assert!(attempts.contains(&ended.job.attempts), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_script_brings_its_tasks_to_a_cluster() {
    let Some(ground) = Ground::boot().await else { return };
    let net = &ground.net;
    let script = "#!/bin/bash\n\
                  #SBATCH --job-name=tasks --clusters=alpha --time=5 --mem=200M\n\
                  #SBATCH --nodes=2 --ntasks-per-node=2 --cpus-per-task=2\n\
                  #SBATCH --gres=npu:910b3:1\n\
                  #SBATCH --export=GREETING=hello\n\
                  srun sh -c 'echo $GREETING $SLURM_PROCID of $SLURM_NTASKS on node $SLURM_NODEID' | sort\n\
                  [ \"$SLURM_JOB_ID\" != \"${PORTOLAN_JOB#job-}\" ] || echo not the number of the cluster\n";
    std::fs::write(net.dir().join("tasks.sh"), script).unwrap();
    let lab = net.tenant("lab").clone();
    // The cluster has numbers of its own: after this one they differ.
    let first =
        net.cli(&lab, &["sbatch", "-Q", "-t1", "--mem=10M", "-p", "gamma", "--wrap=true"]).await;
    assert_eq!(first.stdout, "Submitted batch job 1\n", "{}", first.stderr);
    let done = net.cli(&lab, &["sbatch", "--parsable", "tasks.sh"]).await;
    assert_eq!(done.stdout, "2\n", "{}", done.stderr);
    let ended = ground.ended(JobId::new(2)).await;
    let said = net.output(ended.job.job).await;
    assert_eq!(ended.job.state, "completed", "{ended:?}: {said}");
    let task = |task: u32| format!("hello {task} of 4 on node {}\n", task / 2);
    assert_eq!(said, (0..4).map(task).collect::<String>());
}
