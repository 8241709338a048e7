//! Virtual time: what is to happen when, and how messages travel.

use crate::fault::Mishaps;
use crate::judge::may_stray;
use crate::setup::{Setup, Timing};
use controller::Command;
use model::{AttemptId, CenterId, Chips, JobId, Moment, PoolId, Span, TransferId};
use planner::Plan;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reconciler::Event;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use wire::{Order, Report};

/// A center by its place among all, in the order of names.
pub(crate) type Seat = u16;

/// Names what a tenant or operator wants until it is answered.
pub(crate) type AskId = u64;

/// Who calls the server: an answer that comes after its asker has given up finds nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) seat: Seat,
    /// The agent's process.
    pub(crate) life: u32,
    /// The call within it.
    pub(crate) call: u64,
}

/// What can be asked of the server.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Command { ask: AskId, command: Command },
    Join(Caller),
    Poll { from: Caller, session: u64, after: u64, wait: Span },
    Reports { from: Caller, session: u64, reports: Vec<Report> },
}

/// What the server answers an agent.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Joined { session: u64 },
    Orders { revision: u64, full: bool, orders: Vec<Order> },
    Acknowledged,
    StaleSession,
    Refused,
}

/// What happens at some moment.
#[derive(Debug)]
pub(crate) enum Happening {
    /// The next job of the load arrives.
    Arrival,
    /// A call reaches the server.
    Call(Box<Call>),
    /// An answer reaches an agent.
    Answer(Caller, Box<Answer>),
    /// A command's answer reaches who asked.
    Answered(AskId, Option<JobId>),
    /// Who asked looks whether the answer has come.
    AskAgain(AskId),
    /// The agent looks whether its call was answered.
    CallAgain(Caller),
    /// Somebody wants something that no job of the load stands for.
    Want(Box<Command>),
    /// Something becomes of an attempt.
    Due(Seat, AttemptId),
    /// A copy should have come, to the agent of this life.
    Copied(Seat, u32, TransferId),
    /// Something beside the conversation reaches the reconciler of this life.
    Inner(Seat, u32, Box<Event>),
    /// A poll has waited long enough.
    PollOver(Seat),
    /// A background plan is done, for the server of this life.
    Solved(u32, Box<Plan>),
    /// Jobs are in the archive, for the server of this life.
    Archived(u32, Vec<JobId>),
    /// The loop is told that time passed.
    Tick,
    /// The loop asked to be woken.
    Wake,
    /// The state is to be sampled.
    Sample,
    /// A planned fault begins.
    Fault(usize),
    /// The agent of this life dies in the middle of a launch.
    Dies(Seat, u32),
    /// An agent starts, or goes on after a pause.
    Up(Seat, u32),
    /// The server starts.
    ServerUp,
    /// Tenants look after their data.
    Care,
    /// What an owner took back of a pool should be there.
    Recalled(Box<(CenterId, PoolId, Chips)>),
}

struct Entry {
    at: Moment,
    sequence: u64,
    what: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// A line between a center and the server that is cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) until: Moment,
    /// Messages wait for the line instead of being lost.
    pub(crate) holds: bool,
}

/// The future, in order, and the only source of chance.
pub(crate) struct Post {
    pub(crate) now: Moment,
    pub(crate) timing: Timing,
    pub(crate) rng: ChaCha8Rng,
    /// What happens to messages until when.
    pub(crate) mishaps: Mishaps,
    pub(crate) calm_from: Moment,
    pub(crate) cuts: Vec<Option<Cut>>,
    /// Whether answers may fail to come, so that who asks must be ready to ask again.
    pub(crate) needs_patience: bool,
    future: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
}

impl Post {
    pub(crate) fn new(setup: &Setup, now: Moment, seed: u64) -> Self {
        Self {
            now,
            timing: setup.timing,
            rng: ChaCha8Rng::seed_from_u64(seed),
            mishaps: setup.faults.mishaps,
            calm_from: setup.start + setup.faults.until,
            cuts: vec![None; setup.declarations.centers.len()],
            needs_patience: setup.faults.any(),
            future: BinaryHeap::new(),
            sequence: 0,
        }
    }

    /// Whether anything may still go wrong.
    pub(crate) fn is_calm(&self) -> bool {
        self.now >= self.calm_from
    }

    pub(crate) fn at(&mut self, at: Moment, what: Happening) {
        self.sequence += 1;
        let at = at.max(self.now);
        self.future.push(Reverse(Entry { at, sequence: self.sequence, what }));
    }

    pub(crate) fn after(&mut self, span: Span, what: Happening) {
        self.at(self.now + span, what);
    }

    /// When the next thing happens.
    pub(crate) fn next(&self) -> Option<Moment> {
        self.future.peek().map(|Reverse(entry)| entry.at)
    }

    /// What happens now and has not been taken yet.
    pub(crate) fn take(&mut self) -> Option<Happening> {
        let due = self.future.peek().is_some_and(|Reverse(entry)| entry.at <= self.now);
        if due { self.future.pop().map(|Reverse(entry)| entry.what) } else { None }
    }

    /// Whether something happens with this chance, in thousandths, while things go wrong.
    pub(crate) fn befalls(&mut self, thousandths: u32) -> bool {
        thousandths > 0 && !self.is_calm() && self.rng.random_range(0..1_000) < thousandths
    }

    /// A span of at most `most`, evenly.
    pub(crate) fn some(&mut self, most: Span) -> Span {
        if most == Span::ZERO { most } else { Span(self.rng.random_range(0..=most.0)) }
    }

    /// Sends a call to the server, from a center or, over a line of their own, from a tenant.
    pub(crate) fn call(&mut self, from: Option<Seat>, call: Call) {
        if matches!(&call, Call::Command { command, .. } if !may_stray(command)) {
            self.after(self.timing.latency, Happening::Call(Box::new(call)));
            return;
        }
        let mishaps = self.mishaps;
        if self.befalls(mishaps.doubled)
            && let Some(at) = self.arrival(from, mishaps.latest)
        {
            self.at(at, Happening::Call(Box::new(call.clone())));
        }
        if let Some(at) = self.arrival(from, Span::ZERO) {
            self.at(at, Happening::Call(Box::new(call)));
        }
    }

    /// Sends an agent its answer.
    pub(crate) fn answer(&mut self, to: Caller, answer: Answer) {
        if let Some(at) = self.arrival(Some(to.seat), Span::ZERO) {
            self.at(at, Happening::Answer(to, Box::new(answer)));
        }
    }

    /// Tells who asked for a command that it is answered.
    pub(crate) fn answer_ask(&mut self, ask: AskId, job: Option<JobId>) {
        if let Some(at) = self.arrival(None, Span::ZERO) {
            self.at(at, Happening::Answered(ask, job));
        }
    }

    /// When a message sent now arrives, if it does.
    fn arrival(&mut self, seat: Option<Seat>, extra: Span) -> Option<Moment> {
        let Mishaps { lost, late, latest, .. } = self.mishaps;
        let cut = seat.and_then(|seat| self.cuts[usize::from(seat)]);
        let cut = cut.filter(|cut| cut.until > self.now);
        if self.befalls(lost) || cut.is_some_and(|cut| !cut.holds) {
            return None;
        }
        let mut at = cut.map_or(self.now, |cut| cut.until) + self.timing.latency;
        at = at + self.some(self.timing.jitter) + self.some(extra);
        if self.befalls(late) {
            at = at + self.some(latest);
        }
        let beat = self.timing.beat.0.max(1);
        Some(Moment(at.0.div_ceil(beat) * beat))
    }
}
