//! Rates kept at the door: one meter a flow, shared by all connections that read or write it.

use crate::carry::blocking;
use crate::shaper::{Class, Classes, leave};
use crate::{Flow, Leave, Pace};
use axum::body::{Body, Bytes};
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use futures::stream::{self, Stream, TryStreamExt};
use model::{Moment, Rate};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, OnceCell};
use tokio::time::{Instant, sleep_until};

/// In what parts metered data goes out: small, so that a link carries an even stream.
const PART: usize = 64 << 10;
/// How long nothing may be read before a meter is forgotten, and its class with it. One that comes
/// back later goes on where the plan is then.
const IDLE: Duration = Duration::from_secs(60);

/// The meters of the flows that are being read.
#[derive(Debug, Clone)]
pub(super) struct Meters {
    open: Arc<Mutex<BTreeMap<Flow, Arc<Meter>>>>,
    classes: Option<Classes>,
}

#[derive(Debug)]
pub(super) struct Meter {
    pace: Pace,
    /// When the newest of its tickets was issued.
    newest: Mutex<Moment>,
    /// None inside: the kernel would not make one.
    class: OnceCell<Option<Class>>,
    /// Since it was last looked at.
    used: AtomicBool,
    /// Its steps are new.
    renewed: Notify,
}

/// The socket of whoever asks, for [`axum::extract::ConnectInfo`].
#[derive(Debug, Clone)]
pub(super) struct Connection(Option<Arc<OwnedFd>>);

impl Connected<IncomingStream<'_, TcpListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        // Without it a connection is merely in no class.
        Self(stream.io().as_fd().try_clone_to_owned().ok().map(Arc::new))
    }
}

impl Meters {
    pub(super) fn new(classes: Option<Classes>) -> Self {
        Self { open: Arc::default(), classes }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<Flow, Arc<Meter>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The meter of what a ticket gives leave to, none where it says nothing of rates, with the
    /// connection in its class.
    pub(super) async fn enter(
        &self,
        leave: Option<&Leave>,
        now: Moment,
        connection: Option<&Connection>,
    ) -> Option<Arc<Meter>> {
        let leave = leave.filter(|leave| !leave.steps.is_empty());
        let meter = leave.map(|leave| self.of(leave, now));
        if let Some(classes) = &self.classes {
            classify(classes, meter.as_deref(), connection).await;
        }
        meter
    }

    /// The meter of a flow. The steps of a ticket issued later take the place of its own.
    fn of(&self, leave: &Leave, now: Moment) -> Arc<Meter> {
        let mut open = self.open();
        if let Some(meter) = open.get(&leave.flow) {
            meter.renew(leave, now);
            return Arc::clone(meter);
        }
        let meter = Arc::new(Meter {
            pace: Pace::steps(&leave.left(now)),
            newest: Mutex::new(leave.since),
            class: OnceCell::new(),
            used: AtomicBool::new(true),
            renewed: Notify::new(),
        });
        open.insert(leave.flow.clone(), Arc::clone(&meter));
        tokio::spawn(self.clone().keep(leave.flow.clone(), Arc::clone(&meter)));
        meter
    }

    /// Lets the class follow the steps, and forgets the meter when nobody uses it.
    async fn keep(self, flow: Flow, meter: Arc<Meter>) {
        let mut look = Instant::now() + IDLE;
        loop {
            let (_, change) = meter.pace.now();
            let due = change.map_or(look, |change| change.min(look));
            tokio::select! {
                () = sleep_until(due) => {}
                () = meter.renewed.notified() => {}
            }
            meter.follow().await;
            if Instant::now() >= look {
                if self.forget(&flow) {
                    break;
                }
                look = Instant::now() + IDLE;
            }
        }
        // Removing the class blocks.
        blocking(move || drop(meter)).await;
    }

    /// Whether nobody reads the flow and nobody did since the last look; then it is forgotten.
    fn forget(&self, flow: &Flow) -> bool {
        let mut open = self.open();
        let Some(meter) = open.get(flow) else { return true };
        let read = meter.used.swap(false, Ordering::Relaxed);
        // The map's and the keeper's; new ones come from the map, which is locked.
        let idle = !read && Arc::strong_count(meter) <= 2;
        if idle {
            open.remove(flow);
        }
        idle
    }
}

impl Meter {
    fn renew(&self, leave: &Leave, now: Moment) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if leave.since > *newest {
            *newest = leave.since;
            self.pace.renew(&leave.left(now));
            self.renewed.notify_one();
        }
    }

