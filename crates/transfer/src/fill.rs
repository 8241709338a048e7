//! Loading a line with bytes that nobody keeps.

use crate::carry::PARALLEL;
use crate::remote::SILENCE;
use crate::ticket::filler;
use crate::{Pace, Progress, Source, TransferError};
use futures::future::try_join_all;
use reqwest::{Client, Method};

/// Takes filler from a door, no faster than `pace`, over as many connections as a fetch uses, and
/// throws it away. Ends when the door does: when the time of the ticket's steps is over. Dropping the
/// future breaks it off.
pub async fn fill(
    http: &Client,
    source: &Source,
    pace: &Pace,
    progress: &Progress,
) -> Result<(), TransferError> {
    pace.open().await;
    try_join_all((0..PARALLEL).map(|_| take(http, source, pace, progress))).await?;
    Ok(())
}

async fn take(
    http: &Client,
    source: &Source,
    pace: &Pace,
    progress: &Progress,
) -> Result<(), TransferError> {
    let request = source.request(http, Method::GET, &filler(), "filler")?;
    let mut response = source.ask(request, SILENCE).await?;
    while let Some(piece) = source.piece(&mut response).await? {
        pace.take(piece.len()).await;
        progress.moved(piece.len());
    }
    Ok(())
}
