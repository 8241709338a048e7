//! The log as text: one JSON object a line, header and payload, readable and importable. Golden logs
//! are kept so.

use crate::chain::follow;
use crate::error::{Doing, Error, Result};
use crate::log::{Log, Settings};
use crate::recover::{lock_existing, open};
use crate::survey::exists;
use model::fact::{Head, Header, Record};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{BufRead, Write};
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    header: Header,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// Writes the log in `dir` to `to` as lines of `{"header": …, "payload": …}`; an erased payload is
/// `null`. Answers the head it leads to. The log must not be in use.
pub async fn export(dir: &Path, mut to: impl Write + Send + 'static) -> Result<Head> {
    drop(lock_existing(dir)?);
    let log = open(dir, Settings::default()).await?.log;
    let (head, facts, path) = (log.head(), log.read(0), dir.to_owned());
    let writing = tokio::task::spawn_blocking(move || {
        for fact in facts {
            let Record { header, payload } = fact?;
            let payload = if payload.is_empty() { b"null" } else { &payload[..] };
            let header = header.canonical();
            let parts = [b"{\"header\":", &header[..], b",\"payload\":", payload, b"}\n"];
            to.write_all(&parts.concat()).doing("export", &path)?;
        }
        to.flush().doing("export", &path)
    });
    writing.await.expect("exporting does not panic")?;
    log.close().await?;
    Ok(head)
}

/// The records of an exported log, each verified against the chain from the first on.
pub fn transcript(from: impl BufRead) -> impl Iterator<Item = Result<Record>> {
    let mut head = Head::EMPTY;
    from.lines().enumerate().map(move |(index, text)| {
        let bad = |what: String| Error::Transcript { line: index + 1, what };
        let text = text.map_err(|why| bad(why.to_string()))?;
        let line: Line<'_> = serde_json::from_str(&text).map_err(|why| bad(why.to_string()))?;
        let payload = line.payload.map_or("", RawValue::get);
        let record = Record { header: line.header, payload: payload.as_bytes().to_vec() };
        follow(&mut head, &record.header.canonical(), &record.payload)
            .map_err(|flaw| bad(format!("fact {}: {}", flaw.number, flaw.what)))?;
        Ok(record)
    })
}

/// Makes a log in `dir` from an exported one, and answers its head. On an error what was read
/// before it stays; import anew into an empty directory.
pub async fn import(dir: &Path, from: impl BufRead, settings: Settings) -> Result<Head> {
    if exists(dir)? {
        return Err(Error::Present { dir: dir.to_owned() });
    }
    let log = open(dir, settings).await?.log;
    let written = append_all(&*log, from).await;
    log.close().await?;
    written
}

async fn append_all(log: &dyn Log, from: impl BufRead) -> Result<Head> {
    let mut batch = Vec::new();
    for record in transcript(from) {
        batch.push(record?);
        if batch.len() == 1000 {
            log.append(std::mem::take(&mut batch)).await?;
        }
    }
    log.append(batch).await
}
