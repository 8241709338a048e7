//! Small networks in which everything goes wrong.

use simulator::fault::{Sabotage, fault_run, sabotaged_run};

/// How many seeds every run of the tests goes through.
const SEEDS: u64 = 2_000;

#[test]
fn every_promise_holds_whatever_goes_wrong() {
    let failed: Vec<String> =
        (0..SEEDS).map(fault_run).filter(|v| !v.holds()).map(|v| v.to_string()).collect();
    assert!(failed.is_empty(), "{} of {SEEDS}:\n{}", failed.len(), failed.join("\n"));
}
