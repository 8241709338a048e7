//! What stands between a command and the machine: nothing, a sandbox, or a container.
//!
//! A sandbox (bubblewrap) shows a command the machine's files read-only, its own work directory to
//! write, a `/tmp` of its own, and no processes but its own. A container (podman or apptainer) shows
//! it an image's files instead, and of the machine's those directories that are the attempt's.

use crate::attempt_dir::AttemptDir;
use crate::{Error, Exit, Launch, RunAs};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Variables of the agent's own that container runtimes go by.
pub(crate) const HANDED_ON: [&str; 3] = ["PATH", "HOME", "XDG_RUNTIME_DIR"];
/// The longest a container runtime may take to tell how a container ended, or to remove it.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a container runtime ends with when its command was killed.
const KILLED: i32 = 137;
/// How often it is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What commands run in that name no image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Nothing: they see the machine as their user does.
    #[default]
    None,
    /// A sandbox of bubblewrap.
    Bubblewrap,
}

/// What runs images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// Which.
    pub runtime: Runtime,
    /// The program, with what comes before its own command, such as `["podman", "--runtime", "runc"]`.
    /// The runtime's name where nothing is said.
    #[serde(default)]
    pub program: Vec<String>,
    /// Further options of its `run` or `exec`, such as those that give it the center's chips.
    #[serde(default)]
    pub options: Vec<String>,
}

/// A program that runs images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// `podman run`.
    Podman,
    /// `apptainer exec`.
    Apptainer,
}

impl Runtime {
    const fn name(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Apptainer => "apptainer",
        }
    }
}

impl Container {
    fn of(runtime: Runtime) -> Self {
        Self { runtime, program: Vec::new(), options: Vec::new() }
    }

    fn program(&self) -> Vec<String> {
        match self.program.is_empty() {
            true => vec![self.runtime.name().to_owned()],
            false => self.program.clone(),
        }
    }

    /// What it says its version is.
    fn version(&self) -> Result<String, String> {
        let program = self.program();
        let (first, rest) = program.split_first().ok_or("its program is empty")?;
        let said = Command::new(first).args(rest).arg("--version").stdin(Stdio::null()).output();
        let said = said.map_err(|error| format!("`{first}` cannot be run: {error}"))?;
        let text = String::from_utf8_lossy(&said.stdout);
        match text.lines().next().filter(|_| said.status.success()) {
            Some(line) => Ok(line.trim().to_owned()),
            None => Err(format!("`{first} --version` ends with {}", said.status)),
        }
    }
}

/// What was found on this machine to enclose commands in.
#[derive(Debug, Clone, Default)]
pub struct Enclosures {
    isolation: Isolation,
    container: Option<Container>,
    versions: Vec<String>,
}

impl Enclosures {
    /// Looks for what a center says it uses: that has to be there. Where it says nothing of containers,
    /// podman or else apptainer, if they are installed.
    /// A sandbox is tried as `user`, where attempts run as others than the agent.
    pub fn find(
        isolation: Isolation,
        container: Option<&Container>,
        user: Option<RunAs>,
    ) -> Result<Self, Error> {
        let mut found = Self { isolation, ..Self::default() };
        if isolation == Isolation::Bubblewrap {
            found.versions.push(sandbox_version(user).map_err(Error::Setup)?);
        }
        match container {
            Some(container) => {
                found.versions.push(container.version().map_err(|why| {
                    Error::Setup(format!("containers cannot be run here: {why}"))
                })?);
                found.container = Some(container.clone());
            }
            None => {
                let usual = [Runtime::Podman, Runtime::Apptainer].map(Container::of);
                let there = usual.into_iter().find_map(|c| Some((c.version().ok()?, c)));
                if let Some((version, container)) = there {
                    found.versions.push(version);
                    found.container = Some(container);
                }
            }
        }
        Ok(found)
    }

    /// Whether jobs may name images.
    #[must_use]
    pub const fn run_images(&self) -> bool {
        self.container.is_some()
    }

    /// What was found, with versions, for people.
    #[must_use]
    pub fn versions(&self) -> &[String] {
        &self.versions
    }

    /// What this launch is to be enclosed in.
    pub(crate) fn of(&self, launch: &Launch) -> Result<Enclosure, Error> {
        match (&launch.image, &self.container) {
            (Some(image), Some(container)) => {
                if image.is_empty() || image.starts_with('-') || image.contains('\0') {
                    let why = format!("`{image}` is not the name of an image");
                    return Err(Error::Refused { attempt: launch.attempt, why });
                }
                Ok(Enclosure::Container(container.clone()))
            }
            (Some(image), None) => {
                let why = format!("it needs the image {image}, and no container runtime is here");
                Err(Error::Refused { attempt: launch.attempt, why })
            }
            (None, _) if self.isolation == Isolation::Bubblewrap => Ok(Enclosure::Sandbox),
            (None, _) => Ok(Enclosure::None),
        }
    }
}

