//! Chunks that need not cross the network, since another version of the dataset has them here: a
//! checkpoint differs from the one before in a few of its chunks.

use crate::TransferError;
use crate::incoming::{Incoming, Written};
use crate::layout::Layout;
use model::{Bytes, Digest};
use std::collections::BTreeMap;

/// The missing chunks that have some bytes.
type Wanted = BTreeMap<Digest, Vec<u64>>;

impl Incoming {
    /// Fills in the missing chunks that other versions of the dataset have in this store, whatever
    /// file they are in; how many bytes these are. They are compared with the manifest like any
    /// that arrive, so a version damaged meanwhile gives nothing bad. Blocks.
    pub(crate) fn reuse(&self) -> Result<Bytes, TransferError> {
        let mut versions = self.store().versions(&self.data().dataset);
        versions.retain(|version| version != self.data());
        if versions.is_empty() {
            return Ok(Bytes::ZERO);
        }
        let mut wanted = Wanted::new();
        for chunk in self.missing().into_iter().flatten() {
            wanted.entry(self.layout().place(chunk)?.digest).or_default().push(chunk);
        }
        let mut reused = Bytes::ZERO;
        for version in versions {
            // One that was removed or cannot be read is as good as one that was never here.
            if let Ok(other) = self.store().layout(&version) {
                reused += self.reuse_from(&other, &mut wanted)?;
            }
        }
        Ok(reused)
    }

    fn reuse_from(&self, other: &Layout, wanted: &mut Wanted) -> Result<Bytes, TransferError> {
        let mut reused = Bytes::ZERO;
        for chunk in 0..other.chunks() {
            let digest = other.place(chunk)?.digest;
            let Some(places) = wanted.get(&digest) else { continue };
            let Ok(bytes) = self.store().read_chunk(other, chunk) else { continue };
            let mut good = true;
            for place in places {
                match self.write_chunk(*place, &bytes)? {
                    Written::Verified => reused += Bytes(bytes.len() as u64),
                    Written::Corrupted => good = false,
                }
            }
            if good {
                wanted.remove(&digest);
            }
        }
        Ok(reused)
    }
}
