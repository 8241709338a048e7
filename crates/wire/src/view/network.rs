//! The network as it is declared.

use model::{CenterId, ChipClass, ChipId, TenantId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Network and chip files, to be applied together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkFiles {
    /// Network files; they may refer to each other.
    #[serde(default)]
    pub network: Vec<Document>,
    /// Chip files; chips the network knows already need none.
    #[serde(default)]
    pub chips: Vec<Document>,
}

/// A document as somebody wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Its name, for messages.
    pub name: String,
    /// Its text: TOML.
    pub text: String,
}

/// What came of applying files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    /// How many parts of the network changed.
    pub changed: u64,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    /// Its name.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// The tenant it is part of.
    #[schema(value_type = Option<String>)]
    pub parent: Option<TenantId>,
    /// Its weight beside its siblings.
    pub weight: u32,
    /// The center it is at home in.
    #[schema(value_type = Option<String>)]
    pub home: Option<CenterId>,
    /// What line of work it is in.
    pub industry: Option<String>,
    /// The portability classes it keeps builds for.
    #[schema(value_type = Vec<String>)]
    pub classes: Vec<ChipClass>,
}

/// Tenants, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenants {
    /// Those the asker may see.
    pub tenants: Vec<Tenant>,
}

/// A chip of the catalog. Figures the maker does not disclose are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Chip {
    /// Its name in the catalog.
    #[schema(value_type = String)]
    pub chip: ChipId,
    /// Who makes it.
    pub vendor: String,
    /// The maker's name for it.
    pub model: String,
    /// What programs run on it.
    #[schema(value_type = String)]
    pub class: ChipClass,
    /// The software stack.
    pub stack: String,
    /// Memory on the chip.
    pub memory_bytes: Option<u64>,
    /// Memory bandwidth.
    pub memory_bytes_per_second: Option<u64>,
    /// Peak dense speed by precision, in milli-TFLOPS.
    pub peak_milli_tflops: BTreeMap<String, u64>,
    /// Thermal design power.
    pub power_watts: Option<u32>,
    /// Chips come in multiples of this many.
    pub allocation_unit: u32,
    /// Where the figures come from.
    pub source: String,
    /// How far to trust them: `A` to `C`.
    pub confidence: String,
    /// What a reader of the figures should know.
    pub notes: Option<String>,
}

/// Chips, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Chips {
    /// All of them.
    pub chips: Vec<Chip>,
}
