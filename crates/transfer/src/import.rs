//! Directories that become datasets: surveyed, copied in, or moved in whole.

use crate::disk::{remove_tree, replica_mode, set_mode};
use crate::error::{TransferError, io_at};
use crate::layout::Layout;
use crate::store::LocalStore;
use model::dataset::{BadManifest, CHUNK, ManifestFile};
use model::{Bytes, DatasetId, DatasetVersion, Digest, Manifest};
use std::fs::{self, File, FileType, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The manifest of the directory, or single file, at `path`, as importing it now would give. Reads
/// every byte. Symbolic links and special files are refused; empty directories do not count.
pub fn survey(path: &Path) -> Result<Manifest, TransferError> {
    let tree = walk(path)?;
    let hash = |file: &Plain| hash_file(file, &file.at);
    manifest_of(path, tree.files.iter().map(hash).collect::<Result<_, _>>()?)
}

impl LocalStore {
    /// Copies the directory, or single file, at `path` in as a version of `dataset`. What is hashed
    /// is the copy, so a file that changes meanwhile is noticed or consistent, never half.
    pub fn import_dir(
        &self,
        dataset: &DatasetId,
        path: &Path,
    ) -> Result<(DatasetVersion, Manifest), TransferError> {
        let tree = walk(path)?;
        let _room = self.reserve(tree.bytes(), true)?;
        let copy = self.scratch_path();
        let full = |error| self.told_full(error, tree.bytes());
        let made = self.copy_in(&tree, &copy).and_then(|files| {
            let layout = layout_of(dataset, manifest_of(path, files)?)?;
            self.publish(&layout, &copy)?;
            Ok((layout.data().clone(), layout.manifest().clone()))
        });
        if made.is_err() {
            remove_tree(&copy)?;
        }
        made.map_err(full)
    }

    /// Moves the directory, or single file, `dir` in as a version of `dataset`: a directory by rename
    /// where it lies on the store's file system, else by copy. Nothing may write to it any more: the
    /// caller has seen its job end.
    /// Files are made the agent's own and read-only first. After an error `dir` is still there. If
    /// the process dies inside, either `dir` is still there or the store has what
    /// [`survey`] says of it; a caller who must know which keeps the surveyed version beforehand.
    pub fn adopt(
        &self,
        dataset: &DatasetId,
        dir: &Path,
    ) -> Result<(DatasetVersion, Manifest), TransferError> {
        let tree = walk(dir)?;
        if tree.dirs.is_empty() {
            let made = self.import_dir(dataset, dir)?;
            fs::remove_file(dir).map_err(io_at("remove", dir))?;
            return Ok(made);
        }
        let room = self.reserve(tree.bytes(), false)?;
        own(dir, &tree)?;
        let hash = |file: &Plain| hash_file(file, &file.at);
        let files = tree.files.iter().map(hash).collect::<Result<_, _>>()?;
        let layout = layout_of(dataset, manifest_of(dir, files)?)?;
        match self.publish(&layout, dir) {
            Err(TransferError::Io { source, .. }) if source.kind() == ErrorKind::CrossesDevices => {
                drop(room);
                let made = self.import_dir(dataset, dir)?;
                remove_tree(dir)?;
                return Ok(made);
            }
            published => published?,
        }
        Ok((layout.data().clone(), layout.manifest().clone()))
    }

    fn copy_in(&self, tree: &Tree, copy: &Path) -> Result<Vec<ManifestFile>, TransferError> {
        fs::create_dir_all(copy).map_err(io_at("create", copy))?;
        let mut files = Vec::with_capacity(tree.files.len());
        for file in &tree.files {
            let to = copy.join(&file.path);
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(io_at("create", parent))?;
            }
            fs::copy(&file.at, &to).map_err(io_at("copy", &file.at))?;
            set_mode(&to, replica_mode(file.executable()))?;
            files.push(hash_file(file, &to)?);
        }
        Ok(files)
    }
}

/// What stands in a directory.
#[derive(Debug, Default)]
struct Tree {
    files: Vec<Plain>,
    /// Directories, each before what is below it.
    dirs: Vec<PathBuf>,
}

/// A plain file.
#[derive(Debug)]
struct Plain {
    /// Its path in the dataset.
    path: String,
    at: PathBuf,
    meta: Metadata,
}

impl Tree {
    fn bytes(&self) -> Bytes {
        self.files.iter().map(|file| Bytes(file.meta.len())).sum()
    }
}

impl Plain {
    fn executable(&self) -> bool {
        self.meta.mode() & 0o100 != 0
    }
}

