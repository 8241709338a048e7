//! Offering a job what others borrow of its tenant's quota, or what jobs of its tenant have that come
//! after it.

use super::Walk;
use crate::candidate::Candidate;
use crate::class::{Class, ClassId};
use crate::options::Options;
use crate::preempt;
use crate::roster::PoolNumber;
use crate::scene::{Asked, Reach, scene};
use crate::search::{Calendars, Search};
use crate::shelf::Shelves;
use crate::view::View;
use calendar::Work;
use model::{AttemptId, ChipTime, Chips, FlavorId, JobId, Moment, Span};
use sharing::{Asking, Holder, reclaim};
use std::collections::BTreeMap;

/// One way to ask: as this variant, in this flavor.
type Way = (u16, FlavorId);

impl Walk<'_> {
    /// Whether quotas stand against the class everywhere now; it is noted then.
    pub(super) fn is_short(&mut self, id: ClassId, class: &Class) -> bool {
        if self.view.no_quotas || class.spec.reservation.is_some() {
            return false;
        }
        let options = self.options(class);
        let asked = Asked { class: id, spec: &class.spec, options: &options };
        let scene = self.scene();
        let mut firsts = (0..options.rows.len()).filter_map(|row| options.first_in(row));
        let short = !options.rows.is_empty()
            && (firsts.all(|choice| scene.within_quota(asked, choice).is_err())
                || scene.held_back(asked, |job| self.placed.contains(&job)).is_some());
        if short {
            self.plan.short.insert(id);
        }
        short
    }

    /// Offers a job a place within its tenant's quota that others are to leave: the first of the
    /// flavors it can run in, best first, where such can be told to go and leave it the room.
    ///
    /// Only a plan for the whole queue does so: it gives every job that comes before this one its
    /// place first.
    pub(super) fn take_back(&mut self, job: JobId, id: ClassId, class: &Class) -> bool {
        if !self.plan.is_whole || self.preempting.is_spent() {
            return false;
        }
        let options = self.options(class);
        let mut ways: Vec<Way> = Vec::new();
        for choice in &options.choices {
            let flavor = self.view.roster.seat(choice.pool).flavor.as_ref();
            let Some(flavor) = flavor else { continue };
            if !ways.iter().any(|(variant, of)| (*variant, of) == (choice.variant, flavor)) {
                ways.push((choice.variant, flavor.clone()));
            }
        }
        ways.iter().any(|way| self.take_back_of(job, id, class, &options, way))
    }

    fn take_back_of(
        &mut self,
        job: JobId,
        id: ClassId,
        class: &Class,
        options: &Options,
        way: &Way,
    ) -> bool {
        let pools: Vec<PoolNumber> = self
            .view
            .roster
            .seats()
            .filter_map(|(number, seat)| (seat.flavor.as_ref() == Some(&way.1)).then_some(number))
            .collect();
        let Some(victims) = self.who_goes(job, class, options, way, &pools) else { return false };
        let now = self.situation.now;
        let grace = |attempt: &AttemptId| self.world.job(attempt.job).map(|job| job.spec.grace());
        let grace = victims.iter().filter_map(grace).max().unwrap_or(Span::ZERO);
        let gone = preempt::gone(now, grace);
        let mut view = self.view.clone();
        victims.iter().for_each(|victim| view.cut_short(self.world, *victim, gone));
        let Some(found) = self.place_after(&view, id, class, options, way, gone) else {
            return false;
        };
        self.view = view;
        // They count on calendars that only fill up.
        self.searches.clear();
        self.calendars.shelves = Shelves::default();
        let found = self.bind(class, found);
        self.offer(job, &class.spec, found);
        if let Some(offer) = self.plan.offers.last_mut() {
            offer.preempts = victims;
        }
        true
    }

    /// Whose attempts have to go so that the job is within its tenant's quota; none where they may
    /// not, or nobody has to.
    fn who_goes(
        &mut self,
        job: JobId,
        class: &Class,
        options: &Options,
        (variant, flavor): &Way,
        pools: &[PoolNumber],
    ) -> Option<Vec<AttemptId>> {
        let policy = self.policy.preempting?;
        let (world, now) = (self.world, self.situation.now);
        let ask = &options.asks[usize::from(*variant)];
        let chips = BTreeMap::from([(flavor.clone(), ask.chips.times(ask.nodes.into()))]);
        let submitted = world.job(job)?.submitted;
        let (tenant, priority) = (&class.spec.tenant, class.spec.priority);
        let asking = Asking { tenant, chips: &chips, priority, submitted };
        let victims = &self.view.victims;
        let of = |(attempt, _): (AttemptId, i32)| {
            let job = world.job(attempt.job).filter(|job| job.preemptions() < policy.most)?;
            Some((attempt, job, world.live_attempt(attempt)?))
        };
        let live = pools.iter().flat_map(|pool| victims.in_pool(*pool)).filter_map(of);
        let live: Vec<_> = live
            .map(|(attempt, job, live)| {
                let held = world::claim(&job.spec, &live.placement).chips;
                (attempt, job, live, held)
            })
            .collect();
        self.preempting.count(1 + live.len() as u64);
        let holders = live.iter().map(|(attempt, job, live, held)| Holder {
            job: attempt.job,
            tenant: &job.spec.tenant,
            chips: held,
            priority: job.spec.priority,
            preemptible: true,
            submitted: job.submitted,
            since: live.state.started().unwrap_or(live.placement.start),
            lost: lost(live.kept_until(&job.spec, now), now, held),
            leaving: false,
        });
        let found = reclaim(&self.view.usage, &asking, holders).ok()?;
        let attempt_of = |victim: &sharing::Victim| {
            let found = live.iter().find(|(attempt, ..)| attempt.job == victim.job);
            found.map(|(attempt, ..)| *attempt)
        };
        let victims: Vec<AttemptId> = found.victims.iter().filter_map(attempt_of).collect();
        (!victims.is_empty()).then_some(victims)
    }

    /// The best place of a way once they have left at `gone`, if it is free then.
    fn place_after(
        &self,
        view: &View,
        id: ClassId,
        class: &Class,
        options: &Options,
        (variant, flavor): &Way,
        gone: Moment,
    ) -> Option<Candidate> {
        let asked = Asked { class: id, spec: &class.spec, options };
        let scene = scene(self.world, view, &self.coming, self.situation, self.policy);
        let is_way = |number: &u32| {
            let choice = &options.choices[*number as usize];
            let of = view.roster.seat(choice.pool).flavor.as_ref();
            choice.variant == *variant && of == Some(flavor)
        };
        let numbered = options.numbers().filter(is_way);
        let work = Work::up_to(self.policy.inline_work);
        let mut calendars = Calendars { work, shelves: Shelves::default() };
        let mut search = Search::among(&scene, asked, Reach::Ever, numbered, &mut calendars);
        let (_, found) = search.best(&scene, asked, &mut calendars)?;
        (found.start <= gone && found.data_ready <= gone).then_some(found)
    }
}

/// What of its work an attempt would lose that kept it until then.
fn lost(kept: Option<Moment>, now: Moment, held: &BTreeMap<FlavorId, Chips>) -> ChipTime {
    let since = kept.map_or(Span::ZERO, |kept| now.since(kept));
    let all = held.values().map(|chips| chips.over(since));
    all.fold(ChipTime::ZERO, ChipTime::saturating_add)
}
