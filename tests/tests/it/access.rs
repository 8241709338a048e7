//! Who may do what, and what is done about those who try more.

use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use whole_system::{Finished, Net, Plan, sh};

/// What an agent says when it comes, of this protocol and for this engine.
fn join(protocol: u32, agent: &str) -> Value {
    json!({
        "protocol": protocol, "version": "0.0.0", "agent": agent, "engine": "process",
        "engine_version": "0", "enforcement": "none", "data_url": null, "seen": null,
    })
}

fn agent_of(net: &Net, center: &str) -> whole_system::Caller {
    let token = std::fs::read_to_string(net.token_file(center)).unwrap();
    net.operator().with_token(token.trim())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_sees_and_touches_its_own_jobs_only() {
    let net = Plan::laptop().only(&["kunshan"]).start().await;
    let job = net.submit("lab", &sh("secret-plans", "sleep 30")).await;
    net.in_state(job, "running").await;
    let stranger = net.tenant("startup");
    let never = "job-999999";
    for path in ["", "/why", "/logs"] {
        // A stranger's job is told as one that does not exist, word for word.
        let theirs = stranger.get(&format!("/v1/jobs/{job}{path}")).await.refusal();
        let nobodys = stranger.get(&format!("/v1/jobs/{never}{path}")).await.refusal();
        assert_eq!(theirs.replace(&job.to_string(), never), nobodys);
        assert!(theirs.starts_with("404 not-found"), "{theirs}");
    }
    for change in ["cancel", "hold", "release"] {
        let answer = stranger.post(&format!("/v1/jobs/{job}/{change}"), &json!(null)).await;
        assert_eq!(answer.status, 404, "{change}: {}", answer.text);
    }
    let list: wire::view::Jobs = stranger.get("/v1/jobs").await.ok();
    assert!(list.jobs.is_empty(), "{list:?}");
    let others = stranger.get("/v1/jobs?tenant=lab").await.refusal();
    assert!(others.starts_with("403 forbidden"), "{others}");
    let forged = stranger.post("/v1/jobs?tenant=lab", &sh("forged", "true")).await.refusal();
    assert!(forged.starts_with("403 forbidden"), "{forged}");
    for operators in ["/v1/log", "/v1/tokens"] {
        assert_eq!(stranger.get(operators).await.status, 403, "{operators}");
    }
    assert_eq!(net.job(job).await.job.state, "running");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_valid_token_nothing_opens() {
    let net = Plan::laptop().only(&[]).start().await;
    for token in
        ["", "ptl_", "ptl_0000000000000000000000000000000000000000000000000000000000000000"]
    {
        let stranger = net.operator().with_token(token);
        for path in ["/v1/jobs", "/v1/centers", "/v1/log", "/v1/events", "/metrics"] {
            let refusal = stranger.get(path).await.refusal();
            assert!(refusal.starts_with("401 unauthorized"), "{path}: {refusal}");
        }
    }
    let tokens: wire::view::Tokens = net.operator().get("/v1/tokens").await.ok();
    let labs = tokens.tokens.iter().find(|token| token.of.as_deref() == Some("lab")).unwrap();
    assert_eq!(net.operator().delete(&format!("/v1/tokens/{}", labs.token)).await.status, 204);
    let refusal = net.tenant("lab").get("/v1/jobs").await.refusal();
    assert!(refusal.starts_with("401 unauthorized"), "a revoked token opens: {refusal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_centers_token_is_good_for_that_centers_orders_only() {
    let net = Plan::laptop().start().await;
    let mut job = sh("stays", "sleep 30");
    job["centers"] = json!(["kunshan"]);
    let job = net.submit("lab", &job).await;
    net.in_state(job, "running").await;

    // Whatever the thief claims, the token says who it is: it hears of its own center only.
    let thief = agent_of(&net, "zhangjiang");
    let joined: wire::Joined =
        thief.post("/v1/agent/join", &join(wire::PROTOCOL, "00000000000000aa")).await.ok();
    assert_eq!(joined.center.as_str(), "zhangjiang");
    let poll = json!({"session": joined.session, "after": 0, "wait": 0});
    let orders: wire::Orders = thief.post("/v1/agent/poll", &poll).await.ok();
    assert!(orders.orders.is_empty(), "{orders:?}");
    // A report about another center's attempt changes nothing.
    let report = json!({"session": joined.session, "reports": [{"ended": {
        "attempt": format!("{job}.1"), "outputs": [],
        "ended": {"outcome": {"exited": {"code": 0}}, "ran": 1, "cpu": 0, "memory": 0},
    }}]});
    let _: wire::Acknowledged = thief.post("/v1/agent/reports", &report).await.ok();
    assert_eq!(net.job(job).await.job.state, "running");
    // Nor does the token open what is the tenants' or the operators'.
    for path in ["/v1/jobs", "/v1/tokens", &format!("/v1/jobs/{job}")] {
        let answer = thief.get(path).await;
        assert!(matches!(answer.status, 403 | 404), "{path}: {} {}", answer.status, answer.text);
    }
    let as_agent = join(wire::PROTOCOL, "00000000000000aa");
    assert_eq!(net.tenant("lab").post("/v1/agent/join", &as_agent).await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_of_another_protocol_is_turned_away_and_told_both_versions() {
    let net = Plan::laptop().only(&["kunshan"]).start().await;
    let agent = agent_of(&net, "kunshan");
    let answer = agent.post("/v1/agent/join", &join(999, "00000000000000aa")).await;
    let refusal = answer.refusal();
    assert!(refusal.starts_with("409 protocol"), "{refusal}");
    assert!(refusal.contains("999") && refusal.contains(&wire::PROTOCOL.to_string()), "{refusal}");
    // The real one goes on undisturbed.
    let job = net.submit("lab", &sh("after", "true")).await;
    assert_eq!(net.ended(job).await.job.state, "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_agent_cannot_take_over_a_center_whose_attempts_live() {
    let net = Plan::laptop().only(&["kunshan"]).start().await;
    let job = net.submit("lab", &sh("busy", "sleep 30")).await;
    net.in_state(job, "running").await;
    let second = agent_of(&net, "kunshan");
    let answer = second.post("/v1/agent/join", &join(wire::PROTOCOL, "00000000000000aa")).await;
    let refusal = answer.refusal();
    assert!(refusal.starts_with("409 conflict"), "{refusal}");
    assert!(refusal.contains("another agent of center kunshan"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_run_as_users_of_their_own_where_the_agent_may_choose() {
    let root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let range = if root { "210000:1000" } else { "none" };
    let net = Plan::laptop().only(&["kunshan"]).agent(&["--uids", range]).start().await;
    let sleeper = net.submit("lab", &sh("other", "echo private >here; sleep 30")).await;
    net.in_state(sleeper, "running").await;
    let snoop = format!(
        "id -u; cat {token} && echo LEAKED token; find {dir} -path '*{sleeper}*' -name here -exec \
         cat {{}} + && echo LOOKED; env | grep -c TOKEN; exit 0",
        token = net.token_file("kunshan").display(),
        dir = net.agent_dir("kunshan").display(),
    );
    let job = net.submit("startup", &sh("snoop", &snoop)).await;
    assert_eq!(net.ended(job).await.job.state, "completed");
    let said = net.output(job).await;
    if root {
        let uid: u32 = said.lines().next().unwrap().parse().unwrap();
        assert!((210_000..211_000).contains(&uid), "{said}");
        assert!(!said.contains("LEAKED") && !said.contains("private"), "{said}");
    }
    assert!(said.ends_with("0\n"), "its environment names a token: {said}");
}

/// A certificate of the server's own making, as docs/deploy.md has it made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_spoken_with_only_if_its_certificate_is_trusted() {
    let mut net = Plan::laptop().only(&[]).start().await;
    let [key, certificate] = ["server.key", "server.crt"].map(|name| net.dir().join(name));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=portolan.example"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout".as_ref(), key.as_os_str(), "-out".as_ref(), certificate.as_os_str()])
        .output();
    let Ok(made) = made else {
        eprintln!("skipped: no openssl here");
        return;
    };
    assert!(made.status.success(), "{made:?}");
    let [key, certificate] = [key, certificate].map(|file| file.display().to_string());
    net.stop_server().await;
    net.reconfigure(&["--tls-certificates", &certificate, "--tls-key", &key]);
    net.start_server().await;
    let token = net.dir().join("operator.token");
    std::fs::write(&token, net.operator().token()).unwrap();
    let (url, token) = (net.url().replace("http://", "https://"), token.display().to_string());
    let env = [("PORTOLAN_SERVER", &*url), ("PORTOLAN_TOKEN_FILE", &*token)];
    let refused = Finished::run(&["centers"], &env, net.dir()).await;
    assert_eq!((refused.code, &*refused.stdout), (Some(6), ""), "{refused:?}");
    assert!(refused.stderr.contains("the server's certificate is not good"), "{refused:?}");
    assert!(refused.stderr.contains("SSL_CERT_FILE"), "{refused:?}");
    let trusts = [&env[..], &[("SSL_CERT_FILE", &*certificate)]].concat();
    let told = Finished::run(&["centers"], &trusts, net.dir()).await;
    assert!(told.code == Some(0) && told.stdout.contains("kunshan"), "{told:?}");
}
