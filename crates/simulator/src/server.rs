//! The server, simulated around the real loop: it carries out effects in their order, and may die
//! between any two of them.

use crate::fault::Sabotage;
use crate::load::Stock;
use crate::log::Log;
use crate::post::{Answer, AskId, Call, Caller, Happening, Post, Seat};
use crate::setup::Setup;
use crate::tally::Tally;
use crate::tenant::{Tenants, numbered};
use crate::truth::{Bound, Truth};
use audit::{Promise, Violation};
use controller::{Answer as Told, Command, Controller, Effect, Input, Settings};
use model::{CenterId, EngineKind, JobId, Moment, NetworkUid, Principal, Role, Span, TokenId};
use rand::RngExt;
use std::collections::{BTreeMap, BTreeSet};
use wire::Join;

/// How long the archive takes.
const ARCHIVE_TAKES: Span = Span(50);
/// How often a fact is forgotten when that bug is planted, in thousandths.
const FORGOTTEN: u32 = 20;

/// Whose answer a step owes.
enum Asker {
    Ask(AskId),
    Join(Caller),
    Reports(Caller),
}

/// A poll that is held back.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    from: Caller,
    session: u64,
    after: u64,
    until: Moment,
}

/// The server's process, and what outlives it.
pub(crate) struct Server<'a> {
    pub(crate) controller: Controller,
    pub(crate) is_up: bool,
    /// Counts its processes.
    pub(crate) life: u32,
    pub(crate) log: Log<'a>,
    pub(crate) counts: Counts,
    pub(crate) tally: Tally,
    /// It is to die in its next step, and be back after that long.
    pub(crate) doomed: Option<Span>,
    settings: Settings,
    seats: BTreeMap<CenterId, Seat>,
    centers: Vec<(CenterId, EngineKind)>,
    /// Whose stores cannot be reached.
    doorless: BTreeSet<CenterId>,
    inputs: Vec<Input>,
    askers: Vec<Asker>,
    waiting: Vec<Option<Waiting>>,
    polls: Vec<Waiting>,
    /// When a look at each center's held-back poll is planned.
    poll_over: Vec<Option<Moment>>,
    wake: Option<Moment>,
    woken: bool,
    /// A step broke a promise.
    pub(crate) halted: Vec<Violation>,
    /// When a fact was last written.
    pub(crate) wrote: Moment,
}

/// What a run amounted to, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counts {
    /// Steps of the loop.
    pub steps: u64,
    /// Background plans.
    pub plans: u64,
    /// Offers made.
    pub offers: u64,
    /// Attempts told to make room.
    pub preemptions: u64,
    /// Transfers planned.
    pub transfers: u64,
    /// Recalls that were in force when what they take back was due.
    pub recalls: u64,
    /// Those of them after which guests had no more than was left them, by the engines' own books.
    pub recalls_kept: u64,
    /// Times the server died.
    pub crashes: u64,
}

/// What surrounds the server in a step.
pub(crate) struct Around<'s> {
    pub(crate) post: &'s mut Post,
    pub(crate) truth: &'s mut Truth,
    pub(crate) tenants: &'s mut Tenants,
}

impl<'a> Server<'a> {
    pub(crate) fn new(
        now: Moment,
        mut settings: Settings,
        sabotage: Option<Sabotage>,
        log: Log<'a>,
        tally: Tally,
    ) -> Self {
        settings.fencing &= sabotage != Some(Sabotage::Unfenced);
        Self {
            controller: Controller::new(world::World::default(), now, settings.clone()),
            is_up: true,
            life: 0,
            log,
            counts: Counts::default(),
            tally,
            doomed: None,
            settings,
            seats: BTreeMap::new(),
            centers: Vec::new(),
            doorless: BTreeSet::new(),
            inputs: Vec::new(),
            askers: Vec::new(),
            waiting: Vec::new(),
            polls: Vec::new(),
            poll_over: Vec::new(),
            wake: None,
            woken: false,
            halted: Vec::new(),
            wrote: now,
        }
    }

    /// Creates the network.
    pub(crate) fn create(&mut self, network: NetworkUid, around: &mut Around<'_>) {
        let effects = self.controller.create(around.post.now, network);
        self.carry_out(effects, around);
    }

