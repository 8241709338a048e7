//! Data registered where it lies.

use model::{Fact, Rate, Span};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use whole_system::{Net, Plan, sh};
use wire::view;

/// Text that no two chunks of are alike.
fn numbers(bytes: usize) -> Vec<u8> {
    (0_u64..).flat_map(|n| format!("{}\n", n * n).into_bytes()).take(bytes).collect()
}

/// A lake of files beside a network, and the file that names it.
pub(crate) struct Lake {
    dir: tempfile::TempDir,
}

impl Lake {
    pub(crate) fn new() -> Self {
        let lake = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(lake.path("lake/in/deep")).unwrap();
        fs::write(lake.path("lake/in/squares.txt"), numbers(3_500_000)).unwrap();
        fs::write(lake.path("lake/in/deep/small"), "few").unwrap();
        fs::create_dir_all(lake.path("tape")).unwrap();
        // What others keep there leaves room by what the network knows, and none in truth.
        fs::create_dir_all(lake.path("full")).unwrap();
        fs::write(lake.path("full/others"), numbers(1_000_000)).unwrap();
        let store = |name: &str, rest: &str| {
            let root = lake.path(name);
            format!("[[store]]\nname = '{name}'\nkind = 'fs'\nroot = {root:?}\n{rest}\n")
        };
        let tape = store("tape", "tier = 'cold'\nrecall = '2s'\ncapacity = '64 MiB'");
        let full = store("full", "capacity = '1000 kB'");
        let stores = store("lake", "tier = 'warm'") + &tape + &full;
        fs::write(lake.path("stores.toml"), stores).unwrap();
        lake
    }

    fn path(&self, rest: &str) -> PathBuf {
        self.dir.path().join(rest)
    }

    /// Puts `cubes` into a center's own store and has it archived, after a store that is full in truth
    /// did not take it. Then its own copy goes.
    pub(crate) async fn archive(&self, net: &Net, center: &str) {
        let lab = net.tenant("lab");
        net.put("lab", ("cubes", center), ("cubes.txt", &numbers(300_000)), &[]).await;
        let args =
            |store: &'static str| ["data", "archive", "cubes", "--at", center, "--to", store];
        let refused = net.cli(lab, &args("attic")).await;
        assert!(refused.stderr.contains("it has full, lake, tape"), "{}", refused.stderr);
        let asked = net.cli(lab, &args("full")).await;
        assert_eq!(asked.code, Some(0), "{}{}", asked.stdout, asked.stderr);
        let said = async || {
            let told = net.cli(lab, &["data", "ls", "cubes"]).await;
            told.stdout.contains("could not be put into full").then_some(())
        };
        net.until("it is told that the store is full", said).await;
        let asked = net.cli(lab, &args("tape")).await;
        assert_eq!(asked.code, Some(0), "{}{}", asked.stdout, asked.stderr);
        lies_in(net, center, |copy| copy.also_in.as_ref()).await;
        let path = format!("/v1/datasets/cubes/copies?center={center}");
        let gone = lab.delete(&path).await;
        assert_eq!(gone.status, 204, "{}", gone.text);
        lies_in(net, center, |copy| copy.in_store.as_ref()).await;
        let du = net.cli(lab, &["data", "du", "--center", center]).await;
        assert!(du.stdout.contains("whole, in tape"), "{}", du.stdout);
    }

    /// How many files are on the tape.
    fn on_tape(&self) -> usize {
        let mut dirs = vec![self.path("tape")];
        let mut files = 0;
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
                match entry.path().is_dir() {
                    true => dirs.push(entry.path()),
                    false => files += 1,
                }
            }
        }
        files
    }

    pub(crate) fn text(&self, rest: &str) -> String {
        self.path(rest).to_str().unwrap().to_owned()
    }

    async fn net(&self, centers: &[&str]) -> Net {
        let stores = self.text("stores.toml");
        Plan::laptop().only(centers).agent(&["--stores", &stores]).start().await
    }

    /// Registers `lake:in` as `squares`.
    pub(crate) async fn register(&self, net: &Net, center: &str) {
        let (stores, dir) = (self.text("stores.toml"), net.agent_dir(center));
        let args = ["data", "register", "squares", "--at", center, "--in", "lake:in"];
        let beside = ["--stores", &stores, "--dir", dir.to_str().unwrap()];
        let done = net.cli(net.tenant("lab"), &[&args[..], &beside[..]].concat()).await;
        assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
        assert!(done.stdout.contains(&format!("{center} (in lake)")), "{}", done.stdout);
    }
}

