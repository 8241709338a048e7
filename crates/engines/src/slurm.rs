//! Slurm, by its commands: what works wherever people can submit, with or without accounting.
//!
//! What Slurm really does, and what is done about it here:
//!
//! * Names are not unique and job numbers are used again after a crash of the controller: an entry is
//!   known by its name, which holds the network, the job and the epoch, and only ended by number where
//!   the name fits.
//! * `squeue --json` lists every job of the cluster whatever else it is told: columns are asked for.
//! * A job that was preempted or lost its node would go back to the queue under the same number; whether
//!   a job is tried again is Portolan's to decide, so that entries are not requeued.
//! * Which chips a partition's generic resources are is said by the center for each pool, never guessed
//!   from a label.

use crate::batch::{Entry, Phase, Queue, Ticket, call, quoted};
use crate::{Capacity, Error, RunAs};
use model::{Bytes, Cores, Span};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::PathBuf;
use tokio::process::Command;

/// What its commands say when they never reached the controller, or it had other things to do: nobody
/// knows then what became of a request.
const NO_ANSWER: [&str; 9] = [
    "Unable to contact",
    "timed out",
    "Connection refused",
    "Connection reset",
    "temporarily unable",
    "Transport endpoint",
    "Zero Bytes were transmitted",
    "Resource temporarily unavailable",
    "Communication connection failure",
];

/// How a center's Slurm is used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlurmConfig {
    /// The cluster's `slurm.conf`, where its commands do not find it by themselves.
    pub conf: Option<PathBuf>,
    /// The user whom entries run as; needs an agent that Slurm lets submit for others. None for the
    /// agent's own, who must not be root.
    pub user: Option<String>,
    /// What each pool is in Slurm; one that is not named here is the partition of its name.
    pub pools: BTreeMap<String, SlurmPool>,
}

/// What a pool is in Slurm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlurmPool {
    /// Its partition, if not of the pool's name.
    pub partition: Option<String>,
    /// The generic resource that its chips are, such as `gpu:ascend910b`; needed where it has chips.
    pub gres: Option<String>,
    /// The account that is charged.
    pub account: Option<String>,
    /// The quality of service.
    pub qos: Option<String>,
    /// What nodes must have.
    pub constraint: Option<String>,
    /// Further options of `sbatch`, as they are.
    pub options: Vec<String>,
}

/// Slurm, by its commands.
#[derive(Debug)]
pub struct Slurm {
    config: SlurmConfig,
    user: Option<RunAs>,
    /// Whose entries are looked at.
    user_name: String,
    version: String,
}

impl Slurm {
    /// Finds out whether Slurm is there and in which version.
    pub async fn find(config: SlurmConfig) -> Result<Self, Error> {
        let wrong = |why: String| Err(Error::Setup(why));
        let user = match &config.user {
            Some(name) => match nix::unistd::User::from_name(name) {
                Ok(Some(user)) => user,
                _ => return wrong(format!("there is no user `{name}` here; name one in `user`")),
            },
            None => match nix::unistd::User::from_uid(nix::unistd::geteuid()) {
                Ok(Some(user)) => user,
                _ => return wrong("the agent's user has no name; name one in `user`".to_owned()),
            },
        };
        if user.uid.is_root() {
            let why = "tenants' jobs would run as root: name the user that they are to run as in \
                       `user`, or start the agent as that user";
            return wrong(why.to_owned());
        }
        let run_as = RunAs { uid: user.uid.as_raw(), gid: user.gid.as_raw() };
        let mut slurm = Self {
            user: config.user.is_some().then_some(run_as),
            user_name: user.name,
            version: String::new(),
            config,
        };
        let said = slurm.run("sbatch", ["--version"], "").await.map_err(|error| {
            Error::Setup(format!("Slurm's commands cannot be used: {}", error.in_full()))
        })?;
        said.trim().clone_into(&mut slurm.version);
        Ok(slurm)
    }

    /// Runs one of Slurm's commands with something to read; what it wrote.
    async fn run<I: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = I>,
        input: &str,
    ) -> Result<String, Error> {
        let mut command = Command::new(program);
        command.args(arguments);
        command.envs(self.config.conf.iter().map(|conf| ("SLURM_CONF", conf)));
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

    fn pool(&self, pool: &str) -> SlurmPool {
        self.config.pools.get(pool).cloned().unwrap_or_default()
    }
}

