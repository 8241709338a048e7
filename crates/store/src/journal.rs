//! The journal: the write-ahead copy of the log's unsealed tail.
//!
//! A fact is acknowledged once the journal has it with fdatasync *and* the database has it in its
//! WAL. The database needs no sync of its own: what a power loss takes from it, the journal has.
//! A journal file is frames end to end:
//!
//! ```text
//! magic 8 | body length 8, little-endian | BLAKE3 of the body 32 | BLAKE3 of these 48 bytes, cut to 8
//! body: one line of JSON (format, heads before and after, length of the headers), headers, payloads
//! ```
//!
//! The head of a frame vouches for its length, so a frame that runs past the end of the file was
//! torn while it was written, and one that is whole but does not match was damaged later.

use crate::chain::{Batch, FORMAT, Span};
use crate::durable;
use crate::error::{Doing, Error, Result};
use model::Digest;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"\x89ptljnl\n";
const HEAD: usize = 56;

/// The ending of journal files.
pub(crate) const ENDING: &str = "journal";

#[derive(Serialize, Deserialize)]
struct Preamble {
    #[serde(flatten)]
    span: Span,
    headers: usize,
}

/// The name of the journal file whose first fact is `first`.
pub(crate) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join("journal").join(format!("{first:010}.{ENDING}"))
}

/// The first fact of the journal file at `path`; zero for a name that is not a journal's.
pub(crate) fn first_in_name(path: &Path) -> u64 {
    path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).unwrap_or(0)
}

/// `batch` as a frame.
fn frame(batch: &Batch) -> Vec<u8> {
    let preamble = Preamble { span: batch.span(), headers: batch.headers.len() };
    let preamble = serde_json::to_vec(&preamble).expect("a preamble has only text keys");
    let length = preamble.len() + 1 + batch.headers.len() + batch.payloads.len();
    let mut frame = vec![0; HEAD];
    frame.reserve(length);
    frame.extend_from_slice(&preamble);
    frame.push(b'\n');
    frame.extend_from_slice(&batch.headers);
    frame.extend_from_slice(&batch.payloads);
    frame[..8].copy_from_slice(&MAGIC);
    frame[8..16].copy_from_slice(&(length as u64).to_le_bytes());
    let digest = Digest::of(&frame[HEAD..]);
    frame[16..48].copy_from_slice(digest.as_bytes());
    let check = Digest::of(&frame[..48]);
    frame[48..HEAD].copy_from_slice(&check.as_bytes()[..8]);
    frame
}

/// The file that takes the next batches.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    /// How many facts it has.
    pub(crate) facts: u64,
}

impl Journal {
    /// A new, empty one whose first fact will be `first`.
    pub(crate) fn create(dir: &Path, first: u64) -> Result<Self> {
        let path = path(dir, first);
        let file = File::create_new(&path).doing("create", &path)?;
        durable::sync_dir(path.parent().expect("it is in the journal directory"))?;
        Ok(Self { file, path, facts: 0 })
    }

    /// The existing one at `path`, which holds `facts` facts and nothing torn.
    pub(crate) fn reopen(path: PathBuf, facts: u64) -> Result<Self> {
        let file = File::options().append(true).open(&path).doing("open", &path)?;
        Ok(Self { file, path, facts })
    }

    /// Adds `batch`; durable once this returns.
    pub(crate) fn append(&mut self, batch: &Batch) -> Result<()> {
        self.file.write_all(&frame(batch)).doing("append to", &self.path)?;
        self.file.sync_data().doing("sync", &self.path)?;
        self.facts += batch.facts();
        Ok(())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Replaces the file at `path` by one that holds `batches`, atomically.
pub(crate) fn rewrite<'a>(path: &Path, batches: impl IntoIterator<Item = &'a Batch>) -> Result<()> {
    let bytes: Vec<u8> = batches.into_iter().flat_map(frame).collect();
    durable::write(path, &bytes)
}

/// What journal files hold.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// The frames that are whole, in file order.
    pub(crate) batches: Vec<Batch>,
    /// Frames that are not, and where.
    pub(crate) damaged: Vec<String>,
    /// How many of those follow the last whole frame.
    pub(crate) damaged_at_end: usize,
    /// Bytes of a frame at the end that was never finished.
    pub(crate) torn: u64,
}

/// Reads the files at `paths`, in order.
pub(crate) fn scan(paths: &[PathBuf]) -> Result<Scan> {
    let mut scan = Scan::default();
    for path in paths {
        if scan.torn > 0 {
            // Only the last file is ever written to: what looks torn in an earlier one is damage.
            scan.damage(format!("{} of its bytes at the end of an earlier file", scan.torn));
            scan.torn = 0;
        }
        let bytes = fs::read(path).doing("read", path)?;
        scan.file(path, &bytes)?;
    }
    Ok(scan)
}

impl Scan {
    fn damage(&mut self, what: String) {
        self.damaged.push(what);
        self.damaged_at_end += 1;
    }

