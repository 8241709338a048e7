//! A center whose jobs a Kubernetes cluster runs. Its control plane is real, its nodes are made up.

use control_plane::ControlPlane;
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use whole_system::{Plan, portolan, sh};

#[allow(dead_code, reason = "the engines' own tests use the rest")]
#[path = "../../../crates/engines/tests/it/kubernetes/control_plane.rs"]
mod control_plane;
#[allow(dead_code, reason = "the engines' own tests use the rest")]
#[path = "../../../crates/engines/tests/it/kubernetes/kubelet.rs"]
mod kubelet;

const PATIENCE: Duration = Duration::from_secs(120);
/// Whom pods run as; tenants' jobs do not run as root.
const NOBODY: u32 = 65_534;
const NAMESPACE: &str = "portolan-jobs";

/// A network of one Kubernetes cluster.
const NETWORK: &str = r#"
[[center]]
center = "alpha"
owner = "alpha-university"
region = "cn/yrd/shanghai"
latitude = 31.2
longitude = 121.6
time_zone = "Asia/Shanghai"
engine = "kubernetes"
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

[[tenant]]
tenant = "lab"
home = "alpha"
classes = ["cann"]
"#;

/// A cluster whose pods are processes of this machine.
struct Cluster {
    plane: ControlPlane,
    pods: tokio::task::JoinHandle<()>,
    dir: TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.pods.abort();
    }
}

impl Cluster {
    /// None where none can be started.
    async fn start() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can start pods as others");
            return None;
        }
        let Some(plane) = ControlPlane::start().await else {
            eprintln!(
                "skipped: no control plane is here; docs/kubernetes.md says how one is built"
            );
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
        kubelet::make_namespace(&plane.client, NAMESPACE).await;
        let pods = kubelet::run_pods(plane.client.clone(), NAMESPACE, Some(NOBODY));
        let pods = tokio::spawn(pods);
        Some(Self { plane, pods, dir })
    }

    /// The file that says how it is used.
    fn config(&self) -> PathBuf {
        let file = self.dir.path().join("engine.toml");
        let config = format!(
            "[kubernetes]
             kubeconfig = {:?}
             namespace = '{NAMESPACE}'
             image = 'test'
             run_as = {{ uid = {NOBODY}, gid = {NOBODY} }}
             [kubernetes.volume]
             mount = {mount:?}
             source = {{ hostPath = {{ path = {mount:?} }} }}
             [kubernetes.pools.train]
             resource = '{resource}'
             ",
            self.plane.kubeconfig(),
            mount = std::env::temp_dir(),
            resource = control_plane::RESOURCE,
        );
        fs::write(&file, config).unwrap();
        file
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubernetes_passes_the_check_of_a_center() {
    let Some(cluster) = Cluster::start().await else { return };
    let mut check = tokio::process::Command::new(portolan());
    check.args(["center", "check", "--engine", "kubernetes", "--pool", "train", "--dir"]);
    check.arg(cluster.dir.path().join("portolan")).arg("--engine-config").arg(cluster.config());
    let checked = check.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    let complained = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}\n{complained}");
    assert!(said.contains("ready: 16 of 16"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_run_on_kubernetes() {
    let Some(cluster) = Cluster::start().await else { return };
    let net = Plan::of(NETWORK).engine_of("alpha", &cluster.config()).start().await;
    let submit = async |mut job: Value, nodes: u32, chips: u32| {
        job["variant"] = json!([{"on": "cann", "chips": chips, "nodes": nodes}]);
        net.submit("lab", &job).await
    };
    let show = "echo $PORTOLAN_RANK of $PORTOLAN_NODES as $(id -u): $ASCEND_RT_VISIBLE_DEVICES";
    let gang = submit(sh("gang", show), 2, 8).await;
    let fails = submit(sh("fails", "echo no >&2; exit 7"), 1, 1).await;
    let mut long = sh("long", "echo begun; sleep 300");
    long["limit"] = "1h".into();
    let withdrawn = submit(long, 1, 1).await;

    let ended = net.ended(gang).await;
    assert_eq!(ended.job.state, "completed", "{ended:?}\n{}", net.said("alpha"));
    assert_eq!(net.output(gang).await.trim(), "0 of 2 as 65534: 0,1,2,3,4,5,6,7");
    let ended = net.ended(fails).await;
    assert_eq!(ended.job.state, "failed");
    assert_eq!(ended.tries[0].outcome.as_deref(), Some("exit code 7"));
    let logs = format!("/v1/jobs/{withdrawn}/logs");
    let begun = async || net.operator().get(&logs).await.text.contains("begun").then_some(());
    net.until("it has begun", begun).await;
    let cancel = format!("/v1/jobs/{withdrawn}/cancel");
    let _: Value = net.tenant("lab").post(&cancel, &Value::Null).await.ok();
    assert_eq!(net.ended(withdrawn).await.job.state, "canceled");
}
