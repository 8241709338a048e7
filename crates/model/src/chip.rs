//! The open chip catalog. A new chip is a new file, never a code change.

use crate::{Bytes, ChipClass, ChipId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One chip model. Figures the maker does not disclose are absent, not zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chip {
    /// Its name in the catalog.
    pub chip: ChipId,
    /// Who makes it.
    pub vendor: String,
    /// The maker's name for it.
    pub model: String,
    /// What programs run on it: chips of one class run the same build.
    pub class: ChipClass,
    /// The software stack, in the maker's words.
    pub stack: String,
    /// Memory on the chip.
    pub memory: Option<Bytes>,
    /// The kind of that memory, such as `HBM2e`.
    pub memory_kind: Option<String>,
    /// Memory bandwidth in bytes per second.
    pub memory_bandwidth: Option<Bytes>,
    /// How chips of one node talk to each other, such as `NVLink3`.
    pub interconnect: Option<String>,
    /// Bandwidth of that in bytes per second, both ways together, as makers give it.
    pub interconnect_bandwidth: Option<Bytes>,
    /// Peak dense speed by precision (`bf16`, `fp16`, `fp32`, `fp64`, `int8`, `fp8`) in
    /// milli-TFLOPS (milli-TOPS for integers).
    pub peak_milli_tflops: BTreeMap<String, u64>,
    /// Thermal design power in watts.
    pub power_watts: Option<u32>,
    /// Chips come in multiples of this many: 2 where two dies are one card.
    pub allocation_unit: u32,
    /// The environment variable that tells a process which chips are its own.
    pub visible_devices: String,
    /// Default extended-resource names on Kubernetes, most specific first. A center may override.
    pub kubernetes_resources: Vec<String>,
    /// Default typed GRES on Slurm. A center may override.
    pub slurm_gres: Option<String>,
    /// The PCI vendor id of its cards, four hexadecimal digits.
    pub pci_vendor: Option<String>,
    /// Where the figures come from.
    pub source: String,
    /// How far to trust them: `A` (measured or maker's sheet) to `C` (hearsay).
    pub confidence: String,
    /// What a reader of the figures should know.
    pub notes: Option<String>,
}
