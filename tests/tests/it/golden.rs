//! Golden logs: every release leaves one, and every later program reads it to the same world.

use crate::in_place::Lake;
use model::Fact;
use model::fact::Record;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;
use whole_system::{Net, Plan, Records, sh};
use world::World;

/// Kinds of fact that no run of a minute on processes can bring about: keys are forgotten after seven
/// days, and where there is a batch system nodes are counted and attempts entered.
const OUT_OF_REACH: [&str; 3] = ["attempt-entered", "keys-forgotten", "nodes-counted"];

fn world(records: &[Record]) -> World {
    let mut world = World::default();
    for record in records {
        world.fold(record.header.at, &record.fact().unwrap()).unwrap();
    }
    world
}

/// A world in words that a person can check: no digests, no moments.
fn summary(records: &[Record]) -> String {
    let (mut text, world) = (String::new(), world(records));
    let mut line = |what: String| writeln!(text, "{what}").unwrap();
    for kind in Fact::KINDS {
        let count = records.iter().filter(|record| record.header.kind == *kind).count();
        // Kinds that came later change nothing in what an older log says.
        if count > 0 {
            line(format!("{count:>4} {kind}"));
        }
    }
    line(format!("\n{} facts, next {:?}", world.number, world.next));
    line(format!(
        "{} chips, {} exchanges, {} links",
        world.chips.len(),
        world.exchanges.len(),
        world.links.len()
    ));
    for (name, state) in &world.centers {
        let agent = if state.agent.is_some() { "with an agent" } else { "without an agent" };
        line(format!("center {name} {agent}, live {:?}", world.live(name).count()));
    }
    for tenant in world.tenants.values() {
        line(format!("tenant {} of weight {}", tenant.tenant, tenant.weight));
    }
    let mut tokens: Vec<_> = world.tokens.values().collect();
    tokens.sort_by_key(|token| token.token);
    for token in tokens {
        line(format!("{} for {}", token.token, token.role));
    }
    for job in world.jobs.iter() {
        let (id, spec, state) = (job.job, &job.spec, job.phase.word());
        line(format!("{id} {:?} of {}: {state}, {} attempts", spec.name, spec.tenant, job.epoch));
        for past in &job.past {
            line(format!("  .{} in {}: {}", past.epoch, past.placement.center(), past.outcome));
        }
    }
    for (name, dataset) in &world.datasets {
        for version in &dataset.versions {
            let data = &version.registered;
            let at: Vec<String> = version.replicas.keys().map(ToString::to_string).collect();
            line(format!("dataset {name} of {}: {} at {}", data.tenant, data.bytes, at.join(", ")));
        }
    }
    line(format!("{} transfers, ended {:?}", world.transfers.len(), world.ended));
    text
}

#[tokio::test]
async fn golden_logs_are_read_as_they_were_when_they_were_written() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut logs: Vec<_> = fs::read_dir(&golden).unwrap().map(|e| e.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|ending| ending == "log"));
    assert!(!logs.is_empty());
    for path in logs {
        let text = fs::read(&path).unwrap();
        let records: Vec<Record> = store::transcript(&text[..]).map(Result::unwrap).collect();
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap();
        assert_eq!(summary(&records), expected, "{}", path.display());
        let mut history = audit::History::default();
        for record in &records {
            let wrong = history.take(record.header.at, &record.fact().unwrap());
            assert!(wrong.is_empty(), "{}: {wrong:?}", path.display());
        }
        // A log made from it anew leads to the same head, so nothing in it is written differently.
        let dir = tempfile::tempdir().unwrap();
        let head = store::import(dir.path(), &text[..], store::Settings::default()).await.unwrap();
        let again = Records::read(dir.path()).await;
        assert_eq!((again.head, again.records), (head, records));
    }
}

async fn cancel(net: &Net, job: model::JobId) {
    let canceled = net.tenant("lab").post(&format!("/v1/jobs/{job}/cancel"), &json!(null)).await;
    assert_eq!(canceled.status, 200, "{}", canceled.text);
}

