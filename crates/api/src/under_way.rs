//! How far copies are and why attempts do not run yet, as centers last told. Kept in memory only:
//! it is old in seconds.

use model::{AttemptId, CenterId, TransferId};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wire::CopyUnderWay;

/// After so long what was told is no longer so.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// What each center last told.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<BTreeMap<CenterId, (Instant, wire::UnderWay)>>);

impl UnderWay {
    /// Takes what a center tells in place of what it told before.
    pub(crate) fn tell(&self, center: CenterId, told: wire::UnderWay) {
        self.told().insert(center, (Instant::now(), told));
    }

    /// How far copies are, by transfer.
    pub(crate) fn seen(&self) -> BTreeMap<TransferId, CopyUnderWay> {
        let mut told = self.told();
        told.retain(|_, (at, _)| at.elapsed() < GOOD_FOR);
        let all = told.values().flat_map(|(_, told)| &told.copies);
        all.map(|copy| (copy.transfer, *copy)).collect()
    }

    /// Why an attempt in a center does not run yet, as far as its engine says so.
    pub(crate) fn why(&self, center: &CenterId, attempt: AttemptId) -> Option<String> {
        let told = self.told();
        let (at, told) = told.get(center)?;
        told.waits.get(&attempt).filter(|_| at.elapsed() < GOOD_FOR).cloned()
    }

    fn told(&self) -> MutexGuard<'_, BTreeMap<CenterId, (Instant, wire::UnderWay)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
