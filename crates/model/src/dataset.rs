//! Named, versioned, content-addressed data.

use crate::id::NotAnId;
use crate::{Bytes, DatasetId, Digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A dataset, at one version or at whatever is newest when the job is placed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetRef {
    /// Which dataset.
    pub dataset: DatasetId,
    /// Which version; none for the newest.
    pub version: Option<Digest>,
}

impl fmt::Display for DatasetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(version) => write!(f, "{}@{version}", self.dataset),
            None => write!(f, "{}", self.dataset),
        }
    }
}

impl FromStr for DatasetRef {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        match text.split_once('@') {
            None => Ok(Self { dataset: text.parse()?, version: None }),
            Some((dataset, version)) => {
                Ok(Self { dataset: dataset.parse()?, version: Some(version.parse()?) })
            }
        }
    }
}

impl Serialize for DatasetRef {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DatasetRef {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        crate::unit::text::deserialize(from)
    }
}

/// One version of a dataset, exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DatasetVersion {
    /// Which dataset.
    pub dataset: DatasetId,
    /// The digest of its manifest.
    pub version: Digest,
}

impl fmt::Display for DatasetVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.dataset, self.version.short())
    }
}

/// How much of a file one chunk digest covers; the last chunk of a file may be shorter.
pub const CHUNK: Bytes = Bytes(1 << 20);

/// The files of a dataset version with the digest of every chunk. The digest of its canonical
/// bytes is the version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its files, sorted by path, no path twice.
    pub files: Vec<ManifestFile>,
}

/// One file of a dataset version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// Path below the dataset's root, `/` between its parts.
    pub path: String,
    /// Its length in bytes.
    pub bytes: Bytes,
    /// Whether it may be executed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
    /// The digest of each [`CHUNK`] of it, in order.
    pub chunks: Vec<Digest>,
}

/// A manifest that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadManifest {
    /// It names no file.
    #[error("the dataset has no files")]
    Empty,
    /// A path that is absolute, climbs, is empty, too long or holds odd characters.
    #[error("`{path}` cannot be a file's path in a dataset: use relative paths without `..`")]
    Path {
        /// The path.
        path: String,
    },
    /// The files are not sorted, or one stands twice, or one is a directory of another.
    #[error("`{path}` is out of order, stands twice, or is also a directory")]
    Order {
        /// The path.
        path: String,
    },
    /// The digests do not cover the file.
    #[error("`{path}` has {found} chunk digests where its length wants {wanted}")]
    Chunks {
        /// The path.
        path: String,
        /// Digests the length asks for.
        wanted: u64,
        /// Digests there are.
        found: u64,
    },
}

/// Whether `path` stays below the directory it is joined to, on every system.
#[must_use]
pub fn is_inside_path(path: &str) -> bool {
    let part = |p: &str| !p.is_empty() && p != "." && p != ".." && p.len() <= 255;
    let plain = |c: char| !c.is_control() && c != '\\';
    path.len() <= 1_024 && path.split('/').all(part) && path.chars().all(plain)
}

impl Manifest {
    /// Checks what a manifest promises; whoever receives one calls this before using a path of it.
    pub fn check(&self) -> Result<(), BadManifest> {
        if self.files.is_empty() {
            return Err(BadManifest::Empty);
        }
        let mut last: Option<&str> = None;
        let paths: BTreeSet<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
        for file in &self.files {
            if !is_inside_path(&file.path) {
                return Err(BadManifest::Path { path: file.path.clone() });
            }
            let mut above = file.path.match_indices('/').map(|(at, _)| &file.path[..at]);
            let below_a_file = above.any(|dir| paths.contains(dir));
            if below_a_file || last.is_some_and(|l| l >= file.path.as_str()) {
                return Err(BadManifest::Order { path: file.path.clone() });
            }
            last = Some(&file.path);
            let (wanted, found) = (file.bytes.0.div_ceil(CHUNK.0), file.chunks.len() as u64);
            if wanted != found {
                return Err(BadManifest::Chunks { path: file.path.clone(), wanted, found });
            }
        }
        Ok(())
    }

    /// All bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.files.iter().map(|f| f.bytes).sum()
    }

    /// The bytes the version is the digest of: compact JSON with the keys in their declared order.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a manifest has only text keys")
    }

    /// The version these files are.
    #[must_use]
    pub fn version(&self) -> Digest {
        Digest::of(&self.canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(paths: &[&str]) -> Manifest {
        let file = |path: &&str| ManifestFile {
            path: (*path).to_owned(),
            bytes: Bytes(1),
            executable: false,
            chunks: vec![Digest::of(b"x")],
        };
        Manifest { files: paths.iter().map(file).collect() }
    }

    #[test]
    fn a_manifest_never_names_a_file_outside_its_dataset() {
        for bad in ["/etc/passwd", "../x", "a/../b", "a//b", "./a", "", "a\\b", "a\nb", "a/"] {
            assert!(manifest(&[bad]).check().is_err(), "{bad:?}");
        }
        assert_eq!(manifest(&["a", "b/c"]).check(), Ok(()));
    }

    #[test]
    fn a_path_stands_once_and_is_not_also_a_directory() {
        assert!(manifest(&["a", "a"]).check().is_err());
        assert!(manifest(&["b", "a"]).check().is_err());
        assert!(manifest(&["a", "a/b"]).check().is_err());
        assert!(manifest(&["a", "a-b", "a/b"]).check().is_err());
        assert_eq!(manifest(&[]).check(), Err(BadManifest::Empty));
    }
}
