//! A center's store on a directory.
//!
//! ```text
//! replicas/<dataset>@<version>/…            whole and verified; read-only
//! replicas/<dataset>@<version>.manifest.json
//! in-place/…                                what lies elsewhere: see `in_place`
//! incoming/<dataset>@<version>/{manifest.json, progress, files/…}
//! quarantine/…                              what was found broken, for somebody to look at
//! scratch/…                                 emptied at every start
//! ```
//!
//! A replica appears by the rename of its directory, after its manifest and every byte are durable;
//! it goes by the rename of its directory, before its manifest.

mod in_place;
mod repair;
mod scan;

pub use in_place::{Held, InPlace, InPlaceChanges, Registration, register_in_place};

use crate::disk::{self, remove_tree, sync, sync_below, write_whole};
use crate::error::{TransferError, io_at, is_full};
use crate::external::ExternalStores;
use crate::incoming::{Coming, Incoming};
use crate::layout::Layout;
use model::{Bytes, DatasetId, DatasetVersion, Digest, Manifest};
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

/// A store on a directory. Clones share it; one process at a time has it. Its methods block on the
/// disk: async callers go through `spawn_blocking`.
#[derive(Debug, Clone)]
pub struct LocalStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    capacity: Bytes,
    index: Mutex<Index>,
    /// Where data registered in place may lie.
    external: RwLock<ExternalStores>,
    /// Held while a copy coming in is opened.
    opening: Mutex<()>,
    /// Held while a replica comes or goes.
    changing: Mutex<()>,
    scratch: AtomicU64,
    /// Held as long as the store is open; the kernel lets go of it with the process.
    _lock: File,
}

#[derive(Debug, Default)]
struct Index {
    replicas: BTreeMap<DatasetVersion, Replica>,
    in_place: BTreeMap<DatasetVersion, in_place::Known>,
    incoming: BTreeMap<DatasetVersion, Arriving>,
    /// What imports under way will take.
    importing: Bytes,
    /// Manifests read lately.
    recent: VecDeque<Arc<Layout>>,
}

/// A copy that is not whole. It counts in full, so that one begun can end.
#[derive(Debug)]
struct Arriving {
    bytes: Bytes,
    open: Option<Arc<Coming>>,
}

/// A verified copy of a dataset version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replica {
    /// All its bytes.
    pub bytes: Bytes,
    /// How many files.
    pub files: u64,
}

/// What was found when a store was opened.
#[derive(Debug, Default)]
pub struct Found {
    /// The verified copies there are.
    pub replicas: BTreeMap<DatasetVersion, Replica>,
    /// Data that lies elsewhere.
    pub in_place: BTreeMap<DatasetVersion, InPlace>,
    /// Copies broken off, to be resumed or abandoned.
    pub incoming: Vec<DatasetVersion>,
    /// What was broken and has been put aside.
    pub quarantined: Vec<Quarantined>,
}

/// Something broken, put aside.
#[derive(Debug)]
pub struct Quarantined {
    /// Where it stood.
    pub path: PathBuf,
    /// Which data it should have been, if its name still says so.
    pub data: Option<DatasetVersion>,
    /// What is wrong with it.
    pub why: String,
}

/// How many manifests are kept in memory.
const RECENT: usize = 8;

impl LocalStore {
    /// Opens the store at `root`, creating it where there is none, and says what is in it. Replicas
    /// must have their manifest and every file at its length; [`LocalStore::verify`] reads the bytes.
    /// `capacity` limits what copies and replicas take together; what is there already stays.
    pub fn open(root: &Path, capacity: Bytes) -> Result<(Self, Found), TransferError> {
        for dir in ["replicas", "in-place", "incoming", "quarantine"] {
            let dir = root.join(dir);
            fs::create_dir_all(&dir).map_err(io_at("create", &dir))?;
        }
        let lock_path = root.join("lock");
        let lock = File::create(&lock_path).map_err(io_at("create", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(TransferError::InUse { store: root.to_owned() });
            }
            Err(TryLockError::Error(e)) => return Err(io_at("lock", &lock_path)(e)),
        }
        let scratch = root.join("scratch");
        remove_tree(&scratch)?;
        fs::create_dir_all(&scratch).map_err(io_at("create", &scratch))?;
        disk::set_mode(&scratch, 0o700)?;
        let store = Self(Arc::new(Inner {
            root: root.to_owned(),
            capacity,
            index: Mutex::default(),
            external: RwLock::default(),
            opening: Mutex::default(),
            changing: Mutex::default(),
            scratch: AtomicU64::new(0),
            _lock: lock,
        }));
        let found = store.scan()?;
        Ok((store, found))
    }

