//! Jobs: submitting, listing, explaining, changing and reading them.

pub(crate) mod change;
pub(crate) mod file;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod named;
pub(crate) mod plan;
pub(crate) mod show;
pub(crate) mod submit;
pub(crate) mod wait;

use crate::table::Tone;

/// How a job's state looks.
pub(crate) fn tone(state: &str) -> Tone {
    match state {
        "completed" => Tone::Good,
        "failed" | "timed-out" | "unmet" => Tone::Bad,
        "canceled" | "held" | "blocked" => Tone::Quiet,
        "running" => Tone::Plain,
        _ => Tone::Busy,
    }
}

/// Whether a state is an end.
pub(crate) fn is_end(state: &str) -> bool {
    matches!(state, "completed" | "failed" | "timed-out" | "canceled" | "lapsed" | "unmet")
}
