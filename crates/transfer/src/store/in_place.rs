//! Data that lies elsewhere, registered here.
//!
//! ```text
//! in-place/<dataset>@<version>.json   what it is and where it lies
//! ```
//!
//! One file a registration, which comes by a rename and goes by a removal: so whoever may write to the
//! store's directory can leave one there while an agent has the store, and the agent finds it.

use super::{Found, LocalStore, Quarantined, data_of, name};
use crate::disk::sync;
use crate::error::{TransferError, io_at};
use crate::external::{ExternalStores, Location, Surveyed};
use crate::layout::Layout;
use model::{Bytes, DatasetVersion, Manifest, Rate};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

const ENDING: &str = ".json";
/// What is being written, with the writer's process in between.
const UNFINISHED: &str = ".new";
/// After so long nobody writes it any more.
const LEFT: Duration = Duration::from_secs(3_600);

/// Data of which another store has the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InPlace {
    /// Where they are.
    pub location: Location,
    /// How many.
    pub bytes: Bytes,
    /// In how many files.
    pub files: u64,
    /// How fast they were read when they came to lie there, if that is known.
    pub rate: Option<Rate>,
    /// Whether they were archived there from here; else they were there before.
    pub archived: bool,
}

/// What has come and gone of data registered in place since it were last looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct InPlaceChanges {
    /// New, or to another place.
    pub come: BTreeMap<DatasetVersion, InPlace>,
    /// Not there any more.
    pub gone: BTreeSet<DatasetVersion>,
}

/// How a store has some data.
#[derive(Debug, Clone)]
pub enum Held {
    /// As a replica of its own.
    Here(Arc<Layout>),
    /// In an external store.
    Elsewhere(Arc<Layout>, Location),
}

/// A registration as it was found.
#[derive(Debug, Clone)]
pub(super) struct Known {
    in_place: InPlace,
    state: FileState,
}

/// Tells a file from one that took its place: its inode and its change time.
type FileState = (u64, i64, i64);

/// That data lies somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Where.
    pub location: Location,
    /// Its files.
    pub manifest: Manifest,
    /// How fast they were read when they came to lie there, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Whether they were archived there from here; else they were there before.
    #[serde(default)]
    pub archived: bool,
}

impl From<Surveyed> for Registration {
    /// Of what a survey found.
    fn from(found: Surveyed) -> Self {
        let Surveyed { location, manifest, rate } = found;
        Self { location, manifest, rate, archived: false }
    }
}

/// Registers `data` where it lies, durably, in the store at `root`, whether an agent has that store or
/// not: it finds the registration when it looks next. Nothing is read of the data. A second
/// registration takes the first one's place. Blocks.
pub fn register_in_place(
    root: &Path,
    data: &DatasetVersion,
    mut registration: Registration,
) -> Result<(), TransferError> {
    let layout = Layout::new(data, registration.manifest)?;
    let path = path(root, data);
    registration.manifest = layout.manifest().clone();
    let text = serde_json::to_vec(&registration).expect("a registration has only text keys");
    let mine = format!("{}{UNFINISHED}", std::process::id());
    let unfinished = path.with_added_extension(mine);
    let write = || {
        let mut file = File::create(&unfinished)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)
    };
    write().map_err(io_at("write", &path))?;
    sync(&root.join("in-place"))
}

impl LocalStore {
    /// Gives the store the external stores data may lie in.
    pub fn attach(&self, stores: ExternalStores) {
        *self.0.external.write().unwrap_or_else(PoisonError::into_inner) = stores;
    }

    /// The external stores it was given.
    #[must_use]
    pub fn external(&self) -> ExternalStores {
        self.0.external.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Registers `data` where it lies, durably: the door serves it from there, each chunk compared as
    /// it is read; nothing is read here. It takes no
    /// room of the store and is no replica jobs could read. A second registration takes the first one's
    /// place.
    pub fn register_in_place(
        &self,
        data: &DatasetVersion,
        registration: Registration,
    ) -> Result<(), TransferError> {
        self.external().get(&registration.location.store)?;
        let _changing = self.changing();
        register_in_place(self.root(), data, registration)?;
        let known = self
            .read_registration(data)
            .map_err(|why| TransferError::BadRegistration { path: path(self.root(), data), why })?;
        self.index().in_place.insert(data.clone(), known);
        Ok(())
    }

    /// Forgets where `data` lies; its bytes stay there. Nothing to forget is fine.
    pub fn forget_in_place(&self, data: &DatasetVersion) -> Result<(), TransferError> {
        let _changing = self.changing();
        let path = path(self.root(), data);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(io_at("remove", &path)(e)),
            _ => sync(&self.0.root.join("in-place"))?,
        }
        self.index().in_place.remove(data);
        Ok(())
    }

    /// The data registered where it lies.
    #[must_use]
    pub fn in_place(&self) -> BTreeMap<DatasetVersion, InPlace> {
        let index = self.index();
        index.in_place.iter().map(|(data, known)| (data.clone(), known.in_place.clone())).collect()
    }

