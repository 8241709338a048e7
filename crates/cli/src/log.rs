//! `portolan log`: the log's own files, on the machine that has them.

use crate::failure::{Code, Failure};
use crate::look::{self, Look};
use crate::session::{Session, note, print};
use crate::table::{Cell, Column, Table, Tone};
use anyhow::Context;
use audit::{History, Violation};
use clap::{Args, Subcommand};
use model::NetworkUid;
use model::fact::{Head, Record};
use serde::Serialize;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::VerifyReport;
use wire::view::{Event, LogRecord};

/// Read, check and mend a log's files. The server that writes it must be stopped.
#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// Print facts in order.
    Show(Show),
    /// Check all of it: every copy, the chain, the history it tells and the promises.
    Verify(Dir),
    /// Write all facts as lines of JSON, headers and payloads.
    Export {
        #[command(flatten)]
        dir: Dir,
        /// Into this file, instead of standard output.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Make one copy whole from the other.
    Repair {
        #[command(flatten)]
        dir: Dir,
        /// Give up facts that are in no copy, and all after the first of them.
        #[arg(long)]
        accept_loss: bool,
    },
    /// Make a copied log a network of its own, so that it never takes the original's attempts for
    /// its own.
    Restore(Dir),
}

/// Which log.
#[derive(Debug, Args)]
pub(crate) struct Dir {
    /// The server's directory.
    #[arg(long, value_name = "DIR", env = "PORTOLAN_SERVER_DIR")]
    dir: PathBuf,
}

/// Which facts.
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    dir: Dir,
    /// Those after this number.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
    /// At most so many.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Of this kind, such as job-ended.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// About this, such as job-42 or center:lingang.
    #[arg(long, value_name = "SUBJECT")]
    about: Option<String>,
    /// With what they say.
    #[arg(long)]
    content: bool,
}

impl Log {
    /// Does it.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        match self {
            Self::Show(show) => show.run(session).await,
            Self::Verify(dir) => verify(&dir.dir, session).await,
            Self::Export { dir, to } => export(&dir.dir, to).await,
            Self::Repair { dir, accept_loss } => {
                let report = store::repair(&dir.dir, accept_loss).await?;
                for finding in &report.findings {
                    note(finding);
                }
                print(&format!("{}\n", words(report.head)))
            }
            Self::Restore(dir) => {
                let mut uid = [0; 8];
                getrandom::fill(&mut uid).map_err(io::Error::other).context("no random bytes")?;
                let network = NetworkUid::from_bytes(uid);
                let head = store::restore(&dir.dir, network, look::now()).await?;
                print(&format!("now the network {network}: {}\n", words(head)))
            }
        }
    }
}

fn words(head: Head) -> String {
    format!("{} facts, head {}", head.number, head.digest)
}

async fn export(dir: &Path, to: Option<PathBuf>) -> anyhow::Result<()> {
    let out: Box<dyn Write + Send> = match &to {
        Some(path) => {
            let file = File::options().write(true).create_new(true).open(path);
            Box::new(file.with_context(|| format!("cannot create {}", path.display()))?)
        }
        None => Box::new(io::stdout()),
    };
    let head = store::export(dir, BufWriter::with_capacity(1 << 20, out)).await?;
    note(words(head));
    Ok(())
}

impl Show {
    async fn run(self, session: &Session) -> anyhow::Result<()> {
        let log = open(&self.dir.dir).await?;
        let (json, look, records) = (session.is_json(), session.look, log.read(self.after));
        let printing = tokio::task::spawn_blocking(move || {
            let mut out = BufWriter::new(io::stdout().lock());
            let limit = self.limit.unwrap_or(usize::MAX);
            let wanted = records.filter(|record| match record {
                Ok(record) => self.wants(record),
                Err(_) => true,
            });
            for record in wanted.take(limit) {
                let record = record?;
                if json {
                    serde_json::to_writer(&mut out, &view(&record)?)?;
                    writeln!(out)?;
                } else {
                    out.write_all(line(&record, self.content, &look).as_bytes())?;
                }
            }
            out.flush()?;
            anyhow::Ok(())
        });
        let printed = printing.await?;
        log.close().await?;
        printed
    }

    fn wants(&self, record: &Record) -> bool {
        let header = &record.header;
        self.kind.as_ref().is_none_or(|kind| header.kind == *kind)
            && self.about.as_ref().is_none_or(|subject| header.subjects.contains(subject))
    }
}

/// Opens a log that is there; where there is none, opening would make one.
pub(crate) async fn open(dir: &Path) -> anyhow::Result<Arc<dyn store::Log>> {
    if !["journal", "segments", "log.db"].iter().any(|part| dir.join(part).exists()) {
        return Err(store::Error::Missing { dir: dir.to_owned() }.into());
    }
    let opened = store::open(dir, store::Settings::default()).await?;
    opened.report.findings.iter().for_each(note);
    Ok(opened.log)
}

/// A record as the API shows it.
fn view(record: &Record) -> anyhow::Result<LogRecord<&RawValue>> {
    let header = &record.header;
    let content = match &*record.payload {
        [] => None,
        payload => Some(serde_json::from_slice(payload)?),
    };
    Ok(LogRecord {
        event: Event {
            number: header.number,
            kind: header.kind.clone(),
            at_ms: header.at,
            subjects: header.subjects.clone(),
            content,
        },
        version: header.version,
        payload: header.payload,
        header: header.digest(),
    })
}

