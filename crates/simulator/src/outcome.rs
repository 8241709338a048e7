//! What came of a run.

use crate::measure::Finished;
use crate::server::Counts;
use crate::tally::Sample;
use audit::Violation;
use model::fact::Head;
use model::{ChipTime, OwnerId, Span};
use std::collections::BTreeMap;

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Jobs that are over, in the order of their ends.
    pub finished: Vec<Finished>,
    /// Jobs that were not when the run ended; those for which no place was ever found are in
    /// `finished` too.
    pub unfinished: u64,
    /// Why submissions were not accepted: the first few.
    pub rejections: Vec<String>,
    /// Samples, if they were asked for.
    pub samples: Vec<Sample>,
    /// How long it went on, from its start.
    pub lasted: Span,
    /// The log's head: two runs with the same head were the same.
    pub head: Head,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// What owners lent one another, in chip time: to whom, by who lent.
    pub lent: BTreeMap<OwnerId, BTreeMap<String, ChipTime>>,
    /// What it amounted to.
    pub counts: Counts,
    /// Promises that did not hold.
    pub violations: Vec<Violation>,
}
