//! Processes of the binary under test.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long a process may take to end when it is asked to.
const POLITE: Duration = Duration::from_secs(20);

/// The binary, as the build that made this test left it: in the directory of the profile, one above
/// the tests' own.
#[must_use]
pub fn portolan() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own program");
    let places = test.ancestors().skip(1).take(2).map(|dir| dir.join("portolan"));
    let mut found = places.filter(|path| path.is_file());
    found.next().unwrap_or_else(|| {
        panic!(
            "there is no `portolan` near {}: run `cargo build --workspace` first",
            test.display()
        )
    })
}

/// A process that is killed with what holds it.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
}

impl Program {
    /// Starts `portolan` with what it says going to the end of `log`.
    pub(crate) fn start<S: AsRef<OsStr>>(args: &[S], log: &Path) -> Self {
        Self::start_in(None, args, log)
    }

    /// The same in a site of an emulated network.
    pub(crate) fn start_in<S: AsRef<OsStr>>(
        site: Option<wan::Site<'_>>,
        args: &[S],
        log: &Path,
    ) -> Self {
        let mut options = File::options();
        let out = options.create(true).append(true).open(log).expect("the log can be written");
        let err = out.try_clone().expect("a file can be opened twice");
        let child = command(site, args).stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        Self { child: child.expect("the binary can be started") }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it runs; the status it ended with otherwise.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked for")
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .expect("a child that was not waited for can be signaled");
        let ended = tokio::task::spawn_blocking(move || {
            let status = self.child.wait();
            (status, self)
        });
        let Ok(ended) = tokio::time::timeout(POLITE, ended).await else {
            panic!("process {pid:?} does not stop within {POLITE:?} of being asked to");
        };
        let (status, _gone) = ended.expect("waiting does not panic");
        status.expect("a child can be waited for")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

fn command<S: AsRef<OsStr>>(site: Option<wan::Site<'_>>, args: &[S]) -> Command {
    let program = portolan();
    let mut command = match site {
        None => Command::new(program),
        Some(site) => site.command(program.to_str().expect("the build's path is text")),
    };
    command.args(args);
    // What the machine's user has set is no part of the test.
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PORTOLAN_") {
            command.env_remove(name);
        }
    }
    command
}

/// What a command that ran to its end said.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Finished {
    /// Runs `portolan` to its end, with these variables in its environment.
    pub async fn run(args: &[&str], env: &[(&str, &str)], dir: &Path) -> Self {
        Self::run_in(None, args, env, dir).await
    }

    /// The same in a site of an emulated network.
    pub(crate) async fn run_in(
        site: Option<wan::Site<'_>>,
        args: &[&str],
        env: &[(&str, &str)],
        dir: &Path,
    ) -> Self {
        let mut command = command(site, args);
        command.envs(env.iter().copied()).current_dir(dir).stdin(Stdio::null());
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("`portolan {}` hangs", args.join(" ")));
        let output = output.expect("the binary can be started");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

/// The last lines of a file, for messages.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
