//! Reading tables key by key, so that one wrong value hides no other. A wrong value is reported and
//! reads as absent; since any report fails the document, nobody builds on the difference.

use super::near::{hint, one_of, unknown_key};
use super::tree::{Node, Value};
use super::{Diagnostic, Problem};
use crate::admission::NotAReadiness;
use crate::unit::parse_with;
use crate::{NotAnAmount, NotAnId};
use std::cell::RefCell;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

/// One text of a document, and what has been found wrong in it.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: Arc<str>,
    pub(super) root: Node,
    found: RefCell<Vec<(Range<usize>, Problem)>>,
}

impl Source {
    /// Reads `text` as TOML.
    pub(super) fn toml(name: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let text = Arc::from(text);
        let root = super::tree::toml(name, &text)?;
        Ok(Self { name: name.to_owned(), text, root, found: RefCell::default() })
    }

    /// Its outermost table.
    pub(super) fn section(&self) -> Section<'_> {
        Section { source: self, node: &self.root, path: String::new(), known: Vec::new() }
    }

    /// What was reported, in the order of the text.
    pub(super) fn diagnostics(&self) -> Vec<Diagnostic> {
        let mut found = self.found.take();
        found.sort_by_key(|(span, _)| span.start);
        let diagnostic = |(span, problem)| Diagnostic::new(&self.name, &self.text, span, problem);
        found.into_iter().map(diagnostic).collect()
    }
}

/// A table being read.
pub(super) struct Section<'a> {
    source: &'a Source,
    node: &'a Node,
    path: String,
    known: Vec<&'static str>,
}

/// Why a value will not do.
pub(super) struct Wrong {
    said: Option<String>,
    pub(in crate::file) expected: String,
}

impl Wrong {
    /// Something else was expected.
    pub(super) fn expected(expected: impl Into<String>) -> Self {
        Self { said: None, expected: expected.into() }
    }
}

impl From<NotAnId> for Wrong {
    fn from(not: NotAnId) -> Self {
        Self::expected(not.expected)
    }
}

impl From<NotAReadiness> for Wrong {
    fn from(not: NotAReadiness) -> Self {
        Self::expected(not.to_string())
    }
}

impl From<NotAnAmount> for Wrong {
    fn from(not: NotAnAmount) -> Self {
        Self::expected(not.expected)
    }
}

impl<'a> Section<'a> {
    /// Reports that something is wrong with the value of `key`.
    pub(super) fn report(&self, key: &str, said: impl Into<String>, expected: impl Into<String>) {
        let problem = Problem::new(self.path_of(key), said, expected);
        self.source.found.borrow_mut().push((self.span(key), problem));
    }

    /// Where the value of `key` stands, as `file:line`.
    pub(super) fn place(&self, key: &str) -> String {
        let (line, _) = super::diagnostic::position(&self.source.text, self.span(key).start);
        format!("{}:{line}", self.source.name)
    }

    fn span(&self, key: &str) -> Range<usize> {
        self.node.place(key)
    }

    fn path_of(&self, key: &str) -> String {
        let dot = if self.path.is_empty() || key.is_empty() { "" } else { "." };
        format!("{}{dot}{key}", self.path)
    }

    fn value(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        self.node.entry(key).map(|entry| &entry.node)
    }

    /// Whether there is such a key, known or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.node.entry(key).is_some()
    }

    /// The value of a key that may be left out.
    pub(super) fn maybe<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&Value) -> Result<T, Wrong>,
    ) -> Option<T> {
        let node = self.value(key)?;
        match read(&node.value) {
            Ok(value) => Some(value),
            Err(wrong) => {
                let said = wrong.said.unwrap_or_else(|| node.value.found());
                self.report(key, said, wrong.expected);
                None
            }
        }
    }

    /// The value of a key that must be there.
    pub(super) fn need<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&Value) -> Result<T, Wrong>,
    ) -> Option<T> {
        if !self.has(key) {
            self.known.push(key);
            let expected = read(&Value::Nothing).err().map(|wrong| wrong.expected);
            self.report(key, "missing", expected.unwrap_or_default());
            return None;
        }
        self.maybe(key, read)
    }

    /// The values of a list; none where the key is left out.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&Value) -> Result<T, Wrong>,
    ) -> Vec<T> {
        let nodes = self.nodes(key, "a list");
        let mut values = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            match read(&node.value) {
                Ok(value) => values.push(value),
                Err(wrong) => {
                    let said = wrong.said.unwrap_or_else(|| node.value.found());
                    let at = format!("{}[{i}]", self.path_of(key));
                    let problem = Problem::new(at, said, wrong.expected);
                    self.source.found.borrow_mut().push((node.span.clone(), problem));
                }
            }
        }
        values
    }

    /// The tables written `[[key]]`; none where there is no such key.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Self> {
        let expected = format!("tables, each under `[[{}]]`", self.header(key));
        let nodes = self.nodes(key, &expected);
        let path = self.path_of(key);
        let mut sections = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            let path = format!("{path}[{i}]");
            let section = Self { source: self.source, node, path, known: Vec::new() };
            match node.value {
                Value::Table(_) => sections.push(section),
                _ => section.report("", node.value.found(), "a table"),
            }
        }
        sections
    }

    /// The table of `key`; none where there is no such key.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Self> {
        let node = self.value(key)?;
        let path = self.path_of(key);
        if !matches!(node.value, Value::Table(_)) {
            self.report(key, node.value.found(), "a table");
            return None;
        }
        Some(Self { source: self.source, node, path, known: Vec::new() })
    }

    /// Keys of this table and the text of each; for tables whose keys are people's own.
    pub(super) fn entries<T>(
        &self,
        read: impl Fn(&Value) -> Result<T, Wrong>,
    ) -> Vec<(&'a str, T)> {
        let Value::Table(entries) = &self.node.value else { return Vec::new() };
        let mut values = Vec::new();
        for entry in entries {
            match read(&entry.node.value) {
                Ok(value) => values.push((entry.key.as_str(), value)),
                Err(wrong) => {
                    let said = wrong.said.unwrap_or_else(|| entry.node.value.found());
                    self.report(&entry.key, said, wrong.expected);
                }
            }
        }
        values
    }

    fn nodes(&mut self, key: &'static str, expected: &str) -> &'a [Node] {
        match self.value(key) {
            None => &[],
            Some(Node { value: Value::List(nodes), .. }) => nodes,
            Some(node) => {
                self.report(key, node.value.found(), expected);
                &[]
            }
        }
    }

    fn header(&self, key: &str) -> String {
        self.path_of(key).split(|c: char| c.is_ascii_digit() || c == '[' || c == ']').collect()
    }

    /// Reports every key that nobody asked for so far.
    pub(super) fn unknown(&self) {
        let Value::Table(entries) = &self.node.value else { return };
        for entry in entries.iter().filter(|e| !self.known.contains(&e.key.as_str())) {
            let (said, expected) = unknown_key(&entry.key, &self.known);
            let problem = Problem::new(&self.path, said, expected);
            self.source.found.borrow_mut().push((entry.key_span.clone(), problem));
        }
    }
}

