//! Slurm by its commands: what works wherever people can submit, with or without accounting.
//!
//! `squeue --json` lists every job of the cluster whatever else it is told, so that columns are asked
//! for, and only those of one user.

use super::state::{is_in_order, is_no_answer, phase};
use super::{NodeSeen, SlurmPool, Who};
use crate::batch::{Entry, Phase, Ticket, call};
use crate::{Error, RunAs};
use model::{Bytes, Cores, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::PathBuf;
use tokio::process::Command;

/// Slurm's commands.
#[derive(Debug)]
pub(super) struct Cli {
    conf: Option<PathBuf>,
    /// What `sbatch` says of its version.
    pub(super) version: String,
}

impl Cli {
    /// Finds out whether they are there and in which version.
    pub(super) async fn find(conf: Option<PathBuf>) -> Result<Self, Error> {
        let mut cli = Self { conf, version: String::new() };
        let said = cli.run("sbatch", ["--version"], "").await?;
        said.trim().clone_into(&mut cli.version);
        Ok(cli)
    }

    /// Runs one of them with something to read; what it wrote.
    async fn run<I: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = I>,
        input: &str,
    ) -> Result<String, Error> {
        let mut command = Command::new(program);
        command.args(arguments);
        command.envs(self.conf.iter().map(|conf| ("SLURM_CONF", conf)));
        // Their formats are for people: a center's own defaults must not change them.
        for variable in ["SQUEUE_FORMAT", "SQUEUE_STATES", "SQUEUE_SORT", "SINFO_FORMAT"] {
            command.env_remove(variable);
        }
        call("Slurm", command, input).await
    }

    async fn entries(&self, arguments: &[&str]) -> Result<Vec<Entry>, Error> {
        let columns = ["--noheader", "--array", "--format=%A|%j|%T|%r"];
        let said = self.run("squeue", columns.iter().chain(arguments), "").await?;
        Ok(said.lines().filter_map(entry).collect())
    }

    pub(super) async fn submit(
        &self,
        ticket: &Ticket<'_>,
        pool: &SlurmPool,
        who: &Who,
        script: &str,
    ) -> Result<Entry, Error> {
        let options = options(ticket, pool, who.other);
        let said = self.run("sbatch", options, script).await.map_err(|error| match error {
            Error::Silent { said, .. } if !is_no_answer(&said) => {
                Error::Rejected { who: "Slurm", said }
            }
            other => other,
        })?;
        // `number`, or `number;cluster`.
        let number = said.trim().split(';').next().unwrap_or_default();
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            let said = format!("sbatch gave no number but `{}`", said.trim());
            return Err(Error::Silent { who: "Slurm", said });
        }
        let phase = Phase::Waiting("has just been entered".to_owned());
        Ok(Entry { number: number.to_owned(), name: ticket.name.to_owned(), phase })
    }

    pub(super) async fn named(&self, name: &str) -> Result<Vec<Entry>, Error> {
        let mut entries = self.entries(&["--states=all", "--name", name]).await?;
        entries.retain(|entry| entry.name == name);
        Ok(entries)
    }

    /// Those of these users that are not over.
    pub(super) async fn active(
        &self,
        prefix: &str,
        users: &BTreeSet<&str>,
    ) -> Result<Vec<Entry>, Error> {
        let users = users.iter().copied().collect::<Vec<_>>().join(",");
        let mut entries = self.entries(&["--user", &users]).await?;
        entries.retain(|entry| entry.name.starts_with(prefix));
        Ok(entries)
    }

    pub(super) async fn cancel(&self, entry: &Entry) -> Result<(), Error> {
        let name = format!("--name={}", entry.name);
        match self.run("scancel", [name.as_str(), &entry.number], "").await {
            // Also where the number is another's by now.
            Err(Error::Silent { said, .. }) if OVER.iter().any(|over| said.contains(over)) => {
                Ok(())
            }
            said => said.map(|_| ()),
        }
    }

    pub(super) async fn nodes(&self) -> Result<Vec<NodeSeen>, Error> {
        let columns = "--format=%N|%R|%c|%m|%T|%G";
        Ok(nodes(&self.run("sinfo", ["--noheader", "--Node", columns], "").await?))
    }
}

/// What is said of a job that there is no more to be ended.
const OVER: [&str; 2] = ["Invalid job id specified", "already completing or completed"];

