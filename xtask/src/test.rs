//! `cargo xtask test`: one command that says whether the tree is good.

use crate::shell::Workspace;
use crate::stage::Stages;
use crate::{bench, dashboard, openapi, tidy, tools};
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the last long run is recorded.
const LONG_RUN: &str = "docs/long-run.md";

pub(crate) fn run(workspace: &Workspace, long: bool, filter: Option<&str>) -> Result<()> {
    if let Some(filter) = filter {
        let mut stages = Stages::default();
        stages.command("build", workspace.cargo(["build", "--workspace"]))?;
        stages.tests("tests", test_runner(workspace, long, Some(filter)))?;
        println!("\n{}", stages.table());
        return Ok(());
    }
    if long && workspace.long_packages.is_empty() {
        bail!("no package has a feature `long`: there are no long tests");
    }
    let reports = long_reports(workspace);
    if long {
        // Reports of an earlier run must not be taken for this one's.
        let _ = std::fs::remove_dir_all(&reports);
        std::fs::create_dir_all(&reports).with_context(|| reports.display().to_string())?;
    }
    let stages = stages(workspace, long)?;
    println!("\n{}", stages.table());
    if long { record(workspace, &reports, &stages.table()) } else { Ok(()) }
}

/// Runs all stages; the caller may add to them before it prints the table.
pub(crate) fn stages(workspace: &Workspace, long: bool) -> Result<Stages> {
    let has_dashboard = workspace.root.join("dashboard/package.json").exists();
    let mut stages = Stages::default();
    stages.stage("tools", "cargo xtask test", || {
        tools::provide_compilers()?;
        tools::provide_ping();
        tools::provide_engines()?;
        if has_dashboard { tools::provide_npm() } else { Ok(()) }
    })?;
    stages.command("fmt", workspace.cargo(["fmt", "--all", "--check"]))?;
    stages.stage("tidy", "cargo xtask tidy", || tidy::run(workspace))?;
    if has_dashboard {
        // Before any Rust is compiled: the binary embeds what this leaves.
        stages.stage("dashboard", "cargo xtask dashboard", || {
            dashboard::build_and_check(workspace)
        })?;
    }
    let mut clippy = workspace.cargo(["clippy", "--workspace", "--all-targets"]);
    // Long tests are too slow to run each time, but they are to compile each time.
    clippy.args(long_features(workspace)).args(["--", "-D", "warnings"]);
    stages.command("clippy", clippy)?;
    stages.command("build", workspace.cargo(["build", "--workspace"]))?;
    stages.tests("tests", test_runner(workspace, long, None))?;
    stages.tests("doctests", workspace.cargo(["test", "--workspace", "--doc", "--quiet"]))?;
    let mut rustdoc = workspace.cargo(["doc", "--workspace", "--no-deps", "--quiet"]);
    rustdoc.env("RUSTDOCFLAGS", "-D warnings");
    stages.command("rustdoc", rustdoc)?;
    if workspace.root.join(openapi::FILE).exists() {
        stages.stage("openapi", "cargo xtask openapi --check", || openapi::run(workspace, true))?;
    }
    Ok(stages)
}

/// nextest, or `cargo test` where it cannot be installed.
fn test_runner(workspace: &Workspace, long: bool, filter: Option<&str>) -> Command {
    let mut command = if tools::provide_subcommand(workspace, "nextest") {
        workspace.cargo(["nextest", "run", "--workspace", "--no-fail-fast"])
    } else {
        println!(
            "cargo-nextest could not be installed: going on with `cargo test`, one process a crate"
        );
        workspace.cargo(["test", "--workspace", "--all-targets", "--no-fail-fast"])
    };
    if long {
        command.args(long_features(workspace));
        command.env("PORTOLAN_LONG_REPORTS", long_reports(workspace));
    }
    command.args(filter);
    command
}

/// What switches the long tests on; nothing when there are none.
fn long_features(workspace: &Workspace) -> Vec<String> {
    let features = workspace.long_packages.iter().map(|name| format!("--features={name}/long"));
    features.collect()
}

/// Long tests leave one Markdown file each here (`PORTOLAN_LONG_REPORTS`).
fn long_reports(workspace: &Workspace) -> PathBuf {
    workspace.target.join("long-run")
}

/// Writes the last long run's page, to be committed.
fn record(workspace: &Workspace, reports: &Path, table: &str) -> Result<()> {
    let commit = bench::commit(workspace);
    let machine = bench::Machine::read().to_json();
    let mut page =
        format!("# The last long run\n\nWritten by `cargo xtask test --long` at commit {commit}\n");
    let _ = write!(page, "on {machine}.\n\n```\n{table}\n```\n");
    let mut files = std::fs::read_dir(reports)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .unwrap_or_else(|_| Vec::new());
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let _ = write!(page, "\n{}\n", text.trim());
    }
    std::fs::write(workspace.root.join(LONG_RUN), page)
        .with_context(|| format!("cannot write {LONG_RUN}"))?;
    println!("wrote {LONG_RUN}; commit it");
    Ok(())
}
