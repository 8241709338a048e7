//! Whether a world is what its log says.

use crate::promise::{Findings, Promise, Violation};
use model::Record;
use model::job::Job;
use serde::Serialize;
use serde_json::Value;
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt::Display;
use world::{Shelves, World};

/// Folds `records` from the first on and compares the outcome with `world`, lists included that
/// are rebuilt when a snapshot is read. Empty when the two are the same, bit for bit; otherwise
/// names the first difference, or the record at which folding had to stop.
///
/// Folding needs every payload: a log from which one was erased cannot be replayed so.
#[must_use]
pub fn replay<R: Borrow<Record>>(
    world: &World,
    records: impl IntoIterator<Item = R>,
) -> Vec<Violation> {
    let mut found = Findings::default();
    let difference = match fold(records) {
        Err(why) => Some(why),
        Ok(folded) => difference(&folded, world),
    };
    if let Some(what) = difference {
        found.say(Promise::Replay, what);
    }
    found.list
}

fn fold<R: Borrow<Record>>(records: impl IntoIterator<Item = R>) -> Result<World, String> {
    let mut world = World::default();
    for record in records {
        let record = record.borrow();
        let (number, next) = (record.header.number, world.number + 1);
        if number != next {
            return Err(format!("fact {number} stands in the log where fact {next} belongs"));
        }
        let fact = record.fact().map_err(|error| error.to_string())?;
        world.fold(record.header.at, &fact).map_err(|error| error.to_string())?;
    }
    Ok(world)
}

fn difference(folded: &World, live: &World) -> Option<String> {
    if folded.number != live.number {
        let (log, live) = (folded.number, live.number);
        return Some(format!("the log ends at fact {log}, the live world at fact {live}"));
    }
    let mut reread = live.to_snapshot();
    reread.reindex();
    if reread != *live {
        return Some("the live world's lists are not those its jobs and tokens amount to".into());
    }
    if *folded == *live {
        return None;
    }
    let first = maps("chip", &folded.chips, &live.chips)
        .or_else(|| maps("center", &folded.centers, &live.centers))
        .or_else(|| maps("exchange", &folded.exchanges, &live.exchanges))
        .or_else(|| maps("link", &folded.links, &live.links))
        .or_else(|| maps("tenant", &folded.tenants, &live.tenants))
        .or_else(|| maps("token of secret", &folded.tokens, &live.tokens))
        .or_else(|| jobs(&folded.jobs, &live.jobs))
        .or_else(|| maps("dataset", &folded.datasets, &live.datasets))
        .or_else(|| maps("transfer", &folded.transfers, &live.transfers))
        .or_else(|| maps("test", &folded.tests, &live.tests))
        .or_else(|| maps("submission", &folded.keys, &live.keys))
        .or_else(|| maps("count of jobs", &folded.ended, &live.ended))
        .or_else(|| values("the numbers handed out next", &folded.next, &live.next))
        .or_else(|| values("the network's uid", &folded.network, &live.network))
        .or_else(|| values("the time of the last fact", &folded.at, &live.at));
    Some(first.unwrap_or_else(|| "the live world is not what its log says".into()))
}

fn maps<K: Ord + Display, V: PartialEq + Serialize>(
    what: &str,
    folded: &BTreeMap<K, V>,
    live: &BTreeMap<K, V>,
) -> Option<String> {
    let here = folded.iter().find_map(|(key, value)| match live.get(key) {
        None => Some(format!("{what} {key} is in the log and not in the live world")),
        Some(other) => values(format_args!("{what} {key}"), value, other),
    });
    let stranger = || live.keys().find(|key| !folded.contains_key(*key));
    here.or_else(|| Some(format!("{what} {} is in the live world and not in the log", stranger()?)))
}

fn jobs(folded: &Shelves<Job>, live: &Shelves<Job>) -> Option<String> {
    let here = folded.iter().find_map(|job| match live.get(job.job.number()) {
        None => Some(format!("{} is in the log and not in the live world", job.job)),
        Some(other) => values(job.job, job, other),
    });
    let stranger = || live.iter().find(|job| folded.get(job.job.number()).is_none());
    here.or_else(|| Some(format!("{} is in the live world and not in the log", stranger()?.job)))
}

fn values<T: Serialize + PartialEq>(what: impl Display, folded: &T, live: &T) -> Option<String> {
    if folded == live {
        return None;
    }
    let value = |of: &T| serde_json::to_value(of).unwrap_or(Value::Null);
    let mut path = String::new();
    let (log, live) = narrow(value(folded), value(live), &mut path);
    Some(format!("{what}{path} is {log} by the log and {live} in the live world"))
}

/// The first place where two values differ, with its path.
fn narrow(mut a: Value, mut b: Value, path: &mut String) -> (Value, Value) {
    match (&mut a, &mut b) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            let key = a.keys().find(|key| a[*key] != b[*key]).cloned();
            if let Some(key) = key {
                path.push(if path.is_empty() { ' ' } else { '.' });
                path.push_str(&key);
                return narrow(a[&key].take(), b[&key].take(), path);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let i = a.iter().zip(b.iter()).position(|(a, b)| a != b);
            if let Some(i) = i {
                path.push_str(&format!("[{i}]"));
                return narrow(a[i].take(), b[i].take(), path);
            }
        }
        _ => {}
    }
    (a, b)
}
