//! What is asked of Kubernetes, and what its rarer answers mean. Those that a control plane without nodes
//! does not give are written by hand here, after its documentation.

use super::config::{KubernetesConfig, KubernetesTenant};
use super::job::{difference, job, pod_group, starts_as_a_whole};
use super::state::Sight;
use crate::batch::{Phase, Ticket};
use crate::{Error, RunAs};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use model::{Bytes, Cores, Span, TenantId};
use serde_json::{Value, json};
use std::path::Path;

const NOBODY: RunAs = RunAs { uid: 1234, gid: 1234 };

fn config(pools: &Value) -> KubernetesConfig {
    let config = json!({
        "image": "registry.example/base:1",
        "run_as": { "uid": 1234, "gid": 1234 },
        "volume": {
            "mount": "/shared",
            "source": { "persistentVolumeClaim": { "claimName": "portolan" } },
        },
        "pools": pools,
    });
    serde_json::from_value(config).unwrap()
}

fn made(pools: &Value, nodes: u32) -> Result<Job, Error> {
    made_with(pools, nodes, None)
}

fn made_with(pools: &Value, nodes: u32, image: Option<&str>) -> Result<Job, Error> {
    let command = ["/shared/portolan/bin/supervisor", "/shared/portolan/7.1"].map(str::to_owned);
    let ticket = Ticket { nodes, image, ..ticket(&command) };
    job(&ticket, &config(pools), NOBODY)
}

fn ticket(command: &[String]) -> Ticket<'_> {
    Ticket {
        name: "portolan-0123456789abcdef-7-1",
        command,
        dir: Path::new("/shared/portolan/7.1"),
        pool: "train",
        tenant: None,
        nodes: 1,
        chips_per_node: 8,
        image: None,
        cores: Some(Cores(1_500)),
        memory: Some(Bytes(1 << 30)),
        limit: Some(Span(61_500)),
    }
}

#[test]
fn a_gang_is_a_job_with_a_pod_on_each_of_its_nodes() {
    let pool = json!({ "train": {
        "resource": "huawei.com/Ascend910",
        "node_selector": { "accelerator": "ascend" },
        "tolerations": [{ "key": "chips", "operator": "Exists" }],
        "priority_class": "guests",
        "kueue_queue": "city",
        "annotations": { "team": "portolan" },
    } });
    let job = made(&pool, 2).unwrap();
    assert!(starts_as_a_whole(&job));
    insta::assert_json_snapshot!(job);
}

#[test]
fn chips_are_what_the_center_says_they_are() {
    for resource in ["nvidia.com/gpu", "cambricon.com/mlu", "hygon.com/dcu", "metax-tech.com/gpu"] {
        let job = made(&json!({ "train": { "resource": resource } }), 1).unwrap();
        let limits = &serde_json::to_value(&job).unwrap()["spec"]["template"]["spec"]["containers"]
            [0]["resources"]["limits"];
        assert_eq!(limits[resource], "8");
    }
    let without = made(&json!({}), 1);
    assert!(matches!(&without, Err(Error::Rejected { said, .. }) if said.contains("`train`")));
}

#[test]
fn a_job_runs_in_the_image_that_it_names() {
    let image = |pool: &Value, named| {
        let job = made_with(&json!({ "train": pool }), 1, named).unwrap();
        job.spec.unwrap().template.spec.unwrap().containers[0].image.clone().unwrap()
    };
    let plain = json!({ "resource": "a/b" });
    let own = json!({ "resource": "a/b", "image": "pool:1" });
    assert_eq!(image(&plain, None), "registry.example/base:1");
    assert_eq!(image(&own, None), "pool:1");
    assert_eq!(image(&own, Some("job:1")), "job:1");
}

