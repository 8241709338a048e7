//! `cargo xtask tidy`: the house rules that no compiler checks.
//!
//! Every rule is a function from a [`Tree`] (or a manifest graph) to [`Violation`]s; each violation says
//! where, what, and what to do. A line may break a line rule with `// tidy: reason` on it or just above.

mod allow;
mod files;
mod idioms;
mod layers;
mod manifests;
mod purity;
mod rust;
mod size;
mod tree;

use crate::shell::{self, Workspace};
use anyhow::{Result, bail};
use std::fmt;
use tree::Tree;

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    /// Relative to the root of the workspace.
    path: String,
    /// Counted from 1.
    line: usize,
    what: String,
    fix: String,
}

impl Violation {
    fn new(path: &str, line: usize, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into(), fix: fix.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.path, self.line, self.what, self.fix)
    }
}

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let tree = Tree::read(&workspace.root)?;
    let mut violations = check(&tree)?;
    let graph =
        shell::metadata(&workspace.root, &["--filter-platform", "x86_64-unknown-linux-gnu"])?;
    violations.extend(layers::check_graph(&tree, &graph)?);
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    if !violations.is_empty() {
        bail!("tidy: {} violations", violations.len());
    }
    println!("tidy: {} files, no violation", tree.files.len());
    Ok(())
}

/// All rules that need only the files.
fn check(tree: &Tree) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    violations.extend(layers::check(tree));
    violations.extend(manifests::check(tree));
    violations.extend(files::check(tree));
    violations.extend(idioms::check(tree));
    violations.extend(purity::check(tree));
    violations.extend(size::check(tree, &allow::Allow::of(tree)?));
    violations.sort();
    Ok(violations)
}

/// A small tree on disk, clean until a file is added or replaced.
#[cfg(test)]
mod trial {
    use super::{Tree, check};

    const CLEAN: &[(&str, &str)] = &[
        (
            "ARCHITECTURE.md",
            "`crates/model` words, `crates/planner` thought, `crates/store` edge.\n",
        ),
        (
            "Cargo.toml",
            "[workspace.dependencies]\nmodel = { path = \"crates/model\" }\n\
             planner = { path = \"crates/planner\" }\nstore = { path = \"crates/store\" }\nserde = \"1\"\n",
        ),
        ("crates/model/src/lib.rs", "//! Words.\n"),
        ("crates/planner/src/lib.rs", "//! Thought.\n"),
        ("crates/store/src/lib.rs", "//! Edge.\n"),
    ];

    /// A crate's manifest.
    pub(super) fn manifest(name: &str, layer: &str, rest: &str) -> String {
        format!(
            "[package]\nname = \"{name}\"\n[package.metadata.portolan]\nlayer = \"{layer}\"\n\
             [lints]\nworkspace = true\n{rest}"
        )
    }

    /// The clean tree with some files put over it, read back.
    pub(super) fn tree(changes: &[(&str, &str)]) -> Tree {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("files have a parent")).expect("created");
            std::fs::write(path, text).expect("written");
        };
        for (path, text) in CLEAN {
            put(path, text);
        }
        for (name, layer) in [("model", "words"), ("planner", "thought"), ("store", "edge")] {
            put(&format!("crates/{name}/Cargo.toml"), &manifest(name, layer, ""));
        }
        for (path, text) in changes {
            put(path, text);
        }
        Tree::read(dir.path()).expect("the tree is readable")
    }

    /// Lays the changes over the clean tree and compares `path:line` and a part of each complaint.
    #[track_caller]
    pub(super) fn finds(changes: &[(&str, &str)], expected: &[(&str, &str)]) {
        let found = check(&tree(changes)).expect("tidy runs");
        let shown: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "found: {shown:#?}");
        for ((place, part), line) in expected.iter().zip(&shown) {
            assert!(line.starts_with(&format!("{place}: ")), "{line} is not at {place}");
            assert!(line.contains(part), "{line} does not say {part}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::trial::finds;

    #[test]
    fn a_clean_tree_passes() {
        finds(&[], &[]);
    }
}
