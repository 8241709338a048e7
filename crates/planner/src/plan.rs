//! Going through the queue.

mod gap;
mod reach;
mod room;
mod round;
mod take_back;

pub use gap::{Bounding, Gap};

use crate::candidate::Candidate;
use crate::class::{Class, ClassId};
use crate::coming::Coming;
use crate::options::Options;
use crate::pool::PoolBoard;
use crate::preempt::right::Rights;
use crate::proposal::{Offer, Plan, Reservation, Transfer};
use crate::queue::Queue;
use crate::rank::Rank;
use crate::roster::PoolNumber;
use crate::scene::{Asked, Reach, Scene, scene};
use crate::search::{Calendars, Search};
use crate::shelf::Shelves;
use crate::tally::Tally;
use crate::toll::Tolls;
use crate::touched::Touched;
use crate::view::View;
use crate::{Policy, Situation};
use calendar::Work;
use gap::Ends;
use model::{AttemptId, JobId, JobSpec, Moment};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use world::World;

/// What became of a job that was looked at.
pub(crate) enum Step {
    Offered,
    Reserved,
    /// Nothing can be done for it now, nor for those of its class behind it.
    Stuck,
}

/// The queue gone through so far.
pub(crate) struct Walk<'a> {
    world: &'a World,
    situation: &'a Situation,
    policy: &'a Policy,
    view: View,
    coming: Coming,
    /// How many reservations each tenant has by now.
    reserved: Arc<Tally>,
    /// Jobs whose reservations were taken back.
    lifted: BTreeSet<JobId>,
    searches: BTreeMap<ClassId, Search>,
    /// Jobs that were given a start.
    placed: BTreeSet<JobId>,
    pub(crate) queue: Queue,
    calendars: Calendars,
    /// The work of looking for attempts that could make room.
    preempting: Work,
    /// Whose place tenants may take that have less than they are entitled to; only at a round boundary.
    rights: Option<Rights>,
    /// When those that were given a start are expected to be over.
    ends: Ends,
    /// What all had before anybody was given anything; only where the whole queue is gone through.
    before: Option<View>,
    plan: Plan,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        world: &'a World,
        view: &View,
        situation: &'a Situation,
        policy: &'a Policy,
        work: u64,
    ) -> Self {
        let mut view = view.clone();
        view.look_for_idle(policy, situation.now);
        Self {
            world,
            situation,
            policy,
            coming: Coming::default(),
            reserved: Arc::default(),
            lifted: BTreeSet::new(),
            searches: BTreeMap::new(),
            calendars: Calendars { work: Work::up_to(work), shelves: Shelves::default() },
            preempting: Work::up_to(policy.preempting.map_or(0, |p| p.work)),
            placed: BTreeSet::new(),
            rights: None,
            ends: Ends::new(),
            before: None,
            queue: Queue::new((world, &view, policy), situation.now, std::iter::empty()),
            view,
            plan: Plan {
                parent: world.number,
                next_job: world.next.job,
                is_whole: false,
                offers: Vec::new(),
                starts: Vec::new(),
                short: BTreeSet::new(),
                tolls: None,
                entitlements: None,
                gap: None,
                considered: 0,
                left: 0,
                opened: 0,
                work: 0,
            },
        }
    }

    pub(crate) const fn scene(&self) -> Scene<'_> {
        scene(self.world, &self.view, &self.coming, self.situation, self.policy)
    }

    fn options(&self, class: &Class) -> Arc<Options> {
        class.options(self.world, &self.view.roster, self.policy)
    }

    /// The best place for a job of the class; what was searched before is not searched again.
    fn best(&mut self, id: ClassId, class: &Class, reach: Reach) -> Option<(Rank, Candidate)> {
        let options = self.options(class);
        let asked = Asked { class: id, spec: &class.spec, options: &options };
        if class.spec.reservation.is_some() {
            return self.best_inside(asked, reach);
        }
        let scene = scene(self.world, &self.view, &self.coming, self.situation, self.policy);
        let known = self.searches.remove(&id).filter(|search| search.reach() == reach);
        let mut search =
            known.unwrap_or_else(|| Search::all(&scene, asked, reach, &mut self.calendars));
        search.catch_up(&scene, asked, &mut self.calendars);
        let opened = search.opened;
        let best = search.best(&scene, asked, &mut self.calendars);
        self.plan.opened += search.opened - opened;
        self.searches.insert(id, search);
        best
    }

    /// The best place in the reservation that the class names. There is little to choose from.
    fn best_inside(&mut self, asked: Asked<'_>, reach: Reach) -> Option<(Rank, Candidate)> {
        let scene = scene(self.world, &self.view, &self.coming, self.situation, self.policy);
        let work = &mut self.calendars.work;
        let open = |choice| Some((choice, scene.open(asked, choice, (reach, None), work).ok()?));
        let found = asked.options.choices.iter().filter_map(open);
        let ranked = found.map(|(choice, found)| (scene.rank_found(asked, choice, &found), found));
        ranked.min_by_key(|(rank, _)| *rank)
    }

    /// The best place for a job of the class among these pools, if it can be offered at once.
    fn best_in(
        &mut self,
        id: ClassId,
        class: &Class,
        pools: &[PoolNumber],
    ) -> Option<(Rank, Candidate)> {
        let options = self.options(class);
        let asked = Asked { class: id, spec: &class.spec, options: &options };
        if class.spec.reservation.is_some() {
            let is_there = options.pools().any(|pool| pools.contains(&pool));
            return self.best_inside(asked, Reach::Now).filter(|_| is_there);
        }
        let scene = scene(self.world, &self.view, &self.coming, self.situation, self.policy);
        let seats = pools.iter().map(|pool| scene.view.roster.seat(*pool));
        let numbered = seats.flat_map(|seat| options.in_pool(seat));
        let mut search = Search::among(&scene, asked, Reach::Now, numbered, &mut self.calendars);
        let best = search.best(&scene, asked, &mut self.calendars);
        self.plan.opened += search.opened;
        best
    }

    /// Finds a place for a job: one to offer, or one to wait for.
    fn place(&mut self, job: JobId, id: ClassId, class: &Class) -> Step {
        self.plan.considered += 1;
        if self.is_short(id, class) {
            return match self.take_back(job, id, class) {
                true => Step::Offered,
                false => Step::Stuck,
            };
        }
        let reach = self.reach(job, class);
        let best = self.best(id, class, reach);
        match self.make_room(job, id, class, best.as_ref()) {
            true => Step::Offered,
            false => self.settle(job, id, class, best),
        }
    }

    /// Gives a job the best place found for it.
    pub(crate) fn settle(
        &mut self,
        job: JobId,
        id: ClassId,
        class: &Class,
        best: Option<(Rank, Candidate)>,
    ) -> Step {
        let Some((rank, best)) = best else { return Step::Stuck };
        let best = self.bind(class, best);
        if self.scene().is_due(best.data_ready, best.start) {
            self.note_end(id, best.finish.since(self.situation.now));
            self.offer(job, &class.spec, best);
            return Step::Offered;
        }
        self.note_end(id, best.finish.since(self.situation.now));
        let reservation = self.reservation(job, id, class, rank, &best);
        let draw = world::draw(&self.view.placed(&best));
        self.queue.charge(&class.spec.tenant, &draw, best.finish.since(best.start));
        self.reserve(reservation);
        Step::Reserved
    }

    /// Picks the nodes for a job of the class.
    fn bind(&self, class: &Class, mut best: Candidate) -> Candidate {
        let ask = &self.options(class).asks[usize::from(best.variant)];
        let board = self.view.board(best.inside, best.number);
        let typical = self.view.typical(best.number);
        let slots = board.and_then(|board| board.bind(best.start, best.until, (ask, typical)));
        best.slots = slots.expect("a candidate fits where it was found");
        best
    }

    fn reservation(
        &self,
        job: JobId,
        class: ClassId,
        of: &Class,
        rank: Rank,
        best: &Candidate,
    ) -> Reservation {
        let staging = best.data_ready.since(self.situation.now) + self.policy.stage_ahead;
        let comes = !best.transfers.is_empty() || best.data_ready > self.situation.now;
        let due = match !comes {
            true => best.start,
            false => Moment(best.start.0.saturating_sub(staging.0)).max(self.situation.now),
        };
        Reservation {
            job,
            tenant: of.spec.tenant.clone(),
            class,
            center: best.center.clone(),
            pool: best.pool.clone(),
            variant: best.variant,
            slots: best.slots.clone(),
            streams: best.streams.clone(),
            start: best.start,
            until: best.until,
            due,
            inside: best.inside,
            number: best.number,
            rank,
        }
    }

    fn reserve(&mut self, reservation: Reservation) {
        self.view.put_down(&reservation);
        Arc::make_mut(&mut self.reserved).add(&reservation.tenant);
        self.placed.insert(reservation.job);
        self.plan.starts.push(reservation);
    }

    /// Takes the candidate's nodes and bandwidth off the working view.
    fn offer(&mut self, job: JobId, spec: &JobSpec, best: Candidate) {
        let attempt = AttemptId { job, epoch: u32::MAX };
        let (start, until) = (best.start, best.until);
        let hold = |board: &mut PoolBoard| board.hold(attempt, &best.slots, start, until);
        self.view.board_mut(best.inside, best.number, hold);
        if !best.streams.is_empty() {
            self.coming.books(&mut self.view, &best.streams, (best.start, best.until));
        }
        for transfer in &best.transfers {
            if let Transfer::New(staging) = transfer {
                self.coming.add(&mut self.view, staging);
            }
        }
        self.placed.insert(job);
        let placement = self.view.placed(&best);
        self.view.claim(spec, &placement);
        for part in placement.parts.iter().filter(|_| placement.inside.is_none()) {
            self.view.count_guest(self.world, &spec.tenant, part, true);
        }
        let draw = world::draw(&placement);
        self.queue.charge(&spec.tenant, &draw, best.finish.since(best.start));
        let (transfers, preempts) = (best.transfers, Vec::new());
        self.plan.offers.push(Offer { job, placement, transfers, preempts });
    }

    pub(crate) fn done(mut self) -> Plan {
        self.plan.work = self.calendars.work.done();
        self.plan.gap = self.gap();
        self.plan
    }

    /// Goes through the whole queue anew, whatever was reserved before.
    pub(crate) fn all(mut self) -> Plan {
        self.plan.is_whole = true;
        if let Some(tolls) = Tolls::renewed(self.world, &self.view, self.policy, self.situation.now)
        {
            self.view.tolls = Arc::clone(&tolls);
            self.plan.tolls = Some(tolls);
        }
        self.begin_round();
        let old = std::mem::take(&mut self.view.reserved);
        for reservation in old.values() {
            self.view.lift(reservation);
        }
        self.before = Some(self.view.clone());
        let lines = Arc::clone(&self.view.lines);
        let known = (self.world, &self.view, self.policy);
        self.queue = Queue::new(known, self.situation.now, lines.turns());
        let mut left = lines.len();
        while let Some((priority, job, id)) = self.queue.pop() {
            if self.calendars.work.is_spent() {
                self.plan.left = left;
                break;
            }
            let Some(class) = lines.class(id) else { continue };
            left -= 1;
            if matches!(self.place(job, id, class), Step::Stuck) {
                let behind = behind(class, job).count();
                self.plan.considered += behind;
                left -= behind;
                self.searches.remove(&id);
            } else if let Some(next) = behind(class, job).next() {
                self.queue.push((priority, next, id));
            }
        }
        self.done()
    }

    /// Looks only at what changed: classes somebody came into line of, pools something was freed
    /// in, and reservations whose time has come.
    pub(crate) fn touched(mut self, touched: &Touched) -> Plan {
        self.reserved = Arc::clone(&self.view.reserved_by);
        self.due(&touched.due);
        let pools: Vec<PoolNumber> = match touched.all {
            true => self.view.roster.seats().map(|(number, _)| number).collect(),
            false => touched.pools.iter().copied().collect(),
        };
        let lines = Arc::clone(&self.view.lines);
        let now = self.situation.now;
        let known = (self.world, &self.view, self.policy);
        self.queue = match pools.is_empty() && !touched.all {
            true => {
                let turns: Vec<_> =
                    touched.classes.iter().filter_map(|id| lines.turn(*id)).collect();
                let turns = turns.iter().map(|(tenant, turn)| (tenant, turn));
                Queue::new(known, now, turns)
            }
            false => Queue::new(known, now, lines.turns()),
        };
        while let Some((priority, from, id)) = self.queue.pop() {
            if self.calendars.work.is_spent() {
                break;
            }
            let Some(class) = lines.class(id) else { continue };
            let is_entered = touched.all || touched.classes.contains(&id);
            let goes_on = !pools.is_empty() && self.move_up(id, class, &pools, is_entered);
            if goes_on {
                self.queue.push((priority, from, id));
            } else if let Some(next) = is_entered.then(|| self.enter(id, class, from)).flatten() {
                self.queue.push((priority, next, id));
            }
        }
        self.done()
    }

    /// Starts jobs whose reservations are due, or finds them another place when theirs is not free
    /// in time.
    fn due(&mut self, due: &BTreeSet<JobId>) {
        let lines = Arc::clone(&self.view.lines);
        for job in due {
            let Some(reservation) = self.reservation_of(*job).cloned() else { continue };
            let Some(class) = lines.class(reservation.class) else { continue };
            self.lift(&reservation);
            self.place(reservation.job, reservation.class, class);
        }
    }

    fn lift(&mut self, reservation: &Reservation) {
        self.view.lift(reservation);
        self.calendars.shelves.give_back(reservation.number);
        // What was found before may be better now.
        self.searches.clear();
        self.lifted.insert(reservation.job);
        Arc::make_mut(&mut self.reserved).take(&reservation.tenant);
    }

    /// The start a job had before, unless it was taken back.
    fn reservation_of(&self, job: JobId) -> Option<&Arc<Reservation>> {
        self.view.reserved.get(&job).filter(|_| !self.lifted.contains(&job))
    }

    /// Places the jobs of a class, from this one on, that have no start yet. Returns the next where
    /// classes of others are to have their turn before it.
    fn enter(&mut self, id: ClassId, class: &Class, from: JobId) -> Option<JobId> {
        let mut placed = false;
        for job in class.jobs.range(from..) {
            if self.calendars.work.is_spent() {
                return None;
            }
            if self.reservation_of(*job).is_some() || self.placed.contains(job) {
                continue;
            }
            if placed && self.queue.others_wait() {
                return Some(*job);
            }
            if matches!(self.place(*job, id, class), Step::Stuck) {
                return None;
            }
            placed = true;
        }
        None
    }

    /// Starts jobs of a class in pools where something was freed: those that are better off there
    /// than where they have a start, and those that wait without one, unless their class is
    /// `entered` and places everywhere are looked for anyway. True where it goes on after others
    /// had their turn.
    fn move_up(
        &mut self,
        id: ClassId,
        class: &Class,
        pools: &[PoolNumber],
        is_entered: bool,
    ) -> bool {
        let may_gain =
            |walk: &Self| walk.head(class, is_entered).any(|job| !walk.placed.contains(&job));
        while !self.calendars.work.is_spent() && may_gain(self) {
            if self.is_short(id, class) {
                return false;
            }
            let found = self.best_in(id, class, pools);
            let job = match &found {
                Some((rank, _)) => self.would_gain(class, *rank, is_entered),
                None => None,
            };
            if let (Some((_, best)), Some(job)) = (found, job) {
                if let Some(reservation) = self.reservation_of(job).cloned() {
                    self.lift(&reservation);
                }
                let best = self.bind(class, best);
                self.offer(job, &class.spec, best);
            } else if !self.start_in_own_place(id, class, pools) {
                return false;
            }
            if self.queue.others_wait() {
                return true;
            }
        }
        false
    }

    /// The jobs of a class, oldest first; where `only_reserved`, only the first that have a start.
    fn head<'c>(
        &'c self,
        class: &'c Class,
        only_reserved: bool,
    ) -> impl Iterator<Item = JobId> + 'c {
        let has_start =
            move |job: &JobId| self.placed.contains(job) || self.reservation_of(*job).is_some();
        class.jobs.iter().copied().take_while(move |job| !only_reserved || has_start(job))
    }

    /// The first job of the class that has no start, or a worse one.
    fn would_gain(&self, class: &Class, rank: Rank, only_reserved: bool) -> Option<JobId> {
        self.head(class, only_reserved).find(|job| {
            !self.placed.contains(job)
                && self.reservation_of(*job).is_none_or(|reservation| rank < reservation.rank)
        })
    }

    /// Starts the first job of the class that stands in its own way: its reservation is in one of
    /// these pools, and without it the job can start at once.
    fn start_in_own_place(&mut self, id: ClassId, class: &Class, pools: &[PoolNumber]) -> bool {
        let mut own = class.jobs.iter().map_while(|job| self.reservation_of(*job));
        let Some(own) = own.find(|r| pools.contains(&r.number)).cloned() else {
            return false;
        };
        self.lift(&own);
        if let Some((rank, best)) = self.best_in(id, class, pools)
            && rank < own.rank
        {
            let best = self.bind(class, best);
            self.offer(own.job, &class.spec, best);
            return true;
        }
        self.view.put_down(&own);
        self.lifted.remove(&own.job);
        Arc::make_mut(&mut self.reserved).add(&own.tenant);
        false
    }
}

/// Jobs of the class after this one, in order.
fn behind(class: &Class, job: JobId) -> impl Iterator<Item = JobId> {
    let after = (std::ops::Bound::Excluded(job), std::ops::Bound::Unbounded);
    class.jobs.range(after).copied()
}
