//! What is wrong in a scenario's file, and where.

use std::fmt;
use std::ops::Range;

/// Something wrong at a place of a scenario's file. Prints as `file:line:column: what`; as a
/// `miette::Diagnostic` it shows the lines around it too.
#[derive(Debug)]
pub struct Misread {
    /// What is wrong.
    pub said: String,
    /// What to do, where that is known.
    pub help: Option<String>,
    /// The line it is on, from 1.
    pub line: usize,
    /// The character of that line it begins at, from 1.
    pub column: usize,
    source: miette::NamedSource<String>,
    span: Range<usize>,
}

impl Misread {
    /// That something is wrong at the bytes `span` of `text`, cut to what there is of it.
    pub(crate) fn at(file: &str, text: &str, span: Range<usize>, said: impl Into<String>) -> Self {
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        Self {
            said: said.into(),
            help: None,
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            source: miette::NamedSource::new(file, text.to_owned()),
            span: start..end,
        }
    }

    /// With what to do about it.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.source.name(), self.line, self.column, self.said)?;
        self.help.iter().try_for_each(|help| write!(f, "; {help}"))
    }
}

impl std::error::Error for Misread {}

impl miette::Diagnostic for Misread {
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let label = miette::LabeledSpan::new_primary_with_span(None, self.span.clone());
        Some(Box::new(std::iter::once(label)))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<_>)
    }
}
