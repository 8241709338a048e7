//! What is to be kept of datasets, the state of their copies, and how full stores are.

use super::Transfer;
use model::{Bytes, CenterId, DatasetId, Digest, Moment, Span, StoreId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is to be kept of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Keeping {
    /// How many verified copies each version has at least. The network makes those that are missing.
    #[serde(default = "one")]
    #[schema(default = 1)]
    pub copies: u32,
    /// How many versions are kept, the newest; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<u32>,
    /// When versions that were registered before it expire; absent for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub expires_at_ms: Option<Moment>,
    /// How long after it was registered each version expires; absent for never. Not together with
    /// `expires_at_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub expires_after_ms: Option<Span>,
    /// Centers whose copies are not removed to make room, and not on demand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub pinned: Vec<CenterId>,
}

const fn one() -> u32 {
    1
}

/// A copy of a version in a center's store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Copy {
    /// In whose store.
    #[schema(value_type = String)]
    pub center: CenterId,
    /// In which other store of the center it lies, if it is not in its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub in_store: Option<StoreId>,
    /// In which it lies besides, if it is in its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub also_in: Option<StoreId>,
    /// Whether it is there in passing only: nobody counts on it, and it leaves once nobody waits for it.
    #[serde(default)]
    pub passing: bool,
    /// How it is.
    #[serde(flatten)]
    pub state: CopyState,
}

/// How a copy is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum CopyState {
    /// It is verified.
    Whole {
        /// When every byte of it was last known to be right.
        #[schema(value_type = u64)]
        verified_ms: Moment,
        /// When a job last needed it there, or when it came.
        #[schema(value_type = u64)]
        needed_ms: Moment,
        /// Somebody asked for it to be read.
        to_be_read: bool,
    },
    /// What somebody received of it was wrong; it is being read.
    Doubted,
    /// It is damaged; what is good of it is kept for its repair.
    Damaged {
        /// How many of its chunks are not what they should be.
        chunks: u64,
    },
    /// It is to go.
    Leaving {
        /// Why.
        why: String,
    },
}

impl CopyState {
    /// It, in a word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Whole { .. } => "whole",
            Self::Doubted => "doubted",
            Self::Damaged { .. } => "damaged",
            Self::Leaving { .. } => "leaving",
        }
    }
}

/// What follows from rules for keeping a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outlook {
    /// Versions of which copies are to be made.
    pub missing: Vec<MissingCopies>,
    /// Versions that go everywhere.
    pub going: Vec<GoingVersion>,
}

/// A version of which copies are to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MissingCopies {
    /// Which.
    #[schema(value_type = String)]
    pub version: Digest,
    /// How many.
    pub copies: u32,
}

/// A version that goes everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GoingVersion {
    /// Which.
    #[schema(value_type = String)]
    pub version: Digest,
    /// Why.
    pub why: String,
}

/// A copy that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedCopy {
    /// In whose store it should be.
    #[schema(value_type = String)]
    pub center: CenterId,
    /// Of which version; of the newest where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub version: Option<Digest>,
}

/// How a copy that was asked for comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CopyPlan {
    /// The transfer that brings it; absent when it is there.
    pub transfer: Option<Transfer>,
}

/// A copy that is to be put into an external store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedArchive {
    /// Whose copy.
    #[schema(value_type = String)]
    pub center: CenterId,
    /// Into which external store of that center.
    #[schema(value_type = String)]
    pub store: StoreId,
    /// Of which version; of the newest where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub version: Option<Digest>,
}

/// What comes of a copy that is to be put into an external store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArchivePlan {
    /// Which version it is.
    #[schema(value_type = String)]
    pub version: Digest,
    /// All its bytes.
    #[schema(value_type = u64)]
    pub bytes: Bytes,
    /// Whether it is there already.
    pub is_there: bool,
}

