//! Arrays, jobs that wait for others, and jobs that begin anew, as people type them.

use std::fs;
use whole_system::{Finished, Net, Plan, Records};

const SWEEP: &str = r#"
    name = "sweep"
    limit = "1m"
    command = ["sh", "-c", "echo $PORTOLAN_ARRAY $PORTOLAN_ARRAY_INDEX of $PORTOLAN_ARRAY_TASKS; exit $((PORTOLAN_ARRAY_INDEX == 5))"]
    array = { first = 1, last = 7, step = 2, at_once = 2 }
"#;
const AFTER: &str = r#"
    name = "after"
    limit = "1m"
    command = ["true"]
    after = [{ job = "job-1", when = "afterany" }]
"#;
const IN_VAIN: &str = r#"
    name = "in-vain"
    limit = "1m"
    command = ["true"]
    after = [{ job = "job-1" }]
"#;
const ANEW: &str = r#"
    name = "anew"
    limit = "5m"
    command = ["sh", "-c", "echo try $PORTOLAN_EPOCH; test $PORTOLAN_EPOCH = 2 || exec sleep 600"]
"#;

async fn typed(net: &Net, args: &[&str]) -> Finished {
    net.cli(net.tenant("lab"), args).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_array_runs_and_others_come_after_it() {
    let mut net = Plan::laptop().only(&["kunshan"]).start().await;
    for (name, text) in [("sweep.toml", SWEEP), ("after.toml", AFTER), ("vain.toml", IN_VAIN)] {
        fs::write(net.dir().join(name), text).unwrap();
    }
    let all = typed(&net, &["submit", "--wait", "sweep.toml", "after.toml", "vain.toml"]).await;
    assert_ne!(all.code, Some(0), "{}", all.stderr);
    assert!(
        all.stderr.contains("job-1 to come after"),
        "a job comes after older ones only: {}",
        all.stderr
    );

    let submitted = typed(&net, &["submit", "sweep.toml"]).await;
    assert_eq!(submitted.stdout, "job-1\njob-2\njob-3\njob-4\n", "{}", submitted.stderr);
    typed(&net, &["submit", "after.toml"]).await;
    let vain = typed(&net, &["submit", "--wait", "vain.toml"]).await;
    assert_eq!(vain.code, Some(11), "{}{}", vain.stdout, vain.stderr);
    let after: model::JobId = "job-5".parse().unwrap();
    assert_eq!(net.ended(after).await.job.state, "completed");

    for (args, said) in [
        (&["logs", "job-1[7]"][..], "job-1 7 of 4"),
        (&["logs", "1_3"], "job-1 3 of 4"),
        (&["jobs", "--array", "job-1"], "sweep[5]"),
        (&["job", "job-1[5]"], "failed (exit code 1)"),
        (&["job", "job-1[5]"], "task 5 of job-1, 1 to 7 in steps of 2, 2 at once"),
        (&["why", "job-6"], "job-1 did not complete, after which it was to come"),
    ] {
        let done = typed(&net, args).await;
        assert!(done.stdout.contains(said), "{args:?}: {}{}", done.stdout, done.stderr);
    }
    let none = typed(&net, &["logs", "job-1[2]"]).await;
    let said = "job-1 has no task 2: it has 1 to 7, in steps of 2";
    assert!(none.stderr.contains(said), "{}", none.stderr);
    net.stop_server().await;
    let records = Records::read(&net.server_dir()).await;
    assert_eq!(records.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_job_begins_anew_and_a_held_array_is_released_as_a_whole() {
    let net = Plan::laptop().only(&["kunshan"]).start().await;
    fs::write(net.dir().join("anew.toml"), ANEW).unwrap();
    typed(&net, &["submit", "anew.toml"]).await;
    let job: model::JobId = "job-1".parse().unwrap();
    net.in_state(job, "running").await;
    let anew = typed(&net, &["requeue", "job-1"]).await;
    assert!(anew.stdout.contains("job-1  stopping"), "{}{}", anew.stdout, anew.stderr);
    let ended = net.ended(job).await;
    assert_eq!(ended.job.state, "completed");
    assert_eq!(ended.tries[0].outcome.as_deref(), Some("requeued"));
    assert_eq!(net.output(job).await, "try 2\n");

    fs::write(net.dir().join("held.toml"), format!("hold = true\n{SWEEP}")).unwrap();
    typed(&net, &["submit", "held.toml"]).await;
    let last: model::JobId = "job-5".parse().unwrap();
    net.in_state(last, "held").await;
    typed(&net, &["release", "job-2"]).await;
    net.ended(last).await;
    let canceled = typed(&net, &["requeue", "job-2"]).await;
    assert!(
        canceled.stderr.contains("can begin anew") || canceled.stderr.contains("is over"),
        "{}",
        canceled.stderr
    );
}
