//! The dashboard's build: npm does the work, this decides when, and finds a Node new enough.

use crate::shell::{self, Workspace};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

/// What Vite asks for. Debian 12 ships 18, so a newer one is fetched from npm beside the build.
const OLDEST_NODE: (u64, u64) = (20, 19);
const NODE_PACKAGE: &str = "node@22";

/// Builds `dashboard/dist` and checks types; an error if there is no npm.
pub(crate) fn build_and_check(workspace: &Workspace) -> Result<()> {
    build(workspace)?;
    shell::run(&mut npm(workspace, &["run", "check"])?)
}

/// Builds `dashboard/dist`, installing packages first when the lock file is newer than they are.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    let dir = workspace.root.join("dashboard");
    let lock = dir.join("package-lock.json");
    let installed = dir.join("node_modules/.package-lock.json");
    if changed(&installed).is_none_or(|installed| changed(&lock) > Some(installed)) {
        shell::run(&mut npm(workspace, &["ci", "--no-audit", "--no-fund"])?)?;
    }
    shell::run(&mut npm(workspace, &["run", "build"])?)
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// An npm command in the dashboard's folder, with a Node that is new enough first in its path.
fn npm(workspace: &Workspace, args: &[&str]) -> Result<Command> {
    let mut command = Command::new("npm");
    command.current_dir(workspace.root.join("dashboard")).args(args);
    if !node_is_new_enough("node".as_ref()) {
        let prefix = workspace.target.join("node");
        let bin = prefix.join("node_modules/.bin");
        if !node_is_new_enough(&bin.join("node")) {
            fetch_node(&prefix)?;
        }
        if !node_is_new_enough(&bin.join("node")) {
            bail!("Node {}.{} or newer is needed for the dashboard", OLDEST_NODE.0, OLDEST_NODE.1);
        }
        let mut path = OsString::from(bin);
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command.env("PATH", path);
    }
    Ok(command)
}

fn fetch_node(prefix: &Path) -> Result<()> {
    println!("Node is older than {}.{}: fetching {NODE_PACKAGE}", OLDEST_NODE.0, OLDEST_NODE.1);
    std::fs::create_dir_all(prefix).with_context(|| prefix.display().to_string())?;
    let mut install = Command::new("npm");
    install.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(prefix).arg(NODE_PACKAGE);
    shell::run(&mut install)
}

fn node_is_new_enough(node: &Path) -> bool {
    shell::capture(Command::new(node).arg("--version"))
        .is_ok_and(|printed| version(&printed).is_some_and(|found| found >= OLDEST_NODE))
}

/// Major and minor of what `node --version` prints.
fn version(printed: &str) -> Option<(u64, u64)> {
    let mut parts = printed.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_versions_are_read_and_compared() {
        assert!(version("v20.20.2\n") >= Some(OLDEST_NODE));
        assert!(version("v18.20.4") < Some(OLDEST_NODE));
        assert_eq!(version("not a version"), None);
    }
}
