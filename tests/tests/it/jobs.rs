//! Jobs from submission to their end.

use serde_json::json;
use whole_system::{Plan, sh};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_runs_and_its_output_exit_code_and_reasons_can_be_had() {
    let net = Plan::laptop().start().await;
    let good = net.submit("lab", &sh("good", "echo said; echo complained >&2; exit 0")).await;
    let bad = net.submit("lab", &sh("bad", "echo trying; exit 7")).await;

    let good = net.ended(good).await;
    assert_eq!(good.job.state, "completed");
    assert_eq!(good.job.outcome.as_deref(), Some("exit code 0"));
    assert_eq!(net.output(good.job.job).await, "said\n");
    let stderr = format!("/v1/jobs/{}/logs?follow=true&stream=stderr", good.job.job);
    assert_eq!(net.operator().get(&stderr).await.text, "complained\n");

    let bad = net.ended(bad).await;
    assert_eq!(bad.job.state, "failed");
    assert_eq!(bad.job.outcome.as_deref(), Some("exit code 7"));
    let why = net.why(bad.job.job).await;
    assert_eq!(why.state, "failed");
    assert!(why.summary.contains("exit code 7"), "{}", why.summary);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canceled_job_is_gone_with_all_that_it_started() {
    let net = Plan::laptop().only(&["kunshan"]).start().await;
    // A child that ignores the polite signal, one in a session of its own, and a grandchild.
    let script = "trap '' TERM; (setsid sleep 600 &) ; (sleep 600 & sleep 600) & sleep 600";
    let job = net.submit("lab", &sh("tree", script)).await;
    net.in_state(job, "running").await;
    let sleeps = async || (net.attempts_processes() >= 5).then_some(());
    net.until("the whole tree runs under its supervisor", sleeps).await;

    let canceled = net.tenant("lab").post(&format!("/v1/jobs/{job}/cancel"), &json!(null)).await;
    assert_eq!(canceled.status, 200, "{}", canceled.text);
    let ended = net.ended(job).await;
    assert_eq!(ended.job.state, "canceled");
    let gone = async || (net.attempts_processes() == 0).then_some(());
    net.until("nothing of the attempt is left", gone).await;
}