    /// Where the store is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// Whether a verified copy is here.
    #[must_use]
    pub fn has(&self, data: &DatasetVersion) -> bool {
        self.index().replicas.contains_key(data)
    }

    /// The verified copies here.
    #[must_use]
    pub fn replicas(&self) -> BTreeMap<DatasetVersion, Replica> {
        self.index().replicas.clone()
    }

    /// The verified copies here of any version of `dataset`.
    pub(crate) fn versions(&self, dataset: &DatasetId) -> Vec<DatasetVersion> {
        let index = self.index();
        let all = index.replicas.keys();
        all.filter(|data| data.dataset == *dataset).cloned().collect()
    }

    /// How much more may come in, by the store's capacity and its disk.
    #[must_use]
    pub fn free(&self) -> Bytes {
        let index = self.index();
        self.0.capacity.saturating_sub(index.used()).min(Bytes(disk::free(&self.0.root)))
    }

    /// The manifest of a verified copy, with its chunks numbered.
    pub fn layout(&self, data: &DatasetVersion) -> Result<Arc<Layout>, TransferError> {
        if !self.has(data) {
            return Err(TransferError::NotHere { data: data.clone() });
        }
        self.recent_or(data, || {
            let path = self.manifest_path(data);
            let text = fs::read(&path).map_err(io_at("read", &path))?;
            Layout::parse(data, &text)
        })
    }

    /// The layout of `data` as it was read lately, or as `read` gives it.
    fn recent_or(
        &self,
        data: &DatasetVersion,
        read: impl FnOnce() -> Result<Layout, TransferError>,
    ) -> Result<Arc<Layout>, TransferError> {
        {
            let recent = &mut self.index().recent;
            if let Some(at) = recent.iter().position(|layout| layout.data() == data) {
                let layout = recent.remove(at).expect("its position was just found");
                recent.push_front(Arc::clone(&layout));
                return Ok(layout);
            }
        }
        let layout = Arc::new(read()?);
        let mut index = self.index();
        index.recent.push_front(Arc::clone(&layout));
        index.recent.truncate(RECENT);
        Ok(layout)
    }

    /// The directory of a verified copy, for jobs to read. Nobody may write to it.
    pub fn path(&self, data: &DatasetVersion) -> Result<PathBuf, TransferError> {
        if !self.has(data) {
            return Err(TransferError::NotHere { data: data.clone() });
        }
        Ok(self.replica_path(data))
    }

    /// The bytes of one chunk of a verified copy, as the disk has them now.
    pub fn read_chunk(&self, layout: &Layout, chunk: u64) -> Result<Vec<u8>, TransferError> {
        let place = layout.place(chunk)?;
        let path = self.path(layout.data())?.join(&place.file.path);
        disk::read_at(&path, place.offset, place.bytes)
    }

    /// Reads every byte of a copy; the chunks that are not what the manifest says.
    pub fn verify(&self, data: &DatasetVersion) -> Result<Vec<u64>, TransferError> {
        let layout = self.layout(data)?;
        let mut damaged = Vec::new();
        for chunk in 0..layout.chunks() {
            let wanted = layout.place(chunk)?.digest;
            let bytes = self.read_chunk(&layout, chunk);
            if bytes.map_or(true, |bytes| Digest::of(&bytes) != wanted) {
                damaged.push(chunk);
            }
        }
        Ok(damaged)
    }

