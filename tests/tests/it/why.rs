//! Why a job waits, what would help it, and how told starts hold: as people ask.

use serde_json::{Value, json};
use whole_system::{Net, Plan, sh};

/// A job for the four chips of the center Kunshan.
fn job(name: &str, chips: u32, limit: &str) -> Value {
    let mut job = sh(name, "exec sleep 600");
    job["on"] = "hip".into();
    job["chips"] = chips.into();
    job["limit"] = limit.into();
    job
}

/// What a command of a tenant prints, as JSON.
async fn json(net: &Net, args: &[&str]) -> Value {
    let args: Vec<&str> = args.iter().copied().chain(["--output", "json"]).collect();
    let done = net.cli(net.tenant("lab"), &args).await;
    assert_eq!(done.code, Some(0), "{args:?}: {}{}", done.stdout, done.stderr);
    serde_json::from_str(&done.stdout).expect("JSON")
}

fn change<'a>(changes: &'a Value, field: &str) -> &'a Value {
    let found = changes["found"].as_array().unwrap().iter();
    let mut of_field = found.filter(|change| change["field"] == field);
    of_field.next().unwrap_or_else(|| panic!("no change of {field}: {changes:#}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_job_is_told_its_terms_and_the_smallest_change_which_then_does_what_was_told() {
    let net = Plan::laptop().only(&["kunshan", "zhangjiang"]).start().await;
    // Half of the chips are taken for ten minutes at most, then somebody wants all of them: one
    // more job fits in between if it is shorter than that.
    let first = net.submit("lab", &job("first", 2, "10m")).await;
    net.in_state(first, "running").await;
    let all = net.submit("lab", &job("all", 4, "1h")).await;
    let promised = net.job_once(all, "was told a start", |job| job.job.promised_ms.is_some()).await;
    let last = net.submit("lab", &job("last", 1, "20m")).await;

    let told = json(&net, &["why", &last.to_string()]).await;
    let place = &told["plan"]["candidates"][0];
    assert_eq!(place["center"], "kunshan");
    assert_eq!(
        (&place["run_ms"], &place["run_from"]["from"]),
        (&json!(1_200_000), &json!("limit"))
    );
    assert!(place["wait_ms"].as_u64().unwrap() > 3_600_000, "{place:#}");
    assert_eq!(place["risk"]["told"], 1);
    let changes = &told["plan"]["changes"];
    assert_eq!((&changes["goal"], &changes["complete"]), (&json!("start"), &json!(true)));
    let limit = change(changes, "limit");
    assert_eq!(limit["at_once"], true, "{limit:#}");
    let fits = limit["to"].as_u64().unwrap();
    assert!((540_000..=600_000).contains(&fits), "{limit:#}");
    let variant = change(changes, "variant");
    assert_eq!((&variant["center"], &variant["at_once"]), (&json!("zhangjiang"), &json!(true)));
    // The other center is asked for: it has other chips.
    let there = json(&net, &["why", &last.to_string(), "--at", "zhangjiang"]).await;
    let there = &there["plan"]["changes"];
    assert_eq!((&there["goal"], &there["at"]), (&json!("at"), &json!("zhangjiang")));
    assert_eq!(there["found"].as_array().unwrap().len(), 1, "{there:#}");
    assert_eq!(change(there, "variant")["center"], "zhangjiang");
    let nowhere = net.cli(net.tenant("lab"), &["why", "job-3", "--at", "atlantis"]).await;
    assert!(nowhere.stderr.contains("there is no atlantis"), "{}", nowhere.stderr);

    // The told limit, with half a minute for asking, starts at once and delays nobody.
    let short = format!("{}s", fits / 1_000 - 30);
    std::fs::write(net.dir().join("short.json"), job("short", 1, &short).to_string()).unwrap();
    let plan = json(&net, &["plan", "short.json"]).await;
    assert_eq!(plan["changes"]["goal"], "none", "{plan:#}");
    let short = net.submit("lab", &job("short", 1, &short)).await;
    net.in_state(short, "running").await;
    assert_eq!(net.job(all).await.job.promised_ms, promised.job.promised_ms);
    assert_eq!(net.job(last).await.job.state, "waiting");

    let text = net.cli(net.tenant("lab"), &["why", &last.to_string()]).await.stdout;
    for said in ["job-3 waits for kunshan", "ONE CHANGE", "at once", "the limit, for nothing else"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_starts_are_on_record_for_ever_and_ended_jobs_count() {
    let mut net = Plan::laptop().only(&["kunshan"]).start().await;
    let none = net.cli(net.tenant("lab"), &["promises"]).await;
    assert!(none.stdout.contains("No start that was told has come yet"), "{}", none.stdout);
    let mut brief = sh("brief", "true");
    brief["on"] = "hip".into();
    let brief = net.submit("lab", &brief).await;
    net.ended(brief).await;
    // The second is told to start in ten minutes at the latest; it does when the first is canceled.
    let first = net.submit("lab", &job("first", 4, "9m")).await;
    net.in_state(first, "running").await;
    let second = net.submit("lab", &job("second", 4, "1h")).await;
    net.job_once(second, "was told a start", |job| job.job.promised_ms.is_some()).await;
    let cancel = async |job| {
        let path = format!("/v1/jobs/{job}/cancel");
        let canceled = net.tenant("lab").post(&path, &json!(null)).await;
        assert_eq!(canceled.status, 200, "{}", canceled.text);
    };
    cancel(first).await;
    net.in_state(second, "running").await;
    // The third is told one too and gives it up.
    let third = net.submit("lab", &job("third", 4, "1h")).await;
    net.job_once(third, "was told a start", |job| job.job.promised_ms.is_some()).await;
    cancel(third).await;
    net.ended(third).await;

    let record = json(&net, &["promises"]).await;
    assert_eq!(
        (&record["all"]["told"], &record["withdrawn"]),
        (&json!(3), &json!(1)),
        "{record:#}"
    );
    let horizons = record["horizons"].as_array().unwrap();
    let ten = horizons.iter().find(|ahead| ahead["horizon"] == "under 10m").unwrap();
    assert_eq!((&ten["told"], &ten["held"]), (&json!(1), &json!(1)), "{record:#}");
    assert!(ten["bias_ms"].as_i64().unwrap() < -60_000, "{ten:#}");
    assert_eq!(record["centers"][0]["name"], "kunshan");
    assert_eq!(json(&net, &["promises", "--center", "kunshan"]).await["all"], record["all"]);
    assert_eq!(json(&net, &["promises", "--since", "1h"]).await["all"], record["all"]);
    let text = net.cli(net.tenant("lab"), &["promises"]).await.stdout;
    assert!(text.contains("TOLD AHEAD") && text.contains("under 10m"), "{text}");
    // Another tenant sees how the network keeps its word, not whose jobs they were.
    let others = net.cli(net.tenant("startup"), &["promises", "--tenant", "lab"]).await;
    assert!(others.stderr.contains("may not"), "{}", others.stderr);
    let public: Value = net.tenant("startup").get("/v1/promises").await.ok();
    assert_eq!((&public["all"], &public["tenants"]), (&record["all"], &json!([])));
    let metrics = net.operator().get("/metrics").await.text;
    let held = record["all"]["held"].as_u64().unwrap();
    assert!(
        metrics.contains(&format!("portolan_promises_total{{held=\"yes\"}} {held}")),
        "{metrics}"
    );

    // The record is made of the log: a server that is killed knows it again.
    net.kill_server();
    net.start_server().await;
    assert_eq!(json(&net, &["promises"]).await, record);
}
