//! What people type.

use serde_json::Value;
use std::fs;
use whole_system::{LAPTOP, Plan, sh};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_a_first_session_work_one_after_the_other() {
    let net = Plan::laptop().start().await;
    let lab = net.tenant("lab").clone();
    let numbers: String = (0..1_000).map(|n| format!("{n}\n")).collect();
    fs::write(net.dir().join("numbers.txt"), &numbers).unwrap();
    let job = r#"
        name = "count"
        limit = "1m"
        command = ["sh", "-c", "wc -l <$PORTOLAN_INPUT_NUMBERS/numbers.txt"]
        [[input]]
        name = "numbers"
        dataset = "numbers"
    "#;
    fs::write(net.dir().join("job.toml"), job).unwrap();

    let table: [(&[&str], &str); 9] = [
        (&["data", "put", "numbers.txt", "--name", "numbers", "--at", "lingang"], "numbers"),
        (&["data", "ls"], "numbers"),
        (&["plan", "job.toml"], "lingang"),
        (&["submit", "--wait", "job.toml"], "job-1"),
        (&["logs", "job-1"], "1000"),
        (&["job", "job-1"], "completed"),
        (&["jobs"], "count"),
        (&["why", "job-1"], "job-1"),
        (&["centers"], "zhangjiang"),
    ];
    for (args, said) in table {
        let done = net.cli(&lab, args).await;
        assert_eq!(done.code, Some(0), "{args:?}: {}{}", done.stdout, done.stderr);
        assert!(done.stdout.contains(said), "{args:?}: {}{}", done.stdout, done.stderr);
    }
    let json = net.cli(&lab, &["jobs", "--output", "json"]).await;
    let jobs: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(jobs["jobs"][0]["job"], "job-1", "{jobs}");
    let read = net.cli(&lab, &["data", "cat", "numbers"]).await;
    assert!(read.stdout == numbers, "{:?} {}", read.code, read.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_a_mistake_is_refused_with_its_line_before_anything_is_sent() {
    let net = Plan::laptop().only(&[]).start().await;
    let good = "name = \"a\"\nlimit = \"1m\"\ncommand = [\"true\"]\n";
    let with = |from: &str, to: &str| good.replacen(from, to, 1);
    let table = [
        ("job.toml", with("\"1m\"", "60"), "job.toml:2:"),
        ("job.toml", with("\"1m\"", "\"1 minute\""), "job.toml:2:"),
        ("job.toml", with("limit", "limt"), "job.toml:2:"),
        ("job.toml", with("[\"true\"]", "[\"true\""), "job.toml:"),
        ("job.toml", format!("{good}nodes = -1\n"), "job.toml:4:"),
        ("job.yaml", "name: a\nlimit: 1m\ncommand: true\n".to_owned(), "job.yaml:3:"),
        ("job.yaml", "name: a\n limit: 1m\n".to_owned(), "job.yaml:2:"),
        ("job.yaml", "name: a\nlimit: 1m\nlimit: 2m\n".to_owned(), "job.yaml:3:"),
    ];
    for (name, text, place) in &table {
        fs::write(net.dir().join(name), text).unwrap();
        let done = net.cli(net.tenant("lab"), &["submit", name]).await;
        assert_eq!(done.code, Some(5), "{text}\n{}{}", done.stdout, done.stderr);
        assert!(done.stderr.contains(place), "{text}\nnot at {place}: {}", done.stderr);
    }
    assert!(net.jobs().await.is_empty());

    let network = LAPTOP.replacen("nodes = 2", "nodes = \"two\"", 1);
    let line = LAPTOP.lines().position(|line| line == "nodes = 2").unwrap() + 1;
    fs::write(net.dir().join("network.toml"), network).unwrap();
    let done = net.cli(net.operator(), &["apply", "network.toml"]).await;
    assert_eq!(done.code, Some(5), "{}{}", done.stdout, done.stderr);
    assert!(done.stderr.contains(&format!("network.toml:{line}:")), "{}", done.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exit_codes_tell_what_went_wrong() {
    let mut net = Plan::laptop().only(&["kunshan"]).start().await;
    let lab = net.tenant("lab").clone();
    let job = |name: &str, script: &str| {
        let text = serde_json::to_string(&sh(name, script)).unwrap();
        fs::write(net.dir().join(format!("{name}.json")), text).unwrap();
    };
    job("fine", "true");
    job("fails", "exit 3");
    let mut slow = sh("slow", "sleep 30");
    slow["limit"] = "1s".into();
    fs::write(net.dir().join("slow.json"), slow.to_string()).unwrap();
    fs::write(net.dir().join("broken.json"), "{").unwrap();

    let nobody = lab.with_token("ptl_nobody");
    let table: [(&whole_system::Caller, &[&str], i32); 8] = [
        (&lab, &["submit", "--wait", "fine.json"], 0),
        (&lab, &["submit", "--wait", "fails.json"], 10),
        (&lab, &["submit", "--wait", "slow.json"], 12),
        (&lab, &["submit", "broken.json"], 5),
        (&lab, &["job", "job-999"], 3),
        (&lab, &["token", "ls"], 4),
        (&nobody, &["jobs"], 4),
        (&lab, &["jobs", "--colour"], 2),
    ];
    for (who, args, code) in table {
        let done = net.cli(who, args).await;
        assert_eq!(done.code, Some(code), "{args:?}: {}{}", done.stdout, done.stderr);
    }
    net.kill_server();
    let done = net.cli(&lab, &["jobs"]).await;
    assert_eq!(done.code, Some(6), "{}{}", done.stdout, done.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn off_loopback_a_server_without_a_certificate_refuses_to_start() {
    let net = Plan::laptop().only(&[]).start().await;
    let args = ["serve", "--dir", "other", "--listen", "0.0.0.0:0"];
    let done = net.cli(net.operator(), &args).await;
    assert_eq!(done.code, Some(1), "{}{}", done.stdout, done.stderr);
    assert!(
        done.stderr.contains("give a certificate"),
        "it does not say what to do: {}",
        done.stderr
    );
    let token = net.dir().join("cli.token");
    let agent = ["agent", "--server", "http://192.0.2.1:7070", "--dir", "agent", "--uids", "none"];
    let file = token.display().to_string();
    let args: Vec<&str> = agent.iter().copied().chain(["--token-file", &file]).collect();
    let done = net.cli(net.operator(), &args).await;
    assert_eq!(done.code, Some(1), "{}{}", done.stdout, done.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_directory_is_for_one_process_at_a_time() {
    let net = Plan::laptop().only(&["kunshan"]).start().await;
    let second = net.cli(net.operator(), &["serve", "--dir", "server", "--listen", "127.0.0.1:0"]);
    let second = second.await;
    assert_eq!(second.code, Some(1), "{}{}", second.stdout, second.stderr);
    assert!(second.stderr.contains("in use"), "{}", second.stderr);
    let (url, token) = (net.url(), net.token_file("kunshan").display().to_string());
    let agent = ["agent", "--dir", "kunshan", "--server", &url, "--token-file", &token];
    let second = net.cli(net.operator(), &agent).await;
    assert_eq!(second.code, Some(1), "{}{}", second.stdout, second.stderr);
    assert!(second.stderr.contains("in use by another agent"), "{}", second.stderr);
    // The first ones go on undisturbed.
    let job = net.submit("lab", &sh("after", "true")).await;
    assert_eq!(net.ended(job).await.job.state, "completed");
}
