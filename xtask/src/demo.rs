//! `cargo xtask demo`: build everything, then become `portolan demo`.

use crate::shell::{self, Workspace};
use crate::{dashboard, tools};
use anyhow::{Context, Result};
use std::os::unix::process::CommandExt;
use std::process::Command;

pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    println!("Building Portolan: some minutes the first time, seconds after that.");
    if !workspace.root.join("dashboard").exists() {
        // Nothing to build.
    } else if tools::has_npm() {
        if let Err(error) = dashboard::build(workspace) {
            println!("The dashboard could not be built, the demo goes on without it: {error:#}");
        }
    } else {
        println!(
            "npm is missing, the demo goes on without the dashboard (`apt install nodejs npm`)."
        );
    }
    shell::run(&mut workspace.cargo(["build", "--workspace"]))?;
    let portolan = workspace.binary("debug", "portolan");
    // The demo takes our place: Ctrl-C and kill reach it directly, and its exit code is ours.
    let error = Command::new(&portolan).arg("demo").args(args).exec();
    Err(error).with_context(|| format!("cannot start {}", portolan.display()))
}
