//! The smallest change of a job that would help it: searched for with the planner's own code, one
//! thing changed at a time.
//!
//! Each change is made to the job's spec and the best place is asked for anew, all calendars,
//! reservations and links as they are; figures are narrowed down by halves until the told one does
//! what is told of it and the next smaller change does not. What a change would do to jobs behind
//! this one is not looked at: their starts stand, but for those a higher priority goes before.

use crate::candidate::Candidate;
use crate::change::Change;
use crate::class::{ClassId, class_of};
use crate::coming::Coming;
use crate::estimate::{Basis, estimate};
use crate::options::Options;
use crate::roster::ALL_OF_IT;
use crate::scene::{Asked, Reach, Scene, scene};
use crate::search::{Calendars, Search};
use crate::shelf::Shelves;
use crate::view::View;
use crate::{Policy, Situation};
use calendar::Work;
use model::job::{JobSpec, On, Variant, Within};
use model::{CenterId, Chips, JobId, Moment, Money, Objective, Region, Span};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use world::World;

/// Work units a search may take.
const WORK: u64 = 3_000_000;
/// Up to so many values of a figure are tried one after another, more by halves.
const FEW: u64 = 16;
/// No shorter limit is thought of.
const SHORTEST: Span = Span::from_secs(1);
/// Shares of a chip go by twentieths.
const SHARE: u64 = 50;
/// Memory goes by mebibytes.
const MEMORY: u64 = 1 << 20;
/// Budgets go by hundredths of the currency's unit.
const CENT: i64 = 10_000;
/// No later deadline than by this much is thought of.
const LATEST: Span = Span::from_secs(365 * 86_400);

/// For whom a change is sought.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// A job that waits.
    Job(JobId),
    /// A job that has not been submitted.
    Spec(&'a JobSpec),
}

/// A change that would help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// What to change. Of figures the smallest change that does it.
    pub change: Change,
    /// How much of what is there it changes, in thousandths.
    pub size: u64,
    /// Where the job would go then.
    pub place: Candidate,
    /// Whether it could be given that place at once: to start, or to have its data brought.
    pub at_once: bool,
}

/// Changes that would help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedies {
    /// The smallest first; for each figure at most two: one to start sooner at all, one to start at
    /// once. Empty where no single change helps, or none is needed.
    pub found: Vec<Remedy>,
    /// Whether nothing stands against the job as it is: it starts at once, in the center asked about.
    pub none_needed: bool,
    /// Whether all was tried; else the work units were spent before.
    pub complete: bool,
}

