//! A stopped server's log, read as the server would read it, and judged.

use audit::History;
use model::fact::{Head, Record};
use std::collections::BTreeMap;
use std::path::Path;
use world::World;

/// Everything a log holds.
#[derive(Debug)]
pub struct Records {
    /// Its facts, in order.
    pub records: Vec<Record>,
    /// The world as the server held it when it last saved one, and after which fact.
    pub left: Option<(Head, World)>,
    /// Where the log ends.
    pub head: Head,
    /// What was repaired when it was opened, in words.
    pub repaired: Vec<String>,
}

impl Records {
    /// Reads the log in `dir`, which no server may be using.
    pub async fn read(dir: &Path) -> Self {
        let opened = store::open(dir, store::Settings::default()).await;
        let opened = opened.unwrap_or_else(|error| panic!("the log does not open: {error}"));
        let facts = opened.log.read(0);
        let reading = tokio::task::spawn_blocking(move || facts.collect::<Result<Vec<_>, _>>());
        let records = reading.await.expect("reading does not panic");
        let records = records.unwrap_or_else(|error| panic!("the log cannot be read: {error}"));
        let head = opened.log.head();
        opened.log.close().await.expect("a log that was read can be closed");
        let left = opened.snapshot.map(|(head, bytes)| {
            let mut world: World = serde_json::from_slice(&bytes).expect("a snapshot is a world");
            world.reindex();
            (head, world)
        });
        let repaired = opened.report.findings.iter().map(ToString::to_string).collect();
        Self { records, left, head, repaired }
    }

    /// The world that all facts amount to.
    #[must_use]
    pub fn world(&self) -> World {
        let mut world = World::default();
        for record in &self.records {
            let fact = record.fact().unwrap_or_else(|error| panic!("{error}"));
            world.fold(record.header.at, &fact).unwrap_or_else(|error| panic!("{error}"));
        }
        world
    }

    /// Every promise broken in it: by its facts one after another, by the world they amount to,
    /// and by the world the server held at its orderly end, which must be the same bit for bit.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut history = History::default();
        for record in &self.records {
            match record.fact() {
                Ok(fact) => found.extend(history.take(record.header.at, &fact)),
                Err(error) => return vec![error.to_string()],
            }
        }
        found.extend(audit::world(&self.world()));
        let mut said: Vec<String> = found.iter().map(ToString::to_string).collect();
        match &self.left {
            Some((head, world)) if *head == self.head => {
                said.extend(audit::replay(world, &self.records).iter().map(ToString::to_string));
            }
            Some((head, _)) => {
                let (saved, end) = (head.number, self.head.number);
                said.push(format!("the world was saved at fact {saved}, the log ends at {end}"));
            }
            None => said.push("no world was saved".to_owned()),
        }
        said
    }

    /// How many facts there are of each kind.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for record in &self.records {
            *kinds.entry(record.header.kind.clone()).or_default() += 1;
        }
        kinds
    }
}
