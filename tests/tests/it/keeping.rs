//! Copies: kept as many as they should be, made, removed, read, and repaired.

use serde_json::{Value, json};
use std::fs;
use whole_system::{Net, Plan, Records};
use wire::view;

/// Text that no two chunks of, and no two datasets', are alike.
fn numbers(seed: usize, bytes: usize) -> Vec<u8> {
    let line = |n: usize| format!("{seed} {}\n", n * n).into_bytes();
    (0..).flat_map(line).take(bytes).collect()
}

async fn dataset(net: &Net, name: &str) -> view::Dataset {
    net.operator().get(&format!("/v1/datasets/{name}")).await.ok()
}

/// The newest version's copies, as `center state`.
async fn copies(net: &Net, name: &str) -> Vec<String> {
    let known = dataset(net, name).await;
    let newest = known.versions.last().unwrap();
    newest.copies.iter().map(|copy| format!("{} {}", copy.center, copy.state.word())).collect()
}

async fn until_copies(net: &Net, name: &str, wanted: &[&str]) {
    let are = async || (copies(net, name).await == wanted).then_some(());
    net.until(&format!("{name} is {}", wanted.join(", ")), are).await;
}

/// Runs `portolan data …` as the lab; what it said, once it has ended well.
async fn data(net: &Net, args: &str) -> String {
    let args: Vec<&str> = ["data"].into_iter().chain(args.split(' ')).collect();
    let done = net.cli(net.tenant("lab"), &args).await;
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    done.stdout + &done.stderr
}

/// The same, once it has been refused.
async fn refused(net: &Net, args: &str) -> String {
    let args: Vec<&str> = ["data"].into_iter().chain(args.split(' ')).collect();
    let done = net.cli(net.tenant("lab"), &args).await;
    assert_ne!(done.code, Some(0), "{}", done.stdout);
    done.stderr
}

