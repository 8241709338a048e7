//! The engines an agent may hold, behind one type.

use crate::kubernetes::Kubernetes;
use crate::ray::Ray;
use crate::slurm::Slurm;
use crate::task_spooler::TaskSpooler;
use crate::{
    BatchEngine, BootTime, Capabilities, Capacity, Engine, Error, Launch, LogChunk, Observation,
    PoolSize, ProcessEngine, State, Stream, TimerEngine,
};
use model::{AttemptId, Span};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One of the engines there are.
#[derive(Debug)]
pub enum AnyEngine {
    /// Processes of this machine.
    Process(ProcessEngine),
    /// Entries of a Slurm cluster.
    Slurm(BatchEngine<Slurm>),
    /// Jobs of a Kubernetes cluster.
    Kubernetes(BatchEngine<Kubernetes>),
    /// Jobs of a Ray cluster.
    Ray(BatchEngine<Ray>),
    /// Entries of a machine's task spooler.
    TaskSpooler(BatchEngine<TaskSpooler>),
    /// Timers in memory.
    Timer(TimerEngine),
}

/// Whichever engine it is, under the name `$engine`.
macro_rules! with {
    ($any:expr, $engine:ident => $call:expr) => {
        match $any {
            AnyEngine::Process($engine) => $call,
            AnyEngine::Slurm($engine) => $call,
            AnyEngine::Kubernetes($engine) => $call,
            AnyEngine::Ray($engine) => $call,
            AnyEngine::TaskSpooler($engine) => $call,
            AnyEngine::Timer($engine) => $call,
        }
    };
}

impl Engine for AnyEngine {
    async fn launch(&self, launch: &Launch) -> Result<(), Error> {
        with!(self, engine => engine.launch(launch).await)
    }

    async fn find(&self, attempt: AttemptId) -> Result<Option<State>, Error> {
        with!(self, engine => engine.find(attempt).await)
    }

    async fn observe(&self) -> Result<Vec<Observation>, Error> {
        with!(self, engine => engine.observe().await)
    }

    async fn stop(&self, attempt: AttemptId, grace: Span) -> Result<(), Error> {
        with!(self, engine => engine.stop(attempt, grace).await)
    }

    async fn extend_lease(&self, attempt: AttemptId, deadline: BootTime) -> Result<(), Error> {
        with!(self, engine => engine.extend_lease(attempt, deadline).await)
    }

    async fn logs(
        &self,
        attempt: AttemptId,
        stream: Stream,
        offset: u64,
        max: usize,
    ) -> Result<LogChunk, Error> {
        with!(self, engine => engine.logs(attempt, stream, offset, max).await)
    }

    async fn capacity(&self) -> Result<Capacity, Error> {
        with!(self, engine => engine.capacity().await)
    }

    async fn nodes(&self) -> Result<BTreeMap<String, u32>, Error> {
        with!(self, engine => engine.nodes().await)
    }

    async fn pools(&self) -> Result<BTreeMap<String, PoolSize>, Error> {
        with!(self, engine => engine.pools().await)
    }

    fn capabilities(&self) -> Capabilities {
        with!(self, engine => engine.capabilities())
    }

    fn workdir(&self, attempt: AttemptId) -> Option<PathBuf> {
        with!(self, engine => engine.workdir(attempt))
    }

    fn called(&self, attempt: AttemptId) -> Option<String> {
        with!(self, engine => engine.called(attempt))
    }

    async fn forget(&self, attempt: AttemptId) -> Result<(), Error> {
        with!(self, engine => engine.forget(attempt).await)
    }

    async fn changed(&self) -> Vec<AttemptId> {
        with!(self, engine => engine.changed().await)
    }
}
