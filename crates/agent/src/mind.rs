//! The agent's loop: what comes in goes to the reconciler, what it says is done.

mod launching;

use crate::checkpoints::Checkpoints;
use crate::measuring::{Answering, Ways};
use crate::reading::Addresses;
use crate::session::{Line, News, answer, listen, report};
use crate::settled::{self, FORGET_EVERY, Settled};
use crate::sight::sight;
use crate::staging::Fetches;
use crate::under_way::{self, Waits};
use crate::{Error, Shared, boot_now, copies, external, keeping, nodes, staging, witness};
use engines::{AnyEngine, BootTime, Engine, Observation, State, Stream};
use model::{AttemptId, DatasetVersion, NetworkUid};
use reconciler::{Abilities, Action, Event, Fetched, Reconciler, Seen};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use transfer::door::{self, Door};
use transfer::{Arrived, LocalStore};
use wire::{Answer, Ask, Joined, LogPiece, Question, Report};

/// How often everything the engine knows is looked at, whatever its hints.
const LOOK_AROUND: Duration = Duration::from_secs(5);
/// How many reports go in one message.
const REPORTS_AT_ONCE: usize = 2_000;

/// Runs until `stop`, or until the server turns out to be another network's: then everything is
/// opened anew by the caller's next start.
pub(crate) async fn run(
    shared: Arc<Shared>,
    listener: Option<TcpListener>,
    answering: Option<Answering>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let line = Arc::new(Line::new());
    let (news, mut inbox) = mpsc::channel(1_024);
    let mut tasks = JoinSet::new();
    tasks.spawn(listen(Arc::clone(&shared), Arc::clone(&line), news));
    let joined = tokio::select! {
        () = stop.cancelled() => return Ok(()),
        joined = line.joined() => joined,
        Some(ended) = tasks.join_next() => return ended.unwrap_or(Ok(())),
    };
    let engine = Arc::new(shared.settings.open_engine(joined.network).await?);
    let (events, mut happened) = mpsc::channel(1_024);
    if let Some(listener) = listener {
        tasks.spawn(open_door(Arc::clone(&shared), listener, joined.clone(), events.clone()));
    }
    let watching = witness::watch(Arc::clone(&shared), Arc::clone(&line));
    tasks.spawn(async move {
        watching.await;
        Ok(())
    });
    let client = shared.client.clone();
    let mut mind = Mind::new(shared, Arc::clone(&engine), line, joined.network, events);
    mind.answering = answering;
    let telling = under_way::tell(client, mind.fetches.seen(), Arc::clone(&mind.waits));
    tasks.spawn(async move {
        telling.await;
        Ok(())
    });
    let (watched, changes) = (Arc::clone(&mind.shared), mind.events.clone());
    tasks.spawn(async move {
        external::watch(watched, changes).await;
        Ok(())
    });
    let (counted, counts) = (Arc::clone(&mind.engine), mind.events.clone());
    tasks.spawn(async move {
        nodes::watch(counted, counts).await;
        Ok(())
    });
    mind.sweep().await;
    // Before the join is heard of, which tells the server what there is.
    let in_place = external::in_place(&mind.shared.store);
    mind.think(vec![in_place]).await;
    let mut look_around = tokio::time::interval(LOOK_AROUND);
    let mut forget = tokio::time::interval(FORGET_EVERY);
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(ended) = tasks.join_next() => return ended.unwrap_or(Ok(())),
            Some(item) = inbox.recv() => mind.news(item, &mut batch),
            Some(event) = happened.recv() => batch.push(event),
            changed = engine.changed() => mind.observe(changed, &mut batch).await,
            _ = look_around.tick() => mind.observe(Vec::new(), &mut batch).await,
            _ = forget.tick() => mind.forget_old(),
            Some(Ok(gone)) = mind.forgetting.join_next() => mind.forgot(&gone),
        }
        while let Ok(item) = inbox.try_recv() {
            mind.news(item, &mut batch);
        }
        while let Ok(event) = happened.try_recv() {
            batch.push(event);
        }
        mind.think(batch).await;
    }
}