/// Waits until the copy of `cubes` in a center lies on the tape, as `store` looks it up.
async fn lies_in(net: &Net, center: &str, store: impl Fn(&view::Copy) -> Option<&model::StoreId>) {
    let there = async || {
        let known: view::Dataset = net.tenant("lab").get("/v1/datasets/cubes").await.ok();
        let mut copies = known.versions[0].copies.iter();
        let copy = copies.find(|copy| copy.center.as_str() == center)?;
        (store(copy)?.as_str() == "tape").then_some(())
    };
    net.until("it lies on the tape", there).await;
}

/// A job in `center` that sums up all files of the dataset.
fn reader(center: &str) -> Value {
    let mut job = sh("reader", "cd $PORTOLAN_INPUT_DATA && cat squares.txt deep/small | wc -c");
    job["centers"] = json!([center]);
    job["input"] = json!([{"name": "data", "dataset": "squares"}]);
    job
}

async fn reads_it_all(net: &Net, center: &str) -> view::JobDetail {
    let job = net.submit("lab", &reader(center)).await;
    let ended = net.ended(job).await;
    assert_eq!(ended.job.state, "completed", "{ended:?}");
    let log = net.tenant("lab").get(&format!("/v1/jobs/{job}/logs")).await;
    assert!(log.text.contains("3500003"), "{}", log.text);
    ended
}

