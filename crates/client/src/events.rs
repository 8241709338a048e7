//! What happens, as it happens.

use crate::{Client, Error};
use futures::{Stream, StreamExt};
use reqwest::Method;
use serde::de::DeserializeOwned;
use std::pin::Pin;
use std::time::Duration;

/// A fact, as the event stream has it.
pub type Event = wire::view::Event;

/// How long a stream may be silent: the server says that it is there more often.
const SILENCE: Duration = Duration::from_secs(60);

/// Facts as they become durable. Ends with an error when the server stops; to be opened again after
/// the last number seen.
pub struct Events {
    body: Pin<Box<dyn Stream<Item = Result<Vec<u8>, reqwest::Error>> + Send>>,
    received: Vec<u8>,
    /// How much of it has been read.
    read: usize,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Client {
    /// Facts after number `after`, those of the past first; where there is no such number, those that
    /// become durable once this has returned.
    pub async fn events(&self, after: Option<u64>) -> Result<Events, Error> {
        let request = self.request(Method::GET, "/v1/events");
        let query: Vec<_> = after.iter().map(|after| ("after", after)).collect();
        let request = request.query(&query).timeout(Duration::from_secs(365 * 86_400));
        let response = self.send(request).await?;
        let body = response.bytes_stream().map(|piece| piece.map(|bytes| bytes.to_vec()));
        Ok(Events { body: Box::pin(body), received: Vec::new(), read: 0 })
    }
}

impl Events {
    /// The next fact.
    pub async fn next(&mut self) -> Result<Event, Error> {
        self.next_of().await
    }

    /// The next fact with its content as a `C`, which must do for facts of all kinds:
    /// `Box<serde_json::value::RawValue>` leaves it as it is.
    pub async fn next_of<C: DeserializeOwned>(&mut self) -> Result<wire::view::Event<C>, Error> {
        loop {
            if let Some(event) = self.take()? {
                return Ok(event);
            }
            let piece = tokio::time::timeout(SILENCE, self.body.next()).await;
            let over = |why: &str| Error::Unreachable { why: why.to_owned() };
            match piece {
                Err(_) => return Err(over("the event stream fell silent")),
                Ok(None) => return Err(over("the event stream ended")),
                Ok(Some(piece)) => {
                    self.received.drain(..self.read);
                    self.read = 0;
                    self.received.extend_from_slice(&piece.map_err(Error::unreachable)?);
                }
            }
        }
    }

    /// A whole event out of what was received; comments are skipped.
    fn take<C: DeserializeOwned>(&mut self) -> Result<Option<wire::view::Event<C>>, Error> {
        loop {
            let unread = &self.received[self.read..];
            let Some(end) = unread.windows(2).position(|two| two == b"\n\n") else {
                return Ok(None);
            };
            self.read += end + 2;
            let text = String::from_utf8_lossy(&unread[..end]);
            let data: Vec<&str> =
                text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim).collect();
            if data.is_empty() {
                continue;
            }
            let event = serde_json::from_str(&data.join("\n"));
            return event.map(Some).map_err(|e| Error::Unreadable { why: e.to_string() });
        }
    }
}
