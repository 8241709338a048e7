//! A cluster that keeps jobs to the memory they asked for, as most do.

use super::{BETA, can_boot};
use clusters::{Cluster, Shape};
use engines::slurm::{Slurm, SlurmConfig};
use engines::{
    BatchConfig, BatchEngine, Cause, Engine, Launch, Outcome, Place, State, SupervisorCommand,
};
use model::{AttemptId, Bytes, JobId, NetworkUid, Span};
use std::time::Duration;
use whole_system::portolan;

/// How an attempt ended that runs this script with 64 MiB.
async fn ended(
    engine: &BatchEngine<Slurm>,
    (network, job): (NetworkUid, u64),
    script: &str,
) -> Outcome {
    let attempt = AttemptId { job: JobId::new(job), epoch: 1 };
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    let mut launch = Launch::new(network, attempt, command);
    launch.place = Some(Place { pool: "train".to_owned(), nodes: 1, chips_per_node: 0 });
    launch.memory = Some(Bytes(64 << 20));
    launch.limit = Some(Span::from_secs(60));
    engine.launch(&launch).await.unwrap();
    let end = async {
        loop {
            match engine.find(attempt).await.unwrap() {
                Some(State::Ended(outcome)) => return outcome,
                Some(State::Lost { why }) => panic!("{attempt} is lost: {why}"),
                _ => drop(tokio::time::timeout(Duration::from_secs(1), engine.changed()).await),
            }
        }
    };
    let end = tokio::time::timeout(Duration::from_secs(120), end).await;
    end.unwrap_or_else(|_| panic!("{attempt} does not end"))
}

/// The kernel kills the largest, and what looks after it lives on: that is told as what it is, and a kill of
/// another kind as none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_killed_for_its_memory_is_told_as_such() {
    if !can_boot() {
        return;
    }
    if !clusters::can_limit_memory() {
        eprintln!("skipped: no control groups of version 1 here");
        return;
    }
    let cluster = Cluster::boot(Shape { limits_memory: true, ..BETA }).unwrap();
    let config = SlurmConfig {
        conf: Some(cluster.conf()),
        user: Some(clusters::USER.to_owned()),
        ..SlurmConfig::default()
    };
    let network = NetworkUid::from_bytes(u64::from(std::process::id()).to_be_bytes());
    let batch = BatchConfig {
        base: cluster.shared(),
        network,
        supervisor: SupervisorCommand { program: portolan(), arguments: vec!["supervise".into()] },
        ask_every: Duration::from_secs(1),
    };
    let slurm = Slurm::find(config).await.unwrap();
    let engine = BatchEngine::open(batch, slurm).await.unwrap();
    // Where nothing keeps it to its memory it comes to its own end.
    let hungry = "ulimit -v 1000000; exec tail /dev/zero";
    let outcome = ended(&engine, (network, 1), hungry).await;
    assert_eq!(outcome.cause, Cause::OutOfMemory, "{outcome:?}");
    let outcome = ended(&engine, (network, 2), "kill -9 $$").await;
    assert_eq!(outcome.cause, Cause::Finished, "{outcome:?}");
}
