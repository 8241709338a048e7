//! `portolan whatif`: yesterday's load, or what waits now, under another network or policy.

use crate::failure::{Code, Failure};
use crate::progress;
use crate::session::{Session, note};
use crate::{catalog, log, simulate};
use anyhow::Context;
use clap::Args;
use client::Client;
use model::fact::{Header, Record};
use model::{Moment, Span};
use simulator::whatif::{ChangeFile, Changes, Past, Period, WhatIf};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use wire::view::LogRecord;

mod page;
mod table;

/// How many records a server is asked for at once.
const PAGE: usize = 1_000;

const EXAMPLES: &str = "\
Examples:
  How well the simulation tells what really happened on this server, all of its past:
    portolan whatif
  The last day without a center, and with another one instead:
    portolan whatif --last 24h --remove-center kunshan
    portolan whatif --last 24h --remove-center kunshan --add-center suzhou.toml
  A wider link, a dearer pool and fewer reservations at once:
    portolan whatif --set link.kunshan--sh-ixp.capacity='100 Gbit/s' \\
        --set pool.lingang/a100.price='12 CNY' --set policy.reservations=8
  What would become of those who wait now, if a pool had four more nodes:
    portolan whatif --ahead --set pool.lingang/a100.nodes=6
  Of an exported log, as JSON:
    portolan log export --dir DIR --to log.jsonl
    portolan whatif --log log.jsonl --file whatif.toml --output json

What may be set:
  link.NAME.capacity, .price (for a Gbit/s and hour), .down=true
  pool.CENTER/POOL.nodes, .share (lent, as `60 %`), .chip, .price (for a chip and hour)
  center.NAME.only_tenants (commas between them, or `all`)
  policy.reservations, policy.paths, policy.hour_is_worth, policy.stage_ahead

A file of changes has the keys `add_centers`, `remove_centers` and the table `[set]`. How the load
is made, and what the figures mean, is in docs/whatif.md.";

/// Play a log's past again under another network or policy, and see who gains and who loses.
///
/// The same jobs come at the same times and take as long as they really did; the same planner that a
/// server runs places them, once on the network as it was and once with the changes. What really
/// happened stands beside, to tell how far to trust the simulation.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Whatif {
    /// An exported log, instead of asking the server.
    #[arg(long, value_name = "FILE", conflicts_with = "dir")]
    log: Option<PathBuf>,
    /// The directory of a server that is stopped, instead of asking one that runs.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Jobs submitted from this time on, such as 2026-11-23T08:00:00+08:00; else from the first.
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,
    /// Jobs submitted before this time; else to the log's end.
    #[arg(long, value_name = "TIME")]
    to: Option<Moment>,
    /// Jobs of so long before the log's end, such as 24h.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["from", "to"])]
    last: Option<Span>,
    /// Instead of the past: what waits at the log's end, until all of it has ended.
    #[arg(long, conflicts_with_all = ["from", "to", "last"])]
    ahead: bool,
    /// A file of changes.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Add what is in this network file: centers, their links, tenants. May be said again.
    #[arg(long, value_name = "FILE")]
    add_center: Vec<PathBuf>,
    /// Take this center away, with its links. May be said again.
    #[arg(long, value_name = "CENTER")]
    remove_center: Vec<String>,
    /// Set something to a value. May be said again; --help lists what there is.
    #[arg(long, value_name = "PATH=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// Chip files, or folders of them, for chips that neither network nor catalog has.
    #[arg(long, value_name = "FILE")]
    chips: Vec<PathBuf>,
    /// Chance, where there is any, is drawn from this.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Also write a page with the tables to this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (path, value) = text.split_once('=').ok_or("expected a path, `=` and a value")?;
    Ok((path.trim().to_owned(), value.trim().to_owned()))
}

