//! The one trait.

use crate::{BootTime, Launch, Observation, State};
use model::{AttemptId, NetworkUid};
use model::{Bytes, Cores, Span};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Runs the attempts of one network in one center.
///
/// Every call may be repeated and may be cut short by a crash of the caller at any instruction;
/// what the engine then says is still true. *Unknown is never finished*: an attempt that the
/// engine does not know may never have arrived, and one it cannot judge is still running.
pub trait Engine: Send + Sync {
    /// Starts an attempt. One that is known already is left as it is, unless it is
    /// [`Unattended`](State::Unattended): an attempt runs at most once. Returning means it is on the way,
    /// not that its command runs.
    fn launch(&self, launch: &Launch) -> impl Future<Output = Result<(), Error>> + Send;

    /// How this attempt is; `None` if the engine does not know it.
    fn find(&self, attempt: AttemptId)
    -> impl Future<Output = Result<Option<State>, Error>> + Send;

    /// Every attempt of this network that the engine knows, in the order of their ids, until
    /// each is forgotten.
    fn observe(&self) -> impl Future<Output = Result<Vec<Observation>, Error>> + Send;

    /// Asks the attempt to stop: TERM, then KILL of everything it started after `grace`. Returns
    /// when it has been asked; only a later observation tells that it has stopped. An attempt that
    /// has ended is left as it is, one that has not started will not.
    fn stop(
        &self,
        attempt: AttemptId,
        grace: Span,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Moves the attempt's lease deadline. Without effect on one launched without a lease.
    fn extend_lease(
        &self,
        attempt: AttemptId,
        deadline: BootTime,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// At most `max` bytes of a log from `offset` on.
    fn logs(
        &self,
        attempt: AttemptId,
        stream: Stream,
        offset: u64,
        max: usize,
    ) -> impl Future<Output = Result<LogChunk, Error>> + Send;

    /// What the engine has to run attempts on.
    fn capacity(&self) -> impl Future<Output = Result<Capacity, Error>> + Send;

    /// How many nodes of each pool take work, now or when what they run is over: the most there can be,
    /// where they are started on demand. Only pools of which the engine can tell.
    fn nodes(&self) -> impl Future<Output = Result<BTreeMap<String, u32>, Error>> + Send {
        std::future::ready(Ok(BTreeMap::new()))
    }

    /// How large pools are, whatever state their nodes are in; only pools of which the engine can tell.
    fn pools(&self) -> impl Future<Output = Result<BTreeMap<String, PoolSize>, Error>> + Send {
        std::future::ready(Ok(BTreeMap::new()))
    }

    /// What the engine can promise; the same for as long as it lives.
    fn capabilities(&self) -> Capabilities;

    /// Where the attempt's command runs and leaves its outputs, if the agent can see it.
    fn workdir(&self, attempt: AttemptId) -> Option<PathBuf>;

    /// What an attempt is called by people who look for it with the batch system's own tools, once it is
    /// known to be there. One that was over before that was known stays without, as all do of an engine that
    /// has no such tools.
    fn called(&self, attempt: AttemptId) -> Option<String> {
        let _ = attempt;
        None
    }

    /// Removes all trace of an attempt that has ended or is lost: to be called once the result
    /// and outputs are durable elsewhere. An unknown attempt is no error. An attempt must not be
    /// launched again after it was forgotten.
    fn forget(&self, attempt: AttemptId) -> impl Future<Output = Result<(), Error>> + Send;

    /// Waits until something may have changed, and says which attempts; an empty answer means any.
    /// A hint that may be lost, superfluous, or about an attempt forgotten since: look at all now
    /// and then. Nothing is lost when the future is dropped. For one caller at a time.
    fn changed(&self) -> impl Future<Output = Vec<AttemptId>> + Send;
}

/// Which of a command's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Its usual name, `stdout` or `stderr`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// A piece of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogChunk {
    /// The bytes from the asked offset on.
    pub data: Vec<u8>,
    /// Whether the log ends here for good: the attempt is over and nothing follows.
    pub complete: bool,
}

/// What an engine has to run attempts on, in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Processor cores.
    pub cpu: Cores,
    /// Memory.
    pub memory: Bytes,
}

