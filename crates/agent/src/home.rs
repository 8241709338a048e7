//! What an agent keeps in its directory.

use model::NetworkUid;
use model::fact::Head;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why an agent's directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Another agent uses it.
    #[error("{0} is in use by another agent; stop that one, or name another directory")]
    InUse(PathBuf),
    /// A file cannot be read or written.
    #[error("cannot use {0}")]
    Io(PathBuf, #[source] io::Error),
    /// A file is not what an agent writes.
    #[error("{0} is damaged; remove it if the center runs no attempts")]
    Damaged(PathBuf, #[source] serde_json::Error),
}

/// The directory, locked.
#[derive(Debug)]
pub(crate) struct Home {
    dir: PathBuf,
    uid: NetworkUid,
    _lock: File,
}

/// The head an agent last saw, and of which network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) network: NetworkUid,
    pub(crate) head: Head,
}

impl Home {
    /// Opens the directory, making it and the agent's name if they are not there.
    pub(crate) fn open(dir: &Path) -> Result<Self, HomeError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| HomeError::Io(path, error)
        };
        fs::create_dir_all(dir).map_err(io(dir))?;
        // Attempts that run as users of their own pass through, and see nothing on the way.
        fs::set_permissions(dir, fs::Permissions::from_mode(0o711)).map_err(io(dir))?;
        let path = dir.join("lock");
        let lock = File::create(&path).map_err(io(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(HomeError::InUse(dir.to_owned())),
            Err(TryLockError::Error(error)) => return Err(HomeError::Io(path, error)),
        }
        let path = dir.join("agent.json");
        let uid = match read(&path)? {
            Some(uid) => uid,
            None => {
                let mut bytes = [0; 8];
                getrandom::fill(&mut bytes)
                    .map_err(|e| HomeError::Io(path.clone(), io::Error::other(e)))?;
                let uid = NetworkUid::from_bytes(bytes);
                write(&path, &uid)?;
                uid
            }
        };
        fs::create_dir_all(dir.join("kept")).map_err(io(dir))?;
        let checkpoints = dir.join("checkpoints");
        fs::create_dir_all(&checkpoints)
            .and_then(|()| fs::set_permissions(&checkpoints, fs::Permissions::from_mode(0o711)))
            .map_err(io(&checkpoints))?;
        Ok(Self { dir: dir.to_owned(), uid, _lock: lock })
    }

    /// The agent's own name.
    pub(crate) const fn uid(&self) -> NetworkUid {
        self.uid
    }

    /// The head it last saw.
    pub(crate) fn seen(&self) -> Result<Option<Seen>, HomeError> {
        read(&self.dir.join("seen.json"))
    }

    /// Remembers the head it saw.
    pub(crate) fn see(&self, seen: &Seen) -> Result<(), HomeError> {
        write(&self.dir.join("seen.json"), seen)
    }

    /// Writes down that the server's log was rewritten; somebody has to look.
    pub(crate) fn alarm(&self, what: &str) -> Result<(), HomeError> {
        write(&self.dir.join("alarm.json"), &what)
    }

    /// Whether an alarm stands.
    pub(crate) fn is_alarmed(&self) -> bool {
        self.dir.join("alarm.json").exists()
    }

    /// Where jobs' checkpoints are kept.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.dir.join("checkpoints")
    }

    /// Where it is noted how attempts read over the network.
    pub(crate) fn reading(&self) -> PathBuf {
        self.dir.join("reading.json")
    }

    /// Where it is noted what an attempt's outputs became.
    pub(crate) fn kept(&self, attempt: model::AttemptId) -> PathBuf {
        self.dir.join("kept").join(attempt.to_string())
    }
}

/// Reads a small file of the agent's own; none where it is not there.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, HomeError> {
    match fs::read(path) {
        Ok(bytes) => {
            let read = serde_json::from_slice(&bytes);
            read.map(Some).map_err(|e| HomeError::Damaged(path.to_owned(), e))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(HomeError::Io(path.to_owned(), error)),
    }
}

/// Writes a small file whole or not at all.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), HomeError> {
    write_as(path, value, 0o644)
}

/// The same for one that nobody else may read.
pub(crate) fn write_secret<T: Serialize>(path: &Path, value: &T) -> Result<(), HomeError> {
    write_as(path, value, 0o600)
}

fn write_as<T: Serialize>(path: &Path, value: &T, mode: u32) -> Result<(), HomeError> {
    let bytes = serde_json::to_vec(value).expect("the agent's notes have only text keys");
    let temporary = path.with_extension("new");
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(mode);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    written.map_err(|e| HomeError::Io(path.to_owned(), e))
}