fn walk(root: &Path) -> Result<Tree, TransferError> {
    let mut tree = Tree::default();
    let meta = fs::symlink_metadata(root).map_err(io_at("open", root))?;
    if meta.is_file() {
        let name = root.file_name().unwrap_or(root.as_os_str());
        let path = travelling_name(root, name.to_str())?.to_owned();
        tree.files.push(Plain { path, at: root.to_owned(), meta });
        return Ok(tree);
    }
    refuse_special(root, meta.file_type())?;
    let mut open = vec![(String::new(), root.to_owned())];
    while let Some((prefix, dir)) = open.pop() {
        for entry in fs::read_dir(&dir).map_err(io_at("list", &dir))? {
            let entry = entry.map_err(io_at("list", &dir))?;
            let (at, name) = (entry.path(), entry.file_name());
            let path = format!("{prefix}{}", travelling_name(&at, name.to_str())?);
            let meta = fs::symlink_metadata(&at).map_err(io_at("open", &at))?;
            if meta.is_file() {
                tree.files.push(Plain { path, at, meta });
            } else {
                refuse_special(&at, meta.file_type())?;
                open.push((format!("{path}/"), at));
            }
        }
        tree.dirs.push(dir);
    }
    tree.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(tree)
}

fn travelling_name<'a>(at: &Path, name: Option<&'a str>) -> Result<&'a str, TransferError> {
    name.ok_or_else(|| {
        let path = at.to_string_lossy().into_owned();
        TransferError::NotADataset { path: at.to_owned(), source: BadManifest::Path { path } }
    })
}

fn refuse_special(at: &Path, found: FileType) -> Result<(), TransferError> {
    let kind = match found {
        found if found.is_dir() => return Ok(()),
        found if found.is_symlink() => "a symbolic link",
        found if found.is_fifo() => "a named pipe",
        found if found.is_socket() => "a socket",
        found if found.is_block_device() || found.is_char_device() => "a device",
        _ => "a special file",
    };
    Err(TransferError::NotPlain { path: at.to_owned(), kind })
}

/// The manifest entry of `file`, with the digests of what stands `at`, and only if that is as long as
/// the file was when it was found.
fn hash_file(file: &Plain, at: &Path) -> Result<ManifestFile, TransferError> {
    let mut open = File::open(at).map_err(io_at("open", at))?;
    let mut chunk = Vec::new();
    let (mut chunks, mut bytes) = (Vec::new(), 0);
    loop {
        chunk.clear();
        let read = (&mut open).take(CHUNK.0).read_to_end(&mut chunk);
        let read = read.map_err(io_at("read", at))?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        chunks.push(Digest::of(&chunk));
    }
    if bytes != file.meta.len() {
        return Err(TransferError::Changed { path: file.at.clone() });
    }
    let (path, bytes) = (file.path.clone(), Bytes(bytes));
    Ok(ManifestFile { path, bytes, executable: file.executable(), chunks })
}

fn manifest_of(path: &Path, files: Vec<ManifestFile>) -> Result<Manifest, TransferError> {
    let manifest = Manifest { files };
    let wrong = |source| TransferError::NotADataset { path: path.to_owned(), source };
    manifest.check().map_err(wrong)?;
    Ok(manifest)
}

fn layout_of(dataset: &DatasetId, manifest: Manifest) -> Result<Arc<Layout>, TransferError> {
    let data = DatasetVersion { dataset: dataset.clone(), version: manifest.version() };
    Layout::new(&data, manifest).map(Arc::new)
}

/// Takes a tree from whoever made it: our owner, our modes, no second name elsewhere for any file,
/// no empty directory.
fn own(root: &Path, tree: &Tree) -> Result<(), TransferError> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let take = |at: &Path, owner: u32| {
        let ids = (Some(uid.as_raw()), Some(gid.as_raw()));
        if owner == uid.as_raw() {
            return Ok(());
        }
        std::os::unix::fs::lchown(at, ids.0, ids.1).map_err(io_at("take over", at))
    };
    for dir in &tree.dirs {
        let meta = fs::symlink_metadata(dir).map_err(io_at("open", dir))?;
        take(dir, meta.uid())?;
        set_mode(dir, 0o755)?;
    }
    for file in &tree.files {
        take(&file.at, file.meta.uid())?;
        if file.meta.nlink() > 1 {
            let alone = file.at.with_added_extension("portolan-copy");
            fs::copy(&file.at, &alone).map_err(io_at("copy", &file.at))?;
            fs::rename(&alone, &file.at).map_err(io_at("replace", &file.at))?;
        }
        set_mode(&file.at, replica_mode(file.executable()))?;
    }
    for dir in tree.dirs.iter().rev().filter(|dir| *dir != root) {
        match fs::remove_dir(dir) {
            Err(e) if e.kind() != ErrorKind::DirectoryNotEmpty => {
                return Err(io_at("remove", dir)(e));
            }
            _ => {}
        }
    }
    Ok(())
}
