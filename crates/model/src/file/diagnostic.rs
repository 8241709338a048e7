//! What is wrong in a document, and where.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Something wrong in a document, wherever the document came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where in the document: a path such as `input[1].dataset`; empty for the whole of it.
    pub at: String,
    /// What is wrong there.
    pub said: String,
    /// What would have been right, as a phrase.
    pub expected: String,
}

impl Problem {
    /// The problem that at `at` there is `said` where `expected` was expected.
    pub fn new(
        at: impl Into<String>,
        said: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self { at: at.into(), said: said.into(), expected: expected.into() }
    }
}

impl fmt::Display for Problem {
    /// `at: said; expected expected`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        write!(f, "{}", self.said)?;
        if self.expected.is_empty() { Ok(()) } else { write!(f, "; expected {}", self.expected) }
    }
}

impl std::error::Error for Problem {}

/// A problem at a place in a text. Prints as `file:line:column: what; expected …`; as a
/// `miette::Diagnostic` it shows the lines around it too.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// What is wrong.
    pub problem: Problem,
    /// The line it is on, from 1.
    pub line: usize,
    /// The character of that line it begins at, from 1.
    pub column: usize,
    source: miette::NamedSource<Arc<str>>,
    span: Range<usize>,
}

impl Diagnostic {
    /// `problem` at the bytes `span` of `text`. A span that is not one of the text is cut to it.
    pub(super) fn new(name: &str, text: &Arc<str>, span: Range<usize>, problem: Problem) -> Self {
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
        let (line, column) = position(text, start);
        let source = miette::NamedSource::new(name, Arc::clone(text));
        Self { problem, line, column, source, span: start..end }
    }

    /// The name of the document it is in.
    #[must_use]
    pub fn name(&self) -> &str {
        self.source.name()
    }
}

/// The line and column of a byte of `text`, both from 1.
pub(super) fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(byte.min(text.len()))];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.name(), self.line, self.column, self.problem)
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let label = miette::LabeledSpan::new_primary_with_span(
            Some(self.problem.said.clone()),
            self.span.clone(),
        );
        Some(Box::new(std::iter::once(label)))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let expected = &self.problem.expected;
        (!expected.is_empty()).then(|| Box::new(format!("expected {expected}")) as Box<_>)
    }
}
