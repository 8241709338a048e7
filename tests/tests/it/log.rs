//! The log: torn, damaged, rewritten, and read again for ever.

use model::Span;
use model::fact::{Fact, Head, Record, extend};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use whole_system::{Net, Plan, Records, sh};

/// A network on which some jobs have run, its server killed.
async fn killed_after_some_jobs() -> (Net, usize) {
    let mut net = Plan::laptop().only(&["kunshan"]).start().await;
    for number in 0..5 {
        let job = net.submit("lab", &sh(&format!("job {number}"), "true")).await;
        net.ended(job).await;
    }
    net.kill_server();
    (net, 5)
}

fn newest_journal(net: &Net) -> PathBuf {
    let entries = fs::read_dir(net.server_dir().join("journal")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.pop().unwrap()
}

fn change(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    edit(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// The server comes back with every job, having said what it found.
async fn check_recovers(mut net: Net, jobs: usize, says: &str) {
    net.start_server().await;
    let shown = net.jobs().await;
    assert_eq!(shown.len(), jobs);
    assert!(shown.iter().all(|job| job.state == "completed"), "{shown:?}");
    let said = net.said("server");
    assert!(said.contains(says), "it did not say `{says}`:\n{said}");
    // It goes on as if nothing had been.
    let job = net.submit("lab", &sh("after", "true")).await;
    assert_eq!(net.ended(job).await.job.state, "completed");
    net.stop_agent("kunshan").await;
    net.stop_server().await;
    let records = Records::read(&net.server_dir()).await;
    assert_eq!(records.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_cut_off_at_the_end_is_dropped_and_told() {
    let (net, jobs) = killed_after_some_jobs().await;
    let journal = newest_journal(&net);
    change(&journal, |bytes| {
        // The first half of one more frame.
        let start = bytes.windows(8).rposition(|part| *part == bytes[..8]).unwrap();
        let frame = bytes[start..].to_vec();
        bytes.extend_from_slice(&frame[..frame.len() / 2]);
    });
    check_recovers(net, jobs, "that was never acknowledged").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_cut_short_is_made_whole_from_the_database() {
    let (net, jobs) = killed_after_some_jobs().await;
    change(&newest_journal(&net), |bytes| bytes.truncate(bytes.len() / 2));
    check_recovers(net, jobs, "rebuilt from the database").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bit_flipped_in_the_journal_is_found_and_mended_from_the_database() {
    let (net, jobs) = killed_after_some_jobs().await;
    change(&newest_journal(&net), |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
    });
    check_recovers(net, jobs, "rebuilt from the database").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_database_is_rebuilt_from_the_journal() {
    let (net, jobs) = killed_after_some_jobs().await;
    for name in ["log.db", "log.db-wal"] {
        let path = net.server_dir().join(name);
        if path.exists() {
            change(&path, |bytes| bytes.iter_mut().skip(200).step_by(97).for_each(|b| *b ^= 1));
        }
    }
    check_recovers(net, jobs, "from the journal").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fact_that_no_copy_has_stops_the_server_with_its_number() {
    let (mut net, _) = killed_after_some_jobs().await;
    for name in ["log.db", "log.db-wal", "log.db-shm"] {
        let _ = fs::remove_file(net.server_dir().join(name));
    }
    change(&newest_journal(&net), |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
    });
    let why = net.try_start_server().await.unwrap_err();
    assert!(why.contains("fact "), "it does not say which fact: {why}");
    let verify = net.cli(net.operator(), &["log", "verify", "--dir", "server"]).await;
    assert_ne!(verify.code, Some(0), "{}{}", verify.stdout, verify.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rewritten_log_raises_the_alarm_at_an_agent_which_then_takes_nothing_more() {
    let plan = Plan::laptop().only(&["kunshan"]).agent(&["--witness-every", "200ms"]);
    let mut net = plan.serve(&["--poll", "500ms"]).start().await;
    let job = net.submit("lab", &sh("cheap", "true")).await;
    net.ended(job).await;
    let seen = net.agent_dir("kunshan").join("seen.json");
    let end = net.told().len();
    let has_seen = async || {
        let seen: serde_json::Value = serde_json::from_slice(&fs::read(&seen).ok()?).ok()?;
        (seen["head"]["number"].as_u64()? >= end as u64).then_some(())
    };
    net.until("the agent has seen all of the log", has_seen).await;
    net.stop_server().await;
    rewrite(&net.server_dir(), Span::ZERO, |fact| {
        if let Fact::JobSubmitted(submitted) = fact {
            let mut submitted = (**submitted).clone();
            let mut spec = (*submitted.spec).clone();
            "dear".clone_into(&mut spec.name);
            submitted.spec = Arc::new(spec);
            *fact = Fact::JobSubmitted(Arc::new(submitted));
        }
    })
    .await;
    net.start_server().await;
    assert_eq!(net.job(job).await.job.name, "dear", "the log was not rewritten");

    let alarm = net.agent_dir("kunshan").join("alarm.json");
    let raised = async || fs::read_to_string(&alarm).ok();
    let alarm = net.until("the agent raises the alarm", raised).await;
    assert!(alarm.contains("was changed") || alarm.contains("was seen to reach"), "{alarm}");
    assert!(net.said("kunshan").contains("ALARM"));

    net.stop_agent("kunshan").await;
    net.start_agent("kunshan").await;
    let next = net.submit("lab", &sh("next", "true")).await;
    let declined = async || {
        let standings = net.why(next).await.plan?.standings;
        let kunshan = standings.into_iter().find(|s| s.center.as_str() == "kunshan")?;
        (kunshan.reason == "declined").then_some(())
    };
    net.until("the alarmed center declines what it is offered", declined).await;
    assert_eq!(net.job(next).await.job.state, "waiting");
}

/// Puts another log in the place of the one in `dir`: the same network, the same facts but for what
/// `edit` changes, each so much later, and a chain that holds in itself.
async fn rewrite(dir: &Path, later: Span, mut edit: impl FnMut(&mut Fact)) {
    let honest = Records::read(dir).await;
    let (mut lines, mut head) = (Vec::new(), Head::EMPTY);
    for record in &honest.records {
        let mut fact = record.fact().unwrap();
        edit(&mut fact);
        let record = Record::new(record.header.number, record.header.at + later, &fact);
        let digest = extend(&head.digest, &record.header.digest());
        head = Head { number: record.header.number, digest };
        lines.extend([b"{\"header\":", &record.header.canonical()[..], b",\"payload\":"].concat());
        lines.extend([&record.payload[..], b"}\n"].concat());
    }
    assert_ne!(head, honest.head, "nothing was changed");
    let old = dir.with_extension("honest");
    fs::rename(dir, &old).unwrap();
    fs::create_dir(dir).unwrap();
    for name in ["doors.secret", "operator.token", "archive.db"] {
        fs::copy(old.join(name), dir.join(name)).unwrap();
    }
    let imported = store::import(dir, &lines[..], store::Settings::default()).await.unwrap();
    assert_eq!(imported, head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_log_is_another_network_and_its_agents_know() {
    let mut net = Plan::laptop().only(&["kunshan"]).serve(&["--poll", "500ms"]).start().await;
    let before = net.submit("lab", &sh("before", "echo $PORTOLAN_NETWORK")).await;
    net.ended(before).await;
    let before = net.output(before).await;
    net.stop_server().await;
    let restored = net.cli(net.operator(), &["log", "restore", "--dir", "server"]).await;
    assert_eq!(restored.code, Some(0), "{}{}", restored.stdout, restored.stderr);
    net.start_server().await;
    let after = net.submit("lab", &sh("after", "echo $PORTOLAN_NETWORK")).await;
    // An agent that meets another network ends, for whoever runs it to start it anew, or sees to it
    // by itself.
    let settling = async {
        while net.job(after).await.job.ended_ms.is_none() {
            if net.agent_ended("kunshan").is_some() {
                net.kill_agent("kunshan");
                net.start_agent("kunshan").await;
            }
        }
    };
    let settled = tokio::time::timeout(Duration::from_secs(45), settling).await;
    settled.expect("a job of the restored network does not end");
    let after = net.output(after).await;
    assert_ne!(after, before, "the attempt bears the name of the network before");
    net.stop_agent("kunshan").await;
    net.stop_server().await;
    let world = Records::read(&net.server_dir()).await.world();
    assert_eq!(after.trim(), world.network.unwrap().to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_host_whose_clock_is_behind_the_log_time_does_not_go_back() {
    let (mut net, _) = killed_after_some_jobs().await;
    let tomorrow = Span::from_secs(86_400);
    rewrite(&net.server_dir(), tomorrow, |_| {}).await;
    net.start_server().await;
    // Spans are still spans: a job of a second takes one, and its limit is no day away.
    let job = net.submit("lab", &sh("second", "sleep 1")).await;
    let ended = net.ended(job).await.job;
    assert_eq!(ended.state, "completed");
    let ran = ended.ended_ms.unwrap().since(ended.started_ms.unwrap());
    assert!((Span(900)..Span::from_secs(20)).contains(&ran), "{ran}");
    net.stop_agent("kunshan").await;
    net.stop_server().await;
    let records = Records::read(&net.server_dir()).await;
    assert_eq!(records.violations(), Vec::<String>::new());
    assert!(records.records.windows(2).all(|two| two[0].header.at <= two[1].header.at));
}
