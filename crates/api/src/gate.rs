//! The way from requests to the loop and back.
//!
//! Handlers hold a [`Gate`]; the server holds the other end of its channel. What comes back
//! through a gate is durable: the server answers only when every fact an answer rests on is.

use controller::{Answer, Command, Controller, Rejected};
use model::fact::{Head, Record};
use model::job::Job;
use model::{AttemptId, CenterId, DatasetVersion, Digest, JobId, Principal, TenantId};
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot};
use wire::{Join, Joined, LogPiece, Orders, Poll, Reports};

/// The server is stopping, or its log cannot be written any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server is stopping")]
pub struct Stopping;

/// Where an answer goes.
pub type Reply<T> = oneshot::Sender<T>;

/// What handlers ask of the server.
pub enum Call {
    /// Something is wanted of the loop.
    Command(Principal, Command, Reply<Answer>),
    /// An agent introduces itself.
    Join(CenterId, Box<Join>, Reply<Result<Joined, Rejected>>),
    /// An agent asks for orders; answered when there are some, or its wait is over.
    Poll(CenterId, Poll, Reply<Result<Orders, Rejected>>),
    /// An agent reports.
    Reports(CenterId, Reports, Reply<Result<Head, Rejected>>),
    /// An agent answers what it was asked.
    Answered(CenterId, Vec<wire::Answer>),
    /// Something is looked up in the loop's state, between two steps.
    Look(Look),
    /// A piece of an attempt's log, from its center's agent.
    Log(LogQuery, Reply<Result<LogPiece, LogError>>),
    /// Archived jobs.
    Archive(ArchiveQuery, Reply<Result<Vec<Arc<Job>>, String>>),
    /// Records after a number, at most so many.
    Records(u64, usize, Reply<Result<Vec<Record>, String>>),
    /// Header digests after a number, at most so many, and the head they were read under.
    Heads(u64, usize, Reply<Result<(Vec<Digest>, Head), String>>),
    /// A ticket that opens a center's store.
    Ticket(TicketQuery, Reply<Result<Ticket, Rejected>>),
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Command(..) => "Command",
            Self::Join(..) => "Join",
            Self::Poll(..) => "Poll",
            Self::Reports(..) => "Reports",
            Self::Answered(..) => "Answered",
            Self::Look(_) => "Look",
            Self::Log(..) => "Log",
            Self::Archive(..) => "Archive",
            Self::Records(..) => "Records",
            Self::Heads(..) => "Heads",
            Self::Ticket(..) => "Ticket",
        })
    }
}

/// A look at the loop's state. It is given the state and returns what is to be done with the
/// answer once every fact seen is durable.
pub type Look = Box<dyn FnOnce(&Controller) -> Box<dyn FnOnce() + Send> + Send>;

/// Which piece of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// Whose.
    pub attempt: AttemptId,
    /// In which center it ran.
    pub center: CenterId,
    /// Standard error instead of standard output.
    pub stderr: bool,
    /// From which byte.
    pub offset: u64,
    /// At most so many bytes.
    pub max: u64,
}

/// Why a log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The center's agent is not there, or does not answer.
    #[error("center {0} does not answer")]
    Silent(CenterId),
    /// The agent has no such log.
    #[error("{0}")]
    Gone(String),
}

/// Which archived jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveQuery {
    /// One.
    Job(JobId),
    /// Those that match, newest first.
    List {
        /// Of this tenant.
        tenant: Option<TenantId>,
        /// Ended in this way.
        state: Option<String>,
        /// Whose name contains this.
        name: Option<String>,
        /// Submitted before this one.
        before: Option<JobId>,
        /// At most so many.
        limit: usize,
    },
}

/// Which store is to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketQuery {
    /// Whose store.
    pub center: CenterId,
    /// For which data.
    pub data: DatasetVersion,
    /// To write, not to read.
    pub write: bool,
}

/// What opens a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Where.
    pub url: String,
    /// With what.
    pub ticket: String,
}

impl Call {
    /// Whether an agent makes this call: such calls have a lane of their own, so that no crowd of
    /// submitters delays what centers have to say.
    const fn is_of_a_center(&self) -> bool {
        matches!(self, Self::Join(..) | Self::Poll(..) | Self::Reports(..) | Self::Answered(..))
    }
}

/// Where calls go.
#[derive(Debug, Clone)]
pub struct Lanes {
    /// What agents say.
    pub centers: mpsc::Sender<Call>,
    /// What everybody else asks.
    pub people: mpsc::Sender<Call>,
}

/// The handlers' end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gate {
    lanes: Lanes,
    records: broadcast::Sender<Arc<Vec<Record>>>,
}

impl Gate {
    /// A gate whose calls go to `lanes` and whose durable records come from `records`.
    #[must_use]
    pub const fn new(lanes: Lanes, records: broadcast::Sender<Arc<Vec<Record>>>) -> Self {
        Self { lanes, records }
    }

    /// Makes a call and waits for its answer.
    pub async fn call<T>(&self, make: impl FnOnce(Reply<T>) -> Call) -> Result<T, Stopping> {
        let (reply, answer) = oneshot::channel();
        self.tell(make(reply)).await?;
        answer.await.map_err(|_| Stopping)
    }

    /// Makes a call that has no answer.
    pub async fn tell(&self, call: Call) -> Result<(), Stopping> {
        let lane = if call.is_of_a_center() { &self.lanes.centers } else { &self.lanes.people };
        lane.send(call).await.map_err(|_| Stopping)
    }

    /// Looks something up; the answer comes when all it rests on is durable.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Controller) -> T + Send + 'static,
    ) -> Result<T, Stopping> {
        self.call(|reply| {
            Call::Look(Box::new(move |controller| {
                let answer = look(controller);
                Box::new(move || {
                    // Whoever asked may have gone away.
                    let _ = reply.send(answer);
                })
            }))
        })
        .await
    }

    /// Durable records from now on, batch by batch. A reader that lags too far behind is told so
    /// and reads the rest from the log.
    #[must_use]
    pub fn records(&self) -> broadcast::Receiver<Arc<Vec<Record>>> {
        self.records.subscribe()
    }
}
