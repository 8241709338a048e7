//! What is wrong with a problem.

use crate::Unsolved;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A number that cannot be meant.
    #[error("{what} is {found}; it has to be {expected}")]
    Number {
        /// Which, and of what.
        what: String,
        /// What it is.
        found: f64,
        /// What it has to be.
        expected: &'static str,
    },
    /// A number of a resource or node that there is not.
    #[error("{what} names number {number}, but there are only {count}, counted from 0")]
    Unknown {
        /// Who names it, and what.
        what: String,
        /// The number.
        number: usize,
        /// How many there are.
        count: usize,
    },
    /// A node that does not come after its parent.
    #[error("node {node} is below node {parent}; parents have to come before what is below them")]
    Order {
        /// Which.
        node: usize,
        /// Below which.
        parent: usize,
    },
    /// The solver gave up on a linear program.
    #[error(transparent)]
    Unsolved(#[from] Unsolved),
}
