//! The agent's side of the conversation: join, poll for orders, report.

use crate::{LONGEST_PAUSE, Shared, boot_now};
use model::Span;
use model::fact::Head;
use reconciler::Event;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use wire::{Answer, Ask, Join, Joined, Orders, Poll, Report, Reports};

/// What the conversation brings.
#[derive(Debug)]
pub(crate) enum News {
    /// The server let the agent in.
    Joined,
    /// Something for the reconciler.
    Event(Event),
    /// Questions to be answered.
    Asks(Vec<Ask>),
}

/// The state both directions share.
#[derive(Debug)]
pub(crate) struct Line {
    /// The session, once there is one.
    session: watch::Sender<Option<Joined>>,
    /// The newest head heard of.
    pub(crate) head: watch::Sender<Option<Head>>,
    /// The longest a poll may last, in milliseconds: a third of the shortest lease.
    pub(crate) longest_poll: AtomicU64,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self {
            session: watch::Sender::new(None),
            head: watch::Sender::new(None),
            longest_poll: AtomicU64::new(u64::MAX),
        }
    }

    /// Waits until the server has let the agent in.
    pub(crate) async fn joined(&self) -> Joined {
        let mut session = self.session.subscribe();
        loop {
            if let Some(joined) = session.borrow_and_update().clone() {
                return joined;
            }
            if session.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Forgets a session the server no longer knows.
    fn lose(&self, session: u64) {
        self.session.send_if_modified(|known| {
            let stale = known.as_ref().is_some_and(|joined| joined.session == session);
            if stale {
                *known = None;
            }
            stale
        });
    }
}

/// Waits a little longer after every failure in a row.
#[derive(Debug, Default)]
struct Patience(u64);

impl Patience {
    async fn wait(&mut self) {
        self.0 = (self.0 * 2).clamp(50, LONGEST_PAUSE.0);
        tokio::time::sleep(Duration::from_millis(self.0)).await;
    }

    const fn restore(&mut self) {
        self.0 = 0;
    }
}

/// Asks to be let in until the server answers. An answer that will not change ends the agent.
async fn join(shared: &Shared) -> Result<Joined, crate::Error> {
    let seen = shared.home.seen()?.map(|seen| seen.head);
    let join = Join {
        protocol: wire::PROTOCOL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        agent: shared.home.uid(),
        engine: shared.settings.engine,
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        enforcement: shared.enforcement.clone(),
        data_url: shared.data_url.clone(),
        probe_address: shared.probe_address.clone(),
        stores: crate::external::told(&shared.store),
        seen,
    };
    let mut patience = Patience::default();
    loop {
        match shared.client.agent_join(&join).await {
            Ok(joined) => return Ok(joined),
            Err(error) if error.is_transient() => {
                tracing::info!(%error, "the server does not answer; trying again");
                patience.wait().await;
            }
            // It may be mended there, or this machine's clock be set.
            Err(error @ client::Error::Mistrusted { .. }) => {
                tracing::warn!(%error, "the server is not spoken with; trying again");
                patience.wait().await;
            }
            Err(error) => return Err(crate::Error::Refused(error.to_string())),
        }
    }
}

/// Joins and polls for ever.
pub(crate) async fn listen(
    shared: Arc<Shared>,
    line: Arc<Line>,
    news: mpsc::Sender<News>,
) -> Result<(), crate::Error> {
    let mut known = None;
    loop {
        let joined = join(&shared).await?;
        let was = *known.get_or_insert(joined.network);
        if was != joined.network {
            return Err(crate::Error::OtherNetwork { was, is: joined.network });
        }
        tracing::info!(center = %joined.center, session = joined.session, "joined");
        line.head.send_replace(Some(joined.head));
        if news.send(News::Joined).await.is_err() {
            return Ok(());
        }
        line.session.send_replace(Some(joined.clone()));
        if poll(&shared, &line, &joined, &news).await.is_none() {
            return Ok(());
        }
        line.lose(joined.session);
    }
}

/// Polls until the session is over; `None` when nobody listens any more.
async fn poll(
    shared: &Shared,
    line: &Line,
    joined: &Joined,
    news: &mpsc::Sender<News>,
) -> Option<()> {
    let mut after = 0;
    let mut patience = Patience::default();
    loop {
        let longest = line.longest_poll.load(Ordering::Relaxed);
        let wait = joined.poll.min(Span(longest));
        let sent = boot_now();
        match shared.client.agent_poll(&Poll { session: joined.session, after, wait }).await {
            Ok(answer) => {
                patience.restore();
                let Orders { revision, full, orders, asks, head } = answer;
                after = revision.max(1);
                line.head.send_replace(Some(head));
                news.send(News::Event(Event::Renewed { sent })).await.ok()?;
                if full || !orders.is_empty() {
                    news.send(News::Event(Event::Orders { full, orders })).await.ok()?;
                }
                if !asks.is_empty() {
                    news.send(News::Asks(asks)).await.ok()?;
                }
            }
            Err(error) if error.is_stale_session() => return Some(()),
            Err(error) => {
                tracing::debug!(%error, "poll failed");
                patience.wait().await;
            }
        }
    }
}

/// Sends reports until the server has them; returns how many it took.
pub(crate) async fn report(shared: Arc<Shared>, line: Arc<Line>, reports: Vec<Report>) -> usize {
    let count = reports.len();
    let mut patience = Patience::default();
    let mut batch = Reports { session: 0, reports };
    loop {
        let joined = line.joined().await;
        batch.session = joined.session;
        match shared.client.agent_reports(&batch).await {
            Ok(_) => return count,
            Err(error) if error.is_stale_session() => line.lose(joined.session),
            Err(error) => {
                tracing::debug!(%error, "reports not delivered; trying again");
            }
        }
        patience.wait().await;
    }
}

/// Answers what the server asked on somebody's behalf; whoever waits gives up by itself if this
/// fails.
pub(crate) async fn answer(shared: Arc<Shared>, answers: Vec<Answer>) {
    if let Err(error) = shared.client.agent_answers(&answers).await {
        tracing::debug!(%error, "answers not delivered");
    }
}
