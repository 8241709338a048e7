//! Attempts as Ray's jobs.

use super::RayPool;
use super::WHO;
use super::api::gist;
use super::nodes::{Amounts, CPU, GPU, MEMORY, Node, infeasible, whole};
use crate::Error;
use crate::batch::{Phase, Ticket, quoted};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The key of the metadata in which a job of this engine says what it asks of a node: lists do not.
const ASKS: &str = "portolan-asks";
/// How much of a core an attempt takes that says nothing of cores: what asks for nothing at all runs
/// beside the cluster's own head.
const SLIVER: f64 = 0.001;
/// What Ray leaves between its TERM and its KILL, in seconds: what the supervisor needs to end
/// everything, twice. Three if it is not told.
const STOP_WAIT: &str = "30";
/// The failure of a job that never began and never will.
const NEVER_BEGAN: &str = "JOB_SUPERVISOR_ACTOR_START_FAILURE";

/// A job, as Ray tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Job {
    /// Its id, ours to choose; none for what was not submitted as a job.
    pub(super) submission_id: Option<String>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    pub(super) entrypoint: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    error_type: Option<String>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

/// What a ticket asks of the one node it runs on. The error is why no node can have it.
pub(super) fn asks(ticket: &Ticket<'_>, pool: &RayPool) -> Result<Amounts, Error> {
    let rejected = |said: String| Err(Error::Rejected { who: WHO, said });
    if ticket.nodes != 1 {
        return rejected(format!(
            "{} nodes are wanted at once, and a job of Ray begins on one: ask for one node, and let its \
             command spread by Ray's own means",
            ticket.nodes
        ));
    }
    let mut asks = pool.resources.clone();
    let cores = ticket.cores.map_or(SLIVER, |cores| float(cores.0) / 1_000.0);
    asks.insert(CPU.to_owned(), cores);
    asks.extend(ticket.memory.map(|memory| (MEMORY.to_owned(), float(memory.0))));
    match &pool.resource {
        Some(resource) if ticket.chips_per_node > 0 => {
            asks.insert(resource.clone(), f64::from(ticket.chips_per_node));
        }
        None if ticket.chips_per_node > 0 => {
            return rejected(format!(
                "chips of pool `{}` are wanted, and no `resource` says in [ray.pools] what they are",
                ticket.pool
            ));
        }
        _ => {}
    }
    Ok(asks)
}

/// The command as the shell of a node is given it.
pub(super) fn entrypoint(command: &[String]) -> String {
    // Not the shell's last act, so that the shell stays: where Ray loses its hold on a job it kills the
    // shell's process group without warning, and what looks after the attempt must not be in it.
    format!("{}; exit $?", quoted(command))
}

/// What is submitted for a ticket.
pub(super) fn submission(ticket: &Ticket<'_>, asks: &Amounts) -> Value {
    let is_known = |name: &str| [CPU, GPU, MEMORY].contains(&name);
    let others: Amounts =
        asks.iter().filter(|(name, _)| !is_known(name)).map(|(n, a)| (n.clone(), *a)).collect();
    let mut body = Map::new();
    body.insert("submission_id".to_owned(), json!(ticket.name));
    body.insert("entrypoint".to_owned(), json!(entrypoint(ticket.command)));
    body.insert("metadata".to_owned(), json!({ ASKS: json!(asks).to_string() }));
    let env = json!({ "env_vars": { "RAY_JOB_STOP_WAIT_TIME_S": STOP_WAIT } });
    body.insert("runtime_env".to_owned(), env);
    body.extend(asks.get(CPU).map(|cores| ("entrypoint_num_cpus".to_owned(), json!(cores))));
    body.extend(asks.get(GPU).map(|chips| ("entrypoint_num_gpus".to_owned(), json!(chips))));
    let memory = asks.get(MEMORY).map(|bytes| json!(whole(*bytes)));
    body.extend(memory.map(|memory| ("entrypoint_memory".to_owned(), memory)));
    if !others.is_empty() {
        body.insert("entrypoint_resources".to_owned(), json!(others));
    }
    Value::Object(body)
}

impl Job {
    /// What it asks of a node, if it is one of this engine's.
    fn asks(&self) -> Option<Amounts> {
        serde_json::from_str(self.metadata.as_ref()?.get(ASKS)?).ok()
    }

    pub(super) fn waits(&self) -> bool {
        self.status == "PENDING"
    }

    /// Whether Ray is done with it; what it started may still run.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "SUCCEEDED" | "FAILED" | "STOPPED")
    }

    /// Why no node could ever take it, where it waits for one.
    pub(super) fn is_infeasible(&self, nodes: &[Node]) -> Option<String> {
        infeasible(nodes, &self.asks().filter(|_| self.waits())?)
    }

    /// How it is. Ray does not know whether all of a job is gone: it may have lost sight of its node, or
    /// have ended the shell only.
    pub(super) fn phase(&self) -> Phase {
        let said = self.message.as_deref().map(gist);
        let said = || said.unwrap_or_else(|| "it does not say why".to_owned());
        match self.status.as_str() {
            "PENDING" => Phase::Waiting(said()),
            "FAILED" if self.error_type.as_deref() == Some(NEVER_BEGAN) => {
                Phase::Hopeless(format!("Ray cannot start it: {}", said()))
            }
            "FAILED" => {
                let kind = self.error_type.as_deref().unwrap_or("FAILED");
                Phase::OutOfReach(format!("Ray says {kind}: {}", said()))
            }
            "STOPPED" => Phase::OutOfReach("somebody stopped its job in Ray".to_owned()),
            "SUCCEEDED" => {
                Phase::OutOfReach("Ray says that it ended well, and it left no result".to_owned())
            }
            _ => Phase::Running,
        }
    }
}

/// Amounts beyond what a float holds exactly are beyond what machines have.
#[expect(clippy::cast_precision_loss, reason = "see above")]
const fn float(amount: u64) -> f64 {
    amount as f64
}
