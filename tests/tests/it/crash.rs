//! Processes killed at random while jobs run.

use std::time::Duration;
use whole_system::Plan;
use whole_system::crash::{Matrix, seed};

/// Snapshots so often that restarts rest on them, polls so short that nobody waits for one.
fn plan() -> Plan {
    Plan::laptop().serve(&["--snapshot-every", "40", "--poll", "2s", "--lease-margin", "2s"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_servers_and_agents_at_random_breaks_no_promise() {
    let matrix = Matrix {
        seed: seed(),
        jobs: 120,
        kills: 40,
        of_server: 4,
        every: Duration::from_millis(1_000),
        takes_ms: (300, 800),
        settle: Duration::from_secs(60),
    };
    let (verdict, _net) = matrix.run(plan()).await;
    println!("{verdict}");
    assert_eq!(verdict.acknowledged, 120);
    assert_eq!(verdict.violations, Vec::<String>::new());
    assert_eq!(verdict.ends.get("completed"), Some(&120), "{verdict}");
}

/// What is acknowledged must be durable. A server that answers first loses some of it, and this test
/// is about the harness: it must see that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_answers_before_it_writes_is_found_out() {
    let matrix = Matrix {
        seed: seed(),
        jobs: 60,
        kills: 6,
        of_server: 10,
        every: Duration::from_millis(1_000),
        takes_ms: (50, 100),
        // Agents do not run again what they remember to be over, so not all of it ends.
        settle: Duration::from_secs(5),
    };
    let sabotage = ["--sabotage", "reply-before-append", "--commit-delay", "300ms"];
    let (verdict, _net) = matrix.run(plan().serve(&sabotage)).await;
    println!("{verdict}");
    let lost = |violation: &String| violation.contains("was acknowledged");
    assert!(verdict.violations.iter().any(lost), "nothing was missed\n{verdict}");
}

#[cfg(feature = "long")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_kills_while_five_hundred_jobs_of_seconds_run_break_no_promise() {
    let matrix = Matrix {
        seed: seed(),
        jobs: 500,
        kills: 200,
        of_server: 4,
        every: Duration::from_millis(1_500),
        takes_ms: (2_000, 5_000),
        settle: Duration::from_secs(300),
    };
    let (verdict, _net) = matrix.run(plan()).await;
    whole_system::report("crash-matrix", &format!("## Crash matrix\n\n```\n{verdict}```\n"));
    assert_eq!(verdict.acknowledged, 500);
    assert_eq!(verdict.violations, Vec::<String>::new());
    assert_eq!(verdict.ends.get("completed"), Some(&500), "{verdict}");
}
