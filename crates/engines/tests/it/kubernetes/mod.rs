//! Kubernetes: what its API server says is understood. The tests replay conversations with a real one;
//! where a control plane is there to be started, they hold them anew, and run the suite of all engines on
//! it with pods as processes of this machine.
//!
//! `PORTOLAN_KUBERNETES=DIR` says where its programs are (`/var/cache/portolan-kubernetes/bin` if nothing
//! does); `PORTOLAN_RECORD=1` writes the conversations down.

mod control_plane;
mod conversation;
mod kubelet;
mod manifest;
mod scenarios;
mod troubles;

use crate::{assert_conforms, fresh_network};
use control_plane::{CHIPS, ControlPlane, NODES, RESOURCE, until};
use conversation::Conversation;
use engines::batch::Queue;
use engines::conformance::{Site, check};
use engines::kubernetes::{Kubernetes, KubernetesConfig};
use engines::{
    BatchConfig, BatchEngine, Cause, ChipSlots, Engine, Launch, Outcome, Place, State,
    SupervisorCommand,
};
use k8s_openapi::api::batch::v1::Job;
use kube::Client;
use kube::api::{Api, ListParams};
use model::{AttemptId, NetworkUid, TenantId};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(120);

/// Whom pods run as where the test is root.
const NOBODY: u32 = 65_534;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_its_api_server_said_is_understood() {
    for (name, hold) in scenarios::ALL {
        hold(Conversation::recorded(name)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_control_plane_is_understood() {
    let Some(plane) = ControlPlane::start().await else {
        eprintln!("skipped: no control plane is here; docs/kubernetes.md says how one is built");
        return;
    };
    let is_recorded = std::env::var_os("PORTOLAN_RECORD").is_some();
    for (name, hold) in scenarios::ALL {
        let conversation = hold(Conversation::live(name, &plane)).await;
        if is_recorded {
            conversation.keep();
        }
    }
    conforms(&plane).await;
}

/// Runs the suite as the agent of `deploy/kubernetes/agent.yaml` with no more rights than it has there; pods
/// are processes of this machine.
async fn conforms(plane: &ControlPlane) {
    let (namespace, of_fudan, account) = ("portolan-jobs", "of-fudan", "portolan-agent");
    kubelet::make_namespace(&plane.client, of_fudan).await;
    manifest::apply(&plane.client, of_fudan).await;
    let dir = tempfile::tempdir().unwrap();
    let mount = dir.path();
    fs::set_permissions(mount, Permissions::from_mode(0o711)).unwrap();
    let user = rustix::process::geteuid().is_root().then_some(NOBODY);
    kubelet::until_usable(&plane.client, namespace).await;
    let mut pods = JoinSet::new();
    for namespace in [namespace, of_fudan] {
        pods.spawn(kubelet::run_pods(plane.client.clone(), namespace, user));
    }
    let config: KubernetesConfig = toml::from_str(&format!(
        "namespace = '{namespace}'\nimage = 'test'\npatience = '3s'\n{}\n\
         [pools.train]\nresource = '{RESOURCE}'\n[tenants.fudan]\nnamespace = '{of_fudan}'\n\
         [volume]\nmount = {mount:?}\nsource = {{ hostPath = {{ path = {mount:?} }} }}\n",
        user.map_or(String::new(), |user| format!("run_as = {{ uid = {user}, gid = {user} }}")),
    ))
    .unwrap();
    let found = KubernetesConfig { kubeconfig: Some(plane.kubeconfig()), ..config.clone() };
    let found = Kubernetes::find(found, mount).await.unwrap();
    assert_eq!(found.version(), plane.version);
    let network = fresh_network();
    let open = async || {
        let client = plane.client_as("portolan", account);
        let queue = Kubernetes::at(client, config.clone(), mount).await?;
        let program = env!("CARGO_BIN_EXE_portolan-supervise").into();
        let batch = BatchConfig {
            base: mount.to_owned(),
            network,
            supervisor: SupervisorCommand { program, arguments: Vec::new() },
            ask_every: Duration::from_millis(250),
        };
        BatchEngine::open(batch, queue).await
    };
    let site = Site { network, place: None };
    let findings = check(&site, open, |finding| eprintln!("{finding}")).await.unwrap();
    assert_conforms(&findings);
    let engine = open().await.unwrap();
    gangs_start_as_a_whole(&engine, network).await;
    let cores = engine.capacity().await.unwrap().cpu.0 / 64_000;
    assert_eq!(cores, u64::try_from(NODES).unwrap());
    a_tenant_has_its_own_namespace(&engine, network, &plane.client, of_fudan).await;
    nodes_are_counted_as_they_change(&engine, &plane.client).await;
}

async fn a_tenant_has_its_own_namespace(
    engine: &BatchEngine<Kubernetes>,
    network: NetworkUid,
    client: &Client,
    namespace: &str,
) {
    let mut launch = Launch::new(network, crate::attempt(2_001), vec!["true".to_owned()]);
    launch.tenant = Some(TenantId::new("fudan").unwrap());
    engine.launch(&launch).await.unwrap();
    assert!(ended(engine, launch.attempt).await.is_success());
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    assert_eq!(jobs.list(&ListParams::default()).await.unwrap().items.len(), 1);
}

async fn nodes_are_counted_as_they_change(engine: &BatchEngine<Kubernetes>, client: &Client) {
    let all = u32::try_from(NODES).unwrap();
    for (is_closed, left) in [(true, all - 1), (false, all)] {
        scenarios::close(client, "n2", is_closed).await;
        let count = async || engine.nodes().await.unwrap().get("train").copied();
        until("the count is right", async || (count().await == Some(left)).then_some(())).await;
    }
}

async fn ended(engine: &BatchEngine<Kubernetes>, attempt: AttemptId) -> Outcome {
    let outcome = async || match engine.find(attempt).await.unwrap() {
        Some(State::Ended(outcome)) => Some(outcome),
        _ => None,
    };
    until("it ends", outcome).await
}

/// A gang that the cluster has nodes for runs on all of them; of one that it has not, nothing runs.
async fn gangs_start_as_a_whole(engine: &BatchEngine<Kubernetes>, network: NetworkUid) {
    let launch = |job: u64, nodes: usize| {
        let script = "echo $PORTOLAN_RANK of $PORTOLAN_NODES: $CHIPS >> ran";
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        let mut launch = Launch::new(network, crate::attempt(job), command);
        let nodes = u32::try_from(nodes).unwrap();
        launch.place = Some(Place { pool: "train".to_owned(), nodes, chips_per_node: CHIPS });
        // Where the plan has them; a container has its own numbers.
        launch.chips = Some(ChipSlots { variable: "CHIPS".to_owned(), slots: vec![16, 17] });
        launch
    };
    let ran = |attempt| {
        let text = fs::read_to_string(engine.workdir(attempt).unwrap().join("ran"));
        let mut lines: Vec<String> = text.unwrap_or_default().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let [whole, torn] = [launch(1_001, 2), launch(1_002, NODES + 1)];
    for launch in [&whole, &torn] {
        engine.launch(launch).await.unwrap();
        let outcome = ended(engine, launch.attempt).await;
        let gone =
            matches!(&outcome.cause, Cause::CouldNotStart(why) if why.contains("of its 5 nodes"));
        assert_eq!(
            (outcome.is_success(), gone),
            (launch.attempt == whole.attempt, !outcome.is_success())
        );
    }
    assert_eq!(ran(whole.attempt), ["0 of 2: 0,1,2,3,4,5,6,7", "1 of 2: 0,1,2,3,4,5,6,7"]);
    assert_eq!(ran(torn.attempt), Vec::<String>::new());
}
