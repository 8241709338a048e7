//! Chunks of data that lies in an external store, compared with the manifest as they are read.

use super::Location;
use super::fault::{Fault, at};
use super::stores::{ExternalStore, ExternalStores};
use crate::TransferError;
use crate::carry::blocking;
use crate::layout::Layout;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use model::Digest;
use model::dataset::CHUNK;
use opendal::ErrorKind;
use std::ops::Range;
use std::sync::Arc;

/// The most chunks one request to a store asks for: enough to hide its round trip.
pub(super) const SPAN_CHUNKS: u64 = 4;
/// How many such requests go on ahead of whoever reads.
pub(super) const AHEAD: usize = 4;

#[expect(clippy::cast_possible_truncation, reason = "a chunk fits in memory")]
pub(super) const CHUNK_SIZE: usize = CHUNK.0 as usize;

/// Consecutive chunks of one file, as read.
#[derive(Debug)]
pub(crate) struct Span {
    /// The chunks.
    pub(crate) chunks: Range<u64>,
    /// Their bytes, end to end.
    pub(crate) bytes: Vec<u8>,
}

/// The bytes of `chunks` of data that lies at `location`, in order and verified; the first that is
/// not what the manifest says ends it with an error.
pub(crate) fn read_in_place(
    stores: &ExternalStores,
    location: &Location,
    layout: &Arc<Layout>,
    chunks: impl Iterator<Item = u64>,
) -> Result<BoxStream<'static, Result<Span, TransferError>>, TransferError> {
    let (store, spans) = (stores.get(&location.store)?.clone(), spans(layout, chunks)?);
    let (location, layout) = (Arc::new(location.clone()), Arc::clone(layout));
    let read = move |span: Range<u64>| {
        let (store, location) = (store.clone(), Arc::clone(&location));
        let layout = Arc::clone(&layout);
        async move { store.read_span(&location, &layout, span).await }
    };
    Ok(stream::iter(spans).map(read).buffered(AHEAD).boxed())
}

/// `chunks` cut where a file ends, where one is left out, and after [`SPAN_CHUNKS`].
pub(super) fn spans(
    layout: &Layout,
    chunks: impl Iterator<Item = u64>,
) -> Result<Vec<Range<u64>>, TransferError> {
    let mut spans: Vec<(usize, Range<u64>)> = Vec::new();
    for chunk in chunks {
        let file = layout.place(chunk)?.index;
        match spans.last_mut() {
            Some((last, span))
                if *last == file && span.end == chunk && span.end - span.start < SPAN_CHUNKS =>
            {
                span.end = chunk + 1;
            }
            _ => spans.push((file, chunk..chunk + 1)),
        }
    }
    Ok(spans.into_iter().map(|(_, span)| span).collect())
}

impl ExternalStore {
    /// Reads every byte of what lies at `location`; how many chunks are not what the manifest says.
    pub async fn damaged(
        &self,
        location: &Location,
        layout: &Arc<Layout>,
    ) -> Result<u64, TransferError> {
        let reads = spans(layout, 0..layout.chunks())?;
        let reads = reads.into_iter().map(|span| async move {
            let all = span.end - span.start;
            match self.read_and_judge(location, layout, span).await {
                Ok((_, damaged)) => Ok(damaged),
                Err(
                    TransferError::ObjectChanged { .. }
                    | TransferError::External { fault: Fault::Gone, .. },
                ) => Ok(all),
                Err(error) => Err(error),
            }
        });
        let reads = stream::iter(reads).buffer_unordered(AHEAD);
        reads.try_fold(0, |sum, damaged| async move { Ok(sum + damaged) }).await
    }

    /// The bytes of consecutive chunks of one file, verified.
    pub(super) async fn read_span(
        &self,
        location: &Location,
        layout: &Arc<Layout>,
        chunks: Range<u64>,
    ) -> Result<Span, TransferError> {
        let (span, damaged) = self.read_and_judge(location, layout, chunks).await?;
        if damaged > 0 {
            let path = &layout.place(span.chunks.start)?.file.path;
            return Err(self.changed(&location.join(path)));
        }
        Ok(span)
    }

    /// The bytes of consecutive chunks of one file, and how many of these are not what they should be.
    async fn read_and_judge(
        &self,
        location: &Location,
        layout: &Arc<Layout>,
        chunks: Range<u64>,
    ) -> Result<(Span, u64), TransferError> {
        let first = layout.place(chunks.start)?;
        let path = location.join(&first.file.path);
        let length = layout.span(chunks.clone())?;
        let bytes = self.read_range(&path, first.offset, length).await?;
        let layout = Arc::clone(layout);
        let judged = blocking(move || {
            let mut damaged = 0;
            for (chunk, piece) in chunks.clone().zip(bytes.chunks(CHUNK_SIZE)) {
                damaged += u64::from(Digest::of(piece) != layout.place(chunk)?.digest);
            }
            Ok((Span { chunks, bytes }, damaged))
        });
        judged.await
    }

    /// Exactly `length` bytes of the object at `path`. One that ends before is a changed one.
    pub(super) async fn read_range(
        &self,
        path: &str,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, TransferError> {
        let read = self.operator.read_with(path).range(offset..offset + length).await;
        match read {
            Ok(bytes) if bytes.len() as u64 == length => Ok(bytes.to_vec()),
            Ok(_) => Err(self.changed(path)),
            Err(error) if error.kind() == ErrorKind::RangeNotSatisfied => Err(self.changed(path)),
            Err(error) => Err(at(self.name(), "read", path)(error)),
        }
    }

    pub(super) fn changed(&self, path: &str) -> TransferError {
        TransferError::ObjectChanged { store: self.name().to_owned(), path: path.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::dataset::ManifestFile;
    use model::{Bytes, DatasetVersion, Manifest};
    use proptest::prelude::*;

    fn layout(sizes: &[u64]) -> Layout {
        let file = |(nth, bytes): (usize, &u64)| ManifestFile {
            path: format!("{nth:03}"),
            bytes: Bytes(*bytes),
            executable: false,
            chunks: (0..bytes.div_ceil(CHUNK.0)).map(|n| Digest::of(&n.to_le_bytes())).collect(),
        };
        let manifest = Manifest { files: sizes.iter().enumerate().map(file).collect() };
        let data = DatasetVersion { dataset: "x".parse().unwrap(), version: manifest.version() };
        Layout::new(&data, manifest).unwrap()
    }

    proptest! {
        #[test]
        fn spans_are_all_the_chunks_in_order_and_each_is_of_one_file(
            sizes in prop::collection::vec(0..12 * CHUNK.0, 1..8),
            from in 0.0..1.0_f64,
        ) {
            let layout = layout(&sizes);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            #[expect(clippy::cast_precision_loss, reason = "a few dozen chunks")]
            let from = (layout.chunks() as f64 * from) as u64;
            let spans = spans(&layout, from..layout.chunks()).unwrap();
            let all: Vec<u64> = spans.iter().flat_map(Clone::clone).collect();
            prop_assert_eq!(all, (from..layout.chunks()).collect::<Vec<_>>());
            for span in spans {
                prop_assert!(span.end - span.start <= SPAN_CHUNKS);
                let file = |chunk| layout.place(chunk).unwrap().index;
                prop_assert_eq!(file(span.start), file(span.end - 1));
            }
        }
    }
}