impl Queue for Slurm {
    fn kind(&self) -> &'static str {
        "slurm"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn keeps(&self) -> &'static [&'static str] {
        &["SLURM_", "SLURMD_NODENAME"]
    }

    fn chips_in(&self) -> &'static [&'static str] {
        &["SLURM_STEP_GPUS", "SLURM_JOB_GPUS"]
    }

    fn user(&self) -> Option<RunAs> {
        self.user
    }

    async fn submit(&self, ticket: &Ticket<'_>) -> Result<Entry, Error> {
        let options = options(ticket, &self.pool(ticket.pool), self.user);
        let script = format!("#!/bin/sh\nexec {}\n", quoted(ticket.command));
        let said = self.run("sbatch", options, &script).await.map_err(|error| match error {
            Error::Silent { said, .. } if !NO_ANSWER.iter().any(|no| said.contains(no)) => {
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
        let phase = Phase::Waiting("entered".to_owned());
        Ok(Entry { number: number.to_owned(), name: ticket.name.to_owned(), phase })
    }

    async fn named(&self, name: &str) -> Result<Vec<Entry>, Error> {
        let mut entries = self.entries(&["--states=all", "--name", name]).await?;
        entries.retain(|entry| entry.name == name);
        Ok(entries)
    }

    async fn active(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        let mut entries = self.entries(&["--user", &self.user_name]).await?;
        entries.retain(|entry| entry.name.starts_with(prefix));
        Ok(entries)
    }

    async fn cancel(&self, entry: &Entry) -> Result<(), Error> {
        let name = format!("--name={}", entry.name);
        self.run("scancel", [name.as_str(), "--quiet", &entry.number], "").await.map(|_| ())
    }

    async fn capacity(&self) -> Result<Capacity, Error> {
        let said = self.run("sinfo", ["--noheader", "--Node", "--format=%N|%c|%m|%T"], "").await?;
        Ok(capacity(&said))
    }
}

/// What `sbatch` is told.
fn options(ticket: &Ticket<'_>, pool: &SlurmPool, user: Option<RunAs>) -> Vec<String> {
    let partition = pool.partition.as_deref().unwrap_or(ticket.pool);
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

/// What a state means. One that is not known is not the end.
fn phase(state: &str, reason: &str) -> Phase {
    let is_told = !reason.is_empty() && reason != "None";
    let told = if is_told { format!(" ({reason})") } else { String::new() };
    match state {
        "PENDING" if is_hopeless(reason) => {
            Phase::Hopeless(format!("Slurm took it, but will never start it: {reason}"))
        }
        "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "SPECIAL_EXIT"
        | "RESV_DEL_HOLD" => {
            Phase::Waiting(if is_told { reason.to_owned() } else { "for its turn".to_owned() })
        }
        "COMPLETED" => Phase::Over(format!("Slurm says that it completed{told}")),
        "FAILED" => Phase::Over(format!("Slurm says that it failed{told}")),
        "TIMEOUT" | "DEADLINE" => Phase::Over(format!("Slurm ended it for its time{told}")),
        "OUT_OF_MEMORY" => Phase::OutOfMemory(format!("Slurm ended it for its memory{told}")),
        "CANCELLED" => Phase::Over(format!("somebody cancelled it in Slurm{told}")),
        "PREEMPTED" => Phase::Over(format!("Slurm gave its place to another job{told}")),
        "REVOKED" | "BOOT_FAIL" | "LAUNCH_FAILED" | "RECONFIG_FAIL" => {
            Phase::Over(format!("Slurm could not start it: {state}{told}"))
        }
        "NODE_FAIL" => Phase::OutOfReach(format!("its node failed{told}")),
        _ => Phase::Running,
    }
}

/// Whether a job that waits for this reason waits for ever: what it asks for is more than a partition,
/// an account or a quality of service gives to any one job.
fn is_hopeless(reason: &str) -> bool {
    matches!(reason, "PartitionNodeLimit" | "PartitionTimeLimit" | "BadConstraints")
        || ((reason.starts_with("Assoc") || reason.starts_with("QOS"))
            && (reason.contains("PerJob") || reason.contains("PerNode")))
}

/// The sum of lines of `sinfo`: node, cores, MiB, state; a node is in as many lines as partitions.
fn capacity(said: &str) -> Capacity {
    let mut seen = BTreeSet::new();
    let mut sum = Capacity { cpu: Cores(0), memory: Bytes::ZERO };
    for line in said.lines() {
        let fields: Vec<&str> = line.trim().split('|').collect();
        let [node, cores, memory, state] = fields[..] else { continue };
        if !is_in_order(state) || !seen.insert(node) {
            continue;
        }
        let number = |text: &str| text.trim_end_matches('+').parse::<u64>().unwrap_or(0);
        sum.cpu = Cores(sum.cpu.0.saturating_add(number(cores).saturating_mul(1_000)));
        sum.memory += Bytes(number(memory).saturating_mul(1 << 20));
    }
    sum
}

/// Whether a node in this state takes jobs, now or when others are over. A mark behind the state says
/// what else there is to it: `*` that it does not answer, `$` that it is kept for maintenance.
fn is_in_order(state: &str) -> bool {
    let word = state.trim_end_matches(|mark: char| !mark.is_ascii_alphabetic());
    let marks = &state[word.len()..];
    matches!(word, "idle" | "mixed" | "allocated" | "completing" | "planned" | "blocked")
        && !marks.contains(['*', '$'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_state_that_is_not_known_is_not_the_end() {
        assert_eq!(phase("RUNNING", "None"), Phase::Running);
        assert_eq!(phase("A_STATE_OF_TOMORROW", "None"), Phase::Running);
        assert_eq!(phase("PENDING", "Resources"), Phase::Waiting("Resources".to_owned()));
        assert!(matches!(phase("PENDING", "PartitionTimeLimit"), Phase::Hopeless(_)));
        assert!(matches!(phase("PENDING", "QOSMaxNodePerJobLimit"), Phase::Hopeless(_)));
        assert!(matches!(phase("PENDING", "QOSGrpNodeLimit"), Phase::Waiting(_)));
        assert!(matches!(phase("CANCELLED", "None"), Phase::Over(_)));
        assert!(matches!(phase("NODE_FAIL", "NodeDown"), Phase::OutOfReach(_)));
    }

    #[test]
    fn nodes_count_once_and_only_while_they_are_in_order() {
        let said = "a1|64|512000|idle\na1|64|512000|idle\na2|64|512000|mixed*\na3|64|1024|drained\n\
                    a4|32+|1024|allocated\na5|64|1024|down*\na6|64|1024|inval\n";
        let sum = capacity(said);
        assert_eq!(sum, Capacity { cpu: Cores(96_000), memory: Bytes(513_024 << 20) });
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
