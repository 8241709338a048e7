//! Files written so that what a name promises is on disk before the name is.

use crate::TransferError;
use crate::error::io_at;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread::ScopedJoinHandle;

/// How many files are made durable at once.
const SYNCING: usize = 16;

/// Makes the names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), TransferError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_at("sync", dir))
}

/// Makes the contents of all `paths` durable, whoever wrote them. Several at once, since a journal
/// commits for all who wait; never the whole file system, for jobs write to it too.
pub(crate) fn sync_files(paths: &[PathBuf]) -> Result<(), TransferError> {
    let sync = |path: &PathBuf| {
        File::open(path).and_then(|file| file.sync_data()).map_err(io_at("sync", path))
    };
    let share = paths.len().div_ceil(SYNCING).max(1);
    if share == 1 {
        return paths.iter().try_for_each(sync);
    }
    std::thread::scope(|scope| {
        let part = |part| scope.spawn(move || <[PathBuf]>::iter(part).try_for_each(sync));
        let running: Vec<_> = paths.chunks(share).map(part).collect();
        let join = |thread: ScopedJoinHandle<'_, _>| thread.join().expect("syncing never panics");
        running.into_iter().try_for_each(join)
    })
}

/// Makes the names in `root` durable and those in every directory above one of `files`.
pub(crate) fn sync_names<'a>(
    root: &Path,
    files: impl Iterator<Item = &'a str>,
) -> Result<(), TransferError> {
    let dirs: BTreeSet<&str> = files.flat_map(parents).collect();
    let dirs: Vec<_> = dirs.into_iter().map(|dir| root.join(dir)).collect();
    sync_files(&dirs)?;
    sync_dir(root)
}

/// Puts `bytes` at `path`, durable, whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), TransferError> {
    let temporary = path.with_added_extension("new");
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&temporary, path)
    };
    write().map_err(io_at("write", path))
}

/// Writes `bytes` into the file at `path` from `offset`, creating the file.
pub(crate) fn write_at(path: &Path, offset: u64, bytes: &[u8]) -> Result<(), TransferError> {
    let open = || OpenOptions::new().write(true).create(true).truncate(false).open(path);
    open().and_then(|file| file.write_all_at(bytes, offset)).map_err(io_at("write", path))
}

/// Reads exactly `bytes` of the file at `path` from `offset`.
pub(crate) fn read_at(path: &Path, offset: u64, bytes: usize) -> Result<Vec<u8>, TransferError> {
    let mut buffer = vec![0; bytes];
    let file = File::open(path).map_err(io_at("open", path))?;
    file.read_exact_at(&mut buffer, offset).map_err(io_at("read", path))?;
    Ok(buffer)
}

/// Sets the permission bits of `path`, and no others.
pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), TransferError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(io_at("protect", path))
}

/// The permission bits of a replica's file.
pub(crate) fn replica_mode(executable: bool) -> u32 {
    if executable { 0o555 } else { 0o444 }
}

/// Removes the directory and all below; one that is not there is fine.
pub(crate) fn remove_tree(dir: &Path) -> Result<(), TransferError> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(io_at("remove", dir)(e)),
        _ => Ok(()),
    }
}

/// Bytes a new file may still take on the file system of `dir`; all there are where it cannot tell.
pub(crate) fn free(dir: &Path) -> u64 {
    rustix::fs::statvfs(dir).map_or(u64::MAX, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The directories that stand above `path` in a dataset, outermost first.
pub(crate) fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}
