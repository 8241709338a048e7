//! What cannot be done, and how that is said.

use crate::bench::{Bench, job, tenant};
use axum::body::Body;
use axum::http::{StatusCode, header};
use model::Role;
use serde_json::{Value, json};

async fn raw(bench: &Bench, kind: &str, body: impl Into<Body>) -> crate::bench::Answered {
    let request =
        Bench::request(&tenant("lab"), "POST", "/v1/jobs").header(header::CONTENT_TYPE, kind);
    bench.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_bad_job_is_refused_with_the_place_and_what_was_expected() {
    let bench = Bench::laptop().await;
    let check = async |change: Value, status: u16, at: &str| {
        let mut body = job("x");
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = bench.post(&tenant("lab"), "/v1/jobs", body).await;
        assert_eq!(answer.status.as_u16(), status, "{change}: {}", answer.text());
        let errors = answer.json()["errors"].clone();
        assert_eq!(errors[0]["at"], at, "{change}: {errors}");
        assert!(!errors[0]["said"].as_str().unwrap().is_empty());
    };
    check(json!({"limit": "7200"}), 422, "limit").await;
    check(json!({"limit": "-2h"}), 422, "limit").await;
    check(json!({"limit": "99999999999999999999d"}), 422, "limit").await;
    check(json!({"memory": "5 gib"}), 422, "memory").await;
    check(json!({"memory": "99999999 PiB"}), 422, "memory").await;
    check(json!({"nodes": -1}), 422, "nodes").await;
    check(json!({"budget": "20"}), 422, "budget").await;
    check(
        json!({"input": [{"name": "in", "dataset": "../../etc/passwd"}]}),
        422,
        "input[0].dataset",
    )
    .await;
    check(json!({"limit": 7200}), 400, "limit").await;
    check(json!({"priority": 4_000_000_000_u64}), 400, "priority").await;
    check(json!({"input": [{"name": "in", "datset": "x"}]}), 400, "input[0].datset").await;
}

#[tokio::test]
async fn what_is_unknown_or_not_built_yet_is_said_so() {
    let bench = Bench::laptop().await;
    let lab = tenant("lab");
    let mut body = job("x");
    body["centers"] = json!(["atlantis"]);
    let answer = bench.post(&lab, "/v1/jobs", body).await;
    assert_eq!(
        (&*answer.problem(), &answer.json()["detail"]),
        ("not-found", &json!("there is no center atlantis"))
    );
    let mut body = job("x");
    body["kind"] = json!("service");
    let answer = bench.post(&lab, "/v1/jobs", body).await;
    assert_eq!((answer.status.as_u16(), &*answer.problem()), (422, "not-supported"));
    let answer = bench.post(&Role::Operator, "/v1/jobs?tenant=nobody", job("x")).await;
    assert_eq!(answer.problem(), "not-found");
    let answer = bench.post(&Role::Operator, "/v1/jobs", job("x")).await;
    assert_eq!(answer.problem(), "malformed");
    for (path, problem) in [
        ("/v1/jobs/job-99", "not-found"),
        ("/v1/jobs/99", "malformed"),
        ("/v1/jobs/job--1", "malformed"),
        ("/v1/jobs/job-99999999999999999999", "malformed"),
        ("/v1/jobs?limit=0", "malformed"),
        ("/v1/jobs?limit=1001", "page-too-large"),
        ("/v1/jobs?limit=x", "malformed"),
        ("/v1/jobs?state=lost", "malformed"),
        ("/v1/jobs?befor=job-1", "malformed"),
        ("/v1/centers/atlantis", "not-found"),
        ("/v1/centers/..%2F..%2Fetc", "malformed"),
        ("/v1/datasets/nothing", "not-found"),
        ("/v1/datasets/..%2F..%2Fetc%2Fpasswd", "malformed"),
        ("/v1/datasets/%2e%2e", "malformed"),
        ("/v1/nothing", "no-such-route"),
        ("/nothing.js", "no-such-route"),
    ] {
        let answer = bench.get(&lab, path).await;
        assert_eq!(answer.problem(), problem, "{path}: {}", answer.text());
    }
    let traversal = json!({"dataset": "../x", "version": "ab".repeat(32), "bytes": 1, "files": 1, "center": "lingang"});
    assert_eq!(bench.post(&lab, "/v1/datasets", traversal).await.problem(), "malformed");
}

#[tokio::test]
async fn a_body_that_is_malformed_too_large_or_of_another_kind_is_refused() {
    let bench = Bench::laptop().await;
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{\"name\": \"x\"} trailing",
        "{\"jobs\": {}}",
        "\u{0}",
        "{\"jobs\": [1]}",
    ] {
        let answer = raw(&bench, "application/json", body).await;
        assert_eq!((answer.status.as_u16(), &*answer.problem()), (400, "malformed"), "{body:?}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(raw(&bench, "application/json", deep).await.problem(), "malformed");
    assert_eq!(raw(&bench, "application/json", vec![0xff, 0xfe]).await.problem(), "malformed");
    let large = vec![b' '; 10 << 20];
    let answer = raw(&bench, "application/json", large).await;
    assert_eq!((answer.status, &*answer.problem()), (StatusCode::PAYLOAD_TOO_LARGE, "too-large"));
    let answer = raw(&bench, "text/plain", job("x").to_string()).await;
    assert_eq!(answer.problem(), "media-type");
    let method = bench.ask(&tenant("lab"), "PATCH", "/v1/jobs", None).await;
    assert_eq!((method.status.as_u16(), &*method.problem()), (405, "wrong-method"));
    let allowed = method.headers[header::ALLOW].to_str().unwrap();
    assert!(allowed.contains("POST") && allowed.contains("GET"), "{allowed}");
    let keyed = Bench::request(&tenant("lab"), "POST", "/v1/jobs")
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", "k".repeat(256));
    let keyed = bench.send(keyed.body(Body::from(job("x").to_string())).unwrap()).await;
    assert_eq!(keyed.problem(), "malformed");
}

#[tokio::test]
async fn each_kind_of_problem_has_a_page_that_says_more() {
    let bench = Bench::laptop().await;
    let answer = bench.get(&tenant("lab"), "/v1/jobs/job-99").await.json();
    let page = bench.get(&tenant("lab"), answer["type"].as_str().unwrap()).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("not yours to see"));
}
