//! A document as a tree whose every value knows its place in the text, whatever the format.

use super::{Diagnostic, Problem};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{MessageFormatter, UserMessageFormatter};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// A value and the bytes it stands in.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) value: Value,
}

/// A value. Numbers stay text, so that none is rounded before somebody says what it is.
#[derive(Debug)]
pub(super) enum Value {
    Nothing,
    Flag(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) node: Node,
}

impl Value {
    /// It, as a message calls it.
    pub(super) fn found(&self) -> String {
        match self {
            Self::Nothing => "found nothing".to_owned(),
            Self::Flag(flag) => format!("found `{flag}`"),
            Self::Number(text) | Self::Text(text) if text.chars().count() > 80 => {
                format!("found `{}…`", text.chars().take(80).collect::<String>())
            }
            Self::Number(text) | Self::Text(text) => format!("found `{text}`"),
            Self::List(_) => "found a list".to_owned(),
            Self::Table(_) => "found a table".to_owned(),
        }
    }
}

impl Node {
    /// The entry of this key, if this is a table that has it.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|e| e.key == key),
            _ => None,
        }
    }

    /// Where the value at `path` stands or, where there is none, whatever should hold it.
    pub(super) fn place(&self, path: &str) -> Range<usize> {
        let mut node = self;
        for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
            let below = match (&node.value, step.strip_suffix(']').map(str::parse::<usize>)) {
                (Value::List(nodes), Some(Ok(index))) => nodes.get(index),
                _ => node.entry(step).map(|e| &e.node),
            };
            match below {
                Some(below) => node = below,
                None => break,
            }
        }
        node.span.clone()
    }
}

/// Reads `text` as TOML.
pub(super) fn toml(name: &str, text: &Arc<str>) -> Result<Node, Vec<Diagnostic>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(Node { span: 0..0, value: toml_table(table.into_inner()) });
    }
    let diagnostic = |error: &toml::de::Error| {
        let problem = Problem::new("", error.message().replace(", expected ", "; expected "), "");
        Diagnostic::new(name, text, error.span().unwrap_or(0..0), problem)
    };
    Err(errors.iter().map(diagnostic).collect())
}

fn toml_table(table: DeTable<'_>) -> Value {
    let entry = |(key, value): (toml::Spanned<_>, toml::Spanned<_>)| Entry {
        key_span: key.span(),
        key: std::borrow::Cow::into_owned(key.into_inner()),
        node: toml_node(value),
    };
    Value::Table(table.into_iter().map(entry).collect())
}

fn toml_node(value: toml::Spanned<DeValue<'_>>) -> Node {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => {
            let decimal = i128::from_str_radix(number.as_str(), number.radix());
            Value::Number(decimal.map_or_else(|_| number.to_string(), |n| n.to_string()))
        }
        DeValue::Float(number) => Value::Number(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(values) => Value::List(values.into_iter().map(toml_node).collect()),
        DeValue::Table(table) => toml_table(table),
    };
    Node { span, value }
}

/// Reads `text` as YAML, and so as JSON too.
pub(super) fn yaml(name: &str, text: &Arc<str>) -> Result<Node, Vec<Diagnostic>> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options::<serde_saphyr::Spanned<Value>>(text, options)
        .map(node)
        .map_err(|error| {
            let span = error.location().map_or(0..0, |place| spot(place, text));
            let said = UserMessageFormatter.format_message(&error).into_owned();
            vec![Diagnostic::new(name, text, span, Problem::new("", said, ""))]
        })
}

fn node(spanned: serde_saphyr::Spanned<Value>) -> Node {
    Node { span: span(spanned.referenced), value: spanned.value }
}

/// The bytes of a place; texts that are read as a whole always know them.
fn span(place: serde_saphyr::Location) -> Range<usize> {
    let offset = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    match (place.span().byte_offset(), place.span().byte_len()) {
        (Some(start), Some(length)) => offset(start)..offset(start).saturating_add(offset(length)),
        _ => 0..0,
    }
}

/// The byte a parser's complaint is about; the scanner's know line and column only.
fn spot(place: serde_saphyr::Location, text: &str) -> Range<usize> {
    if place.span().byte_offset().is_some() {
        return span(place);
    }
    let before = |n: u64| usize::try_from(n.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut lines = text.split_inclusive('\n');
    let start: usize = lines.by_ref().take(before(place.line())).map(str::len).sum();
    let line = lines.next().unwrap_or_default();
    let column = line.chars().take(before(place.column())).map(char::len_utf8).sum::<usize>();
    start + column..start + column
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a value")
            }

            fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
                Ok(Value::Flag(flag))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
                Ok(Value::Number(number.to_string()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
                Ok(Value::Number(number.to_string()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
                Ok(Value::Number(number.to_string()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }

            fn visit_unit<E: Error>(self) -> Result<Value, E> {
                Ok(Value::Nothing)
            }

            fn visit_none<E: Error>(self) -> Result<Value, E> {
                Ok(Value::Nothing)
            }

            fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
                from.deserialize_any(self)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
                let mut nodes = Vec::new();
                while let Some(value) = from.next_element()? {
                    nodes.push(node(value));
                }
                Ok(Value::List(nodes))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = from.next_key::<serde_saphyr::Spanned<String>>()? {
                    let key_span = span(key.referenced);
                    let node = node(from.next_value()?);
                    entries.push(Entry { key: key.value, key_span, node });
                }
                Ok(Value::Table(entries))
            }
        }

        from.deserialize_any(Any)
    }
}