/// Serves the store until the agent stops.
async fn open_door(
    shared: Arc<Shared>,
    listener: TcpListener,
    joined: Joined,
    events: mpsc::Sender<Event>,
) -> Result<(), Error> {
    let arrived = move |data: &DatasetVersion, replica: transfer::Replica, sent: Arrived| {
        let (bytes, files) = (replica.bytes, replica.files);
        let sent = Fetched { moved: sent.moved, corrupted: sent.corrupted };
        let stored = Event::Stored { data: data.clone(), bytes, files, sent };
        // Told again when asked again, should the agent be stopping.
        let _ = events.blocking_send(stored);
    };
    let door = Door {
        store: shared.store.clone(),
        center: joined.center,
        key: *joined.door_key.as_bytes(),
        now: Arc::new(wall_now),
        arrived: Arc::new(arrived),
        classes: shared.classes.clone(),
    };
    let at = listener.local_addr().map_err(|e| Error::Listen(([0, 0, 0, 0], 0).into(), e))?;
    door::serve(listener, door::router(door)).await.map_err(|e| Error::Listen(at, e))
}

/// The wall clock, for tickets that expire.
fn wall_now() -> model::Moment {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let ms = since.map_or(0, |since| since.as_millis());
    model::Moment(u64::try_from(ms).unwrap_or(u64::MAX))
}

/// The reconciler and its hands.
struct Mind {
    shared: Arc<Shared>,
    engine: Arc<AnyEngine>,
    line: Arc<Line>,
    network: NetworkUid,
    reconciler: Reconciler,
    events: mpsc::Sender<Event>,
    http: reqwest::Client,
    fetches: Fetches,
    addresses: Addresses,
    checkpoints: Checkpoints,
    answering: Option<Answering>,
    ways: Ways,
    /// Why attempts do not run yet, as far as the engine says so.
    waits: Arc<Waits>,
    /// Whether reports are on their way.
    reporting: bool,
    settled: Settled,
    /// At most one at a time.
    forgetting: JoinSet<BTreeSet<AttemptId>>,
}

impl Mind {
    fn new(
        shared: Arc<Shared>,
        engine: Arc<AnyEngine>,
        line: Arc<Line>,
        network: NetworkUid,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let checkpoints = Checkpoints::new(&shared.home.checkpoints(), network);
        let images = engine.capabilities().images;
        let abilities = Abilities { images, draining: shared.home.is_alarmed() };
        Self {
            shared,
            engine,
            line,
            network,
            reconciler: Reconciler::new(abilities),
            events,
            http: reqwest::Client::new(),
            fetches: Fetches::default(),
            addresses: Addresses::default(),
            checkpoints,
            answering: None,
            ways: Ways::default(),
            waits: Arc::default(),
            reporting: false,
            settled: Settled::default(),
            forgetting: JoinSet::new(),
        }
    }

    fn news(&mut self, news: News, batch: &mut Vec<Event>) {
        match news {
            // Looked up only here: what has come since the join was answered was told of before, and
            // must not be missing.
            News::Joined => {
                let data = self.shared.store.replicas().into_keys().collect();
                batch.push(Event::Joined { data });
            }
            News::Event(event) => batch.push(event),
            News::Asks(asks) => self.asked(asks),
        }
    }

    /// Looks at some attempts, or at all when none is named.
    async fn observe(&mut self, changed: Vec<AttemptId>, batch: &mut Vec<Event>) {
        let mut seen = BTreeMap::new();
        if changed.is_empty() {
            match self.engine.observe().await {
                Ok(all) => {
                    self.waits.are(&all);
                    for Observation { attempt, state } in all {
                        seen.insert(attempt, self.saw(attempt, state, batch));
                    }
                    let called = self.called(&seen);
                    batch.push(Event::LookedAround(seen));
                    batch.extend(called);
                }
                // Nobody knows what there is: nothing is concluded from it.
                Err(error) => tracing::warn!(%error, "the engine does not answer"),
            }
            return;
        }
        for attempt in changed {
            if let Some(state) = self.state_of(attempt).await {
                self.waits.is(attempt, &state);
                seen.insert(attempt, self.saw(attempt, state, batch));
            }
        }
        if !seen.is_empty() {
            let called = self.called(&seen);
            batch.push(Event::Observed(seen));
            batch.extend(called);
        }
    }