/// What `sbatch` is told.
fn options(ticket: &Ticket<'_>, pool: &SlurmPool, user: Option<RunAs>) -> Vec<String> {
    let partition = pool.partition(ticket.pool);
    let log = ticket.dir.join("supervisor.log");
    let mut options = vec![
        "--parsable".to_owned(),
        format!("--job-name={}", ticket.name),
        "--no-requeue".to_owned(),
        // Only so is the user's login shell left out of it.
        "--export=PATH".to_owned(),
        format!("--chdir={}", ticket.dir.display()),
        format!("--output={}", log.display()),
        "--open-mode=append".to_owned(),
        format!("--nodes={n}-{n}", n = ticket.nodes),
        "--ntasks-per-node=1".to_owned(),
    ];
    let mut add = |name: &str, value: Option<String>| {
        options.extend(value.map(|value| format!("--{name}={value}")));
    };
    add("partition", (!partition.is_empty()).then(|| partition.to_owned()));
    let gres = pool.gres.as_ref().filter(|_| ticket.chips_per_node > 0);
    add("gres", gres.map(|gres| format!("{gres}:{}", ticket.chips_per_node)));
    add("cpus-per-task", ticket.cores.map(|cores| cores.0.div_ceil(1_000).max(1).to_string()));
    add("mem", ticket.memory.map(|memory| format!("{}M", memory.0.div_ceil(1 << 20).max(1))));
    // In whole minutes; without one a partition's default counts, or its most.
    let minutes = |limit: Span| limit.0.div_ceil(60_000).max(1).to_string();
    add("time", ticket.limit.map(minutes));
    add("account", pool.account.clone());
    add("qos", pool.qos.clone());
    add("constraint", pool.constraint.clone());
    add("uid", user.map(|user| user.uid.to_string()));
    add("gid", user.map(|user| user.gid.to_string()));
    options.extend(pool.options.iter().cloned());
    options
}

/// A line of `squeue`: number, name, state, reason.
fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.trim().splitn(4, '|');
    let (number, name, state) = (fields.next()?, fields.next()?, fields.next()?);
    let reason = fields.next().unwrap_or_default();
    Some(Entry { number: number.to_owned(), name: name.to_owned(), phase: phase(state, reason) })
}

/// Lines of `sinfo`: node, partition, cores, MiB, state; a node is in as many lines as partitions.
fn nodes(said: &str) -> Vec<NodeSeen> {
    let mut seen: BTreeMap<&str, NodeSeen> = BTreeMap::new();
    for line in said.lines() {
        let fields: Vec<&str> = line.trim().split('|').collect();
        let [name, partition, cores, memory, state, gres] = fields[..] else { continue };
        let number = |text: &str| text.trim_end_matches('+').parse::<u64>().unwrap_or(0);
        let node = seen.entry(name).or_insert_with(|| NodeSeen {
            partitions: Vec::new(),
            cores: Cores(number(cores).saturating_mul(1_000)),
            memory: Bytes(number(memory).saturating_mul(1 << 20)),
            gres: gres.to_owned(),
            is_in_order: is_in_order(state),
            takes_work: is_in_order(state) || state == "draining",
        });
        node.partitions.push(partition.to_owned());
    }
    seen.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn nodes_are_told_once_each_with_whether_they_are_in_order() {
        let said = "a1|train|64|512000|idle|gpu:a100:8(S:0-1)\na1|spot|64|512000|idle|gpu:a100:8(S:0-1)\n\
                    a2|train|64|512000|mixed*|(null)\na3|train|64|1024|drained|(null)\n\
                    a4|train|32+|1024|allocated|(null)\na5|train|64|1024|down*|(null)\n\
                    a6|train|64|1024|inval|(null)\na7|train|64|1|draining|(null)\n";
        let all = nodes(said);
        assert_eq!(
            (&*all[0].gres, &all[0].partitions[..]),
            ("gpu:a100:8(S:0-1)", &["train", "spot"].map(String::from)[..])
        );
        assert_eq!((all[3].cores, all[3].memory), (Cores(32_000), Bytes(1_024 << 20)));
        let in_order: Vec<bool> = all.iter().map(|node| node.is_in_order).collect();
        assert_eq!(in_order, [true, false, false, true, false, false, false]);
        // What runs on a7 holds it; when that is over it is drained.
        assert!(all[6].takes_work && !all[2].takes_work);
    }

    #[test]
    fn what_a_pool_says_is_told_to_sbatch() {
        let pool = SlurmPool {
            partition: Some("train".to_owned()),
            gres: Some("gpu:ascend910b".to_owned()),
            qos: Some("high".to_owned()),
            ..SlurmPool::default()
        };
        let ticket = Ticket {
            name: "portolan-1-7-1",
            command: &[],
            dir: Path::new("/shared/7.1"),
            pool: "npu",
            tenant: None,
            nodes: 2,
            chips_per_node: 8,
            image: None,
            cores: Some(Cores(1_500)),
            memory: Some(Bytes((1 << 30) + 1)),
            limit: Some(Span(61_000)),
        };
        let said = options(&ticket, &pool, Some(RunAs { uid: 12, gid: 34 })).join(" ");
        for expected in [
            "--nodes=2-2",
            "--partition=train",
            "--gres=gpu:ascend910b:8",
            "--cpus-per-task=2",
            "--mem=1025M",
            "--time=2",
            "--qos=high",
            "--uid=12",
            "--no-requeue",
        ] {
            assert!(said.contains(expected), "{expected} in {said}");
        }
    }
}
