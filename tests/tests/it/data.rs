//! Data: put, staged, verified, kept where it belongs.

use model::fact::Fact;
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use whole_system::{Caller, LAPTOP, Net, Plan, Records, sh};
use wire::view;

/// Text that no two chunks of are alike.
fn numbers(bytes: usize) -> Vec<u8> {
    (0_u64..).flat_map(|n| format!("{}\n", n * n).into_bytes()).take(bytes).collect()
}

/// A job in `center` that reads a dataset and copies it into another.
fn copier(center: &str, from: &str, to: &str) -> Value {
    let mut job = sh("copier", "cat $PORTOLAN_INPUT_DATA/* >$PORTOLAN_OUTPUT_COPY/copy");
    job["centers"] = json!([center]);
    job["input"] = json!([{"name": "data", "dataset": from}]);
    job["output"] = json!([{"name": "copy", "dataset": to}]);
    job
}

/// A file of the newest version of a dataset, by the door of a store that has it.
async fn read_file(who: &Caller, dataset: &str, path: &str) -> whole_system::Answer {
    let ticket: view::Ticket = who.get(&format!("/v1/datasets/{dataset}/ticket")).await.ok();
    let door = Caller::new(&ticket.url, &ticket.ticket);
    door.get(&format!("/v1/data/{dataset}/{}/files/{path}", ticket.version)).await
}

