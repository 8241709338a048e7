use crate::{Ground, attempt, config, fresh_network};
use engines::{
    Cause, Engine, Error, Exit, InputLink, ProcessConfig, ProcessEngine, Secret, SecretFile,
    UidRange,
};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

const UIDS: UidRange = UidRange { first: 200_000, count: 1_000 };

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Opens an engine that runs attempts as users of their own in a directory with this mode.
async fn open_for_own_users(mode: u32) -> Result<ProcessEngine, Error> {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
    let config = config(dir.path(), fresh_network());
    ProcessEngine::open(ProcessConfig { uids: Some(UIDS), ..config }).await
}

#[tokio::test]
async fn an_attempt_reads_neither_other_attempts_nor_its_own_orders() {
    if !is_root() {
        let refused = open_for_own_users(0o711).await;
        assert!(matches!(refused, Err(Error::Setup(_))), "{refused:?}");
        return;
    }
    let ground = Ground::with(|config| config.uids = Some(UIDS)).await;
    ground
        .launch(
            &ground
                .sh(1, "echo mine > file; chmod 644 file; chmod 777 . 2>/dev/null; id -u; id -G"),
        )
        .await;
    assert!(ground.outcome(attempt(1)).await.is_success());
    assert_eq!(ground.stdout(attempt(1)).await, "200001\n200001\n");
    let first = ground.attempt_dir(attempt(1));
    // Its owner may open its own work directory to all; nothing else of it opens.
    fs::set_permissions(first.join("work"), Permissions::from_mode(0o700)).unwrap();
    let theirs = first.join("work").join("file");
    let first = first.display();
    let theirs = theirs.display();
    let script = format!(
        "for f in {theirs} {first}/stdout {first}/launch.json ../launch.json ../claim; \
         do cat $f && exit 1; done; ls {first} && exit 2; echo hi > ../x && exit 3; \
         echo fine > file && echo more > $TMPDIR/file && cat file"
    );
    ground.launch(&ground.sh(2, &script)).await;
    let outcome = ground.outcome(attempt(2)).await;
    assert_eq!(outcome.exit, Some(Exit::Exited(0)), "{}", ground.stdout(attempt(2)).await);
    assert_eq!(ground.stdout(attempt(2)).await, "fine\n");
    let work = ground.engine.workdir(attempt(2)).unwrap();
    assert_eq!(fs::metadata(work.join("file")).unwrap().uid(), 200_002);
    ground.engine.forget(attempt(2)).await.unwrap();
    assert!(!work.exists());
}

#[tokio::test]
async fn a_base_directory_that_own_users_cannot_reach_is_refused() {
    if !is_root() {
        return;
    }
    let refused = open_for_own_users(0o700).await.unwrap_err();
    assert!(refused.to_string().contains("chmod o+x"), "{refused}");
    assert!(!refused.is_transient());
}

#[tokio::test]
async fn secrets_reach_the_command_and_no_file() {
    let ground = Ground::new().await;
    let secret = "a \"hidden\" one";
    let mut launch = ground.sh(1, "printf '%s' \"$KEY\" | wc -c; test -z \"$PORTOLAN_SECRETS\"");
    launch.secrets = vec![("KEY".to_owned(), Secret::new(secret.to_owned()))];
    assert!(!format!("{launch:?}").contains("hidden"));
    ground.launch(&launch).await;
    assert!(ground.outcome(launch.attempt).await.is_success());
    assert_eq!(ground.stdout(launch.attempt).await.trim(), secret.len().to_string());
    for entry in fs::read_dir(ground.attempt_dir(launch.attempt)).unwrap() {
        let path = entry.unwrap().path();
        let told = path.is_file() && fs::read_to_string(&path).unwrap().contains("hidden");
        assert!(!told, "{} tells the secret", path.display());
    }
}

