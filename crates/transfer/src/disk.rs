//! Files written so that what a name promises is on disk before the name is.

use crate::TransferError;
use crate::error::io_at;
use model::BootId;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

/// Up to this many files are synced one by one.
const SINGLY: usize = 64;

/// Makes a file's contents, or the names in a directory, durable.
pub(crate) fn sync(path: &Path) -> Result<(), TransferError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io_at("sync", path))
}

/// Makes `files` below `root`, and the directories they are in, durable, whoever wrote them. Few are
/// synced one by one; for many, one sync of the file system takes less than a commit for each.
pub(crate) fn sync_below(root: &Path, files: &[&str]) -> Result<(), TransferError> {
    if files.len() > SINGLY {
        let dir = File::open(root).map_err(io_at("open", root))?;
        return rustix::fs::syncfs(&dir).map_err(|e| io_at("sync", root)(e.into()));
    }
    let dirs: BTreeSet<&str> = files.iter().flat_map(|file| parents(file)).collect();
    for name in files.iter().copied().chain(dirs) {
        sync(&root.join(name))?;
    }
    sync(root)
}

/// This start of the machine's kernel, if it says; what a process wrote outlives the process, but
/// not without a sync the machine.
pub(crate) fn boot() -> Option<BootId> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    text.trim().replace('-', "").parse().ok()
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
