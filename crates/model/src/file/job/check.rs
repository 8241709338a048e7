//! Noting problems by path while the checking goes on.

use crate::file::Problem;
use crate::file::section::{Wrong, is_words};
use crate::file::tree::Value;
use std::str::FromStr;

/// The problems found so far. A wrong value is noted and reads as absent; since any problem fails
/// the document, nobody builds on the difference.
#[derive(Default)]
pub(super) struct Check {
    problems: Vec<Problem>,
}

/// Most problems anybody is told of at once.
const MOST: usize = 100;

impl Check {
    /// Notes that at `at` there is `said` where `expected` was expected.
    pub(super) fn wrong(
        &mut self,
        at: impl Into<String>,
        said: impl Into<String>,
        expected: impl Into<String>,
    ) {
        let problem = Problem::new(at, said, expected);
        // Parts that share the flat fields would repeat what is wrong with those.
        if self.problems.len() < MOST && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// All that was noted; the first hundred of very much.
    pub(super) fn problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Notes `said` unless `holds`.
    pub(super) fn that(&mut self, holds: bool, at: &str, said: &str, expected: &str) {
        if !holds {
            self.wrong(at, said, expected);
        }
    }

    /// What `text` says, read as a `T`.
    pub(super) fn read<T>(&mut self, at: impl Into<String>, text: &str) -> Option<T>
    where
        T: FromStr<Err: Into<Wrong>>,
    {
        match text.parse() {
            Ok(value) => Some(value),
            Err(not) => {
                let wrong: Wrong = not.into();
                self.wrong(at, found(text), wrong.expected);
                None
            }
        }
    }

    /// What `text` says, if there is any.
    pub(super) fn maybe<T>(&mut self, at: impl Into<String>, text: Option<&str>) -> Option<T>
    where
        T: FromStr<Err: Into<Wrong>>,
    {
        self.read(at, text?)
    }

    /// What each of `texts` says.
    pub(super) fn each<T>(&mut self, at: &str, texts: &[String]) -> Vec<T>
    where
        T: FromStr<Err: Into<Wrong>>,
    {
        let read = |(i, text): (usize, &String)| self.read(format!("{at}[{i}]"), text);
        texts.iter().enumerate().filter_map(read).collect()
    }

    /// Checks that `text` is words for people.
    pub(super) fn words(&mut self, at: &str, text: &str) {
        if !is_words(text, 128) {
            self.wrong(at, found(text), "text of 1 to 128 characters, on one line");
        }
    }
}

/// `text`, as a message calls it.
pub(super) fn found(text: &str) -> String {
    match text {
        "" => "found nothing".to_owned(),
        _ => Value::Text(text.to_owned()).found(),
    }
}
