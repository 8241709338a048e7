//! What an agent decides: orders (what should be) against observations (what is).
//!
//! The one door is [`Reconciler::step`]: events in, actions out. It is level-triggered and
//! idempotent: an order may come twice or late, an observation may be old, an action may be carried
//! out twice, and nothing but time is lost. The agent feeds it from the network and its engine, the
//! simulator from a seed.
//!
//! Deliberately absent: sockets, processes, files, clocks. `now` is the host's clock that counts
//! suspended time, in milliseconds since its boot; wall clock never enters.

mod event;
mod slots;

pub use event::{Action, Event, Fetched, NotFetched, Seen};

use model::attempt::{Ended, Outcome, Stop};
use model::{AttemptId, Bytes, DatasetVersion, Refused, Span, TransferId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::{MadeOutput, Order, Report, Run, Stage};

/// How many attempts that are over are remembered, so that an order that was on its way while
/// they ended does not start them again.
const REMEMBERED: usize = 65_536;

/// What an agent is willing and able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities {
    /// It has a container runtime.
    pub images: bool,
    /// It takes nothing new at present.
    pub draining: bool,
}

/// An attempt, as ordered and as seen.
#[derive(Debug, Clone, Default)]
struct Attempt {
    run: Option<Box<Run>>,
    stop: Option<Stop>,
    seen: Option<Seen>,
    /// A launch was asked for and has not been observed yet.
    launching: bool,
    accepted: bool,
    started: bool,
    /// A stop was asked of the engine.
    stopped: bool,
    keeping: bool,
    /// The end is in the outbox.
    told: bool,
    lease_until: Option<u64>,
}

impl Attempt {
    fn is_alive(&self) -> bool {
        self.launching || matches!(self.seen, Some(Seen::Starting | Seen::Running))
    }

    /// Whether nothing has been started of it.
    fn is_untouched(&self) -> bool {
        !self.launching && self.seen.is_none()
    }
}

