//! What can go wrong, told apart where the caller acts differently.

use crate::TicketError;
use crate::external::Fault;
use model::dataset::BadManifest;
use model::{Bytes, DatasetVersion};
use std::io;
use std::path::{Path, PathBuf};

/// Why a copy was not made or a store not used.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The disk said no.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done, as a verb.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// The store's capacity or its disk is used up.
    #[error("the store {} is full: {wanted} wanted, {free} free", store.display())]
    StoreFull {
        /// Which store.
        store: PathBuf,
        /// How much was to be added.
        wanted: Bytes,
        /// How much could have been.
        free: Bytes,
    },
    /// Another process uses the store's directory.
    #[error("the store {} is in use by another process", store.display())]
    InUse {
        /// Which store.
        store: PathBuf,
    },
    /// No verified copy of the data is in the store.
    #[error("{data} is not in this store")]
    NotHere {
        /// Which data.
        data: DatasetVersion,
    },
    /// A verified copy of the data is in the store already.
    #[error("{data} is in this store already")]
    AlreadyHere {
        /// Which data.
        data: DatasetVersion,
    },
    /// The dataset has no such file.
    #[error("{data} has no file `{file}`")]
    NoSuchFile {
        /// Which data.
        data: DatasetVersion,
        /// The path asked for.
        file: String,
    },
    /// The dataset has no such chunk.
    #[error("{data} has no chunk {chunk}; it has {chunks}")]
    NoSuchChunk {
        /// Which data.
        data: DatasetVersion,
        /// The number asked for.
        chunk: u64,
        /// How many there are, numbered from zero.
        chunks: u64,
    },
    /// The manifest is not one.
    #[error("the manifest of {data} cannot be used")]
    BadManifest {
        /// Which data.
        data: DatasetVersion,
        /// Why.
        #[source]
        source: BadManifest,
    },
    /// The manifest is not the one of the version asked for.
    #[error("this is not the manifest of {data}: its digest or form differs")]
    WrongManifest {
        /// Which data.
        data: DatasetVersion,
    },
    /// Only files and directories can be data.
    #[error("{} is {kind}; a dataset holds only files and directories", path.display())]
    NotPlain {
        /// What was found.
        path: PathBuf,
        /// What it is, as a phrase.
        kind: &'static str,
    },
    /// A directory to become a dataset cannot: no files in it, or names that cannot travel.
    #[error("{} cannot become a dataset", path.display())]
    NotADataset {
        /// Which directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: BadManifest,
    },
    /// A file changed while it was read.
    #[error("{} changed while it was read; make sure nothing writes to it", path.display())]
    Changed {
        /// Which file.
        path: PathBuf,
    },
    /// The copy is not whole yet.
    #[error("{data} lacks {missing} chunks")]
    Incomplete {
        /// Which data.
        data: DatasetVersion,
        /// How many chunks.
        missing: u64,
    },
    /// The copy was given up while somebody was still writing to it.
    #[error("the copy of {data} was abandoned")]
    Abandoned {
        /// Which data.
        data: DatasetVersion,
    },
    /// A chunk came damaged again and again from every source.
    #[error("chunk {chunk} of {data} (in `{file}`) arrives damaged from {url}")]
    Corrupted {
        /// Which data.
        data: DatasetVersion,
        /// Which chunk.
        chunk: u64,
        /// The file it is in.
        file: String,
        /// The door it came from last, or went to.
        url: String,
    },
    /// The ticket opens nothing.
    #[error("the ticket is refused")]
    Ticket(#[from] TicketError),
    /// What should be a door's address is none.
    #[error("`{url}` is not the address of a store, such as `https://center.example:7443`")]
    NotAnAddress {
        /// The text.
        url: String,
    },
    /// No answer, or it broke off.
    #[error("{url} does not answer")]
    Unreachable {
        /// Which door.
        url: String,
        /// The connection's words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The door answered, but not with what was asked for.
    #[error("{url} answered {status}: {detail}")]
    Answered {
        /// Which door.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Its words.
        detail: String,
    },
    /// An external store did not do what was asked.
    #[error("cannot {doing} `{path}` in the store `{store}`: {fault}")]
    External {
        /// The store's name.
        store: String,
        /// What was being done, as a verb.
        doing: &'static str,
        /// To what, below the store's root.
        path: String,
        /// What ails the store.
        fault: Fault,
        /// The store's words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An object of an external store is not what was registered or written.
    #[error(
        "`{path}` in the store `{store}` is not what it was: bring the old one back, or register \
         the data anew"
    )]
    ObjectChanged {
        /// The store's name.
        store: String,
        /// Which object, below the store's root.
        path: String,
    },
    /// No external store has this name.
    #[error("no store `{store}` is configured: add it to the stores file, or use another name")]
    NoSuchStore {
        /// The name.
        store: String,
    },
    /// An external store cannot take the data.
    #[error("the store `{store}` cannot take {data}: {why}")]
    CannotTake {
        /// The store's name.
        store: String,
        /// Which data.
        data: DatasetVersion,
        /// Why, and what to do.
        why: String,
    },
    /// A registration of data in place cannot be read.
    #[error("the registration {} is broken: {why}; register the data anew", path.display())]
    BadRegistration {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file that names the external stores cannot be used.
    #[error("{}: {said}", file.display())]
    BadStores {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it where, and what to do.
        said: String,
    },
    /// Somebody else's queueing discipline is at the root of the device.
    #[error(
        "{device} has the queueing discipline {kind} {handle} at its root, which is not Portolan's; \
         remove it (`tc qdisc del dev {device} root`), or shape another device"
    )]
    ForeignQdisc {
        /// Which device.
        device: String,
        /// What is there.
        kind: String,
        /// Its handle.
        handle: String,
    },
    /// Another process shapes the device.
    #[error("{device} is shaped by another process; stop that one, or shape another device")]
    Shaped {
        /// Which device.
        device: String,
    },
    /// The kernel's traffic control would not do something.
    #[error("`tc {command}` failed: {said}")]
    Tc {
        /// What was asked of it.
        command: String,
        /// Its words.
        said: String,
    },
    /// Nobody to fetch from was named.
    #[error("no source of {data} is known")]
    NoSource {
        /// Which data.
        data: DatasetVersion,
    },
}

