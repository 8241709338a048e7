//! What is committed from now on: pools, links, reservations and the queue. Derived from the
//! world, kept beside it fact by fact.

mod bandwidth;
mod booked;
mod claims;
mod closed;
mod declined;
mod held;

use crate::class::{Class, ClassId, class_of_job};
use crate::packing::Typical;
use crate::pool::PoolBoard;
use crate::proposal::{Plan, Reservation};
use crate::quota;
use crate::recent::Recent;
use crate::roster::{PoolNumber, Roster};
use crate::touched::Touched;
use crate::victims::Victims;
use crate::view::View;
use bandwidth::Holder;
use held::Holding;
pub(crate) use held::window;
use model::fact::{AttemptPreempted, AttemptTouched, Fact};
use model::job::Job;
use model::{
    Attempt, AttemptId, CenterId, DatasetId, JobId, Moment, Phase, Placement, Span, TenantId,
};
use network::{Booking, Links};
use sharing::Claim;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use world::World;

/// How much longer an attempt that outlives its limit is taken to hold its chips.
const OVERRUN: Span = Span::from_secs(5);

/// The planner's live view of what is taken and who waits.
#[derive(Debug)]
pub struct Board {
    view: View,
    /// Jobs that are to be considered later.
    later: BTreeSet<(Moment, JobId)>,
    later_at: BTreeMap<JobId, (Moment, TenantId)>,
    /// What attempts have of their tenants' quotas, with whose they are.
    claims: BTreeMap<AttemptId, (TenantId, Claim)>,
    /// Where attempts are that have what they have, guests among them.
    guests: BTreeMap<AttemptId, Arc<Placement>>,
    /// Classes that had no start for want of quota.
    short: BTreeSet<ClassId>,
    /// Tenants as they were when all this was worked out.
    tenants: claims::Seen,
    /// Tenants were declared since quotas were last looked at.
    quotas_changed: bool,
    /// The classes of jobs in line: it takes a while to work one out.
    class_of: BTreeMap<JobId, ClassId>,
    bookings: BTreeMap<Holder, Booking>,
    /// When attempts should have ended.
    ends: BTreeSet<(Moment, AttemptId)>,
    /// What attempts hold, and until when.
    held: BTreeMap<AttemptId, Holding>,
    /// When there is something to do for reservations.
    due: BTreeSet<(Moment, JobId)>,
    /// How many reservations each class has.
    reserved_of: BTreeMap<ClassId, usize>,
    recent: Recent,
    touched: Touched,
}

impl Board {
    /// The board a world amounts to.
    #[must_use]
    pub fn of(world: &World, now: Moment) -> Self {
        let topology = Arc::new(crate::staging::topology(world));
        let roster = Arc::new(Roster::of(world, &topology));
        let mut view = View {
            changes: vec![0; roster.seats().count()],
            pools: roster.seats().map(|(_, s)| Arc::new(PoolBoard::new(s.pool()))).collect(),
            typical: Arc::new(vec![Typical::default(); roster.kinds().len()]),
            joined: Arc::new(closed::joined(world)),
            unready: Arc::new(closed::unready(world)),
            links: Links::new(&topology),
            topology,
            lines: Arc::default(),
            declined: BTreeMap::new(),
            reserved: Arc::default(),
            reserved_by: Arc::default(),
            victims: Victims::default(),
            totals: quota::totals(world, &roster),
            guests: Arc::default(),
            booked: Arc::default(),
            inside: Arc::default(),
            no_quotas: false,
            offered: Arc::default(),
            tolls: Arc::default(),
            idle: Arc::default(),
            entitlements: Arc::default(),
            usage: quota::usage(world),
            roster,
        };
        view.no_quotas = view.usage.quotas().limit_nobody();
        let mut board = Self {
            view,
            later: BTreeSet::new(),
            later_at: BTreeMap::new(),
            claims: BTreeMap::new(),
            guests: BTreeMap::new(),
            short: BTreeSet::new(),
            quotas_changed: false,
            tenants: claims::seen(world),
            class_of: BTreeMap::new(),
            bookings: BTreeMap::new(),
            ends: BTreeSet::new(),
            held: BTreeMap::new(),
            due: BTreeSet::new(),
            reserved_of: BTreeMap::new(),
            recent: Recent::default(),
            touched: Touched { all: true, ..Touched::default() },
        };
        for transfer in world.transfers.values() {
            board.book(transfer);
        }
        for job in world.jobs.iter() {
            if !matches!(job.phase, Phase::Ended { .. }) {
                board.recent.note(&job.spec);
                Arc::make_mut(&mut board.view.offered).note(world, &job.spec, job.submitted);
            }
            match &job.phase {
                Phase::Waiting { not_before } => {
                    board.enter(job, *not_before, now);
                }
                Phase::Placed(attempt) if !attempt.is_over() => {
                    board.hold(world, attempt, job);
                }
                Phase::Held | Phase::Blocked | Phase::Placed(_) | Phase::Ended { .. } => {}
            }
        }
        board.book_all_streams(world, now);
        board.close_all(world, now);
        board.learn_what_is_typical();
        board.forget_before(now);
        board
    }

