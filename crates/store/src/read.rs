//! Reading the log in order, over segments and then rows, while it grows and is sealed.

use crate::error::{Error, Result};
use crate::rows::Readers;
use crate::segment::Segment;
use model::fact::{Head, Record};
use std::sync::{Arc, RwLock};
use tokio::runtime::Handle;

/// What reading needs; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) segments: Arc<RwLock<Vec<Segment>>>,
    pub(crate) rows: Readers,
    pub(crate) runtime: Handle,
}

impl Reader {
    /// The segment that holds fact `number`.
    pub(crate) fn segment(&self, number: u64) -> Option<Segment> {
        let segments = self.segments.read().expect("nobody panics with the segments");
        let at = segments.partition_point(|segment| segment.after.number < number);
        segments.get(at).filter(|segment| segment.holds(number)).cloned()
    }

    /// The head where the segments end.
    pub(crate) fn sealed(&self) -> Head {
        let segments = self.segments.read().expect("nobody panics with the segments");
        segments.last().map_or(Head::EMPTY, |segment| segment.after)
    }

    /// Gives the facts after `after` and up to `end`, each with the head after it, verified, while
    /// `visit` wants more. Blocks: not for the runtime's own threads.
    pub(crate) fn walk(
        &self,
        after: u64,
        end: u64,
        mut visit: impl FnMut(Record, Head) -> bool,
    ) -> Result<()> {
        let Some(mut head) = self.start(after, end)? else { return Ok(()) };
        let mut wanted = true;
        let mut page = 2;
        while wanted && head.number < end {
            if let Some(segment) = self.segment(head.number + 1) {
                // It may start before what was read already as rows.
                let seen = after.max(head.number);
                segment.each(|header, payload, at| {
                    if header.number > seen {
                        let record = Record { header, payload: payload.to_vec() };
                        wanted = at.number <= end && visit(record, at);
                    }
                    wanted
                })?;
                head = segment.after;
                continue;
            }
            page = (page * 2).min(256);
            let batches = self.runtime.block_on(self.rows.batches(head, page))?;
            // Rows that were sealed meanwhile are in a segment by now.
            let sealed = self.segment(head.number + 1).is_some();
            if batches.first().is_none_or(|batch| batch.before != head) && !sealed {
                let what = "the database has no row of it".into();
                return Err(Error::Damaged { number: head.number + 1, what });
            }
            for batch in batches.into_iter().take_while(|_| !sealed) {
                let mut at = batch.before;
                batch.each(|header, payload, next| {
                    at = next;
                    if wanted && header.number > after {
                        let record = Record { header, payload: payload.to_vec() };
                        wanted = next.number <= end && visit(record, next);
                    }
                })?;
                head = at;
            }
        }
        Ok(())
    }

    /// The head from which to read so that the fact after `after` comes; none if there is none.
    fn start(&self, after: u64, end: u64) -> Result<Option<Head>> {
        if after >= end {
            return Ok(None);
        }
        loop {
            if let Some(segment) = self.segment(after + 1) {
                return Ok(Some(segment.before));
            }
            let sealed = self.sealed();
            let head = self.runtime.block_on(self.rows.head_before(after + 1))?;
            // Sealing may have come between the two questions.
            if sealed == self.sealed() {
                return Ok(Some(
                    head.filter(|head| head.number >= sealed.number).unwrap_or(sealed),
                ));
            }
        }
    }
}
