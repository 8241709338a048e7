//! The control loop as a value: inputs in, effects out. The server drives it with sockets and a
//! clock, the simulator with a seed and a virtual clock; there is no second copy of it.
//!
//! The one door is [`Controller::step`]. It takes what arrived since the last time, folds what
//! follows from it into the world, plans once for all of it, and says what is to be done. The
//! driver's only duty is the order: nothing that follows an [`Effect::Append`] leaves the process
//! before those facts are durable.
//!
//! Deliberately absent: clocks, sockets, secrets, threads. Time is an argument and never goes back.

mod archive;
mod change;
mod commands;
mod dataset;
mod declare;
mod demand;
mod input;
mod keeping;
mod leases;
mod link_tests;
mod nodes;
mod orders;
mod plans;
mod progress;
mod quality;
mod reading;
mod recall;
mod relation;
mod relay;
mod reports;
mod reservation;
mod shown;

mod upkeep;

pub use archive::{ArchivePlan, in_external};
pub use dataset::Outlook;
pub use input::{Answer, Change, Command, Declarations, Input, Key, Of, Rejected, RequestId};
pub use keeping::{Copied, Holding, Stays, StoreUse, stores};
pub use plans::LastPlan;

use audit::Violation;
use model::fact::{Fact, NetworkCreated};
use model::job::Job;
use model::{CenterId, Moment, NetworkUid, Span};
use orders::OrderBooks;
use planner::{Board, Policy, Snapshot};
use std::collections::BTreeMap;
use std::sync::Arc;
use world::World;

/// What the driver must do, in order.
#[derive(Debug)]
pub enum Effect {
    /// Write these facts to the log, numbered on from the last. Whatever comes after this effect,
    /// in this step or a later one, waits until they are durable.
    Append {
        /// When they happened.
        at: Moment,
        /// The facts, in order; at least one.
        facts: Vec<Fact>,
    },
    /// Answer a request.
    Reply {
        /// Which.
        request: RequestId,
        /// With what.
        answer: Box<Answer>,
    },
    /// There are new orders for this center: wake its poll.
    Orders(CenterId),
    /// Draw up a plan from this snapshot, on another thread, and bring it back as
    /// [`Input::Solved`].
    Solve(Box<Snapshot>),
    /// Put these ended jobs into the archive and say so by [`Input::Archived`].
    Archive(Vec<Arc<Job>>),
    /// Send [`Input::Tick`] at this moment at the latest.
    WakeAt(Moment),
    /// Centers reported what should not be, such as two attempts on one chip. It is recorded as it
    /// was reported; somebody has to look.
    Alarm(Vec<Violation>),
    /// Stop at once, without writing anything more: the step broke a promise. Nothing of it has
    /// left the process.
    Halt(Vec<Violation>),
}

/// What may be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a center may be silent before nothing more is placed there.
    pub silent_after: Span,
    /// Added to a lease before the server takes an attempt to be over: for the kill's grace and
    /// for clocks that drift.
    pub lease_margin: Span,
    /// How long ended jobs stay in the world, at the longest.
    pub keep_ended: Span,
    /// How many ended jobs stay in the world, at the most.
    pub keep_ended_jobs: usize,
    /// How long a repeated submission is recognized.
    pub keep_keys: Span,
    /// The least time between two background plans.
    pub solve_every: Span,
    /// How often data is looked after: what expired, is missing or takes too much room.
    pub tend_every: Span,
    /// How long after a copy was last read it is read again.
    pub scrub_every: Span,
    /// Which part of a store is kept free, in percent: copies that can be had elsewhere go for it.
    pub keep_free_percent: u8,
    /// How long agents measure the ways between centers before each report.
    pub quality_window: Span,
    /// How long the rate of a link may be known from nothing newer until it is tested; none: only
    /// links that somebody asks for are.
    pub test_links: Option<Span>,
    /// What makes one placement better than another, network-wide.
    pub policy: Policy,
    /// Off only to prove that the tests notice: then a silent center's attempts are placed again
    /// at once, whatever their lease.
    pub fencing: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            silent_after: Span::from_secs(30),
            lease_margin: Span::from_secs(15),
            keep_ended: Span::from_secs(3_600),
            keep_ended_jobs: 10_000,
            keep_keys: Span::from_secs(7 * 86_400),
            solve_every: Span::from_secs(1),
            tend_every: Span::from_secs(60),
            scrub_every: Span::from_secs(14 * 86_400),
            keep_free_percent: 10,
            quality_window: Span::from_secs(300),
            test_links: None,
            policy: Policy::default(),
            fencing: true,
        }
    }
}

/// A center's agent as the loop knows it.
#[derive(Debug, Clone, Copy)]
struct Session {
    /// Zero while no agent has joined since the start.
    number: u64,
    heard: Moment,
}

/// The loop.
#[derive(Debug)]
pub struct Controller {
    world: World,
    board: Board,
    books: OrderBooks,
    settings: Settings,
    now: Moment,
    sessions: BTreeMap<CenterId, Session>,
    facts: Vec<Fact>,
    replies: Vec<(RequestId, Answer)>,
    solve: Solve,
    last_plan: Option<LastPlan>,
    archiving: leases::Archiving,
    upkeep: upkeep::Upkeep,
    relaying: relay::Relaying,
    testing: link_tests::Testing,
    /// Until when the calendars' past has been dropped.
    forgotten: Moment,
}

/// How far the background plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Solve {
    /// Nobody waits.
    Idle,
    /// Nothing has changed since the last one, and at this moment a round is over.
    Round(Moment),
    /// One is wanted, not before this moment.
    Due(Moment),
    /// One is being drawn up since then; whether another is wanted after it.
    Running { since: Moment, again: bool },
}

