//! Two copies of the tail, the database's and the journal's, made one again.

use crate::chain::{Batch, Flaw};
use crate::journal::Scan;
use crate::recover::{Copy, Finding};
use crate::rows::Loaded;
use model::fact::Head;
use std::collections::BTreeMap;

/// How one copy of the tail compares with the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// It has all of it.
    Sound,
    /// It lacks the batches from this one on, as after a power loss.
    Short(usize),
    /// It is to be written anew.
    Broken(String),
}

impl State {
    fn break_with(&mut self, what: impl Into<String>) {
        if !matches!(self, Self::Broken(_)) {
            *self = Self::Broken(what.into());
        }
    }
}

/// The tail by both copies.
#[derive(Debug)]
pub(crate) struct Merged {
    /// Every batch that verifies in at least one copy, up to the first that verifies in none.
    pub(crate) tail: Vec<Batch>,
    /// The head after them.
    pub(crate) head: Head,
    pub(crate) database: State,
    pub(crate) journal: State,
    /// What was acknowledged, or may have been, and is in neither.
    pub(crate) damage: Option<Flaw>,
    /// Bytes of a write that was never finished.
    pub(crate) torn: u64,
    /// How many batches follow the journal's last whole frame.
    beyond_journal: usize,
}

/// Merges what follows `base`.
pub(crate) fn merge(base: Head, loaded: Loaded, scan: Scan) -> Merged {
    let mut merged = Merged {
        tail: Vec::new(),
        head: base,
        database: State::Sound,
        journal: State::Sound,
        damage: None,
        torn: scan.torn,
        beyond_journal: 0,
    };
    if let Some(what) = &loaded.damaged {
        merged.database.break_with(what);
    }
    if let Some(what) = scan.damaged.first() {
        merged.journal.break_with(what);
    }
    let mut rows = by_first(base, loaded.batches);
    let mut frames = by_first(base, scan.batches);
    let mut flaws = Vec::new();
    while flaws.is_empty() {
        let first = merged.head.number + 1;
        let row = rows.remove(&first).map(|row| Batch { before: merged.head, ..row });
        let frame = frames.remove(&first);
        if row.is_none() && frame.is_none() {
            break;
        }
        flaws = merged.step(row, frame);
    }
    let number = merged.head.number + 1;
    let later = rows.keys().chain(frames.keys()).max();
    merged.damage = merged.damage.take().or_else(|| {
        let what = if !flaws.is_empty() {
            flaws.join("; ")
        } else if let Some(later) = later {
            format!("it is in no copy, although fact {later} is")
        } else if scan.damaged_at_end > merged.beyond_journal {
            format!(
                "the journal is damaged ({}) and the database lacks it",
                scan.damaged.join(", ")
            )
        } else if let (1.., Some(what)) = (scan.torn, &loaded.damaged) {
            format!(
                "the journal's last frame is incomplete, and the database, which would tell \
                 whether it was acknowledged, is damaged ({what})"
            )
        } else {
            return None;
        };
        Some(Flaw { number, what })
    });
    merged
}

/// The batches after `base` by their first fact; what a segment holds already is left out.
fn by_first(base: Head, batches: Vec<Batch>) -> BTreeMap<u64, Batch> {
    let tail = batches.into_iter().filter(|batch| batch.after.number > base.number);
    tail.map(|batch| (batch.first(), batch)).collect()
}

/// The batch if it is there and verifies as the one after `head`; else what is wrong with it, none if
/// it is missing.
fn judge(batch: Option<Batch>, head: Head) -> Result<Batch, Option<String>> {
    let batch = batch.ok_or(None)?;
    if batch.before != head {
        return Err(Some("not what follows the fact before".into()));
    }
    match batch.verify() {
        Ok(()) => Ok(batch),
        Err(flaw) => Err(Some(format!("damaged at fact {}: {}", flaw.number, flaw.what))),
    }
}

impl Merged {
    /// Takes the next batch from whichever copy has it whole; else says what is wrong with each.
    fn step(&mut self, row: Option<Batch>, frame: Option<Batch>) -> Vec<String> {
        let first = self.head.number + 1;
        // The usual case needs only one of two equal copies verified.
        let equal = row.is_some() && row == frame;
        let row = judge(row, self.head);
        let frame = if equal { row.clone() } else { judge(frame, self.head) };
        if row.is_ok() && matches!(self.database, State::Short(_)) {
            self.database.break_with(format!("batches before fact {first} are missing"));
        }
        self.beyond_journal = if frame.is_ok() { 0 } else { self.beyond_journal + 1 };
        let batch = match (row, frame) {
            (Ok(row), Ok(frame)) => match self.reconcile(row, &frame) {
                Ok(batch) => batch,
                Err(what) => return vec![what],
            },
            (Ok(row), Err(flaw)) => {
                let what = flaw.as_deref().unwrap_or("missing");
                self.journal.break_with(format!("the batch from fact {first} is {what}"));
                row
            }
            (Err(None), Ok(frame)) => {
                if self.database == State::Sound {
                    self.database = State::Short(self.tail.len());
                }
                frame
            }
            (Err(Some(what)), Ok(frame)) => {
                self.database.break_with(format!("the batch from fact {first} is {what}"));
                frame
            }
            (Err(row), Err(frame)) => {
                let said = [("the database", row), ("the journal", frame)];
                return said
                    .map(|(copy, what)| {
                        format!("in {copy} it is {}", what.as_deref().unwrap_or("missing"))
                    })
                    .to_vec();
            }
        };
        self.head = batch.after;
        self.tail.push(batch);
        Vec::new()
    }

    /// One batch of two that verify. They may differ in what was erased: a crash came between.
    fn reconcile(&mut self, row: Batch, frame: &Batch) -> Result<Batch, String> {
        if row.headers != frame.headers {
            return Err("the database and the journal tell different stories".into());
        }
        if row.payloads == frame.payloads {
            return Ok(row);
        }
        let batch = row.clone().erased_as(frame);
        if batch.payloads != row.payloads {
            self.database.break_with("a payload was erased in the journal only");
        }
        if batch.payloads != frame.payloads {
            self.journal.break_with("a payload was erased in the database only");
        }
        Ok(batch)
    }

    /// What is worth telling.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.torn > 0 {
            findings.push(Finding::TornWrite { bytes: self.torn });
        }
        if let State::Short(from) = self.database {
            let first = self.tail[from].first();
            findings.push(Finding::CaughtUp { first, last: self.head.number });
        }
        for (copy, state) in [(Copy::Database, &self.database), (Copy::Journal, &self.journal)] {
            if let State::Broken(what) = state {
                findings.push(Finding::Repaired { copy, what: what.clone() });
            }
        }
        findings
    }
}
