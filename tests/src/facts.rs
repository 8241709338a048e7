//! Facts as the server tells them to whoever follows, across its crashes.

use crate::Caller;
use futures::StreamExt;
use reqwest::Method;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wire::view::Event;

/// Between two tries to reach a server that is down.
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// A follower of the event stream that goes on where it was after every break.
#[derive(Debug)]
pub(crate) struct Facts {
    seen: watch::Receiver<u64>,
    told: Arc<Mutex<Vec<(u64, String)>>>,
    following: JoinHandle<()>,
}

impl Facts {
    pub(crate) fn follow(caller: Caller) -> Self {
        let (tell, seen) = watch::channel(0);
        let told = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&told);
        let following = tokio::spawn(async move {
            loop {
                // What ends a stream is the server's end; it is back soon.
                let _ = listen(&caller, &tell, &keep).await;
                tokio::time::sleep(TRY_AGAIN).await;
            }
        });
        Self { seen, told, following }
    }

    /// The number of the newest fact told, to be waited on.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.seen.clone()
    }

    /// Numbers and kinds of all facts told, in the order they were told.
    pub(crate) fn told(&self) -> Vec<(u64, String)> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Facts {
    fn drop(&mut self) {
        self.following.abort();
    }
}

async fn listen(
    caller: &Caller,
    tell: &watch::Sender<u64>,
    keep: &Mutex<Vec<(u64, String)>>,
) -> Result<(), reqwest::Error> {
    let path = format!("/v1/events?after={}", *tell.borrow());
    // A stream has no end, so the usual patience does not apply.
    let request = caller.request(Method::GET, &path).timeout(Duration::from_secs(86_400));
    let response = request.send().await?.error_for_status()?;
    let (mut stream, mut rest) = (response.bytes_stream(), Vec::new());
    while let Some(piece) = stream.next().await {
        rest.extend_from_slice(&piece?);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let Some(data) = line.strip_prefix(b"data:") else { continue };
            if let Ok(event) = serde_json::from_slice::<Event>(data) {
                let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push((event.number, event.kind));
                drop(kept);
                tell.send_replace(event.number);
            }
        }
    }
    Ok(())
}