    /// What the engine calls those that were seen; to be told after that they were: of others nothing is
    /// noted.
    fn called(&self, seen: &BTreeMap<AttemptId, Seen>) -> Vec<Event> {
        let called = |attempt: &AttemptId| {
            let called = self.engine.called(*attempt)?;
            Some(Event::Entered { attempt: *attempt, called })
        };
        seen.keys().filter_map(called).collect()
    }

    fn saw(&mut self, attempt: AttemptId, state: State, batch: &mut Vec<Event>) -> Seen {
        batch.extend(self.checkpoints.look(attempt, &state));
        sight(state)
    }

    async fn state_of(&self, attempt: AttemptId) -> Option<State> {
        let found = self.engine.find(attempt).await;
        found.unwrap_or_else(|error| {
            tracing::warn!(%attempt, %error, "the engine does not answer");
            None
        })
    }

    /// Removes progress that was left behind long ago.
    async fn sweep(&self) {
        if let Ok(all) = self.engine.observe().await {
            self.checkpoints.sweep(&all.into_iter().map(|o| o.attempt.job).collect());
        }
    }

    async fn think(&mut self, mut batch: Vec<Event>) {
        if batch.iter().any(Event::changes_the_store) {
            batch.push(room(&self.shared.store));
        }
        while !batch.is_empty() {
            if batch.iter().any(|event| matches!(event, Event::Acknowledged(_))) {
                self.reporting = false;
            }
            let actions = self.reconciler.step(boot_now(), std::mem::take(&mut batch));
            self.carry_out(actions, &mut batch).await;
        }
        let lease = self.reconciler.shortest_lease().map_or(u64::MAX, |lease| lease.0 / 3);
        self.line.longest_poll.store(lease, Ordering::Relaxed);
        self.send_reports();
    }

    fn send_reports(&mut self) {
        if self.reporting {
            return;
        }
        let reports: Vec<Report> =
            self.reconciler.reports().take(REPORTS_AT_ONCE).cloned().collect();
        if reports.is_empty() {
            return;
        }
        self.reporting = true;
        let (shared, line) = (Arc::clone(&self.shared), Arc::clone(&self.line));
        let events = self.events.clone();
        tokio::spawn(async move {
            let count = report(shared, line, reports).await;
            events.send(Event::Acknowledged(count)).await.ok()
        });
    }

    /// Does what was decided in that order; only launches, which take the longest, overlap with those
    /// before and after them.
    async fn carry_out(&mut self, actions: Vec<Action>, batch: &mut Vec<Event>) {
        let mut launches = Vec::new();
        for action in actions {
            match action {
                Action::Launch { run, lease } => launches.push((run, lease)),
                other => {
                    self.launch_all(std::mem::take(&mut launches), batch).await;
                    self.act(other, batch).await;
                }
            }
        }
        self.launch_all(launches, batch).await;
    }

