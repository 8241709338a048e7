//! Who may ask what: every operation by every role.

use crate::bench::{Answered, Bench, center, job, tenant};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use model::Role;
use serde_json::{Value, json};

/// What a role gets: an answer, a refusal, or nothing to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gets {
    Ok,
    No,
    Nothing,
}
use Gets::{No, Nothing, Ok as Yes};

fn gets(answer: &Answered) -> Gets {
    match answer.status {
        StatusCode::FORBIDDEN => No,
        StatusCode::NOT_FOUND => Nothing,
        status if status.is_success() || status == StatusCode::CONFLICT => Yes,
        status => panic!("{status}: {}", answer.text()),
    }
}

/// Operation, method, path, body, and what operator, owner, another tenant and a center get.
type Row = (&'static str, &'static str, String, Option<Value>, [Gets; 4]);

/// A check of which all was met.
fn check() -> Value {
    json!({
        "taken_ms": 1_764_000_000_000_u64, "engine": "process", "version": "1",
        "enforcement": "time limits only", "met": 16, "asked": 16, "findings": [], "pools": []
    })
}

/// A benchmark of nothing.
fn bench() -> Value {
    json!({
        "taken_ms": 1_764_000_000_000_u64, "version": "1", "figures": [], "commands": [], "missing": [],
        "host": {"name": "node1", "cpu": "a processor", "cores": 2, "memory_bytes": 1}
    })
}

