//! Which attempts may have changed.

use model::AttemptId;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Attempts that may have changed, and a bell.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    pending: Mutex<BTreeSet<AttemptId>>,
    bell: Notify,
}

impl Hints {
    pub(crate) fn add(&self, attempt: AttemptId) {
        lock(&self.pending).insert(attempt);
        self.bell.notify_one();
    }

    /// Those that changed since this was last asked, as soon as there are any. Nothing is lost when
    /// the future is dropped.
    pub(crate) async fn taken(&self) -> Vec<AttemptId> {
        loop {
            let pending = std::mem::take(&mut *lock(&self.pending));
            if !pending.is_empty() {
                return pending.into_iter().collect();
            }
            self.bell.notified().await;
        }
    }
}

/// A lock whose holder panicked still guards plain data that is whole between statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