    /// Declares the network and the data that is there from the start; says why not.
    pub(crate) fn found(&mut self, setup: &Setup, around: &mut Around<'_>) -> Result<(), String> {
        let declared = Command::Apply(Box::new(setup.declarations.clone()));
        let put = |data: &Stock| {
            let center = data.at.first().cloned()?;
            Some(Command::PutDataset {
                data: data.data.clone(),
                bytes: data.bytes,
                files: 1,
                center,
                tenant: data.tenant.clone(),
                residency: data.residency.clone(),
            })
        };
        for command in std::iter::once(declared).chain(setup.data.iter().filter_map(put)) {
            let by = Principal { role: Role::Operator, token: TokenId::new(1) };
            let input = Input::Command { request: 0, by, command };
            let effects = self.controller.step(around.post.now, vec![input]);
            let rejected = effects.iter().find_map(|effect| match effect {
                Effect::Reply { answer, .. } => match &**answer {
                    Told::Rejected(why) => Some(why.to_string()),
                    _ => None,
                },
                _ => None,
            });
            self.carry_out(effects, around);
            rejected.map_or(Ok(()), Err)?;
        }
        self.doorless.clone_from(&setup.doorless);
        self.seat();
        Ok(())
    }

    /// Learns which centers there are, in the order of their names.
    fn seat(&mut self) {
        let centers = self.controller.world().centers.values();
        let centers = centers.map(|state| (state.center.center.clone(), state.center.engine));
        self.centers = centers.collect();
        self.seats = self.centers.iter().map(|(name, _)| name.clone()).zip(0..).collect();
        self.waiting = vec![None; self.centers.len()];
        self.poll_over = vec![None; self.centers.len()];
    }

    pub(crate) fn seats(&self) -> &BTreeMap<CenterId, Seat> {
        &self.seats
    }

    fn center(&self, seat: Seat) -> CenterId {
        self.centers[usize::from(seat)].0.clone()
    }

    /// A call reaches the process.
    pub(crate) fn called(&mut self, call: Call, now: Moment) {
        if !self.is_up {
            return;
        }
        let request = self.askers.len() as u64;
        match call {
            Call::Command { ask, command } => {
                let by = Principal { role: Role::Operator, token: TokenId::new(1) };
                self.askers.push(Asker::Ask(ask));
                self.inputs.push(Input::Command { request, by, command });
            }
            Call::Join(from) => {
                let center = self.center(from.seat);
                let engine = self.centers[usize::from(from.seat)].1;
                let has_door = !self.doorless.contains(&center);
                self.askers.push(Asker::Join(from));
                let join = Box::new(introduction(from.seat, engine, has_door));
                self.inputs.push(Input::Join { request, center, join });
            }
            Call::Poll { from, session, after, wait } => {
                self.inputs.push(Input::Heard { center: self.center(from.seat), session });
                self.polls.push(Waiting { from, session, after, until: now + wait });
            }
            Call::Reports { from, session, reports } => {
                let center = self.center(from.seat);
                self.askers.push(Asker::Reports(from));
                self.inputs.push(Input::Reports { request, center, session, reports });
            }
        }
    }

    /// Something from inside the process.
    pub(crate) fn input(&mut self, input: Input) {
        if self.is_up {
            self.inputs.push(input);
        }
    }

    /// The loop is to have a look.
    pub(crate) fn wake(&mut self) {
        self.wake = None;
        self.woken = self.is_up;
    }

    /// Takes a step if there is reason to.
    pub(crate) fn step(&mut self, around: &mut Around<'_>) {
        if !self.is_up || (self.inputs.is_empty() && !self.woken) {
            return;
        }
        self.woken = false;
        self.counts.steps += 1;
        let inputs = std::mem::take(&mut self.inputs);
        let effects = self.controller.step(around.post.now, inputs);
        self.carry_out(effects, around);
        self.askers.clear();
        for poll in std::mem::take(&mut self.polls) {
            let seat = usize::from(poll.from.seat);
            self.waiting[seat] = Some(poll);
            self.answer_poll(poll.from.seat, false, around.post);
        }
    }

    fn carry_out(&mut self, mut effects: Vec<Effect>, around: &mut Around<'_>) {
        if around.truth.sabotage == Some(Sabotage::EarlyAnswers) {
            effects.sort_by_key(|effect| !matches!(effect, Effect::Reply { .. }));
        }
        self.bind(&effects, around);
        let appends = effects.iter().any(|effect| matches!(effect, Effect::Append { .. }));
        let doom = self.doomed.filter(|_| appends);
        let dies_at = doom.map(|_| around.post.rng.random_range(0..=effects.len()));
        let mut appended = false;
        for (at, effect) in effects.into_iter().enumerate() {
            if dies_at == Some(at) {
                break;
            }
            appended |= matches!(effect, Effect::Append { .. });
            self.effect(effect, around);
        }
        if let Some(back) = doom {
            self.doomed = None;
            self.die(back, appended, around);
        }
    }

