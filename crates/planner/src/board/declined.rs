//! What centers refused, for as long as it may hold.

use super::{Board, class_of_job};
use model::attempt::Outcome;
use model::job::PastAttempt;
use model::{AttemptId, CenterId, Moment, Refused, Span};
use world::World;

/// How long a center that refused a class is not asked for it again, the first time. Each further time
/// it is twice as long, so many times at most: up to an hour. An agent that joins anew or a center that
/// is declared anew is asked at once, for what it said before holds no longer.
const DECLINED_FOR: Doubling = Doubling { first: Span::from_secs(60), at_most: 6 };
/// The same where only its data could not be had: it may have been the source's fault, and be over.
const NO_DATA_FOR: Doubling = Doubling { first: Span::from_secs(10), at_most: 4 };
/// A time that doubles with each failure, so many times at most.
struct Doubling {
    first: Span,
    at_most: usize,
}

impl Doubling {
    const fn after(&self, failures: usize) -> Span {
        let times = if failures < self.at_most { failures } else { self.at_most };
        Span(self.first.0 << times)
    }
}

impl Board {
    /// A center may have refused an attempt.
    pub(super) fn note_refusal(
        &mut self,
        world: &World,
        now: Moment,
        attempt: AttemptId,
        outcome: &Outcome,
    ) {
        let Outcome::Refused(why) = outcome else { return };
        let Some(job) = world.job(attempt.job) else { return };
        let Some(attempt) = job.phase.attempt() else { return };
        let key = (class_of_job(job), attempt.placement.center().clone());
        let past = job.past.iter().rev();
        let lasts = match why {
            Refused::NoData { .. } => {
                let no_data = |past: &&PastAttempt| {
                    matches!(past.outcome, Outcome::Refused(Refused::NoData { .. }))
                };
                NO_DATA_FOR.after(past.take_while(no_data).count())
            }
            Refused::NoSuchNodes | Refused::Drained | Refused::Unsupported { .. } => {
                let here = past.filter(|past| past.placement.center() == &key.1);
                let refused = |past: &&PastAttempt| matches!(past.outcome, Outcome::Refused(_));
                DECLINED_FOR.after(here.take_while(refused).count())
            }
        };
        self.view.declined.insert(key, (why.clone(), now + lasts));
    }

    /// What a center refused before is asked of it again, but for what it could not have.
    pub(super) fn ask_again(&mut self, center: &CenterId) {
        let lacks_data = |why: &Refused| matches!(why, Refused::NoData { .. });
        self.view.declined.retain(|(_, of), (why, _)| of != center || lacks_data(why));
    }
}
