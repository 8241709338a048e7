//! Attempts as processes of this machine, each looked after by a supervisor process of its own.

mod desk;
mod starting;

use crate::attempt_dir::{WAKE, make_fifo};
use crate::enclosure::{Container, Enclosures, Isolation};
use crate::hints::lock;
use crate::host::enforcement_here;
use crate::{
    BootTime, Capabilities, Capacity, Enforcement, Engine, Error, Launch, LogChunk, Observation,
    RunAs, State, Stream,
};
use desk::Desk;
use model::{AttemptId, Bytes, Cores, NetworkUid, Span, TenantId};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::unix::pipe;

/// A killed agent's lock lives on, for a moment, in a child that it was just forking.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// How a [`ProcessEngine`] is set up.
#[derive(Debug, Clone)]
pub struct ProcessConfig {
    /// The directory for attempts; each network has its own inside. On a local file system. With
    /// [`Self::uids`] every directory above it must be searchable by all (`chmod o+x`), and so
    /// must those of the inputs.
    pub base: PathBuf,
    /// Whose attempts: other networks' in the same directory are neither seen nor touched.
    pub network: NetworkUid,
    /// How a supervisor is started.
    pub supervisor: SupervisorCommand,
    /// The users to run attempts as, a different one for each job; needs root. None runs them as
    /// the agent's own user.
    pub uids: Option<UidRange>,
    /// What the center says of it.
    pub options: ProcessOptions,
}

/// How a center uses its machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessOptions {
    /// What commands are enclosed in that name no image.
    pub isolation: Isolation,
    /// What keeps them to the memory and processor time that their jobs ask for.
    pub limits: Limits,
    /// What runs images; where nothing is said podman, or else apptainer, if they are installed.
    pub container: Option<Container>,
    /// The users of this machine that tenants' attempts run as; needs root. Those of other tenants run
    /// as [`ProcessConfig::uids`] says.
    pub users: BTreeMap<TenantId, String>,
}

/// What keeps attempts to the memory and processor time that their jobs ask for. Time limits and leases are
/// kept in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limits {
    /// Control groups, where they can be made.
    #[default]
    ControlGroups,
    /// Nothing: both are planned with, and taken on trust.
    None,
}

impl Limits {
    /// What is kept on this machine, known before any engine is open.
    #[must_use]
    pub fn enforcement(self) -> Enforcement {
        match self {
            Self::ControlGroups => enforcement_here(),
            Self::None => Enforcement::ProcessGroup,
        }
    }
}

impl ProcessOptions {
    /// What is here to enclose commands of `user` in, as the center says; an error where something is not.
    /// Without a user, those of the agent's own.
    pub fn enclosures(&self, user: Option<RunAs>) -> Result<Enclosures, Error> {
        Enclosures::find(self.isolation, self.container.as_ref(), user)
    }

    /// The users by number. None may be root.
    fn users(&self) -> Result<BTreeMap<TenantId, RunAs>, Error> {
        let user = |(tenant, name): (&TenantId, &String)| {
            Ok((tenant.clone(), RunAs::of_tenant(tenant, name)?))
        };
        self.users.iter().map(user).collect()
    }
}

/// A program that calls [`crate::supervise`] with its last arguments.
#[derive(Debug, Clone)]
pub struct SupervisorCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments before those.
    pub arguments: Vec<OsString>,
}

impl Default for SupervisorCommand {
    /// `portolan-supervise` beside the program that runs now: it is small, and starts many times faster.
    /// Where it is not there, `supervise` of the program itself, even if its file has been replaced
    /// meanwhile.
    fn default() -> Self {
        let beside = std::env::current_exe().map(|own| own.with_file_name("portolan-supervise"));
        match beside {
            Ok(program) if program.is_file() => Self { program, arguments: Vec::new() },
            _ => Self { program: "/proc/self/exe".into(), arguments: vec!["supervise".into()] },
        }
    }
}

/// User numbers set aside for attempts. They need no entry in the user database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UidRange {
    /// The first.
    pub first: u32,
    /// How many, at least 1. Jobs whose numbers differ by a multiple of this share a user.
    pub count: u32,
}

impl UidRange {
    /// The user, and the group of the same number, for this attempt's job.
    #[must_use]
    pub fn user_for(self, attempt: AttemptId) -> RunAs {
        let offset = attempt.job.number() % u64::from(self.count.max(1));
        let id = self.first.saturating_add(u32::try_from(offset).expect("less than a u32"));
        RunAs { uid: id, gid: id }
    }
}

/// Runs attempts as processes of this machine.
///
/// Needs a Tokio runtime with I/O enabled. Nothing but files connects it to its supervisors, so
/// it may be dropped, or killed, and opened again at any time; one at a time for each network.
#[derive(Debug)]
pub struct ProcessEngine {
    desk: Arc<Desk>,
    enforcement: Enforcement,
    wake: pipe::Receiver,
    /// The beginning of a hint whose end has not been read yet.
    half_read: Mutex<Vec<u8>>,
}

