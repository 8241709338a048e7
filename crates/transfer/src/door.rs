//! The door: a store served over HTTP to holders of tickets.
//!
//! | request under `/v1/data/{dataset}/{version}` | leave | answer |
//! |---|---|---|
//! | `GET manifest` | read | the manifest, canonical |
//! | `GET chunks?numbers=0-3,7` | read | the bytes of these chunks, end to end |
//! | `GET files/{path}` | read | one file; understands one byte range |
//! | `GET filler` | fill | bytes made up, at the ticket's rates until its last step ends |
//! | `PUT manifest` | write | begins a copy, or goes on with one; what is missing |
//! | `GET missing` | write | what is missing |
//! | `PUT chunks?numbers=0-3,7` | write | takes chunks; 422 with `damaged` where some were not |
//! | `POST finish` | write | makes the copy a replica |
//!
//! Every error is an RFC 9457 problem body. TLS, connection limits and timeouts on headers are the
//! business of who listens.

mod filler;
mod in_place;
mod meter;
mod problem;
mod range;
mod read;
mod reading;
mod write;

pub use reading::{Readings, readings};

use crate::ticket::{self, DoorKey};
use crate::{Arrived, Classes, LocalStore, Replica, Ticket, TicketError, Verb};
use axum::Router;
use axum::extract::Query;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::rejection::QueryRejection;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::routing::{get, post};
use meter::{Connection, Meter, Meters};
use model::{CenterId, DatasetVersion, Moment};
use problem::Problem;
use serde::Deserialize;
use std::fmt;
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Whoever wants to hear of data somebody put, and of what was sent for it. Called from a thread that
/// may block.
pub type Told = dyn Fn(&DatasetVersion, Replica, Arrived) + Send + Sync;

/// What a door needs to know.
#[derive(Clone)]
pub struct Door {
    /// The store behind it.
    pub store: LocalStore,
    /// Whose store that is.
    pub center: CenterId,
    /// What its tickets are signed with.
    pub key: DoorKey,
    /// The time, for tickets that expire.
    pub now: Arc<dyn Fn() -> Moment + Send + Sync>,
    /// Told of every copy somebody put here once it is a replica, and again when they ask again.
    pub arrived: Arc<Told>,
    /// Where the kernel keeps transfers' rates as well, if it does.
    pub classes: Option<Classes>,
}

impl fmt::Debug for Door {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("center", &self.center).finish_non_exhaustive()
    }
}

/// How many requests may move chunks at once; more are told to come back.
const MOVING: usize = 128;

/// A door with its turnstile.
#[derive(Debug, Clone)]
struct Gate {
    door: Door,
    moving: Arc<Semaphore>,
    meters: Meters,
}

/// Chunks, as asked for.
#[derive(Debug, Clone, Deserialize)]
struct Numbers {
    numbers: String,
}

type Asking = Result<Query<Numbers>, QueryRejection>;

/// The router to serve; its paths begin with `/v1/data/`.
pub fn router(door: Door) -> Router {
    let base = "/v1/data/{dataset}/{version}";
    let at = |rest: &str| format!("{base}/{rest}");
    Router::new()
        .route(&at("manifest"), get(read::manifest).put(write::manifest))
        .route(&at("chunks"), get(read::chunks).put(write::chunks))
        .route(&at("files/{*path}"), get(read::file))
        .route(&at("filler"), get(filler::filler))
        .route(&at("missing"), get(write::missing))
        .route(&at("finish"), post(write::finish))
        .with_state(Gate {
            meters: Meters::new(door.classes.clone()),
            moving: Arc::new(Semaphore::new(MOVING)),
            door,
        })
}

/// Serves a [`router`], alone or with layers around it. Only connections served so find their class.
pub async fn serve(listener: TcpListener, router: Router) -> io::Result<()> {
    axum::serve(listener, router.into_make_service_with_connect_info::<Connection>()).await
}

impl Gate {
    /// The data a request is about, if its ticket gives leave to `verb` it here and now.
    fn admit(
        &self,
        headers: &HeaderMap,
        dataset: &str,
        version: &str,
        verb: Verb,
    ) -> Result<DatasetVersion, Problem> {
        Ok(self.ticket(headers, dataset, version, verb)?.data)
    }

    /// The same for what is read at a rate: also what keeps it, if the ticket says one.
    async fn admit_metered(
        &self,
        parts: &Parts,
        dataset: &str,
        version: &str,
    ) -> Result<(DatasetVersion, Option<Arc<Meter>>), Problem> {
        let ticket = self.ticket(&parts.headers, dataset, version, Verb::Read)?;
        let meter = self.meter(&ticket, parts).await;
        Ok((ticket.data, meter))
    }

    /// What keeps the rate that a ticket says.
    async fn meter(&self, ticket: &Ticket, parts: &Parts) -> Option<Arc<Meter>> {
        let connection = parts.extensions.get().map(|ConnectInfo(connection)| connection);
        self.meters.enter(ticket.pace.as_ref(), (self.door.now)(), connection).await
    }

    fn ticket(
        &self,
        headers: &HeaderMap,
        dataset: &str,
        version: &str,
        verb: Verb,
    ) -> Result<Ticket, Problem> {
        let text = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let text = text.and_then(|text| text.strip_prefix("Bearer ")).ok_or(TicketError::Absent)?;
        let ticket = ticket::check(&self.door.key, text, (self.door.now)())?;
        let data = DatasetVersion {
            dataset: dataset.parse().map_err(Problem::bad_request)?,
            version: version.parse().map_err(Problem::bad_request)?,
        };
        if ticket.center != self.door.center || ticket.data != data || ticket.verb != verb {
            let Ticket { center, data, verb, .. } = ticket;
            return Err(TicketError::Elsewhere { center, data, verb }.into());
        }
        Ok(ticket)
    }

    /// Leave to move chunks, held as long as they move.
    fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.moving).try_acquire_owned().map_err(|_| Problem::busy())
    }
}