    fn file(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match length(rest) {
                Some(length) if length <= rest.len() => {
                    let batch = open_frame(path, &rest[..length])?;
                    match batch {
                        Some(batch) => self.whole(batch),
                        None if unwritten(&rest[length - 1..]) => {
                            self.torn = rest.len() as u64;
                            break;
                        }
                        None => self.damage(format!("{} at byte {at}", path.display())),
                    }
                    at += length;
                }
                // A write that never came to its end, and so was never acknowledged.
                Some(_) => {
                    self.torn = rest.len() as u64;
                    break;
                }
                None => {
                    let next = (1..rest.len()).find(|next| length(&rest[*next..]).is_some());
                    let cut_off = rest.len() < HEAD || unwritten(&rest[rest.len().min(HEAD) - 1..]);
                    if next.is_none() && cut_off {
                        self.torn = rest.len() as u64;
                        break;
                    }
                    self.damage(format!("{} at byte {at}", path.display()));
                    at += next.unwrap_or(rest.len());
                }
            }
        }
        Ok(())
    }

    fn whole(&mut self, batch: Batch) {
        self.batches.push(batch);
        self.damaged_at_end = 0;
    }
}

/// Whether all this never reached the disk: such blocks read as zeros, and no frame ends in one.
fn unwritten(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// How long the frame is that starts here, if its head is whole.
fn length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..HEAD)?;
    if head[..8] != MAGIC || Digest::of(&head[..48]).as_bytes()[..8] != head[48..] {
        return None;
    }
    let length = u64::from_le_bytes(head[8..16].try_into().expect("eight bytes are eight bytes"));
    usize::try_from(length).ok()?.checked_add(HEAD)
}

/// The batch in a frame; none if its body is not what its head says.
fn open_frame(path: &Path, frame: &[u8]) -> Result<Option<Batch>> {
    let (head, body) = frame.split_at(HEAD);
    if Digest::of(body).as_bytes()[..] != head[16..48] {
        return Ok(None);
    }
    let Some(end) = body.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let Ok(preamble) = serde_json::from_slice::<Preamble>(&body[..end]) else { return Ok(None) };
    let Span { format, before, after } = preamble.span;
    if format != FORMAT {
        return Err(Error::Newer { path: path.to_owned(), format });
    }
    let lines = &body[end + 1..];
    if preamble.headers > lines.len() {
        return Ok(None);
    }
    let (headers, payloads) = lines.split_at(preamble.headers);
    Ok(Some(Batch { before, after, headers: headers.to_vec(), payloads: payloads.to_vec() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::fact::{Fact, Head, JobTouched, Record};
    use model::{JobId, Moment, TokenId};

    fn batches() -> Vec<Batch> {
        let mut head = Head::EMPTY;
        let batch = |facts: u64| {
            let record = |number| {
                let fact = Fact::JobHeld(JobTouched { job: JobId::new(7), by: TokenId::new(1) });
                Record::new(number, Moment(5), &fact)
            };
            let records: Vec<_> = (head.number + 1..=head.number + facts).map(record).collect();
            let batch = Batch::of(head, &records).unwrap();
            head = batch.after;
            batch
        };
        [1, 3, 2].map(batch).to_vec()
    }

    fn scanned(bytes: &[u8]) -> Scan {
        let mut scan = Scan::default();
        scan.file(Path::new("a.journal"), bytes).unwrap();
        scan
    }

    #[test]
    fn cut_at_any_byte_the_whole_frames_stay_and_the_rest_is_torn() {
        let batches = batches();
        let bytes: Vec<u8> = batches.iter().flat_map(frame).collect();
        let ends: Vec<usize> = batches
            .iter()
            .scan(0, |end, batch| {
                *end += frame(batch).len();
                Some(*end)
            })
            .collect();
        for cut in 0..=bytes.len() {
            let whole = ends.partition_point(|end| *end <= cut);
            let last = whole.checked_sub(1).map_or(0, |last| ends[last]);
            let scan = scanned(&bytes[..cut]);
            assert_eq!(scan.batches, batches[..whole], "cut at {cut}");
            assert_eq!((scan.torn, scan.damaged.len()), ((cut - last) as u64, 0), "cut at {cut}");
            // A file system that gave the file its length first, and its bytes never.
            let zeros = [&bytes[..cut], &[0; 300]].concat();
            let scan = scanned(&zeros);
            assert_eq!((scan.batches.len(), scan.damaged.len()), (whole, 0), "zeros from {cut}");
        }
    }

    #[test]
    fn a_flipped_bit_costs_one_frame_and_never_changes_another() {
        let batches = batches();
        let bytes: Vec<u8> = batches.iter().flat_map(frame).collect();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            let scan = scanned(&flipped);
            assert_eq!((scan.batches.len(), scan.damaged.len(), scan.torn), (2, 1, 0), "{at}");
            assert!(scan.batches.iter().all(|batch| batches.contains(batch)), "{at}");
        }
    }
}
