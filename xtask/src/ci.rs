//! `cargo xtask ci`: everything `test` does, then what the dependencies are worth.

use crate::shell::Workspace;
use crate::{test, tools};
use anyhow::Result;

pub(crate) fn run(workspace: &Workspace, install_deny: bool) -> Result<()> {
    let mut stages = test::stages(workspace, false)?;
    let mut skipped = Vec::new();
    if tools::provide_subcommand(workspace, "machete") {
        stages.command("machete", workspace.cargo(["machete"]))?;
    } else {
        skipped.push("machete (unused dependencies): cargo-machete could not be installed");
    }
    let deny = tools::has_subcommand(workspace, "deny")
        || (install_deny && tools::provide_subcommand(workspace, "deny"));
    if deny {
        stages.command("deny", workspace.cargo(["deny", "--workspace", "check"]))?;
    } else if install_deny {
        skipped.push("deny (licenses, advisories): cargo-deny could not be installed");
    } else {
        skipped.push("deny (licenses, advisories): cargo-deny is not here; `--deny` installs it");
    }
    for reason in skipped {
        println!("skipped {reason}");
    }
    println!("\n{}", stages.table());
    Ok(())
}
