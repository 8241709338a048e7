//! Ray, as a real cluster of it runs attempts, where `cargo xtask test --ray` is asked for it.

mod cluster;

use crate::{assert_conforms, fresh_network};
use cluster::{Cluster, MANY, URL, beside_a_cluster};
use engines::conformance::{Site, Verdict, check};
use engines::ray::{Ray, RayConfig};
use engines::{
    BatchConfig, BatchEngine, Cause, Engine, Error, Exit, Launch, Outcome, Place, State, Stream,
    SupervisorCommand,
};
use model::{AttemptId, JobId, NetworkUid, Span};
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// Ray takes seconds to start a job, and half a minute to notice that a node is gone.
const PATIENCE: Duration = Duration::from_secs(180);
/// Whom attempts run as: Ray itself is root here.
const NOBODY: u32 = 65_534;

/// An engine whose attempts are the cluster's jobs.
async fn open(cluster: &Cluster, network: NetworkUid) -> Result<BatchEngine<Ray>, Error> {
    let config: RayConfig = toml::from_str(&format!(
        "url = '{URL}'\npatience = '3s'\nrun_as = {{ uid = {NOBODY}, gid = {NOBODY} }}\n\
         [pools.train]\nresource = '{MANY}'\n"
    ))
    .unwrap();
    let program = env!("CARGO_BIN_EXE_portolan-supervise").into();
    let batch = BatchConfig {
        base: cluster.dir.path().join("attempts"),
        network,
        supervisor: SupervisorCommand { program, arguments: Vec::new() },
        ask_every: Duration::from_secs(1),
    };
    fs::create_dir_all(&batch.base).unwrap();
    BatchEngine::open(batch, Ray::find(config).await?).await
}

fn place(nodes: u32, chips_per_node: u32) -> Option<Place> {
    Some(Place { pool: "train".to_owned(), nodes, chips_per_node })
}

fn launch(network: NetworkUid, job: u64, script: &str, place: Option<Place>) -> Launch {
    let attempt = AttemptId { job: JobId::new(job), epoch: 1 };
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    let mut launch = Launch::new(network, attempt, command);
    launch.place = place;
    launch
}

/// Waits until `wanted` sees what it wants.
async fn until<T>(what: &str, wanted: impl AsyncFn() -> Option<T>) -> T {
    let looks = async {
        loop {
            if let Some(found) = wanted().await {
                return found;
            }
            // tidy: Ray announces nothing
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looks).await;
    found.unwrap_or_else(|_| panic!("{what}: not in {PATIENCE:?}"))
}

async fn outcome(engine: &BatchEngine<Ray>, attempt: AttemptId) -> Outcome {
    let over = async || engine.find(attempt).await.unwrap().filter(State::is_final);
    match until("it is over", over).await {
        State::Ended(outcome) => outcome,
        other => panic!("it has no outcome but is {other:?}"),
    }
}

#[test]
fn ray_conforms() {
    beside_a_cluster(async |cluster| {
        let network = fresh_network();
        let site = Site { network, place: place(1, 2) };
        let findings = check(
            &site,
            async || open(cluster, network).await,
            |finding| {
                eprintln!("{finding}");
            },
        );
        let findings = findings.await.unwrap();
        assert_conforms(&findings);
        assert!(findings.iter().all(|finding| finding.verdict == Verdict::Met));
    });
}

#[test]
fn what_ray_says_is_seen_through() {
    beside_a_cluster(async |cluster| {
        let network = fresh_network();
        let engine = open(cluster, network).await.unwrap();
        let pools = |up| BTreeMap::from([("train".to_owned(), up)]);
        assert_eq!(engine.nodes().await.unwrap(), pools(1));
        what_it_could_never_take_is_told(&engine, network).await;
        what_it_stops_is_evicted(&engine, network, cluster).await;
        an_attempt_outlives_the_daemon_of_its_node(&engine, network, cluster).await;
        assert_eq!(engine.nodes().await.unwrap(), pools(0));
    });
}

/// Ray itself would let the one wait for ever, and start the other on one node.
async fn what_it_could_never_take_is_told(engine: &BatchEngine<Ray>, network: NetworkUid) {
    let large = launch(network, 1, "true", place(1, 9));
    let gang = launch(network, 2, "true", place(2, 1));
    for (launch, why) in [
        (large, "9 of ascend910b are asked of one node, and no node has more than 8"),
        (gang, "2 nodes are wanted at once, and a job of Ray begins on one"),
    ] {
        engine.launch(&launch).await.unwrap();
        let Outcome { exit: None, cause: Cause::CouldNotStart(said), .. } =
            outcome(engine, launch.attempt).await
        else {
            panic!("it ran");
        };
        assert!(said.contains(why), "{said}");
    }
}

/// What somebody stops in Ray is told to, and has more than the three seconds that Ray gives to others.
async fn what_it_stops_is_evicted(
    engine: &BatchEngine<Ray>,
    network: NetworkUid,
    cluster: &Cluster,
) {
    let script =
        "trap 'sleep 4; echo saved; exit 1' TERM; echo as $(id -u); while sleep 0.1; do :; done";
    let mut launch = launch(network, 3, script, place(1, 8));
    launch.grace = Span::from_secs(20);
    engine.launch(&launch).await.unwrap();
    says(engine, launch.attempt, "as 65534").await;
    let names = cluster.named("-3-1").await;
    assert_eq!(names.len(), 1, "{names:?}");
    cluster.stop(&names[0]).await;
    let ended = outcome(engine, launch.attempt).await;
    assert_eq!((ended.cause, ended.exit), (Cause::Evicted, Some(Exit::Exited(1))));
    says(engine, launch.attempt, "saved").await;
}

/// Ray says that a job failed whose node it lost; it runs to its end all the same, once.
async fn an_attempt_outlives_the_daemon_of_its_node(
    engine: &BatchEngine<Ray>,
    network: NetworkUid,
    cluster: &mut Cluster,
) {
    let end = cluster.dir.path().join("end");
    let script = format!("echo begun; until [ -e {} ]; do sleep 0.1; done; exit 7", end.display());
    let launch = launch(network, 4, &script, place(1, 1));
    engine.launch(&launch).await.unwrap();
    says(engine, launch.attempt, "begun").await;
    let names = cluster.named("-4-1").await;
    cluster.crash_node();
    let failed = async || (cluster.status(&names[0]).await? == "FAILED").then_some(());
    until("Ray says that it failed", failed).await;
    let heard = async || {
        let state = engine.find(launch.attempt).await.unwrap().unwrap();
        assert!(matches!(state, State::Running { .. }), "{state:?}");
    };
    heard().await;
    fs::write(&end, "").unwrap();
    let ended = outcome(engine, launch.attempt).await;
    assert_eq!((ended.cause, ended.exit), (Cause::Finished, Some(Exit::Exited(7))));
}

async fn says(engine: &BatchEngine<Ray>, attempt: AttemptId, word: &str) {
    let said = async || {
        let log = engine.logs(attempt, Stream::Stdout, 0, 1_000).await.unwrap();
        String::from_utf8_lossy(&log.data).contains(word).then_some(())
    };
    until(word, said).await;
}