    /// What planning reads.
    #[must_use]
    pub const fn view(&self) -> &View {
        &self.view
    }

    fn learn_what_is_typical(&mut self) {
        if let Some(typical) = self.recent.typical(&self.view.roster) {
            self.view.typical = Arc::new(typical);
        }
    }

    /// Brings the board after a fact that `world` has just taken in.
    pub fn apply(&mut self, world: &World, now: Moment, fact: &Fact) {
        match fact {
            Fact::CenterDeclared(_)
            | Fact::CenterChecked(_)
            | Fact::PoolMeasured(_)
            | Fact::AdmissionDeclared(_)
            | Fact::ExchangeDeclared(_)
            | Fact::LinkDeclared(_)
            | Fact::LinkCut(_)
            | Fact::LinkMended(_)
            | Fact::ChipDeclared(_)
            | Fact::FlavorDeclared(_)
            | Fact::CapacityRecalled(_) => {
                *self = Self::of(world, now);
            }
            Fact::TenantDeclared(_) => self.quotas_changed = true,
            Fact::LinkRated(_) => self.relink(world, now),
            Fact::AgentJoined(f) => self.join(&f.center, world.unready(&f.center).is_none()),
            Fact::CenterLost(f) => self.join(&f.center, false),
            Fact::NodesCounted(f) => self.recount(world, now, &f.center, &f.pool),
            Fact::TransferPlanned(staging) => self.book(staging),
            Fact::TransferEnded(ended) => self.unbook(ended.transfer, now),
            Fact::JobOffered(f) => {
                self.leave(f.attempt.job);
                self.hold_live(world, f.attempt, now);
            }
            Fact::AttemptStarted(AttemptTouched { attempt }) => {
                self.retime(world, *attempt, now);
                self.window_opens(world, *attempt);
            }
            Fact::AttemptPreempted(AttemptPreempted { attempt, .. }) => {
                self.retime(world, *attempt, now);
                self.unclaim(world, *attempt, now);
            }
            Fact::AttemptRerouted(f) => self.rebook_streams(world, f.attempt, now),
            Fact::AttemptStopping(f) => self.spare(f.attempt),
            Fact::AttemptEnded(f) => {
                self.unbook_streams(f.attempt, now);
                self.unclaim(world, f.attempt, now);
                if let Some(pool) = self.release(f.attempt) {
                    self.touched.pools.insert(pool);
                }
                self.window_closes(f.attempt.job);
                self.note_refusal(world, now, f.attempt, &f.ended.outcome);
                self.note_lesson(world, f.attempt);
            }
            Fact::JobSubmitted(f) => {
                self.recent.note(&f.spec);
                Arc::make_mut(&mut self.view.offered).note(world, &f.spec, now);
                self.learn_what_is_typical();
                f.jobs().for_each(|job| self.follow(world, now, job));
            }
            // The start a job was told is kept with its reservation. A test of a link goes when work is
            // planned where it is: planning does not see it.
            Fact::JobPromised(_) | Fact::PathMeasured(_) | Fact::LinkTestPlanned(_) => {}
            Fact::ReplicaAdded(f) => self.touch_readers(&f.data.dataset),
            Fact::ReplicaInPlace(f) => self.touch_readers(&f.data.dataset),
            Fact::DatasetRegistered(f) => self.touch_readers(&f.data.dataset),
            _ => fact.job().into_iter().for_each(|job| self.follow(world, now, job)),
        }
    }

    /// A center can be given work from now on, or no more.
    fn join(&mut self, center: &CenterId, is_there: bool) {
        if let Some(number) = self.view.roster.center(center) {
            Arc::make_mut(&mut self.view.joined)[number as usize] = is_there;
        }
        self.touched.all = true;
    }

