//! Attempts on several nodes, by a batch system that starts a supervisor on each.

use crate::{attempt, fresh_network};
use engines::batch::{Entry, Phase, Queue, Ticket};
use engines::{
    BatchConfig, BatchEngine, Capacity, Cause, Engine, Error, Exit, Launch, Outcome, Place, RunAs,
    State, SupervisorCommand,
};
use model::{AttemptId, Bytes, Cores, NetworkUid, Span, TenantId};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// A batch system that starts as many processes as it has room for, all on this machine.
#[derive(Debug, Clone, Default)]
struct Everywhere {
    room: u32,
    /// Whether it ends them for their memory.
    for_memory: bool,
    running: Arc<Mutex<Vec<Child>>>,
}

impl Everywhere {
    /// Whether any process of it lives.
    fn phase(&self) -> Phase {
        let mut running = self.running.lock().unwrap();
        match running.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
            true => Phase::Running,
            false if self.for_memory => Phase::OutOfMemory("all were killed".to_owned()),
            false => Phase::Over("all have ended".to_owned()),
        }
    }
}

impl Queue for Everywhere {
    fn kind(&self) -> &'static str {
        "everywhere"
    }

    fn version(&self) -> &str {
        "1"
    }

    fn starts_everywhere(&self) -> bool {
        true
    }

    fn user(&self, _: Option<&TenantId>) -> Option<RunAs> {
        None
    }

    async fn submit(&self, ticket: &Ticket<'_>) -> Result<Entry, Error> {
        let (program, arguments) = ticket.command.split_first().unwrap();
        let start = |number: u32| {
            let mut command = Command::new(program);
            command.args(arguments).env("PORTOLAN_ADDRESS", format!("host-{number}"));
            command.spawn().unwrap()
        };
        self.running.lock().unwrap().extend((0..self.room.min(ticket.nodes)).map(start));
        let number = std::process::id().to_string();
        Ok(Entry { number, name: ticket.name.to_owned(), phase: Phase::Running })
    }

    async fn named(&self, name: &str) -> Result<Vec<Entry>, Error> {
        if self.running.lock().unwrap().is_empty() {
            return Ok(Vec::new());
        }
        let number = std::process::id().to_string();
        Ok(vec![Entry { number, name: name.to_owned(), phase: self.phase() }])
    }

    async fn active(&self, _prefix: &str) -> Result<Vec<Entry>, Error> {
        Ok(Vec::new())
    }

    async fn cancel(&self, _entry: &Entry) -> Result<(), Error> {
        Ok(())
    }

    async fn capacity(&self) -> Result<Capacity, Error> {
        Ok(Capacity { cpu: Cores(1_000), memory: Bytes(1 << 30) })
    }
}

struct Ground {
    dir: TempDir,
    network: NetworkUid,
    queue: Everywhere,
    engine: BatchEngine<Everywhere>,
}

impl Ground {
    async fn with_room(room: u32) -> Self {
        Self::with(Everywhere { room, ..Everywhere::default() }).await
    }