fn gang(name: &str, script: &str) -> Value {
    let mut job = sh(name, script);
    (job["on"], job["nodes"], job["chips"]) = ("cuda".into(), 2.into(), 8.into());
    job
}

/// Everything that can happen to jobs happens.
async fn jobs(net: &mut Net) {
    let done = net.submit("lab", &sh("done", "true")).await;
    let mut failed = sh("failed", "exit 5");
    failed["retries"] = 1.into();
    let failed = net.submit("startup", &failed).await;
    let mut late = sh("late", "sleep 60");
    late["limit"] = "1s".into();
    let late = net.submit("university", &late).await;
    let mut after = sh("after", "true");
    after["after"] = json!([{"job": failed.to_string(), "when": "afterany"}]);
    let after = net.submit("startup", &after).await;
    for job in [done, failed, late, after] {
        net.ended(job).await;
    }
    // One gang runs, one is told when it may, one is held, released and canceled meanwhile.
    let first = net.submit("lab", &gang("first gang", "sleep 60")).await;
    net.in_state(first, "running").await;
    let second = net.submit("lab", &gang("second gang", "true")).await;
    net.job_once(second, "is promised a start", |job| job.job.promised_ms.is_some()).await;
    let mut nowhere = sh("nowhere", "true");
    (nowhere["on"], nowhere["chips"]) = ("musa".into(), 1.into());
    let nowhere = net.submit("lab", &nowhere).await;
    for change in ["hold", "release"] {
        let path = format!("/v1/jobs/{nowhere}/{change}");
        assert_eq!(net.tenant("lab").post(&path, &json!(null)).await.status, 200);
    }
    cancel(net, nowhere).await;
    cancel(net, first).await;
    net.ended(second).await;
    // One makes room for another and goes on from its checkpoint.
    let script = "step=$PORTOLAN_CHECKPOINT/step; [ -e $step ] && exit; \
                  trap 'echo 1 >$step; exit 3' USR1; echo begun; while :; do sleep 0.05; done";
    let mut low = gang("gives way", script);
    low["preemptible"] = true.into();
    low["limit"] = "1h".into();
    low["checkpoint"] = json!({"path": "checkpoint", "signal": "USR1", "grace": "20s"});
    let low = net.submit("lab", &low).await;
    let logs = format!("/v1/jobs/{low}/logs");
    let begun = async || (net.operator().get(&logs).await.text.contains("begun")).then_some(());
    net.until("it listens to its signal", begun).await;
    let mut high = gang("urgent", "true");
    high["priority"] = 5.into();
    let high = net.submit("startup", &high).await;
    net.ended(high).await;
    net.ended(low).await;
}

/// Data is put, moved, made, lost and removed.
async fn data(net: &mut Net) {
    let bytes: Vec<u8> = (0..60_000_u32).map(|n| b'a' + u8::try_from(n % 23).unwrap()).collect();
    net.put("lab", ("letters", "lingang"), ("letters.txt", &bytes), &["cn/yrd"]).await;
    let mut job = sh("count", "wc -c <$PORTOLAN_INPUT_L/letters.txt >$PORTOLAN_OUTPUT_N/count");
    job["centers"] = json!(["kunshan"]);
    job["input"] = json!([{"name": "l", "dataset": "letters"}]);
    job["output"] = json!([{"name": "n", "dataset": "counts"}]);
    let job = net.submit("lab", &job).await;
    assert_eq!(net.ended(job).await.job.state, "completed");
    net.stop_agent("kunshan").await;
    fs::remove_dir_all(net.agent_dir("kunshan").join("store")).unwrap();
    net.start_agent("kunshan").await;
    let lost = async || {
        let told = net.told();
        told.iter().any(|(_, kind)| kind == "replica-removed").then_some(())
    };
    net.until("the loss of a store is noticed", lost).await;
    assert_eq!(net.tenant("lab").delete("/v1/datasets/counts").await.status, 204);
}

