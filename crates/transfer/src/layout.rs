//! Chunks numbered through all files of a dataset version, in manifest order.

use crate::TransferError;
use model::dataset::{CHUNK, ManifestFile};
use model::{Bytes, DatasetVersion, Digest, Manifest};
use std::ops::Range;

/// A checked manifest with its chunks numbered from zero through all files.
#[derive(Debug)]
pub struct Layout {
    data: DatasetVersion,
    manifest: Manifest,
    /// The number of each file's first chunk; of the one after it for an empty file.
    first: Vec<u64>,
    chunks: u64,
}

/// Where a chunk lives.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// In which file.
    pub file: &'a ManifestFile,
    /// The file's place in the manifest.
    pub index: usize,
    /// From which byte of the file.
    pub offset: u64,
    /// How many bytes; at most [`CHUNK`].
    pub bytes: usize,
    /// What they must hash to.
    pub digest: Digest,
}

impl Layout {
    /// The layout of `manifest`, if it is a good one and `data`'s.
    pub fn new(data: &DatasetVersion, manifest: Manifest) -> Result<Self, TransferError> {
        let wrong = |source| TransferError::BadManifest { data: data.clone(), source };
        manifest.check().map_err(wrong)?;
        if manifest.version() != data.version {
            return Err(TransferError::WrongManifest { data: data.clone() });
        }
        let mut first = Vec::with_capacity(manifest.files.len());
        let mut chunks = 0;
        for file in &manifest.files {
            first.push(chunks);
            chunks += file.chunks.len() as u64;
        }
        Ok(Self { data: data.clone(), manifest, first, chunks })
    }

    /// The layout of the manifest written in `text`, which must be canonical.
    pub fn parse(data: &DatasetVersion, text: &[u8]) -> Result<Self, TransferError> {
        let wrong = || TransferError::WrongManifest { data: data.clone() };
        if Digest::of(text) != data.version {
            return Err(wrong());
        }
        Self::new(data, serde_json::from_slice(text).map_err(|_| wrong())?)
    }

    /// Whose layout it is.
    #[must_use]
    pub fn data(&self) -> &DatasetVersion {
        &self.data
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How many chunks there are in all files.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.chunks
    }

    /// All bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.manifest.bytes()
    }

    /// Where `chunk` lives.
    pub fn place(&self, chunk: u64) -> Result<Place<'_>, TransferError> {
        if chunk >= self.chunks {
            let (data, chunks) = (self.data.clone(), self.chunks);
            return Err(TransferError::NoSuchChunk { data, chunk, chunks });
        }
        // Empty files share their number with the next; the last of them has the chunk.
        let index = self.first.partition_point(|first| *first <= chunk) - 1;
        let file = &self.manifest.files[index];
        let nth = chunk - self.first[index];
        let offset = nth * CHUNK.0;
        let bytes = usize::try_from((file.bytes.0 - offset).min(CHUNK.0)).expect("at most a chunk");
        let digest = file.chunks[usize::try_from(nth).expect("an index of a vector")];
        Ok(Place { file, index, offset, bytes, digest })
    }

    /// The chunks of the file at `path`, and the file.
    pub fn file(&self, path: &str) -> Result<(&ManifestFile, Range<u64>), TransferError> {
        let files = &self.manifest.files;
        let at = files.binary_search_by(|file| file.path.as_str().cmp(path)).map_err(|_| {
            TransferError::NoSuchFile { data: self.data.clone(), file: path.to_owned() }
        })?;
        let first = self.first[at];
        Ok((&files[at], first..first + files[at].chunks.len() as u64))
    }

    /// How many bytes these chunks hold together.
    pub(crate) fn span(&self, chunks: Range<u64>) -> Result<u64, TransferError> {
        chunks.map(|chunk| self.place(chunk).map(|place| place.bytes as u64)).sum()
    }

    /// How many bytes these runs of chunks hold together.
    pub(crate) fn spans(&self, runs: &[Range<u64>]) -> Result<u64, TransferError> {
        runs.iter().map(|run| self.span(run.clone())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_run_through_files_and_skip_empty_ones() {
        let file = |path: &str, bytes: u64| ManifestFile {
            path: path.to_owned(),
            bytes: Bytes(bytes),
            executable: false,
            chunks: (0..bytes.div_ceil(CHUNK.0)).map(|n| Digest::of(&n.to_le_bytes())).collect(),
        };
        let sizes = [("a", 0), ("b", 0), ("c", CHUNK.0 + 1), ("d", 0), ("e", 5), ("f", 0)];
        let manifest = Manifest { files: sizes.map(|(path, bytes)| file(path, bytes)).to_vec() };
        let data = DatasetVersion { dataset: "x".parse().unwrap(), version: manifest.version() };
        let layout = Layout::new(&data, manifest).unwrap();
        let seen =
            |chunk| layout.place(chunk).map(|p| (p.file.path.as_str(), p.offset, p.bytes)).ok();
        assert_eq!(layout.chunks(), 3);
        assert_eq!(seen(0), Some(("c", 0, 1 << 20)));
        assert_eq!(seen(1), Some(("c", 1 << 20, 1)));
        assert_eq!(seen(2), Some(("e", 0, 5)));
        assert_eq!(seen(3), None);
        assert_eq!(layout.file("e").unwrap().1, 2..3);
        assert!(layout.file("../e").is_err());
    }
}
