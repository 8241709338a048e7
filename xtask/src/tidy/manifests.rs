//! Every dependency is named once, in the root manifest; lock files point at the public registries.

use super::Violation;
use super::tree::{Crate, Tree};
use std::collections::BTreeMap;

const ROOT: &str = "Cargo.toml";

/// Where locked packages may come from: file, key, allowed beginning.
const LOCKS: [(&str, &str, &str); 2] = [
    ("Cargo.lock", "source = \"", "registry+https://github.com/rust-lang/crates.io-index\""),
    // tidy: the rule itself has to name it
    ("package-lock.json", "\"resolved\": \"", "https://registry.npmjs.org/"),
];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let crates = tree.crates.iter().flat_map(|krate| check_crate(tree, krate));
    crates.chain(check_root(tree)).chain(check_locks(tree)).collect()
}

/// All `[dependencies]`, `[dev-dependencies]`, `[build-dependencies]`, also under `[target.…]`.
pub(super) fn dependency_tables(manifest: &toml::Table) -> Vec<&toml::Table> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets =
        targets.into_iter().flat_map(|table| table.values()).filter_map(toml::Value::as_table);
    let places = std::iter::once(manifest).chain(targets);
    let tables = places.flat_map(|place| KINDS.map(|kind| place.get(kind)));
    tables.flatten().filter_map(toml::Value::as_table).collect()
}

fn check_crate(tree: &Tree, krate: &Crate) -> Vec<Violation> {
    let path = krate.manifest_path();
    let inherits =
        |value: &toml::Value| value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
    let mut violations = Vec::new();
    for (name, value) in dependency_tables(&krate.manifest).into_iter().flatten() {
        if !inherits(value) {
            let line = tree.line_of(&path, &format!("{name} "));
            let what = format!("dependency {name} is not inherited");
            let fix = "name it once in [workspace.dependencies], here `workspace = true`";
            violations.push(Violation::new(&path, line, what, fix));
        }
    }
    if !krate.manifest.get("lints").is_some_and(inherits) {
        let fix = "add `[lints] workspace = true`";
        violations.push(Violation::new(&path, 1, format!("{} has its own lints", krate.name), fix));
    }
    violations
}

/// Two names for one package would be two versions soon.
fn check_root(tree: &Tree) -> Vec<Violation> {
    let root = tree.files.get(ROOT).and_then(|text| toml::from_str::<toml::Table>(text).ok());
    let named =
        root.as_ref().and_then(|root| root.get("workspace")?.get("dependencies")?.as_table());
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    let mut violations = Vec::new();
    for (name, value) in named.into_iter().flatten() {
        let package = value.get("package").and_then(toml::Value::as_str).unwrap_or(name);
        if let Some(other) = first.insert(package, name) {
            let what = format!("{package} is named twice, as {other} and {name}");
            let line = tree.line_of(ROOT, &format!("{name} "));
            violations.push(Violation::new(ROOT, line, what, "keep one name"));
        }
    }
    violations
}

fn check_locks(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in &tree.files {
        let name = path.rsplit('/').next().unwrap_or(path);
        let Some((_, key, allowed)) = LOCKS.iter().find(|(lock, _, _)| *lock == name) else {
            continue;
        };
        for (index, line) in text.lines().enumerate() {
            if line.split_once(key).is_some_and(|(_, source)| !source.starts_with(allowed)) {
                let what = "a package is locked to a place that is not the public registry";
                let fix = "lock again without a mirror configured";
                violations.push(Violation::new(path, index + 1, what, fix));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::trial::{finds, manifest};

    #[test]
    fn a_version_outside_the_root_manifest_is_found() {
        let own = manifest("model", "words", "[target.'cfg(unix)'.dependencies]\nserde = \"1\"\n");
        finds(
            &[("crates/model/Cargo.toml", &own)],
            &[("crates/model/Cargo.toml:8", "dependency serde is not inherited")],
        );
        let inherited =
            manifest("model", "words", "[dependencies]\nserde = { workspace = true }\n");
        finds(&[("crates/model/Cargo.toml", &inherited)], &[]);
    }

    #[test]
    fn one_package_under_two_names_is_found() {
        let twice =
            "[workspace.dependencies]\njson = { package = \"serde_json\" }\nserde_json = \"1\"\n";
        finds(&[("Cargo.toml", twice)], &[("Cargo.toml:3", "serde_json is named twice")]);
    }

    #[test]
    fn a_mirror_in_a_lock_file_is_found() {
        let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        finds(&[("Cargo.lock", public)], &[]);
        finds(
            &[("Cargo.lock", "source = \"registry+https://mirror.example/index\"\n")],
            &[("Cargo.lock:1", "not the public registry")],
        );
        finds(
            &[(
                "dashboard/package-lock.json",
                "{\n  \"resolved\": \"https://mirror.example/a.tgz\"\n}\n",
            )],
            &[("dashboard/package-lock.json:2", "not the public registry")],
        );
    }
}
