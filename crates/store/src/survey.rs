//! What is in a log's directory, and what of it can be trusted. Nothing is changed here.

use crate::chain::{Batch, Flaw};
use crate::durable;
use crate::error::Result;
use crate::journal::{self, Scan};
use crate::merge::{Merged, State, merge};
use crate::recover::{Finding, Verdict};
use crate::rows::{self, Loaded, Rows};
use crate::segment::{self, Segment};
use crate::snapshot::{self, Snapshot};
use model::fact::{Head, Record};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What a restart rests on: the newest good snapshot, all after it, the last segment and the
    /// whole tail.
    Restart,
    /// Everything.
    Whole,
}

/// A log as found.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The segments up to the first damage.
    pub(crate) segments: Vec<Segment>,
    /// What follows them.
    pub(crate) merged: Merged,
    /// The journal files, in order.
    pub(crate) journals: Vec<PathBuf>,
    /// The newest good snapshot on the chain.
    pub(crate) snapshot: Option<Snapshot>,
    /// The first fact that was acknowledged and cannot be read, if any.
    pub(crate) damage: Option<Flaw>,
    /// What is worth telling.
    pub(crate) findings: Vec<Finding>,
    /// What each file came to.
    pub(crate) verdicts: Vec<Verdict>,
    heads: BTreeMap<u64, Head>,
}

/// Whether there is a log in `dir`.
pub(crate) fn exists(dir: &Path) -> Result<bool> {
    Ok(rows::path(dir).exists()
        || !durable::list(&dir.join("journal"), journal::ENDING)?.is_empty()
        || !durable::list(&segment::directory(dir), segment::ENDING)?.is_empty())
}

/// Surveys the log in `dir`.
pub(crate) async fn survey(dir: &Path, depth: Depth) -> Result<Survey> {
    let loaded = load(dir).await?;
    let dir = dir.to_owned();
    let survey = tokio::task::spawn_blocking(move || Survey::make(&dir, loaded, depth));
    survey.await.expect("a survey does not panic")
}

async fn load(dir: &Path) -> Result<Option<Loaded>> {
    if !rows::path(dir).exists() {
        return Ok(None);
    }
    let mut rows = match Rows::open(dir).await {
        Ok(rows) => rows,
        Err(why) => {
            let damaged = Some(rows::blame(why)?);
            return Ok(Some(Loaded { damaged, ..Loaded::default() }));
        }
    };
    let loaded = rows.load().await;
    // A damaged database may refuse to close in order; what matters of it was read.
    let _closed = rows.close().await;
    loaded.map(Some)
}

impl Survey {
    fn make(dir: &Path, loaded: Option<Loaded>, depth: Depth) -> Result<Self> {
        let Listed { whole: segments, broken, stray } = list_segments(dir)?;
        let base = segments.last().map_or(Head::EMPTY, |segment| segment.after);
        let journals = durable::list(&dir.join("journal"), journal::ENDING)?;
        let scan = journal::scan(&journals)?;
        let nothing = journals.is_empty()
            && loaded.as_ref().is_none_or(|l| l.batches.is_empty())
            && (loaded.is_some() || !segments.is_empty());
        let merged = merge_tail(base, loaded, scan);
        let mut survey = Self {
            damage: merged.damage.clone(),
            findings: merged.findings(),
            segments,
            merged,
            journals,
            snapshot: None,
            verdicts: Vec::new(),
            heads: BTreeMap::new(),
        };
        if nothing && survey.damage.is_none() {
            let what = "the journal is gone and the database is empty".into();
            survey.damage = Some(Flaw { number: base.number + 1, what });
        }
        let candidates = load_snapshots(dir, depth)?;
        let cut = survey.read_segments(depth, &candidates);
        if let Some((name, flaw)) = broken {
            survey.judge_stray(&name, &flaw, &stray, depth);
            if !cut {
                survey.damage = Some(flaw);
                survey.forget_tail();
            }
        }
        survey.tell_tail();
        for candidate in candidates {
            survey.judge(candidate);
        }
        Ok(survey)
    }

