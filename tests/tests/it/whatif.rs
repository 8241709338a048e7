//! What if: the log of a real network, asked in every way it can be had.

use serde_json::{Value, json};
use std::fs;
use whole_system::{Finished, LAPTOP, Net, Plan};

/// A center that could stand beside the laptop's.
const SUZHOU: &str = r#"
[[center]]
center = "suzhou"
owner = "suzhou-cloud"
region = "cn/yrd/jiangsu/suzhou"
latitude = 31.3
longitude = 120.6
time_zone = "Asia/Shanghai"
engine = "timer"

[[center.pool]]
pool = "a100"
chip = "nvidia-a100-sxm4-80"
nodes = 8
chips_per_node = 8
cores = 16
memory = "32 GiB"
price_per_chip_hour = "7 CNY"
"#;

/// So many jobs that want a node each come at once, where two run at a time.
const JOBS: u64 = 8;

fn sweep() -> Value {
    json!({
        "name": "sweep", "limit": "1m", "on": "cuda", "chips": 8, "cores": 1, "memory": "64 MiB",
        "command": ["true"], "env": {"TIMER_MS": "800"}
    })
}

async fn answer(net: &Net, args: &[&str]) -> Value {
    let args: Vec<&str> = [&["whatif", "--output", "json"][..], args].concat();
    let said = net.cli(net.operator(), &args).await;
    assert_eq!(said.code, Some(0), "{args:?}: {}", said.stderr);
    serde_json::from_str(&said.stdout).unwrap()
}

async fn refusal(net: &Net, args: &[&str]) -> (Option<i32>, String) {
    let args: Vec<&str> = [&["whatif"][..], args].concat();
    let Finished { code, stderr, .. } = net.cli(net.operator(), &args).await;
    (code, stderr)
}

fn count(answer: &Value, of: &str, path: &str) -> Option<u64> {
    answer.pointer(&format!("/{of}/{path}")).and_then(Value::as_u64)
}

fn figure(answer: &Value, of: &str, path: &str) -> f64 {
    let value = answer.pointer(&format!("/{of}/{path}"));
    value.and_then(Value::as_f64).unwrap_or_else(|| panic!("no {of}/{path} in {answer:#}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_center_more_shortens_waits_and_a_center_less_leaves_jobs_without_a_place() {
    let network = LAPTOP.replace("engine = \"process\"", "engine = \"timer\"");
    let mut net = Plan::of(&network).only(&["lingang", "kunshan"]).start().await;
    let jobs: Vec<Value> = (0..JOBS).map(|_| sweep()).collect();
    let accepted = net.tenant("startup").post("/v1/jobs", &json!({"jobs": jobs})).await;
    let _: Value = accepted.ok();
    for job in net.jobs().await {
        let ended = net.ended(job.job).await.job;
        assert_eq!(ended.state, "completed");
    }
    fs::write(net.dir().join("suzhou.toml"), SUZHOU).unwrap();

    // From the server while it runs.
    let more = answer(&net, &["--add-center", "suzhou.toml"]).await;
    assert_eq!(count(&more, "really", "ended"), Some(JOBS));
    let (really, was) =
        (figure(&more, "really", "wait/mean_s"), figure(&more, "as_it_was", "wait/mean_s"));
    // Four rounds, of which the average job waits for one and a half.
    assert!(was > 1.0 && really > 1.0, "really {really}, simulated {was}");
    assert!(figure(&more, "changed", "wait/mean_s") < 0.5 * was, "{more:#}");
    assert!(figure(&more, "fidelity", "same_center") > 0.99);
    assert!(more["notes"][0].as_str().unwrap().contains("zhangjiang never had an agent"));

    let (code, said) = refusal(&net, &["--remove-center", "lingan"]).await;
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("no center `lingan` (did you mean `lingang`?)"), "{said}");
    let (_, said) = refusal(&net, &["--ahead"]).await;
    assert!(said.contains("nothing waits"), "{said}");
    let tenant = net.cli(net.tenant("startup"), &["whatif"]).await;
    assert_eq!(tenant.code, Some(4), "the log is not for tenants: {}", tenant.stderr);

    // From what it leaves.
    net.stop_agent("lingang").await;
    net.stop_agent("kunshan").await;
    net.stop_server().await;
    let export = ["log", "export", "--dir", "server", "--to", "log.jsonl"];
    assert_eq!(net.cli(net.operator(), &export).await.code, Some(0));
    let remove = ["--remove-center", "lingang", "--html", "page.html"];
    let less = answer(&net, &[&["--log", "log.jsonl"][..], &remove].concat()).await;
    assert_eq!(count(&less, "as_it_was", "never_ran"), Some(0));
    assert_eq!(count(&less, "changed", "never_ran"), Some(JOBS));
    assert_eq!(less["changes"][0], "center lingang removed, with its link");
    assert_eq!(less, answer(&net, &[&["--dir", "server"][..], &remove].concat()).await);
    let page = fs::read_to_string(net.dir().join("page.html")).unwrap();
    assert!(page.contains("<td>never ran</td>") && page.ends_with("</html>\n"), "{page}");

    let shown = net.cli(net.operator(), &["whatif", "--log", "log.jsonl", "--set"]).await;
    assert_eq!(shown.code, Some(2));
    let args = ["whatif", "--log", "log.jsonl", "--set", "pool.lingang/a100.nodes=1"];
    let shown = net.cli(net.operator(), &args).await.stdout;
    let row = shown.lines().find(|line| line.starts_with("wait, mean")).unwrap();
    assert!(row.contains('+'), "{row}");
    assert!(shown.contains("loses"), "{shown}");
}
