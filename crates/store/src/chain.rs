//! Facts as bytes, and the one place that follows the chain over them.
//!
//! Headers are kept as their canonical JSON, one a line, payloads likewise; so headers verify
//! without payloads, a payload is taken away by emptying its line, and every file of the log is
//! readable text once decompressed.

use crate::error::{Error, Result};
use model::Digest;
use model::fact::{Head, Header, Record, extend};
use serde::{Deserialize, Serialize};

/// Where stored facts stop making sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// The first fact that does not.
    pub(crate) number: u64,
    /// What is wrong, for people.
    pub(crate) what: String,
}

impl From<Flaw> for Error {
    fn from(flaw: Flaw) -> Self {
        Self::Damaged { number: flaw.number, what: flaw.what }
    }
}

/// Reads the stored lines of the fact after `head`, and moves `head` on to it.
pub(crate) fn follow(head: &mut Head, header: &[u8], payload: &[u8]) -> Result<Header, Flaw> {
    let number = head.number + 1;
    let flaw = |what: String| Flaw { number, what };
    let read: Header =
        serde_json::from_slice(header).map_err(|why| flaw(format!("unreadable header: {why}")))?;
    if read.number != number {
        return Err(flaw(format!("it carries the number {}", read.number)));
    }
    if !payload.is_empty() && Digest::of(payload) != read.payload {
        return Err(flaw("its payload is not what its header says".into()));
    }
    *head = Head { number, digest: extend(&head.digest, &Digest::of(header)) };
    Ok(read)
}

/// Facts written together, as kept in a row of the database and in a frame of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The head before its first fact.
    pub(crate) before: Head,
    /// The head after its last.
    pub(crate) after: Head,
    /// Header lines.
    pub(crate) headers: Vec<u8>,
    /// Payload lines, as many.
    pub(crate) payloads: Vec<u8>,
}

/// What stands before the lines of a stored batch or segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    /// The layout of what follows.
    pub(crate) format: u32,
    /// The head before the first fact.
    pub(crate) before: Head,
    /// The head after the last.
    pub(crate) after: Head,
}

/// The layout this program writes.
pub(crate) const FORMAT: u32 = 1;

impl Batch {
    /// `records` as the batch that follows `before`; refused unless they do, each fits its header
    /// and is one line.
    pub(crate) fn of(before: Head, records: &[Record]) -> Result<Self> {
        let mut batch = Self { before, after: before, headers: Vec::new(), payloads: Vec::new() };
        for Record { header, payload } in records {
            let number = batch.after.number + 1;
            if header.number != number {
                return Err(Error::OutOfOrder { expected: number, found: header.number });
            }
            if payload.contains(&b'\n') {
                let what = "its payload is not compact JSON: it has a line feed".into();
                return Err(Error::Unfit { number, what });
            }
            if !payload.is_empty() && Digest::of(payload) != header.payload {
                let what = "its payload is not what its header says".into();
                return Err(Error::Unfit { number, what });
            }
            let line = header.canonical();
            let digest = extend(&batch.after.digest, &Digest::of(&line));
            batch.after = Head { number, digest };
            push_line(&mut batch.headers, &line);
            push_line(&mut batch.payloads, payload);
        }
        Ok(batch)
    }

    /// Its first fact.
    pub(crate) const fn first(&self) -> u64 {
        self.before.number + 1
    }

    /// How many facts it says it has.
    pub(crate) const fn facts(&self) -> u64 {
        self.after.number.saturating_sub(self.before.number)
    }

    /// What stands before its lines.
    pub(crate) const fn span(&self) -> Span {
        Span { format: FORMAT, before: self.before, after: self.after }
    }

    /// Gives each fact with the head after it; stops at the first that does not verify.
    pub(crate) fn each(&self, mut visit: impl FnMut(Header, &[u8], Head)) -> Result<(), Flaw> {
        let mut head = self.before;
        let mut payloads = lines(&self.payloads);
        for header in lines(&self.headers) {
            let flaw = |what: &str| Flaw { number: head.number + 1, what: what.into() };
            let payload = payloads.next().ok_or_else(|| flaw("it has no payload line"))?;
            let read = follow(&mut head, header, payload)?;
            visit(read, payload, head);
        }
        let flaw = |what: &str| Err(Flaw { number: self.first(), what: what.into() });
        if payloads.next().is_some() {
            return flaw("there are more payloads than headers");
        }
        if head != self.after || head == self.before {
            return flaw("its headers do not lead to the head stored with them");
        }
        Ok(())
    }

    /// Whether every fact of it verifies.
    pub(crate) fn verify(&self) -> Result<(), Flaw> {
        self.each(|_, _, _| ())
    }

    /// It with the payload of fact `number` emptied.
    pub(crate) fn without_payload(mut self, number: u64) -> Self {
        let erased = usize::try_from(number - self.first()).expect("a batch fits in memory");
        let mut payloads = Vec::with_capacity(self.payloads.len());
        for (index, payload) in lines(&self.payloads).enumerate() {
            push_line(&mut payloads, if index == erased { &[] } else { payload });
        }
        self.payloads = payloads;
        self
    }

    /// It with every payload emptied that is empty in `other`, which has the same headers.
    pub(crate) fn erased_as(mut self, other: &Self) -> Self {
        let mut payloads = Vec::with_capacity(self.payloads.len());
        for (mine, theirs) in lines(&self.payloads).zip(lines(&other.payloads)) {
            push_line(&mut payloads, if theirs.is_empty() { theirs } else { mine });
        }
        self.payloads = payloads;
        self
    }
}

/// The lines of `bytes`; a last one without its line feed counts too, so that it is seen as wrong.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let any = !bytes.is_empty();
    whole.split(|byte| *byte == b'\n').take(if any { usize::MAX } else { 0 })
}

/// Adds `line` and its line feed.
pub(crate) fn push_line(to: &mut Vec<u8>, line: &[u8]) {
    to.extend_from_slice(line);
    to.push(b'\n');
}
