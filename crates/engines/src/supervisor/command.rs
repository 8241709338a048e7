//! Starting the command.

use super::{Post, gang};
use crate::Launch;
use crate::attempt_dir::Batch;
use crate::cgroup::AttemptGroups;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where programs are looked up if the agent has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts the command in its own process group, inside its control groups. The error is for the
/// people who wrote the command.
pub(super) fn spawn(
    post: &Post<'_>,
    launch: &Launch,
    batch: Option<&Batch>,
    groups: Option<&AttemptGroups>,
) -> Result<Child, String> {
    let env = environment(post, launch, batch)?;
    if launch.enclosure.is_sandbox() {
        find_program(launch, &env, &post.main.work())?;
    }
    let line = launch.enclosure.line(post.main, launch, &env)?;
    let mut command = Command::new(&line.program);
    command
        .args(&line.arguments)
        .current_dir(post.main.work())
        .env_clear()
        .envs(launch.enclosure.environment(env))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(run_as) = launch.run_as.filter(|_| !line.sets_user) {
        command.uid(run_as.uid).gid(run_as.gid);
        // Or a set-user-id program would give back what the user number took away.
        rustix::thread::set_no_new_privs(true)
            .map_err(|error| format!("its privileges cannot be dropped: {error}"))?;
    }
    if let Some(groups) = groups {
        groups.enter().map_err(|error| format!("its control group cannot be entered: {error}"))?;
    }
    let spawned = command.spawn();
    let left = groups.map_or(Ok(()), AttemptGroups::leave);
    let program = line.program.display();
    let mut child = spawned.map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    if let Err(error) = left {
        // In there, the supervisor would be killed with the command.
        let _ = child.kill().and_then(|()| child.wait());
        return Err(format!("its control group cannot be left: {error}"));
    }
    Ok(child)
}

/// What is in a sandbox cannot be told from one that fails, if it cannot be run: it is looked for first.
fn find_program(
    launch: &Launch,
    env: &BTreeMap<String, String>,
    work: &Path,
) -> Result<(), String> {
    let Some(program) = launch.command.first() else { return Ok(()) };
    let path = env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let places: Vec<PathBuf> = match program.contains('/') {
        true => vec![work.join(program)],
        false => env::split_paths(path).map(|dir| work.join(dir).join(program)).collect(),
    };
    let is_absent = |place: &PathBuf| match fs::metadata(place) {
        Ok(found) => !found.is_file() || found.mode() & 0o111 == 0,
        // What may not be looked at from here may be there for its user.
        Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    };
    match places.iter().all(is_absent) {
        true => Err(format!("`{program}` cannot be run: there is no such program here")),
        false => Ok(()),
    }
}

/// All the command gets to see: nothing of the agent's own environment but `PATH`, and of a batch
/// system's what is its own.
fn environment(
    post: &Post<'_>,
    launch: &Launch,
    batch: Option<&Batch>,
) -> Result<BTreeMap<String, String>, String> {
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let attempt = launch.attempt;
    let mut all = BTreeMap::from([
        ("PATH".to_owned(), env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.to_owned())),
        ("HOME".to_owned(), text(post.main.work())),
        ("TMPDIR".to_owned(), text(post.own.tmp())),
    ]);
    if let Some(batch) = batch {
        let own = |(name, _): &(String, String)| batch.keeps.iter().any(|is| name.starts_with(is));
        all.extend(env::vars().filter(own));
    }
    all.extend(launch.env.iter().cloned());
    all.extend(secrets(post, batch)?);
    if !launch.secret_files.is_empty() {
        all.insert("PORTOLAN_SECRETS_DIR".to_owned(), text(post.main.secrets()));
    }
    match &post.gang {
        Some(gang) => all.extend(gang.environment()),
        None if batch.is_some_and(|batch| batch.nodes == 1) => all.extend(gang::of_one()),
        None => {}
    }
    if let Some(chips) = &launch.chips {
        let planned = || {
            let slots: Vec<String> = chips.slots.iter().map(ToString::to_string).collect();
            slots.join(",")
        };
        let given = batch.and_then(|batch| batch.chips_in.iter().find_map(|of| env::var(of).ok()));
        all.insert(chips.variable.clone(), given.unwrap_or_else(planned));
    }
    all.insert("PORTOLAN_NETWORK".to_owned(), launch.network.to_string());
    all.insert("PORTOLAN_JOB".to_owned(), attempt.job.to_string());
    all.insert("PORTOLAN_ATTEMPT".to_owned(), attempt.to_string());
    Ok(all)
}

/// The attempt's secrets: from the engine, or by a file that nobody else may read.
fn secrets(post: &Post<'_>, batch: Option<&Batch>) -> Result<BTreeMap<String, String>, String> {
    match batch {
        Some(_) => post.own.take_secrets().map_err(crate::Error::in_full),
        None => Ok(post.means.secrets.clone()),
    }
}

/// Asks the kernel, which grants it to root only, to take this process last when memory runs out:
/// the command should go, not the one that tells how it went. Called after the command was
/// started, which else would be born with the same wish.
pub(super) fn outlive_the_hungry() {
    let _ = fs::write("/proc/self/oom_score_adj", "-900");
}
