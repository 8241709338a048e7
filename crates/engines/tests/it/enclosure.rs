//! Commands in sandboxes and containers.

use crate::supervision::{kill, number_in};
use crate::{Ground, attempt};
use engines::{
    Cause, CheckpointDir, Container, Engine, Exit, InputLink, Isolation, Launch, Runtime, Secret,
    State,
};
use model::{Bytes, Span};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const UIDS: engines::UidRange = engines::UidRange { first: 300_000, count: 1_000 };

pub(crate) fn there_is(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: no {program} here");
    }
    found
}

/// An engine whose commands run in sandboxes, as users of their own where that can be.
async fn sandboxed() -> Option<Ground> {
    if !there_is("bwrap") {
        return None;
    }
    let ground = Ground::with(|config| {
        config.options.isolation = Isolation::Bubblewrap;
        config.uids = engines::is_root().then_some(UIDS);
    });
    Some(ground.await)
}

#[tokio::test]
async fn in_a_sandbox_the_machine_is_there_to_read_and_the_own_directory_to_write() {
    let Some(ground) = sandboxed().await else { return };
    let input = tempfile::tempdir().unwrap();
    fs::set_permissions(input.path(), Permissions::from_mode(0o755)).unwrap();
    fs::write(input.path().join("part"), "data\n").unwrap();
    let script = "cat in/part; echo kept > result; echo $TOKEN; echo x > $TMPDIR/x; \
                  touch in/part 2>/dev/null && exit 1; touch /usr/x 2>/dev/null && exit 2; \
                  echo hi > /tmp/own || exit 3; test -d /proc/self || exit 4; \
                  ls -d /proc/[0-9]* | wc -l; exit 7";
    let mut launch = ground.sh(1, script);
    let target = input.path().to_owned();
    launch.inputs = vec![InputLink { name: "in".into(), target }];
    launch.secrets = vec![("TOKEN".to_owned(), Secret::new("hidden".to_owned()))];
    ground.launch(&launch).await;
    let outcome = ground.outcome(attempt(1)).await;
    let said = ground.stdout(attempt(1)).await;
    assert_eq!((outcome.exit, outcome.cause), (Some(Exit::Exited(7)), Cause::Finished), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..2], ["data", "hidden"], "{said}");
    let processes: u32 = lines[2].trim().parse().unwrap();
    assert!(processes <= 6, "it sees {processes} processes");
    let work = ground.engine.workdir(attempt(1)).unwrap();
    assert_eq!(fs::read_to_string(work.join("result")).unwrap(), "kept\n");
    assert!(!Path::new("/tmp/own").exists());
}

#[tokio::test]
async fn in_a_sandbox_a_command_hears_what_it_is_told() {
    let Some(ground) = sandboxed().await else { return };
    let kept = tempfile::tempdir().unwrap();
    fs::set_permissions(kept.path(), Permissions::from_mode(0o777)).unwrap();
    let script = "trap 'echo saved > kept/state' USR1; trap 'echo bye; exit 5' TERM; \
                  echo up > up; while :; do sleep 0.05; done";
    let mut launch = ground.sh(1, script);
    launch.checkpoint = Some(CheckpointDir {
        name: "kept".into(),
        target: kept.path().to_owned(),
        signal: Some("USR1".to_owned()),
    });
    ground.launch(&launch).await;
    ground.line(attempt(1), "up").await;
    ground.engine.stop(attempt(1), Span::from_secs(4)).await.unwrap();
    let outcome = ground.outcome(attempt(1)).await;
    assert_eq!((outcome.exit, outcome.cause), (Some(Exit::Exited(5)), Cause::Stopped));
    assert_eq!(ground.stdout(attempt(1)).await, "bye\n");
    assert_eq!(fs::read_to_string(kept.path().join("state")).unwrap(), "saved\n");
}

