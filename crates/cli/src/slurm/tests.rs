//! Answers of the API in Slurm's columns.

use super::*;
use crate::look::Look;
use model::JobId;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wire::view::{Centers, Job, JobDetail, Jobs};

const NOW: u64 = 1_764_000_000_000;

const LOOK: Look = Look { now: Moment(NOW), width: Some(80), color: false };

fn queue() -> Value {
    let job = |number: u64, name: &str, state: &str| {
        json!({
            "job": format!("job-{number}"), "name": name, "tenant": "university", "state": state,
            "priority": 0, "submitted_ms": NOW - 185_000, "nodes": 1, "chips_milli": 0,
            "attempts": 0
        })
    };
    let mut jobs = [
        job(1043, "melt", "held"),
        job(1042, "a-name-that-is-long", "waiting"),
        job(1041, "finetune", "running"),
        job(1040, "pull", "staging"),
        job(1039, "wordcount", "completed"),
    ];
    for placed in &mut jobs[2..] {
        placed["center"] = "lingang".into();
        placed["pool"] = "a100".into();
    }
    jobs[2]["started_ms"] = (NOW - 3_725_000).into();
    jobs[2]["chip"] = "nvidia-a100-sxm4-80".into();
    jobs[2]["nodes"] = 2.into();
    jobs[2]["chips_milli"] = 16_000.into();
    jobs[4]["started_ms"] = (NOW - 90_000_000).into();
    jobs[4]["ended_ms"] = NOW.into();
    json!({ "jobs": jobs, "next": null })
}

/// All of job 1041.
fn detail() -> Value {
    let mut job = queue()["jobs"][2].clone();
    let node = |node: u32| json!({"node": node, "chips": [0], "share_milli": 1_000});
    job["tries"] = json!([{
        "attempt": "job-1041.1", "state": "running", "center": "lingang", "pool": "a100",
        "variant": 0, "called": "4711", "nodes": [node(1), node(0), node(5)], "plan": "plan-7",
        "offered_ms": NOW, "planned_start_ms": NOW, "planned_finish_ms": NOW, "until_ms": NOW,
        "price": {"micros": 1, "currency": "CNY"}, "inputs": [], "awaits": []
    }]);
    job["asked"] = json!({
        "kind": "batch", "within": "center", "limit_ms": 7_200_000, "expected_ms": null,
        "inputs": [], "outputs": [], "objective": "fastest", "budget": null,
        "preemptible": false, "lease_ms": null, "retries": 0, "centers": [], "regions": [],
        "parts": [{"name": "main", "variants": [{
            "on": {"chip": "nvidia-a100-sxm4-80"}, "nodes": 2, "chips_per_node_milli": 8_000,
            "cores_milli": 16_000, "memory_bytes": 1_u64 << 37, "command": [], "image": null,
            "env": {}
        }]}]
    });
    job
}

#[test]
fn jobs_stand_in_the_columns_of_squeue() {
    let jobs: Jobs = serde_json::from_value(queue()).unwrap();
    let shown = |format: &str, details| {
        let columns = columns::Columns::read(format, row::FIELDS).unwrap();
        squeue::lines(&jobs.jobs, &details, &columns, true, &LOOK)
    };
    let usual = shown(squeue::USUAL, BTreeMap::new());
    let finetune: JobDetail = serde_json::from_value(detail()).unwrap();
    let known = shown(squeue::LONG, BTreeMap::from([(JobId::new(1041), finetune.clone())]));
    let rest = "%i|%C|%m|%b|%L|%B|%q|%o|%k|%S";
    let rest = shown(rest, BTreeMap::from([(JobId::new(1041), finetune)]));
    insta::assert_snapshot!(format!("{usual}\n{known}\n{rest}"));
}

#[test]
fn jobs_are_chosen_as_squeue_does() {
    let jobs: Jobs = serde_json::from_value(queue()).unwrap();
    let check = |which: squeue::Which, expected: &[u64]| {
        let has = |job: &&Job| which.has(job);
        let found: Vec<u64> = jobs.jobs.iter().filter(has).map(|job| job.job.number()).collect();
        assert_eq!(found, expected, "{which:?}");
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let which = |list: &[&str]| squeue::Which {
        states: squeue::states(&words(list)).unwrap(),
        ..squeue::Which::default()
    };
    check(which(&[]), &[1043, 1042, 1041, 1040]);
    check(which(&["all"]), &[1043, 1042, 1041, 1040, 1039]);
    check(which(&["pd", "COMPLETED"]), &[1043, 1042, 1039]);
    check(squeue::Which { centers: words(&["lingang"]), ..which(&["R"]) }, &[1041]);
    check(squeue::Which { names: words(&["melt", "pull"]), ..which(&[]) }, &[1043, 1040]);
    check(squeue::Which { jobs: vec!["1042".parse().unwrap()], ..which(&[]) }, &[1042]);
    check(squeue::Which { users: words(&["lab"]), ..which(&[]) }, &[]);
    assert!(squeue::states(&words(&["SUSPENDED"])).is_err());
}

#[test]
fn centers_stand_in_the_columns_of_sinfo() {
    let pool = |pool: &str, nodes: u32, held: u64, cores: u64| {
        json!({
            "pool": pool, "chip": "nvidia-a100-sxm4-80", "nodes": nodes, "chips_per_node": 8,
            "cores_milli": 64_000, "memory_bytes": 1_u64 << 38, "chips_milli": nodes * 8_000,
            "chips_held_milli": held, "cores_held_milli": cores,
            "price_per_hour": {"micros": 9_000_000, "currency": "CNY"}
        })
    };
    let center = |name: &str, there: bool, pools: Value| {
        let agent = json!({
            "version": "1", "engine": "process", "engine_version": "1", "enforcement": "limits",
            "data_url": null
        });
        let agent = if there { agent } else { json!(null) };
        json!({
            "center": name, "owner": "o", "region": null, "latitude_micro": 0,
            "longitude_micro": 0, "time_zone": "UTC", "engine": "process", "agent": agent,
            "silent_since_ms": null, "pools": pools, "attempts": 0, "store_bytes": null,
            "pue_thousandths": 1_000, "lend_percent": 100, "only_tenants": []
        })
    };
    let mut drained = pool("ascend", 4, 8_000, 1_000);
    drained["nodes_closed"] = json!(3);
    let centers = json!({"centers": [
        center("lingang", true, json!([pool("a100", 16, 0, 0), pool("old", 1, 8_000, 1_000)])),
        center("zhangjiang", true, json!([drained, pool("more", 2, 1_000, 1_000)])),
        center("kunshan", false, json!([pool("dcu", 4, 0, 0)])),
    ]});
    let centers: Centers = serde_json::from_value(centers).unwrap();
    insta::assert_snapshot!(sinfo::usual(&centers, &LOOK));
}

#[test]
fn a_job_is_shown_in_the_fields_of_scontrol() {
    let job: JobDetail = serde_json::from_value(detail()).unwrap();
    insta::assert_snapshot!(scontrol::shown(&job, &LOOK));
}

#[test]
fn spans_are_written_as_slurm_does() {
    for (seconds, text) in [(0, "0:00"), (65, "1:05"), (7_200, "2:00:00"), (273_600, "3-04:00:00")]
    {
        assert_eq!(clock(Span::from_secs(seconds)), text);
    }
}
