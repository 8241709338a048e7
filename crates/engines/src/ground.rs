//! Where the attempts of a network have their directories, and who may use them.

use crate::attempt_dir::AttemptDir;
use crate::{Error, Observation, State};
use model::{AttemptId, NetworkUid};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The prefix of a directory that is being removed.
const FORGOTTEN: &str = ".forgotten-";

/// The directory of a network's attempts, for one engine at a time.
#[derive(Debug)]
pub(crate) struct Ground {
    dir: PathBuf,
    /// Held for as long as the engine lives.
    _sole_user: File,
}

impl Ground {
    /// Opens the network's directory in `base`; others may pass through it if attempts run as users
    /// of their own.
    pub(crate) fn open(base: &Path, network: NetworkUid, own_users: bool) -> Result<Self, Error> {
        let dir = base.join(network.to_string());
        if !dir.is_absolute() {
            return Err(Error::Setup(format!("{} is not an absolute path", base.display())));
        }
        let mode = if own_users { 0o711 } else { 0o700 };
        // Open to all who pass through: the next engine's attempts may run as users of their own.
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o711);
        builder
            .create(base)
            .and_then(|()| builder.mode(mode).create(&dir))
            .and_then(|()| fs::set_permissions(&dir, Permissions::from_mode(mode)))
            .map_err(Error::io("make", &dir))?;
        let sole_user = become_sole_user(&dir, network)?;
        Ok(Self { dir, _sole_user: sole_user })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn place(&self, attempt: AttemptId) -> AttemptDir {
        AttemptDir::new(self.dir.join(attempt.to_string()))
    }

    /// All attempts that have a directory. Finishes what an earlier engine began to remove.
    pub(crate) fn attempts(&self) -> Result<Vec<AttemptId>, Error> {
        let mut attempts = Vec::new();
        for name in names_in(&self.dir)? {
            if name.starts_with(FORGOTTEN) {
                remove_all(&self.dir.join(name));
            } else if let Ok(attempt) = name.parse::<AttemptId>()
                && self.place(attempt).holds_attempt()
            {
                attempts.push(attempt);
            }
        }
        Ok(attempts)
    }

    /// Removes an attempt's directory: at once in name, and then in fact.
    pub(crate) fn remove(&self, attempt: AttemptId) -> Result<(), Error> {
        let (place, aside) = (self.place(attempt), self.dir.join(format!("{FORGOTTEN}{attempt}")));
        fs::rename(place.path(), &aside).map_err(Error::io("remove", place.path()))?;
        remove_all(&aside);
        Ok(())
    }
}

/// How these attempts are, each looked at by itself: of one that cannot be read now nothing is concluded, and
/// the others are told all the same.
pub(crate) fn observe_each(
    attempts: Vec<AttemptId>,
    find: impl Fn(AttemptId) -> Result<Option<State>, Error>,
) -> Vec<Observation> {
    let state = |attempt: AttemptId| match find(attempt) {
        Ok(state) => state,
        Err(error) => {
            tracing::warn!(%attempt, %error, "how it is cannot be read; it counts as under way");
            Some(State::STARTING)
        }
    };
    let observation = |attempt| Some(Observation { attempt, state: state(attempt)? });
    attempts.into_iter().filter_map(observation).collect()
}

/// Attempts that run as other users must be able to reach their work directories.
pub(crate) fn check_searchable(base: &Path) -> Result<(), Error> {
    for dir in base.ancestors() {
        let mode = fs::metadata(dir).map_err(Error::io("look at", dir))?.mode();
        if mode & 0o001 == 0 {
            return Err(Error::Setup(format!(
                "attempts that run as users of their own could not reach {}: {} is closed to them \
                 (mode {:o}); chmod o+x it, or choose another directory",
                base.display(),
                dir.display(),
                mode & 0o7777,
            )));
        }
    }
    Ok(())
}

fn become_sole_user(dir: &Path, network: NetworkUid) -> Result<File, Error> {
    let path = dir.join("lock");
    let file = File::create(&path).map_err(Error::io("make", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::InUse { path: dir.to_owned(), network }),
        Err(fs::TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
    }
}

/// The names of what is in a directory.
pub(crate) fn names_in(dir: &Path) -> Result<Vec<String>, Error> {
    let names = |entries: fs::ReadDir| {
        entries.map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned())).collect()
    };
    fs::read_dir(dir).and_then(names).map_err(Error::io("list", dir))
}

/// Removes a directory as far as possible; links are removed, not followed.
pub(crate) fn remove_all(dir: &Path) {
    match fs::remove_dir_all(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(dir = %dir.display(), %error, "cannot remove an attempt's files");
        }
    }
}
