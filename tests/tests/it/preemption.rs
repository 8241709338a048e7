//! Jobs that make room for others, and go on where they were.

use serde_json::json;
use whole_system::{Plan, sh};

/// Runs until it is asked for a checkpoint, and from a checkpoint to its end.
const GOES_ON: &str = r#"
    step=$PORTOLAN_CHECKPOINT/step
    if [ -e "$step" ]; then echo "goes on from $(cat "$step")"; exit 0; fi
    trap 'echo 7 > "$step"; exit 3' USR1
    echo begun
    while :; do sleep 0.05; done
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preempted_job_gets_its_signal_waits_and_goes_on_from_its_checkpoint() {
    let net = Plan::laptop().only(&["lingang"]).start().await;
    let all = json!([{"on": "cuda", "chips": 8, "nodes": 2}]);
    let mut low = sh("low", GOES_ON);
    low["limit"] = "1h".into();
    low["preemptible"] = true.into();
    low["checkpoint"] = json!({"path": "state/checkpoints", "signal": "USR1", "grace": "20s"});
    low["variant"] = all.clone();
    let low = net.submit("lab", &low).await;
    let logs = format!("/v1/jobs/{low}/logs");
    let begun = async || (net.operator().get(&logs).await.text.contains("begun")).then_some(());
    net.until("it listens to its signal", begun).await;

    let mut high = sh("high", "echo urgent");
    high["priority"] = 5.into();
    high["variant"] = all;
    let high = net.submit("startup", &high).await;
    let urgent = net.ended(high).await;
    assert_eq!(urgent.job.state, "completed", "{urgent:?}");
    assert_eq!(urgent.tries.len(), 1);

    let ended = net.ended(low).await;
    assert_eq!(ended.job.state, "completed", "{ended:?}");
    assert_eq!((ended.job.attempts, ended.job.preemptions), (2, 1));
    let preempted = format!("preempted by {high}");
    assert_eq!(ended.tries[0].outcome.as_ref(), Some(&preempted));
    assert!(ended.tries[0].ended_ms <= urgent.job.started_ms, "{ended:?} {urgent:?}");
    assert_eq!(net.output(low).await, "goes on from 7\n");
    let why = net.why(low).await;
    let room = format!("it was preempted once, last by {high}; ");
    assert!(why.summary.contains(&room), "{}", why.summary);
    assert!(why.summary.contains("of its work is kept at lingang"), "{}", why.summary);
    let kept = net.agent_dir("lingang").join("checkpoints");
    let gone = async || {
        let networks = std::fs::read_dir(&kept).unwrap().flatten();
        let jobs = networks.flat_map(|network| std::fs::read_dir(network.path()).unwrap());
        (jobs.count() == 0).then_some(())
    };
    net.until("the completed job's checkpoint is gone", gone).await;
}
