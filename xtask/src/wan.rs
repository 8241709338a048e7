//! `cargo xtask wan`: build the network emulator, then become `wan`.

use crate::shell::{self, Workspace};
use anyhow::{Context, Result};
use std::os::unix::process::CommandExt;
use std::process::Command;

pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    // Not a debug build: its own work would count as delay.
    shell::run(&mut workspace.cargo(["build", "--release", "--package", "wan"]))?;
    let wan = workspace.binary("release", "wan");
    let mut command = Command::new(&wan);
    // The usual thing needs no verb: the first argument is a topology file.
    if args.first().is_some_and(|first| !["run", "clean"].contains(&first.as_str())) {
        command.arg("run");
    }
    // The emulator takes our place: Ctrl-C and kill reach it directly, and its exit code is ours.
    let error = command.args(args).exec();
    Err(error).with_context(|| format!("cannot start {}", wan.display()))
}
