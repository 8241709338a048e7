//! Jobs from submission to their end, as their tenants see them.

use crate::bench::{Bench, center, job, tenant};
use api::Settings;
use axum::body::Body;
use axum::http::{StatusCode, header};
use model::Role;
use serde_json::{Value, json};

async fn keyed(bench: &Bench, key: &str, body: &Value) -> crate::bench::Answered {
    let request = Bench::request(&tenant("lab"), "POST", "/v1/jobs")
        .header("idempotency-key", key)
        .header(header::CONTENT_TYPE, "application/json");
    bench.send(request.body(Body::from(body.to_string())).unwrap()).await
}

fn names(page: &Value) -> Vec<&str> {
    page["jobs"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_submission_is_accepted_and_can_be_looked_at() {
    let bench = Bench::laptop().await;
    let answer = bench.post(&tenant("lab"), "/v1/jobs", job("first")).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.headers[header::LOCATION], "/v1/jobs/job-1");
    assert_eq!(answer.json(), json!({"first": "job-1", "count": 1, "repeated": false}));
    let shown = bench.get(&tenant("lab"), "/v1/jobs/job-1").await.json();
    assert_eq!(shown["state"], "waiting");
    assert_eq!(shown["tenant"], "lab");
    assert_eq!(shown["asked"]["limit_ms"], 600_000);
    assert_eq!(shown["asked"]["parts"][0]["variants"][0]["command"], json!(["true"]));
    assert!(answer.headers.contains_key("x-request-id"));
}

#[tokio::test]
async fn repeating_a_submission_under_its_key_changes_nothing() {
    let bench = Bench::laptop().await;
    let first = keyed(&bench, "k1", &job("once")).await;
    assert_eq!(first.status, StatusCode::CREATED);
    let again = keyed(&bench, "k1", &job("once")).await;
    assert_eq!((again.status, &again.json()["repeated"]), (StatusCode::OK, &json!(true)));
    assert_eq!(again.json()["first"], first.json()["first"]);
    let other = keyed(&bench, "k1", &job("twice")).await;
    assert_eq!((other.status, &*other.problem()), (StatusCode::CONFLICT, "conflict"));
    assert_eq!(names(&bench.get(&tenant("lab"), "/v1/jobs").await.json()), ["once"]);
}

#[tokio::test]
async fn a_batch_is_accepted_as_one_or_not_at_all() {
    let bench = Bench::laptop_with(Settings { max_batch: 3, ..Settings::default() }, 100).await;
    let lab = tenant("lab");
    let batch = json!({"jobs": [job("a"), job("b"), job("c")]});
    let answer = bench.post(&lab, "/v1/jobs", batch).await;
    assert_eq!(answer.json(), json!({"first": "job-1", "count": 3, "repeated": false}));
    let one_bad = json!({"jobs": [job("d"), {"name": "e", "limit": "7200", "command": ["true"]}]});
    let answer = bench.post(&lab, "/v1/jobs", one_bad).await;
    assert_eq!((answer.status, &*answer.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"));
    assert_eq!(answer.json()["errors"][0]["at"], "jobs[1].limit");
    let many = json!({"jobs": [job("a"), job("b"), job("c"), job("d")]});
    assert_eq!(bench.post(&lab, "/v1/jobs", many).await.problem(), "batch-too-large");
    assert_eq!(bench.post(&lab, "/v1/jobs", json!({"jobs": []})).await.problem(), "malformed");
    assert_eq!(names(&bench.get(&lab, "/v1/jobs").await.json()), ["c", "b", "a"]);
}

#[tokio::test]
async fn a_list_is_filtered_and_paged_newest_first_and_goes_on_into_the_archive() {
    // At most 10 ended jobs stay in the world, so that most of these are in the archive.
    let bench = Bench::laptop_with(Settings::default(), 10).await;
    let (lab, startup) = (tenant("lab"), tenant("startup"));
    for i in 0..250 {
        let id = bench.submit(&lab, &format!("n{i}")).await;
        bench.post(&lab, &format!("/v1/jobs/{id}/cancel"), Value::Null).await;
    }
    bench.submit(&lab, "Live one").await;
    bench.submit(&startup, "theirs").await;

    let (mut all, mut path) = (Vec::new(), "/v1/jobs?limit=100".to_owned());
    loop {
        let page = bench.get(&lab, &path).await.json();
        all.extend(names(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/jobs?limit=100&before={next}");
    }
    assert_eq!((all.len(), &*all[0], &*all[250]), (251, "Live one", "n0"));

    let listed = async |role: &Role, query: &str| {
        let page = bench.get(role, &format!("/v1/jobs?{query}")).await.json();
        names(&page).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(listed(&lab, "state=live").await, ["Live one"]);
    assert_eq!(listed(&lab, "state=waiting&name=live").await, ["Live one"]);
    assert_eq!(listed(&lab, "state=ended&limit=2").await, ["n249", "n248"]);
    assert_eq!(listed(&lab, "state=canceled&name=n24&limit=1&before=job-26").await, ["n24"]);
    assert_eq!(listed(&startup, "").await, ["theirs"]);
    assert_eq!(listed(&Role::Operator, "limit=2").await, ["theirs", "Live one"]);
    assert_eq!(listed(&Role::Operator, "tenant=startup").await, ["theirs"]);
    assert!(listed(&lab, "center=lingang").await.is_empty());
    // A search that finds nothing in 20 pages of the archive says how far it came.
    let page = bench.get(&lab, "/v1/jobs?center=lingang&limit=1").await.json();
    assert_eq!((names(&page).len(), &page["next"]), (0, &json!("job-181")), "{page}");

    let early = bench.get(&lab, "/v1/jobs/job-1").await;
    assert_eq!((early.status, &early.json()["state"]), (StatusCode::OK, &json!("canceled")));
    let foreign = bench.get(&startup, "/v1/jobs/job-1").await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_job_can_be_held_released_and_canceled() {
    let bench = Bench::laptop().await;
    let lab = tenant("lab");
    let id = bench.submit(&lab, "x").await;
    let act =
        async |what: &str| bench.post(&lab, &format!("/v1/jobs/{id}/{what}"), Value::Null).await;
    assert_eq!(act("hold").await.json()["state"], "held");
    let why = bench.get(&lab, &format!("/v1/jobs/{id}/why")).await.json();
    assert!(why["summary"].as_str().unwrap().contains("on hold"), "{why}");
    assert_eq!(act("release").await.json()["state"], "waiting");
    let canceled = act("cancel").await.json();
    assert_eq!(
        (&canceled["state"], &canceled["outcome"]),
        (&json!("canceled"), &json!("canceled"))
    );
    assert_eq!(act("cancel").await.json()["state"], "canceled");
    assert_eq!(act("hold").await.problem(), "conflict");
}

#[tokio::test]
async fn why_and_plan_tell_each_center_and_its_reason() {
    let bench = Bench::laptop().await;
    let lab = tenant("lab");
    let wanting =
        json!({"name": "w", "limit": "1h", "chip": "hygon-k100-ai", "chips": 64, "command": ["x"]});
    let answer = bench.post(&lab, "/v1/jobs", wanting.clone()).await;
    let id = answer.json()["first"].as_str().unwrap().to_owned();
    let why = bench.get(&lab, &format!("/v1/jobs/{id}/why")).await.json();
    assert_eq!(why["state"], "waiting");
    let standings = why["plan"]["standings"].as_array().unwrap();
    assert_eq!(standings.len(), 3, "{why}");
    assert!(standings.iter().all(|s| !s["text"].as_str().unwrap().is_empty()));
    let plan = bench.post(&lab, "/v1/plan", wanting).await;
    assert_eq!(plan.status, StatusCode::OK);
    assert_eq!(plan.json()["standings"].as_array().unwrap().len(), 3);
    assert_eq!(names(&bench.get(&lab, "/v1/jobs").await.json()), ["w"]);
}

/// A job placed in a center whose agent joined.
async fn placed(bench: &Bench) -> (String, u64) {
    let join = json!({
        "protocol": wire::PROTOCOL, "version": "0", "agent": "0101010101010101", "engine": "process",
        "engine_version": "1", "enforcement": "none", "data_url": "http://127.0.0.1:1", "seen": null
    });
    let joined = bench.post(&center("lingang"), "/v1/agent/join", join).await;
    assert_eq!(joined.status, StatusCode::OK, "{}", joined.text());
    let session = joined.json()["session"].as_u64().unwrap();
    let id = bench.submit(&tenant("lab"), "placed").await;
    (id, session)
}

#[tokio::test]
async fn an_agent_gets_its_orders_and_its_reports_move_the_job() {
    let bench = Bench::laptop().await;
    let agent = center("lingang");
    let (id, session) = placed(&bench).await;
    let poll = json!({"session": session, "after": 0, "wait": 0});
    let orders = bench.post(&agent, "/v1/agent/poll", poll).await.json();
    assert_eq!(orders["orders"][0]["run"]["attempt"], format!("{id}.1"), "{orders}");
    let attempt = format!("{id}.1");
    let reports = json!({"session": session, "reports": [
        {"accepted": {"attempt": attempt}}, {"started": {"attempt": attempt}}]});
    let acknowledged = bench.post(&agent, "/v1/agent/reports", reports).await;
    assert_eq!(acknowledged.status, StatusCode::OK, "{}", acknowledged.text());
    let shown = bench.get(&tenant("lab"), &format!("/v1/jobs/{id}")).await.json();
    assert_eq!((&shown["state"], &shown["center"]), (&json!("running"), &json!("lingang")));
    assert_eq!(shown["tries"][0]["attempt"], format!("{id}.1"));
    let centers = bench.get(&tenant("lab"), "/v1/centers/lingang").await.json();
    assert_eq!(
        (&centers["attempts"], &centers["pools"][0]["cores_held_milli"]),
        (&json!(1), &json!(1000))
    );
    assert!(centers["silent_since_ms"].is_null());
    let stale = json!({"session": session + 1, "reports": []});
    assert_eq!(bench.post(&agent, "/v1/agent/reports", stale).await.problem(), "stale-session");
    let answered = bench.post(&agent, "/v1/agent/answers", json!([])).await;
    assert_eq!(answered.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn what_an_attempt_waits_for_in_its_center_is_shown_until_it_runs() {
    let bench = Bench::laptop().await;
    let agent = center("lingang");
    let (id, session) = placed(&bench).await;
    let attempt = format!("{id}.1");
    let told = json!({"copies": [], "waits": {&attempt: "Resources", "job-99.1": "Priority"}});
    let taken = bench.post(&agent, "/v1/agent/under-way", told).await;
    assert_eq!(taken.status, StatusCode::NO_CONTENT, "{}", taken.text());
    let shown = async |path: &str| bench.get(&tenant("lab"), path).await.json();
    let (job, why) = (format!("/v1/jobs/{id}"), format!("/v1/jobs/{id}/why"));
    assert!(shown(&job).await["center_says"].is_null(), "its center has not taken it yet");
    let report = async |word: &str| {
        let report = json!({"session": session, "reports": [{word: {"attempt": attempt}}]});
        let heard = bench.post(&agent, "/v1/agent/reports", report).await;
        assert_eq!(heard.status, StatusCode::OK, "{}", heard.text());
    };
    report("accepted").await;
    assert_eq!(shown(&job).await["center_says"], "Resources");
    assert_eq!(shown("/v1/jobs").await["jobs"][0]["center_says"], "Resources");
    let summary = shown(&why).await["summary"].as_str().unwrap().to_owned();
    assert!(summary.ends_with("; its center says: Resources"), "{summary}");
    report("started").await;
    assert!(shown(&job).await["center_says"].is_null());
}

#[tokio::test]
async fn an_agent_of_another_protocol_is_told_both_versions() {
    let bench = Bench::laptop().await;
    let join = json!({
        "protocol": 999, "version": "0", "agent": "0101010101010101", "engine": "process",
        "engine_version": "1", "enforcement": "none", "data_url": null, "seen": null
    });
    let refused = bench.post(&center("lingang"), "/v1/agent/join", join).await;
    assert_eq!((refused.status, &*refused.problem()), (StatusCode::CONFLICT, "protocol"));
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("999") && detail.contains(&wire::PROTOCOL.to_string()), "{detail}");
}

#[tokio::test]
async fn a_log_is_read_by_range_or_followed_to_its_end() {
    let bench = Bench::laptop().await;
    let lab = tenant("lab");
    let (id, _) = placed(&bench).await;
    let part = bench.get(&lab, &format!("/v1/jobs/{id}/logs?offset=6&max=3")).await;
    assert_eq!(part.text(), "wor");
    assert_eq!(part.headers["portolan-next-offset"], "9");
    assert_eq!(part.headers["portolan-log-complete"], "false");
    let whole = bench.get(&lab, &format!("/v1/jobs/{id}/logs?follow=true&max=2")).await;
    assert_eq!(whole.text(), "hello\nworld\n");
    let errors = bench.get(&lab, &format!("/v1/jobs/{id}/logs?stream=stderr")).await;
    assert_eq!(errors.text(), "oh\n");
    let first = bench.get(&lab, &format!("/v1/jobs/{id}/logs?attempt={id}.1&max=1")).await;
    assert_eq!(first.text(), "h");
    assert_eq!(
        bench.get(&lab, &format!("/v1/jobs/{id}/logs?attempt=7")).await.problem(),
        "not-found"
    );
    assert_eq!(
        bench.get(&lab, &format!("/v1/jobs/{id}/logs?stream=x")).await.problem(),
        "malformed"
    );
    let waiting = json!({"name": "w", "limit": "1h", "chip": "hygon-k100-ai", "command": ["x"]});
    let waiting = bench.post(&lab, "/v1/jobs", waiting).await.json()["first"].clone();
    let waiting = waiting.as_str().unwrap();
    assert_eq!(bench.get(&lab, &format!("/v1/jobs/{waiting}/logs")).await.problem(), "conflict");
}
