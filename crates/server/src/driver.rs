//! Drives the loop: calls in, one commit at a time out, answers when they are durable.

use crate::archiving;
use crate::clock::Clock;
use crate::doors::Doors;
use crate::inbox::Inbox;
use crate::polls::{Polls, Waiting};
use crate::recent::Recent;
use crate::{Error, Sabotage};
use api::gate::{Call, Reply, Ticket as DoorTicket, TicketQuery};
use controller::{Answer, Controller, Effect, Input, Rejected, RequestId};
use model::fact::{Head, Record};
use model::job::Job;
use model::{CenterId, Moment, Span};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use store::archive::Archive;
use store::{Log, Ticket, Writer};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use wire::{Joined, Orders};

/// How often time is looked at while nothing happens.
const TICK: Duration = Duration::from_millis(100);
/// While more facts than this are not durable yet, no further calls are taken in.
const UNWRITTEN_MAX: u64 = 100_000;

/// Something that may leave the process once the facts it rests on are durable.
type Held = Box<dyn FnOnce(Head) + Send>;

/// Whose answer is awaited from the loop.
enum Asker {
    Command(Reply<Answer>),
    Join(CenterId, Reply<Result<Joined, Rejected>>),
    Reports(Reply<Result<Head, Rejected>>),
}

/// What the driver is made from.
pub(crate) struct Parts {
    pub(crate) controller: Controller,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) snapshot_at: u64,
    pub(crate) archive: Archive,
    pub(crate) clock: Clock,
    pub(crate) doors: Doors,
    pub(crate) inbox: Inbox,
    pub(crate) records: broadcast::Sender<Arc<Vec<Record>>>,
    pub(crate) poll: Span,
    pub(crate) snapshot_every: u64,
    pub(crate) sabotage: Option<Sabotage>,
    pub(crate) stop: CancellationToken,
}

/// The loop and what surrounds it.
pub(crate) struct Driver {
    parts: Parts,
    writer: Writer,
    /// What happens beside the loop comes back here.
    inputs: mpsc::UnboundedSender<Input>,
    askers: BTreeMap<RequestId, Asker>,
    next_request: RequestId,
    polls: Polls,
    /// Heard this step: to be polled for once the step is done.
    polling: Vec<(CenterId, Waiting)>,
    looks: Vec<api::gate::Look>,
    /// Held until this fact is durable.
    outbox: VecDeque<(u64, Held)>,
    /// Commits under way, oldest first.
    commits: VecDeque<Ticket>,
    /// Records under way, for those who follow the log.
    unpublished: VecDeque<Arc<Vec<Record>>>,
    recent: Recent,
    durable: Head,
    number: u64,
    snapshot_at: u64,
    /// A snapshot is being written.
    snapshotting: Arc<AtomicBool>,
}

impl Driver {
    /// Runs until it is told to stop or cannot go on, then writes what is left.
    pub(crate) async fn run(parts: Parts, first: Vec<Effect>) -> Result<(), Error> {
        let (inputs, mut internal) = mpsc::unbounded_channel();
        let durable = parts.log.head();
        let mut driver = Self {
            writer: Writer::start(Arc::clone(&parts.log)),
            inputs,
            askers: BTreeMap::new(),
            next_request: 1,
            polls: Polls::default(),
            polling: Vec::new(),
            looks: Vec::new(),
            outbox: VecDeque::new(),
            commits: VecDeque::new(),
            unpublished: VecDeque::new(),
            recent: Recent::new(durable.number),
            durable,
            number: durable.number,
            snapshotting: Arc::default(),
            snapshot_at: parts.snapshot_at,
            parts,
        };
        driver.carry_out(first)?;
        let result = driver.turn(&mut internal).await;
        driver.close(result).await
    }