    /// Removes a copy, verified or coming in, and nothing that lies elsewhere; whoever still has a
    /// file of it open may read on. Nothing to remove is fine.
    pub fn remove(&self, data: &DatasetVersion) -> Result<(), TransferError> {
        self.abandon(data)?;
        let (path, trash) = (self.replica_path(data), self.scratch_path());
        let changing = self.changing();
        {
            let mut index = self.index();
            if !index.replicas.contains_key(data) {
                return Ok(());
            }
            fs::rename(&path, &trash).map_err(io_at("remove", &path))?;
            index.replicas.remove(data);
            index.recent.retain(|layout| layout.data() != data);
        }
        let manifest = self.manifest_path(data);
        fs::remove_file(&manifest).map_err(io_at("remove", &manifest))?;
        sync(&self.0.root.join("replicas"))?;
        drop(changing);
        remove_tree(&trash)
    }

    /// Opens a copy to be filled with chunks, or the one begun earlier, here or before a restart,
    /// with what is verified of it.
    pub fn incoming(
        &self,
        data: &DatasetVersion,
        manifest: Manifest,
    ) -> Result<Incoming, TransferError> {
        let layout = Arc::new(Layout::new(data, manifest)?);
        let bytes = layout.bytes();
        let _opening = self.opening();
        let known = {
            let mut index = self.index();
            if index.replicas.contains_key(data) {
                return Err(TransferError::AlreadyHere { data: data.clone() });
            }
            match index.incoming.get(data) {
                Some(Arriving { open: Some(open), .. }) => {
                    return Ok(Incoming::new(self.clone(), Arc::clone(open)));
                }
                Some(Arriving { open: None, .. }) => true,
                None => {
                    self.room_for(&index, bytes, true)?;
                    index.incoming.insert(data.clone(), Arriving { bytes, open: None });
                    false
                }
            }
        };
        // Not under the index: after a crash of the machine this reads what there is.
        let opened = Coming::open(self.incoming_path(data), layout);
        let mut index = self.index();
        match opened {
            Ok(coming) => {
                let coming = Arc::new(coming);
                let arriving = index.incoming.get_mut(data);
                let arriving = arriving.ok_or(TransferError::Abandoned { data: data.clone() })?;
                arriving.open = Some(Arc::clone(&coming));
                Ok(Incoming::new(self.clone(), coming))
            }
            Err(error) => {
                if !known {
                    index.incoming.remove(data);
                }
                drop(index);
                Err(self.told_full(error, bytes))
            }
        }
    }

    /// The copy begun earlier, here or before a restart, if there is one.
    pub fn resume(&self, data: &DatasetVersion) -> Result<Option<Incoming>, TransferError> {
        match self.index().incoming.get(data) {
            None => return Ok(None),
            Some(Arriving { open: Some(open), .. }) => {
                return Ok(Some(Incoming::new(self.clone(), Arc::clone(open))));
            }
            Some(Arriving { open: None, .. }) => {}
        }
        let path = self.incoming_path(data).join("manifest.json");
        let text = fs::read(&path).map_err(io_at("read", &path))?;
        self.incoming(data, Layout::parse(data, &text)?.manifest().clone()).map(Some)
    }

    /// Gives up a copy that is coming in and frees its room. Nothing to give up is fine.
    pub fn abandon(&self, data: &DatasetVersion) -> Result<(), TransferError> {
        let (path, trash) = (self.incoming_path(data), self.scratch_path());
        {
            let mut index = self.index();
            let Some(arriving) = index.incoming.remove(data) else { return Ok(()) };
            if let Some(open) = arriving.open {
                open.close();
            }
            fs::rename(&path, &trash).map_err(io_at("remove", &path))?;
        }
        remove_tree(&trash)
    }

    /// Gives up copies coming in to which nothing was added for so long, and says which. Blocks.
    pub fn abandon_idle(&self, idle: Duration) -> Result<Vec<DatasetVersion>, TransferError> {
        let coming: Vec<DatasetVersion> = self.index().incoming.keys().cloned().collect();
        let mut given_up = Vec::new();
        for data in coming {
            // The map is written with every chunk.
            let map = self.incoming_path(&data).join("progress");
            let changed = fs::metadata(&map).and_then(|about| about.modified());
            let still = changed.ok().and_then(|at| at.elapsed().ok());
            if still.is_some_and(|still| still >= idle) {
                self.abandon(&data)?;
                given_up.push(data);
            }
        }
        Ok(given_up)
    }

