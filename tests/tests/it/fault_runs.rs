//! Made-up networks by the thousand, in which everything goes wrong: those of the simulator's own
//! tests are always the same, and what is wrong is no longer in them.

use std::process::Command;
use whole_system::crash::seed;
use whole_system::{portolan, report};

/// Some five minutes of one core.
const RUNS: u64 = 10_000;

#[test]
fn every_promise_holds_in_ten_thousand_runs_that_nobody_has_seen() {
    let first = seed() * RUNS;
    let (first, runs) = (first.to_string(), RUNS.to_string());
    let args = ["simulate", "--faults", "--seed", &first, "--count", &runs];
    let ran = Command::new(portolan()).args(args).output().unwrap();
    let (said, errors) =
        (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    let text = format!("## Fault runs\n\n```\n$ portolan {}\n{said}```\n", args.join(" "));
    report("fault-runs", &text);
    assert!(ran.status.success(), "{said}{errors}");
    assert!(said.contains("all promises held"), "{said}{errors}");
}
