//! Which process a network belongs to, so that those of killed processes can be told and removed.
//!
//! Each network has a file named after its prefix that lists its namespaces. Its process holds a
//! lock on the file; the kernel lets go of it however the process ends.

use crate::{WanError, namespace};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const FOLDER: &str = "/run/portolan-wan";

/// The claim to a prefix, and the duty to remove its namespaces.
#[derive(Debug)]
pub(crate) struct Owner {
    path: PathBuf,
    file: File,
    namespaces: Vec<String>,
}

impl Owner {
    /// Claims the prefix for namespaces about to be made. What a killed process has left under it is
    /// removed first.
    pub(crate) fn claim(prefix: &str, namespaces: Vec<String>) -> Result<Self, WanError> {
        let path = Path::new(FOLDER).join(prefix);
        std::fs::create_dir_all(FOLDER).map_err(WanError::io("create", Path::new(FOLDER)))?;
        let held = hold(&path, true)?;
        let mut file = held.ok_or_else(|| WanError::PrefixInUse { prefix: prefix.to_owned() })?;
        namespace::remove(&listed(&mut file, &path)?)?;
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(namespaces.join("\n").as_bytes())
        };
        write(&mut file).map_err(WanError::io("write", &path))?;
        Ok(Self { path, file, namespaces })
    }
}

impl Drop for Owner {
    /// Removes the namespaces; if one will not go, the file stays for `wan clean`.
    fn drop(&mut self) {
        match namespace::remove(&self.namespaces) {
            Ok(()) => drop(std::fs::remove_file(&self.path)),
            Err(error) => eprintln!("wan: {error}; `wan clean` tries again"),
        }
        // A second holder must not begin before the file is gone.
        let _ = self.file.unlock();
    }
}

/// Removes the networks of processes that are gone and returns their prefixes.
///
/// # Errors
///
/// When a namespace or a file cannot be removed; those before it are removed then.
pub fn clean() -> Result<Vec<String>, WanError> {
    let folder = Path::new(FOLDER);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut cleaned = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(WanError::io("list", folder))? {
        let path = entry.map_err(WanError::io("list", folder))?.path();
        // One that lists nothing yet is about to be locked by the process that just made it.
        if std::fs::metadata(&path).is_ok_and(|found| found.len() == 0) {
            continue;
        }
        let Some(mut file) = hold(&path, false)? else { continue };
        namespace::remove(&listed(&mut file, &path)?)?;
        std::fs::remove_file(&path).map_err(WanError::io("remove", &path))?;
        cleaned.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
    }
    Ok(cleaned)
}

/// Opens and locks the file; none when another process holds it, or it is gone.
fn hold(path: &Path, create: bool) -> Result<Option<File>, WanError> {
    loop {
        let mut options = OpenOptions::new();
        let file = match options.read(true).write(true).create(create).truncate(false).open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(WanError::io("open", path))?,
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(WanError::io("lock", path)(error)),
            Ok(()) => {}
        }
        // Its holder may have removed it between our opening and our lock.
        let ours = file.metadata().map_err(WanError::io("look at", path))?.ino();
        if std::fs::metadata(path).is_ok_and(|now| now.ino() == ours) {
            return Ok(Some(file));
        }
    }
}

/// The namespaces a file lists.
fn listed(file: &mut File, path: &Path) -> Result<Vec<String>, WanError> {
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(WanError::io("read", path))?;
    Ok(text.lines().map(str::to_owned).collect())
}
