//! What a cluster's nodes have.

use crate::Capacity;
use k8s_openapi::api::core::v1::Node;
use model::{Bytes, Cores};
use std::collections::BTreeMap;

/// Whether a node has all these labels.
pub(super) fn has_labels(node: &Node, wanted: &BTreeMap<String, String>) -> bool {
    let labels = node.metadata.labels.as_ref();
    let has =
        |(name, value): (&String, &String)| labels.and_then(|all| all.get(name)) == Some(value);
    wanted.iter().all(has)
}

/// Adds what a node gives to pods, if it is in order.
pub(super) fn add(sum: &mut Capacity, node: &Node) {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let is_ready = |all: &Vec<_>| {
        all.iter().any(|one: &k8s_openapi::api::core::v1::NodeCondition| {
            one.type_ == "Ready" && one.status == "True"
        })
    };
    let is_closed = node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true));
    if is_closed || !conditions.is_some_and(is_ready) {
        return;
    }
    let given = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
    let amount = |name: &str| given.and_then(|all| all.get(name)).map_or("", |one| one.0.as_str());
    let milli = quantity(amount("cpu"), 1_000).unwrap_or_default();
    sum.cpu = Cores(sum.cpu.0.saturating_add(milli));
    sum.memory += Bytes(quantity(amount("memory"), 1).unwrap_or_default());
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
}
