//! Offering a job the place of others.

use super::Walk;
use crate::candidate::Candidate;
use crate::class::{Class, ClassId};
use crate::lending::Guest;
use crate::preempt;
use crate::rank::Rank;
use crate::scene::{Asked, Reach, scene};
use model::JobId;

impl Walk<'_> {
    /// Offers a job a place that attempts of lower priority are to leave, if it is one of those
    /// that get a start and `best`, the best there is without, comes too late.
    ///
    /// Only a plan for the whole queue does so: it gives every job that comes before this one its
    /// place first, and keeps no start for those that come after.
    pub(super) fn make_room(
        &mut self,
        job: JobId,
        id: ClassId,
        class: &Class,
        best: Option<&(Rank, Candidate)>,
    ) -> bool {
        let own = || Guest::of(self.world, &class.spec.tenant).has_guests(&self.view);
        let minds_priority = self.policy.aim.minds_priority();
        let by_right = || self.rights.as_ref().is_some_and(|rights| rights.has_any(&class.spec));
        let any = minds_priority && self.view.victims.any_below(class.spec.priority)
            || own()
            || by_right();
        // Nobody else is in a reservation, and it is not to be left for another place.
        let may = self.plan.is_whole && any && class.spec.reservation.is_none();
        let reach = self.reach(job, class);
        if !may || self.preempting.is_spent() || reach == Reach::Now {
            return false;
        }
        if best.is_some_and(|(_, best)| self.scene().is_due(best.data_ready, best.start)) {
            return false;
        }
        let options = self.options(class);
        let asked = Asked { class: id, spec: &class.spec, options: &options };
        let scene = scene(self.world, &self.view, &self.coming, self.situation, self.policy);
        let work = &mut self.preempting;
        let found = match reach {
            Reach::Brought(_) => preempt::worth::find(&scene, asked, best, work),
            _ => {
                let start = best.map(|(_, best)| best.start);
                preempt::find(&scene, asked, start, self.rights.as_ref(), work)
            }
        };
        let Some(found) = found else {
            if let Some(rights) = &mut self.rights {
                rights.in_vain(&class.spec);
            }
            return false;
        };
        if let Some(rights) = &mut self.rights {
            rights.take(self.world, &class.spec.tenant, &self.view, &found);
        }
        for victim in &found.victims {
            self.view.cut_short(self.world, *victim, found.place.start);
        }
        // They count on calendars that only fill up.
        self.searches.clear();
        self.calendars.shelves.give_back(found.place.number);
        self.note_end(id, found.place.finish.since(self.situation.now));
        self.offer(job, &class.spec, found.place);
        if let Some(offer) = self.plan.offers.last_mut() {
            offer.preempts = found.victims;
        }
        true
    }
}
