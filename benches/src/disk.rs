//! The disk: how many commits it bears, as it is and slowed down.

use crate::row::Samples;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long one sample lasts, and how many there are.
const SAMPLE: Duration = Duration::from_millis(400);
const SAMPLES: usize = 5;
/// What is appended before each sync: about a small fact with its header.
const PIECE: [u8; 512] = [b'x'; 512];

/// Which disk a measurement runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// This machine's.
    Own,
    /// The same with every commit delayed.
    Slow,
}

impl Disk {
    pub(crate) const BOTH: [Self; 2] = [Self::Own, Self::Slow];

    /// How much longer every commit takes.
    pub(crate) const fn delay(self) -> Option<Duration> {
        match self {
            Self::Own => None,
            Self::Slow => Some(Duration::from_millis(8)),
        }
    }

    /// What follows a row's name.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Own => "",
            Self::Slow => "_slow_disk",
        }
    }
}

/// Commits a second, one after another: append, sync, and the delay.
pub(crate) fn commits_per_s(dir: &Path, disk: Disk) -> Result<Vec<Samples>> {
    let path = dir.join("commits");
    let mut rates = Vec::new();
    for _ in 0..SAMPLES {
        let mut file = File::create(&path).with_context(|| path.display().to_string())?;
        let (began, mut commits) = (Instant::now(), 0_u32);
        while began.elapsed() < SAMPLE {
            file.write_all(&PIECE).and_then(|()| file.sync_data()).context("cannot write")?;
            // tidy: the delay is what the slow disk is made of
            disk.delay().into_iter().for_each(std::thread::sleep);
            commits += 1;
        }
        rates.push(f64::from(commits) / began.elapsed().as_secs_f64());
    }
    std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
    Ok(vec![Samples::median(&rates)])
}