/// A copy that is to be put into an external store, or could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Archiving {
    /// Whose copy.
    #[schema(value_type = String)]
    pub center: CenterId,
    /// Into which external store of that center.
    #[schema(value_type = String)]
    pub store: StoreId,
    /// Why it could not be; absent while it is to be.
    pub failed: Option<String>,
}

/// An external store of a center, as its agent told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExternalStore {
    /// What the center calls it.
    #[schema(value_type = String)]
    pub store: StoreId,
    /// How it is spoken to.
    #[schema(example = "s3")]
    pub kind: String,
    /// How soon what is there can be read: `hot`, `warm` or `cold`.
    #[schema(example = "cold")]
    pub tier: String,
    /// How long data there takes before its first byte can be read.
    #[schema(value_type = u64)]
    pub recall_ms: Span,
    /// How much may be in it; absent where the center sets no limit.
    #[schema(value_type = Option<u64>)]
    pub capacity_bytes: Option<Bytes>,
    /// What the network knows to be in it, or on its way there.
    #[schema(value_type = u64)]
    pub copies_bytes: Bytes,
    /// Whether replicas can be put there; else it is only read.
    pub takes: bool,
}

/// Copies to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scrub {
    /// Of which dataset; of all where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub dataset: Option<DatasetId>,
    /// In whose store; in all where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub center: Option<CenterId>,
}

/// Copies that will be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Scrubbing {
    /// How many.
    pub copies: u64,
}

/// How full a center's store is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Store {
    /// Whose it is.
    #[schema(value_type = String)]
    pub center: CenterId,
    /// How much it holds.
    #[schema(value_type = u64)]
    pub capacity_bytes: Bytes,
    /// Whether its agent told so; else its owner declared it.
    pub is_measured: bool,
    /// What copies take, whole or not.
    #[schema(value_type = u64)]
    pub copies_bytes: Bytes,
    /// What of that is to go.
    #[schema(value_type = u64)]
    pub leaving_bytes: Bytes,
    /// What of the whole copies could go to make room.
    #[schema(value_type = u64)]
    pub evictable_bytes: Bytes,
    /// What is on its way there.
    #[schema(value_type = u64)]
    pub coming_bytes: Bytes,
    /// What is taken by other things than registered data.
    #[schema(value_type = u64)]
    pub other_bytes: Bytes,
    /// What is neither taken nor spoken for.
    #[schema(value_type = u64)]
    pub free_bytes: Bytes,
}

/// Stores, by center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stores {
    /// All of them.
    pub stores: Vec<Store>,
}

/// A center's store with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreDetail {
    /// How full it is.
    pub store: Store,
    /// The copies in it, first what would go first to make room.
    pub copies: Vec<Holding>,
    /// The center's external stores.
    #[serde(default)]
    pub external: Vec<ExternalStore>,
    /// Its copies that are to be put into them, or could not be.
    #[serde(default)]
    pub archiving: Vec<ArchivingData>,
}

/// A copy that is to be put into an external store of a center, or could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArchivingData {
    /// Of which dataset.
    #[schema(value_type = String)]
    pub dataset: DatasetId,
    /// Of which version of it.
    #[schema(value_type = String)]
    pub version: Digest,
    /// Into which store.
    #[schema(value_type = String)]
    pub store: StoreId,
    /// Why it could not be; absent while it is to be.
    pub failed: Option<String>,
}

/// A copy in a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Holding {
    /// Of which dataset.
    #[schema(value_type = String)]
    pub dataset: DatasetId,
    /// Of which version of it.
    #[schema(value_type = String)]
    pub version: Digest,
    /// All its bytes.
    #[schema(value_type = u64)]
    pub bytes: Bytes,
    /// In which other store of the center it lies, where it takes no room of its own one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub in_store: Option<StoreId>,
    /// In which it lies besides, if it is in its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub also_in: Option<StoreId>,
    /// How it is.
    #[serde(flatten)]
    pub state: CopyState,
    /// Why it does not go to make room; absent when it may.
    pub stays: Option<String>,
}