    /// Notes which arrival each new job is, whether anybody will be told or not.
    fn bind(&self, effects: &[Effect], around: &mut Around<'_>) {
        for effect in effects {
            let Effect::Reply { request, answer } = effect else { continue };
            let Told::Submitted { first, count, repeated: false } = **answer else { continue };
            let asker = usize::try_from(*request).ok().and_then(|at| self.askers.get(at));
            let Some(Asker::Ask(id)) = asker else { continue };
            match around.tenants.arrival(*id) {
                Some((arrival, actual)) => {
                    let jobs = first.number()..first.number() + u64::from(count);
                    for job in jobs.map(JobId::new) {
                        around.truth.jobs.bind(job, Bound { arrival, actual, variant: 0 });
                    }
                }
                None => {
                    let what = format!("a repeated submission was accepted again as {first}");
                    around.truth.judge.say(Promise::Idempotence, what);
                }
            }
        }
    }

    fn effect(&mut self, effect: Effect, around: &mut Around<'_>) {
        match effect {
            Effect::Append { at, facts } => self.append(at, &facts, around),
            Effect::Reply { request, answer } => self.reply(request, &answer, around),
            Effect::Orders(center) => {
                if let Some(seat) = self.seats.get(&center) {
                    self.answer_poll(*seat, false, around.post);
                }
            }
            Effect::Solve(snapshot) => {
                self.counts.plans += 1;
                let plan = Box::new(snapshot.plan());
                let solved = Happening::Solved(self.life, plan);
                around.post.after(around.post.timing.solve, solved);
            }
            Effect::Archive(jobs) => {
                let jobs = jobs.iter().map(|job| job.job).collect();
                around.post.after(ARCHIVE_TAKES, Happening::Archived(self.life, jobs));
            }
            Effect::WakeAt(at) => {
                if self.wake.is_none_or(|wake| wake > at) {
                    self.wake = Some(at);
                    around.post.at(at, Happening::Wake);
                }
            }
            Effect::Alarm(found) => around.truth.judge.take(found),
            Effect::Halt(found) => {
                around.truth.judge.take(found.clone());
                self.halted = found;
            }
        }
    }

    fn append(&mut self, at: Moment, facts: &[model::Fact], around: &mut Around<'_>) {
        let forgets = around.truth.sabotage == Some(Sabotage::ForgottenFacts)
            && around.post.befalls(FORGOTTEN);
        let written = facts.len() - usize::from(forgets);
        self.log.append(at, facts.iter().take(written));
        self.wrote = around.post.now;
        around.truth.judge.facts(at, facts);
        for fact in facts {
            match fact {
                model::Fact::JobOffered(f) => {
                    self.counts.offers += 1;
                    around.truth.jobs.offered(f);
                }
                model::Fact::TransferPlanned(_) => self.counts.transfers += 1,
                model::Fact::TransferEnded(f) => self.tally.transferred(f),
                model::Fact::AttemptPreempted(_) => self.counts.preemptions += 1,
                model::Fact::JobEnded(f) => {
                    around.truth.kept.forget(f.job);
                    let world = self.controller.world();
                    self.tally.ended(world, f.job, &around.truth.jobs, at);
                }
                _ => {}
            }
        }
    }

    fn reply(&mut self, request: u64, answer: &Told, around: &mut Around<'_>) {
        let asker = usize::try_from(request).ok().and_then(|at| self.askers.get(at));
        match asker {
            Some(Asker::Ask(id)) => self.told(*id, answer, around),
            Some(Asker::Join(to)) => {
                let answer = match answer {
                    Told::Joined { session } => Answer::Joined { session: *session },
                    _ => Answer::Refused,
                };
                around.post.answer(*to, answer);
            }
            Some(Asker::Reports(to)) => {
                let answer = match answer {
                    Told::Rejected(_) => Answer::StaleSession,
                    _ => Answer::Acknowledged,
                };
                around.post.answer(*to, answer);
            }
            None => {}
        }
    }

