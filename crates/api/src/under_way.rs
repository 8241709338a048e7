//! How far copies are, as their receivers last told. Kept in memory only: it is old in seconds.

use model::{CenterId, TransferId};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wire::CopyUnderWay;

/// After so long what was told is no longer so.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// What each center last told.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<BTreeMap<CenterId, (Instant, Vec<CopyUnderWay>)>>);

impl UnderWay {
    /// Takes what a center tells in place of what it told before.
    pub(crate) fn tell(&self, center: CenterId, told: wire::UnderWay) {
        self.told().insert(center, (Instant::now(), told.copies));
    }

    /// How far copies are, by transfer.
    pub(crate) fn seen(&self) -> BTreeMap<TransferId, CopyUnderWay> {
        let mut told = self.told();
        told.retain(|_, (at, _)| at.elapsed() < GOOD_FOR);
        let all = told.values().flat_map(|(_, copies)| copies);
        all.map(|copy| (copy.transfer, *copy)).collect()
    }

    fn told(&self) -> MutexGuard<'_, BTreeMap<CenterId, (Instant, Vec<CopyUnderWay>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
