//! What centers show of themselves, handed in and shown again.

use crate::bench::{Bench, center, tenant};
use axum::http::StatusCode;
use model::Role;
use serde_json::{Value, json};

fn check(met: u32, pools: &Value) -> Value {
    json!({
        "taken_ms": 1_764_000_000_000_u64, "engine": "process", "version": "1",
        "enforcement": "time limits only", "met": met, "asked": 16, "pools": pools,
        "findings": [{"requirement": "the time limit is kept", "verdict": "broken", "why": "it ran on"}]
    })
}

fn bench(command: &Value) -> Value {
    json!({
        "taken_ms": 1_764_000_000_000_u64, "version": "1", "missing": [], "commands": [command],
        "figures": [{"name": "gemm-f64", "unit": "flop-per-second", "samples": [3, 1, 2], "how": "so"}],
        "host": {"name": "node1", "cpu": "a processor", "cores": 2, "memory_bytes": 1}
    })
}

#[tokio::test]
async fn a_check_that_shows_less_is_seen_with_the_center() {
    let api = Bench::laptop().await;
    let own = center("lingang");
    let seen = json!([{"pool": "a100", "nodes": 1, "cores_milli": 2_000, "memory_bytes": null}]);
    let answer = api.post(&own, "/v1/centers/lingang/checks", check(15, &seen)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    let shown = api.get(&tenant("lab"), "/v1/centers/lingang").await.json();
    assert_eq!(shown["readiness"]["check"]["met"], 15);
    assert_eq!(shown["readiness"]["check"]["broken"][0]["why"], "it ran on");
    assert_eq!(shown["readiness"]["not_admitted"], Value::Null);
    let pool = &shown["pools"][0];
    assert_eq!((&pool["nodes"], &pool["declared"]["nodes"]), (&json!(1), &json!(2)));
    assert_eq!(
        (&pool["cores_milli"], &pool["declared"]["cores_milli"]),
        (&json!(2_000), &json!(16_000))
    );
    // Another center has shown nothing, and nothing is said of it.
    let other = api.get(&tenant("lab"), "/v1/centers/kunshan").await.json();
    assert_eq!((&other["readiness"], &other["pools"][0]["declared"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_benchmark_verifies_a_pool_and_its_output_is_kept() {
    let api = Bench::laptop().await;
    let output = "x".repeat(20_000);
    let command = json!({
        "command": ["gemm"], "chip": "nvidia-a100-sxm4-80", "chips": 1, "precision": "bf16",
        "figure": {"name": "g", "unit": "flop-per-second", "samples": [264_100_000_000_000_u64],
                   "how": "as it says"},
        "why": null, "output": output, "output_bytes": 20_000, "output_digest": "ab".repeat(32)
    });
    let path = "/v1/centers/lingang/benches?pool=a100";
    let answer = api.post(&Role::Operator, path, bench(&command)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    let shown = api.get(&tenant("lab"), "/v1/centers/lingang").await.json();
    let said = &shown["pools"][0]["capability"];
    assert_eq!((&said["verified"], &said["declared"]), (&json!(264_100), &Value::Null));
    assert_eq!(said["measured"]["figures"][0]["samples"], json!([3, 1, 2]));
    let kept = said["measured"]["commands"][0]["output"].as_str().unwrap().len();
    assert_eq!(
        (kept, &said["measured"]["commands"][0]["output_bytes"]),
        (16 << 10, &json!(20_000))
    );
    // Beside others there is no room for it.
    let all = api.get(&tenant("lab"), "/v1/centers").await.json();
    let lingang = all["centers"].as_array().unwrap().iter().find(|c| c["center"] == "lingang");
    let listed = &lingang.unwrap()["pools"][0]["capability"]["measured"]["commands"][0];
    assert_eq!(listed["output"], Value::Null);

    let answer = api.post(&Role::Operator, "/v1/centers/lingang/benches?pool=no", bench(&command));
    assert_eq!(answer.await.problem(), "not-found");
    let mut wrong = command.clone();
    wrong["figure"]["samples"] = json!([2_100_000_000_000_000_u64]);
    assert_eq!(
        api.post(&Role::Operator, path, bench(&wrong)).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let mut many = bench(&command);
    many["commands"] = json!(vec![command; 9]);
    assert_eq!(api.post(&Role::Operator, path, many).await.problem(), "malformed");
}
