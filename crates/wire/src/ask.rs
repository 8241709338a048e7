//! Questions passed on to agents for somebody who waits, and their answers.

use model::AttemptId;
use serde::{Deserialize, Serialize};

/// A question the server passes on to an agent for somebody who waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Names the question in the answer.
    pub ask: u64,
    /// The question.
    pub question: Question,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// A piece of an attempt's log.
    Log {
        /// Which attempt.
        attempt: AttemptId,
        /// Standard error instead of standard output.
        stderr: bool,
        /// From which byte.
        offset: u64,
        /// At most so many bytes.
        max: u64,
    },
}

/// An agent's answer to an [`Ask`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which question.
    pub ask: u64,
    /// The bytes asked for, base64; or why not, for people.
    pub log: Result<LogPiece, String>,
}

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPiece {
    /// Where it begins.
    pub offset: u64,
    /// The text; bytes that are no UTF-8 are replaced.
    pub text: String,
    /// Where to go on.
    pub next: u64,
    /// Whether nothing will follow.
    pub complete: bool,
}
