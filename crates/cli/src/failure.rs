//! How a command fails: what is said, and the exit code.

use crate::look::Look;
use model::file::Diagnostic;
use std::fmt;
use std::io;
use std::process::ExitCode;

/// What the exit code tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// All went well.
    Ok = 0,
    /// It failed for a reason no other code names.
    Failed = 1,
    /// There is no such thing, or it is not the asker's to see.
    NotFound = 3,
    /// The token does not open this.
    Refused = 4,
    /// What was asked for cannot be, or not in the present state.
    Invalid = 5,
    /// The server does not answer.
    Unreachable = 6,
    /// The job waited for failed.
    JobFailed = 10,
    /// The job waited for was canceled.
    JobCanceled = 11,
    /// The job waited for reached its limit.
    JobTimedOut = 12,
    /// Waiting was broken off; what was waited for goes on.
    Interrupted = 130,
}

/// The exit codes, for `portolan --help`.
pub(crate) const CODES: &str = "\
Exit codes:
  0   done
  1   failed
  2   wrong usage
  3   no such thing
  4   refused: no token, or its role does not allow this
  5   conflict, or something wrong in what was asked for
  6   the server does not answer
  10  submit --wait: a job failed
  11  submit --wait: a job was canceled
  12  submit --wait: a job reached its limit
  130 broken off by Ctrl-C; jobs waited for go on";

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something, and what to do about it.
    Said {
        /// What the exit code tells.
        code: Code,
        /// What is wrong.
        what: String,
        /// What to do.
        help: Option<String>,
    },
    /// Documents are wrong at these places.
    Documents(Vec<Misprint>),
    /// All has been said already.
    Told(Code),
}

/// Something wrong at a place in a document.
pub(crate) type Misprint = Box<dyn miette::Diagnostic + Send + Sync>;

impl Failure {
    /// `what` is wrong.
    pub(crate) fn said(code: Code, what: impl Into<String>) -> Self {
        Self::Said { code, what: what.into(), help: None }
    }

    /// With what to do about it.
    pub(crate) fn help(self, words: impl Into<String>) -> Self {
        match self {
            Self::Said { code, what, .. } => Self::Said { code, what, help: Some(words.into()) },
            other => other,
        }
    }
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Self::Documents(diagnostics.into_iter().map(|d| Box::new(Brief(d)) as Misprint).collect())
    }
}

/// A diagnostic that leaves to the lines shown below it what they show.
#[derive(Debug)]
struct Brief(Diagnostic);

impl fmt::Display for Brief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0.problem.at {
            "" => write!(f, "{}", self.0.problem.said),
            at => write!(f, "{at}: {}", self.0.problem.said),
        }
    }
}

impl std::error::Error for Brief {}

impl miette::Diagnostic for Brief {
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.0.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let spans = self.0.labels()?.map(|label| *label.inner());
        let here = |span| miette::LabeledSpan::new_primary_with_span(Some("here".into()), span);
        Some(Box::new(spans.map(here)))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.0.help()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said { what, .. } => write!(f, "{what}"),
            Self::Documents(all) => {
                let lines: Vec<String> = all.iter().map(ToString::to_string).collect();
                write!(f, "{}", lines.join("\n"))
            }
            Self::Told(_) => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

/// Says on standard error why a command failed, and answers its exit code.
pub(crate) fn report(error: &anyhow::Error, look: &Look) -> Code {
    let (code, text) = explain(error, look);
    if !text.is_empty() {
        // There is nobody left to tell if this fails.
        let _told = io::Write::write_all(&mut io::stderr(), text.as_bytes());
    }
    code
}

/// The exit code for an error, and what to say.
fn explain(error: &anyhow::Error, look: &Look) -> (Code, String) {
    let pipe = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    if error.chain().filter_map(|e| e.downcast_ref()).any(pipe) {
        // Whoever read the output has seen enough.
        return (Code::Ok, String::new());
    }
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return match failure {
            Failure::Said { code, what, help } => (*code, plain(what, help.as_deref(), look)),
            Failure::Documents(all) => (Code::Invalid, documents(all, look)),
            Failure::Told(code) => (*code, String::new()),
        };
    }
    if let Some(failed) = error.chain().find_map(|e| e.downcast_ref::<client::Error>()) {
        let (code, help) = answered(failed);
        return (code, plain(&chain(error), help, look));
    }
    let missing = |e: &store::Error| matches!(e, store::Error::Missing { .. });
    let found = !error.chain().filter_map(|e| e.downcast_ref()).any(missing);
    let code = if found { Code::Failed } else { Code::NotFound };
    (code, plain(&chain(error), None, look))
}

/// An error with its sources, each said once: many of ours repeat theirs in their own words.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for source in error.chain() {
        let words = source.to_string();
        if text.contains(&words) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&words);
    }
    text
}

fn plain(what: &str, help: Option<&str>, look: &Look) -> String {
    let mut text = format!("{} {what}\n", look.red("error:"));
    if let Some(help) = help {
        text.push_str(&format!("{} {help}\n", look.dim("help:")));
    }
    text
}

/// Diagnostics with the lines they are about.
pub(crate) fn documents(all: &[Misprint], look: &Look) -> String {
    use miette::{GraphicalReportHandler, GraphicalTheme};
    let theme =
        if look.color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let width = look.width.map_or(100, usize::from);
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(width);
    let mut text = String::new();
    for one in all {
        if handler.render_report(&mut text, one.as_ref()).is_err() {
            text.push_str(&one.to_string());
        }
        text.push('\n');
    }
    text
}

/// The exit code for what a server answered, and what to do.
fn answered(error: &client::Error) -> (Code, Option<&'static str>) {
    let Some(problem) = error.problem() else {
        if matches!(error, client::Error::Mistrusted { .. }) {
            let trust = "is it the server's own? then have this machine trust who signed it: \
                         SSL_CERT_FILE names a file with that certificate";
            return (Code::Unreachable, Some(trust));
        }
        return match error.is_transient() {
            true => (
                Code::Unreachable,
                Some("is it running, and is --server or PORTOLAN_SERVER its address?"),
            ),
            false => (Code::Failed, None),
        };
    };
    match (problem.status, problem.slug()) {
        (401, _) => (
            Code::Refused,
            Some("name the file that holds a valid token with --token-file or PORTOLAN_TOKEN_FILE"),
        ),
        (403, _) => (Code::Refused, None),
        (404, _) => (Code::NotFound, None),
        (_, "center-silent") => (Code::Failed, Some("`portolan centers` shows which are there")),
        (_, "busy" | "stopping" | "timed-out") => {
            (Code::Unreachable, Some("try again in a moment"))
        }
        (_, "internal") => (Code::Failed, None),
        _ if problem.detail.contains("`?tenant=") => {
            (Code::Invalid, Some("say for whom with --tenant"))
        }
        _ => (Code::Invalid, None),
    }
}

/// What would be said of an error in a pipe of 80 columns, and the exit code.
#[cfg(test)]
pub(crate) fn report_text(error: &anyhow::Error) -> (Code, String) {
    explain(error, &Look { now: model::Moment(0), width: Some(80), color: false })
}