fn matrix() -> Vec<Row> {
    let digest = "ab".repeat(32);
    let j = |rest: &str| format!("/v1/jobs/job-1{rest}");
    let announced =
        json!({"dataset": "set", "version": digest, "bytes": 1, "files": 1, "center": "lingang"});
    let everyone = [Yes, Yes, Yes, Yes];
    let operators = [Yes, No, No, No];
    let owners = [Yes, Yes, Nothing, Nothing];
    let readers = [Yes, Yes, Yes, No];
    let centers = [No, No, No, Yes];
    let poll = json!({"session": 1, "after": 0, "wait": 0});
    let join = json!({
        "protocol": wire::PROTOCOL, "version": "0", "agent": "0101010101010101", "engine": "process",
        "engine_version": "1", "enforcement": "none", "data_url": null, "seen": null
    });
    vec![
        ("join_agent", "POST", "/v1/agent/join".into(), Some(join), centers),
        ("poll_agent", "POST", "/v1/agent/poll".into(), Some(poll), centers),
        (
            "report_agent",
            "POST",
            "/v1/agent/reports".into(),
            Some(json!({"session": 1, "reports": []})),
            centers,
        ),
        ("answer_agent", "POST", "/v1/agent/answers".into(), Some(json!([])), centers),
        (
            "tell_under_way",
            "POST",
            "/v1/agent/under-way".into(),
            Some(json!({"copies": [], "waits": {}})),
            centers,
        ),
        ("submit_jobs", "POST", "/v1/jobs?tenant=lab".into(), Some(job("x")), [Yes, Yes, No, No]),
        ("list_jobs", "GET", "/v1/jobs?tenant=lab".into(), None, [Yes, Yes, No, No]),
        (
            "list_reservations",
            "GET",
            "/v1/reservations?tenant=lab".into(),
            None,
            [Yes, Yes, No, No],
        ),
        ("get_job", "GET", j(""), None, owners),
        ("explain_job", "GET", j("/why"), None, owners),
        ("read_job_log", "GET", j("/logs"), None, owners),
        ("hold_job", "POST", j("/hold"), None, owners),
        ("release_job", "POST", j("/release"), None, owners),
        ("requeue_job", "POST", j("/requeue"), None, owners),
        ("cancel_job", "POST", j("/cancel"), None, owners),
        ("plan_job", "POST", "/v1/plan?tenant=lab".into(), Some(job("x")), [Yes, Yes, No, No]),
        ("list_centers", "GET", "/v1/centers".into(), None, everyone),
        ("get_center", "GET", "/v1/centers/lingang".into(), None, everyone),
        ("list_links", "GET", "/v1/links".into(), None, everyone),
        ("test_link", "POST", "/v1/links/lingang--sh-ixp/test".into(), None, operators),
        ("cut_link", "POST", "/v1/links/lingang--sh-ixp/cut".into(), None, operators),
        ("mend_link", "POST", "/v1/links/lingang--sh-ixp/mend".into(), None, operators),
        ("list_exchanges", "GET", "/v1/exchanges".into(), None, everyone),
        ("list_paths", "GET", "/v1/paths".into(), None, everyone),
        ("list_circles", "GET", "/v1/circles".into(), None, everyone),
        ("list_chips", "GET", "/v1/chips".into(), None, everyone),
        ("list_tenants", "GET", "/v1/tenants".into(), None, everyone),
        ("read_promises", "GET", "/v1/promises".into(), None, everyone),
        (
            "recall_capacity",
            "POST",
            "/v1/centers/lingang/recall".into(),
            Some(json!({"chips": 0})),
            [Yes, No, No, Yes],
        ),
        (
            "show_check",
            "POST",
            "/v1/centers/lingang/checks".into(),
            Some(check()),
            [Yes, No, No, Yes],
        ),
        (
            "show_bench",
            "POST",
            "/v1/centers/lingang/benches?pool=a100".into(),
            Some(bench()),
            [Yes, No, No, Yes],
        ),
        ("read_shares", "GET", "/v1/shares".into(), None, everyone),
        ("read_lent", "GET", "/v1/lent".into(), None, everyone),
        ("read_plan", "GET", "/v1/plans/last".into(), None, everyone),
        ("plan_quotas", "POST", "/v1/shares/plan".into(), Some(json!({})), operators),
        ("follow_events", "GET", "/v1/events".into(), None, everyone),
        ("apply_network", "PUT", "/v1/network".into(), Some(json!({})), operators),
        (
            "announce_dataset",
            "POST",
            "/v1/datasets?tenant=lab".into(),
            Some(announced),
            [Yes, Yes, No, No],
        ),
        ("list_datasets", "GET", "/v1/datasets".into(), None, readers),
        ("get_dataset", "GET", "/v1/datasets/set".into(), None, readers),
        (
            "get_dataset_ticket",
            "GET",
            "/v1/datasets/set/ticket".into(),
            None,
            [Nothing, Nothing, Nothing, No],
        ),
        ("list_stores", "GET", "/v1/stores".into(), None, readers),
        ("get_store", "GET", "/v1/stores/lingang".into(), None, readers),
        (
            "keep_dataset",
            "PUT",
            "/v1/datasets/set/keeping".into(),
            Some(json!({"copies": 2})),
            [Yes, Yes, No, No],
        ),
        (
            "copy_dataset",
            "POST",
            "/v1/datasets/set/copies".into(),
            Some(json!({"center": "zhangjiang"})),
            [Yes, Yes, No, No],
        ),
        (
            "archive_copy",
            "POST",
            "/v1/datasets/set/archives".into(),
            Some(json!({"center": "lingang", "store": "tape"})),
            [Nothing, Nothing, No, No],
        ),
        (
            "evict_copy",
            "DELETE",
            "/v1/datasets/set/copies?center=lingang".into(),
            None,
            [Nothing, Nothing, No, No],
        ),
        (
            "scrub_copies",
            "POST",
            "/v1/scrubs".into(),
            Some(json!({"dataset": "set"})),
            [Yes, Yes, No, No],
        ),
        ("list_transfers", "GET", "/v1/transfers".into(), None, readers),
        ("list_tokens", "GET", "/v1/tokens".into(), None, operators),
        ("create_token", "POST", "/v1/tokens".into(), Some(json!({"role": "operator"})), operators),
        ("read_log", "GET", "/v1/log".into(), None, operators),
        ("read_log_heads", "GET", "/v1/log/heads".into(), None, [Yes, No, No, Yes]),
        ("read_metrics", "GET", "/metrics".into(), None, operators),
        // What changes most comes last; it is asked last by those who may.
        ("declare_center_lost", "POST", "/v1/centers/kunshan/lost".into(), None, operators),
        ("remove_dataset", "DELETE", "/v1/datasets/set".into(), None, [Nothing, Yes, No, No]),
        ("revoke_token", "DELETE", "/v1/tokens/token-6".into(), None, operators),
    ]
}

