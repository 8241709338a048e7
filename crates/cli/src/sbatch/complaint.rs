//! What is to be said about a script, and at which place of it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A text that options were read from: a script, the command line, a variable.
#[derive(Debug)]
pub(crate) struct Source {
    text: Arc<str>,
    shown: miette::NamedSource<Arc<str>>,
}

impl Source {
    /// `text`, called `name` in messages.
    pub(crate) fn new(name: &str, text: &str) -> Arc<Self> {
        let text: Arc<str> = Arc::from(text);
        let shown = miette::NamedSource::new(name, Arc::clone(&text));
        Arc::new(Self { text, shown })
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// Some bytes of a source.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    source: Arc<Source>,
    span: Range<usize>,
}

impl Place {
    /// The bytes `span` of `source`.
    pub(crate) fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        let length = source.text.len();
        let start = source.text.floor_char_boundary(span.start.min(length));
        let end = source.text.ceil_char_boundary(span.end.clamp(start, length));
        Self { source: Arc::clone(source), span: start..end }
    }

    /// It without its first `bytes`.
    pub(crate) fn behind(&self, bytes: usize) -> Self {
        Self::new(&self.source, (self.span.start + bytes).min(self.span.end)..self.span.end)
    }

    /// Line and column, from 1.
    fn position(&self) -> (usize, usize) {
        let before = &self.source.text[..self.span.start];
        let line = before.rfind('\n').map_or(0, |i| i + 1);
        (before.matches('\n').count() + 1, before[line..].chars().count() + 1)
    }
}

impl fmt::Display for Place {
    /// `file:line:column`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.position();
        write!(f, "{}:{line}:{column}", self.source.shown.name())
    }
}

/// One thing to be said.
#[derive(Debug, Clone)]
pub(crate) struct Complaint {
    place: Place,
    what: String,
    help: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)
    }
}

impl std::error::Error for Complaint {}

impl miette::Diagnostic for Complaint {
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.place.source.shown)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let here = Some("here".to_owned());
        let label = miette::LabeledSpan::new_primary_with_span(here, self.place.span.clone());
        Some(Box::new(std::iter::once(label)))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.help.is_empty()).then(|| Box::new(&self.help) as Box<_>)
    }
}

impl Complaint {
    /// By what complaints are put in order: the source's name, line, column.
    pub(crate) fn order(&self) -> (String, usize, usize) {
        let (line, column) = self.place.position();
        (self.place.source.shown.name().to_owned(), line, column)
    }

    /// As one line: where, what, and what to do.
    pub(crate) fn line(&self) -> String {
        let help = if self.help.is_empty() { "" } else { "; " };
        format!("{}: {}{help}{}", self.place, self.what, self.help)
    }
}

/// All that is to be said so far.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// What keeps the job from being submitted.
    pub(crate) wrong: Vec<Complaint>,
    /// What is not done as it is written, though the job can go its way.
    pub(crate) notes: Vec<Complaint>,
}

impl Said {
    /// Something that keeps the job from being submitted, and what to do.
    pub(crate) fn wrong(
        &mut self,
        place: &Place,
        what: impl Into<String>,
        help: impl Into<String>,
    ) {
        let (what, help) = (what.into(), help.into());
        self.wrong.push(Complaint { place: place.clone(), what, help });
    }

    /// Something that is not done as it is written, and what to do.
    pub(crate) fn note(&mut self, place: &Place, what: impl Into<String>, help: impl Into<String>) {
        let (what, help) = (what.into(), help.into());
        self.notes.push(Complaint { place: place.clone(), what, help });
    }
}
