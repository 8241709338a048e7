//! What is said to an API server, and what has to come of it.

use super::control_plane::{CHIPS, NODES, RESOURCE, until};
use super::conversation::Conversation;
use super::kubelet::{clear, confirm_gone, make_namespace, placed, say, status};
use engines::batch::{Entry, Phase, Queue, Ticket};
use engines::kubernetes::{Kubernetes, KubernetesConfig};
use engines::{Capacity, Error, PoolSize};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use model::{Bytes, Cores, Span, TenantId};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;

type Held = Pin<Box<dyn Future<Output = Conversation>>>;

/// Holds a conversation, and gives it back.
type Hold = fn(Conversation) -> Held;

/// All conversations, by name.
pub(crate) const ALL: [(&str, Hold); 5] = [
    ("entering", |held| Box::pin(entering(held))),
    ("waiting", |held| Box::pin(waiting(held))),
    ("giving-up", |held| Box::pin(giving_up(held))),
    ("ending", |held| Box::pin(ending(held))),
    ("gangs", |held| Box::pin(gangs(held))),
];

/// What all names begin with.
pub(crate) const PREFIX: &str = "portolan-0123456789abcdef-";

pub(crate) fn config(namespace: &str, patience: &str) -> KubernetesConfig {
    let config = format!(
        "namespace = '{namespace}'
         image = 'registry.example/base:1'
         patience = '{patience}'
         run_as = {{ uid = 1234, gid = 1234 }}
         [volume]
         mount = '/shared'
         source = {{ hostPath = {{ path = '/shared' }} }}
         [pools.train]
         resource = '{RESOURCE}'
         node_selector = {{ pool = 'train' }}
         [pools.together]
         resource = '{RESOURCE}'
         volcano_queue = 'city'
         [pools.grows]
         resource = '{RESOURCE}'
         on_demand = true
         "
    );
    toml::from_str(&config).unwrap()
}

/// The queue, in a namespace of its own; an image may take as long as this.
async fn queue(held: &Conversation, namespace: &str, patience: &str) -> Kubernetes {
    held.change(async |client| make_namespace(client, namespace).await).await;
    let config = config(namespace, patience);
    let queue = Kubernetes::at(held.client(), config, Path::new("/shared/portolan")).await.unwrap();
    assert!(queue.version().starts_with("v1."), "{}", queue.version());
    assert_eq!(queue.active(PREFIX).await.unwrap(), []);
    held.change(async |_| ()).await;
    queue
}

pub(crate) fn name(job: u32) -> String {
    format!("{PREFIX}{job}-1")
}

/// A ticket for so many nodes with so many chips on each.
pub(crate) async fn enter(
    queue: &Kubernetes,
    name: &str,
    nodes: u32,
    chips: u32,
) -> Result<Entry, Error> {
    enter_in(queue, "train", None, name, nodes, chips).await
}

/// The same for a pool, and a tenant.
pub(crate) async fn enter_in(
    queue: &Kubernetes,
    pool: &str,
    tenant: Option<&TenantId>,
    name: &str,
    nodes: u32,
    chips: u32,
) -> Result<Entry, Error> {
    let command = ["/shared/portolan/bin/supervisor", "supervise", "/shared/portolan/1.1"];
    let ticket = Ticket {
        name,
        command: &command.map(str::to_owned),
        dir: Path::new("/shared/portolan/1.1"),
        pool,
        tenant,
        nodes,
        chips_per_node: chips,
        image: None,
        cores: Some(Cores(1_500)),
        memory: Some(Bytes(1 << 30)),
        limit: Some(Span::from_secs(3_600)),
    };
    queue.submit(&ticket).await
}

/// How an entry is, as the engine asks: with all others first, and then by its name. Waits until it is as
/// wanted.
async fn phase(queue: &Kubernetes, name: &str, wanted: impl Fn(&Phase) -> bool) -> Phase {
    let what = format!("{name} is as wanted");
    until(&what, async || {
        let mut entries = queue.active(PREFIX).await.unwrap();
        entries.retain(|entry| entry.name == name);
        if entries.is_empty() {
            // Nobody asked so in a recording in which the watch was sooner: then it is looked at again.
            entries = queue.named(name).await.unwrap_or_default();
        }
        entries.into_iter().map(|entry| entry.phase).find(&wanted)
    })
    .await
}

fn text(phase: &Phase) -> &str {
    match phase {
        Phase::Running => "",
        Phase::Waiting(why) | Phase::Hopeless(why) | Phase::Over(why) => why,
        Phase::OutOfMemory(why) | Phase::OutOfReach(why) => why,
    }
}

