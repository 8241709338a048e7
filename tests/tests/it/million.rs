//! Very many jobs: what is over must not stay in memory.

use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};
use whole_system::{Caller, Net, Plan, report};
use wire::view;

const BATCH: u64 = 2_000;
/// No more jobs than this wait at a time.
const WAITING_MOST: u64 = 10_000;

/// Two centers whose attempts are timers, with room for thousands at a time.
fn network() -> String {
    let center = |name: &str, at: f64| {
        format!(
            r#"
[[center]]
center = "{name}"
owner = "nobody"
region = "cn/test/{name}"
latitude = {at}
longitude = 121.0
time_zone = "Asia/Shanghai"
engine = "timer"

[[center.pool]]
pool = "cpu"
nodes = 64
cores = 32
memory = "64 GiB"
price_per_node_hour = "1 CNY"
"#
        )
    };
    format!("{}{}\n[[tenant]]\ntenant = \"lab\"\n", center("east", 31.0), center("west", 30.0))
}

/// How much memory the server holds, in KiB.
fn resident_kib(net: &Net) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", net.server_pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A figure of the server's own metrics.
async fn metric(net: &Net, named: &str) -> u64 {
    let text = net.operator().get("/metrics").await.text;
    let of = |line: &str| line.strip_prefix(named)?.trim().parse().ok();
    text.lines().find_map(of).unwrap_or_else(|| panic!("no {named} in the metrics:\n{text}"))
}

async fn live(net: &Net) -> usize {
    let page: view::Jobs = net.operator().get("/v1/jobs?state=live&limit=1").await.ok();
    page.jobs.len()
}

async fn submit(lab: &Caller, batch: &Value) {
    let submitted: view::Submitted = lab.post("/v1/jobs", batch).await.ok();
    assert_eq!(u64::from(submitted.count), BATCH);
}

/// Submits jobs until `total` were, never letting more than a few wait; then until all have ended.
async fn run_to(net: &Net, batch: &Value, submitted: &mut u64, total: u64) {
    while *submitted < total {
        submit(net.tenant("lab"), batch).await;
        *submitted += BATCH;
        let room =
            async || (metric(net, "portolan_queue_jobs").await <= WAITING_MOST).then_some(());
        net.within(Duration::from_secs(600), "the queue gets shorter", room).await;
        if *submitted % (total / 10) < BATCH {
            println!("{submitted} submitted: {} KiB", resident_kib(net));
        }
    }
    let over = async || (live(net).await == 0).then_some(());
    net.within(Duration::from_secs(600), "all jobs have ended", over).await;
}

/// Memory once what is over has left it: the least of some looks, a second apart. What is free goes
/// back to the system within some ten seconds of the last change.
async fn settled_kib(net: &Net) -> u64 {
    let mut least = u64::MAX;
    let mut looks = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..45 {
        looks.tick().await;
        least = least.min(resident_kib(net));
    }
    least
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_jobs_leave_the_servers_memory_as_three_hundred_thousand_did() {
    let (total, early) = match std::env::var("PORTOLAN_JOBS").ok().and_then(|n| n.parse().ok()) {
        Some(total) => (total, total * 3 / 10),
        None => (1_000_000, 300_000),
    };
    let plan = Plan::of(&network()).unwatched();
    let net = plan.serve(&["--keep-ended", "1s", "--keep-ended-jobs", "1000"]).start().await;
    let job = json!({"name": "tiny", "limit": "1m", "memory": "1 MiB", "command": ["true"]});
    let batch = json!({"jobs": vec![job; usize::try_from(BATCH).unwrap()]});
    let (begun, mut submitted) = (Instant::now(), 0);
    run_to(&net, &batch, &mut submitted, early).await;
    let before = settled_kib(&net).await;
    println!("{early} jobs after {:?}: {before} KiB", begun.elapsed());
    run_to(&net, &batch, &mut submitted, total).await;
    let took = begun.elapsed();
    let after = settled_kib(&net).await;

    let oldest = net.operator().get("/v1/jobs/job-1").await;
    let oldest: view::JobDetail = oldest.ok();
    assert_eq!(oldest.job.state, "completed");
    let asked = Instant::now();
    let path = format!("/v1/jobs?state=completed&limit=10&before=job-{}", total / 2);
    let page: view::Jobs = net.tenant("lab").get(&path).await.ok();
    let answered = asked.elapsed();
    let numbers: Vec<u64> = page.jobs.iter().map(|job| job.job.number()).collect();
    let expected: Vec<u64> = (total / 2 - 10..total / 2).rev().collect();
    assert_eq!(numbers, expected);
    let completed = metric(&net, "portolan_jobs_ended{end=\"completed\"}").await;
    assert_eq!(completed, submitted);

    let rate = Duration::from_secs(submitted).as_secs_f64() / took.as_secs_f64();
    report(
        "million",
        &format!(
            "## {submitted} jobs through the timer engine\n\n\
             | | |\n|---|---|\n\
             | resident memory of the server after {early} | {before} KiB |\n\
             | after {submitted} | {after} KiB |\n\
             | jobs per second, submitted, planned, run and archived | {rate:.0} |\n\
             | ten archived jobs from the middle | {answered:?} |\n"
        ),
    );
    assert!(after * 100 <= before * 115, "memory grows: {before} KiB, then {after} KiB");
}
