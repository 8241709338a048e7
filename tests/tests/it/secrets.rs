//! Secrets of jobs: known to the center that has them, read by the command, told by nothing else.

use serde_json::json;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use whole_system::{Plan, sh};

const VALUE: &str = "not-for-everybody";

/// Every file below `dir` that has the value in it.
fn told(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            all.extend(told(&path));
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap_or_default();
            let there = bytes.windows(VALUE.len()).any(|window| window == VALUE.as_bytes());
            all.extend(there.then(|| path.display().to_string()));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_runs_where_its_secret_is_held_and_nothing_but_its_command_sees_it() {
    let vaults = tempfile::tempdir().unwrap();
    let of_lab = vaults.path().join("zhangjiang/vault/lab");
    fs::create_dir_all(&of_lab).unwrap();
    let token = of_lab.join("hub-token");
    fs::write(&token, VALUE).unwrap();
    fs::set_permissions(&token, Permissions::from_mode(0o600)).unwrap();
    let open = vaults.path().join("zhangjiang/vault/startup/hub-token");
    fs::create_dir_all(open.parent().unwrap()).unwrap();
    fs::write(&open, VALUE).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
    let where_from = vaults.path().join("{center}").display().to_string();
    let plan = Plan::laptop().only(&["kunshan", "zhangjiang"]).agent(&["--secrets", &where_from]);
    let net = plan.start().await;

    let script = "test \"$(cat $PORTOLAN_SECRETS_DIR/hub-token)\" = not-for-every''body && \
                  ls -l $PORTOLAN_SECRETS_DIR && env";
    let mut wants = sh("wants", script);
    wants["secret"] = json!([{"name": "hub-token", "holder": "vault"}]);
    let has = net.submit("lab", &wants).await;
    let done = net.ended(has).await;
    assert_eq!(done.job.state, "completed", "{done:?}");
    assert_eq!(done.tries.last().unwrap().center.to_string(), "zhangjiang");
    let output = net.output(has).await;
    assert!(output.starts_with("total") && output.contains("-r--------"), "{output}");

    // What is another's is not there for this tenant, what all can read is no secret, and the answer
    // says so.
    let lacks = net.submit("startup", &wants).await;
    let refused = net.job_once(lacks, "was refused everywhere", |job| {
        let at = |center: &str| job.tries.iter().any(|a| a.center.to_string() == center);
        at("kunshan") && at("zhangjiang") && job.tries.iter().all(|a| a.state == "over")
    });
    refused.await;
    let why = net.cli(net.tenant("startup"), &["why", &lacks.to_string()]).await;
    let plain = why.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for lacking in ["not there", "it is open to others (mode 644); chmod 600"] {
        let lacking = format!("secret hub-token of holder vault for tenant startup: {lacking}");
        assert!(plain.contains(&lacking), "{}{}", why.stdout, why.stderr);
    }

    assert_eq!(told(net.dir()), Vec::<String>::new(), "nobody else tells it");
}