/// A link is tested, one way at least.
async fn test_of_a_link(net: &Net) {
    assert_eq!(net.apply(&crate::quality::narrow()).await.status, 200);
    let asked = net.operator().post("/v1/links/kunshan--sh-ixp/test", &json!(null)).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    net.until("the link is tested", async || {
        let links: wire::view::Links = net.operator().get("/v1/links").await.ok();
        links.links.iter().any(|link| !link.tested.is_empty()).then_some(())
    })
    .await;
}

/// Copies are asked for, kept, read, doubted, damaged and let go.
async fn copies(net: &mut Net) {
    let lab = net.tenant("lab").clone();
    let telling = async |kind: &str| {
        let told = async || net.told().iter().any(|(_, told)| told == kind).then_some(());
        net.until(&format!("{kind} is told"), told).await;
    };
    let keep = async |name: &str, rules: Value| {
        let (place, rules) = (format!("/v1/datasets/{name}/keeping"), rules.to_string());
        let kept = lab.with_body(Method::PUT, &place, "application/json", rules).await;
        assert_eq!(kept.status, 200, "{}", kept.text);
    };
    let copy = async |name: &str, center: &str| {
        let wanted = json!({"center": center});
        let planned = lab.post(&format!("/v1/datasets/{name}/copies"), &wanted).await;
        assert_eq!(planned.status, 200, "{}", planned.text);
    };
    copy("letters", "zhangjiang").await;
    net.until_copy("letters", "zhangjiang").await;
    let gone = lab.delete("/v1/datasets/letters/copies?center=zhangjiang").await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    keep("letters", json!({"copies": 2, "pinned": ["lingang"]})).await;
    net.until("there are two copies", async || {
        let known: wire::view::Dataset = lab.get("/v1/datasets/letters").await.ok();
        (known.versions[0].replicas.len() == 2).then_some(())
    })
    .await;
    assert_eq!(lab.post("/v1/scrubs", &json!({"dataset": "letters"})).await.status, 200);
    telling("replica-verified").await;

    net.put("lab", ("figures", "lingang"), ("figures.txt", b"1 2 3"), &[]).await;
    net.rot("lingang", "figures.txt", 2);
    copy("figures", "kunshan").await;
    telling("replica-doubted").await;
    telling("replica-damaged").await;
    keep("figures", json!({"expires_after_ms": 1})).await;
    telling("version-removed").await;
}

/// A link is cut over which a job reads, and carries again.
async fn reads(net: &mut Net) {
    let mut reader = sh("reader", "sleep 60");
    reader["centers"] = json!(["kunshan"]);
    reader["input"] = json!([{"name": "s", "dataset": "squares", "stream": "10 Mbit/s"}]);
    let reader = net.submit("lab", &reader).await;
    net.in_state(reader, "running").await;
    for change in ["cut", "mend"] {
        let path = format!("/v1/links/kunshan--sh-ixp/{change}");
        assert_eq!(net.operator().post(&path, &json!(null)).await.status, 204);
    }
    cancel(net, reader).await;
}

/// Flavors are declared, and an owner takes back what it lent.
async fn shares(net: &Net) {
    let flavor = "[[flavor]]\nflavor = \"hip\"\nclasses = [\"hip\"]\n\
                  [[priority_class]]\npriority_class = \"urgent\"\nvalue = 1000\n";
    let applied = net.apply(flavor).await;
    assert!(applied.status < 300, "{}", applied.text);
    let recalled =
        net.operator().post("/v1/centers/kunshan/recall", &json!({"chips": 1_000})).await;
    assert!(recalled.status < 300, "{}", recalled.text);
    let again = net.operator().post("/v1/centers/kunshan/recall", &json!({"chips": 0})).await;
    assert!(again.status < 300, "{}", again.text);
}

