//! What Ray's nodes have.

use crate::Capacity;
use model::{Bytes, Cores};
use serde::Deserialize;
use std::collections::BTreeMap;

/// All nodes that live, as the dashboard lists them; ten thousand is the most it lists.
pub(super) const ALIVE: &str = "/api/v0/nodes?detail=1&limit=10000\
                                &filter_keys=state&filter_predicates=%3D&filter_values=ALIVE";

/// What is asked of one node, or what one has: amounts by Ray's names for them.
pub(super) type Amounts = BTreeMap<String, f64>;

/// Ray's names for what every node has.
pub(super) const CPU: &str = "CPU";
pub(super) const GPU: &str = "GPU";
pub(super) const MEMORY: &str = "memory";

/// A list of the dashboard's.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    data: Data,
}

#[derive(Debug, Deserialize)]
struct Data {
    result: Nodes,
}

#[derive(Debug, Deserialize)]
struct Nodes {
    result: Vec<Node>,
}

/// A node of a cluster.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Node {
    state: String,
    #[serde(default)]
    resources_total: Amounts,
}

impl Listed {
    /// Those that live, whatever was asked for.
    pub(super) fn alive(self) -> Vec<Node> {
        let mut nodes = self.data.result.result;
        nodes.retain(|node| node.state == "ALIVE");
        nodes
    }
}

impl Node {
    pub(super) fn amount(&self, of: &str) -> f64 {
        self.resources_total.get(of).copied().unwrap_or_default()
    }

    /// Whether it could ever take this, with nothing else on it.
    pub(super) fn fits(&self, asked: &Amounts) -> bool {
        asked.iter().all(|(name, amount)| self.amount(name) >= *amount)
    }
}

/// Why none of these nodes could ever take what is asked, if that is so.
pub(super) fn infeasible(nodes: &[Node], asked: &Amounts) -> Option<String> {
    if nodes.iter().any(|node| node.fits(asked)) {
        return None;
    }
    let most = |of: &str| nodes.iter().map(|node| node.amount(of)).fold(0.0, f64::max);
    let short = asked.iter().find(|(name, amount)| most(name) < **amount);
    Some(match short {
        Some((name, amount)) => {
            format!(
                "{amount} of {name} are asked of one node, and no node has more than {}",
                most(name)
            )
        }
        None => {
            let all: Vec<String> =
                asked.iter().map(|(name, amount)| format!("{amount} of {name}")).collect();
            format!("no one node has {}", all.join(" and "))
        }
    })
}

/// What a node has.
pub(super) fn has(node: &Node) -> Capacity {
    Capacity {
        cpu: Cores(whole(node.amount(CPU) * 1_000.0)),
        memory: Bytes(whole(node.amount(MEMORY))),
    }
}

/// What these nodes have together.
pub(super) fn sum<'a>(nodes: impl Iterator<Item = &'a Node>) -> Capacity {
    nodes.map(has).fold(Capacity { cpu: Cores(0), memory: Bytes::ZERO }, |sum, node| Capacity {
        cpu: Cores(sum.cpu.0.saturating_add(node.cpu.0)),
        memory: sum.memory + node.memory,
    })
}

/// A float that is a count.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is bounded first")]
pub(super) fn whole(amount: f64) -> u64 {
    amount.clamp(0.0, 1e18) as u64
}
