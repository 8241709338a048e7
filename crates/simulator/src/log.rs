//! The log, streamed: what a store would write, and the chain over it.

use model::fact::{Head, extend};
use model::{Fact, Moment, Record};
use world::{Contradiction, World};

/// Takes records as they become durable, in order.
pub trait Sink {
    /// Takes the records of one append.
    fn take(&mut self, records: &[Record]);
}

/// A sink that looks at nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

impl Sink for Nowhere {
    fn take(&mut self, _records: &[Record]) {}
}

/// The log of a run. Its head is computed as the store computes it; the records are kept only if
/// somebody is to read them again.
pub(crate) struct Log<'a> {
    pub(crate) head: Head,
    /// Bytes of headers and payloads.
    pub(crate) bytes: u64,
    /// All records, if they are kept.
    pub(crate) kept: Option<Vec<Record>>,
    sink: &'a mut dyn Sink,
}

impl<'a> Log<'a> {
    pub(crate) fn new(keep: bool, sink: &'a mut dyn Sink) -> Self {
        Self { head: Head::EMPTY, bytes: 0, kept: keep.then(Vec::new), sink }
    }

    pub(crate) fn append<'f>(&mut self, at: Moment, facts: impl Iterator<Item = &'f Fact>) {
        let mut records = Vec::new();
        for fact in facts {
            let number = self.head.number + 1;
            let record = Record::new(number, at, fact);
            let line = record.header.canonical();
            self.bytes += (line.len() + record.payload.len()) as u64;
            let digest = extend(&self.head.digest, &model::Digest::of(&line));
            self.head = Head { number, digest };
            records.push(record);
        }
        self.sink.take(&records);
        if let Some(kept) = &mut self.kept {
            kept.append(&mut records);
        }
    }

    /// The world that the kept records amount to, as a server finds it when it starts.
    pub(crate) fn recover(&self) -> Result<World, Contradiction> {
        let mut world = World::default();
        for record in self.kept.iter().flatten() {
            let number = record.header.number;
            let fact = record.fact().map_err(|e| Contradiction { number, why: e.to_string() })?;
            world.fold(record.header.at, &fact)?;
        }
        Ok(world)
    }
}
