//! A real control plane of Kubernetes, for as long as a test takes: etcd, API server, controller manager
//! and scheduler, each a process of its own. Nodes it has none; the test makes them up.

use super::PATIENCE;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Config};
use serde_json::json;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;
use tempfile::TempDir;

/// Where its programs are looked for, if not where this says.
const PROGRAMS: (&str, &str) = ("PORTOLAN_KUBERNETES", "/var/cache/portolan-kubernetes/bin");
/// What its one user shows.
const TOKEN: &str = "of-a-test";
/// The file that says how it is reached.
const KUBECONFIG: &str = "kubeconfig";
/// Its nodes: as many, of so many chips each.
pub(crate) const NODES: usize = 4;
pub(crate) const CHIPS: u32 = 8;
/// What the chips are called.
pub(crate) const RESOURCE: &str = "huawei.com/Ascend910";

/// A control plane that runs; it ends with this.
pub(crate) struct ControlPlane {
    pub(crate) client: Client,
    pub(crate) version: String,
    port: u16,
    processes: Vec<Child>,
    dir: TempDir,
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // The last to be started has the others to lean on.
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Where the programs are, if they are.
fn programs() -> Option<PathBuf> {
    let dir = std::env::var_os(PROGRAMS.0).map_or_else(|| PathBuf::from(PROGRAMS.1), PathBuf::from);
    let all = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
    all.iter().all(|name| dir.join(name).exists()).then_some(dir)
}

impl ControlPlane {
    /// Starts one, if it is there to be started.
    pub(crate) async fn start() -> Option<Self> {
        let programs = programs()?;
        let dir = tempfile::tempdir().unwrap();
        let mut plane = Starting { programs, dir: dir.path(), processes: Vec::new() };
        let port = plane.start_servers();
        let client = client(port, None);
        let version = until("the API server answers", async || {
            client.apiserver_version().await.ok().map(|info| info.git_version)
        });
        let version = version.await;
        plane.start_controllers(port);
        let processes = plane.processes;
        let started = Self { client, version, port, processes, dir };
        started.make_nodes().await;
        Some(started)
    }

    /// A client that may do what this service account may.
    pub(crate) fn client_as(&self, namespace: &str, account: &str) -> Client {
        client(self.port, Some(format!("system:serviceaccount:{namespace}:{account}")))
    }

    /// The file that says how it is reached.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join(KUBECONFIG)
    }

    async fn make_nodes(&self) {
        let nodes: Api<Node> = Api::all(self.client.clone());
        for number in 1..=NODES {
            let name = format!("n{number}");
            let node = json!({
                "metadata": { "name": name, "labels": {
                    "kubernetes.io/hostname": name,
                    "pool": "train",
                } },
            });
            let node: Node = serde_json::from_value(node).unwrap();
            nodes.create(&PostParams::default(), &node).await.unwrap();
            let has = json!({ "cpu": "64", "memory": "400Gi", "pods": "110", RESOURCE: CHIPS.to_string() });
            let status = json!({ "status": {
                "capacity": has,
                "allocatable": has,
                "conditions": [{ "type": "Ready", "status": "True" }],
            } });
            let how = PatchParams::default();
            nodes.patch_status(&name, &how, &Patch::Merge(status)).await.unwrap();
            // A new node counts as one that is not ready until somebody says otherwise.
            let ready = json!({ "spec": { "taints": null } });
            nodes.patch(&name, &how, &Patch::Merge(ready)).await.unwrap();
        }
    }
}

fn client(port: u16, account: Option<String>) -> Client {
    let mut config = Config::new(format!("https://127.0.0.1:{port}").parse().unwrap());
    // Its certificate is one that it made for itself.
    config.accept_invalid_certs = true;
    config.auth_info.token = Some(TOKEN.to_owned().into());
    config.auth_info.impersonate = account;
    Client::try_from(config).unwrap()
}

/// Waits until something is there.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let search = async {
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    match tokio::time::timeout(PATIENCE, search).await {
        Ok(found) => found,
        Err(_) => panic!("not in time: {what}"),
    }
}

struct Starting<'a> {
    programs: PathBuf,
    dir: &'a Path,
    processes: Vec<Child>,
}

impl Starting<'_> {
    fn run(&mut self, program: &Path, arguments: &[String]) {
        let name = program.file_name().unwrap().to_string_lossy().into_owned();
        let log = File::create(self.dir.join(format!("{name}.log"))).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).stdout(log.try_clone().unwrap()).stderr(log).current_dir(self.dir);
        self.processes.push(command.spawn().unwrap());
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Starts what keeps and what answers; the port of the API server.
    fn start_servers(&mut self) -> u16 {
        let [keeps, peers, port] = free_ports();
        let etcd = format!("http://127.0.0.1:{keeps}");
        let peer = format!("http://127.0.0.1:{peers}");
        let arguments = [
            format!("--data-dir={}", self.path("etcd")),
            format!("--listen-client-urls={etcd}"),
            format!("--advertise-client-urls={etcd}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
        ];
        self.run(Path::new("etcd"), &arguments);
        fs::write(self.dir.join("tokens"), format!("{TOKEN},admin,admin,system:masters\n"))
            .unwrap();
        let key = self.path("accounts.key");
        let made = Command::new("openssl").args(["genrsa", "-out", &key, "2048"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let arguments = [
            format!("--etcd-servers={etcd}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--cert-dir={}", self.path("certificates")),
            format!("--token-auth-file={}", self.path("tokens")),
            "--authorization-mode=RBAC".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-signing-key-file={key}"),
            format!("--service-account-key-file={key}"),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
        ];
        self.run(&self.programs.join("kube-apiserver"), &arguments);
        port
    }

    fn start_controllers(&mut self, port: u16) {
        let file = self.path(KUBECONFIG);
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{ "name": "test", "cluster": {
                "server": format!("https://127.0.0.1:{port}"),
                "insecure-skip-tls-verify": true,
            } }],
            "users": [{ "name": "test", "user": { "token": TOKEN } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        });
        fs::write(&file, config.to_string()).unwrap();
        let common = [
            format!("--kubeconfig={file}"),
            "--leader-elect=false".to_owned(),
            "--port=0".to_owned(),
            "--secure-port=0".to_owned(),
        ];
        let mut arguments = common.to_vec();
        // Nobody beats for nodes that are made up.
        arguments.push("--controllers=*,-nodelifecycle".to_owned());
        let key = self.path("accounts.key");
        arguments.push(format!("--service-account-private-key-file={key}"));
        self.run(&self.programs.join("kube-controller-manager"), &arguments);
        self.run(&self.programs.join("kube-scheduler"), &common);
    }
}

/// Ports of which nobody listens on any.
fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    let taken: [TcpListener; COUNT] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    std::array::from_fn(|index| taken[index].local_addr().unwrap().port())
}
