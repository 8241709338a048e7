//! The files of one attempt: all that the engine and the attempt's supervisor say to each other.
//!
//! Everything appears whole (by rename or link) or not at all, and nothing is synced: after a
//! crash of the machine the boot id differs and the attempt is lost whatever its files say.
//!
//! | file | by | says |
//! |---|---|---|
//! | `launch.json` | engine | what to run; without it the directory holds no attempt |
//! | `claim` | whoever is first | which process decides this attempt's fate; linked, so only one is |
//! | `lease` | engine | the present deadline, replaced as it moves |
//! | `stop` | engine | that it is to stop, and its grace |
//! | `control` | engine | FIFO: a byte means "look at `stop`" |
//! | `running.json` | supervisor | the command runs |
//! | `stdout`, `stderr` | supervisor | the command's output, up to the cap |
//! | `result.json` | claimant | how it ended; nothing of it lives any more |
//! | `lost` | engine | gone without a result, and nothing of it lives any more |
//! | `work/`, `tmp/` | the command | its work directory and `TMPDIR` |

use crate::{BootTime, Error, Launch, Outcome, Stream};
use model::{BootId, Moment, Span};
use rustix::fs::{Mode, OFlags};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The FIFO beside the attempts of a network into which supervisors write the id of an attempt
/// whenever it changes.
pub(crate) const WAKE: &str = "wake";

/// The file beside the attempts of a network to which supervisors write what goes wrong.
pub(crate) const COMPLAINTS: &str = "supervisors.log";

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
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Moment(since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
}

/// What `launch.json` says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// During which boot it was given: it is not carried out in another, for nobody knows how far
    /// it got before.
    pub(crate) boot: BootId,
    pub(crate) launch: Launch,
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
}

impl AttemptDir {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path }
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
        self.write_json("result.json", outcome)
    }

    pub(crate) fn read_lost(&self) -> Result<Option<String>, Error> {
        self.read_json("lost")
    }

    pub(crate) fn write_lost(&self, why: &str) -> Result<(), Error> {
        self.write_json("lost", &why)
    }

    pub(crate) fn read_lease(&self) -> Result<Option<BootTime>, Error> {
        self.read_json("lease")
    }

    pub(crate) fn write_lease(&self, deadline: BootTime) -> Result<(), Error> {
        self.write_json("lease", &deadline)
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
        let own = ProcessIdentity::own()?;
        let draft = self.draft("claim", &own)?;
        let claim = self.path.join("claim");
        let linked = fs::hard_link(&draft, &claim);
        fs::remove_file(&draft).map_err(Error::io("remove", &draft))?;
        match linked {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(Error::io("claim", &claim)(error)),
        }
    }

    pub(crate) fn make_control(&self) -> Result<(), Error> {
        make_fifo(&self.path.join("control"))
    }

    /// The control FIFO for the supervisor: opened for writing too, so that it never reports an
    /// end of file when the engine goes away.
    pub(crate) fn open_control(&self) -> Result<fs::File, Error> {
        let path = self.path.join("control");
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
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let path = self.path.join(name);
        let mut text = Vec::new();
        match fs::File::open(&path).and_then(|mut file| file.read_to_end(&mut text)) {
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

    /// Writes `value` beside where it will appear, under a name no other process uses.
    fn draft<T: Serialize>(&self, name: &str, value: &T) -> Result<PathBuf, Error> {
        let path = self.path.join(format!(".{name}.{}", std::process::id()));
        let text = serde_json::to_vec(value).expect("our records are plain data");
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(&text)).map_err(Error::io("write", &path))?;
        Ok(path)
    }
}

/// Makes a FIFO, readable and writable for this user only, unless it is there.
pub(crate) fn make_fifo(path: &Path) -> Result<(), Error> {
    match rustix::fs::mkfifoat(rustix::fs::CWD, path, Mode::RUSR | Mode::WUSR) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
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
