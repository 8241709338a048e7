//! How far ahead jobs are given starts.

use super::Walk;
use crate::Aim;
use crate::class::Class;
use crate::scene::Reach;
use model::{JobId, Moment};

/// Where jobs are to be over soon in the mean, data is brought that takes as long as one part in so many
/// of what its job has waited: chips that wait for data are nobody's, and until then a place where it is
/// may come free.
const DATA_FOR: u64 = 3;

impl Walk<'_> {
    /// How far ahead a job of the class may be given a start. Where jobs are to be over soon in the mean, a
    /// start kept for one keeps chips from others by how long they may run, not by how long they do: only
    /// who was overtaken for as long as it may be gets one.
    pub(crate) fn reach(&self, job: JobId, class: &Class) -> Reach {
        let may_wait = self.reserved.of(&class.spec.tenant) < self.policy.reservations;
        match self.policy.aim {
            Aim::MeanCompletion if !may_wait || !self.is_overdue(job, class) => {
                let waited = self.scene().waited(class).scaled(1, DATA_FOR);
                Reach::Brought(self.situation.now + waited.max(self.policy.stage_ahead))
            }
            _ if may_wait => Reach::Ever,
            _ => Reach::Now,
        }
    }

    /// Whether a job was overtaken for as long as it lets others pass.
    fn is_overdue(&self, job: JobId, class: &Class) -> bool {
        let submitted = self.world.job(job).map_or(Moment::MAX, |job| job.submitted);
        let place = self.policy.aim.place(&class.spec, &self.options(class), submitted);
        place.is_some_and(|place| place <= self.situation.now.0)
    }
}