    /// Whoever asked for a command is told.
    fn told(&mut self, id: AskId, answer: &Told, around: &mut Around<'_>) {
        let Around { post, truth, tenants } = around;
        let arrival = tenants.get(id).and_then(|ask| ask.arrival);
        match (answer, arrival) {
            (Told::Submitted { first, .. }, Some((arrival, _))) => {
                truth.judge.acknowledged(arrival, *first);
            }
            (Told::Rejected(why), Some((arrival, actual))) => {
                if let Some(spec) = tenants.spec(id) {
                    self.tally.rejected(arrival, actual, spec, why, post.now);
                }
            }
            (Told::Recalled { .. }, _) => {
                let ask = tenants.get(id).map(|ask| &ask.command);
                if let Some(Command::Recall { center, pools, in_time, .. }) = ask {
                    for (pool, chips) in pools {
                        let back = Box::new((center.clone(), pool.clone(), *chips));
                        post.at((*in_time).max(post.now), Happening::Recalled(back));
                    }
                }
            }
            _ => {}
        }
        if post.needs_patience {
            post.answer_ask(id, numbered(answer));
        } else {
            tenants.answered(id, numbered(answer), post);
        }
    }

    /// A held-back poll of this center may have waited long enough.
    pub(crate) fn poll_over(&mut self, seat: Seat, post: &mut Post) {
        let expected = &mut self.poll_over[usize::from(seat)];
        if *expected == Some(post.now) {
            *expected = None;
        }
        let Some(waiting) = self.waiting[usize::from(seat)] else { return };
        if waiting.until <= post.now {
            self.answer_poll(seat, true, post);
        } else {
            self.expect_poll(seat, waiting.until, post);
        }
    }

    /// Sees to it that somebody looks at a center's poll at `until`, or before.
    fn expect_poll(&mut self, seat: Seat, until: Moment, post: &mut Post) {
        let expected = &mut self.poll_over[usize::from(seat)];
        if expected.is_none_or(|at| at > until) {
            *expected = Some(until);
            post.at(until, Happening::PollOver(seat));
        }
    }

    /// Answers a center's poll if there is something to say, or anyhow.
    fn answer_poll(&mut self, seat: Seat, anyhow: bool, post: &mut Post) {
        let Some(poll) = self.waiting[usize::from(seat)].take() else { return };
        let center = self.center(seat);
        let found = self.controller.orders(&center, poll.session, poll.after);
        let Some((revision, orders)) = found else {
            post.answer(poll.from, Answer::StaleSession);
            return;
        };
        let full = poll.after == 0;
        if !anyhow && !full && orders.is_empty() {
            self.waiting[usize::from(seat)] = Some(poll);
            self.expect_poll(seat, poll.until, post);
            return;
        }
        post.answer(poll.from, Answer::Orders { revision, full, orders });
    }

    fn die(&mut self, back: Span, whole: bool, around: &mut Around<'_>) {
        self.counts.crashes += 1;
        self.is_up = false;
        self.life += 1;
        self.inputs.clear();
        self.askers.clear();
        self.polls.clear();
        self.waiting.fill(None);
        self.poll_over.fill(None);
        self.wake = None;
        // What it will find when it is back is known already; time passes for all others.
        match self.log.recover() {
            Ok(world) => {
                around.truth.judge.recovered(&world, whole.then(|| self.controller.world()));
                let now = around.post.now;
                self.controller = Controller::new(world, now, self.settings.clone());
            }
            Err(contradiction) => {
                around.truth.judge.say(Promise::Replay, contradiction.to_string());
                self.halted = around.truth.judge.found.clone();
            }
        }
        around.post.after(back, Happening::ServerUp);
    }

    /// A new process takes over what the log amounts to.
    pub(crate) fn rise(&mut self, now: Moment) {
        let world = self.controller.world().clone();
        self.controller = Controller::new(world, now, self.settings.clone());
        self.is_up = true;
        self.woken = true;
    }
}

fn introduction(seat: Seat, engine: EngineKind, has_door: bool) -> Join {
    let [high, low] = seat.to_be_bytes();
    Join {
        protocol: wire::PROTOCOL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        agent: NetworkUid::from_bytes([0, 0, 0, 0, 0, 1, high, low]),
        engine,
        engine_version: "simulated".to_owned(),
        enforcement: "simulated".to_owned(),
        data_url: has_door.then(|| format!("sim://{seat}")),
        probe_address: None,
        stores: Vec::new(),
        seen: None,
    }
}