#[test]
fn a_tenant_s_pods_have_its_service_account() {
    let pool = json!({ "train": { "resource": "a/b", "service_account": "pool" } });
    let mut config = config(&pool);
    let fudan = TenantId::new("fudan").unwrap();
    let own = KubernetesTenant { service_account: Some("fudan".to_owned()), ..Default::default() };
    config.tenants.insert(fudan.clone(), own);
    let account = |tenant: &TenantId| {
        let command = ["/shared/portolan/bin/supervisor".to_owned()];
        let ticket = Ticket { tenant: Some(tenant), ..ticket(&command) };
        let job = job(&ticket, &config, NOBODY).unwrap();
        job.spec.unwrap().template.spec.unwrap().service_account_name
    };
    assert_eq!(account(&fudan).as_deref(), Some("fudan"));
    assert_eq!(account(&TenantId::new("tongji").unwrap()).as_deref(), Some("pool"));
}

#[test]
fn a_gang_of_volcano_is_a_pod_group() {
    let mut job =
        made(&json!({ "train": { "resource": "a/b", "volcano_queue": "city" } }), 2).unwrap();
    job.metadata.uid = Some("1-2-3".to_owned());
    assert!(starts_as_a_whole(&job));
    let group = pod_group(&job, "city");
    assert_eq!(group["spec"], json!({ "minMember": 2, "queue": "city" }));
    assert_eq!(group["metadata"]["name"], "portolan-0123456789abcdef-7-1");
    assert_eq!(group["metadata"]["ownerReferences"][0]["uid"], "1-2-3");
    let spec = serde_json::to_value(&job).unwrap()["spec"]["template"].take();
    assert_eq!(spec["spec"]["schedulerName"], "volcano");
    let group = &spec["metadata"]["annotations"]["scheduling.k8s.io/group-name"];
    assert_eq!(group, "portolan-0123456789abcdef-7-1");
}

#[test]
fn a_job_that_was_changed_on_its_way_is_seen() {
    let wanted = made(&json!({ "train": { "resource": "a/b" } }), 2).unwrap();
    assert_eq!(difference(&wanted, &wanted), None);
    let changed = |change: fn(&mut Value)| {
        let mut kept = serde_json::to_value(&wanted).unwrap();
        change(&mut kept["spec"]);
        difference(&wanted, &serde_json::from_value(kept).unwrap())
    };
    let nodes = changed(|spec| spec["parallelism"] = json!(1));
    assert_eq!(nodes.unwrap(), "2 nodes were asked for, 1 kept");
    const LIMITS: &str = "/template/spec/containers/0/resources/limits";
    let chips = changed(|spec| *spec.pointer_mut(LIMITS).unwrap() = json!({ "cpu": "1500m" }));
    assert_eq!(chips.unwrap(), "8 of a/b were asked for, none kept");
    // Cores and memory may be spelled otherwise.
    assert_eq!(changed(|spec| spec.pointer_mut(LIMITS).unwrap()["cpu"] = json!("1.5")), None);
}

/// The phase of a Job with this status whose pods are these.
fn phase(job: Value, pods: &[Value]) -> Phase {
    let job: Job = serde_json::from_value(job).unwrap();
    let pods: Vec<Pod> =
        pods.iter().map(|pod| serde_json::from_value(pod.clone()).unwrap()).collect();
    let pods: Vec<&Pod> = pods.iter().collect();
    // 2026-01-01T00:00:00Z.
    Sight { job: &job, pods: &pods, now: 1_767_225_600, is_late: false }.phase()
}

fn failed() -> Value {
    let condition = json!({ "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded" });
    json!({ "metadata": {}, "status": { "conditions": [condition] } })
}

/// A pod that the cluster itself ended, for this reason.
fn disrupted(reason: &str, phase: &str) -> Value {
    json!({
        "metadata": {},
        "spec": { "containers": [], "nodeName": "n1" },
        "status": { "phase": phase, "conditions": [
            { "type": "DisruptionTarget", "status": "True", "reason": reason, "message": "it says" },
        ] },
    })
}