/// An agent's mind.
#[derive(Debug, Default)]
pub struct Reconciler {
    abilities: Abilities,
    attempts: BTreeMap<AttemptId, Attempt>,
    fetching: BTreeMap<TransferId, Box<Stage>>,
    data: BTreeSet<DatasetVersion>,
    outbox: VecDeque<Report>,
    /// When the last answered poll was sent.
    renewed: Option<u64>,
    /// The engine has been heard of, and so have all orders: strays can be told.
    observed: bool,
    complete: bool,
    over: BTreeSet<AttemptId>,
    over_order: VecDeque<AttemptId>,
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
        self.attempts.values().filter_map(|a| a.run.as_ref()?.lease).min()
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
                self.data = data.into_iter().collect();
                let data = self.data.iter().cloned().collect();
                self.outbox.push_back(Report::Inventory { data });
            }
            Event::Orders { full, orders } => self.orders(full, orders, actions),
            Event::Renewed { sent } => self.renewed = self.renewed.max(Some(sent)),
            Event::Observed(seen) => self.observe(seen),
            Event::NotStarted { attempt, why } => {
                if let Some(known) = self.attempts.get_mut(&attempt) {
                    known.launching = false;
                    known.seen = Some(Seen::Ended(never_ran(Outcome::NotStarted { why })));
                }
            }
            Event::Fetched { transfer, end } => self.fetched(transfer, end),
            Event::Stored { data, bytes, files } => {
                self.data.insert(data.clone());
                self.outbox.push_back(Report::Put { data, bytes, files });
            }
            Event::Verified { data, whole: Some((bytes, files)) } => {
                self.outbox.push_back(Report::Put { data, bytes, files });
            }
            Event::Verified { data, whole: None } => {
                self.data.remove(&data);
                actions.push(Action::Remove { data });
            }
            Event::OutputsKept { attempt, outputs } => self.outputs_kept(attempt, outputs),
            Event::Acknowledged(count) => self.acknowledged(count, actions),
            Event::Tick => {}
        }
    }

    fn orders(&mut self, full: bool, orders: Vec<Order>, actions: &mut Vec<Action>) {
        if full {
            let named: BTreeSet<AttemptId> = orders.iter().filter_map(order_attempt).collect();
            for (id, attempt) in &mut self.attempts {
                if !named.contains(id) && !attempt.told {
                    attempt.stop.get_or_insert(Stop::Withdrawn);
                }
            }
            self.complete = true;
        }
        for order in orders {
            match order {
                Order::Run(run) if self.over.contains(&run.attempt) => {}
                Order::Run(run) => {
                    let attempt = self.attempts.entry(run.attempt).or_default();
                    attempt.run = Some(run);
                }
                Order::Stop { attempt, .. } if self.over.contains(&attempt) => {}
                Order::Stop { attempt, why } => {
                    self.attempts.entry(attempt).or_default().stop = Some(why);
                }
                Order::Stage(stage) => self.stage(stage, actions),
                Order::Drop { transfer } => {
                    if self.fetching.remove(&transfer).is_some() {
                        actions.push(Action::Abandon { transfer });
                    }
                }
                Order::Verify { data } => actions.push(Action::Verify { data }),
                Order::Remove { data } => {
                    self.data.remove(&data);
                    actions.push(Action::Remove { data });
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
            actions.push(Action::Fetch(stage));
        }
    }

    fn fetched(&mut self, transfer: TransferId, end: Result<Fetched, NotFetched>) {
        let Some(stage) = self.fetching.remove(&transfer) else { return };
        let report = match end {
            Ok(Fetched { moved, corrupted }) => {
                self.data.insert(stage.data.clone());
                Report::Arrived { transfer, moved, corrupted }
            }
            Err(NotFetched { why, damaged }) => {
                self.refuse_without(&stage.data, &why);
                Report::TransferFailed { transfer, why, damaged }
            }
        };
        self.outbox.push_back(report);
    }

    /// Refuses attempts that wait for data which cannot be had.
    fn refuse_without(&mut self, data: &DatasetVersion, why: &str) {
        for (id, attempt) in &mut self.attempts {
            let mut inputs = attempt.run.iter().flat_map(|run| &run.inputs);
            let wants = inputs.any(|input| input.data == *data);
            if wants && attempt.is_untouched() && !attempt.told {
                attempt.told = true;
                let why = Refused::NoData { why: why.to_owned() };
                self.outbox.push_back(Report::Refused { attempt: *id, why });
            }
        }
    }

    fn observe(&mut self, seen: BTreeMap<AttemptId, Seen>) {
        self.observed = true;
        for (id, seen) in seen {
            if self.over.contains(&id) {
                continue;
            }
            let attempt = self.attempts.entry(id).or_default();
            attempt.launching = false;
            // What has ended stays so, whatever an older look says.
            if !matches!(attempt.seen, Some(Seen::Ended(_))) {
                attempt.seen = Some(seen);
            }
        }
    }

    fn outputs_kept(&mut self, id: AttemptId, outputs: Result<Vec<MadeOutput>, String>) {
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        let Some(Seen::Ended(ended)) = &attempt.seen else { return };
        if attempt.told {
            return;
        }
        attempt.told = true;
        let (ended, outputs) = match outputs {
            Ok(outputs) => (ended.clone(), outputs),
            Err(why) => {
                let why = format!("its outputs could not be kept: {why}");
                (Ended { outcome: Outcome::Lost { why }, ..ended.clone() }, Vec::new())
            }
        };
        self.data.extend(outputs.iter().map(|o| o.data.clone()));
        self.outbox.push_back(Report::Ended { attempt: id, ended, outputs });
    }

    fn acknowledged(&mut self, count: usize, actions: &mut Vec<Action>) {
        for report in self.outbox.drain(..count.min(self.outbox.len())) {
            let (Report::Ended { attempt, .. } | Report::Refused { attempt, .. }) = report else {
                continue;
            };
            self.attempts.remove(&attempt);
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

    fn decide(&mut self, now: u64, actions: &mut Vec<Action>) {
        if !self.observed || !self.complete {
            return;
        }
        let ids: Vec<AttemptId> = self.attempts.keys().copied().collect();
        for id in ids {
            self.settle(id, actions);
        }
        self.launch(now, actions);
        self.extend_leases(actions);
    }

    /// Brings one attempt nearer to what is ordered, launching aside.
    fn settle(&mut self, id: AttemptId, actions: &mut Vec<Action>) {
        let abilities = self.abilities;
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        if attempt.told {
            return;
        }
        if attempt.run.is_none() {
            // Running without an order: of a time the server no longer counts.
            attempt.stop.get_or_insert(Stop::Withdrawn);
        }
        if matches!(attempt.seen, Some(Seen::Running)) && !attempt.started {
            attempt.started = true;
            self.outbox.push_back(Report::Started { attempt: id });
        }
        match (&attempt.seen, attempt.stop) {
            (Some(Seen::Ended(ended)), _) => {
                let outputs = attempt.run.as_ref().map_or(Vec::new(), |r| r.outputs.clone());
                if ended.outcome == (Outcome::Exited { code: 0 }) && !outputs.is_empty() {
                    if !attempt.keeping {
                        attempt.keeping = true;
                        actions.push(Action::KeepOutputs { attempt: id, outputs });
                    }
                } else {
                    attempt.told = true;
                    let ended = named(ended, attempt.stop);
                    let outputs = Vec::new();
                    self.outbox.push_back(Report::Ended { attempt: id, ended, outputs });
                }
            }
            (_, Some(why)) if attempt.is_untouched() => {
                attempt.told = true;
                let ended = never_ran(Outcome::Stopped(why));
                self.outbox.push_back(Report::Ended { attempt: id, ended, outputs: Vec::new() });
            }
            (_, Some(_)) if !attempt.stopped => {
                attempt.stopped = true;
                let grace = attempt.run.as_ref().map_or(Span::ZERO, |r| r.grace);
                actions.push(Action::Stop { attempt: id, grace });
            }
            (None, None) if attempt.is_untouched() => {
                let refused = attempt.run.as_ref().and_then(|run| refusal(abilities, run));
                if let Some(why) = refused {
                    attempt.told = true;
                    self.outbox.push_back(Report::Refused { attempt: id, why });
                }
            }
            _ => {}
        }
    }

    /// Launches what has its data and its slots, in the order of planned starts.
    fn launch(&mut self, now: u64, actions: &mut Vec<Action>) {
        for (id, can_start) in self.startable(now) {
            let Some(attempt) = self.attempts.get_mut(&id) else { continue };
            let Some(run) = &attempt.run else { continue };
            if can_start {
                let lease = run.lease.map(|lease| self.renewed.unwrap_or(0) + lease.0);
                actions.push(Action::Launch { run: run.clone(), lease });
                attempt.launching = true;
                attempt.lease_until = lease;
            } else if !attempt.accepted {
                attempt.accepted = true;
                self.outbox.push_back(Report::Accepted { attempt: id });
            }
        }
    }

    /// Attempts that nothing has been done for yet, and whether each can start now.
    fn startable(&self, now: u64) -> Vec<(AttemptId, bool)> {
        let waits = |a: &Attempt| a.is_untouched() && a.stop.is_none() && !a.told;
        let waiting = self.attempts.iter().filter(|(_, a)| waits(a));
        let mut waiting: Vec<(AttemptId, &Run)> =
            waiting.filter_map(|(id, a)| Some((*id, a.run.as_deref()?))).collect();
        if waiting.is_empty() {
            return Vec::new();
        }
        waiting.sort_unstable_by_key(|(id, run)| (run.start, *id));
        let mut taken = slots::Taken::default();
        // What has ended holds its slots until its end is in the outbox: the server is to hear of
        // the end before it hears of the next start.
        for attempt in self.attempts.values().filter(|a| !a.is_untouched() && !a.told) {
            attempt.run.iter().for_each(|run| taken.take(run));
        }
        let mut judged = Vec::new();
        for (id, run) in waiting {
            let free = taken.is_free(run);
            // Whoever comes later in the plan does not overtake on the same slots.
            taken.take(run);
            let here = run.inputs.iter().all(|input| self.data.contains(&input.data));
            let fenced = run.lease.is_some_and(|lease| self.renewed.unwrap_or(0) + lease.0 <= now);
            judged.push((id, free && here && !fenced));
        }
        judged
    }

    /// Passes on what the last answered poll allows, once a good part of a lease has gone by.
    fn extend_leases(&mut self, actions: &mut Vec<Action>) {
        let Some(renewed) = self.renewed else { return };
        for (id, attempt) in &mut self.attempts {
            let lease = attempt.run.as_ref().and_then(|r| r.lease);
            let (Some(lease), true) = (lease, attempt.is_alive()) else { continue };
            let until = renewed + lease.0;
            if attempt.lease_until.is_none_or(|known| until >= known + lease.0 / 6) {
                attempt.lease_until = Some(until);
                actions.push(Action::ExtendLease { attempt: *id, until });
            }
        }
    }
}

fn order_attempt(order: &Order) -> Option<AttemptId> {
    match order {
        Order::Run(run) => Some(run.attempt),
        Order::Stop { attempt, .. } => Some(*attempt),
        Order::Stage(_) | Order::Drop { .. } | Order::Verify { .. } | Order::Remove { .. } => None,
    }
}

/// An end without a beginning.
const fn never_ran(outcome: Outcome) -> Ended {
    Ended { outcome, ran: Span::ZERO, cpu: Span::ZERO, memory: Bytes::ZERO }
}

/// The engine knows that it stopped an attempt as it was told; the order says why.
fn named(ended: &Ended, stop: Option<Stop>) -> Ended {
    match (&ended.outcome, stop) {
        (Outcome::Stopped(_), Some(why)) => {
            Ended { outcome: Outcome::Stopped(why), ..ended.clone() }
        }
        _ => ended.clone(),
    }
}

fn refusal(abilities: Abilities, run: &Run) -> Option<Refused> {
    if abilities.draining {
        return Some(Refused::Drained);
    }
    let image = run.image.as_ref().filter(|_| !abilities.images)?;
    let what = format!("container image {image}: no container runtime is configured");
    Some(Refused::Unsupported { what })
}

#[cfg(test)]
mod tests;
