//! Attempts as entries of a batch system, each looked after by a supervisor on the node it was given.
//!
//! A batch system loses entries, starts them twice and calls others by their numbers; none of this
//! reaches an attempt. What decides is the attempt's directory, on a file system that all nodes share:
//! the first supervisor to claim it runs the command, every later one ends at once, and whatever the
//! batch system thinks of it, its result is the one that was written there. The batch system is asked
//! only about attempts without one, all in a single call.
//!
//! A new batch system is one file that implements [`Queue`]; `docs/engines.md` has the checklist.

mod call;
mod clerk;
mod desk;
mod gone;
mod known;
mod patience;
mod queue;
mod shelf;
mod wanted;

pub(crate) use call::{call, quoted};
pub(crate) use patience::span;
pub(crate) use queue::list;
pub use queue::{Entry, Open, Phase, Queue, Seen, Ticket};

use crate::ground::check_searchable;
use crate::process::{blocking, patiently};
use crate::{
    BootTime, Capabilities, Capacity, Enforcement, Engine, Error, Launch, LogChunk, Observation,
    PoolSize, State, Stream, SupervisorCommand,
};
use desk::Desk;
use known::Left;
use model::{AttemptId, NetworkUid, Span};
use shelf::Shelf;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How a [`BatchEngine`] is set up.
#[derive(Debug, Clone)]
pub struct BatchConfig {
    /// The directory for attempts, on a file system that this machine and all nodes share under the
    /// same path; each network has its own inside.
    pub base: PathBuf,
    /// Whose attempts: other networks' in the same directory are neither seen nor touched.
    pub network: NetworkUid,
    /// How a supervisor is started; its program is copied to where all nodes find it.
    pub supervisor: SupervisorCommand,
    /// How often the batch system is asked about attempts that have no result.
    pub ask_every: Duration,
}

/// Runs attempts by a batch system.
#[derive(Debug)]
pub struct BatchEngine<Q> {
    desk: Arc<Desk<Q>>,
    /// Those who enter and look; gone with the engine.
    _clerks: JoinSet<()>,
}

impl<Q: Queue> BatchEngine<Q> {
    /// Opens the directory, finds what is there, and enters what was not entered yet.
    pub async fn open(config: BatchConfig, queue: Q) -> Result<Self, Error> {
        let ask_every = config.ask_every;
        let shelf = patiently(|| {
            let config = config.clone();
            blocking(move || Shelf::open(config))
        });
        let shelf = shelf.await?;
        if queue.has_users() {
            check_searchable(&config.base)?;
        }
        let (desk, wanted) = Desk::new(shelf, queue)?;
        let desk = Arc::new(desk);
        let clerks = clerk::begin(&desk, wanted, ask_every);
        Ok(Self { desk, _clerks: clerks })
    }
}

impl<Q: Queue> Engine for BatchEngine<Q> {
    async fn launch(&self, launch: &Launch) -> Result<(), Error> {
        launch.check()?;
        let (desk, launch) = (Arc::clone(&self.desk), launch.clone());
        blocking(move || desk.launch(launch)).await
    }

    async fn find(&self, attempt: AttemptId) -> Result<Option<State>, Error> {
        self.at_desk(move |desk| desk.find(attempt)).await
    }

    async fn observe(&self) -> Result<Vec<Observation>, Error> {
        self.at_desk(|desk| Ok(desk.observe())).await
    }

    async fn stop(&self, attempt: AttemptId, grace: Span) -> Result<(), Error> {
        self.at_desk(move |desk| desk.stop(attempt, grace)).await
    }

    async fn extend_lease(&self, attempt: AttemptId, deadline: BootTime) -> Result<(), Error> {
        self.at_desk(move |desk| desk.extend_lease(attempt, deadline)).await
    }

    async fn logs(
        &self,
        attempt: AttemptId,
        stream: Stream,
        offset: u64,
        max: usize,
    ) -> Result<LogChunk, Error> {
        self.at_desk(move |desk| desk.logs(attempt, stream, (offset, max))).await
    }

    async fn capacity(&self) -> Result<Capacity, Error> {
        self.desk.queue.capacity().await
    }

    async fn nodes(&self) -> Result<BTreeMap<String, u32>, Error> {
        self.desk.queue.nodes().await
    }

    async fn pools(&self) -> Result<BTreeMap<String, PoolSize>, Error> {
        self.desk.queue.pools().await
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            engine: self.desk.queue.kind(),
            version: self.desk.queue.version().to_owned(),
            enforcement: Enforcement::Batch,
            own_uid: false,
            images: self.desk.queue.runs_images(),
        }
    }

    fn workdir(&self, attempt: AttemptId) -> Option<PathBuf> {
        self.desk.workdir(attempt)
    }

    fn called(&self, attempt: AttemptId) -> Option<String> {
        self.desk.called(attempt)
    }

    async fn forget(&self, attempt: AttemptId) -> Result<(), Error> {
        // Once it is forgotten nobody ends what is left of it.
        clerk::end_what_waits(&self.desk, attempt).await?;
        if let Left::Entry(entry) = self.at_desk(move |desk| desk.forget(attempt)).await? {
            clerk::cancel(&self.desk, entry).await;
        }
        Ok(())
    }

    async fn changed(&self) -> Vec<AttemptId> {
        self.desk.hints.taken().await
    }
}

impl<Q: Queue> BatchEngine<Q> {
    async fn at_desk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Desk<Q>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let desk = Arc::clone(&self.desk);
        blocking(move || work(&desk)).await
    }
}
