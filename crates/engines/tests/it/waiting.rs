//! Attempts that a batch system lets wait.

use crate::{attempt, fresh_network};
use engines::batch::{Entry, Phase, Queue, Ticket};
use engines::{
    BatchConfig, BatchEngine, Capacity, Engine, Error, Launch, RunAs, State, SupervisorCommand,
};
use model::{AttemptId, Bytes, Cores, NetworkUid, Span, TenantId};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// A batch system that has no room.
#[derive(Debug, Clone, Default)]
struct Full(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    entries: Vec<Entry>,
    canceled: Vec<String>,
    /// Whether it answers nobody.
    is_silent: bool,
    /// Whether it takes what it is given and does not say so, nor what it has by a name.
    loses_answers: bool,
    /// How long it takes to answer who gives it something.
    slow: Duration,
    /// How many commands it was given, and how many of them it has taken.
    given: usize,
    taken: usize,
}

impl Known {
    fn unless_lost<T>(&self, answer: T) -> Result<T, Error> {
        match self.loses_answers {
            true => Err(Error::Silent { who: "Full", said: "the answer was lost".to_owned() }),
            false => Ok(answer),
        }
    }
}

impl Full {
    fn answer(&self) -> Result<Vec<Entry>, Error> {
        let known = self.0.lock().unwrap();
        match known.is_silent {
            true => Err(Error::Silent { who: "Full", said: "nobody is there".to_owned() }),
            false => Ok(known.entries.clone()),
        }
    }

    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().entries.iter().map(|entry| entry.name.clone()).collect()
    }

    fn lose_answers(&self, loses_answers: bool) {
        self.0.lock().unwrap().loses_answers = loses_answers;
    }

    fn be_silent(&self, is_silent: bool) {
        self.0.lock().unwrap().is_silent = is_silent;
    }
}

impl Queue for Full {
    fn kind(&self) -> &'static str {
        "full"
    }

    fn version(&self) -> &str {
        "1"
    }

    fn user(&self, _: Option<&TenantId>) -> Option<RunAs> {
        None
    }

    async fn submit(&self, ticket: &Ticket<'_>) -> Result<Entry, Error> {
        self.answer()?;
        let phase = Phase::Waiting("Resources".to_owned());
        let entry = Entry { number: "7".to_owned(), name: ticket.name.to_owned(), phase };
        let slow = {
            let mut known = self.0.lock().unwrap();
            known.given += 1;
            known.slow
        };
        tokio::time::sleep(slow).await;
        let mut known = self.0.lock().unwrap();
        known.entries.push(entry.clone());
        known.taken += 1;
        known.unless_lost(entry)
    }

    async fn named(&self, name: &str) -> Result<Vec<Entry>, Error> {
        let named = self.answer()?.into_iter().filter(|entry| entry.name == name).collect();
        self.0.lock().unwrap().unless_lost(named)
    }

    async fn active(&self, _prefix: &str) -> Result<Vec<Entry>, Error> {
        self.answer()
    }

    async fn cancel(&self, entry: &Entry) -> Result<(), Error> {
        self.answer()?;
        // As long as a command takes: whoever does not wait for it is gone before.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut known = self.0.lock().unwrap();
        known.entries.retain(|one| one.name != entry.name);
        known.canceled.push(entry.name.clone());
        Ok(())
    }

    async fn capacity(&self) -> Result<Capacity, Error> {
        Ok(Capacity { cpu: Cores(1_000), memory: Bytes(1 << 30) })
    }
}

struct Ground {
    dir: TempDir,
    network: NetworkUid,
    queue: Full,
    engine: BatchEngine<Full>,
    attempt: AttemptId,
}

impl Ground {
    /// With an attempt that was given to it.
    async fn with(queue: Full) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let network = fresh_network();
        let engine = Self::open(&dir, network, &queue).await;
        let launch = Launch::new(network, attempt(1), vec!["true".to_owned()]);
        engine.launch(&launch).await.unwrap();
        Self { dir, network, queue, engine, attempt: launch.attempt }
    }

    async fn open(dir: &TempDir, network: NetworkUid, queue: &Full) -> BatchEngine<Full> {
        let program = env!("CARGO_BIN_EXE_portolan-supervise").into();
        let config = BatchConfig {
            base: dir.path().to_owned(),
            network,
            supervisor: SupervisorCommand { program, arguments: Vec::new() },
            ask_every: Duration::from_millis(100),
        };
        BatchEngine::open(config, queue.clone()).await.unwrap()
    }

    /// Waits until it is told that the attempt waits for what contains this.
    async fn waits(&self, wanted: &str) {
        let mut last = None;
        for _ in 0..600 {
            let state = self.engine.find(self.attempt).await.unwrap();
            if let Some(State::Starting { why: Some(why) }) = &state
                && why.contains(wanted)
            {
                return;
            }
            last = state;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it should wait, as {wanted}; it is {last:?}");
    }
}