/// What a pool has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSize {
    /// How many nodes.
    pub nodes: u32,
    /// What each of them has at least; of no nodes, and of what the engine cannot tell, all that is
    /// possible.
    pub node: Capacity,
    /// How many of the pool's chips each of them has at least, where the engine knows chips.
    pub chips: Option<u16>,
}

impl PoolSize {
    /// A pool of these nodes, each with its chips.
    pub fn of(nodes: impl IntoIterator<Item = (Capacity, Option<u16>)>) -> Self {
        let most = Capacity { cpu: Cores(u64::MAX), memory: Bytes::MAX };
        let mut size = Self { nodes: 0, node: most, chips: None };
        for (node, chips) in nodes {
            size.nodes = size.nodes.saturating_add(1);
            size.node.cpu = size.node.cpu.min(node.cpu);
            size.node.memory = size.node.memory.min(node.memory);
            size.chips = size.chips.into_iter().chain(chips).min();
        }
        size
    }
}

/// What an engine can promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The engine's kind, such as `process`.
    pub engine: &'static str,
    /// Its version, for people.
    pub version: String,
    /// How far memory and processor limits are enforced.
    pub enforcement: Enforcement,
    /// Whether each attempt runs as a user of its own, and so cannot read other attempts' files.
    pub own_uid: bool,
    /// Whether jobs may name container images.
    pub images: bool,
}

/// How far an engine enforces what an attempt asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforcement {
    /// Memory and processor limits, and killing of whole trees, by cgroup version 2.
    CgroupV2,
    /// Memory and processor limits by cgroup version 1.
    CgroupV1,
    /// Time limits and leases only.
    ProcessGroup,
    /// Whatever the batch system that runs it enforces, and time limits and leases besides.
    Batch,
    /// Nothing real runs.
    Simulated,
}

/// Why an engine could not do as told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine does not know the attempt.
    #[error("this engine does not know {0}")]
    Unknown(AttemptId),
    /// This launch can never work.
    #[error("{attempt} cannot be launched: {why}")]
    Refused {
        /// Which attempt.
        attempt: AttemptId,
        /// What is wrong with it.
        why: String,
    },
    /// The attempt is not over, so it cannot be forgotten.
    #[error("{0} is not over yet")]
    Alive(AttemptId),
    /// Another agent uses this directory.
    #[error("{} is in use by another agent of network {network}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Whose attempts it holds.
        network: NetworkUid,
    },
    /// What runs behind this engine did not answer, or not as it should: nobody knows whether it did as
    /// asked.
    #[error("{who} does not answer: {said}")]
    Silent {
        /// What runs behind it.
        who: &'static str,
        /// What was seen instead of an answer.
        said: String,
    },
    /// What runs behind this engine will never take what it was given.
    #[error("{who} will not take it: {said}")]
    Rejected {
        /// What runs behind it.
        who: &'static str,
        /// What it said.
        said: String,
    },
    /// The engine is set up in a way that cannot work.
    #[error("{0}")]
    Setup(String),
    /// The machine did not do as asked.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the machine said.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether the same call may work later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Alive(_) | Self::InUse { .. } | Self::Silent { .. } | Self::Io { .. } => true,
            Self::Unknown(_) | Self::Refused { .. } | Self::Rejected { .. } | Self::Setup(_) => {
                false
            }
        }
    }

    /// The error and what caused it, in one line.
    pub(crate) fn in_full(self) -> String {
        in_full(&self)
    }

    /// Whether a file is there but makes no sense: the machine crashed before it was on disk.
    pub(crate) fn is_torn(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        source.kind() == std::io::ErrorKind::InvalidData
    }

    /// For `map_err`: what was tried, and on which file.
    pub(crate) fn io(
        what: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// An error and what caused it, in one line.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        // Many say what their cause is themselves.
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}
