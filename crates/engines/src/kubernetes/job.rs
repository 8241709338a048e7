//! Attempts as Jobs.

use super::config::{KubernetesConfig, KubernetesPool};
use crate::batch::Ticket;
use crate::{Error, RunAs};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The label of all that this engine makes, and its value.
pub(super) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "portolan");
/// The label that holds the name of the Job, on it and its pods.
pub(super) const ENTRY: &str = "portolan/entry";
/// How long Kubernetes keeps a Job that is over, in seconds. Long enough that it is seen whatever
/// happens to the agent meanwhile.
const KEPT: u32 = 3_600;
/// What is between TERM and KILL, in seconds: what the supervisor needs to end everything, twice.
const GRACE: u32 = 30;
/// The name of the one container.
const CONTAINER: &str = "attempt";

/// The Job for a ticket. The error is why there can be none.
pub(super) fn job(
    ticket: &Ticket<'_>,
    config: &KubernetesConfig,
    user: RunAs,
) -> Result<Job, Error> {
    let rejected = |said: String| Err(Error::Rejected { who: super::WHO, said });
    let default = KubernetesPool::default();
    let pool = config.pools.get(ticket.pool).unwrap_or(&default);
    let name = ticket.pool;
    let usual = pool.image.as_deref().or(config.image.as_deref());
    let Some(image) = ticket.image.or(usual) else {
        return rejected(format!(
            "no `image` is named for pool `{name}` in the engine's configuration"
        ));
    };
    if ticket.chips_per_node > 0 && pool.resource.is_none() {
        return rejected(format!(
            "chips of pool `{name}` are wanted, and no `resource` says there what they are"
        ));
    }
    let labels = labels(ticket, pool);
    let mut job_labels = labels.clone();
    job_labels.extend(pool.kueue_queue.iter().map(|queue| (KUEUE.to_owned(), queue.clone())));
    let is_gang = ticket.nodes > 1;
    let mut annotations = pool.annotations.clone();
    if is_gang && pool.volcano_queue.is_some() {
        annotations.insert(VOLCANO.to_owned(), ticket.name.to_owned());
    }
    let container = container(ticket, config, pool, image);
    let mut spec = json!({
        "parallelism": ticket.nodes,
        "completions": ticket.nodes,
        "backoffLimit": 0,
        "activeDeadlineSeconds": ticket.limit.map(|limit| limit.0.div_ceil(1_000).max(1)),
        "ttlSecondsAfterFinished": KEPT,
        // Kueue lets it go.
        "suspend": pool.kueue_queue.is_some().then_some(true),
        "completionMode": is_gang.then_some("Indexed"),
        "template": {
            "metadata": { "labels": labels, "annotations": annotations },
            "spec": pod(ticket, config, pool, user, &container),
        },
    });
    without_nulls(&mut spec);
    let job = json!({
        "metadata": { "name": ticket.name, "labels": job_labels, "annotations": pool.annotations },
        "spec": spec,
    });
    serde_json::from_value(job).or_else(|error| {
        rejected(format!("the engine's configuration of pool `{name}` makes no Job: {error}"))
    })
}

/// The label by which Kueue knows a Job's queue.
const KUEUE: &str = "kueue.x-k8s.io/queue-name";
/// The annotation by which Volcano knows a pod's group.
const VOLCANO: &str = "scheduling.k8s.io/group-name";

/// Whether the cluster itself starts this gang as a whole or not at all.
pub(super) fn starts_as_a_whole(job: &Job) -> bool {
    let labels = job.metadata.labels.as_ref();
    let template = job.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    let annotations = template.and_then(|template| template.annotations.as_ref());
    labels.is_some_and(|all| all.contains_key(KUEUE))
        || annotations.is_some_and(|all| all.contains_key(VOLCANO))
}

fn labels(ticket: &Ticket<'_>, pool: &KubernetesPool) -> BTreeMap<String, String> {
    let mut labels = pool.labels.clone();
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    labels.insert(ENTRY.to_owned(), ticket.name.to_owned());
    labels
}

