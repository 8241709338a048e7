//! Long files and long functions do not multiply: a new one is refused, a known one may only shrink.

use super::Violation;
use super::allow::{self, Allow};
use super::tree::Tree;
use std::collections::BTreeMap;

const LONGEST_FILE: usize = 500;
const LONGEST_FUNCTION: usize = 80;

/// Something too long: its line and its size in lines.
type Overruns = BTreeMap<String, (usize, usize)>;

pub(super) fn check(tree: &Tree, allow: &Allow) -> Vec<Violation> {
    let (mut files, mut functions) = (Overruns::new(), Overruns::new());
    for source in &tree.sources {
        let lines = source.raw.len().min(source.body);
        if lines > LONGEST_FILE {
            files.insert(source.path.clone(), (1, lines));
        }
        for function in
            source.functions().into_iter().filter(|found| found.length > LONGEST_FUNCTION)
        {
            let key = format!("{}::{}", source.path, function.name);
            // Of several with one name in a file the longest counts.
            let longest = functions.entry(key).or_insert((function.line, function.length));
            if function.length > longest.1 {
                *longest = (function.line, function.length);
            }
        }
    }
    let mut violations = compare(tree, &files, &allow.files, LONGEST_FILE, "file");
    violations.extend(compare(tree, &functions, &allow.functions, LONGEST_FUNCTION, "function"));
    violations
}

fn compare(
    tree: &Tree,
    overruns: &Overruns,
    allowed: &BTreeMap<String, usize>,
    longest: usize,
    noun: &str,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (key, (line, size)) in overruns {
        let path = key.split("::").next().unwrap_or(key);
        let known = allowed.get(key).copied();
        if known.is_none_or(|known| *size > known) {
            let limit = known.unwrap_or(longest);
            let what = format!("{noun} `{key}` has {size} lines, at most {limit} are allowed");
            violations.push(Violation::new(path, *line, what, "split it by what it decides"));
        }
    }
    for (key, known) in allowed {
        let size = overruns.get(key).map_or(0, |(_, size)| *size);
        if size < *known {
            let fix =
                if size == 0 { "remove the entry".to_owned() } else { format!("set it to {size}") };
            let what = format!("{noun} `{key}` is listed with {known} lines but needs less");
            violations.push(Violation::new(allow::PATH, tree.line_of(allow::PATH, key), what, fix));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::trial::finds;
    use super::allow::PATH;

    const FILE: &str = "crates/store/src/long.rs";

    fn file(lines: usize) -> String {
        format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "//\n".repeat(lines), "//\n".repeat(600))
    }

    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
    }

    #[test]
    fn a_new_long_file_is_found_and_its_tests_do_not_count() {
        finds(&[(FILE, &file(500))], &[]);
        finds(
            &[(FILE, &file(501))],
            &[("crates/store/src/long.rs:1", "has 501 lines, at most 500")],
        );
    }

    #[test]
    fn a_new_long_function_is_found() {
        finds(&[(FILE, &function(80))], &[]);
        finds(
            &[(FILE, &function(81))],
            &[("crates/store/src/long.rs:1", "has 81 lines, at most 80")],
        );
    }

    #[test]
    fn a_known_overrun_may_only_shrink() {
        let list = "[functions]\n\"crates/store/src/long.rs::long\" = 90\n";
        finds(&[(FILE, &function(90)), (PATH, list)], &[]);
        finds(
            &[(FILE, &function(91)), (PATH, list)],
            &[("crates/store/src/long.rs:1", "at most 90")],
        );
        finds(
            &[(FILE, &function(85)), (PATH, list)],
            &[("xtask/tidy-allow.toml:2", "set it to 85")],
        );
        finds(
            &[(FILE, &function(80)), (PATH, list)],
            &[("xtask/tidy-allow.toml:2", "remove the entry")],
        );
    }
}
