//! Documents people write: text in, words or diagnostics out.
//!
//! [`network::read`] reads networks, [`chip::read`] chips, [`job::read`] jobs. None of them opens a
//! file: each takes a document's name, for its messages, and its text. All problems of a document
//! are reported at once, each with its line and what was expected there; only where the text is no
//! TOML or YAML at all, or a job's document has the wrong shape, is the first the last.
//!
//! Deliberately absent: whether a network can do what a document asks. That is an answer of the
//! planner, or of the server where a feature is not built yet, not a mistake in the document.

pub mod chip;
mod diagnostic;
pub mod job;
pub mod near;
pub mod network;
mod section;
mod shape;
mod tree;

pub use chip::Catalog;
pub use diagnostic::{Diagnostic, Problem};
