//! What can go wrong between client and server.

use reqwest::{Response, StatusCode};
use wire::view::Problem;

/// Why a call failed. Variants differ where the caller acts differently.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server's URL is none.
    #[error("`{url}` is not a server's URL, such as https://portolan.example:7070")]
    Address {
        /// What was given.
        url: String,
    },
    /// The token would cross a network in the clear.
    #[error("{url} is not this machine: use https, or others could read the token on the way")]
    InTheClear {
        /// What was given.
        url: String,
    },
    /// The server cannot be reached, or broke off.
    #[error("the server cannot be reached: {why}")]
    Unreachable {
        /// What the network said.
        why: String,
    },
    /// What answers at the server's address cannot show that it is the server.
    #[error("the server's certificate is not good: {why}")]
    Mistrusted {
        /// What is wrong with it.
        why: String,
    },
    /// The server's answer makes no sense: another version, or no Portolan server at all.
    #[error("the server's answer cannot be read: {why}")]
    Unreadable {
        /// What is wrong with it.
        why: String,
    },
    /// The server said no.
    #[error("{}", said(.0))]
    Problem(Box<Problem>),
}

/// What rustls says before what is wrong with a certificate.
const BAD_CERTIFICATE: &str = "invalid peer certificate: ";

/// A problem in one line, its parts behind it.
fn said(problem: &Problem) -> String {
    // The detail says all there is to say of a single one.
    match &*problem.errors {
        [] | [_] => problem.detail.clone(),
        _ => problem.to_string(),
    }
}

/// An error with all that caused it, in one line.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl Error {
    pub(crate) fn unreachable(error: reqwest::Error) -> Self {
        let why = in_full(&error.without_url());
        match why.split_once(BAD_CERTIFICATE) {
            Some((_, why)) => Self::Mistrusted { why: why.to_owned() },
            None => Self::Unreachable { why },
        }
    }

    pub(crate) fn unreadable(error: reqwest::Error) -> Self {
        if error.is_decode() {
            Self::Unreadable { why: in_full(&error.without_url()) }
        } else {
            Self::unreachable(error)
        }
    }

    /// The problem in an answer that is none of the good ones.
    pub(crate) async fn of(response: Response) -> Self {
        let status = response.status();
        match response.bytes().await {
            Err(error) => Self::unreachable(error),
            Ok(body) => match serde_json::from_slice::<Problem>(&body) {
                Ok(problem) => Self::Problem(Box::new(problem)),
                Err(_) => Self::Unreadable { why: format!("status {status} without a problem") },
            },
        }
    }

    /// The problem the server named, if it did.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// The HTTP status of the problem, if the server named one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.problem().and_then(|problem| StatusCode::from_u16(problem.status).ok())
    }

    /// Whether the agent's session is over, so that it must join again.
    #[must_use]
    pub fn is_stale_session(&self) -> bool {
        self.problem().is_some_and(|problem| problem.kind == "/problems/stale-session")
    }

    /// Whether the same call may succeed later with nothing changed by the caller.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Problem(problem) => matches!(problem.status, 502..=504 | 429),
            Self::Address { .. }
            | Self::InTheClear { .. }
            | Self::Mistrusted { .. }
            | Self::Unreadable { .. } => false,
        }
    }
}
