//! What is written to a REST server and read from it, by version. There are two families: up to v0.0.38
//! numbers are numbers and texts are texts; from v0.0.39 on a number that may be missing or without end
//! is an object, and from v0.0.40 on so are times, and states are lists. Reading takes all of them.

use super::super::state::{are_in_order, is_draining, phase, telling};
use super::super::{NodeSeen, SlurmPool};
use crate::batch::{Entry, Ticket};
use model::{Bytes, Cores, Span};
use serde_json::{Map, Value, json};

/// The versions that this is written for. v0.0.38 was tried with Slurm 22.05; the others follow its
/// published descriptions.
const KNOWN: std::ops::RangeInclusive<u16> = 38..=44;
/// The first version whose numbers are objects.
const WRAPPED: u16 = 39;
/// The first version that writes `gres/` before a generic resource, and not `gres:`.
const SLASHED: u16 = 40;

/// How one version is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Codec {
    /// The 38 of v0.0.38.
    version: u16,
}

/// What a job is to be like: what Slurm's answer is compared with, for some versions take no notice of
/// some fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wish {
    partition: String,
    nodes: u64,
    /// Resource and count for each node, such as `gpu:ascend910b:8`.
    gres: Option<String>,
    cores: Option<u64>,
    /// MiB on each node.
    memory: Option<u64>,
    minutes: Option<u64>,
    account: Option<String>,
    qos: Option<String>,
    constraint: Option<String>,
}

impl Wish {
    pub(super) fn new(ticket: &Ticket<'_>, pool: &SlurmPool) -> Self {
        let gres = pool.gres.as_ref().filter(|_| ticket.chips_per_node > 0);
        let minutes = |limit: Span| limit.0.div_ceil(60_000).max(1);
        Self {
            partition: pool.partition.clone().unwrap_or_else(|| ticket.pool.to_owned()),
            nodes: u64::from(ticket.nodes),
            gres: gres.map(|gres| format!("{gres}:{}", ticket.chips_per_node)),
            cores: ticket.cores.map(|cores| cores.0.div_ceil(1_000).max(1)),
            memory: ticket.memory.map(|memory| memory.0.div_ceil(1 << 20).max(1)),
            minutes: ticket.limit.map(minutes),
            account: pool.account.clone(),
            qos: pool.qos.clone(),
            constraint: pool.constraint.clone(),
        }
    }

    /// What of a job, as a server shows it, is less than was wished for.
    pub(super) fn unmet(&self, job: &Value) -> Vec<String> {
        let mut unmet = Vec::new();
        let mut least = |what: &str, wish: Option<u64>, field: &str| {
            if let (Some(wish), Some(is)) = (wish, number(&job[field]))
                && is < wish
            {
                unmet.push(format!("{what} is {is} instead of {wish}"));
            }
        };
        least("the number of nodes", Some(self.nodes), "node_count");
        least("memory per node", self.memory, "memory_per_node");
        least("the time limit", self.minutes, "time_limit");
        if job["requeue"] == json!(true) {
            unmet.push("it is requeued".to_owned());
        }
        let given = job["tres_per_node"].as_str().unwrap_or_default();
        if let Some(gres) = self.gres.as_ref().filter(|gres| !given.ends_with(gres.as_str())) {
            unmet.push(format!("each node has `{given}` instead of `{gres}`"));
        }
        unmet
    }
}

impl Codec {
    /// For the newest version that a server knows and this does, by the paths it serves.
    pub(super) fn among<'a>(paths: impl Iterator<Item = &'a String>) -> Option<Self> {
        let versions = paths.filter_map(|path| {
            path.strip_prefix("/slurm/v0.0.")?.split('/').next()?.parse::<u16>().ok()
        });
        versions.filter(|version| KNOWN.contains(version)).max().map(|version| Self { version })
    }

    /// Such as `v0.0.38`.
    pub(super) fn name(self) -> String {
        format!("v0.0.{}", self.version)
    }

    /// A job to be submitted, and where its work and its output go.
    pub(super) fn submission(self, ticket: &Ticket<'_>, wish: &Wish, script: &str) -> Value {
        let path =
            std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned());
        let mut job = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            job.extend(value.map(|value| (name.to_owned(), value)));
        };
        put("name", Some(ticket.name.into()));
        put("partition", (!wish.partition.is_empty()).then(|| wish.partition.clone().into()));
        put("nodes", Some(format!("{n}-{n}", n = wish.nodes).into()));
        put("tasks_per_node", Some(1.into()));
        put("current_working_directory", Some(ticket.dir.display().to_string().into()));
        let output = ticket.dir.join("supervisor.log").display().to_string();
        put("standard_output", Some(output.into()));
        put("cpus_per_task", wish.cores.map(Value::from));
        put("account", wish.account.clone().map(Value::from));
        put("qos", wish.qos.clone().map(Value::from));
        put("constraints", wish.constraint.clone().map(Value::from));
        if self.version < WRAPPED {
            put("open_mode", Some("append".into()));
            put("environment", Some(json!({"PATH": path})));
            // `"requeue": false` is read as true.
            put("no_requeue", Some(true.into()));
            put("gres", wish.gres.clone().map(Value::from));
            put("memory_per_node", wish.memory.map(Value::from));
            put("time_limit", wish.minutes.map(Value::from));
            return json!({"script": script, "job": job});
        }
        let set = |number: u64| json!({"set": true, "infinite": false, "number": number});
        let mark = if self.version < SLASHED { ':' } else { '/' };
        put("minimum_nodes", Some(wish.nodes.into()));
        put("maximum_nodes", Some(wish.nodes.into()));
        put("tasks", Some(wish.nodes.into()));
        put("open_mode", Some(json!(["APPEND"])));
        put("environment", Some(json!([format!("PATH={path}")])));
        put("requeue", Some(false.into()));
        put("tres_per_node", wish.gres.as_ref().map(|gres| format!("gres{mark}{gres}").into()));
        put("memory_per_node", wish.memory.map(set));
        put("time_limit", wish.minutes.map(set));
        if self.version < SLASHED {
            return json!({"script": script, "job": job});
        }
        put("script", Some(script.into()));
        json!({"job": job})
    }
}