    /// The last fact that can be read.
    pub(crate) const fn head(&self) -> Head {
        self.merged.head
    }

    /// Where the tail starts.
    pub(crate) fn base(&self) -> Head {
        self.segments.last().map_or(Head::EMPTY, |segment| segment.after)
    }

    /// Verifies the segments a restart rests on, or all; after the first bad one nothing counts but
    /// what can be read of it. Answers whether there was one.
    fn read_segments(&mut self, depth: Depth, snapshots: &[Candidate]) -> bool {
        let good = snapshots.iter().filter_map(|candidate| candidate.read.as_ref().ok());
        let marks: Vec<u64> = good.map(|snapshot| snapshot.head.number).collect();
        let passed = match depth {
            Depth::Whole => 0,
            Depth::Restart => marks.first().copied().unwrap_or(0),
        };
        let mut bad = None;
        for (index, segment) in self.segments.iter().enumerate() {
            let last = index + 1 == self.segments.len();
            if segment.after.number <= passed && !last {
                continue;
            }
            let read = segment.each(|header, _, head| {
                if marks.contains(&header.number) {
                    self.heads.insert(header.number, head);
                }
                true
            });
            self.verdicts.push(verdict_of(segment, &read));
            if let (Err(flaw), None) = (read, &bad) {
                bad = Some((index, flaw));
            }
        }
        let cut = bad.is_some();
        if let Some((index, flaw)) = bad {
            self.cut(index, flaw);
        }
        self.mark_tail(&marks);
        cut
    }

    /// A segment that cannot be opened or does not follow ends the log; those after it are still
    /// worth a verdict.
    fn judge_stray(&mut self, name: &str, flaw: &Flaw, stray: &[Segment], depth: Depth) {
        self.verdicts
            .push(Verdict { what: format!("segment {name}"), wrong: Some(flaw.what.clone()) });
        if depth == Depth::Whole {
            let judged =
                stray.iter().map(|segment| verdict_of(segment, &segment.each(|_, _, _| true)));
            self.verdicts.extend(judged);
        }
    }

    /// Notes the tail's heads at `marks`.
    fn mark_tail(&mut self, marks: &[u64]) {
        for &number in marks {
            let batch =
                self.merged.tail.iter().find(|b| b.first() <= number && number <= b.after.number);
            if let Some(batch) = batch {
                let read = batch.each(|header, _, head| {
                    if header.number == number {
                        self.heads.insert(number, head);
                    }
                });
                read.expect("the tail was verified");
            }
        }
    }

    /// Ends the log at the flaw in segment `index`.
    fn cut(&mut self, index: usize, flaw: Flaw) {
        let segment = self.segments[index].clone();
        self.segments.truncate(index);
        self.forget_tail();
        let mut records = Vec::new();
        // It ends in the flaw known already.
        let _flaw = segment.each(|header, payload, _| {
            if header.number < flaw.number {
                records.push(Record { header, payload: payload.to_vec() });
            }
            true
        });
        for part in records.chunks(1024) {
            let batch = Batch::of(self.merged.head, part).expect("verified records make a batch");
            self.merged.head = batch.after;
            self.merged.tail.push(batch);
        }
        self.damage = Some(flaw);
    }

    /// Nothing after a broken segment counts.
    fn forget_tail(&mut self) {
        let state = || State::Broken("a segment before it is damaged".into());
        self.merged.tail.clear();
        self.merged.head = self.base();
        (self.merged.database, self.merged.journal) = (state(), state());
    }

    fn tell_tail(&mut self) {
        for (what, state) in
            [("journal", &self.merged.journal), ("database", &self.merged.database)]
        {
            let wrong = match state {
                State::Sound => None,
                State::Short(from) => {
                    Some(format!("it lacks the facts from {} on", self.merged.tail[*from].first()))
                }
                State::Broken(what) => Some(what.clone()),
            };
            self.verdicts.push(Verdict { what: what.into(), wrong });
        }
    }

