//! The files of one attempt: all that the engine and the attempt's supervisor say to each other.
//!
//! Everything appears whole (by rename or link) or not at all, and nothing is synced: after a
//! crash of the machine the boot id differs and the attempt is lost whatever its files say.
//!
//! Where a batch system runs attempts, the directory lies on a file system that its nodes share, and
//! neither process numbers nor clocks mean anything across it. There a lease is written as what is
//! left of it, and how long ago that was is told by the file system's own clock: all stamps in it are
//! of one server. What is read too late there only brings the end of a lease nearer.
//!
//! | file | by | says |
//! |---|---|---|
//! | `launch.json` | engine | what to run; without it the directory holds no attempt |
//! | `claim` | whoever is first | which process decides this attempt's fate; linked, so only one is |
//! | `lease` | engine | the present deadline, once it has moved; where shared, what is left of it, from the beginning |
//! | `stop` | engine | that it is to stop, and its grace |
//! | `control` | supervisor | FIFO: a byte means "look at `stop`" |
//! | `running.json` | supervisor | the command runs |
//! | `stdout`, `stderr` | supervisor | the command's output, up to the cap |
//! | `result.json` | claimant | how it ended; nothing of it lives any more |
//! | `lost` | engine | gone without a result, and nothing of it lives any more |
//! | `entry.json` | batch engine | what the batch system calls it |
//! | `secrets.json` | batch engine | its secrets, for its own user; removed as they are read |
//! | `secrets/` | engine | the files that are its secrets, for its own user; removed as it ends |
//! | `alive` | supervisor | stamped every few seconds where shared, for as long as it lives |
//! | `work/`, `tmp/` | the command | its work directory and `TMPDIR` |

mod gang;
mod order;

pub(crate) use order::{Batch, Order};

use crate::{BootTime, Error, LogChunk, Outcome, RunAs, State, Stream};
use model::{BootId, Moment, Span};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, Timestamps, UTIME_NOW, renameat_with};
use rustix::io::Errno;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// The FIFO beside the attempts of a network into which supervisors write the id of an attempt
/// whenever it changes.
pub(crate) const WAKE: &str = "wake";

/// The file beside the attempts of a network to which supervisors write what goes wrong.
pub(crate) const COMPLAINTS: &str = "supervisors.log";

/// The directory beside the attempts of a network in which supervisors on other machines leave a file
/// by the name of an attempt whenever it changes.
pub(crate) const CHANGES: &str = "changes";

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessIdentity {
    pub(crate) pid: u32,
    /// Clock ticks from boot to its start, as in `/proc/PID/stat`.
    start_ticks: u64,
    pub(crate) boot: BootId,
}

impl ProcessIdentity {
    /// This process.
    pub(crate) fn own() -> Result<Self, Error> {
        let pid = std::process::id();
        let stat = PathBuf::from(format!("/proc/{pid}/stat"));
        let start_ticks = start_ticks(pid)
            .ok_or_else(|| ErrorKind::InvalidData.into())
            .map_err(Error::io("read", &stat))?;
        Ok(Self { pid, start_ticks, boot: boot_id()? })
    }

    /// Whether it still runs; a zombie does not.
    pub(crate) fn is_alive(self) -> bool {
        start_ticks(self.pid) == Some(self.start_ticks)
    }
}

/// Field 22 of `/proc/PID/stat`, unless the process is gone or a zombie. The second field is the
/// program's name in parentheses and may hold anything, so fields are counted after the last one.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let mut fields = std::str::from_utf8(&stat[after_name..]).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(start)
}

/// This start of this machine.
pub(crate) fn boot_id() -> Result<BootId, Error> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    let hex = text.trim().replace('-', "");
    hex.parse().map_err(|_| ErrorKind::InvalidData.into()).map_err(Error::io("read", path))
}

/// The wall clock, for records only.
pub(crate) fn wall_clock() -> Moment {
    let since = SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Moment(since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
}

/// What `lease` says.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(untagged)]
enum Lease {
    /// A deadline on this machine's clock.
    Until(BootTime),
    /// What was left when this was written.
    Left { left: Span },
}

/// What `entry.json` says: what a batch system calls an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entered {
    /// Its number there, which may be used again after a crash.
    pub(crate) number: String,
}