impl Controller {
    /// The loop over a world that was replayed from its log, or an empty one.
    ///
    /// After a restart every center is taken to have been heard of just now: its agent may have
    /// renewed its leases at the last moment.
    #[must_use]
    pub fn new(world: World, now: Moment, settings: Settings) -> Self {
        let now = now.max(world.at);
        let centers = world.centers.keys().cloned();
        let sessions = centers.map(|c| (c, Session { number: 0, heard: now })).collect();
        Self {
            board: Board::of(&world, now),
            books: OrderBooks::of(&world),
            world,
            settings,
            now,
            sessions,
            facts: Vec::new(),
            replies: Vec::new(),
            solve: Solve::Due(now),
            last_plan: None,
            archiving: leases::Archiving::Idle { until: now },
            upkeep: upkeep::Upkeep::default(),
            relaying: relay::Relaying::default(),
            testing: link_tests::Testing::default(),
            forgotten: now,
        }
    }

    /// Creates the network in an empty world; the effects are to be carried out like a step's.
    pub fn create(&mut self, now: Moment, network: NetworkUid) -> Vec<Effect> {
        self.now = self.now.max(now);
        self.emit(Fact::NetworkCreated(NetworkCreated { network }));
        self.effects()
    }

    /// Takes what arrived, in order, and says what follows.
    #[must_use]
    pub fn step(&mut self, now: Moment, inputs: Vec<Input>) -> Vec<Effect> {
        self.now = self.now.max(now);
        // Chips are booked and plans put in force last, on what is so after all else: what of it is judged
        // at the end of the step was so when it was decided.
        let is_plan = |input: &Input| matches!(input, Input::Solved(_));
        let (plans, others): (Vec<_>, Vec<_>) = inputs.into_iter().partition(is_plan);
        let (bookings, others): (Vec<_>, Vec<_>) = others.into_iter().partition(Input::books);
        others.into_iter().for_each(|input| self.take(input));
        self.close_past_windows();
        bookings.into_iter().chain(plans).for_each(|input| self.take(input));
        self.open_windows();
        self.unblock();
        self.place();
        self.close_unused_windows();
        self.unblock();
        self.relay_if_due();
        self.make_room_for_transfers();
        self.effects()
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Command { request, by, command } => {
                let answer = self.command(&by, command).unwrap_or_else(Answer::Rejected);
                self.replies.push((request, answer));
            }
            Input::Join { request, center, join } => {
                let answer = self.join(&center, &join).unwrap_or_else(Answer::Rejected);
                self.replies.push((request, answer));
            }
            Input::Heard { center, session } => {
                self.heard(&center, session);
            }
            Input::Reports { request, center, session, reports } => {
                let answer = if self.heard(&center, session) {
                    reports.into_iter().for_each(|report| self.report(&center, report));
                    Answer::Acknowledged { number: self.world.number }
                } else {
                    Answer::Rejected(Rejected::StaleSession)
                };
                self.replies.push((request, answer));
            }
            Input::Solved(plan) => self.solved(&plan),
            Input::Archived(jobs) => self.archived(jobs),
            Input::Tick => self.tick(),
        }
    }

    /// Takes in a fact: from here on it has happened, though nobody outside may know yet.
    fn emit(&mut self, fact: Fact) {
        self.give_way(&fact);
        if let Err(contradiction) = self.world.fold(self.now, &fact) {
            // Every caller has checked that the fact can follow; carrying on would write a log
            // that cannot be replayed.
            unreachable!("{contradiction}");
        }
        self.board.apply(&self.world, self.now, &fact);
        self.books.apply(&self.world, &fact);
        self.heed_for_relays(&fact);
        self.facts.push(fact);
    }

    fn effects(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        let facts = std::mem::take(&mut self.facts);
        let broken = audit::delta(&self.world, facts.iter().filter(|fact| is_planned(fact)));
        if !broken.is_empty() {
            return vec![Effect::Halt(broken)];
        }
        let odd = audit::delta(&self.world, facts.iter().filter(|fact| !is_planned(fact)));
        if !odd.is_empty() {
            effects.push(Effect::Alarm(odd));
        }
        if !facts.is_empty() {
            effects.push(Effect::Append { at: self.now, facts });
        }
        let replies = std::mem::take(&mut self.replies).into_iter();
        effects.extend(
            replies.map(|(request, answer)| Effect::Reply { request, answer: Box::new(answer) }),
        );
        effects.extend(self.books.take_changed().into_iter().map(Effect::Orders));
        effects.extend(self.next_window().map(Effect::WakeAt));
        effects.extend(self.solve_if_due());
        effects.extend(self.archive_if_due());
        effects
    }

    /// The state all facts so far amount to; they may not be durable yet.
    #[must_use]
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// What is committed from now on.
    #[must_use]
    pub const fn board(&self) -> &Board {
        &self.board
    }

    /// The time of the last step.
    #[must_use]
    pub const fn now(&self) -> Moment {
        self.now
    }

    /// The policy in force.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.settings.policy
    }

    /// The orders for a center that are newer than revision `after`, and the revision they bring
    /// it to. `None` when the session is not the center's latest.
    #[must_use]
    pub fn orders(
        &self,
        center: &CenterId,
        session: u64,
        after: u64,
    ) -> Option<(u64, Vec<wire::Order>)> {
        let known = self.sessions.get(center)?;
        (known.number == session && session != 0).then(|| {
            self.books.after(&self.world, self.now, (center, after), || self.measure(center))
        })
    }
}

/// Whether a fact is the planner's doing, and so must keep every promise.
const fn is_planned(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::JobOffered(_)
            | Fact::AttemptPreempted(_)
            | Fact::AttemptRerouted(_)
            | Fact::TransferPlanned(_)
            | Fact::LinkTestPlanned(_)
            | Fact::JobPromised(_)
    )
}
