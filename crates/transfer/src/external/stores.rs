//! A center's external stores, by name.

use super::config::{StoreConfig, StoreKind, parse};
use super::fault::at;
use super::operator::operator;
use crate::TransferError;
use crate::error::io_at;
use model::{Bytes, Span, Tier};
use opendal::{EntryMode, Metadata, Operator};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The external stores of a center. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct ExternalStores(Arc<BTreeMap<String, ExternalStore>>);

/// One of them. Clones share it and its limits.
#[derive(Clone)]
pub struct ExternalStore {
    config: Arc<StoreConfig>,
    pub(super) operator: Operator,
}

impl fmt::Debug for ExternalStore {
    /// By its configuration, which has no keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalStore").field("config", &self.config).finish_non_exhaustive()
    }
}

/// An object of a store as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    /// Below where it was looked for.
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) executable: bool,
    /// What the store says of this state of it: another one is another object.
    state: (Option<String>, Option<String>),
}

impl ExternalStores {
    /// The stores named in the TOML file `path`, with their keys read. No store is asked anything
    /// yet: [`ExternalStore::check`] does that.
    pub fn read(path: &Path) -> Result<Self, TransferError> {
        let text = std::fs::read_to_string(path).map_err(io_at("read", path))?;
        let wrong = |said| TransferError::BadStores { file: path.to_owned(), said };
        let mut stores = BTreeMap::new();
        for config in parse(&text).map_err(wrong)? {
            let store = ExternalStore::open(config).map_err(wrong)?;
            stores.insert(store.name().to_owned(), store);
        }
        Ok(Self(Arc::new(stores)))
    }

    /// The store of this name.
    pub fn get(&self, name: &str) -> Result<&ExternalStore, TransferError> {
        let none = || TransferError::NoSuchStore { store: name.to_owned() };
        self.0.get(name).ok_or_else(none)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &ExternalStore> {
        self.0.values()
    }
}

impl ExternalStore {
    fn open(config: StoreConfig) -> Result<Self, String> {
        let wrong = |what| format!("the store `{}` {what}", config.name);
        let operator = operator(&config).map_err(wrong)?;
        Ok(Self { config: Arc::new(config), operator })
    }

    /// What the center calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// How it is spoken to.
    #[must_use]
    pub fn kind(&self) -> StoreKind {
        self.config.kind
    }

    /// How soon what is there can be read.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.config.tier
    }

    /// How long data takes to become readable once it is asked for.
    #[must_use]
    pub fn recall_time(&self) -> Span {
        self.config.recall
    }

    /// How much may be archived there.
    #[must_use]
    pub fn capacity(&self) -> Option<Bytes> {
        self.config.capacity
    }

    /// Whether replicas can be archived there: web servers are only read.
    #[must_use]
    pub fn takes(&self) -> bool {
        self.can_write() && self.can_list()
    }

    /// Whether it can say what is in it.
    pub(super) fn can_list(&self) -> bool {
        self.operator.info().capability().list
    }

    /// Whether it can be written to.
    pub(super) fn can_write(&self) -> bool {
        self.operator.info().capability().write
    }

    /// The files below `dir`, sorted by path, as the store has them now.
    pub(super) async fn list(&self, dir: &str) -> Result<Vec<Object>, TransferError> {
        let below = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let listed = self.operator.list_with(&below).recursive(true).await;
        let mut objects = Vec::new();
        for entry in listed.map_err(at(self.name(), "list", dir))? {
            let path = entry.path().strip_prefix(below.as_str()).unwrap_or(entry.path());
            let (path, meta) = (path.to_owned(), entry.metadata());
            match meta.mode() {
                EntryMode::DIR => {}
                EntryMode::FILE => objects.push(self.object(path, &below, meta)),
                EntryMode::Unknown => {
                    let path = PathBuf::from(format!("{}:{below}{path}", self.name()));
                    return Err(TransferError::NotPlain { path, kind: "not a plain file" });
                }
            }
        }
        objects.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(objects)
    }

    /// The file at `path`, named by its last part.
    pub(super) async fn stat(&self, dir: &str, path: &str) -> Result<Object, TransferError> {
        let below = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let whole = format!("{below}{path}");
        let meta = self.operator.stat(&whole).await.map_err(at(self.name(), "look at", &whole))?;
        Ok(self.object(path.to_owned(), &below, &meta))
    }

    fn object(&self, path: String, below: &str, meta: &Metadata) -> Object {
        let executable = self.local_path(&format!("{below}{path}")).is_some_and(|at| {
            use std::os::unix::fs::PermissionsExt;
            at.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o100 != 0)
        });
        let state =
            (meta.etag().map(str::to_owned), meta.last_modified().map(|time| time.to_string()));
        Object { path, bytes: meta.content_length(), executable, state }
    }

    /// Where something is on this machine, if the store is a directory.
    fn local_path(&self, path: &str) -> Option<PathBuf> {
        let root = self.config.root.as_deref().filter(|_| self.kind() == StoreKind::Fs)?;
        Some(Path::new(root).join(path))
    }
}