impl TransferError {
    /// Whether the same ask may succeed later with nothing changed by us.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::External { fault, .. } => fault.is_transient(),
            Self::Answered { status, .. } => {
                matches!(status, 408 | 425 | 429) || (*status >= 500 && *status != 507)
            }
            Self::Io { .. }
            | Self::StoreFull { .. }
            | Self::InUse { .. }
            | Self::NotHere { .. }
            | Self::AlreadyHere { .. }
            | Self::NoSuchFile { .. }
            | Self::NoSuchChunk { .. }
            | Self::BadManifest { .. }
            | Self::WrongManifest { .. }
            | Self::NotPlain { .. }
            | Self::NotADataset { .. }
            | Self::Changed { .. }
            | Self::Incomplete { .. }
            | Self::Abandoned { .. }
            | Self::Corrupted { .. }
            | Self::Ticket(_)
            | Self::NotAnAddress { .. }
            | Self::ObjectChanged { .. }
            | Self::NoSuchStore { .. }
            | Self::CannotTake { .. }
            | Self::BadRegistration { .. }
            | Self::BadStores { .. }
            | Self::ForeignQdisc { .. }
            | Self::Shaped { .. }
            | Self::Tc { .. }
            | Self::NoSource { .. } => false,
        }
    }

    /// Whether another source may have what this one has not: the fault is not on our side.
    pub(crate) fn is_the_sources(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::NotAnAddress { .. }
                | Self::Answered { .. }
                | Self::Corrupted { .. }
                | Self::WrongManifest { .. }
                | Self::BadManifest { .. }
        )
    }
}

/// Names what was being done when the disk said no.
pub(crate) fn io_at<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> TransferError + 'a {
    move |source| TransferError::Io { doing, path: path.to_owned(), source }
}

/// Whether the disk, or our share of it, is used up.
pub(crate) fn is_full(error: &TransferError) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error, TransferError::Io { source, .. }
        if matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge))
}
