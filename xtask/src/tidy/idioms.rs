//! Lines that should not be committed.

use super::Violation;
use super::rust::{Source, mentions};
use super::tree::Tree;

const LONGEST_LINE: usize = 110;

/// Code that is banned everywhere, and what to do instead.
const CODE: [(&str, &str); 4] = [
    ("#[ignore", "delete the test, repair it, or put it behind the feature `long`"),
    ("todo!(", "finish it, or return an error that says `not supported yet`"),
    ("unimplemented!(", "finish it, or return an error that says `not supported yet`"),
    ("thread::sleep", "wait for the event itself, or excuse a retry pause with `// tidy: reason`"),
];

/// Marks of unfinished work; spelled in parts, for this file is checked too.
const MARKS: [&str; 2] = [concat!("FIX", "ME"), concat!("XX", "X")];

/// Paths of one machine.
const MACHINE_PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Hosts that only lock files may name.
const REGISTRY_HOSTS: [&str; 4] = [
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("registry.", "npmjs.org"),
    concat!("files.", "pythonhosted.org"),
];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations: Vec<_> = tree.sources.iter().flat_map(check_rust).collect();
    for (path, text) in tree.files.iter().filter(|(path, _)| !is_lock(path)) {
        for (index, line) in text.lines().enumerate() {
            if let Some((what, fix)) = foreign(line) {
                violations.push(Violation::new(path, index + 1, what, fix));
            }
        }
    }
    let excused = |violation: &Violation| {
        let source = tree.sources.iter().find(|source| source.path == violation.path);
        source.is_some_and(|source| source.excused(violation.line - 1))
    };
    violations.retain(|violation| !excused(violation));
    violations
}

fn is_lock(path: &str) -> bool {
    path.ends_with("Cargo.lock") || path.ends_with("package-lock.json")
}

fn check_rust(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, raw) in source.raw.iter().enumerate() {
        let code = source.code.get(index).map_or("", String::as_str);
        let mut add = |what: String, fix: &str| {
            violations.push(Violation::new(&source.path, index + 1, what, fix));
        };
        let wide = raw.chars().count();
        // What a line says in quotes is sometimes best left whole, and a table's row cannot be broken.
        let quoted = raw.contains('"') || source.path.contains("/tests/");
        let in_table = raw.trim_start().starts_with("//! |");
        if wide > LONGEST_LINE && !raw.contains("://") && !quoted && !in_table {
            add(format!("the line has {wide} characters"), &format!("break it at {LONGEST_LINE}"));
        }
        for (banned, fix) in CODE.iter().filter(|(banned, _)| code.contains(banned)) {
            add(format!("`{banned}`"), fix);
        }
        for mark in MARKS.iter().filter(|mark| mentions(raw, mark)) {
            add(format!("`{mark}`"), "do it now, or write it down where work is planned");
        }
    }
    violations
}

/// What a line says about the machine it was written on.
fn foreign(line: &str) -> Option<(String, &'static str)> {
    // What is only the end of a longer path is not absolute.
    let begins =
        |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || "_-.})/~]".contains(c));
    let is_absolute = |path: &&&str| line.match_indices(**path).any(|(at, _)| begins(&line[..at]));
    if let Some(path) = MACHINE_PATHS.iter().find(is_absolute) {
        return Some((
            format!("a path of one machine (`{path}`)"),
            "use a relative or configured path",
        ));
    }
    let host = REGISTRY_HOSTS.iter().find(|host| line.contains(**host))?;
    Some((
        format!("names the registry host `{host}`"),
        "leave that to the user's own configuration",
    ))
}

#[cfg(test)]
mod tests {
    use super::super::trial::finds;

    const FILE: &str = "crates/store/src/lib.rs";

    #[track_caller]
    fn line(line: &str, expected: Option<&str>) {
        let text = format!("//! Edge.\n\n{line}\n");
        let place = format!("{FILE}:3");
        let expected: Vec<_> = expected.iter().map(|part| (place.as_str(), *part)).collect();
        finds(&[(FILE, &text)], &expected);
    }

    #[test]
    fn unfinished_code_is_found() {
        line("#[ignore = \"slow\"]", Some("#[ignore"));
        line("fn f() { todo!() }", Some("todo!("));
        line("fn f() { unimplemented!(\"x\") }", Some("unimplemented!("));
        line(concat!("// FIX", "ME: later"), Some("planned"));
        line("// the word \"todo!(\" in a comment", None);
        line("const S: &str = \"todo!()\";", None);
    }

    #[test]
    fn a_sleep_needs_a_reason() {
        line("fn f() { std::thread::sleep(d) }", Some("thread::sleep"));
        line("fn f() { std::thread::sleep(d) } // tidy: the kernel gives no event for this", None);
        line("// tidy: the kernel gives no event for this\nfn f() { std::thread::sleep(d) }", None);
        line("fn f() { std::thread::sleep(d) } // tidy: ", Some("thread::sleep"));
    }

    #[test]
    fn a_long_line_is_found_unless_it_is_an_address() {
        line(&format!("// {}", "é".repeat(107)), None);
        line(&format!("// {}", "é".repeat(108)), Some("111 characters"));
        line(&format!("// https://example.org/{}", "a".repeat(100)), None);
    }

    #[test]
    fn paths_of_one_machine_and_registry_hosts_are_found_in_any_file() {
        let page = format!(
            "see {}here\nfine: state{0}x\nhost {}\n",
            super::MACHINE_PATHS[0],
            super::REGISTRY_HOSTS[0]
        );
        finds(
            &[("docs/page.md", &page)],
            &[("docs/page.md:1", "path of one machine"), ("docs/page.md:3", "registry host")],
        );
    }
}