/// How transfers ended, by the log of a network that is stopped for it.
async fn transfers(net: &mut Net) -> Vec<model::fact::TransferEnd> {
    net.stop_server().await;
    let records = Records::read(&net.server_dir()).await.records;
    let ends = records.iter().filter_map(|record| match record.fact() {
        Ok(Fact::TransferEnded(fact)) => Some(fact.end),
        _ => None,
    });
    ends.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jobs_input_is_brought_from_another_center_and_its_output_can_be_read() {
    let mut net = Plan::laptop().start().await;
    let bytes = numbers(3_500_000);
    net.put("lab", ("squares", "lingang"), ("squares.txt", &bytes), &[]).await;
    let job = net.submit("lab", &copier("kunshan", "squares", "copy-of-squares")).await;
    let ended = net.ended(job).await;
    assert_eq!(ended.job.state, "completed", "{ended:?}");
    assert_eq!(ended.tries[0].awaits.len(), 1, "its data came by a transfer: {ended:?}");
    assert!(net.until_copy("squares", "lingang").await.replicas.len() == 2);

    let made = net.until_copy("copy-of-squares", "kunshan").await;
    assert_eq!((made.bytes.0, made.files), (3_500_000, 1));
    assert_eq!(made.made_by.map(|attempt| attempt.to_string()), Some(format!("{job}.1")));
    let copy = read_file(net.tenant("lab"), "copy-of-squares", "copy").await;
    assert_eq!(copy.status, 200);
    assert!(copy.text.as_bytes() == bytes, "the copy is another text");
    let ends = transfers(&mut net).await;
    let whole = model::fact::TransferEnd::Arrived { moved: model::Bytes(3_500_000), corrupted: 0 };
    assert_eq!(ends, [whole]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_job_publishes_nothing() {
    let net = Plan::laptop().only(&["kunshan"]).start().await;
    net.put("lab", ("squares", "kunshan"), ("squares.txt", &numbers(100)), &[]).await;
    let mut job = copier("kunshan", "squares", "half-done");
    job["command"] = json!(["sh", "-c", "echo half >$PORTOLAN_OUTPUT_COPY/copy; exit 9"]);
    let job = net.submit("lab", &job).await;
    assert_eq!(net.ended(job).await.job.state, "failed");
    let refusal = net.tenant("lab").get("/v1/datasets/half-done").await.refusal();
    assert!(refusal.starts_with("404 not-found"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_stays_in_its_regions_and_jobs_go_there() {
    let net = Plan::laptop().start().await;
    let shanghai = ["cn/yrd/shanghai"];
    let data = ("health", "zhangjiang");
    net.put("lab", data, ("records.txt", &numbers(2_000_000)), &shanghai).await;

    let outside = net.submit("lab", &copier("kunshan", "health", "leak")).await;
    let reason = async || {
        let why = net.why(outside).await;
        let standings = why.plan.map(|plan| plan.standings).unwrap_or_default();
        standings.into_iter().find(|standing| standing.center.as_str() == "kunshan")
    };
    let standing = net.until("kunshan is explained", reason).await;
    assert_eq!(standing.reason, "residency", "{}", standing.text);
    assert!(standing.text.contains("cn/yrd/shanghai"), "{}", standing.text);

    let mut anywhere = copier("lingang", "health", "health-copy");
    anywhere["centers"] = json!([]);
    let anywhere = net.submit("lab", &anywhere).await;
    let ended = net.ended(anywhere).await;
    assert_eq!(ended.job.state, "completed", "{ended:?}");
    assert_ne!(ended.job.center.unwrap().as_str(), "kunshan");
    let health: view::Dataset = net.tenant("lab").get("/v1/datasets/health-copy").await.ok();
    let regions = &health.versions[0].residency;
    assert_eq!(regions.len(), 1, "what was made of it may go anywhere: {health:?}");
    assert_eq!(regions[0].as_str(), "cn/yrd/shanghai");

    let version = model::Digest::of(b"any");
    let announcement = json!({
        "dataset": "smuggled", "version": version.to_string(), "bytes": 1, "files": 1,
        "center": "kunshan", "residency": shanghai,
    });
    let refusal = net.tenant("lab").post("/v1/datasets", &announcement).await.refusal();
    assert!(refusal.starts_with("422 invalid"), "{refusal}");
    assert_eq!(net.job(outside).await.job.state, "waiting");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_damaged_on_its_way_is_fetched_again_and_counted() {
    let mut net = Plan::laptop().only(&["lingang", "kunshan"]).start().await;
    let bytes = numbers(5_000_000);
    net.put("lab", ("squares", "lingang"), ("squares.txt", &bytes), &[]).await;
    let line = net.line_to_store("lingang").await;
    line.damage(2_500_000);
    let job = net.submit("lab", &copier("kunshan", "squares", "copy-of-squares")).await;
    let ended = net.ended(job).await;
    assert_eq!(ended.job.state, "completed", "{ended:?}");
    assert!(line.has_damaged());
    // The copy is at the other end of no line.
    let copy = read_file(net.tenant("lab"), "copy-of-squares", "copy").await;
    assert!(copy.text.as_bytes() == bytes, "the copy is damaged");
    let ends = transfers(&mut net).await;
    assert!(
        matches!(&ends[..], [model::fact::TransferEnd::Arrived { corrupted: 1, .. }]),
        "{ends:?}"
    );
}

/// The only file of this length below `dir`.
fn file_of(dir: &Path, length: u64) -> PathBuf {
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                dirs.push(entry.path());
            } else if kind.is_file() && entry.metadata().unwrap().len() == length {
                return entry.path();
            }
        }
    }
    panic!("no file of {length} bytes below {}", dir.display())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_rots_in_its_store_is_never_given_to_a_job() {
    let net = Plan::laptop().only(&["lingang", "kunshan"]).start().await;
    let bytes = numbers(3_000_000);
    net.put("lab", ("squares", "lingang"), ("squares.txt", &bytes), &[]).await;
    let file = file_of(&net.agent_dir("lingang").join("store"), 3_000_000);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let mut rotten = bytes.clone();
    rotten[1_500_000] ^= 1;
    fs::write(&file, rotten).unwrap();

    let job = net.submit("lab", &copier("kunshan", "squares", "copy-of-squares")).await;
    let noticed = async || net.said("kunshan").contains("copy failed").then_some(());
    net.until("the copy is noticed not to be what it should", noticed).await;
    let now = net.job(job).await;
    assert!(now.job.started_ms.is_none(), "it ran with damaged data: {now:?}");
    assert_ne!(now.job.state, "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_name_of_data_leads_out_of_a_store() {
    let net = Plan::laptop().only(&["kunshan"]).start().await;
    let lab = net.tenant("lab");
    for name in ["../up", "a/b", "/etc", "..", "", "a\\b", "A B", "%2e%2e"] {
        let announcement = json!({
            "dataset": name, "version": model::Digest::of(b"").to_string(), "bytes": 1,
            "files": 1, "center": "kunshan",
        });
        let refusal = lab.post("/v1/datasets", &announcement).await.refusal();
        assert!(refusal.starts_with("400 malformed"), "{name}: {refusal}");
    }
    // A manifest with its digest right and its paths wrong.
    for path in ["../evil", "/etc/passwd", "a/../../b", "a//b", "."] {
        let manifest = json!({"files": [{"path": path, "bytes": 0, "chunks": []}]}).to_string();
        let version = model::Digest::of(manifest.as_bytes());
        let announcement = json!({
            "dataset": "evil", "version": version.to_string(), "bytes": 0, "files": 1,
            "center": "kunshan",
        });
        let ticket: view::Ticket = lab.post("/v1/datasets", &announcement).await.ok();
        let door = Caller::new(&ticket.url, &ticket.ticket);
        let place = format!("/v1/data/evil/{version}/manifest");
        let put = door.with_body(Method::PUT, &place, "application/json", manifest).await;
        assert!((400..500).contains(&put.status), "{path}: {} {}", put.status, put.text);
    }
    net.put("lab", ("squares", "kunshan"), ("squares.txt", &numbers(10)), &[]).await;
    for path in ["..%2f..%2f..%2fagent.json", "%2fetc%2fpasswd", "..", "nothing.txt"] {
        let read = read_file(lab, "squares", path).await;
        assert!((400..500).contains(&read.status), "{path}: {} {}", read.status, read.text);
    }
    // A ticket is for one dataset, one store and one way.
    let ticket: view::Ticket = lab.get("/v1/datasets/squares/ticket").await.ok();
    let door = Caller::new(&ticket.url, &ticket.ticket);
    let other = model::Digest::of(b"other");
    for path in [format!("/v1/data/squares/{other}/manifest"), "/v1/data/evil/0/manifest".into()] {
        let answer = door.get(&path).await;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
    let write = format!("/v1/data/squares/{}/finish", ticket.version);
    assert!((400..500).contains(&door.post(&write, &json!(null)).await.status));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_goes_on_where_it_was_when_agent_and_server_were_killed() {
    let link = "capacity = \"1 Gbit/s\"";
    assert!(LAPTOP.contains(link));
    let slow = LAPTOP.replacen(link, "capacity = \"100 Mbit/s\"", 1);
    let mut net = Plan::of(&slow).only(&["lingang", "kunshan"]).start().await;
    let bytes = numbers(40_000_000);
    net.put("lab", ("squares", "lingang"), ("squares.txt", &bytes), &[]).await;
    let job = net.submit("lab", &copier("kunshan", "squares", "copy-of-squares")).await;
    let incoming = net.agent_dir("kunshan").join("store/incoming");
    let half = async || (written(&incoming) > 20_000_000).then_some(());
    net.until("half of the data has come", half).await;
    net.kill_agent("kunshan");
    net.kill_server();
    net.start_server().await;
    net.start_agent("kunshan").await;
    let ended = net.ended(job).await;
    assert_eq!(ended.job.state, "completed", "{ended:?}");
    assert_eq!(net.until_copy("copy-of-squares", "kunshan").await.bytes.0, 40_000_000);
    let ends = transfers(&mut net).await;
    let [model::fact::TransferEnd::Arrived { moved, .. }] = &ends[..] else { panic!("{ends:?}") };
    assert!(moved.0 < 25_000_000, "what had come came again: {moved} after the kill");
}

/// How many bytes of the files below `dir` are really there.
fn written(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => written(&entry.path()),
            Ok(meta) => meta.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}
