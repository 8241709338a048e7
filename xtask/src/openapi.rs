//! `cargo xtask openapi`: the API's description, generated from code and committed.

use crate::shell::{self, Workspace};
use anyhow::{Context, Result, bail};
use std::process::Command;

/// The committed description, at the root of the workspace.
pub(crate) const FILE: &str = "openapi.json";

pub(crate) fn run(workspace: &Workspace, check: bool) -> Result<()> {
    shell::run(&mut workspace.cargo(["build", "--workspace", "--quiet"]))?;
    let portolan = workspace.binary("debug", "portolan");
    let mut generated = shell::capture(Command::new(portolan).arg("openapi"))?;
    if !generated.ends_with('\n') {
        generated.push('\n');
    }
    let path = workspace.root.join(FILE);
    if check {
        let committed =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {FILE}"))?;
        return match first_difference(&committed, &generated) {
            None => Ok(()),
            Some(at) => {
                bail!("{FILE}:{at}: the code says otherwise; run `cargo xtask openapi` and commit")
            }
        };
    }
    std::fs::write(&path, generated).with_context(|| format!("cannot write {FILE}"))?;
    println!("wrote {FILE}");
    Ok(())
}

/// The number of the first line that differs, counted from 1.
fn first_difference(committed: &str, generated: &str) -> Option<usize> {
    if committed == generated {
        return None;
    }
    let same = committed.lines().zip(generated.lines()).take_while(|(one, other)| one == other);
    Some(same.count() + 1)
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn the_first_differing_line_is_named() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(2));
    }
}
