//! What a cluster's nodes have.

use super::KubernetesPool;
use crate::Capacity;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Taint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use model::{Bytes, Cores};
use std::collections::BTreeMap;

/// Whether a node has all these labels.
fn has_labels(node: &Node, wanted: &BTreeMap<String, String>) -> bool {
    let labels = node.metadata.labels.as_ref();
    let has =
        |(name, value): (&String, &String)| labels.and_then(|all| all.get(name)) == Some(value);
    wanted.iter().all(has)
}

/// Whether a node answers, and is as it should be.
pub(super) fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let is_ready = |one: &NodeCondition| one.type_ == "Ready" && one.status == "True";
    conditions.is_some_and(|all| all.iter().any(is_ready))
}

/// Whether nothing more is started on a node: somebody closed it, or the cluster itself keeps pods away for
/// the state that it is in.
pub(super) fn is_closed(node: &Node) -> bool {
    // For want of memory only pods are kept away that have no limit of it.
    let is_state = |taint: &Taint| {
        taint.key.starts_with(STATE)
            && taint.key != "node.kubernetes.io/memory-pressure"
            && taint.effect != "PreferNoSchedule"
    };
    node.spec.as_ref().is_some_and(|spec| {
        spec.unschedulable == Some(true) || spec.taints.iter().flatten().any(is_state)
    })
}

/// What the names of taints begin with by which Kubernetes itself tells the state of a node.
const STATE: &str = "node.kubernetes.io/";

/// What a node gives to pods.
pub(super) fn gives(node: &Node) -> Capacity {
    Capacity { cpu: Cores(amount(node, "cpu", 1_000)), memory: Bytes(amount(node, "memory", 1)) }
}

/// How many chips of a pool's kind a node has, in order or not, where the pool says what they are.
pub(super) fn chips(node: &Node, pool: &KubernetesPool) -> Option<u16> {
    let has = node.status.as_ref().and_then(|status| status.capacity.as_ref());
    let has = of(has, pool.resource.as_ref()?, 1);
    Some(u16::try_from(has).unwrap_or(u16::MAX))
}

/// Whether a node gives chips to pods of a pool now, or needs to give none.
pub(super) fn offers_chips(node: &Node, pool: &KubernetesPool) -> bool {
    pool.resource.as_ref().is_none_or(|resource| amount(node, resource, 1) > 0)
}

/// Whether a node is one of a pool's: it has all of its labels and some of its chips, and keeps its pods
/// away by no taint.
pub(super) fn is_of(node: &Node, pool: &KubernetesPool) -> bool {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    has_labels(node, &pool.node_selector)
        && chips(node, pool) != Some(0)
        && taints.into_iter().flatten().all(|taint| lets_in(taint, pool))
}

/// Whether pods of a pool may be on a node with this taint. What Kubernetes itself says so of a node's
/// state comes and goes.
fn lets_in(taint: &Taint, pool: &KubernetesPool) -> bool {
    let tolerates = |toleration: &serde_json::Value| {
        let is = |field: &str| {
            let text = toleration.get(field).and_then(serde_json::Value::as_str);
            text.filter(|text| !text.is_empty())
        };
        let any_value = is("operator") == Some("Exists");
        is("effect").is_none_or(|effect| effect == taint.effect)
            && is("key").map_or(any_value, |key| key == taint.key)
            && (any_value || is("value").unwrap_or("") == taint.value.as_deref().unwrap_or(""))
    };
    taint.effect == "PreferNoSchedule"
        // Who asks for a resource tolerates a taint of its name, where the cluster sees to that.
        || pool.resource.as_ref() == Some(&taint.key)
        || taint.key.starts_with(STATE)
        || pool.tolerations.iter().any(tolerates)
}

fn amount(node: &Node, name: &str, parts: u128) -> u64 {
    of(node.status.as_ref().and_then(|status| status.allocatable.as_ref()), name, parts)
}

