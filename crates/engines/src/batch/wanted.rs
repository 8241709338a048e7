//! Attempts that a batch system is to be given.

use super::Ticket;
use crate::Launch;
use model::{AttemptId, Span};
use std::path::PathBuf;

/// How much longer than its own limit and grace an attempt's entry may run: it is ended by its
/// supervisor, and by the batch system only if that fails.
const LIMIT_MARGIN: Span = Span::from_secs(120);

/// An attempt to be entered.
#[derive(Debug)]
pub(super) struct ToEnter {
    pub(super) attempt: AttemptId,
    /// What it is, where that was ordered just now; else it may have been entered before, and is looked
    /// for first.
    pub(super) fresh: Option<Launch>,
}

/// An attempt that is to be entered.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) command: Vec<String>,
    pub(super) dir: PathBuf,
    pub(super) launch: Launch,
}

impl Wanted {
    pub(super) fn ticket(&self) -> Ticket<'_> {
        let place = self.launch.place.as_ref();
        let limit = self.launch.limit;
        Ticket {
            name: &self.name,
            command: &self.command,
            dir: &self.dir,
            pool: place.map_or("", |place| &place.pool),
            tenant: self.launch.tenant.as_ref(),
            nodes: place.map_or(1, |place| place.nodes),
            chips_per_node: place.map_or(0, |place| place.chips_per_node),
            image: self.launch.image.as_deref(),
            cores: self.launch.cpu,
            memory: self.launch.memory,
            limit: limit.map(|limit| limit + self.launch.grace + LIMIT_MARGIN),
        }
    }
}
