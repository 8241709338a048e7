//! A run: the real loop and reconcilers, driven through virtual time.

mod data;

use crate::Error;
use crate::agent::{Agent, Clock, Copy};
use crate::fault::{Fault, Faults, Sabotage};
use crate::judge::Judge;
use crate::load::Arrival;
use crate::log::{Log, Sink};
use crate::post::{Cut, Happening, Post, Seat};
use crate::server::{Around, Server};
use crate::setup::{Audit, Setup};
use crate::tally::Tally;
use crate::tenant::Tenants;
use crate::truth::{Jobs, Kept, Truth};
use audit::Promise;
use controller::{Command, Input};
use model::{CenterId, ChipTime, Chips, DatasetVersion, Moment, NetworkUid, OwnerId, PoolId, Span};
use rand::RngExt;
use std::collections::BTreeMap;

pub use crate::outcome::Run;
pub use crate::server::Counts;
pub use crate::tally::Sample;

/// How long before the start the network is set up, so that its agents are there by then.
const LEAD: Span = Span::from_secs(10);
/// How often tenants look whether their data is still there, in runs in which it may get lost.
const CARE: Span = Span::from_secs(20);
/// A run is over when nothing has been written for so long, nothing runs and nobody arrives.
const STILL: Span = Span::from_secs(900);
/// How long after the last fault everything should have ended.
const SETTLED_BY: Span = Span::from_secs(6 * 3_600);

/// Plays a load on a network. The same setup, load and seed give the same log, bit for bit; `sink`
/// is given its records.
///
/// # Errors
///
/// When the network is not accepted, or arrivals are not sorted by time. A promise that does not
/// hold is no error: it is in [`Run::violations`], and ends the run where the server would stop.
pub fn run(
    setup: &Setup,
    arrivals: &mut dyn Iterator<Item = Arrival>,
    seed: u64,
    sink: &mut dyn Sink,
) -> Result<Run, Error> {
    let mut stage = Stage::new(setup, arrivals, seed, sink)?;
    while let Some(now) = stage.post.next() {
        if stage.is_over(now) {
            break;
        }
        stage.post.now = now;
        stage.moment();
        if let Some(stopped) = stage.stopped.take() {
            return Err(stopped);
        }
    }
    Ok(stage.close())
}

/// Everything there is in a run.
struct Stage<'a> {
    setup: &'a Setup,
    post: Post,
    server: Server<'a>,
    agents: Vec<Agent>,
    /// Agents that may have something to think about.
    stirred: Vec<Seat>,
    tenants: Tenants,
    truth: Truth,
    arrivals: &'a mut dyn Iterator<Item = Arrival>,
    next: Option<Arrival>,
    samples: Vec<Sample>,
    stopped: Option<Error>,
    /// Whether all jobs had ended when the run was over.
    settled: bool,
    audited: u64,
}

impl<'a> Stage<'a> {
    fn new(
        setup: &'a Setup,
        arrivals: &'a mut dyn Iterator<Item = Arrival>,
        seed: u64,
        sink: &'a mut dyn Sink,
    ) -> Result<Self, Error> {
        let now = Moment(setup.start.0.saturating_sub(LEAD.0));
        let mut post = Post::new(setup, now, seed);
        let judge = match setup.audit {
            Audit::Steps => Judge::default(),
            Audit::Everything => Judge::of_everything(),
        };
        let mut truth = Truth {
            jobs: Jobs::default(),
            speeds: setup.speeds.clone(),
            judge,
            sabotage: setup.sabotage,
            kept: Kept::default(),
        };
        let keep = setup.audit == Audit::Everything || setup.faults.crashes();
        let log = Log::new(keep, sink);
        let tally = Tally::new(setup.start);
        let mut server = Server::new(now, setup.settings.clone(), setup.sabotage, log, tally);
        let mut tenants = Tenants::default();
        let mut around = Around { post: &mut post, truth: &mut truth, tenants: &mut tenants };
        server.create(NetworkUid::from_bytes(seed.to_be_bytes()), &mut around);
        server.found(setup, &mut around).map_err(|said| Error::Unfit {
            said: format!("the network cannot be set up: {said}"),
            help: "mend its declaration".to_owned(),
        })?;
        let agents = agents(setup, &server, &mut post);
        let mut stage = Self {
            setup,
            post,
            server,
            agents,
            stirred: Vec::new(),
            tenants,
            truth,
            arrivals,
            next: None,
            samples: Vec::new(),
            stopped: None,
            settled: false,
            audited: 0,
        };
        stage.begin();
        Ok(stage)
    }

