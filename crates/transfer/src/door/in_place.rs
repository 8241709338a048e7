//! Answers with data that lies elsewhere. What comes first is read before the answer begins, so that
//! whoever asks again after a broken-off answer hears why.

use super::problem::Problem;
use crate::external::{Location, read_in_place};
use crate::layout::Layout;
use crate::{LocalStore, TransferError};
use axum::body::Bytes as Piece;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use model::dataset::CHUNK;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Verified bytes, in order.
type Pieces = BoxStream<'static, Result<Piece, TransferError>>;

/// The bytes of these chunks.
pub(super) async fn chunks(
    store: &LocalStore,
    location: &Location,
    layout: &Arc<Layout>,
    chunks: impl Iterator<Item = u64>,
    turn: OwnedSemaphorePermit,
) -> Result<Pieces, Problem> {
    let spans = read_in_place(&store.external(), location, layout, chunks)?;
    begun(spans.map(|span| span.map(|span| Piece::from(span.bytes))), turn).await
}

/// The bytes of a part of a file.
pub(super) async fn part(
    store: &LocalStore,
    location: &Location,
    layout: &Arc<Layout>,
    path: &str,
    part: Range<u64>,
    turn: OwnedSemaphorePermit,
) -> Result<Pieces, Problem> {
    let (_, all) = layout.file(path)?;
    let run = all.start + part.start / CHUNK.0..all.start + part.end.div_ceil(CHUNK.0);
    let spans = read_in_place(&store.external(), location, layout, run)?;
    let pieces = spans.map(move |span| {
        span.map(|span| {
            let begins = (span.chunks.start - all.start) * CHUNK.0;
            let bytes = Piece::from(span.bytes);
            let within = |at: u64| {
                let at = at.saturating_sub(begins).min(bytes.len() as u64);
                usize::try_from(at).expect("at most a length in memory")
            };
            bytes.slice(within(part.start)..within(part.end))
        })
    });
    begun(pieces, turn).await
}

/// The stream, once its first piece is there.
async fn begun(
    pieces: impl Stream<Item = Result<Piece, TransferError>> + Send + 'static,
    turn: OwnedSemaphorePermit,
) -> Result<Pieces, Problem> {
    let mut pieces = Box::pin(pieces);
    let first = pieces.next().await.transpose()?;
    let rest = pieces.map(move |piece| {
        // Held as long as chunks move.
        let _turn = &turn;
        piece.inspect_err(|e| tracing::error!(error = e as &dyn std::error::Error, "cannot serve"))
    });
    Ok(stream::iter(first.map(Ok)).chain(rest).boxed())
}