    /// Data that came may let jobs start that read it.
    fn touch_readers(&mut self, dataset: &DatasetId) {
        let reads = |class: &Class| class.spec.inputs.iter().any(|i| i.dataset.dataset == *dataset);
        let readers = self.view.lines.classes().filter(|(_, class)| reads(class));
        self.touched.classes.extend(readers.map(|(id, _)| id));
    }

    /// A center can be given work again: its agent is there anew, and what it refused before is asked of
    /// it again.
    pub fn touch_center(&mut self, center: &CenterId) {
        self.ask_again(center);
        let seats = self.view.roster.seats().filter(|(_, seat)| seat.center.center == *center);
        self.touched.pools.extend(seats.map(|(number, _)| number));
    }

    /// Keeps the queue after a fact about a job.
    fn follow(&mut self, world: &World, now: Moment, job: JobId) {
        let Some(job) = world.job(job) else { return };
        match &job.phase {
            Phase::Waiting { not_before } if !job.canceled => {
                self.enter(job, *not_before, now);
            }
            _ => self.leave(job.job),
        }
    }

    fn leave(&mut self, job: JobId) {
        if let Some((at, tenant)) = self.later_at.remove(&job) {
            self.later.remove(&(at, job));
            self.counts_as_waiting(&tenant, false);
        } else if let Some(class) = self.class_of.remove(&job) {
            let tenant = self.view.lines.class(class).map(|class| class.spec.tenant.clone());
            Arc::make_mut(&mut self.view.lines).leave(class, job);
            tenant.iter().for_each(|tenant| self.counts_as_waiting(tenant, false));
        }
        self.cancel_reservation(job);
    }

    /// Puts a job in line, or sees to it that it is when its time comes.
    fn enter(&mut self, job: &Job, not_before: Moment, now: Moment) {
        if !self.later_at.contains_key(&job.job) && !self.class_of.contains_key(&job.job) {
            self.counts_as_waiting(&job.spec.tenant, true);
        }
        if not_before > now {
            let tenant = job.spec.tenant.clone();
            let before = self.later_at.insert(job.job, (not_before, tenant));
            before.map(|(at, _)| self.later.remove(&(at, job.job)));
            self.later.insert((not_before, job.job));
            return;
        }
        let class = class_of_job(job);
        self.class_of.insert(job.job, class);
        let jobs = Arc::make_mut(&mut self.view.lines).enter(class, job);
        // Where another of its class waits without a start, nothing can be done for this one.
        if jobs <= 1 + self.reserved_of.get(&class).copied().unwrap_or(0) {
            self.touched.classes.insert(class);
        }
    }

    fn cancel_reservation(&mut self, job: JobId) {
        if let Some(pool) = self.lift(job) {
            self.touched.pools.insert(pool);
        }
    }

    /// Lifts a job's reservation, if it has one; returns its pool.
    fn lift(&mut self, job: JobId) -> Option<PoolNumber> {
        if !self.view.reserved.contains_key(&job) {
            return None;
        }
        let reservation = Arc::make_mut(&mut self.view.reserved).remove(&job)?;
        Arc::make_mut(&mut self.view.reserved_by).take(&reservation.tenant);
        self.view.lift(&reservation);
        self.due.remove(&(reservation.due, job));
        if let Some(count) = self.reserved_of.get_mut(&reservation.class) {
            *count -= 1;
            if *count == 0 {
                self.reserved_of.remove(&reservation.class);
            }
        }
        Some(reservation.number)
    }

    /// Makes room for a plan: lifts the reservations of the jobs it starts or reserves otherwise,
    /// and with a plan for the whole queue those it leaves out. Jobs that came after the plan was
    /// drawn up keep theirs.
    pub fn make_room(&mut self, plan: &Plan) {
        self.short.extend(&plan.short);
        if let Some(tolls) = &plan.tolls {
            self.view.tolls = Arc::clone(tolls);
        }
        if let Some(entitlements) = &plan.entitlements {
            self.view.entitlements = Arc::clone(entitlements);
        }
        let starts: BTreeMap<_, _> = plan.starts.iter().map(|r| (r.job, r)).collect();
        let mut lifted: Vec<JobId> = plan.offers.iter().map(|offer| offer.job).collect();
        if plan.is_whole {
            let known = self.view.reserved.range(..plan.next_job);
            let outdated = known.filter(|(job, r)| starts.get(job).is_none_or(|new| **new != ***r));
            lifted.extend(outdated.map(|(job, _)| *job));
        } else {
            lifted.extend(starts.keys());
        }
        for job in lifted {
            self.lift(job);
        }
    }

