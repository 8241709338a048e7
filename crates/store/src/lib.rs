//! The log: what happened, durable and chained; and the archive of what is over.
//!
//! [`open`] is the door: it recovers what a crash left, and gives a [`Log`] to read and append to.
//! A [`Writer`] in front of it commits in groups. [`verify`], [`repair`], [`restore`], [`export`]
//! and [`import`] serve the operator. [`archive`] is a projection for people, rebuildable from the
//! log at any time.
//!
//! The unsealed tail is kept twice, in a journal that is synced before anything is acknowledged and
//! in a SQLite database; either copy repairs the other. Full stretches become sealed segments, each
//! verifiable alone. What cannot be read in any copy stops the opening with the first bad fact's
//! number; the log is never shortened in silence.
//!
//! Deliberately absent: what facts mean. Payloads are bytes here, and time is what headers say.

pub mod archive;
mod chain;
mod durable;
mod error;
mod journal;
mod log;
mod merge;
mod read;
mod recover;
mod rows;
mod segment;
mod snapshot;
mod sqlite;
mod survey;
mod transcript;
mod writer;

pub use error::{Error, Result};
pub use log::{Answer, Log, Opened, Records, Settings};
pub use recover::{
    Copy, Finding, RecoveryReport, Verdict, VerifyReport, open, repair, restore, verify,
};
pub use transcript::{export, import, transcript};
pub use writer::{Ticket, Writer};
