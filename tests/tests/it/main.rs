//! Whole networks of real processes, driven from outside.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop where they cannot go on")]

mod access;
mod crash;
mod cut_off;
mod data;
mod documents;
mod jobs;
mod log;