    /// Keeps the starts of a plan whose pools have the room; returns whether they have.
    pub fn reserve(&mut self, reservation: &Reservation) -> bool {
        let job = reservation.job;
        if self.view.reserved.contains_key(&job) {
            return true;
        }
        if !self.view.lines.has(reservation.class, job) || !self.view.has_room_for(reservation) {
            return false;
        }
        self.view.put_down(reservation);
        self.due.insert((reservation.due, job));
        *self.reserved_of.entry(reservation.class).or_default() += 1;
        Arc::make_mut(&mut self.view.reserved_by).add(&reservation.tenant);
        Arc::make_mut(&mut self.view.reserved).insert(job, Arc::new(reservation.clone()));
        true
    }

    /// Runs are expected to take otherwise when enough was learned anew: at the third, sixth,
    /// twelfth job.
    fn note_lesson(&mut self, world: &World, attempt: AttemptId) {
        let Some(job) = world.job(attempt.job) else { return };
        let lesson = world.lesson(&job.spec);
        if lesson.is_some_and(|l| l.jobs.is_multiple_of(3) && (l.jobs / 3).is_power_of_two()) {
            Arc::make_mut(&mut self.view.lines).forget_options(&job.spec);
        }
    }

    fn hold_live(&mut self, world: &World, attempt: AttemptId, now: Moment) {
        if let Some(job) = world.job(attempt.job)
            && let Some(live) = job.phase.attempt()
        {
            self.hold(world, live, job);
            self.book_streams(live, job, now);
        }
    }

    /// Holds what an attempt holds.
    fn hold(&mut self, world: &World, attempt: &Attempt, job: &Job) {
        let Some(part) = attempt.placement.parts.first() else { return };
        self.claim(world, attempt, job);
        let window = window(attempt, job);
        let inside = attempt.placement.inside;
        self.hold_until((attempt.attempt, inside), part, window);
        if job.spec.is_reservation() {
            self.book_inside(job.job, part, window);
        }
        if job.spec.preemptible
            && inside.is_none()
            && attempt.state.stopping().is_none()
            && let Some(held) = self.held.get(&attempt.attempt)
        {
            self.view.victims.add(held.pool, attempt.attempt, job.spec.priority);
        }
    }

    /// Whether nobody waits, now or later.
    #[must_use]
    pub fn nobody_waits(&self) -> bool {
        self.view.lines.is_empty() && self.later.is_empty()
    }

    /// Everything is to be looked at again.
    pub const fn touch_all(&mut self) {
        self.touched.all = true;
    }

    /// What changed since this was last asked.
    pub fn take_touched(&mut self, now: Moment) -> Touched {
        let due = self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, job)| *job);
        self.touched.due = due.collect();
        std::mem::take(&mut self.touched)
    }

    /// A job's class is to be looked at again.
    pub fn touch_job(&mut self, job: &Job) {
        self.touched.classes.insert(class_of_job(job));
    }

    /// Lines up jobs whose time has come, and gives attempts that outlive their limit a little
    /// more: their chips are not free until they are. Returns when there is more to do.
    pub fn wake(&mut self, world: &World, now: Moment) -> Option<Moment> {
        self.look_at_quotas(world, now);
        while let Some((at, id)) = self.later.first().copied().filter(|(at, _)| *at <= now) {
            self.later.remove(&(at, id));
            let was = self.later_at.remove(&id);
            was.iter().for_each(|(_, tenant)| self.counts_as_waiting(tenant, false));
            if let Some(job) = world.job(id) {
                self.enter(job, now, now);
            }
        }
        let touched = &mut self.touched.classes;
        self.view.declined.retain(|(class, _), (_, until)| {
            let lasts = *until > now;
            if !lasts {
                touched.insert(*class);
            }
            lasts
        });
        while let Some((_, attempt)) = self.ends.first().copied().filter(|(at, _)| *at <= now) {
            if !self.held.contains_key(&attempt) {
                break;
            }
            self.move_hold(attempt, now, now + OVERRUN);
        }
        let due = self.due.first().map(|(at, _)| *at);
        self.later.first().map(|(at, _)| *at).into_iter().chain(due).min()
    }

    /// Forgets the past.
    pub fn forget_before(&mut self, now: Moment) {
        for pool in self.view.pools.iter_mut() {
            Arc::make_mut(pool).forget_before(now);
        }
        self.view.links.forget_before(now);
    }
}
