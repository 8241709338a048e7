//! A tree as serde sees it, for documents whose shape is a struct. What serde finds wrong keeps its
//! place and says what was expected in the document's words, not in Rust's.

use super::near::{hint, one_of, unknown_key};
use super::tree::{Entry, Node, Value};
use super::{Diagnostic, Problem};
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Reads a `T` out of `root`, which is the tree of `text`.
pub(super) fn read<T: DeserializeOwned>(
    name: &str,
    text: &Arc<str>,
    root: &Node,
) -> Result<T, Vec<Diagnostic>> {
    T::deserialize(root).map_err(|wrong| {
        let problem = Problem::new(wrong.path, wrong.said, wrong.expected);
        vec![Diagnostic::new(name, text, wrong.span.unwrap_or(0..0), problem)]
    })
}

/// What does not have the shape asked for.
#[derive(Debug)]
pub(super) struct Misshapen {
    span: Option<Range<usize>>,
    path: String,
    said: String,
    expected: String,
}

impl Misshapen {
    fn new(said: impl Into<String>, expected: impl Into<String>) -> Self {
        let (said, expected) = (said.into(), expected.into());
        Self { span: None, path: String::new(), said, expected }
    }

    /// It, with its place if it had none yet.
    fn at(self, span: &Range<usize>) -> Self {
        Self { span: self.span.or_else(|| Some(span.clone())), ..self }
    }

    /// It, one step further down from where its path began.
    fn under(mut self, step: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path.insert_str(0, dot);
        self.path.insert_str(0, step);
        self
    }
}

impl fmt::Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.said)
    }
}

impl std::error::Error for Misshapen {}

/// What serde expects, in words of the document.
fn phrase(expected: &dyn Expected) -> String {
    let said = expected.to_string();
    let whole = |min: i128, max: i128| format!("a whole number from {min} to {max}");
    match said.as_str() {
        "i32" => whole(i32::MIN.into(), i32::MAX.into()),
        "u32" => whole(0, u32::MAX.into()),
        "a string" => "text in quotes".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        _ => said,
    }
}

fn unexpected(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(flag) => format!("found `{flag}`"),
        Unexpected::Unsigned(number) => format!("found `{number}`"),
        Unexpected::Signed(number) => format!("found `{number}`"),
        Unexpected::Float(number) => format!("found `{number}`"),
        Unexpected::Str(text) => Value::Text(text.to_owned()).found(),
        Unexpected::Seq => "found a list".to_owned(),
        Unexpected::Map => "found a table".to_owned(),
        Unexpected::Unit | Unexpected::Option => "found nothing".to_owned(),
        other => format!("found {other}"),
    }
}

impl Error for Misshapen {
    fn custom<T: fmt::Display>(said: T) -> Self {
        Self::new(said.to_string(), "")
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(unexpected(found), phrase(expected))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(unexpected(found), phrase(expected))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        let (said, expected) = unknown_key(field, known);
        Self::new(said, expected)
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        let hint = hint(found, known.iter().copied());
        Self::new(format!("found `{found}`{hint}"), one_of(known.iter().copied()))
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Misshapen;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misshapen> {
        let read = match &self.value {
            Value::Nothing => visitor.visit_unit(),
            Value::Flag(flag) => visitor.visit_bool(*flag),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(nodes) => visitor.visit_seq(Elements { nodes: nodes.iter(), index: 0 }),
            Value::Table(entries) => {
                visitor.visit_map(Entries { entries: entries.iter(), current: None })
            }
            Value::Number(number) => match (number.parse(), number.parse(), number.parse()) {
                (Ok(number), _, _) => visitor.visit_u64(number),
                (_, Ok(number), _) => visitor.visit_i64(number),
                (_, _, Ok(number)) => visitor.visit_f64(number),
                _ => Err(Misshapen::new(self.value.found(), "a number")),
            },
        };
        read.map_err(|wrong| wrong.at(&self.span))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misshapen> {
        match self.value {
            Value::Nothing => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misshapen> {
        match self.value {
            Value::Table(_) => self.deserialize_any(visitor),
            _ => Err(Misshapen::new(self.value.found(), "a table").at(&self.span)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misshapen> {
        let read = match &self.value {
            Value::Text(text) => {
                let name: StrDeserializer<'_, Misshapen> = text.as_str().into_deserializer();
                visitor.visit_enum(name)
            }
            other => Err(Misshapen::new(other.found(), one_of(variants.iter().copied()))),
        };
        read.map_err(|wrong| wrong.at(&self.span))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Elements<'de> {
    nodes: std::slice::Iter<'de, Node>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Misshapen;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misshapen> {
        let Some(node) = self.nodes.next() else { return Ok(None) };
        let step = format!("[{}]", self.index);
        self.index += 1;
        seed.deserialize(node).map(Some).map_err(|wrong| wrong.under(&step))
    }
}

struct Entries<'de> {
    entries: std::slice::Iter<'de, Entry>,
    current: Option<&'de Entry>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Misshapen;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misshapen> {
        self.current = self.entries.next();
        let Some(entry) = self.current else { return Ok(None) };
        let key: StrDeserializer<'_, Misshapen> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|wrong| wrong.at(&entry.key_span))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misshapen> {
        let entry = self.current.expect("serde asks for a key before its value");
        seed.deserialize(&entry.node).map_err(|wrong| wrong.under(&entry.key))
    }
}