#[tokio::test]
async fn what_it_waits_for_is_told_as_long_as_somebody_says_so() {
    let ground = Ground::with(Full::default()).await;
    ground.waits("Resources").await;
    ground.queue.be_silent(true);
    ground.waits("nobody is there").await;
    ground.queue.be_silent(false);
    ground.waits("Resources").await;
}

#[tokio::test]
async fn what_cannot_be_entered_yet_says_why_until_it_is() {
    let queue = Full::default();
    queue.be_silent(true);
    let ground = Ground::with(queue).await;
    ground.waits("nobody is there").await;
    assert_eq!(ground.engine.called(ground.attempt), None);
    ground.queue.be_silent(false);
    ground.waits("Resources").await;
    assert_eq!(ground.engine.called(ground.attempt).as_deref(), Some("7"));
}

#[tokio::test]
async fn what_it_is_called_there_is_known_after_a_restart_though_nobody_answers() {
    let Ground { dir, network, queue, engine, attempt } = Ground::with(Full::default()).await;
    while engine.called(attempt).is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(engine);
    queue.be_silent(true);
    let engine = Ground::open(&dir, network, &queue).await;
    assert_eq!(engine.called(attempt).as_deref(), Some("7"));
}

/// Whoever forgets it may be gone in the next moment, as a check is.
#[tokio::test]
async fn what_is_forgotten_before_it_ran_waits_no_more() {
    let ground = Ground::with(Full::default()).await;
    ground.waits("Resources").await;
    ground.engine.stop(ground.attempt, Span::ZERO).await.unwrap();
    ground.engine.forget(ground.attempt).await.unwrap();
    let known = ground.queue.0.lock().unwrap();
    assert_eq!(known.entries, []);
    assert!(known.canceled.iter().all(|name| name.ends_with("-1-1")), "{:?}", known.canceled);
    assert!(!known.canceled.is_empty());
}

impl Ground {
    async fn until(&self, what: &str, is_so: impl Fn(&Known) -> bool) {
        for _ in 0..600 {
            if is_so(&self.queue.0.lock().unwrap()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not so: {what}; {:?}", self.queue.0.lock().unwrap());
    }

    /// With an attempt that was entered, and stopped before anybody knew.
    async fn with_a_lost_answer() -> Self {
        let queue = Full::default();
        queue.lose_answers(true);
        let ground = Self::with(queue).await;
        ground.waits("the answer was lost").await;
        assert_eq!(ground.queue.names().len(), 1);
        ground.engine.stop(ground.attempt, Span::ZERO).await.unwrap();
        ground
    }
}

#[tokio::test]
async fn what_was_stopped_while_the_answer_was_lost_waits_no_more() {
    let ground = Ground::with_a_lost_answer().await;
    ground.queue.lose_answers(false);
    ground.until("it is ended", |known| known.entries.is_empty()).await;
}

#[tokio::test]
async fn what_is_forgotten_while_the_answer_was_lost_waits_no_more() {
    let ground = Ground::with_a_lost_answer().await;
    ground.engine.forget(ground.attempt).await.unwrap_err();
    ground.queue.lose_answers(false);
    ground.engine.forget(ground.attempt).await.unwrap();
    assert_eq!(ground.queue.names(), Vec::<String>::new());
}

#[tokio::test]
async fn all_that_was_entered_by_a_name_waits_no_more() {
    let ground = Ground::with_a_lost_answer().await;
    {
        let mut known = ground.queue.0.lock().unwrap();
        let again = Entry { number: "8".to_owned(), ..known.entries[0].clone() };
        known.entries.insert(0, again);
    }
    ground.queue.lose_answers(false);
    ground.engine.forget(ground.attempt).await.unwrap();
    assert_eq!(ground.queue.names(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_forgotten_while_it_is_entered_waits_no_more() {
    let queue = Full::default();
    queue.0.lock().unwrap().slow = Duration::from_millis(500);
    let ground = Ground::with(queue).await;
    ground.until("it is given", |known| known.given > 0).await;
    ground.engine.stop(ground.attempt, Span::ZERO).await.unwrap();
    ground.engine.forget(ground.attempt).await.unwrap();
    ground.until("it is ended", |known| known.taken > 0 && known.entries.is_empty()).await;
}

/// Nothing else tells when the node of such a one has died.
#[tokio::test]
async fn what_started_while_the_answer_was_lost_is_asked_about() {
    let queue = Full::default();
    queue.lose_answers(true);
    let ground = Ground::with(queue).await;
    ground.waits("the answer was lost").await;
    let dir = ground.engine.workdir(ground.attempt).unwrap();
    let claimed = serde_json::json!({"pid": 1, "start_ticks": 1, "boot": "0".repeat(32)});
    std::fs::write(dir.with_file_name("claim"), claimed.to_string()).unwrap();
    ground.queue.lose_answers(false);
    ground.waits("Resources").await;
    assert_eq!(ground.queue.names().len(), 1, "it is not entered again");
}
