//! A real Ray cluster for as long as a test takes: a head and one more node of this machine, in a network
//! namespace of their own, for Ray listens on every address that it finds.

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;
use std::fs::{self, File, Permissions};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The folder of a Python environment that has Ray; without it, tests of it are skipped.
const INSTALLED: &str = "PORTOLAN_RAY";
/// Where its dashboard is, in its namespace.
pub(crate) const URL: &str = "http://127.0.0.1:8265";
/// The node's resource of which it has eight, and the other of which it has two.
pub(crate) const MANY: &str = "ascend910b";
pub(crate) const FEW: &str = "mlu370";
/// How long it may take to start: Python starts some twenty processes.
const PATIENCE: Duration = Duration::from_secs(240);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Marks all that it starts.
const MARK: &str = "PORTOLAN_TEST_RAY";

/// A network namespace with nothing but `lo`.
struct Alone(String);

impl Alone {
    /// Moves this thread into one, and with it all threads and processes that it starts.
    fn enter() -> Self {
        let alone = Self(format!("portolan-ray-{}", std::process::id()));
        ip(&["netns", "add", &alone.0]);
        ip(&["-n", &alone.0, "link", "set", "lo", "up"]);
        let door = File::open(Path::new("/run/netns").join(&alone.0)).unwrap();
        move_into_link_name_space(door.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        alone
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        ip(&["netns", "delete", &self.0]);
    }
}

fn ip(words: &[&str]) {
    let status = Command::new("ip").args(words).status().unwrap();
    assert!(status.success(), "ip {words:?}: {status}");
}

/// Runs a test beside a cluster of its own, if Ray is installed here.
pub(crate) fn beside_a_cluster(test: impl AsyncFnOnce(&mut Cluster)) {
    let Some(installed) = std::env::var_os(INSTALLED) else {
        eprintln!("skipped: `cargo xtask test --ray` installs Ray and runs this");
        return;
    };
    assert!(rustix::process::geteuid().is_root(), "only root may make network namespaces");
    let _alone = Alone::enter();
    // Who has a server has one by now; here is none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut cluster = Cluster::start(PathBuf::from(installed)).await;
        test(&mut cluster).await;
    });
}

/// A cluster that runs; all that it started goes with it.
pub(crate) struct Cluster {
    program: PathBuf,
    mark: String,
    head: Child,
    node: Option<Child>,
    pub(crate) dir: TempDir,
}

impl Cluster {
    async fn start(installed: PathBuf) -> Self {
        // Paths of its sockets are long, and may not be longer than a hundred bytes.
        let dir = tempfile::Builder::new().prefix("ray-").tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
        let program = installed.join("bin/ray");
        let mark = dir.path().display().to_string();
        let temp = format!("--temp-dir={}", dir.path().join("ray").display());
        let head = ["--head", "--port=6379", "--dashboard-host=127.0.0.1", "--num-cpus=0", &temp];
        let head = start(&program, &mark, &head, (30_000, 30_199));
        let mut cluster = Self { program, mark, head, node: None, dir };
        cluster.until("its dashboard answers", async || read("/api/version").await.is_some()).await;
        cluster.start_node();
        cluster.until("both nodes live", async || alive().await == Some(2)).await;
        cluster
    }

    fn start_node(&mut self) {
        let resources = format!("--resources={{\"{MANY}\": 8, \"{FEW}\": 2, \"NPU\": 4}}");
        let node = ["--address=127.0.0.1:6379", "--num-cpus=8", &resources];
        self.node = Some(start(&self.program, &self.mark, &node, (30_200, 30_399)));
    }

    /// Kills the daemon of the node that is not the head with nothing but itself, as a crash does: what it
    /// started is not told.
    pub(crate) fn crash_node(&mut self) {
        let mut node = self.node.take().unwrap();
        let is_its = |pid: &i32| {
            let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after = status.rsplit_once(") ").map_or("", |(_, after)| after);
            let parent = after.split(' ').nth(1).and_then(|parent| parent.parse().ok());
            let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            parent == Some(node.id()) && program.ends_with("raylet")
        };
        let raylets: Vec<i32> = self.processes().into_iter().filter(is_its).collect();
        assert_eq!(raylets.len(), 1, "its daemon is one process");
        raylets.into_iter().for_each(kill);
        // It ends what else there is of the node once it sees that the daemon is gone.
        node.wait().unwrap();
    }

    /// Stops a job, as its owner may by hand.
    pub(crate) async fn stop(&self, name: &str) {
        let stop = reqwest::Client::new().post(format!("{URL}/api/jobs/{name}/stop")).send().await;
        assert!(stop.unwrap().status().is_success());
    }

    /// What a job is in Ray; none if it is not there.
    pub(crate) async fn status(&self, name: &str) -> Option<String> {
        let job = read(&format!("/api/jobs/{name}")).await?;
        Some(job["status"].as_str()?.to_owned())
    }

    /// The names of all jobs whose names end so.
    pub(crate) async fn named(&self, end: &str) -> Vec<String> {
        let all = read("/api/jobs/").await.unwrap_or_default();
        let names =
            all.as_array().into_iter().flatten().filter_map(|job| job["submission_id"].as_str());
        names.filter(|name| name.ends_with(end)).map(str::to_owned).collect()
    }

    async fn until(&self, what: &str, is: impl AsyncFn() -> bool) {
        let begun = Instant::now();
        while !is().await {
            assert!(begun.elapsed() < PATIENCE, "{what}: not in {PATIENCE:?}\n{}", self.log());
            // tidy: nothing tells when it has started
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("start.log")).unwrap_or_default()
    }

    /// Everything that it started, and what that started.
    fn processes(&self) -> Vec<i32> {
        let needle = format!("{MARK}={}", self.mark);
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let is_marked = |pid: &i32| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|entry| entry == needle.as_bytes())
        };
        pids.filter(is_marked).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for _ in 0..100 {
            let left = self.processes();
            if left.is_empty() {
                break;
            }
            left.into_iter().for_each(kill);
            // tidy: the kernel takes a moment to end what is none of our children
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.head.wait();
        let _ = self.node.as_mut().map(Child::wait);
    }
}

fn start(program: &Path, mark: &str, further: &[&str], ports: (u16, u16)) -> Child {
    let log = File::options().create(true).append(true).open(Path::new(mark).join("start.log"));
    let log = log.unwrap();
    let (from, to) = ports;
    Command::new(program)
        .args(["start", "--block", "--node-ip-address=127.0.0.1", "--disable-usage-stats"])
        .args([format!("--min-worker-port={from}"), format!("--max-worker-port={to}")])
        .args(further)
        .env(MARK, mark)
        // What it writes below a home directory.
        .env("HOME", mark)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn kill(pid: i32) {
    let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
}

async fn read(path: &str) -> Option<Value> {
    let answer = reqwest::get(format!("{URL}{path}")).await.ok()?;
    answer.error_for_status().ok()?.json().await.ok()
}

/// How many nodes live.
pub(crate) async fn alive() -> Option<usize> {
    let nodes = read("/api/v0/nodes?detail=1").await?;
    let all = nodes["data"]["result"]["result"].as_array()?;
    Some(all.iter().filter(|node| node["state"] == "ALIVE").count())
}
