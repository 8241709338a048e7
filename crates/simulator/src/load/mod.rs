//! What is submitted, and what becomes of it once it runs.
//!
//! A load carries two figures for each job that nobody who plans may see: the work it really is and
//! how it really ends. Planner and baselines see the spec alone.

mod ask;
pub mod delta;
pub mod gavel;
pub mod generate;
pub mod lists;
mod rows;
pub mod sets;
pub mod swf;

pub(crate) use rows::{Table, rounded};

pub use ask::{Allowed, Ask, Tailor, Wish, at_speed};

use model::{Bytes, CenterId, ChipId, DatasetVersion, JobSpec, Region, Span, TenantId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A job that arrives.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// How long after the start of the scenario.
    pub after: Span,
    /// What is asked for. Jobs of a load that ask for the same share one. The reservation a job runs in is
    /// named by its place among the arrivals, from 0.
    pub spec: Arc<JobSpec>,
    /// What nobody knows yet.
    pub actual: Actual,
}

/// What a job turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actual {
    /// How long it runs at speed 1; on a chip it runs this long divided by the chip's speed.
    pub work: Span,
    /// Which kind of work it is: a column of [`Speeds`].
    pub kind: u16,
    /// How it ends when nothing interferes.
    pub ending: Ending,
}

/// How a job ends when nothing interferes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With exit code 0.
    Success,
    /// With an exit code of its own.
    Failure,
    /// Its tenant cancels it at that moment of its run.
    Canceled,
    /// Its tenant cancels it so long after submitting it, wherever it is by then.
    Withdrawn,
}

/// A dataset that lies in stores before the first job arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    /// Name and version.
    pub data: DatasetVersion,
    /// All its bytes.
    pub bytes: Bytes,
    /// Whose it is.
    pub tenant: TenantId,
    /// Centers that hold a verified copy, at least one.
    pub at: Vec<CenterId>,
    /// Regions it may not leave; empty for any.
    pub residency: Vec<Region>,
}

/// How fast chips do kinds of work, in thousandths of the reference's speed. A pair that is not
/// named has speed 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Speeds {
    /// The kinds' names, by number.
    pub kinds: Vec<String>,
    /// Thousandths by chip, one for each kind; 0 when the chip cannot do it.
    pub of: BTreeMap<ChipId, Vec<u32>>,
    /// Kinds whose speed is not the chip's but that of the way in which the job runs: thousandths by
    /// variant.
    pub by_variant: BTreeMap<u16, Vec<u32>>,
}

impl Speeds {
    /// The speed of a kind of work on a chip, in thousandths.
    #[must_use]
    pub fn thousandths(&self, chip: Option<&ChipId>, kind: u16) -> u32 {
        let speeds = chip.and_then(|chip| self.of.get(chip));
        speeds.and_then(|s| s.get(usize::from(kind))).copied().unwrap_or(1_000)
    }

    /// The speed of an attempt that runs as this variant on this chip, in thousandths.
    #[must_use]
    pub fn of_attempt(&self, chip: Option<&ChipId>, kind: u16, variant: u16) -> u32 {
        match self.by_variant.get(&kind) {
            Some(speeds) => speeds.get(usize::from(variant)).copied().unwrap_or(1_000),
            None => self.thousandths(chip, kind),
        }
    }
}
