//! Parts of a cluster that are away for a while.

use super::{Ground, Witness};
use serde_json::Value;
use std::time::Duration;
use whole_system::sh;

/// A REST server that says nothing for a while: what runs is heard of, what is entered meanwhile is
/// entered once, and what was entered is not taken for lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rest_server_that_hangs_loses_no_job_and_runs_none_twice() {
    let Some(mut ground) = Ground::boot().await else { return };
    let witness = Witness::at(&ground.alpha);
    let job = |name: &str, seconds: u32| {
        let mut job = sh(name, &witness.script(seconds));
        job["limit"] = "1h".into();
        job
    };
    let long = ground.submit(&job("long", 8), "cann", (1, 1)).await;
    let waits = ground.submit(&job("waits", 30), "cann", (4, 8)).await;
    ground.says(long, "begun").await;
    ground.alpha.freeze_rest();
    let frozen = tokio::time::Instant::now();
    let during = ground.submit(&job("during", 1), "cann", (1, 1)).await;
    // It is silent about its end, which is heard all the same.
    let ended = ground.net.ended(long).await;
    assert_eq!((&*ended.job.state, ended.job.attempts), ("completed", 1), "{ended:?}");
    // As long as a server whose controller is away says nothing.
    let hang = Duration::from_secs(if cfg!(feature = "long") { 19 } else { 12 });
    tokio::time::sleep_until(frozen + hang).await;
    ground.alpha.thaw_rest();
    let cancel = format!("/v1/jobs/{waits}/cancel");
    let _: Value = ground.net.tenant("lab").post(&cancel, &Value::Null).await.ok();
    let ended = ground.ended(during).await;
    assert_eq!((&*ended.job.state, ended.job.attempts), ("completed", 1), "{ended:?}");

    // One that is gone altogether: its commands do what it did.
    ground.alpha.kill_rest();
    let after = ground.submit(&job("after", 1), "cann", (1, 1)).await;
    let ended = ground.ended(after).await;
    assert_eq!(ended.job.state, "completed", "{ended:?}\n{}", ground.net.said("alpha"));
    assert!(ground.net.said("alpha").contains("REST server does not answer"));
    assert_eq!(witness.doubles(), Vec::<String>::new());
    ground.alpha.start_rest().unwrap();
}

/// Jobs are planned on the nodes that take work: those that an operator drains are left out, and taken in
/// again when they are resumed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_are_drained_are_planned_without_until_they_are_resumed() {
    let Some(ground) = Ground::boot().await else { return };
    for (cluster, on) in [(&ground.alpha, "cann"), (&ground.beta, "neuware")] {
        let set = |state: &[&str]| {
            let nodes = format!("nodename=n[{}-{}]", cluster.nodes() - 1, cluster.nodes());
            let update = [&["update", &nodes], state].concat();
            assert!(cluster.command("scontrol", &update).unwrap().status.success());
        };
        let counted = || ground.net.told().iter().filter(|(_, is)| is == "nodes-counted").count();
        let before = counted();
        set(&["state=drain", "reason=test"]);
        let news = async || (counted() > before).then_some(());
        ground.net.until("drained nodes are counted", news).await;
        let all = u32::from(cluster.nodes());
        let wide = ground.submit(&sh("wide", "true"), on, (all - 1, 8)).await;
        // Two of its nodes are left on one cluster, and none on the other.
        if all > 2 {
            let narrow = ground.submit(&sh("narrow", "true"), on, (all - 2, 8)).await;
            assert_eq!(ground.net.ended(narrow).await.job.state, "completed");
        }
        let waits = ground.net.job(wide).await;
        assert_eq!((&*waits.job.state, waits.job.attempts), ("waiting", 0), "{waits:?}");
        set(&["state=resume"]);
        let ended = ground.net.ended(wide).await;
        assert_eq!((&*ended.job.state, ended.job.attempts), ("completed", 1), "{ended:?}");
    }
}