/// A center shows what it is like, and the network asks for nothing more.
async fn shown(net: &Net) {
    let check = json!({
        "taken_ms": 1, "engine": "process", "version": "1", "enforcement": "time limits only",
        "met": 16, "asked": 16, "findings": [], "pools": []
    });
    let bench = json!({
        "taken_ms": 1, "version": "1", "figures": [], "commands": [], "missing": [],
        "host": {"name": "node1", "cpu": "a processor", "cores": 2, "memory_bytes": 1}
    });
    let told = [("checks", check), ("benches?pool=a100", bench)];
    for (what, report) in told {
        let path = format!("/v1/centers/lingang/{what}");
        let answer = net.operator().post(&path, &report).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
    }
    let applied = net.apply("[admission]\nreadiness = 1.0\n").await;
    assert!(applied.status < 300, "{}", applied.text);
    let applied = net.apply("[admission]\nreadiness = 0\n").await;
    assert!(applied.status < 300, "{}", applied.text);
}

/// A center is lost, a token revoked, the log restored from a copy.
async fn changes(net: &mut Net) {
    let mut job = sh("survivor", "[ $PORTOLAN_EPOCH = 2 ] || sleep 60");
    job["when_cut_off"] = "move".into();
    let job = net.submit("lab", &job).await;
    let center = net.in_state(job, "running").await.job.center.unwrap().to_string();
    net.burn(&center);
    let lost = net.operator().post(&format!("/v1/centers/{center}/lost"), &json!(null)).await;
    assert!(lost.status < 300, "{}", lost.text);
    assert_eq!(net.ended(job).await.job.state, "completed");
    let token: wire::view::TokenSecret =
        net.operator().post("/v1/tokens", &json!({"role": "operator"})).await.ok();
    let gone = net.operator().delete(&format!("/v1/tokens/{}", token.token.token)).await;
    assert_eq!(gone.status, 204);
    // Ended jobs are archived a little after.
    let archived =
        async || net.told().iter().any(|(_, kind)| kind == "jobs-archived").then_some(());
    net.within(Duration::from_secs(60), "ended jobs are archived", archived).await;
    net.stop_server().await;
    let restored = net.cli(net.operator(), &["log", "restore", "--dir", "server"]).await;
    assert_eq!(restored.code, Some(0), "{}{}", restored.stdout, restored.stderr);
    net.start_server().await;
}

/// Also how a release's golden log is made: with `PORTOLAN_GOLDEN=v2` the run is left as
/// `golden/v2.log` and `golden/v2.txt`, to be looked through and committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_in_which_everything_happens_leaves_every_kind_of_fact() {
    let lake = Lake::new();
    let mut net = Plan::laptop()
        .serve(&["--keep-ended", "2s", "--poll", "1s", "--quality-window", "2s"])
        .agent(&["--probe-listen", "127.0.0.1:0", "--stores", &lake.text("stores.toml")])
        .start()
        .await;
    jobs(&mut net).await;
    data(&mut net).await;
    copies(&mut net).await;
    lake.register(&net, "lingang").await;
    reads(&mut net).await;
    lake.archive(&net, "lingang").await;
    test_of_a_link(&net).await;
    crate::quality::until_rated(&mut net).await;
    shares(&net).await;
    shown(&net).await;
    changes(&mut net).await;
    for center in net.centers() {
        net.stop_agent(&center).await;
    }
    net.stop_server().await;
    let records = Records::read(&net.server_dir()).await;
    if let Ok(name) = std::env::var("PORTOLAN_GOLDEN") {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
        let log = fs::File::create(golden.join(format!("{name}.log"))).unwrap();
        store::export(&net.server_dir(), log).await.unwrap();
        fs::write(golden.join(format!("{name}.txt")), summary(&records.records)).unwrap();
    }
    let found: BTreeSet<String> = records.kinds().into_keys().collect();
    let missing: BTreeSet<&str> =
        Fact::KINDS.iter().copied().filter(|kind| !found.contains(*kind)).collect();
    assert_eq!(missing, BTreeSet::from(OUT_OF_REACH));
    assert_eq!(records.violations(), Vec::<String>::new());
}
