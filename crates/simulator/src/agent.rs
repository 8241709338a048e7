//! A center's agent: the real reconciler, with simulated hands.

use crate::engine::{Became, Engine, Launch, pour, together};
use crate::fault::Sabotage;
use crate::load::{Actual, Ending};
use crate::post::{Answer, Call, Caller, Happening, Post, Seat};
use crate::tenant::Tenants;
use crate::truth::Truth;
use controller::{Change, Command, Of};
use model::{
    AttemptId, Bytes, Center, CenterId, DatasetVersion, Digest, Ended, Moment, Outcome, Span,
    TransferId,
};
use reconciler::{Abilities, Action, Event, Reconciler, Seen};
use std::collections::BTreeMap;
use wire::{MadeOutput, Run, RunOutput, Send, Stage};

/// How many reports go in one message.
const REPORTS_AT_ONCE: usize = 2_000;
/// How long the store takes to take something in, or to read it.
const STORE_TAKES: Span = Span(50);
/// How long a false end takes to be seen, when that bug is planted.
const FALSE_END: Span = Span(1_500);

/// A copy in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Copy {
    pub(crate) bytes: Bytes,
    pub(crate) files: u64,
    pub(crate) damaged: bool,
}

/// A center: what is there, and the agent that speaks for it.
pub(crate) struct Agent {
    pub(crate) seat: Seat,
    pub(crate) center: CenterId,
    pub(crate) engine: Engine,
    pub(crate) store: BTreeMap<DatasetVersion, Copy>,
    /// How much that may be.
    capacity: Bytes,
    /// Counts the agent's processes; what reaches an older one is lost.
    pub(crate) life: u32,
    pub(crate) is_up: bool,
    /// It does nothing before.
    pub(crate) idle_until: Moment,
    /// Its hosts are down until then, whatever else befalls them meanwhile.
    pub(crate) down_until: Moment,
    pub(crate) clock: Clock,
    mind: Reconciler,
    batch: Vec<Event>,
    fetching: BTreeMap<TransferId, Box<Stage>>,
    sending: BTreeMap<TransferId, Box<Send>>,
    line: Line,
}

/// The agent's side of the conversation: at most one call of each kind under way.
#[derive(Debug, Default)]
struct Line {
    session: Option<u64>,
    /// The newest orders it has.
    after: u64,
    calls: u64,
    joining: Option<u64>,
    /// With the time on its own clock at which it was sent.
    polling: Option<(u64, u64)>,
    /// With how many reports; no call while there is no session.
    reporting: Option<(Option<u64>, usize)>,
}

/// A host's clock that counts from its boot, a little wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    booted: Moment,
    /// Millionths it is too fast, or too slow.
    drift_ppm: i64,
}

impl Clock {
    pub(crate) const fn new(booted: Moment, drift_ppm: i64) -> Self {
        Self { booted, drift_ppm }
    }

    fn read(self, now: Moment) -> u64 {
        scale(now.since(self.booted).0, 1_000_000 + self.drift_ppm, 1_000_000)
    }

    /// The moment at which it will show `time`.
    fn moment(self, time: u64) -> Moment {
        self.booted + Span(scale(time, 1_000_000, 1_000_000 + self.drift_ppm))
    }
}

