//! What a store finds in its directory when it is opened.

use super::{Arriving, Found, LocalStore, MANIFEST, Quarantined, Replica, data_of};
use crate::disk::remove_tree;
use crate::error::{TransferError, io_at};
use crate::layout::Layout;
use model::DatasetVersion;
use std::fs;
use std::path::{Path, PathBuf};

impl LocalStore {
    pub(super) fn scan(&self) -> Result<Found, TransferError> {
        let mut found = Found::default();
        for entry in names_in(&self.0.root.join("replicas"))? {
            self.scan_replica(&entry, &mut found)?;
        }
        self.scan_in_place(&mut found)?;
        let mut index = self.index();
        for entry in names_in(&self.0.root.join("incoming"))? {
            let path = self.0.root.join("incoming").join(&entry);
            let manifest = fs::read(path.join("manifest.json")).ok();
            let layout =
                data_of(&entry).and_then(|data| Layout::parse(&data, manifest.as_deref()?).ok());
            // Without its manifest it was never more than begun; whole already, it has been moved.
            match layout {
                Some(layout) if !found.replicas.contains_key(layout.data()) => {
                    let arriving = Arriving { bytes: layout.bytes(), open: None };
                    index.incoming.insert(layout.data().clone(), arriving);
                    found.incoming.push(layout.data().clone());
                }
                _ => remove_tree(&path)?,
            }
        }
        index.replicas.clone_from(&found.replicas);
        Ok(found)
    }

    fn scan_replica(&self, entry: &str, found: &mut Found) -> Result<(), TransferError> {
        let path = self.0.root.join("replicas").join(entry);
        if fs::symlink_metadata(&path).is_err() {
            // A manifest that was put aside with its replica.
            return Ok(());
        }
        let named = entry.strip_suffix(MANIFEST).unwrap_or(entry);
        let data = data_of(named);
        if path.is_file() {
            if data.as_ref().is_none_or(|data| !self.replica_path(data).is_dir()) {
                // The manifest comes before its replica and goes after it.
                fs::remove_file(&path).map_err(io_at("remove", &path))?;
            }
            return Ok(());
        }
        let judged = data.as_ref().ok_or_else(|| "its name is not a dataset's".to_owned());
        match judged.and_then(|data| self.whole(data, &path)) {
            Ok(replica) => {
                let data = data.expect("it was judged by its name");
                found.replicas.insert(data, replica);
            }
            Err(why) => {
                tracing::error!(path = %path.display(), why, "a broken replica is put aside");
                self.quarantine(entry)?;
                found.quarantined.push(Quarantined { path, data, why });
            }
        }
        Ok(())
    }

    /// What stands at `path`, if it is all of `data` by its manifest and lengths; else why not.
    fn whole(&self, data: &DatasetVersion, path: &Path) -> Result<Replica, String> {
        let text = fs::read(self.manifest_path(data)).map_err(|e| format!("its manifest: {e}"))?;
        let layout = Layout::parse(data, &text).map_err(|e| e.to_string())?;
        for file in &layout.manifest().files {
            let meta = fs::symlink_metadata(path.join(&file.path));
            let meta = meta.map_err(|e| format!("its file `{}`: {e}", file.path))?;
            if !meta.is_file() || meta.len() != file.bytes.0 {
                return Err(format!("its file `{}` is not {} bytes long", file.path, file.bytes.0));
            }
        }
        Ok(Replica { bytes: layout.bytes(), files: layout.manifest().files.len() as u64 })
    }

    /// Moves `path` into the quarantine; where it is then.
    pub(super) fn put_aside(&self, path: &Path) -> Result<PathBuf, TransferError> {
        let (to, name) = (self.0.root.join("quarantine"), path.file_name().unwrap_or_default());
        let aside = (0_u32..)
            .map(|number| to.join(name).with_added_extension(number.to_string()))
            .find(|aside| fs::symlink_metadata(aside).is_err())
            .expect("some number is free");
        fs::rename(path, &aside).map_err(io_at("put aside", path))?;
        Ok(aside)
    }

    fn quarantine(&self, entry: &str) -> Result<(), TransferError> {
        let from = self.0.root.join("replicas");
        let aside = self.put_aside(&from.join(entry))?;
        let manifest = from.join(format!("{entry}{MANIFEST}"));
        if manifest.exists() {
            let aside = aside.with_added_extension("manifest.json");
            fs::rename(&manifest, aside).map_err(io_at("put aside", &manifest))?;
        }
        Ok(())
    }
}

/// The names in a directory, sorted; one that is not text is none of ours.
pub(super) fn names_in(dir: &Path) -> Result<Vec<String>, TransferError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(io_at("list", dir))? {
        let entry = entry.map_err(io_at("list", dir))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}
