//! The log and the archive, from outside.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod archive;
mod bed;
mod damage;
mod operator;
mod suite;
mod writer;
