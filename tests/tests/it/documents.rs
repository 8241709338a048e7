//! What people write wrong, and what they are told.

use reqwest::Method;
use serde_json::{Value, json};
use whole_system::{LAPTOP, Net, Plan, sh};

/// A good job with one thing changed.
fn job(key: &str, value: Value) -> Value {
    let mut job = sh("ordinary", "true");
    job[key] = value;
    job
}

async fn check(net: &Net, job: &Value, expected: &str) {
    let refusal = net.tenant("lab").post("/v1/jobs", job).await.refusal();
    assert!(refusal.contains(expected), "{job}\nwas answered: {refusal}\nand not: {expected}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_with_a_mistake_is_refused_with_its_place_and_what_was_expected() {
    let net = Plan::laptop().only(&[]).start().await;
    let table = [
        (job("limit", json!("2 hours")), "422 invalid: the job: limit: found `2 hours`"),
        (job("limit", json!(7200)), "400 malformed"),
        (job("limit", json!("-1h")), "limit: found `-1h`"),
        (job("limit", json!("99999999999999999999d")), "limit: found"),
        (job("memory", json!("512")), "memory: found `512`"),
        (job("memory", json!("99999999 PiB")), "memory: found"),
        (job("nodes", json!(-3)), "nodes"),
        (job("nodes", json!(0)), "nodes"),
        (job("nodes", json!(1.5)), "nodes"),
        (job("nodes", json!("99999999999999999999")), "nodes"),
        (job("chips", json!("0.0001")), "chips"),
        (job("cores", json!(-1)), "cores"),
        (job("on", json!("CUDA please")), "on"),
        (job("priority", json!(99_999_999_999_i64)), "priority"),
        (job("retries", json!(1_000)), "retries"),
        (job("budget", json!("20")), "budget: found `20`"),
        (job("budget", json!("20 Taler")), "budget: found `20 Taler`"),
        (job("deadline", json!("tomorrow")), "deadline: found `tomorrow`"),
        (job("deadline", json!("2001-01-01T00:00:00Z")), "deadline"),
        (job("command", json!([])), "command"),
        (job("command", json!("echo hi")), "command"),
        (job("name", json!("")), "name"),
        (job("name", json!("two\nlines")), "name"),
        (job("colour", json!("blue")), "unknown field `colour`"),
        (job("objective", json!("prettiest")), "objective"),
        (job("lease", json!("5m")), "lease"),
        (job("env", json!({"A=B": "x"})), "env"),
        (job("centers", json!(["atlantis"])), "404 not-found: there is no center atlantis"),
        (job("kind", json!("service")), "not-supported"),
        (job("secret", json!([{"name": "../key", "holder": "vault"}])), "secret[0].name"),
        (job("input", json!([{"name": "in", "dataset": "../etc/passwd"}])), "input[0].dataset"),
        (job("input", json!([{"name": "../in", "dataset": "numbers"}])), "input[0].name"),
        (job("output", json!([{"name": "a/b", "dataset": "numbers"}])), "output[0].name"),
        (json!({"jobs": []}), "`jobs` names no job"),
        (json!({"jobs": [sh("fine", "true"), job("limit", json!("soon"))]}), "jobs[1].limit"),
        (json!([]), "400 malformed"),
        (json!(null), "400 malformed"),
        (json!("true"), "400 malformed"),
    ];
    for (job, expected) in &table {
        check(&net, job, expected).await;
    }
    assert!(net.jobs().await.is_empty(), "one of the refused jobs is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_mistakes_are_told_at_once() {
    let net = Plan::laptop().only(&[]).start().await;
    let mut wrong = job("limit", json!("soon"));
    wrong["memory"] = json!("much");
    wrong["budget"] = json!("cheap");
    let problem = net.tenant("lab").post("/v1/jobs", &wrong).await.problem();
    let places: Vec<&str> = problem.errors.iter().map(|error| error.at.as_str()).collect();
    assert_eq!(places.len(), 3, "{problem}");
    for place in ["limit", "memory", "budget"] {
        assert!(places.contains(&place), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_file_with_a_mistake_is_refused_with_its_line_and_changes_nothing() {
    let net = Plan::laptop().only(&[]).start().await;
    let before = net.operator().get("/v1/centers").await.text;
    let with = |from: &str, to: &str| {
        assert!(LAPTOP.contains(from), "{from}");
        LAPTOP.replacen(from, to, 1)
    };
    let line_of = |text: &str| LAPTOP.lines().position(|line| line.contains(text)).unwrap() + 1;
    let (capacity, nodes) = ("capacity = \"10 Gbit/s\"", "nodes = 2");
    let table = [
        (with(capacity, "capacity = \"10\""), line_of(capacity), "capacity"),
        (with(capacity, "capacity = \"10 Gb/s\""), line_of(capacity), "capacity"),
        (with(nodes, "nodes = -2"), line_of(nodes), "nodes"),
        (with(nodes, "nodes = 99999999999"), line_of(nodes), "nodes"),
        (with(nodes, "nodes = \"two\""), line_of(nodes), "nodes"),
        (with(nodes, "nodes = 2\nnodez = 3"), line_of(nodes) + 1, "nodez"),
        (with("latitude = 30.9", "latitude = 300.9"), line_of("latitude = 30.9"), "latitude"),
        (
            with("chip = \"ascend-910b3\"", "chip = \"ascend-911\""),
            line_of("ascend-910b3"),
            "ascend-911",
        ),
        (with("b = \"sh-ixp\"", "b = \"nowhere\""), line_of("b = \"sh-ixp\""), "nowhere"),
        (
            with("center = \"kunshan\"", "center = \"lingang\""),
            line_of("center = \"kunshan\""),
            "lingang",
        ),
        (
            with("center = \"lingang\"", "center = \"Lin Gang\""),
            line_of("center = \"lingang\""),
            "Lin Gang",
        ),
        (
            with("home = \"lingang\"", "home = \"atlantis\""),
            line_of("home = \"lingang\""),
            "atlantis",
        ),
    ];
    for (file, line, word) in &table {
        let answer = net.apply(file).await;
        assert_ne!(answer.status, 200, "{word}, line {line}: accepted");
        let refusal = answer.refusal();
        assert!(refusal.starts_with("422 invalid: the network files"), "{word}: {refusal}");
        assert!(refusal.contains(&format!("network:{line}:")), "{word}, line {line}: {refusal}");
        assert!(refusal.contains(word), "{word}: {refusal}");
    }
    let no_toml = net.apply("[[center]\n").await.refusal();
    assert!(no_toml.contains("network:1:"), "{no_toml}");
    let binary =
        net.operator().with_body(Method::PUT, "/v1/network", "application/toml", vec![0xff, 0xfe]);
    assert!(binary.await.refusal().contains("not UTF-8"));
    assert_eq!(net.operator().get("/v1/centers").await.text, before);
    // What is declared already may be referred to, and nothing else.
    let tenant = |home: &str| format!("[[tenant]]\ntenant = \"guest\"\nhome = \"{home}\"\n");
    let unknown = net.apply(&tenant("atlantis")).await.refusal();
    assert!(unknown.contains("network:3:"), "{unknown}");
    assert_eq!(net.apply(&tenant("lingang")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_out_of_bounds_are_refused_and_the_server_lives_on() {
    let net = Plan::laptop().only(&[]).start().await;
    let lab = net.tenant("lab");
    let ten_megabytes = format!("{{\"name\": \"{}\"}}", "x".repeat(10 << 20));
    let large = lab.with_body(Method::POST, "/v1/jobs", "application/json", ten_megabytes).await;
    assert!(large.refusal().starts_with("413 too-large"), "{}", large.refusal());
    // The server hung up on what it had not read: the next request takes another line.
    let lab = lab.afresh();
    let many: Vec<Value> = (0..10_001).map(|_| json!({"name": "a"})).collect();
    let many = lab.post("/v1/jobs", &json!({"jobs": many})).await.refusal();
    assert!(many.starts_with("413 batch-too-large"), "{many}");
    let deep = "[".repeat(100_000);
    let deep = lab.with_body(Method::POST, "/v1/jobs", "application/json", deep).await;
    assert!(deep.refusal().starts_with("400 malformed"), "{}", deep.refusal());
    let text = lab.with_body(Method::POST, "/v1/jobs", "text/plain", "{}").await.refusal();
    assert!(text.starts_with("415 media-type"), "{text}");

    let table = [
        ("/v1/jobs?limit=0", "400 malformed"),
        ("/v1/jobs?limit=1000000", "400 page-too-large"),
        ("/v1/jobs?limit=-1", "400 malformed"),
        ("/v1/jobs?state=happy", "400 malformed"),
        ("/v1/jobs?before=yesterday", "400 malformed"),
        ("/v1/jobs?sort=name", "400 malformed"),
        ("/v1/jobs/job-99", "404 not-found"),
        ("/v1/jobs/99999999999999999999999", "400 malformed"),
        ("/v1/jobs/job-99999999999999999999999", "400 malformed"),
        ("/v1/jobs/job--1", "400 malformed"),
        ("/v1/datasets/nothing", "404 not-found"),
        ("/v1/datasets/..%2f..%2fetc%2fpasswd", "400 malformed"),
        ("/v1/datasets/%00", "400 malformed"),
        ("/v1/centers/atlantis", "404 not-found"),
        ("/v1/nothing", "404 no-such-route"),
    ];
    for (path, expected) in table {
        let refusal = lab.get(path).await.refusal();
        assert!(refusal.starts_with(expected), "{path}: {refusal}");
    }
    assert_eq!(lab.get("/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_repeated_under_its_key_changes_nothing() {
    let net = Plan::laptop().only(&["kunshan"]).start().await;
    let lab = net.tenant("lab");
    let submit = |job: Value| {
        let request = lab.request(Method::POST, "/v1/jobs").json(&job);
        lab.send(request.header("idempotency-key", "monday"))
    };
    let first = submit(sh("once", "true")).await;
    assert_eq!(first.status, 201);
    let first: wire::view::Submitted = first.ok();
    net.ended(first.first).await;
    let again = submit(sh("once", "true")).await;
    assert_eq!(again.status, 200);
    let again: wire::view::Submitted = again.ok();
    assert_eq!((again.first, again.count, again.repeated), (first.first, 1, true));
    let other = submit(sh("another", "true")).await.refusal();
    assert!(other.starts_with("409 conflict"), "{other}");
    // Another tenant's key is another key.
    let theirs = net.tenant("startup");
    let request = theirs.request(Method::POST, "/v1/jobs").json(&sh("once", "true"));
    let theirs = theirs.send(request.header("idempotency-key", "monday")).await;
    assert_eq!(theirs.status, 201, "{}", theirs.text);
    assert_eq!(net.jobs().await.len(), 2);
}