async fn copies(net: &Net) -> Vec<view::Copy> {
    let known: view::Dataset = net.tenant("lab").get("/v1/datasets/squares").await.ok();
    known.versions[0].copies.clone()
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_registered_where_it_lies_is_read_in_another_center_and_in_its_own() {
    let lake = Lake::new();
    let mut net = lake.net(&["lingang", "kunshan"]).await;
    lake.register(&net, "lingang").await;
    net.stop_agent("lingang").await;
    net.start_agent("lingang").await;
    let there = reads_it_all(&net, "kunshan").await;
    assert_eq!(there.tries[0].awaits.len(), 1, "its data came by a transfer: {there:?}");
    let replicas = net.agent_dir("lingang").join("store/replicas");
    assert!(is_empty(&replicas), "serving it takes no room");
    let stores: view::Stores = net.operator().get("/v1/stores").await.ok();
    let lingang = stores.stores.iter().find(|store| store.center.as_str() == "lingang").unwrap();
    assert_eq!((lingang.copies_bytes.0, lingang.other_bytes.0), (0, 0), "{lingang:?}");

    reads_it_all(&net, "lingang").await;
    assert!(!is_empty(&replicas), "a job reads a verified copy");
    let in_own = async || {
        let copies = copies(&net).await;
        let lingang = copies.into_iter().find(|copy| copy.center.as_str() == "lingang");
        lingang.filter(|copy| copy.in_store.is_none())
    };
    net.until("the copy that was brought counts", in_own).await;

    // The copy goes, and the data is where it was.
    let gone = net.operator().delete("/v1/datasets/squares/copies?center=lingang").await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    let in_lake = async || {
        let copies = copies(&net).await;
        let lingang = copies.into_iter().find(|copy| copy.center.as_str() == "lingang");
        lingang.filter(|copy| copy.in_store.is_some())
    };
    net.until("it lies in the lake alone", in_lake).await;
    assert!(is_empty(&replicas));

    lake.archive(&net, "lingang").await;
    assert_eq!(lake.on_tape(), 2, "a file and its manifest");
    let mut job = sh("recaller", "wc -c <$PORTOLAN_INPUT_DATA/cubes.txt");
    job["centers"] = json!(["kunshan"]);
    job["input"] = json!([{"name": "data", "dataset": "cubes"}]);
    let job = net.submit("lab", &job).await;
    assert_eq!(net.ended(job).await.job.state, "completed");
    assert_eq!(net.tenant("lab").delete("/v1/datasets/cubes").await.status, 204);
    let removed = async || (lake.on_tape() == 0).then_some(());
    net.until("what was archived is removed with it", removed).await;
    assert!(lake.path("lake/in/deep/small").exists(), "what was registered is not ours to remove");
    net.stop_server().await;
    let records = whole_system::Records::read(&net.server_dir()).await;
    let recalled = records.records.iter().filter_map(|record| {
        let Ok(Fact::TransferPlanned(staging)) = record.fact() else { return None };
        let is_it = staging.data.dataset.as_str() == "cubes";
        let begins = staging.steps.iter().find(|step| step.rate > Rate::ZERO)?.from;
        is_it.then(|| begins.since(record.header.at))
    });
    let recalled: Vec<Span> = recalled.collect();
    assert!(!recalled.is_empty(), "it came by a transfer");
    assert!(recalled.iter().all(|after| *after >= Span::from_secs(2)), "{recalled:?}");
    assert_eq!(records.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_that_changed_where_it_lies_counts_no_more_and_is_never_given_to_a_job() {
    let lake = Lake::new();
    let net = lake.net(&["lingang"]).await;
    lake.register(&net, "lingang").await;
    let file = lake.path("lake/in/squares.txt");
    let mut bytes = fs::read(&file).unwrap();
    bytes[2_000_000] ^= 1;
    fs::write(&file, bytes).unwrap();
    let job = net.submit("lab", &reader("lingang")).await;
    let said = "`in/squares.txt` in the store `lake` is not what it was";
    net.until("it is told", async || net.said("lingang").contains(said).then_some(())).await;
    assert!(net.job(job).await.job.started_ms.is_none(), "it ran with other data");
    assert_eq!(
        net.tenant("lab").post("/v1/scrubs", &json!({"dataset": "squares"})).await.status,
        200
    );
    let damaged = async || {
        let damaged = |copy: &view::Copy| copy.state == view::CopyState::Damaged { chunks: 1 };
        copies(&net).await.iter().any(damaged).then_some(())
    };
    net.until("it counts no more", damaged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_are_tried_and_mistakes_about_them_are_told() {
    let lake = Lake::new();
    let net = lake.net(&["lingang"]).await;
    let (stores, lab) = (lake.text("stores.toml"), net.tenant("lab").clone());
    let tried = net.cli(&lab, &["stores", &stores]).await;
    assert_eq!(tried.code, Some(0), "{}{}", tried.stdout, tried.stderr);
    assert!(tried.stdout.contains("lake") && tried.stdout.contains("warm"), "{}", tried.stdout);
    let none = lake.text("none");
    let register = |location: &'static str, dir: &str| {
        let args = ["data", "register", "x", "--at", "lingang", "--in", location, "--stores"];
        args.into_iter().map(str::to_owned).chain([stores.clone(), "--dir".into(), dir.into()])
    };
    let agent = net.agent_dir("lingang").to_str().unwrap().to_owned();
    for (location, dir, says) in [
        ("lake:in", &none, "is not the directory of an agent"),
        ("pond:in", &agent, "no store `pond` is configured"),
        ("lake:out", &agent, "it is not there"),
        ("lake/in", &agent, "write STORE:PATH"),
    ] {
        let args: Vec<String> = register(location, dir).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let done = net.cli(&lab, &args).await;
        assert_ne!(done.code, Some(0), "{location}");
        assert!(done.stderr.contains(says), "{location}: {}", done.stderr);
    }
}
