//! The newest headers' digests: agents follow the log by them all the time.

use model::Digest;
use model::fact::{Head, Record};
use std::collections::VecDeque;

/// How many are kept: 8 MiB.
const KEPT: usize = 262_144;

/// Digests of the headers written last.
#[derive(Debug)]
pub(crate) struct Recent {
    /// The number of the fact before the first one kept.
    before: u64,
    digests: VecDeque<Digest>,
}

impl Recent {
    /// Nothing yet of a log that reaches to this number.
    pub(crate) const fn new(number: u64) -> Self {
        Self { before: number, digests: VecDeque::new() }
    }

    /// Takes in what is being written.
    pub(crate) fn add(&mut self, records: &[Record]) {
        self.digests.extend(records.iter().map(|record| record.header.digest()));
        let surplus = self.digests.len().saturating_sub(KEPT);
        self.digests.drain(..surplus);
        self.before += surplus as u64;
    }

    /// At most `limit` digests after a number, none beyond the durable head; `None` when they go
    /// further back than what is kept.
    pub(crate) fn after(&self, number: u64, limit: usize, durable: Head) -> Option<Vec<Digest>> {
        let from = usize::try_from(number.checked_sub(self.before)?).ok()?;
        let most = usize::try_from(durable.number.saturating_sub(number)).ok()?;
        Some(self.digests.iter().skip(from).take(most.min(limit)).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Moment;
    use model::fact::{Fact, KeysForgotten};

    #[test]
    fn what_is_not_durable_is_not_given_away_and_what_is_not_kept_is_not_made_up() {
        let mut recent = Recent::new(10);
        let fact = Fact::KeysForgotten(KeysForgotten { before: Moment(0) });
        let records: Vec<Record> = (11..=14).map(|n| Record::new(n, Moment(n), &fact)).collect();
        recent.add(&records);
        let durable = Head { number: 13, digest: Digest::of(b"head") };
        assert_eq!(recent.after(9, 9, durable), None);
        assert_eq!(recent.after(10, 9, durable).map(|d| d.len()), Some(3));
        assert_eq!(recent.after(12, 9, durable), Some(vec![records[2].header.digest()]));
        assert_eq!(recent.after(10, 1, durable).map(|d| d.len()), Some(1));
        assert_eq!(recent.after(14, 9, durable), Some(vec![]));
    }
}