fn is_rejected(result: &Result<Entry, Error>, why: &str) -> bool {
    matches!(result, Err(Error::Rejected { said, .. }) if said.contains(why))
}

async fn entering(held: Conversation) -> Conversation {
    let namespace = "entering";
    let queue = queue(&held, namespace, "10m").await;
    let first = enter(&queue, &name(1), 1, 8).await.unwrap();
    let again = enter(&queue, &name(1), 1, 8).await.unwrap();
    assert_eq!(again.number, first.number, "a name is one entry");
    let found = queue.named(&name(1)).await.unwrap();
    assert_eq!(found.iter().map(|entry| &entry.number).collect::<Vec<_>>(), [&first.number]);
    assert_eq!(queue.named(&name(2)).await.unwrap(), []);
    let wrong = enter(&queue, "Not_A_Name", 1, 8).await;
    assert!(is_rejected(&wrong, "Not_A_Name"), "{wrong:?}");
    let without = enter_in(&queue, "elsewhere", None, &name(2), 1, 8).await;
    assert!(is_rejected(&without, "no `resource`"), "{without:?}");
    held.change(async |client| make_foreign_job(client, namespace, &name(3)).await).await;
    let taken = enter(&queue, &name(3), 1, 8).await;
    assert!(is_rejected(&taken, "somebody else has a Job"), "{taken:?}");
    assert_eq!(queue.named(&name(3)).await.unwrap(), []);
    let other =
        Entry { number: "00000000-0000-0000-0000-000000000000".to_owned(), ..first.clone() };
    queue.cancel(&other).await.unwrap();
    assert_eq!(queue.named(&name(1)).await.unwrap().len(), 1, "another of that name is left alone");
    queue.cancel(&first).await.unwrap();
    held.change(async |client| confirm_gone(client, namespace, &name(1)).await).await;
    until("it is gone", async || queue.named(&name(1)).await.unwrap().is_empty().then_some(()))
        .await;
    queue.cancel(&first).await.unwrap();
    held.change(async |client| clear(client, namespace).await).await;
    held
}

async fn make_foreign_job(client: &Client, namespace: &str, name: &str) {
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    let job = json!({
        "metadata": { "name": name },
        "spec": { "template": { "spec": {
            "restartPolicy": "Never",
            "containers": [{ "name": "theirs", "image": "theirs" }],
        } } },
    });
    jobs.create(&PostParams::default(), &serde_json::from_value(job).unwrap()).await.unwrap();
}

async fn waiting(held: Conversation) -> Conversation {
    let namespace = "waiting";
    let queue = queue(&held, namespace, "10m").await;
    enter(&queue, &name(1), 1, CHIPS + 1).await.unwrap();
    let is_told = |phase: &Phase| text(phase).contains("Unschedulable");
    let never = phase(&queue, &name(1), is_told).await;
    assert!(matches!(&never, Phase::Waiting(why) if why.contains(RESOURCE)), "{never:?}");
    enter(&queue, &name(2), 1, CHIPS).await.unwrap();
    held.change(async |client| {
        let state =
            json!({ "waiting": { "reason": "ImagePullBackOff", "message": "no such image" } });
        say(client, namespace, &name(2), status("Pending", &state)).await;
    })
    .await;
    let pulled = phase(&queue, &name(2), |phase| text(phase).contains("ImagePull")).await;
    assert_eq!(pulled, Phase::Waiting("ImagePullBackOff (no such image)".to_owned()));
    held.change(async |client| {
        let state = json!({ "running": {}, "waiting": null });
        say(client, namespace, &name(2), status("Running", &state)).await;
    })
    .await;
    phase(&queue, &name(2), |phase| *phase == Phase::Running).await;
    held.change(async |client| clear(client, namespace).await).await;
    held
}

async fn giving_up(held: Conversation) -> Conversation {
    let namespace = "giving-up";
    let queue = queue(&held, namespace, "0s").await;
    enter(&queue, &name(1), 1, 0).await.unwrap();
    held.change(async |client| {
        let state = json!({ "waiting": { "reason": "ErrImagePull", "message": "denied" } });
        say(client, namespace, &name(1), status("Pending", &state)).await;
    })
    .await;
    let pulled = phase(&queue, &name(1), |phase| matches!(phase, Phase::Hopeless(_))).await;
    assert_eq!(pulled, Phase::Hopeless("ErrImagePull (denied)".to_owned()));
    // One node more than there are.
    let nodes = u32::try_from(NODES).unwrap() + 1;
    enter(&queue, &name(2), nodes, 1).await.unwrap();
    held.change(async |client| {
        placed(client, namespace, &name(2), NODES).await;
    })
    .await;
    let is_torn =
        |phase: &Phase| text(phase).contains(&format!("only {NODES} of its {nodes} nodes"));
    let torn = phase(&queue, &name(2), is_torn).await;
    assert!(matches!(torn, Phase::Hopeless(_)), "{torn:?}");
    held.change(async |client| clear(client, namespace).await).await;
    held
}

