//! What lies in an external store, hashed where it lies.

use super::Location;
use super::read::{AHEAD, CHUNK_SIZE, SPAN_CHUNKS};
use super::stores::{ExternalStore, ExternalStores, Object};
use crate::carry::blocking;
use crate::{Progress, TransferError};
use futures::{StreamExt, TryStreamExt, stream};
use model::dataset::{BadManifest, CHUNK, ManifestFile};
use model::{Bytes, Digest, Manifest, Rate};
use std::path::PathBuf;
use std::time::Instant;

/// How many ranges are read at once: twice what one reader of a door gets.
const READS: usize = 2 * AHEAD;

/// Data found in an external store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surveyed {
    /// Where the paths of the manifest begin: the location asked for, or for a single file the
    /// directory it is in.
    pub location: Location,
    /// Its files.
    pub manifest: Manifest,
    /// How fast they were read.
    pub rate: Option<Rate>,
}

impl ExternalStores {
    /// The manifest of the directory, or single file, at `location`, as [`crate::survey`] gives it of
    /// a copy. Reads every byte once, several ranges at a time. Stores that cannot list, web servers,
    /// need the paths below `location` in `files`; an empty list is a single file, and elsewhere all
    /// there is. What changes meanwhile is an error.
    ///
    /// Only directories of this machine know which files may be executed.
    pub async fn survey(
        &self,
        location: &Location,
        files: &[String],
        progress: &Progress,
    ) -> Result<Surveyed, TransferError> {
        let store = self.get(&location.store)?;
        let (location, objects) = store.find(location, files).await?;
        let all = objects.iter().map(|object| object.bytes).sum();
        progress.begin(all, 0);
        let begun = Instant::now();
        let manifest = store.hash(&location, &objects, progress).await?;
        let rate = Bytes(all).rate_over(begun.elapsed());
        let wrong = |source| TransferError::NotADataset {
            path: PathBuf::from(location.to_string()),
            source,
        };
        manifest.check().map_err(wrong)?;
        let again = if files.is_empty() && store.can_list() {
            store.find(&location, &[]).await?.1
        } else {
            let paths: Vec<String> = objects.iter().map(|object| object.path.clone()).collect();
            store.find(&location, &paths).await?.1
        };
        for now in again.iter().filter(|now| manifest_names(&manifest, &now.path)) {
            if !objects.contains(now) {
                return Err(store.changed(&location.join(&now.path)));
            }
        }
        Ok(Surveyed { location, manifest, rate })
    }
}

fn manifest_names(manifest: &Manifest, path: &str) -> bool {
    manifest.files.binary_search_by(|file| file.path.as_str().cmp(path)).is_ok()
}

impl ExternalStore {
    /// The files at `location`, sorted, and where their paths begin.
    async fn find(
        &self,
        location: &Location,
        files: &[String],
    ) -> Result<(Location, Vec<Object>), TransferError> {
        if !files.is_empty() {
            let looks = files.iter().map(|path| self.stat(&location.path, path));
            let mut found: Vec<Object> =
                stream::iter(looks).buffer_unordered(READS).try_collect().await?;
            found.sort_by(|a, b| a.path.cmp(&b.path));
            return Ok((location.clone(), found));
        }
        let found = if self.can_list() { self.list(&location.path).await? } else { Vec::new() };
        if !found.is_empty() || location.path.is_empty() {
            return Ok((location.clone(), found));
        }
        let (above, name) = location.path.rsplit_once('/').unwrap_or(("", &location.path));
        let single = Location { store: location.store.clone(), path: above.to_owned() };
        let object = self.stat(above, name).await?;
        Ok((single, vec![object]))
    }

    async fn hash(
        &self,
        location: &Location,
        objects: &[Object],
        progress: &Progress,
    ) -> Result<Manifest, TransferError> {
        let entry = |object: &Object| ManifestFile {
            path: object.path.clone(),
            bytes: Bytes(object.bytes),
            executable: object.executable,
            chunks: Vec::new(),
        };
        let mut files: Vec<ManifestFile> = objects.iter().map(entry).collect();
        let step = SPAN_CHUNKS * CHUNK.0;
        let spans = objects.iter().enumerate().flat_map(|(nth, object)| {
            let starts = (0..object.bytes.div_ceil(step)).map(move |number| number * step);
            starts.map(move |from| (nth, from, step.min(object.bytes - from)))
        });
        let reads = spans.map(|(nth, from, length)| async move {
            let path = location.join(&objects[nth].path);
            let bytes = self.read_range(&path, from, length).await?;
            progress.moved(bytes.len());
            progress.done(bytes.len());
            let digests =
                blocking(move || bytes.chunks(CHUNK_SIZE).map(Digest::of).collect::<Vec<_>>());
            Ok::<_, TransferError>((nth, digests.await))
        });
        let mut reads = stream::iter(reads).buffered(READS);
        while let Some((nth, digests)) = reads.try_next().await? {
            files[nth].chunks.extend(digests);
        }
        if files.is_empty() {
            let path = PathBuf::from(location.to_string());
            return Err(TransferError::NotADataset { path, source: BadManifest::Empty });
        }
        Ok(Manifest { files })
    }
}