impl ProcessEngine {
    /// Opens the directory and finds what runs there. Finishes what an earlier agent began to
    /// forget.
    ///
    /// Fails with [`Error::InUse`] if another agent keeps it open for a second, and with [`Error::Setup`] if
    /// attempts could never run so.
    pub async fn open(config: ProcessConfig) -> Result<Self, Error> {
        let base = config.base.join(config.network.to_string());
        let limits = config.options.limits;
        let desk = patiently(|| {
            let config = config.clone();
            blocking(move || Desk::open(config))
        });
        let desk = Arc::new(desk.await?);
        let enforcement = limits.enforcement();
        let wake = base.join(WAKE);
        make_fifo(&wake)?;
        let wake = pipe::OpenOptions::new()
            .read_write(true)
            .open_receiver(&wake)
            .map_err(Error::io("listen on", &wake))?;
        Ok(Self { desk, enforcement, wake, half_read: Mutex::default() })
    }

    async fn at_desk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Desk) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let desk = Arc::clone(&self.desk);
        blocking(move || work(&desk)).await
    }

    /// Notes the hints that supervisors have written since the last time.
    fn read_hints(&self) {
        let mut half_read = lock(&self.half_read);
        let hints = self.desk.hints();
        let mut buffer = [0; 4_096];
        while let Ok(count @ 1..) = self.wake.try_read(&mut buffer) {
            half_read.extend_from_slice(&buffer[..count]);
            let whole = half_read.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            let lines: Vec<u8> = half_read.drain(..whole).collect();
            let lines = String::from_utf8_lossy(&lines);
            let attempts = lines.lines().filter_map(|line| line.parse::<AttemptId>().ok());
            attempts.for_each(|attempt| hints.add(attempt));
            // Nobody of ours writes lines this long.
            if half_read.len() > buffer.len() {
                half_read.clear();
            }
        }
    }
}

/// Opens a directory that an earlier engine may hold for a moment longer.
pub(crate) async fn patiently<T>(open: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 0..LOCK_TRIES {
        match open().await {
            Err(Error::InUse { .. }) => tokio::time::sleep(LOCK_PAUSE).await,
            opened => return opened,
        }
    }
    open().await
}

/// Runs file work where it holds up no other task.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Setup("the runtime is shutting down".to_owned())),
        },
    }
}

impl Engine for ProcessEngine {
    async fn launch(&self, launch: &Launch) -> Result<(), Error> {
        launch.check()?;
        let launch = launch.clone();
        let desk = Arc::clone(&self.desk);
        blocking(move || desk.launch(launch)).await
    }

    async fn find(&self, attempt: AttemptId) -> Result<Option<State>, Error> {
        self.at_desk(move |desk| desk.find(attempt)).await
    }

    async fn observe(&self) -> Result<Vec<Observation>, Error> {
        self.at_desk(|desk| Ok(desk.observe())).await
    }

    async fn stop(&self, attempt: AttemptId, grace: Span) -> Result<(), Error> {
        self.at_desk(move |desk| desk.stop(attempt, grace)).await
    }

    async fn extend_lease(&self, attempt: AttemptId, deadline: BootTime) -> Result<(), Error> {
        self.at_desk(move |desk| desk.extend_lease(attempt, deadline)).await
    }

    async fn logs(
        &self,
        attempt: AttemptId,
        stream: Stream,
        offset: u64,
        max: usize,
    ) -> Result<LogChunk, Error> {
        self.at_desk(move |desk| desk.logs(attempt, stream, offset, max)).await
    }

    async fn capacity(&self) -> Result<Capacity, Error> {
        blocking(machine_capacity).await
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            engine: "process",
            version: env!("CARGO_PKG_VERSION").to_owned(),
            enforcement: self.enforcement,
            own_uid: self.desk.own_uid(),
            images: self.desk.runs_images(),
        }
    }

    fn workdir(&self, attempt: AttemptId) -> Option<PathBuf> {
        self.desk.workdir(attempt)
    }

    async fn forget(&self, attempt: AttemptId) -> Result<(), Error> {
        self.at_desk(move |desk| desk.forget(attempt)).await
    }

    async fn changed(&self) -> Vec<AttemptId> {
        loop {
            self.read_hints();
            tokio::select! {
                biased;
                changed = self.desk.hints().taken() => return changed,
                readable = self.wake.readable() => if readable.is_err() {
                    return self.desk.hints().taken().await;
                },
            }
        }
    }
}

/// The machine's cores and memory, as far as this process may use them.
fn machine_capacity() -> Result<Capacity, Error> {
    let path = Path::new("/proc/meminfo");
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|total| total.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let kib = kib.ok_or_else(|| io::ErrorKind::InvalidData.into());
    let memory = Bytes(kib.map_err(Error::io("parse", path))?.saturating_mul(1_024));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cpu = Cores(u64::try_from(cores).expect("fits in 64 bits").saturating_mul(1_000));
    Ok(Capacity { cpu, memory })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::JobId;

    #[test]
    fn each_job_has_its_own_user_and_its_attempts_share_it() {
        let range = UidRange { first: 200_000, count: 1_000 };
        let user = |job, epoch| range.user_for(AttemptId { job: JobId::new(job), epoch }).uid;
        assert_eq!(user(42, 1), 200_042);
        assert_eq!(user(42, 2), 200_042);
        assert_eq!(user(1_042, 1), 200_042);
        assert_ne!(user(43, 1), user(42, 1));
    }
}
