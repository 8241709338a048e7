//! What an agent decides: orders (what should be) against observations (what is).
//!
//! The one door is [`Reconciler::step`]: events in, actions out. It is level-triggered and
//! idempotent: an order may come twice or late, an observation may be old, an action may be carried
//! out twice, and nothing but time is lost. The agent feeds it from the network and its engine, the
//! simulator from a seed.
//!
//! Deliberately absent: sockets, processes, files, clocks. `now` is the host's clock that counts
//! suspended time, in milliseconds since its boot; wall clock never enters.

mod attempt;
mod decide;
mod event;
mod in_place;
mod sending;
mod slots;

pub use event::{Action, Event, Fetched, InPlace, NotFetched, Seen};

use attempt::{Attempt, Turn};
use model::attempt::{Ended, Outcome, Stop};
use model::{AttemptId, Bytes, DatasetVersion, PoolId, Refused, Span, StoreId, TransferId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::{MadeOutput, Order, Report, Stage};

/// How many attempts that are over are remembered, so that an order that was on its way while
/// they ended does not start them again.
const REMEMBERED: usize = 65_536;
/// A store has changed noticeably when it is more than one part in so many.
const NOTICEABLE: u64 = 64;

/// Behind so many reports that wait for the server no measurement is lined up.
const MEASURED_BEHIND: usize = 10_000;

/// What an agent is willing and able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities {
    /// It has a container runtime.
    pub images: bool,
    /// It takes nothing new at present.
    pub draining: bool,
}

/// An agent's mind.
#[derive(Debug, Default)]
pub struct Reconciler {
    abilities: Abilities,
    attempts: BTreeMap<AttemptId, Attempt>,
    /// Copies that come, fetched or sent here.
    fetching: BTreeMap<TransferId, Box<Stage>>,
    /// Copies that go into other centers' stores.
    sending: BTreeMap<TransferId, Box<wire::Send>>,
    /// Tests of links that go on.
    testing: BTreeSet<TransferId>,
    /// Transfers among them that begin once there is room.
    held_back: BTreeSet<TransferId>,
    data: BTreeSet<DatasetVersion>,
    /// What lies in external stores, there or not.
    in_place: BTreeMap<DatasetVersion, InPlace>,
    /// Data among it that is being brought into the store.
    bringing: BTreeSet<DatasetVersion>,
    /// Copies that are being put into an external store.
    archiving: BTreeSet<(DatasetVersion, StoreId)>,
    /// The server was told what there is, once.
    told_data: bool,
    /// Copies that are being removed.
    removing: BTreeSet<DatasetVersion>,
    /// What was last told of the store: how much it holds, and what is in it.
    told_room: Option<(Bytes, Bytes)>,
    /// What was last told of how many nodes of each pool take work.
    told_nodes: BTreeMap<PoolId, u32>,
    outbox: VecDeque<Report>,
    /// When the last answered poll was sent.
    renewed: Option<u64>,
    /// All that the engine knows has been seen, and so have all orders: strays can be told.
    observed: bool,
    complete: bool,
    over: BTreeSet<AttemptId>,
    over_order: VecDeque<AttemptId>,
    index: Index,
}

/// What has to be looked at, so that a step costs what it changes and not what there is.
#[derive(Debug, Default)]
struct Index {
    /// Who holds what of the nodes, and who waits for it.
    floor: slots::Floor,
    /// Attempts that something happened to since the last decision.
    stirred: BTreeSet<AttemptId>,
    /// Attempts that have not been started, in the order of their planned starts.
    waiting: BTreeSet<Turn>,
    /// Those of them for which something may have changed.
    doubtful: BTreeSet<Turn>,
    /// Those that only wait for a poll to be answered.
    fenced: BTreeSet<Turn>,
    /// Attempts that nobody is at, and that only wait for that too.
    unattended: BTreeSet<AttemptId>,
    /// Attempts alive under a lease.
    leased: BTreeSet<AttemptId>,
    /// Before this is the answered poll's time, no lease needs to be extended.
    extend_from: u64,
    /// How many orders name each lease.
    leases: BTreeMap<Span, usize>,
}

impl Reconciler {
    /// A mind that knows nothing yet.
    #[must_use]
    pub fn new(abilities: Abilities) -> Self {
        Self { abilities, ..Self::default() }
    }

    /// Reports for the server, oldest first; they stay until they are acknowledged.
    pub fn reports(&self) -> impl Iterator<Item = &Report> {
        self.outbox.iter()
    }

    /// Attempts that may be alive.
    pub fn alive(&self) -> impl Iterator<Item = AttemptId> {
        self.attempts.iter().filter(|(_, a)| a.is_alive()).map(|(id, _)| *id)
    }

