//! Attempts that are over and settled, whose logs are kept for a while.

use crate::{Settings, Shared};
use engines::{AnyEngine, Engine};
use model::AttemptId;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is looked whose logs have been kept long enough. Not with each attempt: the next is not to
/// start later for it.
pub(crate) const FORGET_EVERY: Duration = Duration::from_secs(60);

/// What is kept, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Settled(VecDeque<(Instant, AttemptId)>);

impl Settled {
    /// One that has just been settled.
    pub(crate) fn add(&mut self, attempt: AttemptId) {
        self.0.push_back((Instant::now(), attempt));
    }

    /// Those that have been kept long enough, or that are too many.
    pub(crate) fn old(&self, settings: &Settings) -> Vec<AttemptId> {
        let surplus = self.0.len().saturating_sub(settings.keep_logs_most);
        let expired = self.0.iter().take_while(|(since, _)| since.elapsed() >= settings.keep_logs);
        let old = surplus.max(expired.count());
        self.0.iter().take(old).map(|(_, attempt)| *attempt).collect()
    }

    /// Nothing is kept of these any more.
    pub(crate) fn are_gone(&mut self, gone: &BTreeSet<AttemptId>) {
        self.0.retain(|(_, attempt)| !gone.contains(attempt));
    }
}

/// Removes all that is kept of attempts. Returns those of which nothing is left.
pub(crate) async fn forget(
    shared: Arc<Shared>,
    engine: Arc<AnyEngine>,
    old: Vec<AttemptId>,
) -> BTreeSet<AttemptId> {
    let mut gone = BTreeSet::new();
    for attempt in old {
        if let Err(error) = engine.forget(attempt).await {
            tracing::warn!(%attempt, %error, "could not be forgotten yet");
            continue;
        }
        gone.insert(attempt);
        let note = shared.home.kept(attempt);
        if note.exists() && std::fs::remove_file(&note).is_err() {
            tracing::warn!(%attempt, "the note of its outputs could not be removed");
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::JobId;

    fn kept(most: usize, keep_logs: Duration) -> Settings {
        let settings = Settings::new("unused".into(), model::EngineKind::Process);
        Settings { keep_logs_most: most, keep_logs, ..settings }
    }

    #[test]
    fn the_oldest_go_where_they_are_too_many_or_too_old() {
        let attempt = |number| AttemptId { job: JobId::new(number), epoch: 1 };
        let mut settled = Settled::default();
        (1..=5).for_each(|number| settled.add(attempt(number)));
        let long = Duration::from_secs(3_600);
        assert_eq!(settled.old(&kept(5, long)), []);
        assert_eq!(settled.old(&kept(3, long)), [1, 2].map(attempt));
        settled.are_gone(&[attempt(2)].into());
        assert_eq!(settled.old(&kept(3, long)), [attempt(1)], "it is still there");
        assert_eq!(settled.old(&kept(3, Duration::ZERO)), [1, 3, 4, 5].map(attempt));
    }
}