/// Tries a sandbox: where the kernel does not let this user make namespaces, it is better to know at once.
fn sandbox_version(user: Option<RunAs>) -> Result<String, String> {
    let run = |args: &[&str]| {
        let mut bwrap = Command::new("bwrap");
        bwrap.args(args).current_dir("/").stdin(Stdio::null());
        let run = match user {
            Some(user) => as_attempts_run(bwrap.uid(user.uid).gid(user.gid)),
            None => bwrap.output(),
        };
        run.map_err(|error| format!("`bwrap` cannot be run: {error}; install bubblewrap"))
    };
    let version = run(&["--version"])?;
    let tried = run(&["--ro-bind", "/", "/", "--unshare-pid", "--proc", "/proc", "true"])?;
    if !tried.status.success() {
        let said = String::from_utf8_lossy(&tried.stderr);
        let whose = user.map_or(String::new(), |user| format!(" for user {}", user.uid));
        return Err(format!("bubblewrap makes no sandbox here{whose}: {}", said.trim()));
    }
    Ok(String::from_utf8_lossy(&version.stdout).trim().to_owned())
}

/// Runs a command of another user as attempts are run: without ever getting more rights.
fn as_attempts_run(command: &mut Command) -> io::Result<Output> {
    // What a thread gave up its commands do not have, and this one ends here.
    let run = || {
        rustix::thread::set_no_new_privs(true)?;
        command.output()
    };
    std::thread::scope(|scope| scope.spawn(run).join())
        .unwrap_or_else(|_| Err(io::Error::other("it was not tried")))
}

/// What one attempt is enclosed in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Enclosure {
    #[default]
    None,
    Sandbox,
    Container(Container),
}

/// A command as it is started.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    /// Whether the program itself sees to the user that the command runs as.
    pub(crate) sets_user: bool,
}

impl Enclosure {
    /// The command inside it. Of the variables it is given only the names are among the arguments:
    /// those everybody can read.
    pub(crate) fn line(
        &self,
        dir: &AttemptDir,
        launch: &Launch,
        env: &BTreeMap<String, String>,
    ) -> Result<Line, String> {
        let empty = || "its command is empty".to_owned();
        let mut words: Vec<OsString> = match self {
            Self::None => Vec::new(),
            Self::Sandbox => sandbox(dir, launch),
            Self::Container(container) => match container.runtime {
                Runtime::Podman => podman(container, dir, launch, env),
                Runtime::Apptainer => apptainer(container, dir, launch),
            },
        };
        words.extend(launch.command.iter().map(OsString::from));
        let mut words = words.into_iter();
        let program = words.next().ok_or_else(empty)?;
        let sets_user = matches!(self, Self::Container(c) if c.runtime == Runtime::Podman);
        Ok(Line { program, arguments: words.collect(), sets_user })
    }

    /// How the command itself ended, where what it is enclosed in tells that as shells do: by 128 and the
    /// signal that killed it.
    pub(crate) fn exit(&self, seen: Exit) -> Exit {
        match seen {
            Exit::Exited(code @ 129..=192) if *self != Self::None => Exit::Signaled(code - 128),
            seen => seen,
        }
    }

    pub(crate) const fn is_sandbox(&self) -> bool {
        matches!(self, Self::Sandbox)
    }

    /// The environment of what is started, for the command to have this one. A container runtime has its
    /// user's home as well, where its images are.
    pub(crate) fn environment(&self, env: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let Self::Container(container) = self else { return env };
        let own = HANDED_ON.into_iter().filter_map(|name| Some((name, std::env::var(name).ok()?)));
        let own = own.map(|(name, value)| (name.to_owned(), value));
        match container.runtime {
            Runtime::Podman => env.into_iter().chain(own).collect(),
            Runtime::Apptainer => {
                let told = env.into_iter().filter(|(name, _)| name != "PATH");
                told.map(|(name, value)| (format!("APPTAINERENV_{name}"), value))
                    .chain(own)
                    .collect()
            }
        }
    }

    /// Has the runtime tell the command this; podman passes on what it is told itself, but not in the
    /// moment after a start. False where there is nobody to do it.
    pub(crate) fn signal(&self, launch: &Launch, signal: Signal) -> bool {
        let Self::Container(container) = self else { return false };
        let number = signal.as_raw().to_string();
        let kill = ["kill", "--signal", &number, &container_name(launch)];
        container.runtime == Runtime::Podman && ask(container, &kill).is_some()
    }

