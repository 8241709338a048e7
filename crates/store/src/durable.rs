//! Files that are there whole or not at all.

use crate::error::{Doing, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The ending of files that are not finished; leftovers of a crash are removed at the next opening.
pub(crate) const UNFINISHED: &str = "tmp";

/// Writes `bytes` to `path` so that after a crash it holds either what it held or all of them.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let unfinished = path.with_extension(UNFINISHED);
    let mut file = File::create(&unfinished).doing("create", &unfinished)?;
    file.write_all(bytes).doing("write", &unfinished)?;
    file.sync_all().doing("sync", &unfinished)?;
    drop(file);
    rename(&unfinished, path)
}

/// Renames a finished file, durably.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).doing("rename", from)?;
    sync_dir(to.parent().expect("a file of the log is in a directory"))
}

/// Makes the names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).doing("sync", dir)
}

/// Removes `path` if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => Err(why).doing("remove", path),
        _ => Ok(()),
    }
}

/// The files in `dir` with the given ending, sorted by name; none if there is no such directory.
pub(crate) fn list(dir: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.doing("list", dir)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.doing("list", dir)?.path();
        if path.extension().is_some_and(|e| e == ending) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
