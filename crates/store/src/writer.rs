//! Group commit: what is queued while one commit is under way becomes the next.

use crate::error::{Error, Result};
use crate::log::Log;
use model::fact::{Head, Record};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::{mpsc, oneshot, watch};

/// More facts than this are not put into one transaction.
const AT_MOST: usize = 8192;

/// The queue in front of a log. Submitting never waits; when the log is idle the commit starts at
/// once. Clones share the queue, and order among them is the order of their calls.
#[derive(Debug, Clone)]
pub struct Writer {
    queue: mpsc::UnboundedSender<Submission>,
    durable: watch::Receiver<Head>,
}

#[derive(Debug)]
struct Submission {
    records: Vec<Record>,
    ticket: oneshot::Sender<Result<Head>>,
}

/// Resolves to the head after the submission once that is durable. Dropping it changes nothing.
#[derive(Debug)]
pub struct Ticket(oneshot::Receiver<Result<Head>>);

impl Future for Ticket {
    type Output = Result<Head>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(answer.unwrap_or_else(|_| Err(stopped())))
    }
}

impl Writer {
    /// Starts the task that writes to `log`; it ends when every writer is gone and all they
    /// submitted is written.
    #[must_use]
    pub fn start(log: Arc<dyn Log>) -> Self {
        let (queue, queued) = mpsc::unbounded_channel();
        let (durable, watching) = watch::channel(log.head());
        tokio::spawn(write(log, queued, durable));
        Self { queue, durable: watching }
    }

    /// Queues records that follow those queued before.
    ///
    /// When a commit fails, its submissions and all after them get the error.
    #[must_use]
    pub fn submit(&self, records: Vec<Record>) -> Ticket {
        let (ticket, answer) = oneshot::channel();
        // If the task is gone the ticket goes with the submission, which answers it.
        let _gone = self.queue.send(Submission { records, ticket });
        Ticket(answer)
    }

    /// The durable head, as it moves on.
    #[must_use]
    pub fn durable(&self) -> watch::Receiver<Head> {
        self.durable.clone()
    }
}

fn stopped() -> Error {
    Error::Poisoned { why: "the writer stopped".into() }
}

async fn write(
    log: Arc<dyn Log>,
    mut queued: mpsc::UnboundedReceiver<Submission>,
    durable: watch::Sender<Head>,
) {
    while let Some(first) = queued.recv().await {
        let mut records = first.records;
        let mut tickets = vec![first.ticket];
        while records.len() < AT_MOST
            && let Ok(next) = queued.try_recv()
        {
            records.extend(next.records);
            tickets.push(next.ticket);
        }
        match log.append(records).await {
            Ok(head) => {
                durable.send_replace(head);
                answer(tickets, || Ok(head));
            }
            Err(error) => {
                let why = error.chain();
                answer(tickets, || Err(Error::Poisoned { why: why.clone() }));
                // What comes later may rest on what failed: none of it is taken.
                while let Some(later) = queued.recv().await {
                    answer(vec![later.ticket], || Err(Error::Poisoned { why: why.clone() }));
                }
            }
        }
    }
}

/// Answers tickets; those whose holders are gone need none.
fn answer(tickets: Vec<oneshot::Sender<Result<Head>>>, with: impl Fn() -> Result<Head>) {
    for ticket in tickets {
        let _gone = ticket.send(with());
    }
}