    /// Removes what is left of it once nothing of the command lives. True if it went for memory: the
    /// runtime says so, or it was killed by nobody here when it had a limit.
    pub(crate) fn clear_away(&self, launch: &Launch, exit: Option<Exit>) -> bool {
        let Self::Container(container) = self else { return false };
        if container.runtime != Runtime::Podman {
            return false;
        }
        let killed = exit == Some(Exit::Exited(KILLED)) && launch.memory.is_some();
        let name = container_name(launch);
        let asked = ask(container, &["inspect", "--format", "{{.State.OOMKilled}}", &name]);
        ask(container, &["rm", "--force", "--ignore", "--time", "0", &name]);
        killed || asked.is_some_and(|said| said.trim() == "true")
    }
}

/// The directories of an attempt, and whether it may write to them.
fn own_dirs(dir: &AttemptDir, launch: &Launch) -> Vec<(PathBuf, bool)> {
    let inputs = launch.inputs.iter().map(|input| (input.target.clone(), false));
    let kept = launch.checkpoint.iter().map(|kept| (kept.target.clone(), true));
    let secrets = (!launch.secret_files.is_empty()).then(|| (dir.secrets(), false));
    let own = [(dir.work(), true), (dir.tmp(), true)];
    own.into_iter().chain(inputs).chain(kept).chain(secrets).collect()
}

fn sandbox(dir: &AttemptDir, launch: &Launch) -> Vec<OsString> {
    let fixed = [
        "bwrap",
        "--ro-bind",
        "/",
        "/",
        "--dev-bind",
        "/dev",
        "/dev",
        "--proc",
        "/proc",
        "--tmpfs",
        "/tmp",
        "--tmpfs",
        "/var/tmp",
    ];
    let mut words: Vec<OsString> = fixed.map(OsString::from).into();
    for (path, may_write) in own_dirs(dir, launch) {
        let how = if may_write { "--bind" } else { "--ro-bind" };
        words.extend([how.into(), path.clone().into(), path.into()]);
    }
    // In a session of its own the command is told to end apart from its sandbox, whose end ends all.
    let rest = ["--unshare-pid", "--unshare-ipc", "--die-with-parent", "--new-session", "--chdir"];
    words.extend(rest.map(OsString::from));
    words.extend([dir.work().into(), "--".into()]);
    words
}

fn container_name(launch: &Launch) -> String {
    format!("portolan-{}-{}", launch.network, launch.attempt)
}

fn podman(
    container: &Container,
    dir: &AttemptDir,
    launch: &Launch,
    env: &BTreeMap<String, String>,
) -> Vec<OsString> {
    let mut words: Vec<String> = container.program();
    let fixed = [
        "run",
        "--network",
        "host",
        "--init",
        "--cap-drop",
        "all",
        "--security-opt",
        "no-new-privileges",
        "--pull",
        "missing",
        "--name",
    ];
    words.extend(fixed.map(str::to_owned));
    words.push(container_name(launch));
    match launch.run_as {
        Some(user) => words.extend(["--user".to_owned(), format!("{}:{}", user.uid, user.gid)]),
        None if crate::is_root() => {}
        None => words.extend(["--userns".to_owned(), "keep-id".to_owned()]),
    }
    if let Some(memory) = launch.memory {
        // Swap counts as memory: none beside it.
        words.extend(["--memory", "--memory-swap"].map(|what| format!("{what}={}b", memory.0)));
    }
    if let Some(cpu) = launch.cpu {
        words.push(format!("--cpus={}.{:03}", cpu.0 / 1_000, cpu.0 % 1_000));
    }
    // The image knows best where its programs are; and what the runtime has for itself, the command
    // must have by value.
    for (name, value) in env.iter().filter(|(name, _)| *name != "PATH") {
        words.push(match HANDED_ON.contains(&name.as_str()) {
            true => format!("--env={name}={value}"),
            false => format!("--env={name}"),
        });
    }
    words.extend(container.options.iter().cloned());
    let mut words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
    for (path, may_write) in own_dirs(dir, launch) {
        let mut mount = OsString::from("--volume=");
        mount.push(&path);
        mount.push(":");
        mount.push(&path);
        mount.push(if may_write { ":rw" } else { ":ro" });
        words.push(mount);
    }
    words.extend(["--workdir".into(), dir.work().into()]);
    words.extend(launch.image.iter().map(OsString::from));
    words
}

fn apptainer(container: &Container, dir: &AttemptDir, launch: &Launch) -> Vec<OsString> {
    let mut words: Vec<OsString> = container.program().into_iter().map(OsString::from).collect();
    words.extend(["exec", "--containall", "--no-home"].map(OsString::from));
    words.extend(container.options.iter().map(OsString::from));
    for (path, may_write) in own_dirs(dir, launch) {
        let mut bind = path.clone().into_os_string();
        bind.push(":");
        bind.push(&path);
        bind.push(if may_write { ":rw" } else { ":ro" });
        words.extend(["--bind".into(), bind]);
    }
    words.extend(["--pwd".into(), dir.work().into()]);
    words.extend(launch.image.iter().map(OsString::from));
    words
}

