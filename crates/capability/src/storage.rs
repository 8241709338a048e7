//! How fast a file is written so that it is there for good, and read again, without the page cache.

use crate::Error;
use crate::pace::{Pace, rate};
use model::{Bytes, Figure, Unit};
use rustix::fs::{Advice, OFlags};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The figure of writing.
pub(crate) const WRITE: &str = "storage-write";
/// The figure of reading.
pub(crate) const READ: &str = "storage-read";

/// How much is written or read at once.
const BLOCK: usize = 4 << 20;
/// To what devices want memory and offsets aligned; no sector is larger.
const ALIGNED: usize = 4_096;
/// What statfs calls file systems in memory: tmpfs and ramfs.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// A file that was written, and goes when it is no longer needed.
#[derive(Debug)]
pub(crate) struct Written {
    path: PathBuf,
    file: File,
    bytes: u64,
    is_direct: bool,
}

impl Drop for Written {
    fn drop(&mut self) {
        // Whoever cleans up after it finds it by its name.
        let _gone = std::fs::remove_file(&self.path);
    }
}

/// Writes a file again and again, each time to the disk.
pub(crate) fn write(dir: &Path, pace: Pace) -> Result<(Figure, Written), Error> {
    is_measurable(dir, pace.file)?;
    let mut written = open(dir, pace.file)?;
    let mut memory = vec![0; BLOCK + ALIGNED];
    let block = aligned(&mut memory);
    let path = written.path.clone();
    let failed = |source| Error::File { what: "write", path: path.clone(), source };
    // Neither compresses nor is alike: storage may do without what it has already.
    getrandom::fill(block).map_err(|error| failed(io::Error::other(error)))?;
    let mut number = 0_u64;
    let samples = pace.repeat(|| {
        let began = Instant::now();
        written.file.rewind().map_err(failed)?;
        for _ in 0..written.bytes / BLOCK as u64 {
            number += 1;
            for page in block.chunks_mut(ALIGNED) {
                page[..8].copy_from_slice(&number.to_le_bytes());
            }
            written.file.write_all(block).map_err(failed)?;
        }
        written.file.sync_all().map_err(failed)?;
        Ok::<u64, Error>(rate(written.bytes, began.elapsed()))
    })?;
    let how = format!("{}, then fsync", how(&written));
    Ok((Figure { name: WRITE.to_owned(), unit: Unit::BytesPerSecond, samples, how }, written))
}

/// Reads what was written.
pub(crate) fn read(written: &mut Written, pace: Pace) -> Result<Figure, Error> {
    let mut memory = vec![0; BLOCK + ALIGNED];
    let block = aligned(&mut memory);
    let path = written.path.clone();
    let failed = |source| Error::File { what: "read", path: path.clone(), source };
    let samples = pace.repeat(|| {
        if !written.is_direct {
            let dropped = rustix::fs::fadvise(&written.file, 0, None, Advice::DontNeed);
            dropped.map_err(|error| failed(error.into()))?;
        }
        let began = Instant::now();
        written.file.rewind().map_err(failed)?;
        for _ in 0..written.bytes / BLOCK as u64 {
            written.file.read_exact(block).map_err(failed)?;
        }
        Ok::<u64, Error>(rate(written.bytes, began.elapsed()))
    })?;
    let how = how(written);
    Ok(Figure { name: READ.to_owned(), unit: Unit::BytesPerSecond, samples, how })
}

fn how(written: &Written) -> String {
    let cache = match written.is_direct {
        true => "past the page cache (O_DIRECT)",
        false => "the page cache dropped before it is read (no O_DIRECT there)",
    };
    format!("one file of {} in blocks of 4 MiB, {cache}", Bytes(written.bytes))
}

/// Whether a disk is measured there, and has room.
fn is_measurable(dir: &Path, bytes: u64) -> Result<(), Error> {
    let failed = |source: Errno| Error::File {
        what: "look at",
        path: dir.to_owned(),
        source: source.into(),
    };
    let kind = rustix::fs::statfs(dir).map_err(failed)?;
    let kind = kind.f_type as i64;
    if IN_MEMORY.contains(&kind) {
        return Err(Error::InMemory(dir.to_owned()));
    }
    let space = rustix::fs::statvfs(dir).map_err(failed)?;
    let (free, needed) = (space.f_bavail.saturating_mul(space.f_frsize), bytes * 2);
    match free < needed {
        true => Err(Error::NoRoom { dir: dir.to_owned(), free, needed }),
        false => Ok(()),
    }
}

/// A new file, past the page cache where the file system lets one.
fn open(dir: &Path, bytes: u64) -> Result<Written, Error> {
    let path = dir.join(format!(".portolan-bench-{}", std::process::id()));
    let failed = |source| Error::File { what: "make", path: path.clone(), source };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    let direct = i32::try_from(OFlags::DIRECT.bits()).unwrap_or(0);
    let (file, is_direct) = match options.clone().custom_flags(direct).open(&path) {
        Ok(file) => (file, true),
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
            (options.open(&path).map_err(failed)?, false)
        }
        Err(error) => return Err(failed(error)),
    };
    Ok(Written { path, file, bytes, is_direct })
}

/// One block of `memory`, aligned.
fn aligned(memory: &mut [u8]) -> &mut [u8] {
    let skipped = memory.as_ptr().align_offset(ALIGNED).min(ALIGNED);
    &mut memory[skipped..skipped + BLOCK]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_is_gone_and_memory_is_no_disk() {
        let here = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let pace = Pace { file: 8 << 20, ..Pace::new(true) };
        let (figure, mut written) = write(here.path(), pace).unwrap();
        assert!(figure.median() > 0 && figure.how.contains("fsync"), "{figure:?}");
        assert!(read(&mut written, pace).unwrap().median() > 0);
        drop(written);
        assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0);
        if let Err(error) = write(Path::new("/dev/shm"), pace) {
            assert!(matches!(error, Error::InMemory(_) | Error::File { .. }), "{error}");
        } else {
            panic!("/dev/shm was taken for a disk");
        }
    }
}