/// Ends the network; how often each kind of fact is in its log, which breaks no promise.
async fn facts(mut net: Net) -> std::collections::BTreeMap<String, usize> {
    net.stop_server().await;
    let records = Records::read(&net.server_dir()).await;
    assert_eq!(records.violations(), Vec::<String>::new());
    records.kinds()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_datasets_with_a_damaged_copy_each_scrubbing_repairs_all() {
    let net = Plan::laptop().only(&["lingang", "kunshan"]).start().await;
    let name = |n: usize| format!("d{n}");
    for n in 0..10 {
        let bytes = numbers(n, 2_500_000);
        net.put("lab", (&name(n), "lingang"), (&format!("{n}.txt"), &bytes), &[]).await;
        let said = data(&net, &format!("keep {} --copies 2", name(n))).await;
        assert!(said.contains("1 more copy will be made"), "{said}");
    }
    for n in 0..10 {
        until_copies(&net, &name(n), &["kunshan whole", "lingang whole"]).await;
        let center = if n % 2 == 0 { "lingang" } else { "kunshan" };
        // A bit of the first chunk, of the last, or of one between.
        net.rot(center, &format!("{n}.txt"), n * 277_777);
    }
    let said = net.cli(net.operator(), &["data", "scrub", "--dry-run"]).await;
    assert!(said.stdout.contains("20 copies would be read"), "{}{}", said.stdout, said.stderr);
    let said = net.cli(net.operator(), &["data", "scrub"]).await;
    assert!(said.stdout.contains("20 copies will be read"), "{}{}", said.stdout, said.stderr);
    let told = async || {
        let damaged = net.told().iter().filter(|(_, kind)| kind == "replica-damaged").count();
        (damaged == 10).then_some(())
    };
    net.until("all damage is found", told).await;
    for n in 0..10 {
        until_copies(&net, &name(n), &["kunshan whole", "lingang whole"]).await;
    }
    for n in 0..10 {
        for center in ["lingang", "kunshan"] {
            let store = net.stored(center);
            let file = store.iter().find(|path| path.ends_with(format!("{n}.txt"))).unwrap();
            assert!(fs::read(file).unwrap() == numbers(n, 2_500_000), "{n} in {center}");
        }
    }
    let facts = facts(net).await;
    assert_eq!(facts["replica-damaged"], 10, "{facts:?}");
    assert_eq!(facts["replica-verified"], 10, "{facts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_copy_never_goes_and_is_told_when_it_is_damaged() {
    let net = Plan::laptop().only(&["lingang", "kunshan"]).start().await;
    let bytes = numbers(0, 3_000_000);
    net.put("lab", ("squares", "lingang"), ("squares.txt", &bytes), &[]).await;
    let said = refused(&net, "evict squares --at lingang").await;
    assert!(said.contains("the only whole copy"), "{said}");

    let said = data(&net, "copy squares --to kunshan --dry-run").await;
    assert!(said.contains("lingang") && said.contains("nothing was done"), "{said}");
    assert_eq!(copies(&net, "squares").await, ["lingang whole"]);
    data(&net, "copy squares --to kunshan").await;
    until_copies(&net, "squares", &["kunshan whole", "lingang whole"]).await;

    data(&net, "keep squares --pin lingang").await;
    let said = refused(&net, "evict squares --at lingang --dry-run").await;
    assert!(said.contains("pinned"), "{said}");
    data(&net, "evict squares --at kunshan").await;
    until_copies(&net, "squares", &["lingang whole"]).await;
    let left = net.stored("kunshan");
    assert!(!left.iter().any(|path| path.ends_with("squares.txt")), "{left:?}");

    net.rot("lingang", "squares.txt", 1_500_000);
    data(&net, "scrub squares").await;
    until_copies(&net, "squares", &["lingang damaged"]).await;
    let said = data(&net, "ls squares").await;
    assert!(said.contains("lingang (damaged)"), "{said}");
    let alarm = net.operator().get("/v1/log?limit=1000").await.text;
    assert!(alarm.contains(r#""last":true"#), "nobody is told that it was the last copy");

    // Whoever has the data still puts it again: what was good of it is not sent.
    net.put("lab", ("squares", "lingang"), ("squares.txt", &bytes), &[]).await;
    until_copies(&net, "squares", &["lingang whole"]).await;
    facts(net).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_to_be_kept_goes_everywhere() {
    let net = Plan::laptop().only(&["lingang", "kunshan"]).start().await;
    for n in 0..3 {
        let bytes = numbers(n, 100_000);
        net.put("lab", ("model", "lingang"), ("weights", &bytes), &[]).await;
    }
    let said = data(&net, "keep model --versions 2 --dry-run").await;
    assert_eq!(said.matches("goes everywhere").count(), 1, "{said}");
    assert_eq!(dataset(&net, "model").await.versions.len(), 3);
    data(&net, "keep model --versions 2").await;
    let two = async || (dataset(&net, "model").await.versions.len() == 2).then_some(());
    net.until("the oldest is gone", two).await;

    data(&net, "keep model --for 1s").await;
    let gone = async || {
        let answer = net.operator().get("/v1/datasets/model").await;
        (answer.status == 404).then_some(())
    };
    net.until("all versions have expired", gone).await;
    let left = net.stored("lingang");
    assert!(!left.iter().any(|path| path.ends_with("weights")), "{left:?}");
    let facts = facts(net).await;
    assert_eq!(facts["version-removed"], 3, "{facts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_cannot_be_meant_are_refused_with_what_to_do() {
    let net = Plan::laptop().only(&["lingang", "kunshan"]).start().await;
    let shanghai = ["cn/yrd/shanghai"];
    net.put("lab", ("health", "lingang"), ("h", &numbers(0, 1_000)), &shanghai).await;
    for (rules, why) in [
        ("--copies 0", "`portolan data rm health`"),
        ("--copies 9", "more than the 2 centers"),
        ("--versions none", "neither a number nor `all`"),
        ("--until 2001-01-01T00:00:00Z", "is over"),
        ("--pin nowhere", "center nowhere"),
        ("--pin kunshan", "outside the regions"),
    ] {
        let said = refused(&net, &format!("keep health {rules}")).await;
        assert!(said.contains(why), "{rules}: {said}");
    }
    let said = refused(&net, "copy health --to kunshan").await;
    assert!(said.contains("outside the regions"), "{said}");
    let said = refused(&net, "keep nothing --copies 2").await;
    assert!(said.contains("nothing"), "{said}");
    // Another tenant's data is theirs.
    let done = net.cli(net.tenant("startup"), &["data", "keep", "health", "--forever"]).await;
    let told = net.cli(net.tenant("startup"), &["data", "keep", "health", "--copies", "2"]).await;
    assert_eq!((done.code, told.code == Some(0)), (Some(0), false), "{}", told.stderr);
    let both: Value = json!({"expires_at_ms": 4_000_000_000_000_u64, "expires_after_ms": 1});
    let put = net.tenant("lab").with_body(
        reqwest::Method::PUT,
        "/v1/datasets/health/keeping",
        "application/json",
        both.to_string(),
    );
    assert!(put.await.refusal().contains("exclude each other"));
    assert_eq!(dataset(&net, "health").await.keeping.copies, 1);
}