#[tokio::test]
async fn every_operation_by_every_role() {
    let bench = Bench::laptop().await;
    let extra = bench.post(&Role::Operator, "/v1/tokens", json!({"role": "operator"})).await.json();
    assert_eq!(extra["token"]["token"], "token-6");
    bench.submit(&tenant("lab"), "own").await;
    // Those who may not ask first, so that nothing has changed under them.
    let roles = [center("lingang"), tenant("startup"), tenant("lab"), Role::Operator];
    for (operation, method, path, body, expected) in matrix() {
        for (role, expected) in roles.iter().zip(expected.into_iter().rev()) {
            let answer = if operation == "follow_events" {
                let request = Bench::request(role, "GET", &path).body(Body::empty()).unwrap();
                bench.events(request).await;
                continue;
            } else {
                bench.ask(role, method, &path, body.clone()).await
            };
            assert_eq!(gets(&answer), expected, "{operation} by {role}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn the_matrix_covers_every_operation_and_none_opens_without_a_token() {
    let bench = Bench::laptop().await;
    let document = serde_json::to_value(api::openapi()).unwrap();
    let mut operations: Vec<String> = Vec::new();
    for item in document["paths"].as_object().unwrap().values() {
        operations.extend(
            item.as_object()
                .unwrap()
                .values()
                .filter_map(|operation| operation["operationId"].as_str().map(str::to_owned)),
        );
    }
    let open = ["healthz", "readyz", "openapi_json"];
    operations.retain(|operation| !open.contains(&&**operation));
    operations.sort_unstable();
    let mut covered: Vec<&str> = matrix().iter().map(|row| row.0).collect();
    covered.sort_unstable();
    assert_eq!(operations, covered);

    for (operation, method, path, _, _) in matrix() {
        for header in ["", "Bearer ", "Bearer ptl_00", "Basic cHRsXzAw", "Bearer\u{7f}"] {
            let request = Request::builder().method(method).uri(&path);
            let request = if header.is_empty() {
                request
            } else {
                request.header("authorization", header.replace('\u{7f}', ""))
            };
            let answer = bench.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{operation} {header:?}");
            assert_eq!(
                (answer.problem().as_str(), &answer.headers["www-authenticate"] == "Bearer"),
                ("unauthorized", true)
            );
        }
    }
    for path in ["/healthz", "/readyz", "/v1/openapi.json", "/"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(bench.send(request).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_token_works_at_once_and_not_after_it_was_revoked_or_has_expired() {
    let bench = Bench::laptop().await;
    let operator = Role::Operator;
    let ask = async |secret: &str| {
        let request =
            Request::get("/v1/centers").header("authorization", format!("Bearer {secret}"));
        bench.send(request.body(Body::empty()).unwrap()).await.status
    };
    let new = json!({"role": "tenant", "of": "lab", "label": "ci"});
    let made = bench.post(&operator, "/v1/tokens", new).await.json();
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("ptl_") && secret.len() == 68);
    assert_eq!(ask(secret).await, StatusCode::OK);
    let listed = bench.get(&operator, "/v1/tokens").await;
    assert!(!listed.text().contains(secret), "a secret is shown once");
    let path = format!("/v1/tokens/{}", made["token"]["token"].as_str().unwrap());
    assert_eq!(bench.ask(&operator, "DELETE", &path, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ask(secret).await, StatusCode::UNAUTHORIZED);
    assert_eq!(bench.ask(&operator, "DELETE", &path, None).await.problem(), "not-found");

    let over = json!({"role": "operator", "expires_ms": 1_700_000_000_000_u64});
    let made = bench.post(&operator, "/v1/tokens", over).await.json();
    assert_eq!(ask(made["secret"].as_str().unwrap()).await, StatusCode::UNAUTHORIZED);

    let nobody = json!({"role": "tenant", "of": "nobody"});
    assert_eq!(bench.post(&operator, "/v1/tokens", nobody).await.problem(), "not-found");
    for bad in [
        json!({"role": "tenant"}),
        json!({"role": "operator", "of": "lab"}),
        json!({"role": "god"}),
    ] {
        assert_eq!(bench.post(&operator, "/v1/tokens", bad).await.problem(), "malformed");
    }
}

#[tokio::test]
async fn the_metrics_are_open_only_where_the_settings_say_so() {
    let settings = api::Settings { metrics_open: true, ..api::Settings::default() };
    let bench = Bench::laptop_with(settings, 100).await;
    bench.submit(&tenant("lab"), "x").await;
    bench.settings.metrics.committed(std::time::Duration::from_millis(3));
    let text = bench.send(Request::get("/metrics").body(Body::empty()).unwrap()).await.text();
    for line in [
        "portolan_jobs{state=\"waiting\"} 1",
        "portolan_queue_jobs 1",
        "portolan_commit_seconds_count 1",
        "portolan_centers 3",
        "portolan_centers_silent 3",
        "portolan_chips{center=\"lingang\"} 16",
        "portolan_http_requests_total{route=\"/v1/jobs\",method=\"POST\",status=\"2xx\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(text.ends_with("# EOF\n") && !text.contains("job-1"));
}