    /// The shortest lease of any attempt ordered: polls must be answered well within it.
    #[must_use]
    pub fn shortest_lease(&self) -> Option<Span> {
        self.index.leases.keys().next().copied()
    }

    /// Takes what arrived, in order, at `now`, and says what is to be done about all of it.
    #[must_use]
    pub fn step(&mut self, now: u64, events: Vec<Event>) -> Vec<Action> {
        let mut actions = Vec::new();
        for event in events {
            self.take(event, &mut actions);
        }
        self.decide(now, &mut actions);
        actions
    }

    fn take(&mut self, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Joined { data } => {
                self.complete = false;
                self.told_room = None;
                let nodes = std::mem::take(&mut self.told_nodes);
                self.nodes(nodes);
                self.data = data.into_iter().collect();
                self.index.doubtful.clone_from(&self.index.waiting);
                self.told_data = true;
                self.tell_inventory();
                self.tell_in_place();
            }
            Event::Orders { full, orders } => self.orders(full, orders, actions),
            Event::Renewed { sent } => {
                self.renewed = self.renewed.max(Some(sent));
                self.index.doubtful.append(&mut self.index.fenced);
                self.index.stirred.append(&mut self.index.unattended);
            }
            Event::LookedAround(seen) => {
                self.observed = true;
                self.observe(seen);
            }
            Event::Observed(seen) => self.observe(seen),
            Event::Checkpointed { attempt, after } if self.attempts.contains_key(&attempt) => {
                self.change(attempt, |known| known.saved = Some(after));
            }
            Event::Checkpointed { .. } => {}
            Event::Entered { attempt, called } => self.entered(attempt, called),
            Event::NotStarted { attempt, outcome } if self.attempts.contains_key(&attempt) => {
                self.change(attempt, |known| {
                    known.launching = false;
                    known.seen = Some(Seen::Ended(never_ran(outcome)));
                });
            }
            Event::NotStarted { .. } => {}
            Event::Fetched { transfer, end } => self.fetched(transfer, end),
            Event::Stored { data, sent, .. } if self.expects(&data) => self.was_sent(&data, sent),
            Event::Stored { data, bytes, files, .. } => {
                self.has(&data);
                let lies = self.in_place.get(&data).map(|in_place| in_place.lies.clone());
                let also_own = lies.is_some();
                self.outbox.push_back(Report::Put { data, bytes, files, lies, also_own });
            }
            Event::InPlace(all) => self.lies(all),
            Event::Brought { data, end } => self.brought(&data, end),
            Event::Archived { data, store, end } => self.archived(data, store, end),
            Event::Verified { data, whole: Ok((bytes, files)) } => {
                let lies = self.in_place.get(&data).map(|in_place| in_place.lies.clone());
                let also_own = lies.is_some() && self.data.contains(&data);
                self.outbox.push_back(Report::Put { data, bytes, files, lies, also_own });
            }
            Event::Verified { data, whole: Err(chunks) } => {
                // Whether it goes is the server's to say: it may be the only one. What was read is the
                // store's own copy where there is one.
                let was_own = self.data.contains(&data);
                if !was_own {
                    self.in_place.remove(&data);
                }
                self.lacks(&data);
                self.outbox.push_back(Report::Damaged { data: data.clone(), chunks });
                if was_own {
                    self.tell_where(&data);
                }
            }
            Event::Removed { data, gone } => self.removed(&data, gone, actions),
            Event::Room { capacity, stored } => self.room(capacity, stored),
            Event::Nodes(nodes) => self.nodes(nodes),
            Event::OutputsKept { attempt, outputs } => self.outputs_kept(attempt, outputs),
            Event::Measured(report) => self.measured(report),
            Event::Acknowledged(count) => self.acknowledged(count, actions),
            Event::Tick => {}
        }
    }

    fn orders(&mut self, full: bool, orders: Vec<Order>, actions: &mut Vec<Action>) {
        if full {
            let named: BTreeSet<AttemptId> = orders.iter().filter_map(order_attempt).collect();
            let strays = self.attempts.iter().filter(|(id, a)| !named.contains(id) && !a.told);
            let strays: Vec<AttemptId> = strays.map(|(id, _)| *id).collect();
            for id in strays {
                self.change(id, |attempt| {
                    attempt.stop.get_or_insert(Stop::Withdrawn);
                });
            }
            self.keep_only_ordered(&orders, actions);
            self.complete = true;
            self.index.doubtful.clone_from(&self.index.waiting);
        }
        for order in orders {
            match order {
                Order::Run(run) if self.over.contains(&run.attempt) => {}
                Order::Run(run) => {
                    let streamed = run.inputs.iter().filter(|input| input.streamed);
                    let inputs: Vec<_> = streamed.cloned().collect();
                    if !inputs.is_empty() {
                        actions.push(Action::Read { attempt: run.attempt, inputs });
                    }
                    self.ordered(run);
                }
                Order::Stop { attempt, .. } if self.over.contains(&attempt) => {}
                Order::Stop { attempt, why } => {
                    self.change(attempt, |attempt| attempt.stop = Some(why));
                }
                Order::Stage(stage) => self.stage(stage, actions),
                Order::Send(send) => self.send(send, actions),
                Order::Test(test) => {
                    if self.testing.insert(test.transfer) {
                        actions.push(Action::Test(test));
                    }
                }
                Order::Drop { transfer }
                    if self.testing.remove(&transfer)
                        || self.sending.remove(&transfer).is_some() =>
                {
                    actions.push(Action::Abandon { transfer });
                }
                Order::Drop { transfer } => {
                    if let Some(stage) = self.fetching.remove(&transfer) {
                        self.held_back.remove(&transfer);
                        self.doubt_for(&stage.data);
                        actions.push(Action::Abandon { transfer });
                    }
                }
                Order::Measure(measure) => actions.push(Action::Measure(measure)),
                Order::Verify { data } => actions.push(Action::Verify { data }),
                Order::Archive { data, store } => self.archive(data, store, actions),
                Order::Remove { data, keep_in_place } => {
                    self.lacks(&data);
                    if self.removing.insert(data.clone()) {
                        actions.push(Action::Remove { data, keep_in_place });
                    }
                }
            }
        }
    }

    fn stage(&mut self, stage: Box<Stage>, actions: &mut Vec<Action>) {
        if self.data.contains(&stage.data) {
            let arrived =
                Report::Arrived { transfer: stage.transfer, moved: Bytes::ZERO, corrupted: 0 };
            self.outbox.push_back(arrived);
        } else if self.fetching.insert(stage.transfer, stage.clone()).is_none() {
            if stage.sent {
                actions.push(Action::Expect(stage));
                return;
            }
            // What is being removed makes room for what comes, or is the same data.
            if self.removing.is_empty() {
                actions.push(Action::Fetch(stage));
            } else {
                self.held_back.insert(stage.transfer);
            }
        }
    }

    /// A copy was to be removed. One that could not be will be ordered away again.
    fn removed(&mut self, data: &DatasetVersion, gone: bool, actions: &mut Vec<Action>) {
        self.removing.remove(data);
        if gone {
            self.outbox.push_back(Report::Removed { data: data.clone() });
            self.tell_where(data);
        }
        if self.removing.is_empty() {
            let held_back = std::mem::take(&mut self.held_back);
            let stages = held_back.iter().filter_map(|transfer| self.fetching.get(transfer));
            actions.extend(stages.map(|stage| Action::Fetch(stage.clone())));
        }
    }

    /// Tells how large the store is, if that is news.
    fn room(&mut self, capacity: Bytes, stored: Bytes) {
        let differs = |known: Bytes, now: Bytes| known.0.abs_diff(now.0) > capacity.0 / NOTICEABLE;
        let is_news = self
            .told_room
            .is_none_or(|(known, then)| differs(known, capacity) || differs(then, stored));
        if is_news {
            self.told_room = Some((capacity, stored));
            self.outbox.push_back(Report::Room { capacity, stored });
        }
    }

    /// Tells how many nodes of pools take work, where that is news.
    fn nodes(&mut self, nodes: BTreeMap<PoolId, u32>) {
        for (pool, up) in nodes {
            if self.told_nodes.insert(pool.clone(), up) != Some(up) {
                self.outbox.push_back(Report::Nodes { pool, up });
            }
        }
    }

    fn fetched(&mut self, transfer: TransferId, end: Result<Fetched, NotFetched>) {
        if self.testing.remove(&transfer) {
            self.outbox.push_back(match end {
                Ok(Fetched { moved, corrupted }) => Report::Arrived { transfer, moved, corrupted },
                Err(NotFetched { why, damaged }) => {
                    Report::TransferFailed { transfer, why, damaged }
                }
            });
            return;
        }
        if self.sending.remove(&transfer).is_some() {
            // That it arrived is its receiver's to say.
            if let Err(NotFetched { why, damaged }) = end {
                self.outbox.push_back(Report::TransferFailed { transfer, why, damaged });
            }
            return;
        }
        let Some(stage) = self.fetching.remove(&transfer) else { return };
        self.held_back.remove(&transfer);
        match end {
            Ok(Fetched { moved, corrupted }) => {
                self.has(&stage.data);
                self.outbox.push_back(Report::Arrived { transfer, moved, corrupted });
            }
            Err(NotFetched { why, damaged }) => {
                // First what happened, then what follows: once nobody waits for a transfer the
                // server drops it, and would not hear whose copy is to blame.
                let failed = Report::TransferFailed { transfer, why: why.clone(), damaged };
                self.outbox.push_back(failed);
                self.refuse_without(&stage.data, &why);
            }
        }
    }

    /// Has a measurement reported, unless the server has not taken the earlier ones in a long while:
    /// what is lost of them is only knowledge.
    fn measured(&mut self, report: Report) {
        if self.outbox.len() < MEASURED_BEHIND {
            self.outbox.push_back(report);
        }
    }

    /// A copy is in the store.
    fn has(&mut self, data: &DatasetVersion) {
        self.data.insert(data.clone());
        self.doubt_for(data);
    }

    /// A copy is not in the store any more.
    fn lacks(&mut self, data: &DatasetVersion) {
        self.data.remove(data);
        self.doubt_for(data);
    }

    /// Attempts that wait for this data are to be looked at again.
    pub(crate) fn doubt_for(&mut self, data: &DatasetVersion) {
        let wants = |turn: &&Turn| self.attempts.get(&turn.1).is_some_and(|a| a.reads(data));
        let wanting: Vec<Turn> = self.index.waiting.iter().filter(wants).copied().collect();
        self.index.doubtful.extend(wanting);
    }

    /// Refuses attempts that wait for data which cannot be had.
    fn refuse_without(&mut self, data: &DatasetVersion, why: &str) {
        let waits = |a: &Attempt| a.reads(data) && a.is_untouched() && !a.told;
        let waiting = self.attempts.iter().filter(|(_, attempt)| waits(attempt));
        let waiting: Vec<AttemptId> = waiting.map(|(id, _)| *id).collect();
        for id in waiting {
            self.refuse(id, Refused::NoData { why: why.to_owned() });
        }
    }

    fn observe(&mut self, seen: BTreeMap<AttemptId, Seen>) {
        for (id, seen) in seen {
            if self.over.contains(&id) {
                continue;
            }
            self.change(id, |attempt| {
                attempt.launching = false;
                // What has ended stays so, whatever an older look says.
                if !matches!(attempt.seen, Some(Seen::Ended(_))) {
                    attempt.seen = Some(seen);
                }
            });
        }
    }

    fn entered(&mut self, id: AttemptId, called: String) {
        let Some(attempt) = self.attempts.get_mut(&id).filter(|attempt| !attempt.told) else {
            return;
        };
        if attempt.called.as_ref() != Some(&called) {
            attempt.called = Some(called.clone());
            self.outbox.push_back(Report::Entered { attempt: id, called });
        }
    }

    fn outputs_kept(&mut self, id: AttemptId, outputs: Result<Vec<MadeOutput>, String>) {
        let Some(attempt) = self.attempts.get(&id).filter(|attempt| !attempt.told) else { return };
        let Some(Seen::Ended(ended)) = attempt.seen.clone() else { return };
        let (ended, outputs) = match outputs {
            Ok(outputs) => (ended, outputs),
            Err(why) => {
                let why = format!("its outputs could not be kept: {why}");
                (Ended { outcome: Outcome::Lost { why }, ..ended }, Vec::new())
            }
        };
        outputs.iter().for_each(|output| self.has(&output.data));
        self.tell_end(id, ended, outputs);
    }

    fn acknowledged(&mut self, count: usize, actions: &mut Vec<Action>) {
        let known: Vec<Report> = self.outbox.drain(..count.min(self.outbox.len())).collect();
        for report in known {
            let (Report::Ended { attempt, .. } | Report::Refused { attempt, .. }) = report else {
                continue;
            };
            self.forget(attempt);
            if self.over.insert(attempt) {
                self.over_order.push_back(attempt);
            }
            actions.push(Action::Settle { attempt });
        }
        while self.over_order.len() > REMEMBERED {
            if let Some(oldest) = self.over_order.pop_front() {
                self.over.remove(&oldest);
            }
        }
    }
}

fn order_attempt(order: &Order) -> Option<AttemptId> {
    match order {
        Order::Run(run) => Some(run.attempt),
        Order::Stop { attempt, .. } => Some(*attempt),
        Order::Stage(_)
        | Order::Send(_)
        | Order::Test(_)
        | Order::Drop { .. }
        | Order::Verify { .. }
        | Order::Archive { .. }
        | Order::Remove { .. }
        | Order::Measure(_) => None,
    }
}

/// An end without a beginning.
pub(crate) const fn never_ran(outcome: Outcome) -> Ended {
    Ended { outcome, ran: Span::ZERO, cpu: Span::ZERO, memory: Bytes::ZERO }
}

#[cfg(test)]
mod tests;
