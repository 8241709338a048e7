//! What a newcomer finds by name: crates in ARCHITECTURE.md, telling file names, a first line that says what.

use super::Violation;
use super::rust::mentions;
use super::tree::Tree;

const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// Names that say nothing, so that everything ends up there.
const EMPTY_NAMES: [&str; 6] = ["common", "utils", "helpers", "misc", "core", "types"];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = check_architecture(tree);
    violations.extend(check_names(tree));
    violations.extend(check_openings(tree));
    violations
}

fn check_architecture(tree: &Tree) -> Vec<Violation> {
    let Some(text) = tree.files.get(ARCHITECTURE) else {
        let fix = "write it: a bird's eye view, the crates, where to find what";
        return vec![Violation::new(ARCHITECTURE, 1, "is missing", fix)];
    };
    let unnamed =
        tree.crates.iter().filter(|krate| !text.lines().any(|line| mentions(line, &krate.dir)));
    let violation = |dir: &str| {
        let fix = "add it to the code map";
        Violation::new(ARCHITECTURE, 1, format!("does not say what `{dir}` is for"), fix)
    };
    unnamed.map(|krate| violation(&krate.dir)).collect()
}

fn check_names(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in &tree.sources {
        let path = source.path.trim_end_matches(".rs");
        if let Some(name) = path.split('/').find(|name| EMPTY_NAMES.contains(name)) {
            let what = format!("`{name}` says nothing");
            violations.push(Violation::new(
                &source.path,
                1,
                what,
                "name it after the noun it holds",
            ));
        }
    }
    for krate in tree.crates.iter().filter(|krate| EMPTY_NAMES.contains(&krate.name.as_str())) {
        let what = format!("crate name `{}` says nothing", krate.name);
        violations.push(Violation::new(
            &krate.manifest_path(),
            1,
            what,
            "name it after the noun it holds",
        ));
    }
    violations
}

fn check_openings(tree: &Tree) -> Vec<Violation> {
    let is_root = |path: &str| {
        let inside = tree.crate_of(path).and_then(|krate| path.strip_prefix(&krate.dir));
        inside.is_some_and(|inside| {
            matches!(inside, "/src/lib.rs" | "/src/main.rs") || inside.starts_with("/src/bin/")
        })
    };
    let roots = tree.sources.iter().filter(|source| is_root(&source.path));
    let silent =
        roots.filter(|source| !source.raw.first().is_some_and(|line| line.starts_with("//!")));
    let violation = |path| {
        let fix = "open with `//!`: what it is, its one door, what is deliberately not in it";
        Violation::new(path, 1, "the crate does not say what it is", fix)
    };
    silent.map(|source| violation(&source.path)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::trial::finds;

    #[test]
    fn a_crate_that_architecture_does_not_name_is_found() {
        let short = "`crates/model` and `crates/planner`, and crates/storeroom\n";
        finds(&[("ARCHITECTURE.md", short)], &[("ARCHITECTURE.md:1", "`crates/store`")]);
    }

    #[test]
    fn a_module_with_an_empty_name_is_found() {
        finds(
            &[("crates/model/src/utils.rs", ""), ("crates/model/src/core/unit.rs", "")],
            &[
                ("crates/model/src/core/unit.rs:1", "`core` says nothing"),
                ("crates/model/src/utils.rs:1", "`utils` says nothing"),
            ],
        );
        finds(&[("crates/model/src/corer.rs", "")], &[]);
    }

    #[test]
    fn a_crate_that_does_not_open_with_what_it_is_is_found() {
        finds(
            &[
                ("crates/model/src/lib.rs", "pub mod id;\n"),
                ("crates/model/src/id.rs", "struct Id;\n"),
            ],
            &[("crates/model/src/lib.rs:1", "does not say what it is")],
        );
    }
}