/// A name or an amount with its unit, written as text.
pub(super) fn text<T>(value: &Value) -> Result<T, Wrong>
where
    T: FromStr<Err: Into<Wrong>>,
{
    match value {
        Value::Text(text) => text.parse().map_err(Into::into),
        other => {
            let number = if let Value::Number(number) = other { number } else { "" };
            match number.parse::<T>() {
                Err(not) => Err(not.into()),
                Ok(_) => Err(Wrong::expected("text in quotes")),
            }
        }
    }
}

/// An amount whose unit is its key's: a number, or one written as text.
pub(super) fn figure<T>(value: &Value) -> Result<T, Wrong>
where
    T: FromStr<Err: Into<Wrong>>,
{
    let (Value::Number(text) | Value::Text(text)) = value else {
        return "".parse().map_err(Into::into);
    };
    text.parse().map_err(Into::into)
}

/// Words for people: not empty, at most `max` characters, none of them a control character.
pub(super) fn words(max: usize) -> impl Fn(&Value) -> Result<String, Wrong> {
    move |value| match value {
        Value::Text(text) if is_words(text, max) => Ok(text.clone()),
        _ => Err(Wrong::expected(format!("text of 1 to {max} characters, in quotes"))),
    }
}

/// Whether `text` is words for people.
pub(super) fn is_words(text: &str, max: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= max && !text.chars().any(char::is_control)
}

/// A whole number between two, both allowed.
pub(super) fn whole<T>(min: T, max: T) -> impl Fn(&Value) -> Result<T, Wrong>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    move |value| {
        let number = if let Value::Number(number) = value { number.parse().ok() } else { None };
        number
            .filter(|n| (&min..=&max).contains(&n))
            .ok_or_else(|| Wrong::expected(format!("a whole number from {min} to {max}")))
    }
}

/// A number without sign in parts of `unit`: thousandths for 1,000. Nothing is rounded.
pub(super) fn parts(
    unit: u32,
    min: u64,
    max: u64,
    expected: &'static str,
) -> impl Fn(&Value) -> Result<u64, Wrong> {
    move |value| {
        let number = if let Value::Number(number) = value { number } else { "" };
        parse_with(number, &[("", unit.into())])
            .filter(|n| (min..=max).contains(n))
            .ok_or_else(|| Wrong::expected(expected))
    }
}

/// Degrees in millionths, between `-most` and `most` degrees.
pub(super) fn degrees(most: u32) -> impl Fn(&Value) -> Result<i64, Wrong> {
    move |value| {
        let number = if let Value::Number(number) = value { number } else { "" };
        let (sign, number) = match number.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, number.strip_prefix('+').unwrap_or(number)),
        };
        parse_with(number, &[("", 1_000_000)])
            .and_then(|micro| i64::try_from(micro).ok())
            .filter(|micro| *micro <= i64::from(most) * 1_000_000)
            .map(|micro| sign * micro)
            .ok_or_else(|| {
                Wrong::expected(format!(
                    "degrees between -{most} and {most} with at most six decimals"
                ))
            })
    }
}

/// One of a closed list of words.
pub(super) fn choice<T: Copy>(choices: &[(&str, T)]) -> impl Fn(&Value) -> Result<T, Wrong> {
    move |value| {
        let names = || choices.iter().map(|(name, _)| *name);
        let wrong = |said| Wrong { said, expected: one_of(names()) };
        let Value::Text(text) = value else { return Err(wrong(None)) };
        let found = choices.iter().find(|(name, _)| name == text).map(|(_, choice)| *choice);
        let said = || format!("{}{}", value.found(), hint(text, names()));
        found.ok_or_else(|| wrong(Some(said())))
    }
}
