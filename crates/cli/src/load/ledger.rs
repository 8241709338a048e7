//! What became of each job, as facts tell it.

use super::follow::{News, Place, What};
use model::{Chips, JobEnd, JobId, Moment, Span};
use std::collections::BTreeMap;

/// All jobs that anything was heard of.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    tracks: BTreeMap<JobId, Track>,
    /// How many run now.
    pub(super) running: usize,
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Track {
    /// When it was accepted.
    pub(super) submitted: Option<Moment>,
    /// When it was first given a place.
    pub(super) admitted: Option<Moment>,
    /// When it first started.
    pub(super) started: Option<Moment>,
    /// When and how it ended.
    pub(super) ended: Option<(Moment, JobEnd)>,
    /// How often it was given a place.
    pub(super) attempts: u64,
    /// What its attempts used: of which pool, thousandths of a chip × milliseconds.
    pub(super) used: Vec<(Place, u128)>,
    /// The place its live attempt has, and whether it has started.
    live: Option<(Place, Chips, bool)>,
}

impl Ledger {
    /// Something happened. Whatever is told twice changes nothing.
    pub(super) fn hear(&mut self, News { job, at, what }: News) {
        let track = self.tracks.entry(job).or_default();
        match what {
            What::Submitted => track.submitted = Some(at),
            What::Offered(place, chips) => {
                track.attempts += 1;
                track.admitted.get_or_insert(at);
                track.live = Some((place, chips, false));
            }
            What::Started => {
                track.started.get_or_insert(at);
                if let Some((_, _, runs @ false)) = &mut track.live {
                    *runs = true;
                    self.running += 1;
                }
            }
            What::Over(ran) => {
                if let Some((place, chips, runs)) = track.live.take() {
                    track.used.push((place, chip_time(chips, ran)));
                    self.running -= usize::from(runs);
                }
            }
            What::Ended(end) => track.ended = Some((at, end)),
        }
    }

    /// What became of a job; nothing before anything was heard of it.
    pub(super) fn of(&self, job: JobId) -> Option<&Track> {
        self.tracks.get(&job)
    }

    /// How many jobs there are that anything was heard of.
    pub(super) fn len(&self) -> usize {
        self.tracks.len()
    }

    /// Whether a job has ended.
    pub(super) fn has_ended(&self, job: JobId) -> bool {
        self.of(job).is_some_and(|track| track.ended.is_some())
    }
}

/// Thousandths of a chip × milliseconds.
pub(super) fn chip_time(chips: Chips, span: Span) -> u128 {
    u128::from(chips.0) * u128::from(span.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{CenterId, PoolId};

    #[test]
    fn a_job_that_was_preempted_keeps_its_first_admission_and_all_it_used() {
        let place = || (CenterId::new("c").unwrap(), PoolId::new("p").unwrap());
        let mut ledger = Ledger::default();
        let offered = || What::Offered(place(), Chips::whole(2));
        let told = [
            (10, What::Submitted),
            (11, offered()),
            (12, What::Started),
            (20, What::Over(Span(8))),
            (30, offered()),
            (31, What::Started),
        ];
        let job = JobId::new(1);
        told.into_iter().for_each(|(at, what)| ledger.hear(News { job, at: Moment(at), what }));
        assert_eq!((ledger.running, ledger.has_ended(job)), (1, false));
        ledger.hear(News { job, at: Moment(40), what: What::Over(Span(9)) });
        ledger.hear(News { job, at: Moment(40), what: What::Ended(JobEnd::Completed) });
        let track = ledger.of(job).unwrap();
        assert_eq!((track.admitted, track.started), (Some(Moment(11)), Some(Moment(12))));
        assert_eq!(track.attempts, 2);
        assert_eq!(track.used.iter().map(|(_, used)| used).sum::<u128>(), 34_000);
        assert_eq!((ledger.running, ledger.has_ended(job)), (0, true));
    }
}
