//! Nodes, jobs and orders of arrival, in the form of the openb trace.

use super::{Cluster, Order};
use crate::Error;
use model::{Bytes, Chips, Cores};
use planner::packing::{Demand, Need, NodeKind, Room};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The most chips a node may have.
const MOST_CHIPS: u64 = 1_024;

const NODE: &str = "`cpu_milli`, `memory_mib` and `gpu` (at most 1024) as whole numbers, `model`";
const JOB: &str = "`cpu_milli`, `memory_mib`, `num_gpu` and `gpu_milli` as whole numbers; \
                   `gpu_milli` is 1 to 1000 for one chip, 1000 for more";
const ORDER: &str = "`seed S … : ROW ROW …`, rows of the list of jobs from 0";

/// A file's name for messages, and what it says.
pub(super) type Text = (String, String);

pub(super) fn text(path: &Path) -> Result<Text, Error> {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((file, text)),
        Err(source) => Err(Error::Unreadable { file, source }),
    }
}

fn wrong(file: &str, line: u64, said: impl Into<String>, expected: &str) -> Error {
    Error::Line { file: file.to_owned(), line, said: said.into(), expected: expected.to_owned() }
}

#[derive(Debug, Deserialize)]
struct NodeRow {
    cpu_milli: u64,
    memory_mib: u64,
    gpu: u64,
    #[serde(default)]
    model: String,
}

#[derive(Debug, Deserialize)]
struct JobRow {
    cpu_milli: u64,
    memory_mib: u64,
    num_gpu: u64,
    gpu_milli: Option<u64>,
    #[serde(default)]
    gpu_spec: String,
}

impl JobRow {
    fn need(&self) -> Option<Need> {
        let chips = match (self.num_gpu, self.gpu_milli) {
            (0, _) => Chips::ZERO,
            (1, Some(share @ 1..=1_000)) => Chips(share),
            (2..=MOST_CHIPS, Some(1_000)) => Chips::whole(self.num_gpu),
            _ => return None,
        };
        Some(Need { chips, cores: Cores(self.cpu_milli), memory: mebibytes(self.memory_mib)? })
    }
}

fn mebibytes(count: u64) -> Option<Bytes> {
    count.checked_mul(1 << 20).map(Bytes)
}

/// The rows of a table with their lines.
fn rows<T: DeserializeOwned>((file, text): &Text, expected: &str) -> Result<Vec<(u64, T)>, Error> {
    let broken = |cause: &csv::Error| {
        let line = cause.position().map_or(1, csv::Position::line);
        let said = match cause.kind() {
            csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
            _ => cause.to_string(),
        };
        wrong(file, line, said, expected)
    };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let head = reader.headers().map_err(|cause| broken(&cause))?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|cause| broken(&cause))?;
        let line = record.position().map_or(1, csv::Position::line);
        rows.push((line, record.deserialize(Some(&head)).map_err(|cause| broken(&cause))?));
    }
    if rows.is_empty() {
        return Err(wrong(file, 1, "there are no rows", expected));
    }
    Ok(rows)
}

impl Cluster {
    /// Nodes and classes of jobs, without an order of arrival; and the class of each row of jobs.
    pub(super) fn of(nodes: &Text, jobs: &Text) -> Result<(Self, Vec<usize>), Error> {
        let mut cluster =
            Self { kinds: Vec::new(), nodes: Vec::new(), classes: Vec::new(), orders: Vec::new() };
        let models = cluster.read_nodes(nodes)?;
        let listed = cluster.read_jobs(jobs, &models)?;
        Ok((cluster, listed))
    }

    /// Returns the model of each kind.
    fn read_nodes(&mut self, text: &Text) -> Result<Vec<String>, Error> {
        let mut known: BTreeMap<(String, Room), usize> = BTreeMap::new();
        for (line, row) in rows::<NodeRow>(text, NODE)? {
            let memory = mebibytes(row.memory_mib).filter(|_| row.gpu <= MOST_CHIPS);
            let memory = memory.ok_or_else(|| wrong(&text.0, line, "an amount too large", NODE))?;
            let chips = (0..row.gpu).map(|_| Chips::ONE);
            let empty = Room::new(Cores(row.cpu_milli), memory, chips);
            let kind = *known.entry((row.model, empty.clone())).or_insert_with(|| {
                self.kinds.push(NodeKind { empty, nodes: 0 });
                self.kinds.len() - 1
            });
            self.kinds[kind].nodes += 1;
            self.nodes.push(kind);
        }
        if self.chips() == Chips::ZERO {
            return Err(wrong(&text.0, 1, "no node has a chip", NODE));
        }
        let mut models = vec![String::new(); self.kinds.len()];
        known.into_iter().for_each(|((model, _), kind)| models[kind] = model);
        Ok(models)
    }

    /// Returns the class of each row.
    fn read_jobs(&mut self, text: &Text, models: &[String]) -> Result<Vec<usize>, Error> {
        let mut known: BTreeMap<(Need, BTreeSet<usize>), usize> = BTreeMap::new();
        let mut listed = Vec::new();
        for (line, row) in rows::<JobRow>(text, JOB)? {
            let need = row.need().ok_or_else(|| {
                let (chips, of_each) = (row.num_gpu, row.gpu_milli.unwrap_or(0));
                wrong(&text.0, line, format!("{chips} chips with {of_each} of each"), JOB)
            })?;
            let spec: Vec<&str> = row.gpu_spec.split('|').map(str::trim).collect();
            let any = need.chips == Chips::ZERO || spec == [""];
            let on = (0..models.len()).filter(|kind| any || spec.contains(&models[*kind].as_str()));
            let class = *known.entry((need, on.collect())).or_insert_with_key(|(need, on)| {
                self.classes.push(Demand { need: *need, nodes: 0, on: on.clone() });
                self.classes.len() - 1
            });
            self.classes[class].nodes += 1;
            listed.push(class);
        }
        Ok(listed)
    }

    /// Orders of arrival that a file gives, over jobs of these classes.
    pub(super) fn read_orders(
        &mut self,
        (file, text): &Text,
        listed: &[usize],
    ) -> Result<(), Error> {
        for (line, order) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = |said: String| wrong(file, line, said, ORDER);
            let (head, rows) =
                order.split_once(':').ok_or_else(|| wrong("there is no `:`".to_owned()))?;
            let mut words = head.split_whitespace().skip_while(|word| *word != "seed").skip(1);
            let seed = words.next().and_then(|seed| seed.parse().ok());
            let seed = seed.ok_or_else(|| wrong("there is no seed".to_owned()))?;
            let job = |row: &str| {
                let class = row.parse().ok().and_then(|row: usize| listed.get(row)).copied();
                class.ok_or_else(|| {
                    wrong(format!("`{row}` is none of the list's {} rows", listed.len()))
                })
            };
            let jobs = rows.split_whitespace().map(job).collect::<Result<Vec<usize>, _>>()?;
            self.orders.push(Order { seed, jobs });
        }
        if self.orders.is_empty() {
            return Err(wrong(file, 1, "there is no order", ORDER));
        }
        Ok(())
    }
}
