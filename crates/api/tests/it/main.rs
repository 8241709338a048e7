//! The API over a real loop with a log in memory: what requests are answered with, and who may ask.

#![expect(clippy::unwrap_used, clippy::panic, reason = "how a test fails")]

mod access;
mod bench;
mod event;
mod job;
mod network;
mod problem;
mod shown;
