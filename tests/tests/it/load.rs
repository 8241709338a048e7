//! A load, replayed through a real server and timer agents.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use whole_system::{Net, Plan};
use wire::view;

const TIMERS: &str = include_str!("../../../catalog/networks/timers.toml");

/// Three tenants; jobs that all three pools can take, that only one can, and that none can.
fn table() -> String {
    let mut table = "submit,tenant,chips,work,limit,workload,priority,models,end\n".to_owned();
    for number in 0..120 {
        let tenant = ["lab", "startup", "university"][number % 3];
        let (at, run) = (number as f64 * 0.01, 0.1 + number as f64 % 7.0 / 10.0);
        let line = match number % 4 {
            0 => format!("{at},{tenant},16,{run},5,large,10,,ok\n"),
            1 => format!("{at},{tenant},8,{run},5,picky,0,nvidia-h20,ok\n"),
            2 => format!("{at},{tenant},0.5,{run},5,share,0,,failed\n"),
            _ => format!("{at},{tenant},1,{run},5,small,0,,ok\n"),
        };
        table.push_str(&line);
    }
    table.push_str("1.2,lab,256,1,5,huge,0,,ok\n");
    table
}

async fn load(net: &Net, args: &[&str]) -> (Value, String) {
    let args: Vec<&str> = ["load"].iter().chain(args).copied().collect();
    let done = net.cli(net.operator(), &args).await;
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    (serde_json::from_str(&done.stdout).unwrap_or(Value::Null), done.stdout)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_runs_to_its_end_and_no_faster_than_arithmetic_allows() {
    let net = Plan::of(TIMERS).start().await;
    let file = net.dir().join("jobs.csv");
    fs::write(&file, table()).unwrap();
    let file = file.display().to_string();
    let (json, _) = load(&net, &[&file, "--output", "json"]).await;
    assert_eq!(json["jobs"], 120);
    assert_eq!(json["unfit"], 1);
    for none in ["lost", "refused", "astray"] {
        assert_eq!(json[none], 0, "{json}");
    }
    assert_eq!(json["ended"], json!({"completed": 90, "failed": 30}));
    let floor = json["floor"]["ms"].as_u64().unwrap();
    let makespan = json["makespan_ms"].as_u64().unwrap();
    assert!(1_190 <= floor && floor <= makespan, "{json}");
    let busy = json["utilization_pct"].as_f64().unwrap();
    assert!(busy > 0.0 && busy <= 100.0, "{json}");
    let classes: BTreeMap<&str, u64> = json["classes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|class| (class["class"].as_str().unwrap(), class["jobs"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        classes,
        BTreeMap::from([("large", 30), ("picky", 30), ("share", 30), ("small", 30)])
    );
    for class in json["classes"].as_array().unwrap() {
        let (admitted, started) = (&class["admitted_ms"], &class["started_ms"]);
        assert!(admitted["p50"].as_u64() <= started["max"].as_u64(), "{class}");
    }

    // The server agrees, and knew no more of run times than the limits.
    let jobs = net.jobs().await;
    assert_eq!(jobs.len(), 120);
    assert!(jobs.iter().all(|job| job.ended_ms.is_some()));
    let picky = jobs.iter().filter(|job| job.name == "picky");
    assert!(picky.into_iter().all(|job| job.pool.as_ref().is_some_and(|p| p.as_str() == "h20")));
    let took: Vec<u64> =
        jobs.iter().map(|job| job.ended_ms.unwrap().0 - job.submitted_ms.0).collect();
    assert!(took.iter().all(|took| *took >= 99), "{took:?}");
    let one: view::JobDetail = net.job(jobs[0].job).await;
    assert_eq!(one.asked.limit_ms.map(|limit| limit.0), Some(5_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_names_what_a_network_lacks_and_what_to_do() {
    let net = Plan::of(TIMERS).only(&["lingang"]).start().await;
    let file = net.dir().join("jobs.csv");
    fs::write(&file, "submit,tenant,chips,work\n0,nobody,1,0.2\n0,nobody-else,2,0.1\n").unwrap();
    let file = file.display().to_string();
    let refused = net.cli(net.operator(), &["load", &file]).await;
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert!(refused.stderr.contains("no tenants nobody, nobody-else"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--declare-tenants"), "{}", refused.stderr);
    assert!(net.jobs().await.is_empty());

    // For another, as a tenant, as fast as can be; then for those declared on the way.
    let own =
        net.cli(net.tenant("lab"), &["load", &file, "--tenant", "lab", "--speed", "max"]).await;
    assert_eq!(own.code, Some(0), "{}", own.stderr);
    assert!(own.stderr.contains("no agent is there for 2 timer centers"), "{}", own.stderr);
    assert!(own.stdout.contains("2 of 1 tenant: 2 completed"), "{}", own.stdout);
    let (_, text) = load(&net, &[&file, "--declare-tenants", "--speed", "2"]).await;
    assert!(text.contains("2 of 2 tenants: 2 completed"), "{text}");

    let nothing = Plan::laptop().only(&[]).start().await;
    let refused = nothing.cli(nothing.operator(), &["load", &file, "--tenant", "lab"]).await;
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert!(refused.stderr.contains("no center of this network runs timers"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_survives_the_death_of_the_server() {
    let mut net = Plan::of(TIMERS).start().await;
    let file = net.dir().join("jobs.csv");
    let row = |n: usize| format!("{},lab,4,0.4\n", n as f64 * 0.02);
    let rows: String = (0..150).map(row).collect();
    fs::write(&file, format!("submit,tenant,chips,work\n{rows}")).unwrap();
    let file = file.display().to_string();
    let (url, token) = (net.url(), net.operator().token().to_owned());
    let dir = net.dir().to_owned();
    let loading = tokio::spawn(async move {
        let env = [("PORTOLAN_SERVER", &*url), ("PORTOLAN_TOKEN", &*token)];
        whole_system::Finished::run(&["load", &file, "--output", "json"], &env, &dir).await
    });
    let some = async || (net.jobs().await.len() > 40).then_some(());
    net.until("some jobs were submitted", some).await;
    net.kill_server();
    net.start_server().await;
    let done = loading.await.unwrap();
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let json: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(json["ended"], json!({"completed": 150}));
    assert_eq!(net.jobs().await.len(), 150, "nothing was submitted twice");
}
