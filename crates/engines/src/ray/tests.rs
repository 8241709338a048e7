//! What is asked of Ray, and what its answers mean. The answers in `recorded/` are those of Ray 2.60.0, of
//! 2026-11-29, with the paths of its installation taken off: `jobs.json` and `nodes.json` of a head and a
//! node before that node's daemon was killed, `exists.txt` and `unknown.txt` what came with 500 and 400.

use super::job::{self, Job};
use super::nodes::{Listed, Node, sum};
use super::{Ray, RayConfig, RayPool};
use crate::batch::{Entry, Open, Phase, Queue, Ticket};
use crate::{BootTime, Error, RunAs};
use model::{Bytes, Cores, Span};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const JOBS: &str = include_str!("recorded/jobs.json");
const NODES: &str = include_str!("recorded/nodes.json");
const EXISTS: &str = include_str!("recorded/exists.txt");
const UNKNOWN: &str = include_str!("recorded/unknown.txt");
const PREFIX: &str = "portolan-0123456789abcdef-";

fn jobs() -> BTreeMap<String, Job> {
    let all: Vec<Job> = serde_json::from_str(JOBS).unwrap();
    all.into_iter().map(|job| (job.submission_id.clone().unwrap(), job)).collect()
}

fn alive() -> Vec<Node> {
    serde_json::from_str::<Listed>(NODES).unwrap().alive()
}

fn command() -> [String; 2] {
    ["/shared/supervisor", "/shared/8.1"].map(str::to_owned)
}

fn ticket<'a>(name: &'a str, command: &'a [String]) -> Ticket<'a> {
    Ticket {
        name,
        command,
        dir: Path::new("/shared/8.1"),
        pool: "train",
        tenant: None,
        nodes: 1,
        chips_per_node: 9,
        image: None,
        cores: None,
        memory: Some(Bytes(1 << 30)),
        limit: None,
    }
}

fn pool(resource: &str) -> RayPool {
    let resources = BTreeMap::from([("accelerator_type:X".to_owned(), 0.001)]);
    RayPool { resource: Some(resource.to_owned()), resources, on_demand: false }
}

#[test]
fn what_ray_says_of_a_job_is_no_end_of_it() {
    let said: Vec<String> =
        jobs().iter().map(|(name, job)| format!("{name}: {:?}", job.phase())).collect();
    insta::assert_snapshot!(said.join("\n"));
    let of_tomorrow: Job =
        serde_json::from_value(json!({ "submission_id": "a", "status": "OF_TOMORROW" })).unwrap();
    assert_eq!(of_tomorrow.phase(), Phase::Running);
}

#[test]
fn what_no_node_could_take_is_told_from_what_waits() {
    let jobs = jobs();
    let why = |number: u32| jobs[&format!("{PREFIX}{number}-1")].is_infeasible(&alive());
    let short = "9 of ascend910b are asked of one node, and no node has more than 8";
    assert_eq!(why(8).unwrap(), short);
    // It does not say what it asks for, and is not this engine's.
    assert_eq!(why(9), None);
    let apart = BTreeMap::from([("head".to_owned(), 1.0), ("ascend910b".to_owned(), 1.0)]);
    let why = super::nodes::infeasible(&alive(), &apart).unwrap();
    assert_eq!(why, "no one node has 1 of ascend910b and 1 of head");
}

#[test]
fn nodes_are_counted_by_what_they_have() {
    let all = sum(alive().iter());
    assert_eq!((all.cpu, all.memory), (Cores(12_000), Bytes(30_457_325_159)));
    let count = |pool: &RayPool| alive().iter().filter(|node| pool.has(node)).count();
    let of = |name: &str| RayPool { resource: Some(name.to_owned()), ..RayPool::default() };
    assert_eq!((count(&of("ascend910b")), count(&of("head"))), (1, 1));
    assert_eq!((count(&RayPool::default()), count(&of("TPU"))), (2, 0));
}

#[test]
fn chips_are_asked_for_under_the_names_that_the_center_gives_them() {
    let command = command();
    let mut ticket = ticket("portolan-0123456789abcdef-8-1", &command);
    ticket.cores = Some(Cores(1_500));
    let body =
        |resource: &str| job::submission(&ticket, &job::asks(&ticket, &pool(resource)).unwrap());
    // In which order they are kept is another crate's wish where both are built together.
    insta::with_settings!({ sort_maps => true }, {
        insta::assert_json_snapshot!(body("NPU"));
    });
    let gpus = body("GPU");
    assert_eq!(gpus["entrypoint_num_gpus"], 9.0);
    assert_eq!(gpus["entrypoint_resources"], json!({ "accelerator_type:X": 0.001 }));
}