#[test]
fn what_the_cluster_ends_is_over_only_where_its_node_has_said_so() {
    let over = |why: &str| Phase::Over(format!("Kubernetes ended it: {why} (it says)"));
    for reason in ["PreemptionByScheduler", "EvictionByEvictionAPI", "TerminationByKubelet"] {
        assert_eq!(phase(failed(), &[disrupted(reason, "Failed")]), over(reason));
        assert_eq!(phase(failed(), &[disrupted(reason, "Running")]), Phase::Running);
    }
    let taint = "DeletionByTaintManager";
    assert_eq!(phase(failed(), &[disrupted(taint, "Failed")]), over(taint));
    let failing = phase(failed(), &[disrupted(taint, "Running")]);
    assert_eq!(failing, Phase::OutOfReach("its node n1 failed".to_owned()));
    let collected = phase(failed(), &[disrupted("DeletionByPodGC", "Failed")]);
    assert_eq!(collected, Phase::OutOfReach("its node n1 does not answer".to_owned()));
}

#[test]
fn a_program_that_never_began_is_told_by_what_its_container_says() {
    let ended = |reason: &str, code: i32, message: &str| {
        let terminated = json!({ "exitCode": code, "reason": reason, "message": message });
        let container = json!({
            "name": "attempt", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "terminated": terminated },
        });
        let status = json!({ "phase": "Failed", "containerStatuses": [container] });
        let pod = json!({
            "metadata": {}, "spec": { "containers": [], "nodeName": "n1" }, "status": status,
        });
        phase(failed(), &[pod])
    };
    let without_library =
        ended("Error", 1, "exec /shared/bin/supervisor: no such file or directory\n");
    let why = "Error (exec /shared/bin/supervisor: no such file or directory)";
    assert_eq!(without_library, Phase::Hopeless(why.to_owned()));
    let refused = ended("StartError", 128, "failed to create containerd task");
    let why = "StartError (failed to create containerd task)";
    assert_eq!(refused, Phase::Hopeless(why.to_owned()));
    let over = ended("Error", 1, "7.1: the disk is full");
    let why = "Kubernetes says: BackoffLimitExceeded: 7.1: the disk is full";
    assert_eq!(over, Phase::Over(why.to_owned()));
}

#[test]
fn a_pod_that_should_be_gone_is_on_a_node_that_does_not_answer() {
    let going = |until: &str| {
        let mut pod = json!({
            "spec": { "containers": [], "nodeName": "n1" },
            "status": { "phase": "Running" },
        });
        pod["metadata"] = json!({ "deletionTimestamp": until });
        phase(json!({ "metadata": {} }), &[pod])
    };
    assert_eq!(going("2025-12-31T23:59:30Z"), Phase::Running);
    let why = "its node n1 does not confirm its end";
    assert_eq!(going("2025-12-31T23:58:30Z"), Phase::OutOfReach(why.to_owned()));
}

#[test]
fn a_job_without_pods_waits() {
    let new = phase(json!({ "metadata": {} }), &[]);
    assert_eq!(new, Phase::Waiting("waits for its pods".to_owned()));
    let suspended = json!({ "metadata": {}, "spec": { "suspend": true, "template": {} } });
    assert_eq!(phase(suspended, &[]), Phase::Waiting("waits for its turn in its queue".to_owned()));
    let late = json!({ "type": "Failed", "status": "True", "reason": "DeadlineExceeded" });
    let late = phase(json!({ "metadata": {}, "status": { "conditions": [late] } }), &[]);
    assert_eq!(late, Phase::Over("Kubernetes ended it for its time".to_owned()));
}

#[test]
fn what_is_not_known_is_not_the_end() {
    let pod = json!({
        "metadata": {},
        "spec": { "containers": [], "nodeName": "n1" },
        "status": { "phase": "OfTomorrow" },
    });
    assert_eq!(phase(failed(), &[pod]), Phase::Running);
}
