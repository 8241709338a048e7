//! Jobs from submission to their end.

use serde_json::json;
use whole_system::{Plan, Witnesses, sh};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_stopped_at_its_limit() {
    let net = Plan::laptop().only(&["kunshan"]).start().await;
    let mut job = sh("endless", "echo begun; exec sleep 600");
    job["limit"] = "1s".into();
    let job = net.submit("lab", &job).await;
    let ended = net.ended(job).await;
    assert_eq!(ended.job.state, "timed-out");
    assert_eq!(ended.job.outcome.as_deref(), Some("reached its limit"));
    assert_eq!(net.output(job).await, "begun\n");
    // The supervisor ends a moment after it has written the result.
    let gone = async || (net.attempts_processes() == 0).then_some(());
    net.until("nothing of the attempt is left", gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_job_waits_for_its_release() {
    let net = Plan::laptop().only(&["kunshan"]).start().await;
    let lab = net.tenant("lab");
    let mut held = sh("held", "true");
    held["hold"] = true.into();
    let held = net.submit("lab", &held).await;
    let after = net.submit("lab", &sh("after", "true")).await;
    net.ended(after).await;
    assert_eq!(net.job(held).await.job.state, "held");
    let why = net.why(held).await;
    assert!(why.summary.contains("held") || why.summary.contains("hold"), "{}", why.summary);
    let released = lab.post(&format!("/v1/jobs/{held}/release"), &json!(null)).await;
    assert_eq!(released.status, 200, "{}", released.text);
    assert_eq!(net.ended(held).await.job.state, "completed");
    // What is over can be neither held nor released, and canceling it changes nothing.
    for (change, status) in [("hold", 409), ("release", 409), ("cancel", 200)] {
        let answer = lab.post(&format!("/v1/jobs/{held}/{change}"), &json!(null)).await;
        assert_eq!(answer.status, status, "{change}: {}", answer.text);
    }
    assert_eq!(net.job(held).await.job.state, "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_with_two_variants_runs_where_one_of_them_can() {
    let net = Plan::laptop().start().await;
    let say = "echo $PORTOLAN_CHIP ${CUDA_VISIBLE_DEVICES-}${ASCEND_RT_VISIBLE_DEVICES-}";
    let mut job = sh("either", say);
    job["variant"] = json!([{"on": "cann", "chips": 2}, {"on": "cuda", "chips": 2}]);
    // Nobody but the owner of the Ascend chips is asked; then only the other is.
    for (center, chip) in [("zhangjiang", "ascend-910b3"), ("lingang", "nvidia-a100-sxm4-80")] {
        job["centers"] = json!([center]);
        let id = net.submit("lab", &job).await;
        let ended = net.ended(id).await;
        assert_eq!(ended.job.state, "completed", "{ended:?}");
        assert_eq!(ended.job.chip.as_ref().map(ToString::to_string).as_deref(), Some(chip));
        assert_eq!(net.output(id).await, format!("{chip} 0,1\n"));
    }
    job["centers"] = json!(["kunshan"]);
    let nowhere = net.submit("lab", &job).await;
    let reason = async || {
        let standings = net.why(nowhere).await.plan?.standings;
        standings.into_iter().find(|standing| standing.center.as_str() == "kunshan")
    };
    let kunshan = net.until("the third is explained", reason).await;
    assert_eq!(kunshan.reason, "wrong-chip", "{}", kunshan.text);
    assert_eq!(net.job(nowhere).await.job.state, "waiting");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gang_gets_all_its_nodes_or_waits() {
    let net = Plan::laptop().start().await;
    let gang = |name: &str, nodes: u32, script: &str| {
        let mut job = sh(name, script);
        job["on"] = "cuda".into();
        job["nodes"] = nodes.into();
        job["chips"] = 8.into();
        job
    };
    let say = "echo $PORTOLAN_NODES $PORTOLAN_NODELIST $PORTOLAN_CHIPS_PER_NODE; sleep 2";
    let both = net.submit("lab", &gang("both", 2, say)).await;
    net.in_state(both, "running").await;
    let one = net.submit("startup", &gang("one", 1, "true")).await;
    let three = net.submit("lab", &gang("three", 3, "true")).await;
    let ended = net.ended(one).await;
    let both = net.ended(both).await;
    assert_eq!(net.output(both.job.job).await, "2 a100-0,a100-1 8\n");
    assert_eq!(both.tries[0].nodes.len(), 2);
    assert!(
        ended.job.started_ms >= both.job.ended_ms,
        "two gangs held one node: {ended:?} {both:?}"
    );
    let why = net.why(three).await;
    let standings = why.plan.unwrap().standings;
    let lingang = standings.iter().find(|standing| standing.center.as_str() == "lingang").unwrap();
    assert_eq!(lingang.reason, "too-few-nodes", "{}", lingang.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_fails_is_tried_again_as_often_as_it_asks() {
    let net = Plan::laptop().start().await;
    let mut job = sh("third-time-lucky", "echo try $PORTOLAN_EPOCH; [ $PORTOLAN_EPOCH = 3 ]");
    job["retries"] = 2.into();
    let id = net.submit("lab", &job).await;
    let ended = net.ended(id).await;
    assert_eq!((ended.job.state.as_str(), ended.tries.len()), ("completed", 3));
    assert_eq!(net.output(id).await, "try 3\n");
    job["retries"] = 1.into();
    let id = net.submit("lab", &job).await;
    let ended = net.ended(id).await;
    assert_eq!((ended.job.state.as_str(), ended.tries.len()), ("failed", 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_killed_and_started_again_finds_what_it_ran() {
    let mut net = Plan::laptop().only(&["kunshan"]).start().await;
    let long = net.submit("lab", &sh("long", "sleep 3; echo still here")).await;
    let short = net.submit("lab", &sh("short", "sleep 1; exit 4")).await;
    net.in_state(long, "running").await;
    net.in_state(short, "running").await;
    net.kill_agent("kunshan");
    let over = async || (net.attempts_processes() <= 3).then_some(());
    net.until("the short one is over with nobody looking", over).await;
    net.start_agent("kunshan").await;
    let (long, short) = (net.ended(long).await, net.ended(short).await);
    assert_eq!((long.job.state.as_str(), long.job.attempts), ("completed", 1));
    assert_eq!((short.job.outcome.as_deref(), short.job.attempts), (Some("exit code 4"), 1));
    assert_eq!(net.output(long.job.job).await, "still here\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_lost_its_supervisor_does_not_live_on_beside_the_next() {
    let net = Plan::laptop().only(&["kunshan"]).start().await;
    let witnesses = Witnesses::below(net.dir());
    let work = "if [ $PORTOLAN_EPOCH = 1 ]; then (sleep 60 & sleep 60); fi";
    let job = net.submit("lab", &witnesses.job("orphan", work)).await;
    let alone = async || (witnesses.of(job) == [(1, false)]).then_some(());
    net.until("its first attempt holds the lock", alone).await;
    assert_eq!(net.kill_supervisors("kunshan"), 1);
    let ended = net.ended(job).await;
    assert_eq!(witnesses.violations(), Vec::<String>::new());
    assert_eq!((ended.job.state.as_str(), ended.job.attempts), ("completed", 2), "{ended:?}");
    let gone = async || (net.attempts_processes() == 0).then_some(());
    net.until("nothing of the first attempt is left", gone).await;
}