#[test]
fn what_cannot_be_had_is_refused_with_the_reason() {
    let command = command();
    let mut ticket = ticket("a", &command);
    let refused = |ticket: &Ticket<'_>, pool: &RayPool| match job::asks(ticket, pool) {
        Err(Error::Rejected { said, .. }) => said,
        other => panic!("{other:?}"),
    };
    assert!(refused(&ticket, &RayPool::default()).contains("`train`"));
    ticket.nodes = 2;
    assert!(refused(&ticket, &pool("GPU")).starts_with("2 nodes are wanted at once"));
}

#[test]
fn a_configuration_that_cannot_work_says_what_to_do() {
    let user = Some(RunAs { uid: 1234, gid: 1234 });
    let check = |text: &str| {
        let mut config: RayConfig = toml::from_str(text).unwrap();
        config.run_as = user;
        config.check().unwrap_err().to_string()
    };
    insta::assert_snapshot!(
        [
            "url = 'ray-head:8265'",
            "url = 'http://ray-head:8265'\n[pools.train.resources]\nhost = 0",
            "url = 'http://ray-head:8265'\n[pools.train.resources]\nCPU = 1",
        ]
        .map(check)
        .join("\n")
    );
}

/// A dashboard that answers requests with what was recorded; those it got, oldest first.
async fn dashboard(answers: &[(&str, u16, &str)]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answers: Vec<(String, u16, String)> =
        answers.iter().map(|(a, b, c)| ((*a).to_owned(), *b, (*c).to_owned())).collect();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 65_536];
            let count = stream.read(&mut request).await.unwrap();
            let line = String::from_utf8_lossy(&request[..count]);
            let line = line.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1");
            noted.lock().unwrap().push(line.to_owned());
            let path = line.split('?').next().unwrap_or_default();
            let found = answers.iter().find(|(asks, ..)| asks == path);
            let (status, body) =
                found.map_or((404, "Job nope does not exist"), |(_, status, body)| (*status, body));
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    });
    (url, asked)
}

/// Ray behind a dashboard that answers so, where nothing is waited for.
async fn ray(answers: &[(&str, u16, &str)]) -> (Ray, Arc<Mutex<Vec<String>>>) {
    // Who has a server has one by now; here is none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let version = ("GET /api/version", 200, r#"{ "version": "4", "ray_version": "2.60.0" }"#);
    let usual = [version, ("GET /api/v0/nodes", 200, NODES), ("GET /api/jobs/", 200, JOBS)];
    let all: Vec<(&str, u16, &str)> = answers.iter().chain(&usual).copied().collect();
    let (url, asked) = dashboard(&all).await;
    let config = json!({
        "url": url,
        "run_as": { "uid": nobody(), "gid": nobody() },
        "patience": "0s",
        "pools": {
            "train": { "resource": "ascend910b" },
            "grows": { "resource": "TPU", "on_demand": true },
        },
    });
    let ray = Ray::find(serde_json::from_value(config).unwrap()).await.unwrap();
    asked.lock().unwrap().clear();
    (ray, asked)
}

/// Whom attempts may run as here.
fn nobody() -> u32 {
    match nix::unistd::geteuid() {
        own if own.is_root() => 65_534,
        own => own.as_raw(),
    }
}

#[tokio::test]
async fn what_is_entered_again_is_there_already() {
    let command = command();
    let name = format!("{PREFIX}8-1");
    let there = jobs()[&name].entrypoint.clone();
    assert_eq!(there, job::entrypoint(&command));
    let job = json!({ "submission_id": name, "status": "PENDING", "entrypoint": there });
    let job = job.to_string();
    let other = job.replace("/8.1", "/9.1");
    let entered = async |found: &str| {
        let path = format!("GET /api/jobs/{name}");
        let (ray, _) = ray(&[("POST /api/jobs/", 500, EXISTS), (&path, 200, found)]).await;
        ray.submit(&ticket(&name, &command)).await
    };
    assert_eq!(entered(&job).await.unwrap().name, name);
    let other = entered(&other).await;
    assert!(
        matches!(other, Err(Error::Rejected { said, .. }) if said.starts_with("somebody else"))
    );
    // Nobody knows what a failure means of a job that is not there.
    let (ray, _) = ray(&[("POST /api/jobs/", 500, EXISTS)]).await;
    assert!(matches!(ray.submit(&ticket(&name, &command)).await, Err(Error::Silent { .. })));
}

