//! Engines with real processes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "how a test fails")]

mod conformance;
mod enclosure;
mod gang;
mod isolation;
mod kubernetes;
mod ray;
mod supervision;
mod waiting;

use conformance::assert_conforms;
use engines::{
    Engine, Launch, Outcome, ProcessConfig, ProcessEngine, ProcessOptions, State, SupervisorCommand,
};
use model::{AttemptId, JobId, NetworkUid};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// A network of which no other test, in this process or another, has attempts: what is left of an
/// attempt is found, and killed, by its network and id anywhere on the machine.
fn fresh_network() -> NetworkUid {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let number = u64::from(std::process::id()) << 32 | u64::from(count);
    NetworkUid::from_bytes(number.to_be_bytes())
}

fn config(base: &Path, network: NetworkUid) -> ProcessConfig {
    let program = env!("CARGO_BIN_EXE_portolan-supervise").into();
    let supervisor = SupervisorCommand { program, arguments: Vec::new() };
    ProcessConfig {
        base: base.to_owned(),
        network,
        supervisor,
        uids: None,
        options: ProcessOptions::default(),
    }
}

/// A directory for attempts, with an engine.
struct Ground {
    dir: TempDir,
    network: NetworkUid,
    engine: ProcessEngine,
}

impl Ground {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With an engine set up differently.
    async fn with(change: impl FnOnce(&mut ProcessConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
        let network = fresh_network();
        let mut config = config(dir.path(), network);
        change(&mut config);
        Self { engine: ProcessEngine::open(config).await.unwrap(), dir, network }
    }

    /// The same directory with a new engine, after this has been done without any.
    async fn reopened(self, meanwhile: impl FnOnce(&Path)) -> Self {
        let Self { dir, network, engine } = self;
        drop(engine);
        meanwhile(&dir.path().join(network.to_string()));
        let engine = ProcessEngine::open(config(dir.path(), network)).await.unwrap();
        Self { dir, network, engine }
    }

    fn sh(&self, job: u64, script: &str) -> Launch {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        Launch::new(self.network, attempt(job), command)
    }

    async fn launch(&self, launch: &Launch) {
        self.engine.launch(launch).await.unwrap();
    }

    /// Waits until `wanted` sees what it wants in the attempt's state.
    async fn until<T>(&self, attempt: AttemptId, wanted: impl Fn(&State) -> Option<T>) -> T {
        let search = async {
            loop {
                let state = self.engine.find(attempt).await.unwrap().expect("it was launched");
                if let Some(found) = wanted(&state) {
                    return found;
                }
                // Hints may be lost.
                let look_anyway = Duration::from_millis(250);
                let _ = tokio::time::timeout(look_anyway, self.engine.changed()).await;
            }
        };
        tokio::time::timeout(PATIENCE, search).await.expect("it happens in time")
    }

    async fn until_running(&self, attempt: AttemptId) {
        self.until(attempt, |state| matches!(state, State::Running { .. }).then_some(())).await;
    }

    async fn until_over(&self, attempt: AttemptId) -> State {
        self.until(attempt, |state| state.is_final().then(|| state.clone())).await
    }

    async fn outcome(&self, attempt: AttemptId) -> Outcome {
        match self.until_over(attempt).await {
            State::Ended(outcome) => outcome,
            other => panic!("{attempt} has no outcome but is {other:?}"),
        }
    }

    async fn stdout(&self, attempt: AttemptId) -> String {
        let chunk = self.engine.logs(attempt, engines::Stream::Stdout, 0, 1 << 20).await.unwrap();
        String::from_utf8(chunk.data).unwrap()
    }

    /// Waits until a file of the attempt's work directory has a whole line, and returns it.
    async fn line(&self, attempt: AttemptId, file: &str) -> String {
        let path = self.engine.workdir(attempt).unwrap().join(file);
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let search = async {
            loop {
                ticks.tick().await;
                let text = fs::read_to_string(&path).unwrap_or_default();
                if let Some((line, _)) = text.split_once('\n') {
                    return line.to_owned();
                }
            }
        };
        tokio::time::timeout(PATIENCE, search).await.expect("the line is written in time")
    }

    fn network_dir(&self) -> PathBuf {
        self.dir.path().join(self.network.to_string())
    }

    fn attempt_dir(&self, attempt: AttemptId) -> PathBuf {
        self.network_dir().join(attempt.to_string())
    }
}

fn attempt(job: u64) -> AttemptId {
    AttemptId { job: JobId::new(job), epoch: 1 }
}