/// What a change is to bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal<'a> {
    /// The job can run at all.
    Run,
    /// It can be given its place at once.
    AtOnce,
    /// It starts before this.
    Sooner(Moment),
    /// This center is the best.
    At(&'a CenterId),
    /// This center is still the best, and it can be given its place at once.
    AtOnceAt(&'a CenterId),
    /// This center is still the best, and it starts before this.
    SoonerAt(&'a CenterId, Moment),
}

/// Changes of one kind.
enum Knob<'a> {
    /// A figure: the change by so many steps, up to the most there are.
    Steps(u64, Box<dyn Fn(u64) -> Change + 'a>),
    /// Any of these.
    Any(Vec<Change>),
}

/// Which single changes would make a job run at all, or sooner, or, where a center is named, in
/// that center. `None` when a job is asked about that is not in line.
#[must_use]
pub fn remedies(
    world: &World,
    view: &View,
    situation: &Situation,
    policy: &Policy,
    of: Of<'_>,
    at: Option<&CenterId>,
) -> Option<Remedies> {
    let mut view = view.clone();
    view.look_for_idle(policy, situation.now);
    let (class, spec, job) = match of {
        Of::Spec(spec) => (class_of(spec), Cow::Borrowed(spec), world.next.job),
        Of::Job(job) => {
            let (id, class) = view.class_of(world.job(job)?)?;
            let spec = class.spec.as_ref().clone();
            if let Some(own) = view.reserved.get(&job).cloned() {
                view.lift(&own);
            }
            (id, Cow::Owned(spec), job)
        }
    };
    if spec.is_reservation() {
        // It is booked for then or not at all: the explanation has the earliest time there is.
        return Some(Remedies { found: Vec::new(), none_needed: true, complete: true });
    }
    let coming = Coming::default();
    let scene = scene(world, &view, &coming, situation, policy);
    let work = Work::up_to(WORK);
    let mut finder = Finder { scene, class, spec: &spec, job, work };
    Some(finder.all(at))
}

struct Finder<'a> {
    scene: Scene<'a>,
    /// The class of the job as it is: a center that declined it would decline it changed.
    class: ClassId,
    spec: &'a JobSpec,
    job: JobId,
    work: Work,
}

impl<'a> Finder<'a> {
    fn all(&mut self, at: Option<&CenterId>) -> Remedies {
        let base = self.best(self.spec, None, None);
        let goals: Vec<Goal<'_>> = match (&base, at) {
            (None, None) => vec![Goal::Run],
            (Some(base), None) => vec![Goal::AtOnce, Goal::Sooner(base.start)],
            (Some(base), Some(at)) if base.center == *at => {
                vec![Goal::AtOnceAt(at), Goal::SoonerAt(at, base.start)]
            }
            (_, Some(at)) => vec![Goal::At(at)],
        };
        let none_needed = base.as_ref().is_some_and(|base| self.meets(goals[0], base));
        let mut found = Vec::new();
        if !none_needed {
            for knob in self.knobs(at, base.as_ref()) {
                self.turn(&knob, &goals, &mut found);
            }
        }
        found.sort_by_key(|remedy: &Remedy| {
            (remedy.size, remedy.place.start, remedy.place.price.micros)
        });
        Remedies { found, none_needed, complete: !self.work.is_spent() }
    }

    /// The best place for the job with this spec, in this world and view where they are others.
    /// `None` also when the work is spent: nothing is told of what was not looked at to the end.
    fn best(
        &mut self,
        spec: &JobSpec,
        world: Option<&World>,
        view: Option<&View>,
    ) -> Option<Candidate> {
        let Scene { coming, situation, policy, .. } = self.scene;
        let world = world.unwrap_or(self.scene.world);
        let view = view.unwrap_or(self.scene.view);
        let scene = scene(world, view, coming, situation, policy);
        let options = Options::of(world, &view.roster, spec, policy);
        let asked = Asked { class: self.class, spec, options: &options };
        self.work.count(1 + options.choices.len() as u64);
        let mut calendars = Calendars { work: self.work, shelves: Shelves::default() };
        let mut search = Search::all(&scene, asked, Reach::Ever, &mut calendars);
        let best = search.best(&scene, asked, &mut calendars);
        self.work = calendars.work;
        best.map(|(_, best)| best).filter(|_| !self.work.is_spent())
    }

    fn changed(&mut self, change: &Change) -> Option<Candidate> {
        if self.work.is_spent() {
            return None;
        }
        let spec = change.applied(self.spec);
        let world = change.applied_to_data(self.scene.world);
        let view = match change {
            Change::Priority { to, .. } => Some(self.before_all_below(*to)),
            _ => None,
        };
        self.best(&spec, world.as_ref(), view.as_ref())
    }

    /// What is free for a job of this priority: the starts of its tenant's jobs that would come after it
    /// do not stand in its way.
    fn before_all_below(&mut self, priority: i32) -> View {
        let mut view = self.scene.view.clone();
        let turn = (Reverse(priority), self.job);
        let lines = std::sync::Arc::clone(&view.lines);
        let reserved = std::sync::Arc::clone(&view.reserved);
        for (job, reservation) in reserved.iter().filter(|(job, _)| **job != self.job) {
            let own = lines.class(reservation.class).filter(|c| c.spec.tenant == self.spec.tenant);
            if own.is_some_and(|class| (Reverse(class.spec.priority), *job) > turn) {
                view.lift(reservation);
                self.work.count(1);
            }
        }
        view
    }

    fn meets(&self, goal: Goal<'_>, found: &Candidate) -> bool {
        let at_once = || self.scene.is_due(found.data_ready, found.start);
        match goal {
            Goal::Run => true,
            Goal::AtOnce => at_once(),
            Goal::Sooner(than) => found.start < than,
            Goal::At(center) => found.center == *center,
            Goal::AtOnceAt(center) => found.center == *center && at_once(),
            Goal::SoonerAt(center, than) => found.center == *center && found.start < than,
        }
    }

    /// Adds the changes of one kind that help: of a figure the smallest for each goal, where the
    /// weaker goal takes a smaller one.
    fn turn(&mut self, knob: &Knob<'_>, goals: &[Goal<'_>], found: &mut Vec<Remedy>) {
        match knob {
            Knob::Steps(most, make) => {
                let mut most = *most;
                for goal in goals {
                    if let Some((steps, place)) = self.smallest(most, make, *goal) {
                        found.push(self.remedy(make(steps), place));
                        most = steps - 1;
                    }
                }
            }
            Knob::Any(changes) => {
                let tried: Vec<Remedy> = changes
                    .iter()
                    .filter_map(|change| {
                        let place = self.changed(change)?;
                        Some(self.remedy(change.clone(), place))
                    })
                    .collect();
                for goal in goals {
                    let meets = tried.iter().filter(|remedy| self.meets(*goal, &remedy.place));
                    let best = meets.min_by_key(|remedy| {
                        (remedy.size, remedy.place.start, remedy.place.price.micros)
                    });
                    if let Some(best) = best {
                        found.push(best.clone());
                        break;
                    }
                }
            }
        }
    }

    fn remedy(&self, change: Change, place: Candidate) -> Remedy {
        let size = change.size(self.scene.situation.now);
        let at_once = self.scene.is_due(place.data_ready, place.start);
        Remedy { change, size, place, at_once }
    }

    /// The fewest steps, of at most so many, that meet the goal: one step fewer does not.
    fn smallest(
        &mut self,
        most: u64,
        make: &dyn Fn(u64) -> Change,
        goal: Goal<'_>,
    ) -> Option<(u64, Candidate)> {
        let tried = |finder: &mut Self, steps: u64| {
            finder.changed(&make(steps)).filter(|found| finder.meets(goal, found))
        };
        if most <= FEW {
            return (1..=most).find_map(|steps| Some((steps, tried(self, steps)?)));
        }
        let mut best = (most, tried(self, most)?);
        let mut fails = 0;
        while best.0 - fails > 1 {
            let middle = fails + (best.0 - fails) / 2;
            match tried(self, middle) {
                Some(found) => best = (middle, found),
                None if self.work.is_spent() => return None,
                None => fails = middle,
            }
        }
        Some(best)
    }

    /// All there is to be changed.
    fn knobs(&mut self, at: Option<&CenterId>, base: Option<&Candidate>) -> Vec<Knob<'a>> {
        let spec = self.spec;
        let variants = spec.parts.first().map_or(&[][..], |part| &part.variants);
        let mut knobs = Vec::new();
        for (index, variant) in (0_u16..).zip(variants) {
            self.smaller(index, variant, &mut knobs);
        }
        self.shorter(variants, &mut knobs);
        knobs.extend(self.steps_up(base));
        if spec.together.within == Within::Block {
            knobs.push(Knob::Any(vec![Change::Blocks]));
        }
        knobs.push(Knob::Any(self.more_chips(variants)));
        knobs.extend(self.more_places().map(Knob::Any));
        knobs.push(Knob::Any(self.more_homes()));
        let from = spec.objective;
        let others =
            [Objective::Fastest, Objective::Cheapest, Objective::Balanced, Objective::Greenest];
        let others = others.into_iter().filter(|to| *to != from);
        knobs.push(Knob::Any(others.map(|to| Change::Objective { from, to }).collect()));
        if let Some(center) = at.filter(|center| spec.centers != [(*center).clone()]) {
            knobs.push(Knob::Any(vec![Change::Only { center: center.clone() }]));
        }
        knobs
    }

    /// A smaller gang.
    fn smaller(&self, variant: u16, of: &Variant, knobs: &mut Vec<Knob<'a>>) {
        let Variant { nodes: from, chips_per_node: chips, cores, memory, .. } = *of;
        let steps = |most: u64, make: Box<dyn Fn(u64) -> Change>| Knob::Steps(most, make);
        let most = u64::from(from.saturating_sub(1));
        let fewer = move |steps: u64| u32::try_from(u64::from(from) - steps).unwrap_or(1);
        let nodes = move |steps| Change::Nodes { variant, from, to: fewer(steps) };
        knobs.push(steps(most, Box::new(nodes)));
        let step = if chips > Chips::ONE { Chips::ONE.0 } else { SHARE };
        if chips > Chips::ONE || from == 1 {
            let to = move |steps: u64| Chips(chips.0.saturating_sub(steps * step));
            let fewer = move |steps| Change::Chips { variant, from: chips, to: to(steps) };
            knobs.push(steps(chips.0.div_ceil(step).saturating_sub(1), Box::new(fewer)));
        }
        let to = move |steps: u64| model::Cores(cores.0.saturating_sub(steps * 1_000));
        let fewer = move |steps| Change::Cores { variant, from: cores, to: to(steps) };
        knobs.push(steps(cores.0.div_ceil(1_000).saturating_sub(1), Box::new(fewer)));
        let to = move |steps: u64| model::Bytes(memory.0.saturating_sub(steps * MEMORY));
        let less = move |steps| Change::Memory { variant, from: memory, to: to(steps) };
        knobs.push(steps(memory.0.div_ceil(MEMORY).saturating_sub(1), Box::new(less)));
    }

    /// A shorter limit: not below what the job is expected to run where somebody knows that.
    fn shorter(&self, variants: &[Variant], knobs: &mut Vec<Knob<'a>>) {
        let JobSpec { tenant, workload, .. } = self.spec;
        let lessons = self.scene.world.lessons_of(tenant, workload.as_deref());
        let floor = |index: u16| match estimate(lessons, self.spec, index, (None, ALL_OF_IT)) {
            (run, Basis::Told { .. } | Basis::Learned { .. }) => run.max(SHORTEST),
            (_, Basis::Limit { .. }) => SHORTEST,
        };
        let mut add = |variant: Option<u16>, from: Span, floor: Span| {
            let to = move |steps: u64| Span(from.0.saturating_sub(steps));
            let make = move |steps| Change::Limit { variant, from, to: to(steps) };
            knobs.push(Knob::Steps(from.saturating_sub(floor).0, Box::new(make)));
        };
        let numbered = || (0_u16..).zip(variants);
        for (index, limit) in numbered().filter_map(|(index, v)| Some((index, v.limit?))) {
            add(Some(index), limit, floor(index));
        }
        let shared = numbered().filter(|(_, v)| v.limit.is_none()).map(|(index, _)| floor(index));
        if let (Some(floor), Some(limit)) = (shared.max(), self.spec.duration.limit()) {
            add(None, limit, floor);
        }
    }

    /// Figures that may be larger: priority, budget, deadline.
    fn steps_up(&mut self, base: Option<&Candidate>) -> Vec<Knob<'a>> {
        let (spec, mut knobs) = (self.spec, Vec::new());
        // Below each of these a different set of jobs comes after it.
        let lines = &self.scene.view.lines;
        let above: BTreeSet<i32> = lines
            .turns_of(&spec.tenant)
            .filter_map(|(Reverse(theirs), ..)| theirs.checked_add(1))
            .filter(|to| *to > spec.priority)
            .collect();
        let above: Vec<i32> = above.into_iter().collect();
        if !above.is_empty() && !self.is_next_anyway(base) {
            let (from, most) = (spec.priority, above.len() as u64);
            let at = move |steps: u64| usize::try_from(steps - 1).unwrap_or(usize::MAX);
            let to = move |steps: u64| above.get(at(steps)).copied().unwrap_or(from);
            let make = move |steps| Change::Priority { from, to: to(steps) };
            knobs.push(Knob::Steps(most, Box::new(make)));
        }
        if let Some(from) = spec.budget {
            let free = JobSpec { budget: None, ..spec.clone() };
            let dearest = self.dearest(&free, from);
            let most = dearest.saturating_sub(from.micros).div_euclid(CENT).saturating_add(1);
            let to = move |steps: u64| {
                let more = i64::try_from(steps).unwrap_or(i64::MAX).saturating_mul(CENT);
                Money { micros: from.micros.saturating_add(more), ..from }
            };
            let make = move |steps| Change::Budget { from, to: to(steps) };
            knobs.push(Knob::Steps(u64::try_from(most).unwrap_or(0), Box::new(make)));
        }
        if let Some(from) = spec.deadline {
            let make = move |steps| Change::Deadline { from, to: from + Span(steps) };
            knobs.push(Knob::Steps(LATEST.0, Box::new(make)));
        }
        knobs
    }

    /// Whether the starts of jobs behind it are all that stands in its way: then the next plan for
    /// the whole queue goes before them without any change.
    fn is_next_anyway(&mut self, base: Option<&Candidate>) -> bool {
        let as_it_is = self.before_all_below(self.spec.priority);
        let next = self.best(self.spec, None, Some(&as_it_is));
        next.map(|next| next.start) != base.map(|base| base.start)
    }

    /// What the dearest place would cost that pays in the budget's currency.
    fn dearest(&mut self, spec: &JobSpec, budget: Money) -> i64 {
        let Scene { world, view, policy, .. } = self.scene;
        let options = Options::of(world, &view.roster, spec, policy);
        let asked = Asked { class: self.class, spec, options: &options };
        let prices = options.choices.iter().filter_map(|choice| {
            let work = &mut self.work;
            let found = self.scene.open(asked, choice, (Reach::Ever, None), work).ok()?;
            (found.price.currency == budget.currency).then_some(found.price.micros)
        });
        prices.max().unwrap_or(budget.micros)
    }

    /// Variants for chips that it has none for.
    fn more_chips(&self, variants: &[Variant]) -> Vec<Change> {
        if variants.iter().all(|v| v.on == On::Cpu) {
            return Vec::new();
        }
        let classes = self.scene.view.roster.seats();
        let classes: BTreeSet<_> =
            classes.filter_map(|(_, seat)| Some(&seat.chip.as_ref()?.class)).collect();
        let new = |class: &&&model::ChipClass| {
            !variants.iter().any(|v| matches!(&v.on, On::Class(has) if has == **class))
        };
        let new = classes.iter().filter(new);
        new.map(|class| Change::Runs { on: On::Class((*class).clone()) }).collect()
    }

    /// Centers and regions that it may not run in.
    fn more_places(&self) -> [Vec<Change>; 2] {
        let spec = self.spec;
        let sites: Vec<(&CenterId, &Region)> = self
            .scene
            .view
            .roster
            .centers()
            .filter_map(|center| Some((&center.center, &center.site()?.region)))
            .collect();
        let centers = sites
            .iter()
            .filter(|(center, _)| !spec.centers.is_empty() && !spec.centers.contains(center));
        let centers: Vec<Change> =
            centers.map(|(center, _)| Change::Center { center: (*center).clone() }).collect();
        let inside = |region: &Region| spec.regions.iter().any(|r| r.contains(region));
        let regions: BTreeSet<&Region> = sites
            .iter()
            .map(|(_, region)| *region)
            .filter(|region| !spec.regions.is_empty() && !inside(region))
            .collect();
        let regions: Vec<Change> =
            regions.into_iter().map(|region| Change::Region { region: region.clone() }).collect();
        [centers, regions]
    }

    /// Regions in which its data may not live.
    fn more_homes(&self) -> Vec<Change> {
        let Scene { world, view, .. } = self.scene;
        let mut regions: BTreeSet<Region> = BTreeSet::new();
        for region in view.roster.centers().filter_map(|center| Some(&center.site()?.region)) {
            let names = region.as_str();
            let ends = names.match_indices('/').map(|(at, _)| at).chain([names.len()]);
            regions.extend(ends.filter_map(|end| names[..end].parse::<Region>().ok()));
        }
        let inputs = self.spec.inputs.iter().filter_map(|input| {
            let registered = &world.version(&input.dataset)?.registered;
            Some((&input.dataset.dataset, &registered.residency))
        });
        let outputs = self.spec.outputs.iter().map(|o| (&o.dataset, &o.residency));
        let limited = inputs.chain(outputs).filter(|(_, residency)| !residency.is_empty());
        let more = limited.flat_map(|(dataset, residency)| {
            let outside = |r: &&Region| !residency.iter().any(|home| home.contains(r));
            let outside = regions.iter().filter(outside);
            outside.map(|r| Change::Residency { dataset: dataset.clone(), region: r.clone() })
        });
        more.collect()
    }
}
