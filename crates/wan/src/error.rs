//! What can go wrong, told apart where the caller acts differently.

use model::NotAnAmount;
use std::io;
use std::path::{Path, PathBuf};

/// Why an emulated network cannot be read, started, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum WanError {
    /// The topology file is not right.
    #[error("{file}:{line}:{column}: {said}; expected {expected}")]
    Topology {
        /// The name of the file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The character of the line, from 1.
        column: usize,
        /// What is wrong there.
        said: String,
        /// What would have been right.
        expected: String,
    },
    /// A value given to a live link, or a prefix, is not one.
    #[error("{said}; expected {expected}")]
    Setting {
        /// What is wrong.
        said: String,
        /// What would have been right.
        expected: String,
    },
    /// There is no such site.
    #[error("there is no site `{site}`; there are {known}")]
    NoSuchSite {
        /// The name asked for.
        site: String,
        /// Those that would have been right.
        known: String,
    },
    /// There is no such link, or more than one can be meant.
    #[error("`{link}` names no link, or several; there are {known}")]
    NoSuchLink {
        /// The name asked for.
        link: String,
        /// Those that would have been right.
        known: String,
    },
    /// A network cannot be emulated on this machine as this user.
    #[error("networks cannot be emulated here: {why}")]
    Unavailable {
        /// What is missing and how to get it.
        why: String,
    },
    /// Another process has a network with this prefix.
    #[error("a network with the prefix `{prefix}` is running; choose another, or stop that one")]
    PrefixInUse {
        /// The prefix both want.
        prefix: String,
    },
    /// The `ip` program refused.
    #[error("`{command}` failed: {said}")]
    Ip {
        /// The command as a person would type it.
        command: String,
        /// What it complained about.
        said: String,
    },
    /// A namespace could not be entered, or an interface not made in it.
    #[error("cannot {doing} in the network namespace {namespace}")]
    Namespace {
        /// What was being done, as a verb.
        doing: &'static str,
        /// Where.
        namespace: String,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// A file or a thread was refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done, as a verb.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
}

impl WanError {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    pub(crate) fn amount(NotAnAmount { expected, found }: NotAnAmount) -> Self {
        Self::Setting { said: format!("`{found}` is not that"), expected: expected.to_owned() }
    }
}
