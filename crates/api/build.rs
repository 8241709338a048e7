//! Has the crate rebuilt when the dashboard was.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Set by `cargo xtask` when it has built the dashboard, for there is no watching a directory
    // that does not exist yet.
    println!("cargo::rerun-if-env-changed=PORTOLAN_DASHBOARD");
    let built = Path::new("../../dashboard/dist");
    if built.exists() {
        println!("cargo::rerun-if-changed={}", built.display());
    }
}