    async fn with(queue: Everywhere) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let network = fresh_network();
        let program = env!("CARGO_BIN_EXE_portolan-supervise").into();
        let config = BatchConfig {
            base: dir.path().to_owned(),
            network,
            supervisor: SupervisorCommand { program, arguments: Vec::new() },
            ask_every: Duration::from_millis(100),
        };
        let engine = BatchEngine::open(config, queue.clone()).await.unwrap();
        Self { dir, network, queue, engine }
    }

    async fn launch(&self, script: &str) -> AttemptId {
        self.launch_on(3, script).await
    }

    async fn launch_on(&self, nodes: u32, script: &str) -> AttemptId {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        let mut launch = Launch::new(self.network, attempt(1), command);
        launch.place = Some(Place { pool: String::new(), nodes, chips_per_node: 0 });
        launch.secrets.push(("KEY".to_owned(), engines::Secret::new("open".to_owned())));
        self.engine.launch(&launch).await.unwrap();
        launch.attempt
    }

    async fn outcome(&self, attempt: AttemptId) -> Outcome {
        let search = async {
            loop {
                match self.engine.find(attempt).await.unwrap().unwrap() {
                    State::Ended(outcome) => return outcome,
                    State::Lost { why } => panic!("lost: {why}"),
                    State::Starting { .. } | State::Unattended | State::Running { .. } => {}
                }
                let _ =
                    tokio::time::timeout(Duration::from_millis(100), self.engine.changed()).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), search).await.expect("it ends in time")
    }

    /// What was written to a file of the work directory, in order.
    fn lines(&self, attempt: AttemptId, file: &str) -> Vec<String> {
        let path = self.engine.workdir(attempt).unwrap().join(file);
        assert!(path.starts_with(self.dir.path()));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_runs_the_command_and_knows_the_others() {
    let ground = Ground::with_room(3).await;
    let script =
        "echo $PORTOLAN_RANK of $PORTOLAN_NODES $KEY >> all; echo $PORTOLAN_HOSTS >> hosts";
    let attempt = ground.launch(script).await;
    assert!(ground.outcome(attempt).await.is_success());
    assert_eq!(ground.lines(attempt, "all"), ["0 of 3 open", "1 of 3 open", "2 of 3 open"]);
    let hosts = ground.lines(attempt, "hosts");
    assert!(hosts.iter().all(|line| *line == hosts[0]), "{hosts:?}");
    let mut hosts: Vec<&str> = hosts[0].split(',').collect();
    hosts.sort_unstable();
    assert_eq!(hosts, ["host-0", "host-1", "host-2"]);
    ground.engine.forget(attempt).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_one_ends_badly_all_end_and_the_job_ended_so() {
    let ground = Ground::with_room(3).await;
    let script = "trap 'echo told >> told; exit 9' TERM
        [ $PORTOLAN_RANK = 2 ] && exit 7
        while :; do sleep 0.1; done";
    let attempt = ground.launch(script).await;
    let outcome = ground.outcome(attempt).await;
    assert_eq!((outcome.cause, outcome.exit), (Cause::Finished, Some(Exit::Exited(7))));
    assert_eq!(ground.lines(attempt, "told"), ["told", "told"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_waits_for_the_others() {
    let ground = Ground::with_room(3).await;
    let script = "[ $PORTOLAN_RANK = 0 ] || { sleep 1; echo done >> done; }";
    let attempt = ground.launch(script).await;
    assert!(ground.outcome(attempt).await.is_success());
    assert_eq!(ground.lines(attempt, "done"), ["done", "done"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn part_of_a_gang_never_runs() {
    let ground = Ground::with_room(2).await;
    let attempt = ground.launch("echo ran >> ran").await;
    // Both have taken their places, and wait for the third.
    let seat = ground.engine.workdir(attempt).unwrap().with_file_name("seat-1");
    while !seat.exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ground.engine.stop(attempt, Span::ZERO).await.unwrap();
    let outcome = ground.outcome(attempt).await;
    assert_eq!((outcome.cause, outcome.exit), (Cause::Stopped, None));
    for child in ground.queue.running.lock().unwrap().iter_mut() {
        let ended = child.wait().unwrap();
        assert!(ended.success(), "{ended}");
    }
    assert_eq!(ground.lines(attempt, "ran"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_killed_for_its_memory_with_its_supervisor_is_told_so() {
    let ground =
        Ground::with(Everywhere { room: 1, for_memory: true, ..Everywhere::default() }).await;
    let attempt = ground.launch_on(1, "kill -9 $PPID").await;
    let outcome = ground.outcome(attempt).await;
    assert_eq!((outcome.cause, outcome.exit), (Cause::OutOfMemory, Some(Exit::Signaled(9))));
}