#[tokio::test]
async fn a_word_that_an_older_ray_does_not_know_is_refused() {
    let (ray, _) = ray(&[("POST /api/jobs/", 400, UNKNOWN)]).await;
    let refused = ray.submit(&ticket("portolan-a-1-1", &command())).await;
    let Err(Error::Rejected { said, .. }) = refused else { panic!("{refused:?}") };
    assert!(said.contains("got an unexpected keyword argument 'bogus'"), "{said}");
}

#[tokio::test]
async fn one_call_tells_of_all_and_what_no_node_could_take_is_given_back() {
    let (ray, asked) = ray(&[]).await;
    let seen = ray.look(PREFIX, &[]).await.unwrap();
    let hopeless: Vec<&Entry> =
        seen.entries.iter().filter(|one| matches!(one.phase, Phase::Hopeless(_))).collect();
    let names: Vec<&str> = hopeless.iter().map(|one| one.name.as_str()).collect();
    // Another is hopeless because Ray itself could not start it.
    assert_eq!(
        names,
        [format!("{PREFIX}12-1"), format!("{PREFIX}8-1")].each_ref().map(String::as_str)
    );
    assert_eq!(seen.entries.len(), jobs().len());
    // Nodes are asked about because something waits.
    assert_eq!(asked.lock().unwrap().len(), 2);
    let active = ray.active(PREFIX).await.unwrap();
    assert_eq!(active.len(), 4, "{active:?}");
    assert!(ray.named(&format!("{PREFIX}99-1")).await.unwrap().is_empty());
}

#[tokio::test]
async fn jobs_that_have_been_over_for_a_while_are_deleted_unless_somebody_asks() {
    let (ray, _) = ray(&[]).await;
    let all: Vec<Job> = jobs().into_values().collect();
    let name = format!("{PREFIX}11-1");
    let open = Open { name: name.clone(), number: name.clone(), is_heard: false };
    let now = BootTime::now();
    assert!(ray.to_delete(&all, PREFIX, &[], now).is_empty());
    let later = now.after(Span::from_secs(600));
    assert!(!ray.to_delete(&all, PREFIX, &[open], later).contains(&name));
    // Whoever asked about it does no more: its time begins anew.
    assert!(!ray.to_delete(&all, PREFIX, &[], later).contains(&name));
    let deleted = ray.to_delete(&all, PREFIX, &[], later.after(Span::from_secs(600)));
    let over = all.iter().filter(|job| job.is_over()).count();
    assert!(deleted.contains(&name) && deleted.len() == over, "{deleted:?}");
    assert!(ray.to_delete(&all, "portolan-another-", &[], later).is_empty());
}

#[tokio::test]
async fn ending_what_is_not_there_or_over_is_no_error() {
    let entry = |name: &str| Entry {
        number: name.to_owned(),
        name: name.to_owned(),
        phase: Phase::Running,
    };
    let (ray, _) = ray(&[
        ("POST /api/jobs/gone/stop", 404, "Job gone does not exist"),
        ("POST /api/jobs/over/stop", 200, r#"{ "stopped": false }"#),
        ("POST /api/jobs/lost/stop", 500, EXISTS),
    ])
    .await;
    assert!(ray.cancel(&entry("gone")).await.is_ok());
    assert!(ray.cancel(&entry("over")).await.is_ok());
    assert!(matches!(ray.cancel(&entry("lost")).await, Err(Error::Silent { .. })));
}

#[tokio::test]
async fn a_token_that_is_refused_is_told() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (url, _) = dashboard(&[("GET /api/version", 401, "Unauthorized")]).await;
    let config = json!({ "url": url, "run_as": { "uid": nobody(), "gid": nobody() } });
    let found = Ray::find(serde_json::from_value(config).unwrap()).await;
    assert!(matches!(found, Err(Error::Setup(why)) if why.contains("`token_file`")));
}

#[tokio::test]
async fn a_pool_is_as_large_as_its_nodes_are() {
    let (ray, _) = ray(&[]).await;
    let counts = [("train", 1), ("grows", u32::MAX)];
    let counts = counts.map(|(pool, count)| (pool.to_owned(), count));
    assert_eq!(ray.nodes().await.unwrap(), BTreeMap::from(counts));
    let sizes = ray.pools().await.unwrap();
    let size = sizes["train"];
    assert!(!sizes.contains_key("grows"), "{sizes:?}");
    let of = alive().into_iter().find(|node| node.amount("ascend910b") > 0.0).unwrap();
    assert_eq!((size.nodes, size.node, size.chips), (1, super::nodes::has(&of), Some(8)));
}