#[tokio::test]
async fn nothing_of_a_sandbox_outlives_it() {
    let Some(ground) = sandboxed().await else { return };
    let script = "trap '' TERM; (setsid sleep 601 &); echo up > up; sleep 601 & wait; sleep 601";
    ground.launch(&ground.sh(1, script)).await;
    ground.line(attempt(1), "up").await;
    ground.engine.stop(attempt(1), Span(200)).await.unwrap();
    let outcome = ground.outcome(attempt(1)).await;
    assert_eq!(outcome.cause, Cause::Stopped);
    let left = Command::new("pgrep").args(["-f", "^sleep 601$"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}

/// Podman with storage of its own, and an image that is little but a shell.
fn podman(dir: &Path) -> Option<Container> {
    let busybox = Path::new("/bin/busybox");
    if !engines::is_root() || !there_is("podman") || !there_is("runc") || !busybox.exists() {
        eprintln!("skipped: not root, or no podman, runc or busybox here");
        return None;
    }
    let bin = dir.join("root").join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::copy(busybox, bin.join("busybox")).unwrap();
    for name in ["sh", "id", "cat", "echo", "sleep", "ls", "dd", "tail"] {
        std::os::unix::fs::symlink("busybox", bin.join(name)).unwrap();
    }
    let image = dir.join("image.tar");
    let mut pack = Command::new("tar");
    pack.arg("-C").arg(dir.join("root")).arg("-cf").arg(&image).arg(".");
    assert!(pack.status().unwrap().success());
    let at = |name: &str| dir.join(name).display().to_string();
    let program: Vec<String> = [
        "podman",
        "--root",
        &at("store"),
        "--runroot",
        &at("run"),
        "--storage-driver",
        "vfs",
        "--cgroup-manager",
        "cgroupfs",
        "--runtime",
        "runc",
    ]
    .map(str::to_owned)
    .into();
    let mut import = Command::new(&program[0]);
    import.args(&program[1..]).arg("import").arg(&image).arg("local/shell:1");
    assert!(import.output().unwrap().status.success());
    // Limits above the own cannot be set by everybody who is root.
    let options = ["--ulimit=nofile=1024:4096", "--ulimit=nproc=1000:1000"].map(str::to_owned);
    Some(Container { runtime: Runtime::Podman, program, options: options.into() })
}

async fn contained(dir: &Path) -> Option<Ground> {
    let container = podman(dir)?;
    let ground = Ground::with(|config| {
        config.options.container = Some(container);
        config.uids = Some(UIDS);
    });
    Some(ground.await)
}

fn in_image(mut launch: Launch) -> Launch {
    launch.image = Some("local/shell:1".to_owned());
    launch
}

#[tokio::test]
async fn in_a_container_there_are_the_files_of_its_image_and_its_own_directories() {
    let dir = tempfile::tempdir().unwrap();
    let Some(ground) = contained(dir.path()).await else { return };
    assert!(ground.engine.capabilities().images);
    let input = tempfile::tempdir().unwrap();
    fs::set_permissions(input.path(), Permissions::from_mode(0o755)).unwrap();
    fs::write(input.path().join("part"), "data\n").unwrap();
    let script = "id -u; ls /; cat in/part; echo kept > result; echo $TOKEN $HOME; \
                  echo x > in/part && exit 1; exit 7";
    let mut launch = in_image(ground.sh(1, script));
    launch.inputs = vec![InputLink { name: "in".into(), target: input.path().to_owned() }];
    launch.secrets = vec![("TOKEN".to_owned(), Secret::new("hidden".to_owned()))];
    ground.launch(&launch).await;
    let outcome = ground.outcome(attempt(1)).await;
    let said = ground.stdout(attempt(1)).await;
    assert_eq!((outcome.exit, outcome.cause), (Some(Exit::Exited(7)), Cause::Finished), "{said}");
    let work = ground.engine.workdir(attempt(1)).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "300001", "{said}");
    assert!(lines.contains(&"bin") && !lines.contains(&"usr"), "{said}");
    assert!(lines.contains(&"data"), "{said}");
    assert_eq!(lines[lines.len() - 1], format!("hidden {}", work.display()));
    assert_eq!(fs::read_to_string(work.join("result")).unwrap(), "kept\n");
}

#[tokio::test]
async fn a_container_hears_what_it_is_told_and_its_memory_is_limited() {
    let dir = tempfile::tempdir().unwrap();
    let Some(ground) = contained(dir.path()).await else { return };
    let script = "trap 'echo bye; exit 5' TERM; echo up > up; while :; do sleep 0.05; done";
    ground.launch(&in_image(ground.sh(1, script))).await;
    ground.line(attempt(1), "up").await;
    ground.engine.stop(attempt(1), Span::from_secs(10)).await.unwrap();
    let outcome = ground.outcome(attempt(1)).await;
    assert_eq!((outcome.exit, outcome.cause), (Some(Exit::Exited(5)), Cause::Stopped));
    assert_eq!(ground.stdout(attempt(1)).await, "bye\n");

    let mut hungry = in_image(ground.sh(2, "tail /dev/zero"));
    hungry.memory = Some(Bytes(32 << 20));
    ground.launch(&hungry).await;
    let outcome = ground.outcome(attempt(2)).await;
    assert_eq!(outcome.cause, Cause::OutOfMemory, "{outcome:?}");
}

#[tokio::test]
async fn nothing_of_a_container_outlives_a_supervisor_that_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let Some(ground) = contained(dir.path()).await else { return };
    ground.launch(&in_image(ground.sh(1, "echo up > up; sleep 602"))).await;
    ground.line(attempt(1), "up").await;
    kill(&number_in(&ground.attempt_dir(attempt(1)).join("claim"), "pid"));
    let state = ground.until_over(attempt(1)).await;
    assert!(matches!(state, State::Lost { .. }), "{state:?}");
    let left = Command::new("pgrep").args(["-f", "sleep 602"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}
