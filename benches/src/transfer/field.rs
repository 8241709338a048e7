//! The data that is moved, the same for everybody.

use anyhow::{Context, Result};
use model::{Bytes, DatasetVersion};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use transfer::LocalStore;

/// How many small files there are, and how large they are.
pub(crate) const SMALL_FILES: u32 = 10_000;
const SMALL: std::ops::RangeInclusive<usize> = (4 << 10)..=(64 << 10);
/// The large file.
pub(crate) const BIG: u64 = 4 << 30;
const MIB: usize = 1 << 20;

/// Writes the small files, a hundred to a directory; all their bytes.
pub(crate) fn small(dir: &Path) -> Result<u64> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut bytes = vec![0; *SMALL.end()];
    let mut all = 0;
    for number in 0..SMALL_FILES {
        let dir = dir.join(format!("{:03}", number / 100));
        if number % 100 == 0 {
            fs::create_dir_all(&dir)?;
        }
        let size = random.random_range(SMALL);
        random.fill_bytes(&mut bytes[..size]);
        fs::write(dir.join(number.to_string()), &bytes[..size])?;
        all += size as u64;
    }
    Ok(all)
}

/// Writes one file of random bytes.
pub(crate) fn big(dir: &Path, bytes: u64) -> Result<()> {
    fs::create_dir_all(dir)?;
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut file = File::create(dir.join("big"))?;
    let mut piece = vec![0; MIB];
    for _ in 0..bytes / MIB as u64 {
        random.fill_bytes(&mut piece);
        file.write_all(&piece)?;
    }
    Ok(())
}

/// Changes one byte in three of a hundred mebibytes of the file, as training changes a checkpoint.
pub(crate) fn train(dir: &Path, bytes: u64) -> Result<()> {
    let file = File::options().write(true).open(dir.join("big"))?;
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for chunk in (0..bytes / MIB as u64).filter(|chunk| chunk % 100 < 3) {
        let mut byte = [0; 8];
        random.fill_bytes(&mut byte);
        file.write_all_at(&byte, chunk * MIB as u64 + 4_096)?;
    }
    Ok(())
}

/// A new store with the directory in it, which is moved where `adopted`.
pub(crate) fn store(at: &Path, from: &Path, adopted: bool) -> Result<(PathBuf, DatasetVersion)> {
    let (store, _) = LocalStore::open(at, Bytes::MAX)?;
    let dataset = "bench".parse()?;
    let made = match adopted {
        true => store.adopt(&dataset, from),
        false => store.import_dir(&dataset, from),
    };
    let (data, _) = made.with_context(|| format!("cannot import {}", from.display()))?;
    Ok((at.to_owned(), data))
}
