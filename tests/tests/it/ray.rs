//! A center whose jobs a real Ray cluster runs, where `cargo xtask test --ray` is asked for it.

use cluster::{Cluster, FEW, MANY, URL, beside_a_cluster};
use model::JobId;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use whole_system::{Net, Plan, portolan, sh};
use wire::view;

#[allow(dead_code, reason = "the engines' own tests use the rest")]
#[path = "../../../crates/engines/tests/it/ray/cluster.rs"]
mod cluster;

/// Ray takes seconds to start a job, and half a minute to notice that a node is gone.
const PATIENCE: Duration = Duration::from_secs(240);
/// Whom jobs run as: Ray itself is root here.
const NOBODY: u32 = 65_534;

/// A network of a Ray cluster and a machine. Of `spare`, the cluster has less than it says here.
const NETWORK: &str = r#"
[[center]]
center = "alpha"
owner = "alpha-university"
region = "cn/yrd/shanghai"
latitude = 31.2
longitude = 121.6
time_zone = "Asia/Shanghai"
engine = "ray"
pue = 1.2
store = "1 GiB"

[[center.pool]]
pool = "train"
chip = "ascend-910b3"
nodes = 1
chips_per_node = 8
cores = 8
memory = "8 GiB"
price_per_chip_hour = "5 CNY"

[[center.pool]]
pool = "spare"
chip = "cambricon-mlu370-x8"
nodes = 1
chips_per_node = 8
cores = 8
memory = "8 GiB"
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

/// The file that says how it is used.
fn config(cluster: &Cluster) -> PathBuf {
    let file = cluster.dir.path().join("engine.toml");
    let config = format!(
        "[ray]
         url = '{URL}'
         run_as = {{ uid = {NOBODY}, gid = {NOBODY} }}
         patience = '3s'
         [ray.pools.train]
         resource = '{MANY}'
         [ray.pools.spare]
         resource = '{FEW}'
         "
    );
    fs::write(&file, config).unwrap();
    file
}

#[test]
fn ray_passes_the_check_of_a_center() {
    beside_a_cluster(async |cluster| {
        let mut check = tokio::process::Command::new(portolan());
        check.args(["center", "check", "--engine", "ray", "--pool", "train", "--dir"]);
        check.arg(cluster.dir.path().join("portolan")).arg("--engine-config").arg(config(cluster));
        let checked = check.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
        let said = String::from_utf8_lossy(&checked.stdout);
        let complained = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{said}\n{complained}");
        assert!(said.contains("ready: 16 of 16"), "{said}");
    });
}

#[test]
fn jobs_run_on_ray_and_outlive_its_daemons() {
    beside_a_cluster(async |cluster| {
        let net = Plan::of(NETWORK).engine_of("alpha", &config(cluster)).start().await;
        jobs_run_where_their_chips_are(&net, cluster).await;
        what_no_node_can_take_is_told(&net).await;
        a_job_outlives_the_daemon_of_its_node(&net, cluster).await;
    });
}

async fn submit(net: &Net, mut job: Value, on: &str, chips: u32) -> JobId {
    job["variant"] = json!([{"on": on, "chips": chips, "nodes": 1}]);
    net.submit("lab", &job).await
}

async fn ended(net: &Net, job: JobId) -> view::JobDetail {
    let ended = async || {
        let seen = net.job(job).await;
        seen.job.ended_ms.is_some().then_some(seen)
    };
    net.within(PATIENCE, &format!("{job} has ended"), ended).await
}

async fn begun(net: &Net, job: JobId) {
    let logs = format!("/v1/jobs/{job}/logs");
    let begun = async || net.operator().get(&logs).await.text.contains("begun").then_some(());
    net.within(PATIENCE, &format!("{job} has begun"), begun).await;
}

async fn jobs_run_where_their_chips_are(net: &Net, cluster: &Cluster) {
    let show = "echo as $(id -u) on $ASCEND_RT_VISIBLE_DEVICES of $RAY_ADDRESS";
    let chips = submit(net, sh("chips", show), "cann", 4).await;
    let here =
        submit(net, sh("here", "echo $RAY_ADDRESS on $CUDA_VISIBLE_DEVICES"), "cuda", 1).await;
    let fails = submit(net, sh("fails", "echo no >&2; exit 7"), "cann", 1).await;
    let mut long = sh("long", "echo begun; sleep 600");
    long["limit"] = "1h".into();
    let withdrawn = submit(net, long, "cann", 2).await;

    let seen = ended(net, chips).await;
    assert_eq!(seen.job.state, "completed", "{seen:?}\n{}", net.said("alpha"));
    assert_eq!(net.output(chips).await.trim(), "as 65534 on 0,1,2,3 of 127.0.0.1:6379");
    assert_eq!(ended(net, here).await.job.state, "completed");
    assert_eq!(net.output(here).await.trim(), "on 0");
    let seen = ended(net, fails).await;
    assert_eq!(seen.job.state, "failed");
    assert_eq!(seen.tries[0].outcome.as_deref(), Some("exit code 7"));

    begun(net, withdrawn).await;
    let name = cluster.named(&format!("-{}-1", withdrawn.number())).await;
    assert_eq!(name.len(), 1, "one entry for one attempt");
    assert_eq!(cluster.status(&name[0]).await.as_deref(), Some("RUNNING"));
    let cancel = format!("/v1/jobs/{withdrawn}/cancel");
    let _: Value = net.tenant("lab").post(&cancel, &Value::Null).await.ok();
    assert_eq!(ended(net, withdrawn).await.job.state, "canceled");
    let over = async || (cluster.status(&name[0]).await? != "RUNNING").then_some(());
    net.within(PATIENCE, "it is over in Ray too", over).await;
}

async fn what_no_node_can_take_is_told(net: &Net) {
    let large = submit(net, sh("large", "true"), "neuware", 8).await;
    let told = async || net.job(large).await.tries.first()?.outcome.clone();
    let told = net.within(PATIENCE, "it is told", told).await;
    let why = "8 of mlu370 are asked of one node, and no node has more than 2";
    assert!(told.contains(why), "{told}");
    let cancel = format!("/v1/jobs/{large}/cancel");
    let _: Value = net.tenant("lab").post(&cancel, &Value::Null).await.ok();
    assert_eq!(ended(net, large).await.job.state, "canceled");
}

/// Ray says that a job failed whose node it lost; the job runs to its end all the same, once.
async fn a_job_outlives_the_daemon_of_its_node(net: &Net, cluster: &mut Cluster) {
    let end = cluster.dir.path().join("end");
    let waits =
        format!("echo begun; until [ -e {} ]; do sleep 0.2; done; echo ended", end.display());
    let mut job = sh("survivor", &waits);
    job["limit"] = "1h".into();
    let survivor = submit(net, job, "cann", 1).await;
    begun(net, survivor).await;
    let name = cluster.named(&format!("-{}-1", survivor.number())).await;
    let counted = || net.told().iter().filter(|(_, is)| is == "nodes-counted").count();
    let before = counted();
    cluster.crash_node();
    let failed = async || (cluster.status(&name[0]).await? == "FAILED").then_some(());
    net.within(PATIENCE, "Ray says that it failed", failed).await;
    let news = async || (counted() > before).then_some(());
    net.within(PATIENCE, "its node counts no more", news).await;
    assert_eq!(net.job(survivor).await.job.state, "running");
    fs::write(end, "").unwrap();
    let seen = ended(net, survivor).await;
    assert_eq!(seen.job.state, "completed", "{seen:?}\n{}", net.said("alpha"));
    assert_eq!((seen.tries.len(), net.output(survivor).await.trim()), (1, "begun\nended"));
}
