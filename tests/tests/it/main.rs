//! Whole networks of real processes, driven from outside.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop where they cannot go on")]

mod crash;
mod jobs;

use std::time::Duration;

/// A span for arguments, such as `1500ms`.
fn ms(span: Duration) -> String {
    format!("{}ms", span.as_millis())
}
