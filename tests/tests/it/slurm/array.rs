//! An array of many tasks on a cluster.

use super::Ground;
use serde_json::json;
use std::time::Duration;
use whole_system::sh;

/// How many tasks; each takes a cluster of this size a thirtieth of a second.
const TASKS: u32 = if cfg!(feature = "long") { 2_000 } else { 100 };

/// How often a controller was asked this since it began.
fn asked(ground: &Ground, what: &str) -> u64 {
    let said = ground.alpha.says("sdiag", &[]);
    let line = said.lines().find(|line| line.split_whitespace().next() == Some(what));
    let count = line.and_then(|line| line.split("count:").nth(1)?.split_whitespace().next());
    count.map_or(0, |count| count.parse().unwrap())
}

/// The end of each task is seen, however many there are, and the cluster's jobs are not listed for it:
/// a list of thousands takes a controller seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_array_is_observed_to_its_end_without_listing_all_jobs() {
    let Some(ground) = Ground::boot().await else { return };
    let mut job = sh("sweep", "true");
    job["array"] = json!({"first": 1, "last": TASKS});
    let lists = asked(&ground, "REQUEST_JOB_INFO");
    let began = std::time::Instant::now();
    ground.submit(&job, "cann", (1, 1)).await;
    let all_over = async || {
        let figures = ground.net.operator().get("/metrics").await.text;
        let completed = format!("portolan_jobs_ended{{end=\"completed\"}} {TASKS}\n");
        figures.contains(&completed).then_some(())
    };
    ground.net.within(Duration::from_secs(600), "all tasks completed", all_over).await;
    eprintln!("{TASKS} tasks in {:.1} s", began.elapsed().as_secs_f64());
    let lists = asked(&ground, "REQUEST_JOB_INFO") - lists;
    assert!(
        asked(&ground, "REQUEST_SUBMIT_BATCH_JOB") >= u64::from(TASKS),
        "all were entered there"
    );
    assert!(lists <= 2, "the cluster's jobs were listed {lists} times");
}
