//! Centers without a door: data goes from one to another by way of a third.

use model::fact::{Fact, TransferEnd};
use model::{CenterId, Leave};
use serde_json::json;
use whole_system::{Finished, LAPTOP, Net, Plan, Records, sh};
use wire::view;

/// The laptop network, in which lingang lends a gibibyte and the others have no door.
fn plan() -> Plan {
    let lends = "store = \"64 GiB\"\nrelay = \"1 GiB\"";
    let network = LAPTOP.replacen("store = \"64 GiB\"", lends, 1);
    Plan::of(&network).doorless(&["zhangjiang", "kunshan"])
}

/// A job in kunshan that writes some three megabytes, so that data is there without a way in.
async fn make(net: &Net) {
    let mut maker = sh("maker", "seq 500000 >$PORTOLAN_OUTPUT_OUT/numbers");
    maker["centers"] = json!(["kunshan"]);
    maker["output"] = json!([{"name": "out", "dataset": "numbers"}]);
    let maker = net.submit("lab", &maker).await;
    let ended = net.ended(maker).await;
    assert_eq!(ended.job.state, "completed", "{ended:?}");
    net.until_copy("numbers", "kunshan").await;
}

fn name(center: &CenterId) -> String {
    center.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_reads_what_was_made_in_another_center_though_neither_has_a_door() {
    let mut net = plan().start().await;
    make(&net).await;
    let center: view::Center = net.operator().get("/v1/centers/lingang").await.ok();
    assert_eq!(center.relay_bytes, Some(model::Bytes(1 << 30)));
    // Nothing can be put where no door is.
    let file = net.dir().join("file");
    std::fs::write(&file, "text").unwrap();
    let file = file.display().to_string();
    let args = ["data", "put", &file, "--name", "text", "--at", "kunshan"];
    let Finished { code, stderr, .. } = net.cli(net.tenant("lab"), &args).await;
    assert!(code != Some(0) && stderr.contains("--data-listen"), "{stderr}");

    let mut reader = sh("reader", "tail -n 1 $PORTOLAN_INPUT_NUMBERS/numbers");
    reader["centers"] = json!(["zhangjiang"]);
    reader["input"] = json!([{"name": "numbers", "dataset": "numbers"}]);
    let reader = net.submit("lab", &reader).await;
    let ended = net.ended(reader).await;
    assert_eq!(ended.job.state, "completed", "{ended:?}");
    assert!(net.output(reader).await.contains("500000"));

    let only_at_both = async || {
        let known: view::Dataset = net.operator().get("/v1/datasets/numbers").await.ok();
        let copies = &known.versions.last()?.copies;
        let at: Vec<&str> = copies.iter().map(|copy| copy.center.as_str()).collect();
        (at == ["kunshan", "zhangjiang"]).then_some(())
    };
    net.until("the copy in passing has left", only_at_both).await;
    let left = net.stored("lingang");
    assert!(!left.iter().any(|path| path.ends_with("numbers")), "{left:?}");

    net.stop_server().await;
    let records = Records::read(&net.server_dir()).await;
    assert_eq!(records.violations(), Vec::<String>::new());
    let facts: Vec<Fact> = records.records.iter().filter_map(|r| r.fact().ok()).collect();
    let planned = facts.iter().filter_map(|fact| match fact {
        Fact::TransferPlanned(f) => Some((name(&f.from), name(&f.to), f.sent, f.passing)),
        _ => None,
    });
    let by = |from: &str, to: &str, how| (from.to_owned(), to.to_owned(), how, how);
    let ways = [by("kunshan", "lingang", true), by("lingang", "zhangjiang", false)];
    assert_eq!(planned.collect::<Vec<_>>(), ways);
    let moved = facts.iter().filter_map(|fact| match fact {
        Fact::TransferEnded(f) => Some(f.end.clone()),
        _ => None,
    });
    let bytes = model::Bytes((1..=500_000_u64).map(|n| n.ilog10() as u64 + 2).sum());
    let whole = TransferEnd::Arrived { moved: bytes, corrupted: 0 };
    assert_eq!(moved.collect::<Vec<_>>(), [whole.clone(), whole]);
    let left = facts.iter().filter_map(|fact| match fact {
        Fact::ReplicaLeaving(f) => Some((name(&f.center), f.why)),
        _ => None,
    });
    assert_eq!(left.collect::<Vec<_>>(), [("lingang".to_owned(), Leave::Passed)]);
}

/// The slow way between two ends that die: what was sent is not sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_goes_on_after_either_end_was_killed() {
    // 200 kB/s: the three megabytes take their time.
    let slow = "capacity = \"2 Mbit/s\"";
    let network = LAPTOP.replacen("capacity = \"1 Gbit/s\"", slow, 1);
    let mut net =
        Plan::of(&network).doorless(&["kunshan"]).only(&["lingang", "kunshan"]).start().await;
    make(&net).await;
    let asked = net.cli(net.tenant("lab"), &["data", "copy", "numbers", "--to", "lingang"]).await;
    assert_eq!(asked.code, Some(0), "{}{}", asked.stdout, asked.stderr);
    for (end, so_far) in [("kunshan", 500_000), ("lingang", 1_500_000)] {
        let moves = async || {
            let all: view::Transfers = net.operator().get("/v1/transfers").await.ok();
            let seen = all.transfers.into_iter().find(|t| t.dataset.as_str() == "numbers")?;
            assert!(seen.sent, "{seen:?}");
            (seen.done_bytes?.0 >= so_far).then_some(())
        };
        net.until("its sender tells how far it is", moves).await;
        net.kill_agent(end);
        net.start_agent(end).await;
    }
    net.until_copy("numbers", "lingang").await;
    net.stop_server().await;
    let records = Records::read(&net.server_dir()).await;
    assert_eq!(records.violations(), Vec::<String>::new());
    let ends = records.records.iter().filter_map(|record| match record.fact() {
        Ok(Fact::TransferEnded(f)) => Some(f.end),
        _ => None,
    });
    let ends: Vec<TransferEnd> = ends.collect();
    let Some(TransferEnd::Arrived { moved, .. }) = ends.last() else { panic!("{ends:?}") };
    assert!(moved.0 < 2_500_000, "what was there before the kill came again: {ends:?}");
}