async fn ending(held: Conversation) -> Conversation {
    let namespace = "ending";
    let queue = queue(&held, namespace, "10m").await;
    for job in 1..=4 {
        enter(&queue, &name(job), 1, 0).await.unwrap();
    }
    held.change(async |client| {
        let ended =
            |code: u32, why: &str| json!({ "terminated": { "exitCode": code, "reason": why } });
        let well = status("Succeeded", &ended(0, "Completed"));
        say(client, namespace, &name(1), well).await;
        let memory = status("Failed", &ended(137, "OOMKilled"));
        say(client, namespace, &name(2), memory).await;
        let mut evicted = status("Failed", &ended(137, "Error"));
        evicted["reason"] = json!("Evicted");
        evicted["message"] = json!("the node was low on disk");
        say(client, namespace, &name(3), evicted).await;
        say(client, namespace, &name(4), status("Unknown", &json!({ "running": {} }))).await;
    })
    .await;
    let is_over = |phase: &Phase| !matches!(phase, Phase::Waiting(_) | Phase::Running);
    let well = phase(&queue, &name(1), is_over).await;
    assert!(matches!(&well, Phase::Over(_)), "{well:?}");
    let memory = phase(&queue, &name(2), is_over).await;
    assert!(matches!(&memory, Phase::OutOfMemory(_)), "{memory:?}");
    let evicted = phase(&queue, &name(3), is_over).await;
    let said = "Kubernetes ended it: Evicted (the node was low on disk)";
    assert_eq!(evicted, Phase::Over(said.to_owned()));
    let lost = phase(&queue, &name(4), is_over).await;
    assert!(matches!(&lost, Phase::OutOfReach(why) if why.contains("does not answer")), "{lost:?}");
    until("none is active", async || queue.active(PREFIX).await.unwrap().is_empty().then_some(()))
        .await;
    let has =
        |nodes: u64| Capacity { cpu: Cores(nodes * 64_000), memory: Bytes((nodes * 400) << 30) };
    let all = PoolSize { nodes: 4, node: has(1), chips: Some(8) };
    let pools = BTreeMap::from(["together", "train"].map(|pool| (pool.to_owned(), all)));
    assert_eq!(queue.capacity().await.unwrap(), has(4));
    assert_eq!(queue.pools().await.unwrap(), pools);
    held.change(async |client| close(client, "n2", true).await).await;
    assert_eq!(queue.capacity().await.unwrap(), has(3));
    assert_eq!(queue.pools().await.unwrap(), pools);
    held.change(async |client| {
        close(client, "n2", false).await;
        clear(client, namespace).await;
    })
    .await;
    held
}

/// Closes a node to new pods, or opens it.
pub(crate) async fn close(client: &Client, node: &str, is_closed: bool) {
    let nodes: Api<Node> = Api::all(client.clone());
    let patch = Patch::Merge(json!({ "spec": { "unschedulable": is_closed } }));
    nodes.patch(node, &PatchParams::default(), &patch).await.unwrap();
}

async fn gangs(held: Conversation) -> Conversation {
    let namespace = "gangs";
    let queue = queue(&held, namespace, "10m").await;
    enter(&queue, &name(1), 2, 1).await.unwrap();
    held.change(async |client| {
        let pods = placed(client, namespace, &name(1), 2).await;
        let node = |index: usize| pods[index].spec.as_ref().unwrap().node_name.clone();
        assert_ne!(node(0), node(1), "a gang of two has two nodes");
        let running = json!({ "running": {} });
        say(client, namespace, &name(1), status("Running", &running)).await;
    })
    .await;
    phase(&queue, &name(1), |phase| *phase == Phase::Running).await;
    // Where Volcano is not, its gangs are not entered.
    let without = enter_in(&queue, "together", None, &name(2), 2, 1).await;
    assert!(matches!(&without, Err(error) if error.is_transient()), "{without:?}");
    held.change(async |client| clear(client, namespace).await).await;
    held
}