    /// Makes the files at `files` the replica of `layout`'s data, durably, and ends a copy of it that
    /// was coming in. They must be verified and have their modes. Afterwards `files` is gone.
    pub(crate) fn publish(&self, layout: &Arc<Layout>, files: &Path) -> Result<(), TransferError> {
        let data = layout.data();
        let paths: Vec<_> = layout.manifest().files.iter().map(|file| file.path.as_str()).collect();
        sync_below(files, &paths)?;
        let changing = self.changing();
        if !self.has(data) {
            write_whole(&self.manifest_path(data), &layout.manifest().canonical())?;
        }
        {
            let mut index = self.index();
            if !index.replicas.contains_key(data) {
                let path = self.replica_path(data);
                fs::rename(files, &path).map_err(io_at("move", files))?;
                let files = layout.manifest().files.len() as u64;
                index.replicas.insert(data.clone(), Replica { bytes: layout.bytes(), files });
                index.recent.push_front(Arc::clone(layout));
                index.recent.truncate(RECENT);
            }
        }
        sync(&self.0.root.join("replicas"))?;
        drop(changing);
        remove_tree(files)?;
        self.abandon(data)
    }

    /// Sets room aside for an import until the answer is dropped.
    pub(crate) fn reserve(&self, bytes: Bytes, on_disk: bool) -> Result<Room, TransferError> {
        let mut index = self.index();
        self.room_for(&index, bytes, on_disk)?;
        index.importing += bytes;
        Ok(Room { store: self.clone(), bytes })
    }

    /// A name in the scratch directory nobody else has.
    pub(crate) fn scratch_path(&self) -> PathBuf {
        let number = self.0.scratch.fetch_add(1, Ordering::Relaxed);
        self.0.root.join("scratch").join(number.to_string())
    }

    fn room_for(&self, index: &Index, wanted: Bytes, on_disk: bool) -> Result<(), TransferError> {
        let disk = if on_disk { disk::free(&self.0.root) } else { u64::MAX };
        let free = self.0.capacity.saturating_sub(index.used()).min(Bytes(disk));
        if wanted > free {
            return Err(TransferError::StoreFull { store: self.0.root.clone(), wanted, free });
        }
        Ok(())
    }

    /// A full disk told as a full store.
    pub(crate) fn told_full(&self, error: TransferError, wanted: Bytes) -> TransferError {
        if !is_full(&error) {
            return error;
        }
        TransferError::StoreFull { store: self.0.root.clone(), wanted, free: self.free() }
    }

    fn opening(&self) -> MutexGuard<'_, ()> {
        self.0.opening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.0.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.0.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replica_path(&self, data: &DatasetVersion) -> PathBuf {
        self.0.root.join("replicas").join(name(data))
    }

    fn manifest_path(&self, data: &DatasetVersion) -> PathBuf {
        self.0.root.join("replicas").join(format!("{}{MANIFEST}", name(data)))
    }

    fn incoming_path(&self, data: &DatasetVersion) -> PathBuf {
        self.0.root.join("incoming").join(name(data))
    }
}

impl Index {
    fn used(&self) -> Bytes {
        let replicas: Bytes = self.replicas.values().map(|replica| replica.bytes).sum();
        let incoming: Bytes = self.incoming.values().map(|arriving| arriving.bytes).sum();
        replicas + incoming + self.importing
    }
}

/// Room set aside; dropping it gives the room back.
#[derive(Debug)]
pub(crate) struct Room {
    store: LocalStore,
    bytes: Bytes,
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut index = self.store.index();
        index.importing = index.importing.saturating_sub(self.bytes);
    }
}

const MANIFEST: &str = ".manifest.json";

/// A data version as a file name: the whole digest, since names on disk must be exact.
fn name(data: &DatasetVersion) -> String {
    format!("{}@{}", data.dataset, data.version)
}

fn data_of(name: &str) -> Option<DatasetVersion> {
    let (dataset, version) = name.split_once('@')?;
    Some(DatasetVersion { dataset: dataset.parse().ok()?, version: version.parse().ok()? })
}
