//! What can be wrong with what people give to the simulator.

use crate::scenario::Misread;
use model::file::Diagnostic;

/// Why a scenario cannot be played. None of these is worth a second try with the same files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is not there or cannot be read.
    #[error("cannot read {file}")]
    Unreadable {
        /// Which.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A value in a table is not what belongs there.
    #[error("{file}:{line}: {column}: found `{found}`; expected {expected}")]
    Cell {
        /// In which file.
        file: String,
        /// On which line, from 1.
        line: u64,
        /// In which column, by name or number.
        column: String,
        /// What is there.
        found: String,
        /// What would have been right.
        expected: String,
    },
    /// A line, or a whole file, has the wrong shape.
    #[error("{file}:{line}: {said}; expected {expected}")]
    Line {
        /// In which file.
        file: String,
        /// On which line, from 1.
        line: u64,
        /// What is wrong.
        said: String,
        /// What would have been right.
        expected: String,
    },
    /// A scenario is wrong.
    #[error("{0}")]
    Scenario(Box<Misread>),
    /// A network is wrong at these places.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Network(Vec<Diagnostic>),
    /// Nothing wrong in one place, but the parts do not go together.
    #[error("{said}; {help}")]
    Unfit {
        /// What does not.
        said: String,
        /// What to do.
        help: String,
    },
    /// A plot could not be drawn.
    #[error("the plot `{plot}` cannot be drawn: {why}")]
    Plot {
        /// Which.
        plot: String,
        /// Why.
        why: String,
    },
}
