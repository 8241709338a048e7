//! Task spooler: a queue of one user on one machine, for a workstation that people share with their own
//! `tsp`.
//!
//! It knows neither chips nor memory nor time limits: what runs has as many slots as it asked for
//! cores, and all else is left to the supervisor. Entries are forgotten when somebody clears the list
//! (`tsp -C`), and all of them when its server ends; one that is not listed is out of reach, not over.

use crate::batch::{Entry, Phase, Queue, Ticket, call};
use crate::{Capacity, Error, RunAs};
use model::{Bytes, Cores, TenantId};
use serde::Deserialize;
use std::path::PathBuf;
use tokio::process::Command;

/// How a machine's task spooler is used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskSpoolerConfig {
    /// The socket of its server, where that is not the user's own.
    pub socket: Option<PathBuf>,
}

/// Task spooler, by its command.
#[derive(Debug)]
pub struct TaskSpooler {
    config: TaskSpoolerConfig,
    version: String,
}

impl TaskSpooler {
    /// Finds out whether it is there and in which version.
    pub async fn find(config: TaskSpoolerConfig) -> Result<Self, Error> {
        if rustix::process::geteuid().is_root() {
            let why = "tenants' jobs would run as root: start the agent as the user whose task \
                       spooler it is to use";
            return Err(Error::Setup(why.to_owned()));
        }
        let mut spooler = Self { config, version: String::new() };
        let said = spooler.run(&["-V"]).await.map_err(|error| {
            Error::Setup(format!("task spooler cannot be used: {}", error.in_full()))
        })?;
        let first = said.lines().next().unwrap_or_default();
        first.split(" - ").next().unwrap_or_default().clone_into(&mut spooler.version);
        Ok(spooler)
    }

    async fn run(&self, arguments: &[&str]) -> Result<String, Error> {
        let mut command = Command::new("tsp");
        command.args(arguments);
        command.envs(self.config.socket.iter().map(|socket| ("TS_SOCKET", socket)));
        call("task spooler", command, "").await
    }

    async fn entries(&self) -> Result<Vec<Entry>, Error> {
        Ok(self.run(&[]).await?.lines().skip(1).filter_map(entry).collect())
    }
}

impl Queue for TaskSpooler {
    fn kind(&self) -> &'static str {
        "task-spooler"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn user(&self, _: Option<&TenantId>) -> Option<RunAs> {
        None
    }

    async fn submit(&self, ticket: &Ticket<'_>) -> Result<Entry, Error> {
        if ticket.nodes != 1 {
            let said = format!("{} nodes are wanted, and it has one machine", ticket.nodes);
            return Err(Error::Rejected { who: "task spooler", said });
        }
        let slots = ticket.cores.map_or(1, |cores| cores.0.div_ceil(1_000).max(1)).to_string();
        // Without its own copy of the output, which the supervisor keeps.
        let mut arguments = vec!["-n", "-N", &slots, "-L", ticket.name];
        arguments.extend(ticket.command.iter().map(String::as_str));
        let number = self.run(&arguments).await?.trim().to_owned();
        let phase = Phase::Waiting("has just been entered".to_owned());
        Ok(Entry { number, name: ticket.name.to_owned(), phase })
    }

    async fn named(&self, name: &str) -> Result<Vec<Entry>, Error> {
        let mut entries = self.entries().await?;
        entries.retain(|entry| entry.name == name);
        Ok(entries)
    }

    async fn active(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        let mut entries = self.entries().await?;
        let is_active = |entry: &Entry| matches!(entry.phase, Phase::Waiting(_) | Phase::Running);
        entries.retain(|entry| entry.name.starts_with(prefix) && is_active(entry));
        Ok(entries)
    }

    async fn cancel(&self, entry: &Entry) -> Result<(), Error> {
        let now = self.entries().await?;
        let same = |other: &&Entry| other.number == entry.number && other.name == entry.name;
        match now.iter().find(same).map(|entry| &entry.phase) {
            Some(Phase::Running) => self.run(&["-k", &entry.number]).await.map(|_| ()),
            Some(Phase::Waiting(_)) => self.run(&["-r", &entry.number]).await.map(|_| ()),
            _ => Ok(()),
        }
    }

    async fn capacity(&self) -> Result<Capacity, Error> {
        let slots = self.run(&["-S"]).await?;
        let slots = slots.trim().parse().map_err(|_| Error::Silent {
            who: "task spooler",
            said: format!("`{}` is no number of slots", slots.trim()),
        })?;
        Ok(Capacity { cpu: Cores(1_000_u64.saturating_mul(slots)), memory: Bytes::MAX })
    }
}

/// A line of its list: number, state, output, and then, as they are there, exit code, times and the
/// command behind its label in brackets.
fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split_whitespace();
    let (number, state) = (words.next()?, words.next()?);
    let name = line.split_once('[')?.1.split_once(']')?.0;
    let phase = match state {
        "queued" | "allocating" => Phase::Waiting("waits for a slot".to_owned()),
        "finished" | "skipped" => Phase::Over(format!("task spooler says that it {state}")),
        _ => Phase::Running,
    };
    Some(Entry { number: number.to_owned(), name: name.to_owned(), phase })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_list_is_read_whatever_columns_are_there() {
        let list = "0    running    /tmp/o.Snpnxl                           [a-1]sh -c sleep 3\n\
                    1    queued     (file)                                  [a-2]sleep 1\n\
                    2    finished   /tmp/o.7WDN4J   0        1.00/0.00/0.00 [a-3]sleep 1\n\
                    3    running    (no output)                             sleep 1\n";
        let found: Vec<Entry> = list.lines().filter_map(entry).collect();
        let names: Vec<&str> = found.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["a-1", "a-2", "a-3"]);
        assert_eq!(found[0].phase, Phase::Running);
        assert!(matches!(found[1].phase, Phase::Waiting(_)));
        assert!(matches!(found[2].phase, Phase::Over(_)));
    }
}
