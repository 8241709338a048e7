use crate::{Ground, attempt, config};
use engines::{
    BootTime, Cause, CheckpointDir, Enforcement, Engine, Error, Exit, Limits, ProcessEngine, State,
};
use model::{Bytes, Cores, Span};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;

/// Whether the process runs; one that only waits for its parent to take notice does not.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, fields)| !fields.starts_with(" Z"))
}

pub(crate) fn kill(pid: &str) {
    let pid = pid.parse().ok().and_then(Pid::from_raw).expect("a process number");
    kill_process(pid, Signal::KILL).unwrap();
}

/// The number in one of the attempt's JSON files.
pub(crate) fn number_in(path: &Path, key: &str) -> String {
    let text = fs::read_to_string(path).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value[key].to_string()
}

#[tokio::test]
async fn a_killed_supervisor_loses_the_attempt_and_takes_all_of_it_along() {
    let ground = Ground::new().await;
    let launch = ground.sh(1, "setsid sh -c 'echo $$ > deep; exec sleep 300' & sleep 300");
    ground.launch(&launch).await;
    ground.until_running(launch.attempt).await;
    let deep = ground.line(launch.attempt, "deep").await;
    kill(&number_in(&ground.attempt_dir(launch.attempt).join("claim"), "pid"));
    let state = ground.until_over(launch.attempt).await;
    assert!(matches!(state, State::Lost { .. }), "{state:?}");
    assert!(!is_alive(&deep));
    ground.launch(&launch).await;
    assert_eq!(ground.engine.find(launch.attempt).await.unwrap(), Some(state), "lost is final");
}

#[tokio::test]
async fn attempts_of_an_earlier_boot_are_lost_unless_their_result_is_whole() {
    let ground = Ground::new().await;
    for job in 1..=4 {
        ground.launch(&ground.sh(job, "exit 0")).await;
        ground.outcome(attempt(job)).await;
    }
    let another_boot = |file: &Path| {
        let text = fs::read_to_string(file).unwrap();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let boot = boot.trim().replace('-', "");
        assert!(text.contains(&boot));
        fs::write(file, text.replace(&boot, &"0".repeat(32))).unwrap();
    };
    let ground = ground.reopened(|network_dir| {
        let place = |job| network_dir.join(attempt(job).to_string());
        another_boot(&place(1).join("claim"));
        another_boot(&place(2).join("claim"));
        fs::write(place(2).join("result.json"), "").unwrap();
        fs::write(place(3).join("claim"), "").unwrap();
        fs::remove_file(place(3).join("result.json")).unwrap();
        another_boot(&place(4).join("launch.json"));
        fs::remove_file(place(4).join("claim")).unwrap();
        fs::remove_file(place(4).join("result.json")).unwrap();
    });
    let ground = ground.await;
    ground.launch(&ground.sh(4, "exit 0")).await;
    let states = ground.engine.observe().await.unwrap();
    assert!(matches!(states[0].state, State::Ended(_)), "{states:?}");
    for lost in &states[1..] {
        assert!(matches!(lost.state, State::Lost { .. }), "{states:?}");
    }
}

#[tokio::test]
async fn a_second_supervisor_of_the_same_attempt_ends_at_once() {
    let ground = Ground::new().await;
    let launch = ground.sh(1, "echo once; echo up > up; sleep 300");
    ground.launch(&launch).await;
    ground.line(launch.attempt, "up").await;
    let again = tokio::process::Command::new(env!("CARGO_BIN_EXE_portolan-supervise"))
        .arg(ground.attempt_dir(launch.attempt))
        .status();
    assert!(again.await.unwrap().success());
    ground.engine.stop(launch.attempt, Span::ZERO).await.unwrap();
    ground.outcome(launch.attempt).await;
    assert_eq!(ground.stdout(launch.attempt).await, "once\n");
}

#[tokio::test]
async fn a_result_written_while_no_engine_was_there_is_found() {
    let ground = Ground::new().await;
    let launch = ground.sh(1, "until [ -e go ]; do sleep 0.02; done; exit 6");
    ground.launch(&launch).await;
    ground.until_running(launch.attempt).await;
    let work = ground.engine.workdir(launch.attempt).unwrap();
    let ground = ground.reopened(|_| fs::write(work.join("go"), "").unwrap()).await;
    assert_eq!(ground.outcome(launch.attempt).await.exit, Some(Exit::Exited(6)));
}