    /// Plans what happens in any case.
    fn begin(&mut self) {
        for seat in 0..self.agents.len() {
            let seat = Seat::try_from(seat).expect("a network has few centers");
            self.post.after(Span::ZERO, Happening::Up(seat, 0));
        }
        self.post.after(self.setup.timing.tick, Happening::Tick);
        if self.setup.timing.sample.is_some() {
            self.post.at(self.setup.start, Happening::Sample);
        }
        for (at, planned) in self.setup.faults.planned.iter().enumerate() {
            self.post.at(self.setup.start + planned.after, Happening::Fault(at));
        }
        for (after, wish) in &self.setup.wishes {
            let wanted = Happening::Want(Box::new(wish.clone()));
            self.post.at(self.setup.start + *after, wanted);
        }
        if self.setup.faults.any() {
            self.post.at(self.setup.start + CARE, Happening::Care);
        }
        self.expect_arrival(Span::ZERO);
    }

    fn expect_arrival(&mut self, not_before: Span) {
        self.next = self.arrivals.next();
        let Some(arrival) = &self.next else { return };
        if arrival.after < not_before {
            let (number, at) = (self.tenants.arrived, arrival.after);
            self.stopped = Some(Error::Unfit {
                said: format!("arrival {number} is {at} after the start, before the one ahead"),
                help: "sort the load by time".to_owned(),
            });
        } else {
            self.post.at(self.setup.start + arrival.after, Happening::Arrival);
        }
    }

    /// Lets everything happen that happens now: to the world outside first, then each agent thinks
    /// once, then the server takes one step.
    fn moment(&mut self) {
        while let Some(what) = self.post.take() {
            self.happen(what);
        }
        let mut stirred = std::mem::take(&mut self.stirred);
        stirred.sort_unstable();
        stirred.dedup();
        for seat in stirred {
            let agent = &mut self.agents[usize::from(seat)];
            if agent.is_due(self.post.now) {
                agent.think(&mut self.post, &mut self.truth);
            }
        }
        let before = self.server.log.head.number;
        let mut around =
            Around { post: &mut self.post, truth: &mut self.truth, tenants: &mut self.tenants };
        self.server.step(&mut around);
        if self.setup.audit == Audit::Everything && self.server.log.head.number > before {
            self.audit();
        }
    }

    /// Judges the whole world, and now and then whether the log still amounts to it.
    fn audit(&mut self) {
        if !self.server.is_up {
            return;
        }
        let world = self.server.controller.world();
        self.truth.judge.take(audit::world(world));
        self.audited += 1;
        if self.audited.is_multiple_of(64) {
            let records = self.server.log.kept.as_deref().unwrap_or_default();
            self.truth.judge.take(audit::replay(world, records));
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Arrival => self.arrival(),
            Happening::Call(call) => self.server.called(*call, self.post.now),
            Happening::Answer(to, answer) => {
                let agent = &mut self.agents[usize::from(to.seat)];
                if agent.life != to.life || !agent.is_up {
                    return;
                }
                if agent.idle_until > self.post.now {
                    let until = agent.idle_until;
                    self.post.at(until, Happening::Answer(to, answer));
                    return;
                }
                agent.answered(to.call, *answer, &mut self.post);
                self.stirred.push(to.seat);
            }
            Happening::CallAgain(caller) => {
                let agent = &mut self.agents[usize::from(caller.seat)];
                if agent.life == caller.life && agent.is_up {
                    if agent.idle_until > self.post.now {
                        let until = agent.idle_until;
                        self.post.at(until, Happening::CallAgain(caller));
                    } else {
                        agent.call_again(caller.call, &mut self.post);
                    }
                }
            }
            Happening::Answered(ask, job) => self.tenants.answered(ask, job, &mut self.post),
            Happening::AskAgain(ask) => self.tenants.send(ask, &mut self.post),
            Happening::Want(command) => self.tenants.ask(*command, None, &mut self.post),
            Happening::Due(seat, attempt) => {
                let agent = &mut self.agents[usize::from(seat)];
                agent.due(attempt, &mut self.post, &mut self.truth, &mut self.tenants);
                self.stirred.push(seat);
            }
            Happening::Copied(seat, life, transfer) => self.copied(seat, life, transfer),
            Happening::Inner(seat, life, event) => {
                let agent = &mut self.agents[usize::from(seat)];
                if agent.life == life && agent.is_up {
                    agent.push(*event);
                    self.stirred.push(seat);
                }
            }
            Happening::PollOver(seat) => {
                if self.server.is_up {
                    self.server.poll_over(seat, &mut self.post);
                }
            }
            Happening::Solved(life, plan) => {
                if self.server.life == life {
                    self.server.input(Input::Solved(plan));
                }
            }
            Happening::Archived(life, jobs) => {
                if self.server.life == life {
                    self.server.input(Input::Archived(jobs));
                }
            }
            Happening::Tick => {
                self.server.input(Input::Tick);
                self.post.after(self.setup.timing.tick, Happening::Tick);
            }
            Happening::Wake => self.server.wake(),
            Happening::Sample => self.sample(),
            Happening::Fault(at) => self.fault(at),
            Happening::Up(seat, life) => self.up(seat, life),
            Happening::Dies(seat, life) if self.agents[usize::from(seat)].life == life => {
                let back = self.post.some(self.post.timing.patience);
                self.fall(seat, back);
            }
            Happening::Dies(..) => {}
            Happening::ServerUp => self.server.rise(self.post.now),
            Happening::Care => self.care(),
            Happening::Recalled(back) => self.recalled(&back.0, &back.1, back.2),
        }
    }