    async fn act(&mut self, action: Action, batch: &mut Vec<Event>) {
        match action {
            Action::Launch { run, lease } => self.launch_all(vec![(run, lease)], batch).await,
            Action::Stop { attempt, grace } => {
                if let Err(error) = self.engine.stop(attempt, grace).await {
                    tracing::warn!(%attempt, %error, "could not be told to stop");
                }
            }
            Action::ExtendLease { attempt, until } => {
                if let Err(error) = self.engine.extend_lease(attempt, BootTime(until)).await {
                    tracing::warn!(%attempt, %error, "its lease could not be extended");
                }
            }
            Action::KeepOutputs { attempt, outputs } => {
                let (shared, engine) = (Arc::clone(&self.shared), Arc::clone(&self.engine));
                let events = self.events.clone();
                tokio::task::spawn_blocking(move || {
                    let outputs = keeping::keep(&shared, &engine, attempt, &outputs);
                    events.blocking_send(Event::OutputsKept { attempt, outputs }).ok()
                });
            }
            Action::Settle { attempt } => {
                self.addresses.close(attempt);
                self.checkpoints.settled(attempt);
                // A timer has no logs.
                match &*self.engine {
                    AnyEngine::Timer(_) => {
                        let gone = self.forget(vec![attempt]).await;
                        self.forgot(&gone);
                    }
                    _ => self.settled.add(attempt),
                }
            }
            Action::Fetch(stage) => {
                let events = self.events.clone();
                self.fetches.begin(&self.shared, &self.http, *stage, events);
            }
            Action::Expect(stage) => staging::expect(&self.shared.store, *stage),
            Action::Send(order) => {
                self.fetches.send(&self.shared, &self.http, *order, self.events.clone());
            }
            Action::Test(test) => {
                self.fetches.load(&self.http, *test, self.events.clone());
            }
            Action::Measure(measure) => {
                self.fetches.report_every(measure.window);
                if let Some(answering) = &self.answering {
                    let clock = crate::wall_clock(&self.shared.settings);
                    self.ways.measure(measure, answering, clock, &self.events);
                }
            }
            Action::Read { attempt, inputs } => {
                let opened = self.addresses.open(&self.shared, &self.http, attempt, &inputs).await;
                if let Err(error) = opened {
                    tracing::error!(%attempt, %error, "it cannot read over the network");
                }
            }
            Action::Abandon { transfer } => self.fetches.abandon(transfer),
            Action::Bring { data } => {
                let (shared, events) = (Arc::clone(&self.shared), self.events.clone());
                tokio::spawn(external::bring(shared, data, events));
            }
            Action::Verify { data } => {
                let (store, events) = (self.shared.store.clone(), self.events.clone());
                tokio::spawn(async move {
                    let whole = copies::inspect(&store, &data).await;
                    events.send(Event::Verified { data, whole }).await.ok()
                });
            }
            Action::Archive { data, store } => {
                let (shared, events) = (Arc::clone(&self.shared), self.events.clone());
                tokio::spawn(external::archive(shared, data, store, events));
            }
            Action::Remove { data, keep_in_place } => {
                let (store, events) = (self.shared.store.clone(), self.events.clone());
                tokio::spawn(copies::remove(store, data, keep_in_place, events));
            }
        }
    }

    fn asked(&self, asks: Vec<Ask>) {
        let (shared, engine) = (Arc::clone(&self.shared), Arc::clone(&self.engine));
        tokio::spawn(async move {
            let mut answers = Vec::new();
            for Ask { ask, question } in asks {
                let Question::Log { attempt, stderr, offset, max } = question;
                let stream = if stderr { Stream::Stderr } else { Stream::Stdout };
                let max = usize::try_from(max.min(1 << 20)).unwrap_or(1 << 20);
                let log = engine.logs(attempt, stream, offset, max).await;
                let log = log.map(|chunk| LogPiece {
                    offset,
                    next: offset + chunk.data.len() as u64,
                    text: String::from_utf8_lossy(&chunk.data).into_owned(),
                    complete: chunk.complete,
                });
                answers.push(Answer { ask, log: log.map_err(|e| e.to_string()) });
            }
            answer(shared, answers).await;
        });
    }

    /// Lets go of attempts whose logs have been kept long enough, while everything else goes on.
    fn forget_old(&mut self) {
        let old = self.settled.old(&self.shared.settings);
        if self.forgetting.is_empty() && !old.is_empty() {
            self.forgetting.spawn(self.forget(old));
        }
    }

    fn forget(&self, old: Vec<AttemptId>) -> impl Future<Output = BTreeSet<AttemptId>> + use<> {
        settled::forget(Arc::clone(&self.shared), Arc::clone(&self.engine), old)
    }

    fn forgot(&mut self, gone: &BTreeSet<AttemptId>) {
        gone.iter().for_each(|attempt| self.checkpoints.forgotten(*attempt));
        self.settled.are_gone(gone);
    }
}

/// How large the store is.
fn room(store: &LocalStore) -> Event {
    let stored = store.replicas().values().map(|replica| replica.bytes).sum();
    Event::Room { capacity: stored + store.free(), stored }
}
