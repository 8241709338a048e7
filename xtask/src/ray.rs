//! `cargo xtask test --ray`: the tests beside a real Ray cluster, which take minutes and 400 MB of Python.

use crate::shell::{self, Workspace};
use crate::stage::Stages;
use crate::tools;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Ray is, if not where nothing else is said: a Python environment, outside of the repository.
const INSTALLED: &str = "PORTOLAN_RAY";
const USUAL: &str = "/var/cache/portolan-ray/venv";

pub(crate) fn run(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    let is_root = shell::capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root {
        bail!("only root can give Ray a network namespace of its own: run this as root");
    }
    let installed = std::env::var_os(INSTALLED).map_or_else(|| PathBuf::from(USUAL), PathBuf::from);
    let mut stages = Stages::default();
    stages.stage("ray", "cargo xtask test --ray", || provide(&installed))?;
    println!(
        "{}",
        shell::capture(Command::new(installed.join("bin/ray")).arg("--version"))?.trim()
    );
    stages.command("build", workspace.cargo(["build", "--workspace", "--bins"]))?;
    stages.tests("tests", test_runner(workspace, &installed, filter.unwrap_or("ray::")))?;
    println!("\n{}", stages.table());
    Ok(())
}

/// Installs Ray, if it is not there.
fn provide(installed: &Path) -> Result<()> {
    if installed.join("bin/ray").exists() {
        return Ok(());
    }
    println!("Ray is missing: installing `ray[default]` into {}", installed.display());
    let made = shell::run(Command::new("python3").args(["-m", "venv"]).arg(installed));
    made.context("no Python environment could be made: run `apt install python3-venv`")?;
    let mut pip = Command::new(installed.join("bin/pip"));
    shell::run(pip.args(["install", "--quiet", "ray[default]"]))
}

/// One cluster at a time: each is some twenty processes.
fn test_runner(workspace: &Workspace, installed: &Path, filter: &str) -> Command {
    // The whole workspace: its parts alone would be built with other features, and anew.
    let packages = ["--workspace", "--no-fail-fast", filter];
    let (run, one_at_a_time): (&[&str], &[&str]) =
        match tools::provide_subcommand(workspace, "nextest") {
            true => (&["nextest", "run"], &["--test-threads=1"]),
            false => (&["test"], &["--", "--test-threads=1"]),
        };
    let mut command = workspace.cargo([run, &packages[..], one_at_a_time].concat());
    command.env(INSTALLED, installed);
    command
}