fn scale(time: u64, times: i64, by: i64) -> u64 {
    let scaled = i128::from(time) * i128::from(times) / i128::from(by);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

impl Agent {
    pub(crate) fn new(seat: Seat, center: &Center, clock: Clock, missing_chips: bool) -> Self {
        Self {
            seat,
            center: center.center.clone(),
            engine: Engine::new(center, missing_chips),
            store: BTreeMap::new(),
            capacity: center.store.unwrap_or_default(),
            life: 0,
            is_up: false,
            idle_until: Moment::ZERO,
            down_until: Moment::ZERO,
            clock,
            mind: Reconciler::new(Abilities::default()),
            batch: Vec::new(),
            fetching: BTreeMap::new(),
            sending: BTreeMap::new(),
            line: Line::default(),
        }
    }

    /// Its process is gone, and with it all it remembered.
    pub(crate) fn die(&mut self) {
        self.life += 1;
        self.is_up = false;
        self.mind = Reconciler::new(Abilities::default());
        self.batch.clear();
        self.fetching.clear();
        self.sending.clear();
        self.line = Line::default();
        self.idle_until = Moment::ZERO;
    }

    /// Its process starts.
    pub(crate) fn rise(&mut self, post: &mut Post) {
        self.is_up = true;
        self.batch.push(Event::LookedAround(self.engine.look_around()));
        self.join(post);
    }

    /// Something beside the conversation reaches it.
    pub(crate) fn push(&mut self, event: Event) {
        self.batch.push(event);
    }

    /// Whether it has something to think about and can.
    pub(crate) fn is_due(&self, now: Moment) -> bool {
        self.is_up
            && self.idle_until <= now
            && (!self.batch.is_empty() || self.engine.has_changed())
    }

    fn caller(&mut self, answer_within: Span, post: &mut Post) -> Caller {
        self.line.calls += 1;
        let caller = Caller { seat: self.seat, life: self.life, call: self.line.calls };
        if post.needs_patience {
            let Post { timing, .. } = *post;
            let due = answer_within + timing.latency + timing.latency + timing.patience;
            post.after(due, Happening::CallAgain(caller));
        }
        caller
    }

    fn join(&mut self, post: &mut Post) {
        self.line.session = None;
        self.line.polling = None;
        let from = self.caller(Span::ZERO, post);
        self.line.joining = Some(from.call);
        post.call(Some(self.seat), Call::Join(from));
    }

    fn poll(&mut self, post: &mut Post) {
        let Some(session) = self.line.session else { return };
        let lease = self.mind.shortest_lease().map_or(Span::MAX, |lease| Span(lease.0 / 3));
        let wait = post.timing.poll.min(lease);
        let from = self.caller(wait, post);
        self.line.polling = Some((from.call, self.clock.read(post.now)));
        let call = Call::Poll { from, session, after: self.line.after, wait };
        post.call(Some(self.seat), call);
    }

    /// Sends what is in the outbox, or again what was sent before.
    fn report(&mut self, again: bool, post: &mut Post) {
        let (Some(session), true) = (self.line.session, again || self.line.reporting.is_none())
        else {
            return;
        };
        let most = self.line.reporting.map_or(REPORTS_AT_ONCE, |(_, count)| count);
        let reports: Vec<wire::Report> = self.mind.reports().take(most).cloned().collect();
        if reports.is_empty() {
            self.line.reporting = None;
            return;
        }
        let from = self.caller(Span::ZERO, post);
        self.line.reporting = Some((Some(from.call), reports.len()));
        post.call(Some(self.seat), Call::Reports { from, session, reports });
    }

    /// The server's answer arrives; only the one that is waited for counts.
    pub(crate) fn answered(&mut self, call: u64, answer: Answer, post: &mut Post) {
        let reporting = self.line.reporting.filter(|(own, _)| *own == Some(call));
        let polling = self.line.polling.filter(|(own, _)| *own == call);
        match answer {
            Answer::Joined { session } if self.line.joining == Some(call) => {
                self.line.joining = None;
                self.line.session = Some(session);
                self.line.after = 0;
                self.batch.push(Event::Joined { data: self.store.keys().cloned().collect() });
                self.poll(post);
                self.report(true, post);
            }
            Answer::Orders { revision, full, orders } => {
                let Some((_, sent)) = polling else { return };
                self.line.after = revision.max(1);
                self.batch.push(Event::Renewed { sent });
                if full || !orders.is_empty() {
                    if post.befalls(post.mishaps.doubled) {
                        let orders = orders.clone();
                        self.batch.push(Event::Orders { full, orders });
                    }
                    self.batch.push(Event::Orders { full, orders });
                }
                self.poll(post);
            }
            Answer::Acknowledged => {
                let Some((_, count)) = reporting else { return };
                self.line.reporting = None;
                self.batch.push(Event::Acknowledged(count));
            }
            Answer::StaleSession if polling.is_some() || reporting.is_some() => {
                if let Some((own, _)) = &mut self.line.reporting {
                    *own = None;
                }
                if self.line.joining.is_none() {
                    self.join(post);
                }
            }
            Answer::Refused if self.line.joining == Some(call) => {
                let caller = Caller { seat: self.seat, life: self.life, call };
                post.after(post.timing.patience, Happening::CallAgain(caller));
            }
            Answer::Joined { .. } | Answer::StaleSession | Answer::Refused => {}
        }
    }

    /// An answer should have come by now.
    pub(crate) fn call_again(&mut self, call: u64, post: &mut Post) {
        if self.line.joining == Some(call) {
            self.join(post);
        }
        if self.line.polling.is_some_and(|(own, _)| own == call) {
            self.poll(post);
        }
        if self.line.reporting.is_some_and(|(own, _)| own == Some(call)) {
            self.report(true, post);
        }
    }

    /// Thinks about what reached it, and does what it decides.
    pub(crate) fn think(&mut self, post: &mut Post, truth: &mut Truth) {
        loop {
            let seen = self.engine.look();
            if !seen.is_empty() {
                self.batch.push(Event::Observed(seen));
            }
            if self.batch.is_empty() {
                break;
            }
            if self.batch.iter().any(Event::changes_the_store) {
                self.batch.push(Event::Room { capacity: self.capacity, stored: self.stored() });
            }
            let batch = std::mem::take(&mut self.batch);
            let actions = self.mind.step(self.clock.read(post.now), batch);
            for action in actions {
                self.act(action, post, truth);
            }
        }
        self.report(false, post);
    }

    fn act(&mut self, action: Action, post: &mut Post, truth: &mut Truth) {
        let now = post.now;
        match action {
            Action::Launch { run, lease } => self.launch(&run, lease, post, truth),
            Action::Stop { attempt, .. } => {
                if let Some(due) = self.engine.stop(attempt, now) {
                    post.at(due, Happening::Due(self.seat, attempt));
                }
            }
            Action::ExtendLease { attempt, until } => {
                let until = self.clock.moment(until);
                if let Some(due) = self.engine.extend(attempt, until, now) {
                    post.at(due, Happening::Due(self.seat, attempt));
                }
            }
            Action::KeepOutputs { attempt, outputs } => self.keep(attempt, &outputs, post),
            Action::Settle { attempt } => self.engine.forget(attempt),
            Action::Fetch(stage) => {
                let (transfer, takes) =
                    (stage.transfer, pour(stage.bytes, &together(&stage.sources)));
                self.fetching.insert(transfer, stage);
                post.after(takes, Happening::Copied(self.seat, self.life, transfer));
            }
            Action::Send(order) => {
                let (transfer, takes) = (order.transfer, pour(order.bytes, &order.steps));
                self.sending.insert(transfer, order);
                post.after(takes, Happening::Copied(self.seat, self.life, transfer));
            }
            Action::Abandon { transfer } => {
                self.fetching.remove(&transfer);
                self.sending.remove(&transfer);
            }
            Action::Verify { data } => {
                let whole = self.store.get(&data).filter(|copy| !copy.damaged);
                let whole = whole.map(|copy| (copy.bytes, copy.files)).ok_or(1);
                if whole.is_err() {
                    self.store.remove(&data);
                }
                self.inner(Event::Verified { data, whole }, STORE_TAKES, post);
            }
            Action::Remove { data, .. } => {
                self.store.remove(&data);
                self.batch.push(Event::Removed { data, gone: true });
            }
            // Its links are as good as declared, and it has no external stores.
            Action::Measure(_)
            | Action::Expect(_)
            | Action::Test(_)
            | Action::Bring { .. }
            | Action::Archive { .. }
            | Action::Read { .. } => {}
        }
    }

    /// Lets something reach this process of the agent later.
    fn inner(&self, event: Event, after: Span, post: &mut Post) {
        post.after(after, Happening::Inner(self.seat, self.life, Box::new(event)));
    }

    fn launch(&mut self, run: &Run, lease: Option<u64>, post: &mut Post, truth: &mut Truth) {
        let attempt = run.attempt;
        if self.engine.knows(attempt) {
            return;
        }
        let bound = truth.jobs.get(attempt.job);
        if bound.is_none() || post.befalls(post.mishaps.not_started) {
            let why = "the engine would not".to_owned();
            self.batch.push(Event::NotStarted { attempt, outcome: Outcome::NotStarted { why } });
            return;
        }
        if post.befalls(post.mishaps.cut_short) {
            self.engine.launch_by_half(attempt);
            post.at(post.now, Happening::Dies(self.seat, self.life));
            return;
        }
        let nothing = Actual { work: Span(1), kind: 0, ending: Ending::Success };
        let (actual, variant) = bound.map_or((nothing, 0), |b| (b.actual, b.variant));
        let launch = Launch {
            run,
            now: post.now,
            lease: lease.map(|lease| self.clock.moment(lease)),
            actual,
            speed: truth.speeds.of_attempt(run.chip.as_ref(), actual.kind, variant),
            dying: post.some(post.timing.dying),
            kept: truth.kept.at(attempt.job, &self.center),
        };
        let (due, wrong) = self.engine.launch(&launch);
        post.at(due, Happening::Due(self.seat, attempt));
        truth.judge.launched(&self.center, attempt, wrong);
        if truth.sabotage == Some(Sabotage::EarlyEnds) {
            let outcome = Outcome::Exited { code: 0 };
            let ended = Ended { outcome, ran: FALSE_END, cpu: Span::ZERO, memory: Bytes::ZERO };
            let seen = BTreeMap::from([(attempt, Seen::Ended(ended))]);
            self.inner(Event::Observed(seen), FALSE_END, post);
        }
    }

    fn keep(&mut self, attempt: AttemptId, outputs: &[RunOutput], post: &mut Post) {
        let (bytes, files) = (Bytes(1 << 20), 1);
        let made = outputs.iter().map(|output| {
            let version = Digest::of(format!("{attempt} {}", output.name).as_bytes());
            let data = DatasetVersion { dataset: output.dataset.clone(), version };
            MadeOutput { name: output.name.clone(), data, bytes, files }
        });
        let made: Vec<MadeOutput> = made.collect();
        for output in &made {
            let copy = Copy { bytes, files, damaged: false };
            self.store.insert(output.data.clone(), copy);
        }
        self.inner(Event::OutputsKept { attempt, outputs: Ok(made) }, STORE_TAKES, post);
    }

    /// Something is due for an attempt here, whether the agent lives or not.
    pub(crate) fn due(
        &mut self,
        attempt: AttemptId,
        post: &mut Post,
        truth: &mut Truth,
        tenants: &mut Tenants,
    ) {
        let later = match self.engine.due(attempt, post.now) {
            Became::Nothing => return,
            Became::Over => {
                truth.over(attempt, self);
                return;
            }
            Became::Later(at) => at,
            Became::Canceled(at) => {
                tenants.ask(Command::Change(Of::Job(attempt.job), Change::Cancel), None, post);
                at
            }
        };
        if later < Moment::MAX {
            post.at(later, Happening::Due(self.seat, attempt));
        }
    }

    fn stored(&self) -> Bytes {
        self.store.values().map(|copy| copy.bytes).sum()
    }

    /// Whether so much more can be stored.
    pub(crate) fn has_room(&self, bytes: Bytes) -> bool {
        self.stored().saturating_add(bytes) <= self.capacity
    }

    /// The copy that a transfer of this process should have brought by now.
    pub(crate) fn copied(&mut self, transfer: TransferId) -> Option<Box<Stage>> {
        self.fetching.remove(&transfer)
    }

    /// The copy that this process should have sent by now.
    pub(crate) fn sent(&mut self, transfer: TransferId) -> Option<Box<Send>> {
        self.sending.remove(&transfer)
    }
}
