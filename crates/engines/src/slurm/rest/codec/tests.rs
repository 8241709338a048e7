//! Answers as servers gave them (v0.0.38 of Slurm 22.05.8) and as later versions are described.

use super::*;
use std::path::Path;

fn ticket(command: &[String]) -> Ticket<'_> {
    Ticket {
        name: "portolan-1-7-1",
        command,
        dir: Path::new("/shared/7.1"),
        pool: "train",
        tenant: None,
        nodes: 2,
        chips_per_node: 8,
        image: None,
        cores: Some(Cores(1_500)),
        memory: Some(Bytes((1 << 30) + 1)),
        limit: Some(Span(61_000)),
    }
}

fn wish() -> Wish {
    let pool = SlurmPool { gres: Some("gpu:ascend910b".to_owned()), ..SlurmPool::default() };
    Wish::new(&ticket(&[]), &pool)
}

#[test]
fn the_newest_version_is_spoken_that_both_know() {
    let spoken = |paths: &[&str]| {
        let paths: Vec<String> = paths.iter().map(|&path| path.to_owned()).collect();
        Codec::among(paths.iter()).map(Codec::name)
    };
    let debian = ["/slurm/v0.0.36/jobs", "/slurmdb/v0.0.38/jobs", "/slurm/v0.0.38/job/{job_id}"];
    assert_eq!(spoken(&debian).as_deref(), Some("v0.0.38"));
    let newer = ["/slurm/v0.0.40/jobs/", "/slurm/v0.0.41/jobs/", "/slurm/v0.0.99/jobs/"];
    assert_eq!(spoken(&newer).as_deref(), Some("v0.0.41"));
    assert_eq!(spoken(&["/slurm/v0.0.36/jobs", "/slurm/v1.0.0/jobs"]), None);
}

#[test]
fn each_family_is_told_the_same_in_its_own_way() {
    let told = |version| {
        let mut body = Codec { version }.submission(&ticket(&[]), &wish(), "#!/bin/sh\n");
        // The agent's own, whatever that is here.
        body["job"]["environment"].take();
        body
    };
    // In which order they are kept is another crate's wish where both are built together.
    insta::with_settings!({ sort_maps => true }, {
        insta::assert_json_snapshot!("v0.0.38", told(38));
        insta::assert_json_snapshot!("v0.0.41", told(41));
    });
    assert_eq!(told(39)["job"]["tres_per_node"], "gres:gpu:ascend910b:8");
    assert_eq!(told(39)["script"], "#!/bin/sh\n");
}

#[test]
fn what_a_server_took_no_notice_of_is_seen() {
    let kept = json!({
        "node_count": 2, "memory_per_node": 1_025, "time_limit": 2, "requeue": false,
        "tres_per_node": "gres:gpu:ascend910b:8",
    });
    assert_eq!(wish().unmet(&kept), Vec::<String>::new());
    let wrapped = json!({
        "node_count": {"set": true, "infinite": false, "number": 2},
        "memory_per_node": {"set": true, "infinite": false, "number": 1_025},
        "time_limit": {"set": false, "infinite": true, "number": 0}, "requeue": false,
        "tres_per_node": "gres/gpu:ascend910b:8",
    });
    assert_eq!(wish().unmet(&wrapped), Vec::<String>::new());
    let ignored = json!({"node_count": 1, "requeue": true, "tres_per_node": ""});
    assert_eq!(
        wish().unmet(&ignored),
        [
            "the number of nodes is 1 instead of 2",
            "it is requeued",
            "each node has `` instead of `gpu:ascend910b:8`",
        ]
    );
}

#[test]
fn a_job_is_read_whichever_family_shows_it() {
    let flat = json!({
        "job_id": 7, "name": "a", "job_state": "PENDING", "state_reason": "Resources",
    });
    let wrapped = json!({
        "job_id": 7, "name": "a", "job_state": ["PENDING"], "state_reason": "Resources",
    });
    assert_eq!(entry(&flat), entry(&wrapped));
    let ending = json!({"job_id": 7, "name": "a", "job_state": ["COMPLETED", "COMPLETING"]});
    assert_eq!(entry(&ending).unwrap().phase, crate::batch::Phase::Running);
}

#[test]
fn what_is_complained_of_is_found_under_each_of_its_names() {
    let unknown = json!({"errors": [{
        "description": "Unable to find JobId=999", "error_number": 2_017,
        "error": "Invalid job id specified", "source": "slurm_load_job",
    }]});
    assert_eq!(complaint(&unknown).unwrap().number, 2_017);
    let parsing = json!({"errors": [
        {"description": "Unknown key \"no-requeue\"", "source": "hsearch_r"},
        {"error_code": 9_001, "error": "Failure during parsing"},
    ]});
    let said = "Unknown key \"no-requeue\"; Failure during parsing".to_owned();
    assert_eq!(complaint(&parsing), Some(Complaint { number: 9_001, said }));
    let token = json!({"errors": [{"error": "Unspecified error", "errno": -1}], "nodes": []});
    assert_eq!(complaint(&token).unwrap().number, -1);
    assert_eq!(complaint(&json!({"errors": []})), None);
    // Too many nodes for the partition: complained of, and taken.
    let taken = json!({"errors": [{"error_code": 2_015, "error": "not now"}], "job_id": 12});
    assert_eq!(submitted(&taken).as_deref(), Some("12"));
    assert_eq!(submitted(&unknown), None);
}

#[test]
fn nodes_are_told_with_whether_they_are_in_order() {
    let node = |state: Value, flags: Value| {
        let partitions = ["train", "spot"];
        json!({
            "cpus": 64, "real_memory": 1_024, "partitions": partitions,
            "state": state, "state_flags": flags,
        })
    };
    let body = json!({"nodes": [
        node(json!("idle"), json!([])),
        node(json!("idle"), json!(["DRAIN"])),
        node(json!("down"), json!([])),
        node(json!(["MIXED", "PLANNED"]), Value::Null),
        node(json!(["ALLOCATED", "NOT_RESPONDING"]), Value::Null),
        node(json!("allocated"), json!(["DRAIN"])),
    ]});
    let all = nodes(&body);
    assert_eq!((all[0].cores, all[0].memory), (Cores(64_000), Bytes(1_024 << 20)));
    assert_eq!(all[0].partitions, ["train", "spot"]);
    let told: Vec<(bool, bool)> = all.iter().map(|n| (n.is_in_order, n.takes_work)).collect();
    let (yes, no) = ((true, true), (false, false));
    assert_eq!(told, [yes, no, no, yes, no, (false, true)]);
}
