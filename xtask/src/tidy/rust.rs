//! A Rust file seen twice: as written, and with comments and the insides of strings blanked out.

/// One `.rs` file.
pub(super) struct Source {
    pub(super) path: String,
    /// Lines as written.
    pub(super) raw: Vec<String>,
    /// The same lines with comments and string contents replaced by blanks.
    pub(super) code: Vec<String>,
    /// How many leading lines are not the closing `#[cfg(test)] mod … { … }`; 0 for a file of tests.
    pub(super) body: usize,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// Line of its `fn`, counted from 1.
    pub(super) line: usize,
    /// Lines from its `fn` to its closing brace, both counted.
    pub(super) length: usize,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let raw: Vec<String> = text.lines().map(str::to_owned).collect();
        let code: Vec<String> = blank(text).lines().map(str::to_owned).collect();
        let body = if is_test_file(path) { 0 } else { tests_begin(&code) };
        Self { path: path.to_owned(), raw, code, body }
    }

    /// Whether the line with this index carries `// tidy: reason`, or the one above it does.
    pub(super) fn excused(&self, index: usize) -> bool {
        let says = |index: usize| {
            let reason = self.raw.get(index).and_then(|line| line.split_once("// tidy: "));
            reason.is_some_and(|(_, reason)| !reason.trim().is_empty())
        };
        says(index) || index.checked_sub(1).is_some_and(says)
    }

    /// Functions outside tests.
    pub(super) fn functions(&self) -> Vec<Function> {
        let text: Vec<char> =
            self.code[..self.body.min(self.code.len())].join("\n").chars().collect();
        let mut functions = Vec::new();
        let mut line = 1;
        for at in 0..text.len() {
            if text[at] == '\n' {
                line += 1;
            } else if let Some((name, after)) = function_name(&text, at)
                && let Some(length) = function_length(&text, at, after)
            {
                functions.push(Function { name, line, length });
            }
        }
        functions
    }

    /// Full paths that the `use` declarations outside tests bring in, with the line each begins at.
    pub(super) fn imports(&self) -> Vec<(usize, String)> {
        let mut imports = Vec::new();
        let mut index = 0;
        while index < self.body.min(self.code.len()) {
            let begin = index;
            if let Some(declaration) = after_use(&self.code[index]) {
                let mut text = declaration.to_owned();
                while !text.contains(';') && index + 1 < self.code.len() {
                    index += 1;
                    text.push_str(&self.code[index]);
                }
                let tree: String =
                    text.split(';').next().unwrap_or("").split_whitespace().collect();
                expand("", &tree, &mut |path| imports.push((begin + 1, path)));
            }
            index += 1;
        }
        imports
    }
}

/// Whether `word` occurs in `line` with no letter, digit or underscore touching it.
pub(super) fn mentions(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(part_of_name) && !line[at + word.len()..].starts_with(part_of_name)
    })
}

fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Index of the line where the closing test module begins, or the number of lines.
fn tests_begin(code: &[String]) -> usize {
    let is_marker = |line: &&String| line.trim() == "#[cfg(test)]";
    let opens = |line: &String| line.contains("mod ") && line.contains('{');
    let begins = |at: usize| {
        let mut after = code[at..].iter().skip_while(|line| line.trim().starts_with("#["));
        after.next().is_some_and(opens)
    };
    (0..code.len()).find(|at| is_marker(&&code[*at]) && begins(*at)).unwrap_or(code.len())
}

fn after_use(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("pub").map_or(line, |rest| {
        let rest = rest
            .strip_prefix('(')
            .and_then(|rest| rest.split_once(')'))
            .map_or(rest, |(_, rest)| rest);
        rest.trim_start()
    });
    line.strip_prefix("use ")
}

/// Calls `found` with each full path of a use tree without blanks, such as `std::{fs,time::Instant}`.
fn expand(prefix: &str, tree: &str, found: &mut impl FnMut(String)) {
    let Some((head, group)) = tree.split_once('{') else {
        // `as` lost its blanks, so `Instant as I` reads `InstantasI`; nobody renames these.
        return found(format!("{prefix}{tree}"));
    };
    let group = group.strip_suffix('}').unwrap_or(group);
    let prefix = format!("{prefix}{head}");
    let (mut depth, mut begin) = (0_usize, 0);
    for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                let item = &group[begin..at];
                if !item.is_empty() {
                    expand(&prefix, item, found);
                }
                begin = at + 1;
            }
            _ => {}
        }
    }
}

/// The name after a `fn` at this place, and the index after it.
fn function_name(text: &[char], at: usize) -> Option<(String, usize)> {
    let part_of_name = |c: &char| c.is_alphanumeric() || *c == '_';
    let preceded = at.checked_sub(1).and_then(|before| text.get(before)).is_some_and(part_of_name);
    if preceded || !text[at..].starts_with(&['f', 'n', ' ']) {
        return None;
    }
    let name: String = text[at + 3..].iter().take_while(|c| part_of_name(c)).collect();
    let after = at + 3 + name.chars().count();
    (!name.is_empty()).then_some((name, after))
}