#[tokio::test]
async fn supervisors_outlive_the_process_that_started_them_and_another_starts_the_next() {
    let ground = Ground::new().await;
    ground.launch(&ground.sh(1, "until [ -e go ]; do sleep 0.02; done; exit 6")).await;
    ground.until_running(attempt(1)).await;
    let supervisor = number_in(&ground.attempt_dir(attempt(1)).join("claim"), "pid");
    let stat = fs::read_to_string(format!("/proc/{supervisor}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    let starter = after_name.split(' ').nth(1).unwrap();
    kill(starter);
    while is_alive(starter) {
        tokio::task::yield_now().await;
    }
    ground.launch(&ground.sh(2, "exit 7")).await;
    assert_eq!(ground.outcome(attempt(2)).await.exit, Some(Exit::Exited(7)));
    fs::write(ground.engine.workdir(attempt(1)).unwrap().join("go"), "").unwrap();
    assert_eq!(ground.outcome(attempt(1)).await.exit, Some(Exit::Exited(6)));
}

#[tokio::test]
async fn a_supervisor_that_ends_before_it_claims_its_attempt_ends_it() {
    let broken = Ground::with(|config| {
        config.supervisor.program = "/bin/sh".into();
        config.supervisor.arguments = ["-c", "echo no luck >&2; exit 9"].map(Into::into).to_vec();
    });
    let ground = broken.await;
    ground.launch(&ground.sh(1, "exit 0")).await;
    match ground.outcome(attempt(1)).await.cause {
        Cause::CouldNotStart(why) => assert!(why.contains("exit status: 9"), "{why}"),
        other => panic!("{other:?}"),
    }
    let log = ground.network_dir().join("supervisors.log");
    assert_eq!(fs::read_to_string(log).unwrap(), "no luck\n");
}

#[tokio::test]
async fn an_attempt_stopped_before_its_supervisor_could_start_never_runs() {
    let absent = Ground::with(|config| config.supervisor.program = "/no/such/supervisor".into());
    let ground = absent.await;
    let launch = ground.sh(1, "exit 0");
    let error = ground.engine.launch(&launch).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(ground.engine.find(launch.attempt).await.unwrap(), Some(State::Unattended));
    ground.engine.stop(launch.attempt, Span::ZERO).await.unwrap();
    let ground = ground.reopened(|_| {}).await;
    ground.launch(&launch).await;
    let outcome = ground.outcome(launch.attempt).await;
    assert_eq!((outcome.cause, outcome.exit), (Cause::Stopped, None));
}

#[tokio::test]
async fn an_attempt_whose_launch_was_cut_short_runs_once_it_is_launched_again() {
    let absent = Ground::with(|config| config.supervisor.program = "/no/such/supervisor".into());
    let ground = absent.await;
    let launch = ground.sh(1, "echo once");
    ground.engine.launch(&launch).await.unwrap_err();
    let ground = ground.reopened(|_| {}).await;
    assert_eq!(ground.engine.find(launch.attempt).await.unwrap(), Some(State::Unattended));
    ground.launch(&launch).await;
    assert_eq!(ground.outcome(launch.attempt).await.exit, Some(Exit::Exited(0)));
    ground.launch(&launch).await;
    assert_eq!(ground.stdout(launch.attempt).await, "once\n");
}

#[tokio::test]
async fn a_lease_that_passed_before_the_start_starts_nothing() {
    let ground = Ground::new().await;
    let mut launch = ground.sh(1, "exit 0");
    launch.lease = Some(BootTime::now());
    ground.launch(&launch).await;
    let outcome = ground.outcome(launch.attempt).await;
    assert_eq!((outcome.cause, outcome.exit), (Cause::LeaseExpired, None));
}

#[tokio::test]
async fn a_shorter_grace_brings_the_end_nearer() {
    let ground = Ground::new().await;
    let launch = ground.sh(1, "trap '' TERM; echo up > up; while sleep 0.1; do :; done");
    ground.launch(&launch).await;
    ground.line(launch.attempt, "up").await;
    ground.engine.stop(launch.attempt, Span::from_secs(1_000)).await.unwrap();
    ground.engine.stop(launch.attempt, Span(50)).await.unwrap();
    let outcome = ground.outcome(launch.attempt).await;
    assert_eq!((outcome.cause, outcome.exit), (Cause::Stopped, Some(Exit::Signaled(9))));
}

#[tokio::test]
async fn one_agent_at_a_time_uses_a_directory() {
    let ground = Ground::new().await;
    let second = ProcessEngine::open(config(ground.dir.path(), ground.network)).await;
    assert!(matches!(second, Err(Error::InUse { .. })), "{second:?}");
}

#[tokio::test]
async fn used_time_and_memory_are_reported() {
    let ground = Ground::new().await;
    let launch = ground.sh(1, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
    ground.launch(&launch).await;
    let outcome = ground.outcome(launch.attempt).await;
    assert!(outcome.is_success(), "{outcome:?}");
    assert!(outcome.usage.user > Span::ZERO, "{outcome:?}");
    assert!(outcome.usage.max_rss > 100_000, "{outcome:?}");
}

#[tokio::test]
async fn limits_are_kept_where_the_machine_can() {
    let ground = Ground::new().await;
    let mut hungry = ground.sh(1, "exec tail /dev/zero");
    hungry.memory = Some(Bytes(32 << 20));
    hungry.cpu = Some(Cores(500));
    hungry.limit = Some(Span::from_secs(30));
    if ground.engine.capabilities().enforcement == Enforcement::ProcessGroup {
        hungry.command = vec!["true".to_owned()];
        ground.launch(&hungry).await;
        assert!(ground.outcome(hungry.attempt).await.is_success(), "limits are wishes there");
        return;
    }
    ground.launch(&hungry).await;
    let outcome = ground.outcome(hungry.attempt).await;
    assert_eq!((outcome.cause, outcome.exit), (Cause::OutOfMemory, Some(Exit::Signaled(9))));
    let groups = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounts = groups.lines().filter(|line| line.contains(" - cgroup"));
    for mount in mounts.filter_map(|line| line.split(' ').nth(4)) {
        assert!(
            !holds_group(Path::new(mount), &format!("portolan-{}-1-1", ground.network)),
            "{mount}"
        );
    }
}

#[tokio::test]
async fn limits_are_taken_on_trust_where_the_center_says_so() {
    let ground = Ground::with(|config| config.options.limits = Limits::None).await;
    assert_eq!(ground.engine.capabilities().enforcement, Enforcement::ProcessGroup);
    let mut large = ground.sh(1, "x=$(head -c 64M /dev/zero | tr '\\0' x); cat /proc/self/cgroup");
    large.memory = Some(Bytes(16 << 20));
    large.cpu = Some(Cores(500));
    ground.launch(&large).await;
    assert!(ground.outcome(large.attempt).await.is_success());
    let group = format!("portolan-{}-1-1", ground.network);
    assert!(!ground.stdout(large.attempt).await.contains(&group));
}

/// Whether a control group of this name is anywhere below.
fn holds_group(dir: &Path, name: &str) -> bool {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    dirs.any(|entry| entry.file_name() == name || holds_group(&entry.path(), name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_attempts_at_once_all_end() {
    let ground = Ground::new().await;
    for job in 1..=200 {
        ground.launch(&ground.sh(job, "exit $((PORTOLAN_N % 256))")).await;
    }
    for job in 1..=200 {
        assert!(ground.outcome(attempt(job)).await.is_success());
        ground.engine.forget(attempt(job)).await.unwrap();
    }
    assert_eq!(ground.engine.observe().await.unwrap(), []);
}

#[tokio::test]
async fn a_checkpoint_is_asked_for_before_the_end_and_outlives_the_attempt() {
    let ground = Ground::new().await;
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = CheckpointDir {
        name: "state/at".into(),
        target: dir.path().join("job-1"),
        signal: Some("USR1".into()),
    };
    let mut launch = ground.sh(
        1,
        "trap 'echo asked; echo 7 > state/at/step' USR1; trap 'echo ended; exit 0' TERM
         echo yes > listens; while :; do sleep 0.05; done",
    );
    launch.checkpoint = Some(checkpoint.clone());
    ground.launch(&launch).await;
    ground.line(launch.attempt, "listens").await;
    ground.engine.stop(launch.attempt, Span::from_secs(4)).await.unwrap();
    let outcome = ground.outcome(launch.attempt).await;
    assert_eq!((outcome.cause, outcome.exit), (Cause::Stopped, Some(Exit::Exited(0))));
    assert_eq!(ground.stdout(launch.attempt).await, "asked\nended\n");
    ground.engine.forget(launch.attempt).await.unwrap();

    let mut next = ground.sh(2, "cat state/at/step");
    next.checkpoint = Some(checkpoint);
    ground.launch(&next).await;
    ground.outcome(next.attempt).await;
    assert_eq!(ground.stdout(next.attempt).await, "7\n");
}
