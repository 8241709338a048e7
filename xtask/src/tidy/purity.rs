//! Words and thought decide; they do not look at the world. Their tests may.

use super::Violation;
use super::layers::DECIDING;
use super::rust::{Source, mentions};
use super::tree::Tree;
use std::collections::BTreeSet;

/// What deciding code may not name, and what to do instead.
const BANNED: [(&str, &str); 14] = [
    ("std::env", "configuration is an argument"),
    ("std::fs", "files belong to edges: take text or bytes"),
    ("std::net", "sockets belong to edges"),
    ("std::process", "processes belong to edges"),
    ("std::thread", "threads belong to edges"),
    ("std::time::Instant", "time is an argument: take `model`'s time"),
    ("std::time::SystemTime", "time is an argument: take `model`'s time"),
    ("SystemTime::now", "time is an argument: only edges own a clock"),
    ("Timestamp::now", "time is an argument: only edges own a clock"),
    ("Zoned::now", "time is an argument: only edges own a clock"),
    ("HashMap", "its order is random: take BTreeMap"),
    ("HashSet", "its order is random: take BTreeSet"),
    ("RandomState", "randomness is an argument"),
    ("thread_rng", "randomness is an argument: take a seeded generator"),
];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let decides = |source: &&Source| {
        let layer = tree.crate_of(&source.path).and_then(|krate| krate.layer());
        layer.is_some_and(|layer| DECIDING.contains(&layer))
    };
    tree.sources.iter().filter(decides).flat_map(check_source).collect()
}

fn check_source(source: &Source) -> Vec<Violation> {
    let mut found = BTreeSet::new();
    for (index, code) in source.code.iter().enumerate().take(source.body) {
        found.extend(
            BANNED.iter().filter(|(name, _)| mentions(code, name)).map(|rule| (index, rule)),
        );
    }
    for (line, path) in source.imports() {
        found.extend(
            BANNED.iter().filter(|(name, _)| mentions(&path, name)).map(|rule| (line - 1, rule)),
        );
    }
    let kept = found.into_iter().filter(|(index, _)| !source.excused(*index));
    let violation = |(index, (name, fix)): (usize, &(&str, &str))| {
        Violation::new(&source.path, index + 1, format!("deciding code names `{name}`"), *fix)
    };
    kept.map(violation).collect()
}

#[cfg(test)]
mod tests {
    use super::super::trial::finds;

    #[track_caller]
    fn model(text: &str, expected: &[(usize, &str)]) {
        let text = format!("//! Words.\n{text}\n");
        let places: Vec<_> = expected
            .iter()
            .map(|(line, part)| (format!("crates/model/src/lib.rs:{line}"), *part))
            .collect();
        let expected: Vec<_> = places.iter().map(|(place, part)| (place.as_str(), *part)).collect();
        finds(&[("crates/model/src/lib.rs", &text)], &expected);
    }

    #[test]
    fn clocks_files_and_random_order_are_found_however_they_are_imported() {
        model("use std::fs;", &[(2, "std::fs")]);
        model("use std::{fs::File, fmt};", &[(2, "std::fs")]);
        model("use std::time::{\n    Duration,\n    Instant,\n};", &[(2, "std::time::Instant")]);
        model("fn f() { std::env::var(\"A\") }", &[(2, "std::env")]);
        model("use std::collections::HashMap;", &[(2, "HashMap")]);
        model("use std::time::Duration;\nuse std::collections::BTreeMap;", &[]);
    }

    #[test]
    fn comments_and_tests_may_name_them() {
        model("// unlike HashMap, ordered", &[]);
        model("#[cfg(test)]\nmod tests {\n    use std::fs;\n}", &[]);
    }

    #[test]
    fn edges_may_look_at_the_world() {
        finds(&[("crates/store/src/lib.rs", "//! Edge.\nuse std::fs;\n")], &[]);
    }
}