    /// Looks whether guests have left what an owner took back, by the engines' own books.
    fn recalled(&mut self, center: &CenterId, pool: &PoolId, chips: Chips) {
        let world = self.server.controller.world();
        let Some(declared) = world.centers.get(center).and_then(|state| state.center.pool(pool))
        else {
            return;
        };
        // Another recall may have taken its place, or it is over.
        let holds = world.recall_of(center, pool);
        if holds.is_none_or(|recalled| recalled.chips < chips) {
            return;
        }
        let left = declared.chips() - chips;
        let guests = self.truth.judge.running_at(center).filter_map(|attempt| {
            let (job, live) = (world.job(attempt.job)?, world.live_attempt(attempt)?);
            let place = live.placement.parts.iter().filter(|part| part.pool == *pool);
            let used = place.map(model::PartPlacement::chips);
            let is_guest = !world.is_at_home(&job.spec.tenant, center);
            is_guest.then(|| used.fold(Chips::ZERO, Chips::saturating_add))
        });
        let guests = guests.fold(Chips::ZERO, Chips::saturating_add);
        self.server.counts.recalls += 1;
        self.server.counts.recalls_kept += u64::from(guests <= left);
        if guests > left && !self.setup.faults.any() {
            let what =
                format!("guests have {guests} chips of {center}/{pool}: {left} are left them");
            self.truth.judge.say(Promise::Lending, what);
        }
    }

    fn arrival(&mut self) {
        let Some(arrival) = self.next.take() else { return };
        self.tenants.submit(&arrival, &mut self.post);
        self.expect_arrival(arrival.after);
    }

    fn sample(&mut self) {
        let Some(every) = self.setup.timing.sample else { return };
        let world = self.server.controller.world();
        let busy = self.agents.iter().map(|agent| agent.engine.busy);
        self.samples.push(Sample {
            at: self.post.now.since(self.setup.start),
            busy: busy.fold(Chips::ZERO, Chips::saturating_add),
            placed: world.all_live().count(),
            waiting: world.waiting_len(),
            transfers: world.transfers.len(),
        });
        self.post.after(every, Happening::Sample);
    }

    fn fault(&mut self, at: usize) {
        let Some(planned) = self.setup.faults.planned.get(at) else { return };
        match &planned.fault {
            Fault::ServerDies { back } => self.server.doomed = Some(*back),
            Fault::AgentDies { center, back } => {
                let Some(seat) = self.server.seats().get(center).copied() else { return };
                self.fall(seat, *back);
            }
            Fault::HostsDie { center, back, declared, wiped } => {
                let Some(seat) = self.server.seats().get(center).copied() else { return };
                self.fall(seat, *back);
                let agent = &mut self.agents[usize::from(seat)];
                agent.down_until = agent.down_until.max(self.post.now + *back);
                for attempt in agent.engine.lose_all(self.post.now) {
                    self.truth.over(attempt, agent);
                }
                if *wiped {
                    agent.store.clear();
                    self.truth.kept.wipe(center);
                }
                if let Some(after) = declared.filter(|after| after < back) {
                    let lost = Box::new(Command::DeclareLost(center.clone()));
                    self.post.after(after, Happening::Want(lost));
                }
            }
            Fault::Cut { center, lasts, holds } => {
                let Some(seat) = self.server.seats().get(center).copied() else { return };
                let until = self.post.now + *lasts;
                self.post.cuts[usize::from(seat)] = Some(Cut { until, holds: *holds });
            }
            Fault::Rot { center } => {
                let Some(seat) = self.server.seats().get(center).copied() else { return };
                let copies = self.agents[usize::from(seat)].store.values_mut();
                copies.for_each(|copy| copy.damaged = true);
            }
            Fault::Slow { center, lasts } => {
                let Some(seat) = self.server.seats().get(center).copied() else { return };
                let agent = &mut self.agents[usize::from(seat)];
                agent.idle_until = self.post.now + *lasts;
                self.post.after(*lasts, Happening::Up(seat, agent.life));
            }
        }
    }