/// Lines from `begin` to the closing brace of the body; `None` for a declaration without one.
fn function_length(text: &[char], begin: usize, after_name: usize) -> Option<usize> {
    let (mut depth, mut brackets) = (0_usize, 0_usize);
    for (at, c) in text.iter().enumerate().skip(after_name) {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            ';' if depth == 0 && brackets == 0 => return None,
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && brackets == 0 {
                    return Some(text[begin..at].iter().filter(|c| **c == '\n').count() + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Replaces comments and the insides of strings and characters by blanks; lines keep their length.
fn blank(text: &str) -> String {
    let text: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let end = skipped_until(&text, at);
        if end == at {
            out.push(text[at]);
            at += 1;
        } else {
            out.extend(text[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// The index after the comment, string or character that begins at `at`; `at` itself if none does.
fn skipped_until(text: &[char], at: usize) -> usize {
    let next = |offset: usize| text.get(at + offset).copied();
    match text[at] {
        '/' if next(1) == Some('/') => at + text[at..].iter().take_while(|c| **c != '\n').count(),
        '/' if next(1) == Some('*') => comment_end(text, at),
        '"' => string_end(text, at),
        'r' if is_raw_string(text, at) => raw_string_end(text, at),
        '\'' if next(1) == Some('\\') => character_end(text, at),
        '\'' if next(2) == Some('\'') => at + 3,
        _ => at,
    }
}

fn comment_end(text: &[char], at: usize) -> usize {
    let (mut depth, mut at) = (0_usize, at);
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(text.len())
}

fn string_end(text: &[char], at: usize) -> usize {
    let mut at = at + 1;
    while at < text.len() && text[at] != '"' {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

fn character_end(text: &[char], at: usize) -> usize {
    // The character after the backslash may itself be a quote.
    let rest = text.iter().skip(at + 3).take_while(|c| **c != '\'').count();
    (at + 3 + rest + 1).min(text.len())
}

fn is_raw_string(text: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| text[before]);
    let of_a_name =
        before.is_some_and(|c| (c.is_alphanumeric() && c != 'b' && c != 'c') || c == '_');
    !of_a_name && text[at + 1..].iter().find(|c| **c != '#') == Some(&'"')
}

fn raw_string_end(text: &[char], at: usize) -> usize {
    let hashes = text[at + 1..].iter().take_while(|c| **c == '#').count();
    let mut close = vec!['"'];
    close.extend(std::iter::repeat_n('#', hashes));
    let begin = at + hashes + 2;
    let inside = text.get(begin..).unwrap_or_default();
    let found = inside.windows(close.len()).position(|window| window == close.as_slice());
    found.map_or(text.len(), |offset| begin + offset + close.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn blanks(text: &str, expected: &str) {
        assert_eq!(
            blank(text).split_whitespace().collect::<Vec<_>>().join(" "),
            expected,
            "{text}"
        );
    }

    #[test]
    fn comments_and_strings_are_blanked_and_code_is_kept() {
        blanks("let a = \"{ // no\"; b // {", "let a = ; b");
        blanks("a /* x /* { */ y */ b", "a b");
        blanks("r#\"quote \" { \"# end", "end");
        blanks("br\"{\" end", "b end");
        blanks("let c = '{'; let d = '\\''; let e: &'a str", "let c = ; let d = ; let e: &'a str");
        blanks("let s = \"a \\\" {\"; t", "let s = ; t");
        blanks("for_r(\"{\")", "for_r( )");
        blanks("/* never closed", "");
        blanks("\"never closed", "");
    }

    #[test]
    fn functions_are_measured_outside_tests() {
        let text = "trait T {\n    fn declared(a: [u8; 2]);\n}\nfn two(\n) { let f: fn(u8) = x; }\n\
                    const fn one() {}\n#[cfg(test)]\nmod tests {\n    fn test() {}\n}\n";
        let found: Vec<_> = Source::new("a.rs", text)
            .functions()
            .into_iter()
            .map(|f| (f.name, f.line, f.length))
            .collect();
        assert_eq!(found, [("two".to_owned(), 4, 2), ("one".to_owned(), 6, 1)]);
    }

    #[test]
    fn use_trees_are_expanded() {
        let text =
            "use std::{\n    fs::{self, File},\n    time::Duration,\n};\npub(crate) use a::b;\n";
        let found = Source::new("a.rs", text).imports();
        let paths: Vec<_> = found.iter().map(|(line, path)| format!("{line} {path}")).collect();
        let expected = ["1 std::fs::self", "1 std::fs::File", "1 std::time::Duration", "5 a::b"];
        assert_eq!(paths, expected);
    }

    #[test]
    fn a_word_is_not_part_of_another() {
        assert!(mentions("a: HashMap<u8>", "HashMap"));
        assert!(!mentions("MyHashMap", "HashMap"));
        assert!(mentions("::std::fs::read", "std::fs"));
        assert!(!mentions("std::fsync", "std::fs"));
    }
}
