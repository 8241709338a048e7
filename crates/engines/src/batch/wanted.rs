//! Attempts that a batch system is to be given.

use super::Ticket;
use crate::Launch;
use model::{AttemptId, Span};
use std::path::PathBuf;
use std::time::Duration;

/// How soon one that could not be entered is tried again, and how long it is left alone at most.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
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
    /// How long it is left alone when it could not be entered.
    pub(super) pause: Duration,
}

impl ToEnter {
    /// One that was never tried before.
    pub(super) const fn new(attempt: AttemptId, fresh: Option<Launch>) -> Self {
        Self { attempt, fresh, pause: FIRST_PAUSE }
    }

    /// The same for another try.
    pub(super) fn again(self) -> Self {
        Self { fresh: None, pause: (self.pause * 2).min(LONGEST_PAUSE), ..self }
    }
}

/// An attempt that is to be entered.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Whether that was done, whatever was answered: it has been started.
    pub(super) is_claimed: bool,
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