fn container(
    ticket: &Ticket<'_>,
    config: &KubernetesConfig,
    pool: &KubernetesPool,
    image: &str,
) -> Value {
    let mut amounts = Map::new();
    let mut ask =
        |name: &str, amount: String| amounts.insert(name.to_owned(), Value::String(amount));
    if let Some(cores) = ticket.cores {
        ask("cpu", format!("{}m", cores.0));
    }
    if let Some(memory) = ticket.memory {
        ask("memory", memory.0.to_string());
    }
    if let Some(resource) = pool.resource.as_ref().filter(|_| ticket.chips_per_node > 0) {
        ask(resource, ticket.chips_per_node.to_string());
    }
    json!({
        "name": CONTAINER,
        "image": image,
        "command": ticket.command,
        // Not the attempt's directory: that would be made anew for a pod that comes late.
        "workingDir": config.volume.mount,
        "env": [{
            "name": "PORTOLAN_ADDRESS",
            "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } },
        }],
        "resources": { "limits": amounts, "requests": amounts },
        "volumeMounts": [{ "name": "portolan", "mountPath": config.volume.mount }],
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
        },
        // What it says before it has its own files.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    })
}

fn pod(
    ticket: &Ticket<'_>,
    config: &KubernetesConfig,
    pool: &KubernetesPool,
    user: RunAs,
    container: &Value,
) -> Value {
    let mut volume = json!({ "name": "portolan" });
    if let (Some(volume), Some(source)) = (volume.as_object_mut(), config.volume.source.as_object())
    {
        volume.extend(source.clone());
    }
    let tenant = ticket.tenant.and_then(|tenant| config.tenants.get(tenant));
    let account = tenant.and_then(|tenant| tenant.service_account.as_ref());
    let account = account.or(pool.service_account.as_ref());
    let is_gang = ticket.nodes > 1;
    let volcano = pool.volcano_queue.as_ref().filter(|_| is_gang).map(|_| "volcano");
    // Its pods are for as many nodes, not for room on one.
    let apart = is_gang.then(|| {
        json!({ "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [{
            "labelSelector": { "matchLabels": { ENTRY: ticket.name } },
            "topologyKey": "kubernetes.io/hostname",
        }] } })
    });
    json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": GRACE,
        "serviceAccountName": account,
        "priorityClassName": pool.priority_class,
        "runtimeClassName": pool.runtime_class,
        "schedulerName": pool.scheduler.as_deref().or(volcano),
        "nodeSelector": pool.node_selector,
        "tolerations": pool.tolerations,
        "affinity": apart,
        "securityContext": {
            "runAsUser": user.uid,
            "runAsGroup": user.gid,
            "runAsNonRoot": true,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "volumes": [volume],
        "containers": [container],
    })
}

/// The pod group of a gang that Volcano is to start; it goes with its Job.
pub(super) fn pod_group(job: &Job, queue: &str) -> Value {
    let name = &job.metadata.name;
    json!({
        "apiVersion": "scheduling.volcano.sh/v1beta1",
        "kind": "PodGroup",
        "metadata": {
            "name": name,
            "labels": job.metadata.labels,
            "ownerReferences": [{
                "apiVersion": "batch/v1",
                "kind": "Job",
                "name": name,
                "uid": job.metadata.uid,
            }],
        },
        "spec": {
            "minMember": job.spec.as_ref().and_then(|spec| spec.parallelism),
            "queue": queue,
        },
    })
}

/// In what the Job that the API server keeps is not the one it was given: it drops what it does not know,
/// and others may change what passes. None where it will do.
pub(super) fn difference(wanted: &Job, kept: &Job) -> Option<String> {
    let nodes = |job: &Job| job.spec.as_ref().and_then(|spec| spec.parallelism);
    if nodes(wanted) != nodes(kept) {
        let count = |job| nodes(job).map_or("no number of".to_owned(), |count| count.to_string());
        return Some(format!("{} nodes were asked for, {} kept", count(wanted), count(kept)));
    }
    let (asked, given) = (limits(wanted), limits(kept));
    let missing = asked.into_iter().find(|(name, amount)| given.get(name) != Some(amount));
    missing.map(|(name, amount)| {
        let given = given.get(name).map_or("none", |given| given.0.as_str());
        format!("{} of {name} were asked for, {given} kept", amount.0)
    })
}

/// What the one container of a Job is given that is counted in pieces; of cores and memory the API server
/// may keep another spelling.
fn limits(job: &Job) -> BTreeMap<&str, &Quantity> {
    let spec = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let container = spec.and_then(|spec| spec.containers.iter().find(|one| one.name == CONTAINER));
    let resources: Option<&ResourceRequirements> = container.and_then(|one| one.resources.as_ref());
    let limits = resources.and_then(|resources| resources.limits.as_ref()).into_iter().flatten();
    let counted = limits.filter(|(name, _)| name.contains('/'));
    counted.map(|(name, amount)| (name.as_str(), amount)).collect()
}

/// Takes away whatever says nothing.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(all) => all.iter_mut().for_each(without_nulls),
        _ => {}
    }
}