    /// Takes a snapshot that is whole and on the chain, unless a newer one was.
    fn judge(&mut self, Candidate { path, read }: Candidate) {
        let end = self.head();
        let judged = read.and_then(|snapshot| {
            let number = snapshot.head.number;
            if number > end.number && self.damage.is_none() {
                let what = format!("{} reaches fact {number}, the log does not", path.display());
                self.damage = Some(Flaw { number: end.number + 1, what });
            }
            let sealed = self.segments.iter().map(|segment| segment.after);
            let on_chain = self.heads.get(&number) == Some(&snapshot.head)
                || sealed.chain([end, Head::EMPTY]).any(|head| head == snapshot.head);
            if on_chain { Ok(snapshot) } else { Err("it is not of this log".into()) }
        });
        let wrong = judged.as_ref().err().cloned();
        let what = format!("snapshot {}", file_name(&path));
        self.verdicts.push(Verdict { what, wrong: wrong.clone() });
        if let Some(why) = wrong {
            self.findings.push(Finding::BrokenSnapshot { path, why });
        }
        if self.snapshot.is_none() {
            self.snapshot = judged.ok();
        }
    }
}

/// A snapshot file, and what is in it or wrong with it.
struct Candidate {
    path: PathBuf,
    read: Result<Snapshot, String>,
}

/// The snapshots, newest first; for a restart no further than the first whole one.
fn load_snapshots(dir: &Path, depth: Depth) -> Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    for path in snapshot::list(dir)?.into_iter().rev() {
        let read = snapshot::load(&path);
        let done = read.is_ok() && depth == Depth::Restart;
        candidates.push(Candidate { path, read });
        if done {
            break;
        }
    }
    Ok(candidates)
}

/// The tail by both copies; a database that was never made lacks nothing of an empty log.
fn merge_tail(base: Head, loaded: Option<Loaded>, scan: Scan) -> Merged {
    let missing = loaded.is_none();
    let mut merged = merge(base, loaded.unwrap_or_default(), scan);
    if missing && merged.head != Head::EMPTY && merged.database == State::Sound {
        merged.database = State::Broken("it is missing".into());
    }
    merged
}

/// The segments of a log.
struct Listed {
    /// In order, each following the one before, up to the first that does not.
    whole: Vec<Segment>,
    /// That first one.
    broken: Option<(String, Flaw)>,
    /// What comes after it and can be judged only by itself.
    stray: Vec<Segment>,
}

fn list_segments(dir: &Path) -> Result<Listed> {
    let mut listed = Listed { whole: Vec::new(), broken: None, stray: Vec::new() };
    for path in durable::list(&segment::directory(dir), segment::ENDING)? {
        let number = listed.whole.last().map_or(1, |segment| segment.after.number + 1);
        let base = listed.whole.last().map_or(Head::EMPTY, |segment| segment.after);
        let name = file_name(&path);
        match Segment::open(path)? {
            Ok(segment) if listed.broken.is_some() => listed.stray.push(segment),
            Ok(segment) if segment.before == base => listed.whole.push(segment),
            Ok(segment) => {
                let what = "the segment before it is missing, or not the one it follows".into();
                listed.broken = Some((name, Flaw { number, what }));
                listed.stray.push(segment);
            }
            Err(what) if listed.broken.is_none() => {
                listed.broken = Some((name, Flaw { number, what }));
            }
            Err(_) => {}
        }
    }
    Ok(listed)
}

fn verdict_of(segment: &Segment, read: &Result<(), Flaw>) -> Verdict {
    let wrong = read.as_ref().err().map(|flaw| format!("fact {}: {}", flaw.number, flaw.what));
    Verdict { what: format!("segment {}", file_name(&segment.path)), wrong }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
