//! Datasets, their versions and what opens the stores they are in.

use super::{Archiving, Copy, Keeping};
use model::{AttemptId, Bytes, CenterId, DatasetId, Digest, Moment, Region, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dataset {
    /// Its name.
    #[schema(value_type = String)]
    pub dataset: DatasetId,
    /// Whose it is.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// What is to be kept of it.
    pub keeping: Keeping,
    /// Its versions, oldest first.
    pub versions: Vec<DatasetVersion>,
}

/// A version of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatasetVersion {
    /// The digest of its manifest.
    #[schema(value_type = String)]
    pub version: Digest,
    /// All its bytes.
    #[schema(value_type = u64)]
    pub bytes: Bytes,
    /// How many files.
    pub files: u64,
    /// When it came to be.
    #[schema(value_type = u64)]
    pub registered_ms: Moment,
    /// Regions it may not leave; none for anywhere.
    #[schema(value_type = Vec<String>)]
    pub residency: Vec<Region>,
    /// Centers with a verified copy.
    #[schema(value_type = Vec<String>)]
    pub replicas: Vec<CenterId>,
    /// All its copies, those nobody counts on too.
    pub copies: Vec<Copy>,
    /// Centers a copy is wanted in.
    #[schema(value_type = Vec<String>)]
    pub wanted: Vec<CenterId>,
    /// Copies that are to be put into external stores, or could not be.
    #[serde(default)]
    pub archiving: Vec<Archiving>,
    /// The attempt that wrote it, unless somebody put it there.
    #[schema(value_type = Option<String>)]
    pub made_by: Option<AttemptId>,
}

/// Datasets, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Datasets {
    /// All of them.
    pub datasets: Vec<Dataset>,
}

/// Data somebody is about to put into a center's store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Announcement {
    /// The dataset's name.
    #[schema(value_type = String)]
    pub dataset: DatasetId,
    /// The digest of its manifest.
    #[schema(value_type = String)]
    pub version: Digest,
    /// All its bytes.
    #[schema(value_type = u64)]
    pub bytes: Bytes,
    /// How many files.
    pub files: u64,
    /// Into whose store.
    #[schema(value_type = String)]
    pub center: CenterId,
    /// Regions it may not leave; none for anywhere.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub residency: Vec<Region>,
}

/// What opens a center's store for one version of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ticket {
    /// Whose store.
    #[schema(value_type = String)]
    pub center: CenterId,
    /// For which dataset.
    #[schema(value_type = String)]
    pub dataset: DatasetId,
    /// For which version.
    #[schema(value_type = String)]
    pub version: Digest,
    /// Where the store opens.
    pub url: String,
    /// What opens it.
    pub ticket: String,
}