    fn fall(&mut self, seat: Seat, back: Span) {
        let agent = &mut self.agents[usize::from(seat)];
        agent.die();
        self.post.after(back, Happening::Up(seat, agent.life));
    }

    /// An agent starts or goes on. A center that its operator is just declaring lost stays down
    /// until that is done: their word must be true.
    fn up(&mut self, seat: Seat, life: u32) {
        let agent = &mut self.agents[usize::from(seat)];
        if agent.life != life {
            return;
        }
        if !agent.is_up {
            if agent.down_until > self.post.now || self.tenants.declares(&agent.center) {
                let later = agent.down_until.max(self.post.now + CARE);
                self.post.at(later, Happening::Up(seat, life));
                return;
            }
            agent.rise(&mut self.post);
        }
        self.stirred.push(seat);
    }

    /// Whether nothing more is to come.
    fn is_over(&mut self, next: Moment) -> bool {
        let nobody = self.next.is_none() && !self.tenants.is_waiting();
        let world = self.server.controller.world();
        if !self.server.halted.is_empty() || self.truth.judge.is_hopeless() {
            return true;
        }
        if self.server.is_up
            && nobody
            && self.post.is_calm()
            && world.jobs.len() == world.ended_len()
            && self.truth.judge.is_quiet()
        {
            self.settled = true;
            return true;
        }
        let limit = match self.setup.until {
            Some(until) => self.setup.start + until,
            None if self.setup.faults.any() => {
                self.setup.start + self.setup.faults.until + SETTLED_BY
            }
            None => Moment::MAX,
        };
        let still = next.since(self.server.wrote) > STILL
            && nobody
            && !self.setup.faults.any()
            && world.transfers.is_empty()
            && world.all_live().next().is_none();
        // What waits then fits nowhere: that is told, and no loss.
        self.settled |= still;
        next > limit || still
    }

    fn close(mut self) -> Run {
        let world = self.server.controller.world();
        let mut unfinished = 0;
        for job in world.jobs.iter() {
            if !matches!(job.phase, model::Phase::Ended { .. }) {
                unfinished += 1;
                self.server.tally.unended(job, &self.truth.jobs, self.post.now);
            }
        }
        let mut lent: BTreeMap<OwnerId, BTreeMap<String, ChipTime>> = BTreeMap::new();
        for ((lender, borrower), loan) in world.loans(self.post.now, |_, _| true) {
            let all =
                loan.days.values().fold(ChipTime::default(), |sum, day| sum.saturating_add(*day));
            lent.entry(lender).or_default().insert(borrower, all);
        }
        let records = self.server.log.kept.as_deref().unwrap_or_default();
        if self.server.halted.is_empty() {
            self.truth.judge.finish(world, records, self.settled);
        }
        Run {
            finished: self.server.tally.finished,
            unfinished,
            rejections: self.server.tally.reasons,
            samples: self.samples,
            lasted: self.post.now.since(self.setup.start),
            head: self.server.log.head,
            log_bytes: self.server.log.bytes,
            lent,
            counts: self.server.counts,
            violations: self.truth.judge.found,
        }
    }
}

impl Faults {
    fn crashes(&self) -> bool {
        self.planned.iter().any(|planned| matches!(planned.fault, Fault::ServerDies { .. }))
    }
}

/// The centers' agents with what their stores hold.
fn agents(setup: &Setup, server: &Server<'_>, post: &mut Post) -> Vec<Agent> {
    let mut stores: BTreeMap<Seat, BTreeMap<DatasetVersion, Copy>> = BTreeMap::new();
    for data in &setup.data {
        for seat in data.at.iter().filter_map(|center| server.seats().get(center)) {
            stores.entry(*seat).or_default().insert(data.data.clone(), data::copy_of(data));
        }
    }
    let missing = setup.sabotage == Some(Sabotage::MissingChips);
    let drift = i64::from(setup.faults.mishaps.drift_ppm);
    let centers = server.controller.world().centers.values();
    let agent = |(seat, state): (Seat, &world::CenterState)| {
        let ppm = if drift == 0 { 0 } else { post.rng.random_range(-drift..=drift) };
        let booted = Moment(post.now.0.saturating_sub(post.some(Span::from_secs(86_400)).0));
        let mut agent = Agent::new(seat, &state.center, Clock::new(booted, ppm), missing);
        agent.store = stores.remove(&seat).unwrap_or_default();
        agent
    };
    (0..).zip(centers).map(agent).collect()
}