    /// Looks for registrations that others left or took away, and says which. What is broken is put aside.
    /// Costs a look at the directory, and reading what is new. Blocks.
    pub fn look_in_place(&self) -> Result<InPlaceChanges, TransferError> {
        let _changing = self.changing();
        let (found, broken) = self.find_in_place()?;
        for aside in broken {
            tracing::error!(path = %aside.path.display(), why = aside.why, "a broken registration is put aside");
        }
        let mut index = self.index();
        let old = std::mem::replace(&mut index.in_place, found);
        let is_new = |data: &DatasetVersion, known: &Known| {
            old.get(data).is_none_or(|before| before.in_place != known.in_place)
        };
        let come = index.in_place.iter().filter(|(data, known)| is_new(data, known));
        let come = come.map(|(data, known)| (data.clone(), known.in_place.clone())).collect();
        let gone = old.keys().filter(|data| !index.in_place.contains_key(*data)).cloned().collect();
        Ok(InPlaceChanges { come, gone })
    }

    /// The manifest of data that is here or registered in place, and which of the two. A replica goes first.
    pub fn held(&self, data: &DatasetVersion) -> Result<Held, TransferError> {
        match self.layout(data) {
            Err(TransferError::NotHere { .. }) => {}
            here => return here.map(Held::Here),
        }
        let known = self.index().in_place.get(data).map(|known| known.in_place.location.clone());
        let location = known.ok_or_else(|| TransferError::NotHere { data: data.clone() })?;
        let path = path(self.root(), data);
        let layout = self.recent_or(data, || {
            let file = read(&path).map_err(|why| TransferError::BadRegistration { path, why })?;
            Layout::new(data, file.manifest)
        })?;
        Ok(Held::Elsewhere(layout, location))
    }

    /// Finds the data registered in place when the store is opened.
    pub(super) fn scan_in_place(&self, found: &mut Found) -> Result<(), TransferError> {
        let (known, broken) = self.find_in_place()?;
        found.in_place =
            known.iter().map(|(data, known)| (data.clone(), known.in_place.clone())).collect();
        found.quarantined.extend(broken);
        self.index().in_place = known;
        Ok(())
    }

    /// The registrations in the directory, those known already without reading them, and what was put
    /// aside.
    fn find_in_place(
        &self,
    ) -> Result<(BTreeMap<DatasetVersion, Known>, Vec<Quarantined>), TransferError> {
        let dir = self.0.root.join("in-place");
        let (mut sound, mut broken) = (BTreeMap::new(), Vec::new());
        for entry in super::scan::names_in(&dir)? {
            let path = dir.join(&entry);
            if entry.ends_with(UNFINISHED) {
                remove_if_left(&path)?;
                continue;
            }
            let data = entry.strip_suffix(ENDING).and_then(data_of);
            let judged = match &data {
                Some(data) => self.known_or_read(data, &path),
                None => Err("its name is not that of data".to_owned()),
            };
            match (judged, data) {
                (Ok(known), Some(data)) => {
                    sound.insert(data, known);
                }
                // Taken away just now.
                (Err(_), _) if !path.exists() => {}
                (Err(why), data) => {
                    self.put_aside(&path)?;
                    broken.push(Quarantined { path, data, why });
                }
                (Ok(_), None) => {}
            }
        }
        Ok((sound, broken))
    }

    fn known_or_read(&self, data: &DatasetVersion, path: &Path) -> Result<Known, String> {
        let state = state(&fs::metadata(path).map_err(|e| e.to_string())?);
        let known = self.index().in_place.get(data).cloned();
        match known.filter(|known| known.state == state) {
            Some(known) => Ok(known),
            None => self.read_registration(data),
        }
    }

    fn read_registration(&self, data: &DatasetVersion) -> Result<Known, String> {
        let path = path(self.root(), data);
        // Before it is read: what takes its place meanwhile is read the next time.
        let state = state(&fs::metadata(&path).map_err(|e| e.to_string())?);
        let file = read(&path)?;
        let layout = Layout::new(data, file.manifest.clone()).map_err(|e| e.to_string())?;
        let files = layout.manifest().files.len() as u64;
        let Registration { location, rate, archived, .. } = file;
        let in_place = InPlace { location, bytes: layout.bytes(), files, rate, archived };
        Ok(Known { in_place, state })
    }
}

fn path(root: &Path, data: &DatasetVersion) -> PathBuf {
    root.join("in-place").join(format!("{}{ENDING}", name(data)))
}

fn read(path: &Path) -> Result<Registration, String> {
    let text = fs::read(path).map_err(|e| e.to_string())?;
    serde_json::from_slice(&text).map_err(|e| e.to_string())
}

fn state(meta: &Metadata) -> FileState {
    (meta.ino(), meta.ctime(), meta.ctime_nsec())
}

/// Removes what a writer that was killed left behind.
fn remove_if_left(path: &Path) -> Result<(), TransferError> {
    let age = fs::metadata(path).and_then(|meta| meta.modified()).map(|at| at.elapsed());
    if !matches!(age, Ok(Ok(age)) if age > LEFT) {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(io_at("remove", path)(e)),
        _ => Ok(()),
    }
}
