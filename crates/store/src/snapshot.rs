//! Snapshots: the caller's world at some head, so that a restart replays only what came after.
//!
//! One zstd file each: a line of JSON, then the caller's bytes. They are derived from the log, so a
//! broken one costs time, never facts.

use crate::durable;
use crate::error::{Doing, Result};
use crate::segment::ENDING;
use model::Digest;
use model::fact::Head;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// How many are kept.
const KEPT: usize = 2;
/// Snapshots are large and short-lived.
const LEVEL: i32 = 1;

#[derive(Serialize, Deserialize)]
struct Preamble {
    head: Head,
    content: Digest,
}

/// A snapshot that matches its own digest.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) head: Head,
    pub(crate) bytes: Vec<u8>,
}

/// Where snapshots are.
pub(crate) fn directory(dir: &Path) -> PathBuf {
    dir.join("snapshots")
}

/// Saves `bytes` as the world at `head`, and drops all but the newest two.
pub(crate) fn save(dir: &Path, head: Head, bytes: &[u8]) -> Result<()> {
    let path = directory(dir).join(format!("{:010}.{ENDING}", head.number));
    let preamble = Preamble { head, content: Digest::of(bytes) };
    let mut text = serde_json::to_vec(&preamble).expect("a preamble has only text keys");
    text.push(b'\n');
    text.extend_from_slice(bytes);
    let packed = zstd::encode_all(&text[..], LEVEL).doing("compress", &path)?;
    durable::write(&path, &packed)?;
    let all = list(dir)?;
    for old in &all[..all.len().saturating_sub(KEPT)] {
        durable::remove(old)?;
    }
    Ok(())
}

/// The snapshot files, oldest first.
pub(crate) fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    durable::list(&directory(dir), ENDING)
}

/// Reads a snapshot file; the text says what is wrong with a broken one.
pub(crate) fn load(path: &Path) -> Result<Snapshot, String> {
    let packed = std::fs::read(path).map_err(|why| why.to_string())?;
    let mut text = zstd::decode_all(&packed[..]).map_err(|why| why.to_string())?;
    let end = text.iter().position(|byte| *byte == b'\n').ok_or("it has no first line")?;
    let preamble: Preamble = serde_json::from_slice(&text[..end]).map_err(|why| why.to_string())?;
    text.drain(..=end);
    if Digest::of(&text) != preamble.content {
        return Err("its content is not what its digest says".into());
    }
    Ok(Snapshot { head: preamble.head, bytes: text })
}

/// The fact a snapshot file is named for; zero for a name that is not a snapshot's.
pub(crate) fn number_in_name(path: &Path) -> u64 {
    path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).unwrap_or(0)
}