/// What `running.json` says.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) started: Moment,
    pub(crate) command_pid: u32,
}

/// The directory of one attempt.
#[derive(Debug, Clone)]
pub(crate) struct AttemptDir {
    path: PathBuf,
    /// Whether its files are for another user's eyes too: then the directory itself is closed.
    shared: bool,
}

impl AttemptDir {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path, shared: false }
    }

    /// One that the user whom the attempt runs as has to himself, beside the engine.
    pub(crate) const fn shared(path: PathBuf) -> Self {
        Self { path, shared: true }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    pub(crate) fn secrets(&self) -> PathBuf {
        self.path.join("secrets")
    }

    pub(crate) fn log(&self, stream: Stream) -> PathBuf {
        self.path.join(stream.name())
    }

    pub(crate) fn read_order(&self) -> Result<Option<Order>, Error> {
        self.read_json("launch.json")
    }

    pub(crate) fn write_order(&self, order: &Order) -> Result<(), Error> {
        self.write_json("launch.json", order)
    }

    pub(crate) fn holds_attempt(&self) -> bool {
        self.path.join("launch.json").exists()
    }

    pub(crate) fn read_running(&self) -> Result<Option<Running>, Error> {
        self.read_json("running.json")
    }

    pub(crate) fn write_running(&self, running: &Running) -> Result<(), Error> {
        self.write_json("running.json", running)
    }

    pub(crate) fn read_result(&self) -> Result<Option<Outcome>, Error> {
        self.read_json("result.json")
    }

    pub(crate) fn write_result(&self, outcome: &Outcome) -> Result<(), Error> {
        self.remove_secret_files()?;
        self.write_json("result.json", outcome)
    }

    pub(crate) fn read_lost(&self) -> Result<Option<String>, Error> {
        self.read_json("lost")
    }

    pub(crate) fn write_lost(&self, why: &str) -> Result<(), Error> {
        self.remove_secret_files()?;
        self.write_json("lost", &why)
    }

    /// Nobody needs them once the attempt is over, and its directory stays for as long as its logs.
    fn remove_secret_files(&self) -> Result<(), Error> {
        match fs::remove_dir_all(self.secrets()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io("remove", &self.secrets())(error))
            }
            _ => Ok(()),
        }
    }

    /// The lease's deadline on this machine's clock: as it was ordered, if it has not been moved since.
    pub(crate) fn read_lease(&self, ordered: Option<BootTime>) -> Result<Option<BootTime>, Error> {
        let left = match self.read_json("lease")? {
            None => return Ok(ordered),
            Some(Lease::Until(deadline)) => return Ok(Some(deadline)),
            Some(Lease::Left { left }) => left,
        };
        let age = self.age("lease")?.unwrap_or(left);
        Ok(Some(BootTime::now().after(Span(left.0.saturating_sub(age.0)))))
    }

    pub(crate) fn write_lease(&self, deadline: BootTime) -> Result<(), Error> {
        if self.shared {
            let left = deadline.since(BootTime::now());
            return self.write_json("lease", &Lease::Left { left });
        }
        self.write_json("lease", &Lease::Until(deadline))
    }

    /// Says that the supervisor lives.
    pub(crate) fn beat(&self) -> Result<(), Error> {
        stamp(&self.path.join("alive")).map(|_| ())
    }

    /// For how long the supervisor has said nothing; none if it never did.
    pub(crate) fn silent_for(&self) -> Result<Option<Span>, Error> {
        self.age("alive")
    }

    /// How long ago a file was written, by the file system's own clock.
    fn age(&self, name: &str) -> Result<Option<Span>, Error> {
        let Some(written) = self.written(name)? else { return Ok(None) };
        let clock = self.path.join(format!(".clock.{}", unique()));
        let now = stamp(&clock)?;
        let _ = fs::remove_file(&clock);
        let since = now.duration_since(written).unwrap_or_default();
        Ok(Some(Span(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))))
    }

    /// When a file was written, by the file system's own clock; none if it is not there.
    fn written(&self, name: &str) -> Result<Option<SystemTime>, Error> {
        match fs::symlink_metadata(self.path.join(name)).and_then(|about| about.modified()) {
            Ok(written) => Ok(Some(written)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("look at", &self.path)(error)),
        }
    }

    /// Whether the supervisor said something after `since`, by the file system's own clock.
    pub(crate) fn is_heard_since(&self, since: SystemTime) -> bool {
        self.written("alive").is_ok_and(|written| written.is_some_and(|at| at > since))
    }

    /// Makes the attempt's user the owner of what it is to read or write.
    pub(crate) fn give_to(&self, user: RunAs) -> Result<(), Error> {
        let there = ["launch.json", "lease", "stop", "secrets.json", ""];
        for path in there.iter().map(|name| self.path.join(name)) {
            match std::os::unix::fs::lchown(&path, Some(user.uid), Some(user.gid)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Error::io("give away", &path)(error));
                }
                _ => {}
            }
        }
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o700))
            .map_err(Error::io("close", &self.path))
    }

    pub(crate) fn read_entry(&self) -> Result<Option<Entered>, Error> {
        self.read_json("entry.json")
    }

    pub(crate) fn write_entry(&self, entry: &Entered) -> Result<(), Error> {
        self.write_json("entry.json", entry)
    }

    pub(crate) fn write_secrets(&self, secrets: &BTreeMap<&str, &str>) -> Result<(), Error> {
        AttemptDir::new(self.path.clone()).write_json("secrets.json", secrets)
    }

    /// The secrets, which are then no longer there.
    pub(crate) fn take_secrets(&self) -> Result<BTreeMap<String, String>, Error> {
        let secrets = self.read_json("secrets.json")?.unwrap_or_default();
        match fs::remove_file(self.path.join("secrets.json")) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io("remove the secrets in", &self.path)(error))
            }
            _ => Ok(secrets),
        }
    }

    pub(crate) fn read_stop(&self) -> Result<Option<Span>, Error> {
        self.read_json("stop")
    }

    pub(crate) fn write_stop(&self, grace: Span) -> Result<(), Error> {
        self.write_json("stop", &grace)
    }

    pub(crate) fn read_claim(&self) -> Result<Option<ProcessIdentity>, Error> {
        self.read_json("claim")
    }

    /// Makes this process the one that decides the attempt's fate. False if another one is.
    pub(crate) fn claim(&self) -> Result<bool, Error> {
        self.link_once("claim", &ProcessIdentity::own()?)
    }

    /// Writes a file unless it is there; false if it is.
    fn link_once<T: Serialize>(&self, name: &str, value: &T) -> Result<bool, Error> {
        let draft = self.draft(name, value)?;
        let path = self.path.join(name);
        // Where the file system knows it, this is one step; network file systems know only links.
        let moved = renameat_with(CWD, &draft, CWD, &path, RenameFlags::NOREPLACE);
        let linked = match moved {
            Ok(()) => return Ok(true),
            Err(Errno::EXIST) => Err(ErrorKind::AlreadyExists.into()),
            Err(_) => fs::hard_link(&draft, &path),
        };
        fs::remove_file(&draft).map_err(Error::io("remove", &draft))?;
        match linked {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(Error::io("claim", &path)(error)),
        }
    }

    /// The control FIFO for the supervisor, made if it is not there: opened for writing too, so that it
    /// never reports an end of file when the engine goes away.
    pub(crate) fn open_control(&self) -> Result<fs::File, Error> {
        let path = self.path.join("control");
        make_fifo(&path)?;
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&path, flags, Mode::empty());
        fd.map(fs::File::from).map_err(Into::into).map_err(Error::io("open", &path))
    }

    /// Tells the supervisor to look at its files. It does so when it starts anyway, so that one
    /// that does not listen yet (or any more) needs no telling.
    pub(crate) fn poke(&self) {
        write_hint(&self.path.join("control"), b"!");
    }

    /// Tells whoever listens beside the attempts that this one has changed.
    pub(crate) fn wake(&self) {
        let Some((network_dir, name)) = self.path.parent().zip(self.path.file_name()) else {
            return;
        };
        let mut line = name.as_encoded_bytes().to_vec();
        line.push(b'\n');
        write_hint(&network_dir.join(WAKE), &line);
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let _ = rustix::fs::open(network_dir.join(CHANGES).join(name), flags, Mode::RUSR);
    }

    /// At most `range.1` bytes of a log from `range.0` on; `over` once nothing more is written.
    pub(crate) fn read_log(
        &self,
        stream: Stream,
        range: (u64, usize),
        over: bool,
    ) -> Result<LogChunk, Error> {
        let path = self.log(stream);
        let mut file = match open_plain(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(LogChunk { data: Vec::new(), complete: over });
            }
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        let max = u64::try_from(range.1).unwrap_or(u64::MAX);
        let mut data = Vec::new();
        let mut read = || {
            let size = file.metadata()?.len();
            file.seek(SeekFrom::Start(range.0.min(size)))?;
            (&mut file).take(max).read_to_end(&mut data)?;
            std::io::Result::Ok(file.stream_position()? >= size)
        };
        let at_end = read().map_err(Error::io("read", &path))?;
        Ok(LogChunk { data, complete: over && at_end })
    }

    /// Notes that the attempt is gone without a result.
    pub(crate) fn lose(&self, why: &str) -> Result<State, Error> {
        self.write_lost(why)?;
        Ok(State::Lost { why: why.to_owned() })
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let path = self.path.join(name);
        let mut text = Vec::new();
        match open_plain(&path).and_then(|mut file| file.read_to_end(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path)(error)),
        }
        let torn = |error| std::io::Error::new(ErrorKind::InvalidData, error);
        serde_json::from_slice(&text).map(Some).map_err(torn).map_err(Error::io("parse", &path))
    }

    fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        let draft = self.draft(name, value)?;
        let path = self.path.join(name);
        fs::rename(&draft, &path).map_err(Error::io("write", &path))
    }

    /// Writes `value` beside where it will appear, under a name nobody else uses.
    fn draft<T: Serialize>(&self, name: &str, value: &T) -> Result<PathBuf, Error> {
        let path = self.path.join(format!(".{name}.{}", unique()));
        let text = serde_json::to_vec(value).expect("our records are plain data");
        let mut options = fs::OpenOptions::new();
        let mode = if self.shared { 0o644 } else { 0o600 };
        let file = options.write(true).create_new(true).mode(mode).open(&path);
        file.and_then(|mut file| file.write_all(&text)).map_err(Error::io("write", &path))?;
        Ok(path)
    }
}

