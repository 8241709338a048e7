//! Sealed segments: finished stretches of the log, compressed, each verifiable alone.
//!
//! A segment is one zstd file; decompressed it is text: one line of JSON with the heads before and
//! after, then for each fact its header line and its payload line.

use crate::chain::{Batch, FORMAT, Flaw, Span, follow, lines, push_line};
use crate::durable;
use crate::error::{Doing, Error, Result};
use model::fact::{Head, Header};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// The ending of segment and snapshot files.
pub(crate) const ENDING: &str = "zst";
/// About one second a hundred megabytes, and a sixth of the size.
const LEVEL: i32 = 3;

/// A sealed segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) before: Head,
    pub(crate) after: Head,
}

/// Where segments are.
pub(crate) fn directory(dir: &Path) -> PathBuf {
    dir.join("segments")
}

impl Segment {
    /// Writes `batches` as a segment of the log in `dir`, and reads it back before it counts.
    pub(crate) fn seal(dir: &Path, batches: &[Batch]) -> Result<Self> {
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else {
            unreachable!("only journal files with facts are sealed")
        };
        let (before, after) = (first.before, last.after);
        let name = format!("{:010}-{:010}.{ENDING}", before.number + 1, after.number);
        let path = directory(dir).join(name);
        let facts = batches.iter().flat_map(|b| lines(&b.headers).zip(lines(&b.payloads)));
        let segment = Self { path, before, after };
        segment.write(facts)?;
        Ok(segment)
    }

    fn write<'a>(&self, facts: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<()> {
        let unfinished = self.path.with_extension(durable::UNFINISHED);
        let file = File::create(&unfinished).doing("create", &unfinished)?;
        let written = (|| {
            let mut encoder = zstd::Encoder::new(file, LEVEL)?;
            encoder.include_checksum(true)?;
            let span = Span { format: FORMAT, before: self.before, after: self.after };
            let mut text = serde_json::to_vec(&span)?;
            text.push(b'\n');
            for (header, payload) in facts {
                push_line(&mut text, header);
                push_line(&mut text, payload);
                if text.len() > 1 << 16 {
                    encoder.write_all(&text)?;
                    text.clear();
                }
            }
            encoder.write_all(&text)?;
            encoder.finish()?.sync_all()
        })();
        written.doing("write", &unfinished)?;
        let copy = Self { path: unfinished.clone(), ..self.clone() };
        copy.each(|_, _, _| true)?;
        durable::rename(&unfinished, &self.path)
    }

    /// What the file at `path` says it spans, its facts not being read; or what is wrong with that.
    pub(crate) fn open(path: PathBuf) -> Result<Result<Self, String>> {
        let span = match read_span(&path)? {
            Ok(span) => span,
            Err(why) => return Ok(Err(why)),
        };
        if span.format != FORMAT {
            return Err(Error::Newer { path, format: span.format });
        }
        let facts = span.before.number + 1..=span.after.number;
        if facts.is_empty() || *facts.start() != first_in_name(&path) {
            return Ok(Err("it does not span what its name says".into()));
        }
        let Span { before, after, .. } = span;
        Ok(Ok(Self { path, before, after }))
    }

    /// Gives each fact with the head after it, verified, while `visit` wants more; a flaw is where
    /// the file stops making sense.
    pub(crate) fn each(
        &self,
        mut visit: impl FnMut(Header, &[u8], Head) -> bool,
    ) -> Result<(), Flaw> {
        let mut head = self.before;
        let flaw = |head: Head, what: &dyn std::fmt::Display| Flaw {
            number: head.number + 1,
            what: format!("{}: {what}", self.path.display()),
        };
        let mut reader = open_text(&self.path).map_err(|why| flaw(head, &why))?;
        let (mut header, mut payload) = (Vec::new(), Vec::new());
        read_line(&mut reader, &mut header).map_err(|why| flaw(head, &why))?;
        while head.number < self.after.number {
            read_line(&mut reader, &mut header).map_err(|why| flaw(head, &why))?;
            read_line(&mut reader, &mut payload).map_err(|why| flaw(head, &why))?;
            let read = follow(&mut head, &header, &payload).map_err(|why| flaw(head, &why.what))?;
            if !visit(read, &payload, head) {
                return Ok(());
            }
        }
        if head != self.after {
            return Err(flaw(self.before, &"its facts do not lead to the head it says"));
        }
        // Reading to the end lets zstd check its own sum, and finds anything appended.
        match reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(flaw(head, &"there is more in it than it says")),
            Err(why) => Err(flaw(self.before, &why)),
        }
    }

    /// Empties the payload of fact `number` in the file.
    pub(crate) fn erase(&self, number: u64) -> Result<()> {
        let mut facts = Vec::new();
        self.each(|header, payload, _| {
            let payload = if header.number == number { &[] } else { payload };
            facts.push((header.canonical(), payload.to_vec()));
            true
        })?;
        self.write(facts.iter().map(|(header, payload)| (&header[..], &payload[..])))
    }

    /// Whether fact `number` is in it.
    pub(crate) const fn holds(&self, number: u64) -> bool {
        self.before.number < number && number <= self.after.number
    }
}

fn open_text(path: &Path) -> std::io::Result<BufReader<zstd::Decoder<'static, BufReader<File>>>> {
    Ok(BufReader::with_capacity(1 << 16, zstd::Decoder::new(File::open(path)?)?))
}

fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<()> {
    line.clear();
    reader.read_until(b'\n', line)?;
    match line.pop() {
        Some(b'\n') => Ok(()),
        _ => Err(std::io::ErrorKind::UnexpectedEof.into()),
    }
}

fn read_span(path: &Path) -> Result<Result<Span, String>> {
    let file = File::open(path).doing("open", path)?;
    let read = || {
        let mut reader = BufReader::new(zstd::Decoder::new(file)?).take(1024);
        let mut line = Vec::new();
        read_line(&mut reader, &mut line)?;
        Ok::<Span, std::io::Error>(serde_json::from_slice(&line)?)
    };
    Ok(read().map_err(|why| why.to_string()))
}

/// The first fact by the file's name; zero for a name that is not a segment's.
fn first_in_name(path: &Path) -> u64 {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('-').next().and_then(|first| first.parse().ok()).unwrap_or(0)
}
