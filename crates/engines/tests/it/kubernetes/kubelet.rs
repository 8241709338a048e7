//! What nodes do, done by the test: there are none behind its control plane.

use super::control_plane::until;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

/// Makes a namespace, as far as pods can be made in it.
pub(crate) async fn make_namespace(client: &Client, name: &str) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    until_usable(client, name).await;
}

/// Waits until pods can be made in a namespace.
pub(crate) async fn until_usable(client: &Client, name: &str) {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
    until("its service account is there", async || accounts.get("default").await.ok()).await;
}

/// The pods of an entry, once as many as this have nodes.
pub(crate) async fn placed(
    client: &Client,
    namespace: &str,
    entry: &str,
    count: usize,
) -> Vec<Pod> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let its = ListParams::default().labels(&format!("portolan/entry={entry}"));
    until("its pods have nodes", async || {
        let mut pods = pods.list(&its).await.unwrap().items;
        pods.retain(|pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()));
        (pods.len() >= count).then_some(pods)
    })
    .await
}

/// Says of an entry's one pod how it is.
pub(crate) async fn say(client: &Client, namespace: &str, entry: &str, status: Value) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    for pod in placed(client, namespace, entry, 1).await {
        let name = pod.metadata.name.unwrap();
        let status = Patch::Merge(json!({ "status": status }));
        pods.patch_status(&name, &PatchParams::default(), &status).await.unwrap();
    }
}

/// The state of the one container of a pod, and of the pod.
pub(crate) fn status(phase: &str, state: &Value) -> Value {
    json!({
        "phase": phase,
        "containerStatuses": [{
            "name": "attempt",
            "image": "test",
            "imageID": "",
            "ready": false,
            "restartCount": 0,
            "state": state,
        }],
    })
}

/// Confirms that all pods of an entry are gone.
pub(crate) async fn confirm_gone(client: &Client, namespace: &str, entry: &str) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let its = ListParams::default().labels(&format!("portolan/entry={entry}"));
    let at_once = DeleteParams::default().grace_period(0);
    for pod in pods.list(&its).await.unwrap().items {
        let _ = pods.delete(&pod.metadata.name.unwrap(), &at_once).await;
    }
}

/// Takes every Job of a namespace away, so that its pods are in nobody's way.
pub(crate) async fn clear(client: &Client, namespace: &str) {
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let all = ListParams::default();
    jobs.delete_collection(&DeleteParams::background(), &all).await.unwrap();
    until("its pods are gone", async || {
        let at_once = DeleteParams::default().grace_period(0);
        let left = pods.list(&all).await.unwrap().items;
        for pod in &left {
            let _ = pods.delete(pod.metadata.name.as_ref().unwrap(), &at_once).await;
        }
        left.is_empty().then_some(())
    })
    .await;
}

/// Runs the pods of a namespace as processes of this machine, under a user of their own if `user` is one,
/// until it is dropped. They have no namespaces of the kernel and no image of their own: what a pod's
/// command does is real, what surrounds it is not.
pub(crate) async fn run_pods(client: Client, namespace: &str, user: Option<u32>) {
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    let mut running: BTreeMap<String, Child> = BTreeMap::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        let Ok(all) = pods.list(&ListParams::default()).await else { continue };
        for pod in all.items {
            look_after(&pods, &pod, &mut running, user).await;
        }
    }
}

async fn look_after(
    pods: &Api<Pod>,
    pod: &Pod,
    running: &mut BTreeMap<String, Child>,
    user: Option<u32>,
) {
    let name = pod.metadata.name.clone().unwrap();
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    let has_node = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let is_going = pod.metadata.deletion_timestamp.is_some();
    let is_over = matches!(phase, "Succeeded" | "Failed");
    let ended = match running.get_mut(&name) {
        Some(child) => child.try_wait().unwrap(),
        None if is_over || is_going || !has_node => None,
        None => {
            running.insert(name.clone(), start(pod, user));
            let state = json!({ "running": { "startedAt": null } });
            return tell(pods, &name, &status("Running", &state)).await;
        }
    };
    if let Some(how) = ended {
        running.remove(&name);
        let (phase, state) = told(how);
        tell(pods, &name, &status(phase, &state)).await;
    }
    if is_going {
        match running.get(&name) {
            Some(child) => {
                let pid = rustix::process::Pid::from_child(child);
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
            // Nothing of it is left.
            None => {
                let at_once = DeleteParams::default().grace_period(0);
                let _ = pods.delete(&name, &at_once).await;
            }
        }
    }
}

async fn tell(pods: &Api<Pod>, name: &str, status: &Value) {
    let patch = Patch::Merge(json!({ "status": status }));
    // It may be gone by now.
    let _ = pods.patch_status(name, &PatchParams::default(), &patch).await;
}

fn start(pod: &Pod, user: Option<u32>) -> Child {
    let container = &pod.spec.as_ref().unwrap().containers[0];
    let words = container.command.as_ref().unwrap();
    let mut command = match user {
        None => Command::new(&words[0]),
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.arg(format!("--reuid={user}")).arg(format!("--regid={user}"));
            command.args(["--clear-groups", &words[0]]);
            command
        }
    };
    command.args(&words[1..]).current_dir(container.working_dir.as_ref().unwrap());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.spawn().unwrap()
}

fn told(how: ExitStatus) -> (&'static str, Value) {
    let code = how.code().unwrap_or(137);
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    (phase, json!({ "terminated": { "exitCode": code, "reason": "Error" }, "running": null }))
}