/// A record as a line, and a second one with what it says.
fn line(record: &Record, content: bool, look: &Look) -> String {
    let header = &record.header;
    let subjects = header.subjects.join(" ");
    let mut text = format!("{:>8}  {}  {:<20}  {subjects}", header.number, header.at, header.kind);
    text.truncate(text.trim_end().len());
    text.push('\n');
    if content {
        let payload = match &*record.payload {
            [] => "(withheld or erased)".into(),
            payload => String::from_utf8_lossy(payload),
        };
        text.push_str(&format!("          {}\n", look.dim(&payload)));
    }
    text
}

/// What checking a log came to.
#[derive(Debug, Serialize)]
pub(crate) struct Checked {
    facts: u64,
    head: String,
    damaged_from: Option<u64>,
    parts: Vec<Part>,
    /// What is wrong with the history it tells; absent where that could not be judged.
    violations: Option<Vec<String>>,
    /// Why it could not.
    unjudged: Option<String>,
}

/// A part of a log.
#[derive(Debug, Serialize)]
struct Part {
    part: String,
    wrong: Option<String>,
}

impl Checked {
    fn of(report: &VerifyReport) -> Self {
        let parts = report.verdicts.iter();
        Self {
            facts: report.head.number,
            head: report.head.digest.to_string(),
            damaged_from: report.damaged,
            parts: parts
                .map(|part| Part { part: part.what.clone(), wrong: part.wrong.clone() })
                .collect(),
            violations: None,
            unjudged: None,
        }
    }

    fn is_sound(&self) -> bool {
        self.damaged_from.is_none()
            && self.parts.iter().all(|part| part.wrong.is_none())
            && self.violations.as_ref().is_none_or(Vec::is_empty)
    }
}

/// Checks the whole log: what is stored, then what it tells.
async fn verify(dir: &Path, session: &Session) -> anyhow::Result<()> {
    let mut checked = Checked::of(&store::verify(dir).await?);
    if checked.damaged_from.is_some() {
        checked.unjudged = Some("it cannot be read to its end".to_owned());
    } else if !checked.is_sound() {
        // Reading what it tells would open it, and opening mends.
        checked.unjudged = Some("mend it first with `portolan log repair`".to_owned());
    } else {
        match judge(dir).await? {
            Judged::Whole(violations) => {
                checked.violations = Some(violations.iter().map(ToString::to_string).collect());
            }
            Judged::Erased(count) => {
                checked.unjudged = Some(format!("{count} payloads were withheld or erased"));
            }
        }
    }
    session.show(&checked, told)?;
    if checked.is_sound() { Ok(()) } else { Err(Failure::Told(Code::Failed).into()) }
}

/// What a log's history came to.
enum Judged {
    /// What is wrong with it.
    Whole(Vec<Violation>),
    /// Without so many payloads it cannot be told.
    Erased(u64),
}

/// Judges every fact, that folding all of them gives the world a server would start with, and that
/// world.
async fn judge(dir: &Path) -> anyhow::Result<Judged> {
    let recovered = server::recover(dir, store::Settings::default()).await?;
    let log = Arc::clone(&recovered.log);
    let world = recovered.world;
    let reader = Arc::clone(&log);
    let judging = tokio::task::spawn_blocking(move || {
        let (mut history, mut found) = (History::default(), Vec::new());
        let (mut erased, mut failed) = (0, None);
        let records = reader.read(0).map_while(|record| record.map_err(|e| failed = Some(e)).ok());
        let records = records.inspect(|record| {
            erased += u64::from(record.payload.is_empty());
            // One that cannot be read ends the replay, which tells.
            if let Ok(fact) = record.fact() {
                found.extend(history.take(record.header.at, &fact));
            }
        });
        let replayed = audit::replay(&world, records);
        if let Some(failed) = failed {
            return Err(failed);
        }
        if erased > 0 {
            return Ok(Judged::Erased(erased));
        }
        found.extend(replayed);
        found.extend(audit::world(&world));
        Ok(Judged::Whole(found))
    });
    let judged = judging.await?;
    log.close().await?;
    Ok(judged?)
}

/// What checking a log came to, part by part.
pub(crate) fn told(checked: &Checked, look: &Look) -> String {
    let columns = [Column::new("PART"), Column::new("").least(20)];
    let mut table = Table::new(columns).wrapping();
    let mut add = |part: &str, wrong: Option<&str>| match wrong {
        None => table.row([part.into(), Cell::new("good", Tone::Good)]),
        Some(wrong) => table.row([part.into(), Cell::new(wrong, Tone::Bad)]),
    };
    for part in &checked.parts {
        add(&part.part, part.wrong.as_deref());
    }
    match (&checked.violations, &checked.unjudged) {
        (Some(wrong), _) if wrong.is_empty() => add("history and promises", None),
        (Some(wrong), _) => wrong.iter().for_each(|wrong| add("history and promises", Some(wrong))),
        (None, why) => {
            let why = why.as_deref().unwrap_or("it was not asked");
            add("history and promises", Some(&format!("not judged: {why}")));
        }
    }
    let mut text = table.render(look, "");
    text.push('\n');
    match checked.damaged_from {
        Some(number) => text.push_str(&format!("damaged from fact {number} on\n")),
        None => text.push_str(&format!("{} facts, head {}\n", checked.facts, checked.head)),
    }
    text
}