#[tokio::test]
async fn secret_files_are_read_by_the_command_only_and_end_with_it() {
    let ground = Ground::new().await;
    let vault = ground.dir.path().join("vault");
    fs::create_dir(&vault).unwrap();
    fs::write(vault.join("token"), "hidden\n").unwrap();
    let script = "cd \"$PORTOLAN_SECRETS_DIR\" && stat -c %a . key && cat key; env";
    let mut launch = ground.sh(1, script);
    launch.secret_files = vec![SecretFile { name: "key".into(), source: vault.join("token") }];
    ground.launch(&launch).await;
    assert!(ground.outcome(launch.attempt).await.is_success());
    let said = ground.stdout(launch.attempt).await;
    assert!(said.starts_with("700\n400\nhidden"), "{said}");
    assert_eq!(said.matches("hidden").count(), 1, "its environment does not tell: {said}");
    let attempt = ground.attempt_dir(launch.attempt);
    assert!(!attempt.join("secrets").exists(), "nothing is left of it");
    let order = fs::read_to_string(attempt.join("launch.json")).unwrap();
    assert!(!order.contains("hidden"), "{order}");
}

#[tokio::test]
async fn inputs_are_linked_and_outputs_have_their_place() {
    let ground = Ground::new().await;
    let corpus = ground.dir.path().join("corpus");
    fs::create_dir(&corpus).unwrap();
    fs::write(corpus.join("text"), "words").unwrap();
    let mut launch = ground.sh(1, "cat in/corpus/text > out/model/weights && ls");
    launch.inputs = vec![InputLink { name: "in/corpus".into(), target: corpus.clone() }];
    launch.outputs = vec!["out/model".into(), "out/logs".into()];
    ground.launch(&launch).await;
    assert!(ground.outcome(launch.attempt).await.is_success());
    let work = ground.engine.workdir(launch.attempt).unwrap();
    assert_eq!(fs::read_to_string(work.join("out/model/weights")).unwrap(), "words");
    ground.engine.forget(launch.attempt).await.unwrap();
    assert!(corpus.join("text").exists(), "forgetting an attempt leaves its inputs alone");
}

#[tokio::test]
async fn what_could_never_run_or_would_leave_its_directory_is_refused() {
    let ground = Ground::new().await;
    let check = async |change: &dyn Fn(&mut engines::Launch), expected: &str| {
        let mut launch = ground.sh(1, "exit 0");
        change(&mut launch);
        match ground.engine.launch(&launch).await {
            Err(Error::Refused { why, .. }) => assert!(why.contains(expected), "{why}"),
            other => panic!("{expected}: {other:?}"),
        }
        assert_eq!(ground.engine.find(launch.attempt).await.unwrap(), None);
    };
    check(&|l| l.command.clear(), "command is empty").await;
    check(&|l| l.command.push("a\0b".to_owned()), "NUL").await;
    check(&|l| l.env.push(("A=B".to_owned(), String::new())), "A=B").await;
    check(&|l| l.env.push((String::new(), String::new())), "cannot be set").await;
    check(&|l| l.outputs.push("../../evil".into()), "../../evil").await;
    check(&|l| l.outputs.push("/etc".into()), "/etc").await;
    check(&|l| l.outputs.push("".into()), "not a path inside").await;
    let secret = |name: &str, source: &str| SecretFile { name: name.into(), source: source.into() };
    check(&|l| l.secret_files.push(secret("../key", "/etc/passwd")), "cannot be a file").await;
    check(&|l| l.secret_files.push(secret("key", "passwd")), "no absolute path").await;
    let relative = InputLink { name: "in".into(), target: "etc".into() };
    check(&|l| l.inputs.push(relative.clone()), "no absolute path").await;
    check(&|l| l.network = model::NetworkUid::from_bytes([1; 8]), &ground.network.to_string())
        .await;
}

#[tokio::test]
async fn an_input_and_an_output_of_the_same_name_end_the_launch_with_an_error() {
    let ground = Ground::new().await;
    let mut launch = ground.sh(1, "exit 0");
    launch.outputs = vec!["data".into()];
    launch.inputs = vec![InputLink { name: "data".into(), target: "/tmp".into() }];
    assert!(matches!(ground.engine.launch(&launch).await, Err(Error::Refused { .. })));
    assert_eq!(ground.engine.find(launch.attempt).await.unwrap(), None);
    ground.launch(&ground.sh(1, "exit 0")).await;
    assert_eq!(ground.outcome(attempt(1)).await.cause, Cause::Finished);
}
