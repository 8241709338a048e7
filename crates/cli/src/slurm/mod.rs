//! Slurm's other commands, for hands that know them: `squeue`, `scancel`, `sinfo`, `scontrol`.
//!
//! They ask what Portolan's own commands ask and print it in Slurm's columns. A user is a tenant, a
//! partition a center, and a job's number is that of its name: 42 is `job-42`.

mod columns;
mod row;
pub(crate) mod scancel;
pub(crate) mod scontrol;
pub(crate) mod sinfo;
pub(crate) mod squeue;
mod state;

use model::{Moment, Span};

/// A span as Slurm writes it: `1:05`, `2:00:00`, `3-04:00:00`.
fn clock(span: Span) -> String {
    let seconds = span.0 / 1_000;
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    match (hours / 24, hours % 24) {
        (0, 0) => format!("{minutes}:{seconds:02}"),
        (0, hours) => format!("{hours}:{minutes:02}:{seconds:02}"),
        (days, hours) => format!("{days}-{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// A moment as Slurm writes it, in UTC.
fn date(at: Option<Moment>) -> String {
    let Some(at) = at else { return "N/A".to_owned() };
    let text = at.to_string();
    text.split(['.', 'Z']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