/// A number, whichever way it is written; none where it is missing.
pub(super) fn number(value: &Value) -> Option<u64> {
    if value["infinite"] == json!(true) {
        return Some(u64::MAX);
    }
    if value["set"] == json!(false) {
        return None;
    }
    value.as_u64().or_else(|| value["number"].as_u64())
}

/// A word or a list of words.
fn words(value: &Value) -> Vec<String> {
    let word = |value: &Value| value.as_str().map(str::to_owned);
    match value {
        Value::Array(all) => all.iter().filter_map(word).collect(),
        one => word(one).into_iter().collect(),
    }
}

/// The number that a submission was given, if it was given one: what is complained of besides is then
/// about a job that was taken.
pub(super) fn submitted(body: &Value) -> Option<String> {
    let number = number(&body["job_id"]).or_else(|| number(&body["result"]["job_id"]));
    number.filter(|&number| number > 0).map(|number| number.to_string())
}

/// The jobs of an answer.
pub(super) fn jobs(body: &Value) -> &[Value] {
    body["jobs"].as_array().map_or(&[], Vec::as_slice)
}

/// A job as an entry.
pub(super) fn entry(job: &Value) -> Option<Entry> {
    let states = words(&job["job_state"]);
    let reason = job["state_reason"].as_str().unwrap_or_default();
    Some(Entry {
        number: number(&job["job_id"])?.to_string(),
        name: job["name"].as_str()?.to_owned(),
        phase: phase(telling(&states), reason),
    })
}

/// When an answer was given, by the controller's clock in seconds.
pub(super) fn clock(diagnosis: &Value) -> Option<u64> {
    number(&diagnosis["statistics"]["req_time"])
}

/// The nodes of an answer.
pub(super) fn nodes(body: &Value) -> Vec<NodeSeen> {
    let seen = |node: &Value| {
        let mut states = words(&node["state"]);
        states.extend(words(&node["state_flags"]));
        let has = |field: &str| number(&node[field]).unwrap_or(0);
        let is_in_order = are_in_order(&states);
        NodeSeen {
            partitions: words(&node["partitions"]),
            cores: Cores(has("cpus").saturating_mul(1_000)),
            memory: Bytes(has("real_memory").saturating_mul(1 << 20)),
            gres: node["gres"].as_str().unwrap_or_default().to_owned(),
            is_in_order,
            takes_work: is_in_order || is_draining(&states),
        }
    };
    body["nodes"].as_array().into_iter().flatten().map(seen).collect()
}

/// What a server complains of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Complaint {
    /// Slurm's number of it.
    pub(super) number: i64,
    /// In its words.
    pub(super) said: String,
}

/// The first complaint of an answer.
pub(super) fn complaint(body: &Value) -> Option<Complaint> {
    let errors = body["errors"].as_array()?;
    let numbers = ["error_number", "error_code", "errno"];
    let number = |error: &Value| numbers.iter().find_map(|name| error[*name].as_i64());
    let number = errors.iter().find_map(number)?;
    let text = |error: &Value| {
        let texts = ["description", "error"].map(|name| error[name].as_str().unwrap_or_default());
        texts.join(": ").trim_matches([':', ' ']).to_owned()
    };
    let said = errors.iter().map(text).filter(|text| !text.is_empty()).collect::<Vec<_>>();
    Some(Complaint { number, said: said.join("; ") })
}

#[cfg(test)]
mod tests;
