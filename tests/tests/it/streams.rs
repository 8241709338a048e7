//! Inputs that are read over the network while a job runs.

use serde_json::{Value, json};
use std::fs;
use whole_system::{Net, Plan, Records, sh};
use wire::view;

/// Text that no two chunks of are alike.
fn numbers(bytes: usize) -> Vec<u8> {
    (0_u64..).flat_map(|n| format!("{}\n", n * n).into_bytes()).take(bytes).collect()
}

const MANY: usize = 12_500_000;

/// A job in Kunshan that reads the squares at so many Mbit/s and runs `script`.
fn reader(name: &str, mbps: u32, script: &str) -> Value {
    let mut job = sh(name, script);
    job["centers"] = json!(["kunshan"]);
    let stream = format!("{mbps} Mbit/s");
    job["input"] = json!([{"name": "data", "dataset": "squares", "stream": stream}]);
    job
}

async fn net_with_squares() -> Net {
    let net = Plan::laptop().only(&["lingang", "kunshan"]).start().await;
    let bytes = numbers(MANY);
    net.put("lab", ("squares", "lingang"), ("squares.txt", &bytes), &[]).await;
    net
}

async fn log_of(net: &Net, job: model::JobId) -> String {
    net.tenant("lab").get(&format!("/v1/jobs/{job}/logs")).await.text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_reads_its_data_over_the_network_at_a_rate_that_is_kept_free_for_it() {
    let mut net = net_with_squares().await;
    let go = net.agent_dir("kunshan").join("go");
    let script = format!(
        "set -e; curl -sf $PORTOLAN_INPUT_DATA/; curl -sf $PORTOLAN_INPUT_DATA/squares.txt | cksum; \
         curl -sf -r 6000000-6000999 $PORTOLAN_INPUT_DATA/squares.txt | cksum; \
         curl -s -o /dev/null -w '%{{http_code}}\\n' $PORTOLAN_INPUT_DATA/cubes.txt; \
         while [ ! -e {} ]; do sleep 0.05; done",
        go.display()
    );
    let job = net.submit("lab", &reader("first", 400, &script)).await;
    let running = net.in_state(job, "running").await;
    let stream = &running.tries[0].streams[0];
    assert_eq!((stream.input.as_str(), stream.from.as_str()), ("data", "lingang"));
    assert_eq!(stream.links, ["lingang--sh-ixp", "kunshan--sh-ixp"]);
    assert_eq!(stream.rate_bps.0, 416_000_000, "headers are counted");
    assert!(running.tries[0].awaits.is_empty(), "nothing is brought first");
    let known: view::Links = net.operator().get("/v1/links").await.ok();
    for link in known.links {
        let booked = link.booked_forward_bps.0 + link.booked_backward_bps.0;
        let is_crossed = stream.links.contains(&link.link.to_string());
        assert_eq!(booked, if is_crossed { 416_000_000 } else { 0 }, "{}", link.link);
    }

    // The link to Kunshan carries 1 Gbit/s: there is no room for both.
    let other = net.submit("lab", &reader("second", 700, "true")).await;
    let told = net.job_once(other, "is told a start", |job| job.job.promised_ms.is_some()).await;
    assert_eq!(told.job.state, "waiting");
    assert!(told.job.promised_ms >= Some(running.tries[0].until_ms), "{told:?}");
    let too_much = net.submit("lab", &reader("third", 1_100, "true")).await;
    let why: view::Why = net.tenant("lab").get(&format!("/v1/jobs/{too_much}/why")).await.ok();
    assert!(why.summary.contains("ever has 1.1 Gbit/s for so long"), "{}", why.summary);

    fs::write(&go, "").unwrap();
    for job in [job, other] {
        let ended = net.ended(job).await;
        assert_eq!(ended.job.state, "completed", "{ended:?} {}", log_of(&net, job).await);
    }
    let bytes = numbers(MANY);
    let sums = |bytes: &[u8]| {
        let path = net.agent_dir("kunshan").join("sum");
        fs::write(&path, bytes).unwrap();
        let mut cksum = std::process::Command::new("cksum");
        let sum = cksum.stdin(fs::File::open(&path).unwrap()).output().unwrap();
        String::from_utf8(sum.stdout).unwrap()
    };
    let wanted =
        format!("squares.txt\n{}{}404\n", sums(&bytes), sums(&bytes[6_000_000..6_001_000]));
    assert_eq!(log_of(&net, job).await, wanted);
    let replicas = net.agent_dir("kunshan").join("store/replicas");
    assert!(fs::read_dir(replicas).unwrap().next().is_none(), "nothing was kept");
    net.stop_server().await;
    let records = Records::read(&net.server_dir()).await;
    assert_eq!(records.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_reads_on_when_either_agent_was_started_anew() {
    let mut net = net_with_squares().await;
    let go = net.agent_dir("kunshan").join("go");
    let script = format!(
        "curl -sf -r 0-9 $PORTOLAN_INPUT_DATA/squares.txt; echo begun; \
         while [ ! -e {} ]; do sleep 0.05; done; \
         curl -sf --retry 30 --retry-delay 1 --retry-connrefused \
         $PORTOLAN_INPUT_DATA/squares.txt | wc -c",
        go.display()
    );
    let job = reader("reader", 200, &script);
    let job = net.submit("lab", &job).await;
    let told = async || log_of(&net, job).await.contains("begun").then_some(());
    net.until("it has read a little", told).await;
    for center in ["lingang", "kunshan"] {
        net.stop_agent(center).await;
    }
    for center in ["kunshan", "lingang"] {
        net.start_agent(center).await;
        net.until_there(center).await;
    }
    fs::write(&go, "").unwrap();
    let ended = net.ended(job).await;
    let log = log_of(&net, job).await;
    assert_eq!(ended.job.state, "completed", "{ended:?} {log}");
    assert_eq!(ended.tries.len(), 1);
    assert!(log.ends_with(&format!("{MANY}\n")), "{log}");
}