    /// What the plan allows now on the wire.
    fn on_wire(&self) -> Rate {
        self.pace.now().0.map_or(Rate::ZERO, Rate::on_wire)
    }

    async fn follow(self: &Arc<Self>) {
        let meter = Arc::clone(self);
        let set = blocking(move || match meter.class.get() {
            Some(Some(class)) => class.set(meter.on_wire()),
            _ => Ok(()),
        });
        if let Err(error) = set.await {
            tracing::warn!(%error, "the kernel does not follow a plan");
        }
    }

    /// Waits until `bytes` more may come or go.
    pub(super) async fn take(&self, bytes: usize) {
        self.used.store(true, Ordering::Relaxed);
        self.pace.take(bytes).await;
    }
}

/// Puts a connection where its next answer belongs. What the kernel refuses is told and not a reason
/// to send nothing: the meter keeps the rate as well.
async fn classify(classes: &Classes, meter: Option<&Meter>, connection: Option<&Connection>) {
    let Some(socket) = connection.and_then(|connection| connection.0.as_ref()) else { return };
    let class = match meter {
        Some(meter) => meter.class.get_or_init(|| open(classes, meter.on_wire())).await.as_ref(),
        None => None,
    };
    let moved = class.map_or_else(|| leave(socket), |class| class.enter(socket));
    if let Err(error) = moved {
        tracing::warn!(%error, "a connection is not in its class");
    }
}

async fn open(classes: &Classes, rate: Rate) -> Option<Class> {
    let classes = classes.clone();
    let opened = blocking(move || classes.open(rate)).await;
    let told = opened.inspect_err(|error| tracing::warn!(%error, "a flow has no class"));
    told.ok()
}

/// A body of these pieces, no faster than the meter lets them.
pub(super) fn metered<E>(
    pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    meter: Option<Arc<Meter>>,
) -> Body
where
    E: Into<axum::BoxError> + Send + 'static,
{
    let Some(meter) = meter else { return Body::from_stream(pieces) };
    let parts = pieces.map_ok(|piece| stream::iter(parts(piece).map(Ok::<Bytes, E>))).try_flatten();
    Body::from_stream(parts.and_then(move |part: Bytes| {
        let meter = Arc::clone(&meter);
        async move {
            meter.take(part.len()).await;
            Ok(part)
        }
    }))
}

/// A piece cut up, without copying it.
fn parts(mut piece: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let size = piece.len().min(PART);
        (size > 0).then(|| piece.split_to(size))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Span, TransferId};
    use wire::PaceStep;

    fn leave(transfer: u64, since: u64, mbps: u64) -> Leave {
        let rate = Rate(mbps * 1_000_000);
        let step = PaceStep { after: Span::ZERO, lasts: Span::MAX, rate };
        Leave::new(TransferId::new(transfer), Moment(since), vec![step])
    }

    fn rate(meter: &Meter) -> Option<Rate> {
        meter.pace.now().0
    }

    #[tokio::test]
    async fn a_transfer_has_one_meter_which_follows_its_newest_ticket() {
        let meters = Meters::new(None);
        let now = Moment(30);
        let enter = async |leave: &Leave| meters.enter(Some(leave), now, None).await.unwrap();
        let one = enter(&leave(1, 10, 80)).await;
        let other = enter(&leave(2, 10, 40)).await;
        assert!(Arc::ptr_eq(&one, &enter(&leave(1, 20, 60)).await));
        assert_eq!(rate(&one), Some(Rate(60_000_000)));
        enter(&leave(1, 15, 90)).await;
        assert_eq!(rate(&one), Some(Rate(60_000_000)));
        assert_eq!(rate(&other), Some(Rate(40_000_000)));
        let unpaced = Leave::new(TransferId::new(3), Moment(10), Vec::new());
        assert!(meters.enter(Some(&unpaced), now, None).await.is_none());
        assert!(meters.enter(None, now, None).await.is_none());
    }

    #[tokio::test]
    async fn a_meter_is_forgotten_once_nobody_read_between_two_looks() {
        let meters = Meters::new(None);
        let flow = Flow::from(TransferId::new(1));
        let body = meters.enter(Some(&leave(1, 0, 80)), Moment(0), None).await.unwrap();
        assert!(!meters.forget(&flow));
        assert!(!meters.forget(&flow), "a body is still being sent");
        body.take(1).await;
        drop(body);
        assert!(!meters.forget(&flow), "it was read since");
        assert!(meters.forget(&flow));
        assert!(meters.open().is_empty());
    }
}