impl Whatif {
    /// Reads, plays and tells.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let changes = self.changes()?;
        let chips = crate::network::read(&self.chips)?;
        let chips: Vec<(&str, &str)> =
            chips.iter().map(|file| (&*file.name, &*file.text)).collect();
        let catalog = catalog::with(&chips)?;
        let past = self.past(session).await?;
        let what_if = WhatIf::of(&past, self.period(&past)?).map_err(simulate::failed)?;
        let runs = if changes.is_empty() { 1 } else { 2 };
        let bar = progress::jobs((what_if.jobs() * runs).max(2));
        let answer = what_if.play(&changes, &catalog, self.seed, &mut || bar.inc(1));
        bar.finish_and_clear();
        let answer = answer.map_err(simulate::failed)?;
        if let Some(file) = &self.html {
            std::fs::write(file, page::page(&answer))
                .with_context(|| format!("cannot write {}", file.display()))?;
            note(format!("the page is in {}", file.display()));
        }
        session.show(&answer, table::text)
    }

    /// All that is to change: by the file first, then by the command line.
    fn changes(&self) -> anyhow::Result<Changes> {
        let mut changes = Changes::default();
        let mut add = Vec::new();
        if let Some(path) = &self.file {
            let text = text(path)?;
            let file = ChangeFile::read(&path.display().to_string(), &text);
            let file = file.map_err(simulate::failed)?;
            let beside = path.parent().unwrap_or(Path::new(""));
            add.extend(file.add_centers.iter().map(|name| beside.join(name)));
            changes.remove.extend(file.remove_centers.iter().cloned());
            changes.set = file.set();
        }
        add.extend(self.add_center.iter().cloned());
        for path in &add {
            changes.add.push((path.display().to_string(), text(path)?));
        }
        changes.remove.extend(self.remove_center.iter().cloned());
        changes.set.extend(self.set.iter().cloned());
        Ok(changes)
    }

    fn period(&self, past: &Past) -> anyhow::Result<Period> {
        let end = past.last() + Span(1);
        if self.ahead {
            return Ok(Period { from: end, to: end });
        }
        let Some(whole) = past.whole() else {
            let none = Failure::said(Code::NotFound, "the log has no jobs");
            return Err(none.help("submit some first").into());
        };
        let last = self.last.map(|last| Moment(whole.to.0.saturating_sub(last.0)));
        let from = self.from.or(last).unwrap_or(whole.from);
        let to = self.to.unwrap_or(whole.to);
        if from >= to {
            let what = format!("the period begins at {from}, not before it ends at {to}");
            let help = format!("the log ends at {}", past.last());
            return Err(Failure::said(Code::Invalid, what).help(help).into());
        }
        Ok(Period { from, to })
    }

    async fn past(&self, session: &Session) -> anyhow::Result<Past> {
        let bar = progress::spinner("reading the log".to_owned());
        let past = match (&self.log, &self.dir) {
            (Some(file), _) => exported(file),
            (None, Some(dir)) => kept(dir).await,
            (None, None) => {
                let client = session.client()?;
                served(&client, |number| bar.set_message(format!("reading fact {number}"))).await
            }
        };
        bar.finish_and_clear();
        past
    }
}

fn text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The past out of an exported log, whose chain is verified on the way.
fn exported(path: &Path) -> anyhow::Result<Past> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut past = Past::default();
    for record in store::transcript(BufReader::with_capacity(1 << 20, file)) {
        past.take(&record?)?;
    }
    Ok(past)
}

/// The past out of the directory of a server that is stopped.
async fn kept(dir: &Path) -> anyhow::Result<Past> {
    let log = log::open(dir).await?;
    let records = log.read(0);
    let reading = tokio::task::spawn_blocking(move || {
        let mut past = Past::default();
        for record in records {
            past.take(&record?)?;
        }
        anyhow::Ok(past)
    });
    let past = reading.await?;
    log.close().await?;
    past
}

/// The past out of a server that runs. `each` is told how far the reading is.
async fn served(client: &Client, each: impl Fn(u64)) -> anyhow::Result<Past> {
    let mut past = Past::default();
    let mut after = Some(0);
    while let Some(number) = after {
        let page = client.log_page(number, PAGE).await?;
        for shown in &page.records {
            past.take(&record(shown)?)?;
        }
        after = page.next;
        each(after.unwrap_or(number));
    }
    Ok(past)
}

/// A record out of what the API shows of it.
fn record(shown: &LogRecord) -> anyhow::Result<Record> {
    let event = &shown.event;
    let header = Header {
        number: event.number,
        kind: event.kind.clone(),
        version: shown.version,
        at: event.at_ms,
        subjects: event.subjects.clone(),
        payload: shown.payload,
    };
    let payload = event.content.as_ref().map(serde_json::to_vec).transpose()?;
    Ok(Record { header, payload: payload.unwrap_or_default() })
}