/// A word that nobody else uses, on whatever machine: in containers all are process 1.
fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let since = SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{}.{count}", std::process::id(), since.as_nanos())
}

/// Makes a FIFO, readable and writable for this user only, unless it is there.
pub(crate) fn make_fifo(path: &Path) -> Result<(), Error> {
    match rustix::fs::mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(Error::io("make the FIFO", path)(error.into())),
    }
}

/// Writes to a FIFO if somebody listens and there is room; otherwise nobody needs the hint.
fn write_hint(path: &Path, bytes: &[u8]) {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    if let Ok(fifo) = rustix::fs::open(path, flags, Mode::empty()) {
        let _ = rustix::io::write(fifo, bytes);
    }
}

/// Opens a file that an attempt's user may have put anything in the place of: no link is followed, and
/// no FIFO waited for.
fn open_plain(path: &Path) -> std::io::Result<fs::File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(fs::File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// Stamps a file, made if it is not there, with the file system's own clock; what that says.
pub(crate) fn stamp(path: &Path) -> Result<SystemTime, Error> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let stamped = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).and_then(|file| {
        rustix::fs::futimens(&file, &Timestamps { last_access: now, last_modification: now })?;
        Ok(fs::File::from(file))
    });
    let file = stamped.map_err(std::io::Error::from).map_err(Error::io("stamp", path))?;
    file.metadata().and_then(|about| about.modified()).map_err(Error::io("look at", path))
}