/// What the runtime says; nothing if it fails or takes too long.
fn ask(container: &Container, args: &[&str]) -> Option<String> {
    let program = container.program();
    let (first, rest) = program.split_first()?;
    let mut command = Command::new(first);
    command.args(rest).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let until = Instant::now() + PATIENCE;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => break,
            Ok(None) if Instant::now() < until => {
                // tidy: it says nothing until it ends, and it may never
                std::thread::sleep(LOOK_EVERY);
            }
            Ok(Some(_)) | Err(_) => return None,
            Ok(None) => {
                let _ = child.kill().and_then(|()| child.wait());
                return None;
            }
        }
    }
    let mut said = String::new();
    io::Read::read_to_string(&mut child.stdout.take()?, &mut said).ok()?;
    Some(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CheckpointDir, InputLink, RunAs};
    use model::{AttemptId, Bytes, Cores, JobId, NetworkUid};
    use std::path::Path;

    fn launch() -> Launch {
        let attempt = AttemptId { job: JobId::new(7), epoch: 2 };
        let command = ["train", "--fast"].map(str::to_owned).into();
        let mut launch = Launch::new(NetworkUid::from_bytes([1; 8]), attempt, command);
        launch.image = Some("registry.example/train:3".to_owned());
        launch.inputs = vec![InputLink { name: "in".into(), target: "/store/in".into() }];
        let target = PathBuf::from("/kept/7");
        launch.checkpoint = Some(CheckpointDir { name: "kept".into(), target, signal: None });
        launch.run_as = Some(RunAs { uid: 200_007, gid: 200_007 });
        launch.memory = Some(Bytes(1 << 30));
        launch.cpu = Some(Cores(1_500));
        launch
    }

    fn words(enclosure: &Enclosure) -> String {
        let dir = AttemptDir::new(Path::new("/a/job-7.2").to_owned());
        let env = [("PATH", "/bin"), ("HOME", "/a/job-7.2/work"), ("TOKEN", "secret")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let line = enclosure.line(&dir, &launch(), &env).unwrap();
        let all = std::iter::once(line.program).chain(line.arguments);
        all.map(|word| word.into_string().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_command_is_enclosed_as_each_runtime_wants_it() {
        assert_eq!(words(&Enclosure::None), "train --fast");
        assert_eq!(
            words(&Enclosure::Sandbox),
            "bwrap --ro-bind / / --dev-bind /dev /dev --proc /proc --tmpfs /tmp --tmpfs /var/tmp \
             --bind /a/job-7.2/work /a/job-7.2/work --bind /a/job-7.2/tmp /a/job-7.2/tmp \
             --ro-bind /store/in /store/in --bind /kept/7 /kept/7 --unshare-pid --unshare-ipc \
             --die-with-parent --new-session --chdir /a/job-7.2/work -- train --fast"
        );
        let container = Container {
            options: vec!["--device=/dev/davinci0".to_owned()],
            ..Container::of(Runtime::Podman)
        };
        assert_eq!(
            words(&Enclosure::Container(container)),
            "podman run --network host --init --cap-drop all --security-opt no-new-privileges \
             --pull missing --name portolan-0101010101010101-job-7.2 --user 200007:200007 \
             --memory=1073741824b --memory-swap=1073741824b --cpus=1.500 \
             --env=HOME=/a/job-7.2/work --env=TOKEN --device=/dev/davinci0 \
             --volume=/a/job-7.2/work:/a/job-7.2/work:rw \
             --volume=/a/job-7.2/tmp:/a/job-7.2/tmp:rw --volume=/store/in:/store/in:ro \
             --volume=/kept/7:/kept/7:rw --workdir /a/job-7.2/work registry.example/train:3 \
             train --fast"
        );
        let container = Container::of(Runtime::Apptainer);
        assert_eq!(
            words(&Enclosure::Container(container)),
            "apptainer exec --containall --no-home --bind /a/job-7.2/work:/a/job-7.2/work:rw \
             --bind /a/job-7.2/tmp:/a/job-7.2/tmp:rw --bind /store/in:/store/in:ro \
             --bind /kept/7:/kept/7:rw --pwd /a/job-7.2/work registry.example/train:3 train --fast"
        );
    }

    #[test]
    fn an_image_is_refused_where_nothing_runs_it() {
        let nothing = Enclosures::default();
        let refused = nothing.of(&launch()).unwrap_err().to_string();
        assert!(refused.ends_with("and no container runtime is here"), "{refused}");
        let podman = Enclosures { container: Some(Container::of(Runtime::Podman)), ..nothing };
        let odd = Launch { image: Some("--privileged".to_owned()), ..launch() };
        let refused = podman.of(&odd).unwrap_err().to_string();
        assert!(refused.ends_with("`--privileged` is not the name of an image"), "{refused}");
    }
}
