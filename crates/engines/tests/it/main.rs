//! Engines with real processes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "how a test fails")]

mod conformance;
mod isolation;
mod supervision;

use engines::{
    Engine, Launch, Outcome, ProcessConfig, ProcessEngine, State, SupervisorCommand, UidRange,
};
use model::{AttemptId, JobId, NetworkUid};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const NETWORK: NetworkUid = NetworkUid::from_bytes([0xab; 8]);
const PATIENCE: Duration = Duration::from_secs(60);

fn config(base: &Path, uids: Option<UidRange>) -> ProcessConfig {
    let supervisor = SupervisorCommand {
        program: env!("CARGO_BIN_EXE_portolan-supervise").into(),
        arguments: Vec::new(),
    };
    ProcessConfig { base: base.to_owned(), network: NETWORK, supervisor, uids }
}

/// A directory for attempts, with an engine.
struct Ground {
    dir: TempDir,
    engine: ProcessEngine,
}

impl Ground {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = ProcessEngine::open(config(dir.path(), None)).await.unwrap();
        Self { dir, engine }
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
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                if let Some((line, _)) = text.split_once('\n') {
                    return line.to_owned();
                }
            }
        };
        tokio::time::timeout(PATIENCE, search).await.expect("the line is written in time")
    }

    fn attempt_dir(&self, attempt: AttemptId) -> std::path::PathBuf {
        self.dir.path().join(NETWORK.to_string()).join(attempt.to_string())
    }
}

fn attempt(job: u64) -> AttemptId {
    AttemptId { job: JobId::new(job), epoch: 1 }
}

fn sh(job: u64, script: &str) -> Launch {
    Launch::new(NETWORK, attempt(job), ["sh", "-c", script].map(str::to_owned).to_vec())
}