    async fn turn(&mut self, internal: &mut mpsc::UnboundedReceiver<Input>) -> Result<(), Error> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut calls = Vec::new();
        loop {
            let mut inputs = Vec::new();
            let has_room = self.number - self.durable.number < UNWRITTEN_MAX;
            let stop = self.parts.stop.clone();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                head = front(&mut self.commits) => {
                    self.committed(head.map_err(Error::Store)?);
                    continue;
                }
                Some(input) = internal.recv() => inputs.push(input),
                _ = tick.tick() => {
                    inputs.push(Input::Tick);
                    self.answer_overdue();
                }
                call = self.parts.inbox.next(), if has_room => match call {
                    Some(call) => calls.push(call),
                    None => return Ok(()),
                }
            }
            if has_room {
                self.parts.inbox.fill(&mut calls);
            }
            while let Ok(input) = internal.try_recv() {
                inputs.push(input);
            }
            for call in calls.drain(..) {
                self.take(call, &mut inputs);
            }
            if !inputs.is_empty() {
                let now = self.parts.clock.now();
                let effects = self.parts.controller.step(now, inputs);
                self.carry_out(effects)?;
            }
            self.after_step();
        }
    }

    fn take(&mut self, call: Call, inputs: &mut Vec<Input>) {
        match call {
            Call::Command(by, command, reply) => {
                let request = self.ask(Asker::Command(reply));
                inputs.push(Input::Command { request, by, command });
            }
            Call::Join(center, join, reply) => {
                let request = self.ask(Asker::Join(center.clone(), reply));
                inputs.push(Input::Join { request, center, join });
            }
            Call::Reports(center, reports, reply) => {
                let request = self.ask(Asker::Reports(reply));
                let (session, reports) = (reports.session, reports.reports);
                inputs.push(Input::Reports { request, center, session, reports });
            }
            Call::Poll(center, poll, reply) => {
                inputs.push(Input::Heard { center: center.clone(), session: poll.session });
                let wait = poll.wait.min(self.parts.poll).to_std();
                let until = Instant::now() + wait;
                self.polling.push((center, Waiting { poll, until, reply }));
            }
            Call::Answered(center, answers) => self.polls.answered(&center, answers),
            Call::Look(look) => self.looks.push(look),
            Call::Log(query, reply) => {
                let center = query.center.clone();
                self.polls.ask(query, reply, Instant::now());
                self.answer_poll(&center, false);
            }
            Call::Archive(query, reply) => {
                tokio::spawn(archiving::look_up(self.parts.archive.clone(), query, reply));
            }
            Call::Records(after, limit, reply) => {
                let log = Arc::clone(&self.parts.log);
                tokio::task::spawn_blocking(move || {
                    let records = log.read(after).take(limit).collect::<Result<_, _>>();
                    reply.send(records.map_err(|e| e.to_string())).ok()
                });
            }
            Call::Heads(after, limit, reply) => {
                if let Some(digests) = self.recent.after(after, limit, self.durable) {
                    // Whoever asked may have gone away.
                    let _ = reply.send(Ok((digests, self.durable)));
                    return;
                }
                let log = Arc::clone(&self.parts.log);
                tokio::spawn(async move {
                    let head = log.head();
                    let digests = log.heads(after, limit).await;
                    reply.send(digests.map(|d| (d, head)).map_err(|e| e.to_string())).ok()
                });
            }
            Call::Ticket(query, reply) => {
                let ticket = self.ticket(&query);
                self.hold(move |_| {
                    let _ = reply.send(ticket);
                });
            }
        }
    }

    fn ask(&mut self, asker: Asker) -> RequestId {
        let request = self.next_request;
        self.next_request += 1;
        self.askers.insert(request, asker);
        request
    }

    fn carry_out(&mut self, effects: Vec<Effect>) -> Result<(), Error> {
        for effect in effects {
            match effect {
                Effect::Append { at, facts } => self.append(at, &facts),
                Effect::Reply { request, answer } => self.reply(request, *answer),
                Effect::Orders(center) => self.answer_poll(&center, false),
                Effect::Solve(snapshot) => {
                    let inputs = self.inputs.clone();
                    tokio::task::spawn_blocking(move || {
                        inputs.send(Input::Solved(Box::new(snapshot.plan()))).ok()
                    });
                }
                Effect::Archive(jobs) => self.archive(jobs),
                // The driver looks at the time more often than anything is due.
                Effect::WakeAt(_) => {}
                Effect::Alarm(violations) => {
                    for violation in &violations {
                        tracing::error!(%violation, "a center reported what should not be");
                    }
                }
                Effect::Halt(violations) => {
                    for violation in &violations {
                        tracing::error!(%violation, "a step broke a promise; nothing of it was written");
                    }
                    return Err(Error::BrokenPromise(violations));
                }
            }
        }
        Ok(())
    }

    fn append(&mut self, at: Moment, facts: &[model::Fact]) {
        let numbered = (self.number + 1..).zip(facts);
        let records: Vec<Record> =
            numbered.map(|(number, fact)| Record::new(number, at, fact)).collect();
        self.number += records.len() as u64;
        self.recent.add(&records);
        if self.parts.records.receiver_count() > 0 {
            self.unpublished.push_back(Arc::new(records.clone()));
        }
        self.commits.push_back(self.writer.submit(records));
    }

    /// Lets something out once all facts so far are durable.
    fn hold(&mut self, held: impl FnOnce(Head) + Send + 'static) {
        let too_soon = self.parts.sabotage == Some(Sabotage::ReplyBeforeAppend);
        if self.number <= self.durable.number || too_soon {
            held(self.durable);
        } else {
            self.outbox.push_back((self.number, Box::new(held)));
        }
    }

    fn committed(&mut self, head: Head) {
        self.durable = head;
        while self.outbox.front().is_some_and(|(number, _)| *number <= head.number) {
            if let Some((_, held)) = self.outbox.pop_front() {
                held(head);
            }
        }
        let published = |records: &Arc<Vec<Record>>| {
            records.last().is_some_and(|r| r.header.number <= head.number)
        };
        while self.unpublished.front().is_some_and(published) {
            if let Some(records) = self.unpublished.pop_front() {
                // Nobody may be following just now.
                let _ = self.parts.records.send(records);
            }
        }
        self.snapshot_if_due();
    }

    fn reply(&mut self, request: RequestId, answer: Answer) {
        match self.askers.remove(&request) {
            Some(Asker::Command(reply)) => self.hold(move |_| {
                let _ = reply.send(answer);
            }),
            Some(Asker::Join(center, reply)) => {
                let network = self.parts.controller.world().network;
                let (door_key, poll) = (self.parts.doors.key(&center), self.parts.poll);
                self.hold(move |head| {
                    let joined = match (answer, network) {
                        (Answer::Joined { session }, Some(network)) => {
                            Ok(Joined { network, center, session, door_key, poll, head })
                        }
                        (Answer::Rejected(why), _) => Err(why),
                        _ => Err(Rejected::StaleSession),
                    };
                    let _ = reply.send(joined);
                });
            }
            Some(Asker::Reports(reply)) => self.hold(move |head| {
                let _ = reply.send(match answer {
                    Answer::Rejected(why) => Err(why),
                    _ => Ok(head),
                });
            }),
            None => {}
        }
    }

    /// Answers looks and polls that came in with the step.
    fn after_step(&mut self) {
        for look in std::mem::take(&mut self.looks) {
            let answer = look(&self.parts.controller);
            self.hold(move |_| answer());
        }
        for (center, waiting) in std::mem::take(&mut self.polling) {
            if let Some(older) = self.polls.wait(center.clone(), waiting) {
                drop(older);
            }
            self.answer_poll(&center, false);
        }
    }

    fn answer_overdue(&mut self) {
        let now = Instant::now();
        for center in self.polls.overdue(now) {
            self.answer_poll(&center, true);
        }
        self.polls.give_up(now);
    }

    /// Answers a center's poll if there is something to say, or anyhow.
    fn answer_poll(&mut self, center: &CenterId, anyhow: bool) {
        let Some(waiting) = self.polls.take(center) else { return };
        let Waiting { poll, until, reply } = waiting;
        let found = self.parts.controller.orders(center, poll.session, poll.after);
        let Some((revision, mut orders)) = found else {
            let _ = reply.send(Err(Rejected::StaleSession));
            return;
        };
        let full = poll.after == 0;
        if !anyhow && !full && orders.is_empty() && !self.polls.has_asks(center) {
            self.polls.wait(center.clone(), Waiting { poll, until, reply });
            return;
        }
        let now = self.parts.clock.now();
        for order in &mut orders {
            self.parts.doors.fill_in(order, center, now);
        }
        let asks = self.polls.take_asks(center);
        self.hold(move |head| {
            let _ = reply.send(Ok(Orders { revision, full, orders, asks, head }));
        });
    }

    fn ticket(&self, query: &TicketQuery) -> Result<DoorTicket, Rejected> {
        let world = self.parts.controller.world();
        let TicketQuery { center, data, write } = query;
        let missing = || Rejected::NotFound { what: format!("center {center}") };
        let state = world.centers.get(center).ok_or_else(missing)?;
        let announced = state.agent.as_ref().and_then(|a| a.data_url.clone());
        let url = announced.or_else(|| state.center.data_url.clone());
        let why = format!(
            "the store of center {center} cannot be reached from outside: start its agent with \
             --data-listen, name a center with a door, or register data in an external store of its"
        );
        let url = url.ok_or(Rejected::Conflict { why })?;
        let now = self.parts.clock.now();
        Ok(DoorTicket { url, ticket: self.parts.doors.ticket(center, data, *write, now) })
    }

    /// Puts ended jobs into the archive, once their ends are durable.
    fn archive(&mut self, jobs: Vec<Arc<Job>>) {
        let (archive, inputs) = (self.parts.archive.clone(), self.inputs.clone());
        self.hold(move |head| {
            tokio::spawn(async move {
                let archived = match archiving::put(&archive, &jobs, head.number).await {
                    Ok(()) => jobs.iter().map(|job| job.job).collect(),
                    Err(error) => {
                        tracing::error!(%error, "ended jobs could not be archived; tried again in some seconds");
                        Vec::new()
                    }
                };
                inputs.send(Input::Archived(archived)).ok()
            });
        });
    }

    /// Leaves a snapshot now and then; a large world is written less often, so that writing it
    /// stays a small part of the work.
    fn snapshot_if_due(&mut self) {
        let world = self.parts.controller.world();
        let due = self.parts.snapshot_every.max(world.jobs.len() as u64);
        let since = self.number.saturating_sub(self.snapshot_at);
        if since < due || self.durable.number < self.number || self.snapshotting.load(Relaxed) {
            return;
        }
        self.snapshot_at = self.number;
        self.snapshotting.store(true, Relaxed);
        let (world, head) = (world.to_snapshot(), self.durable);
        let (log, done) = (Arc::clone(&self.parts.log), Arc::clone(&self.snapshotting));
        tokio::spawn(async move {
            save_snapshot(&log, world, head).await;
            done.store(false, Relaxed);
        });
    }

    /// Waits for what is under way and leaves a snapshot for the next start.
    async fn close(mut self, result: Result<(), Error>) -> Result<(), Error> {
        while result.is_ok() && !self.commits.is_empty() {
            let head = front(&mut self.commits).await.map_err(Error::Store)?;
            self.committed(head);
        }
        if result.is_ok() && self.durable.number > self.snapshot_at {
            let world = self.parts.controller.world().to_snapshot();
            save_snapshot(&self.parts.log, world, self.durable).await;
        }
        let closed = self.parts.log.close().await;
        self.parts.archive.close().await;
        result.and(closed.map_err(Error::Store))
    }
}

/// Waits for the oldest commit; for ever when there is none.
async fn front(commits: &mut VecDeque<Ticket>) -> Result<Head, store::Error> {
    match commits.front_mut() {
        Some(ticket) => {
            let head = ticket.await;
            commits.pop_front();
            head
        }
        None => std::future::pending().await,
    }
}

async fn save_snapshot(log: &Arc<dyn Log>, world: world::World, head: Head) {
    let bytes = tokio::task::spawn_blocking(move || serde_json::to_vec(&world)).await;
    let saved = match bytes {
        Ok(Ok(bytes)) => log.save_snapshot(head, bytes).await.map_err(|e| e.to_string()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match saved {
        Ok(()) => tracing::debug!(number = head.number, "snapshot saved"),
        Err(why) => tracing::warn!(why, "the snapshot could not be saved; the log is whole"),
    }
}