fn of(all: Option<&BTreeMap<String, Quantity>>, name: &str, parts: u128) -> u64 {
    all.and_then(|all| quantity(&all.get(name)?.0, parts)).unwrap_or_default()
}

/// An amount as Kubernetes writes it (`64`, `63500m`, `1.5`, `515396075520`, `503316480Ki`, `2G`), in as
/// many parts of one; rounded down.
fn quantity(text: &str, parts: u128) -> Option<u64> {
    const UNITS: [(&str, u128); 12] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("Pi", 1 << 50),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("P", 1_000_000_000_000_000),
        ("m", 1),
        ("", 1),
    ];
    let (unit, factor) = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit))?;
    let number = text.strip_suffix(unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let decimals = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let thousandth = if unit == "m" { 1_000 } else { 1 };
    let scaled = digits.checked_mul(factor)?.checked_mul(parts)?;
    u64::try_from(scaled / decimals.checked_mul(thousandth)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_all_spellings() {
        let cores = |text| quantity(text, 1_000);
        assert_eq!([cores("64"), cores("63500m"), cores("1.5")], [64_000, 63_500, 1_500].map(Some));
        let bytes = |text| quantity(text, 1);
        assert_eq!(
            [bytes("2Ki"), bytes("1.5Gi"), bytes("2G")],
            [2_048, 3 << 29, 2_000_000_000].map(Some)
        );
        assert_eq!([bytes(""), bytes("much"), bytes("-1")], [None; 3]);
    }

    #[test]
    fn a_pool_has_the_nodes_that_its_pods_can_be_on() {
        let node = |more: serde_json::Value| -> Node {
            let mut node = serde_json::json!({
                "metadata": { "labels": { "chip": "910b" } },
                "status": {
                    "capacity": { "cpu": "64", "memory": "4Gi", "npu": "8" },
                    "allocatable": { "cpu": "63500m", "memory": "2Gi", "npu": "7" },
                },
            });
            node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(node).unwrap()
        };
        let pool = |text: &str| toml::from_str::<KubernetesPool>(text).unwrap();
        let plain = node(serde_json::json!({}));
        assert_eq!(gives(&plain), Capacity { cpu: Cores(63_500), memory: Bytes(2 << 30) });
        assert_eq!(chips(&plain, &pool("resource = 'npu'")), Some(8));
        assert_eq!(chips(&plain, &pool("")), None);
        let is = |text: &str, node: &Node| is_of(node, &pool(text));
        assert!(is("node_selector = { chip = '910b' }", &plain));
        assert!(!is("node_selector = { chip = '910c' }", &plain));
        assert!(!is("resource = 'gpu'", &plain));
        let tainted = |key: &str, effect: &str| {
            let taint = serde_json::json!({ "key": key, "value": "train", "effect": effect });
            node(serde_json::json!({ "spec": { "taints": [taint] } }))
        };
        let own = tainted("for", "NoSchedule");
        assert!(!is("", &own));
        for tolerated in [
            "key = 'for', value = 'train'",
            "key = 'for', operator = 'Exists', effect = 'NoSchedule'",
            "operator = 'Exists'",
            "key = '', operator = 'Exists', effect = ''",
        ] {
            assert!(is(&format!("tolerations = [{{ {tolerated} }}]"), &own), "{tolerated}");
        }
        for not in ["key = 'for'", "key = 'for', value = 'train', effect = 'NoExecute'", ""] {
            assert!(!is(&format!("tolerations = [{{ {not} }}]"), &own), "{not}");
        }
        assert!(is("resource = 'npu'", &tainted("npu", "NoSchedule")));
        assert!(is("", &tainted("for", "PreferNoSchedule")));
        assert!(is("", &tainted("node.kubernetes.io/not-ready", "NoExecute")));
        assert!(is_closed(&tainted("node.kubernetes.io/disk-pressure", "NoSchedule")));
        assert!(!is_closed(&tainted("node.kubernetes.io/memory-pressure", "NoSchedule")));
        assert!(!is_closed(&own));
    }
}
