//! What happens, as it happens.

use crate::{Client, Error};
use futures::{Stream, StreamExt};
use reqwest::Method;
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
    unread: Vec<u8>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Client {
    /// Facts after number `after`, those of the past first.
    pub async fn events(&self, after: u64) -> Result<Events, Error> {
        let request = self.request(Method::GET, "/v1/events");
        let request = request.query(&[("after", after)]).timeout(Duration::from_secs(365 * 86_400));
        let response = self.send(request).await?;
        let body = response.bytes_stream().map(|piece| piece.map(|bytes| bytes.to_vec()));
        Ok(Events { body: Box::pin(body), unread: Vec::new() })
    }
}

impl Events {
    /// The next fact.
    pub async fn next(&mut self) -> Result<Event, Error> {
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
                    self.unread.extend_from_slice(&piece.map_err(Error::unreachable)?);
                }
            }
        }
    }

    /// A whole event out of what was received; comments are skipped.
    fn take(&mut self) -> Result<Option<Event>, Error> {
        while let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<u8> = self.unread.drain(..end + 2).collect();
            let text = String::from_utf8_lossy(&block);
            let data: Vec<&str> =
                text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim).collect();
            if data.is_empty() {
                continue;
            }
            let event = serde_json::from_str(&data.join("\n"));
            return event.map(Some).map_err(|e| Error::Unreadable { why: e.to_string() });
        }
        Ok(None)
    }
}
