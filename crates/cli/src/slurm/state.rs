//! Slurm's words for what a job is at.

use wire::view::Job;

/// A state: in short, in full, and the words that Portolan has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    /// In short, such as `PD`.
    pub(super) short: &'static str,
    /// In full, such as `PENDING`.
    pub(super) long: &'static str,
    ours: &'static [&'static str],
    /// Whether it is an end.
    pub(super) is_end: bool,
}

const fn state(
    short: &'static str,
    long: &'static str,
    ours: &'static [&'static str],
    is_end: bool,
) -> State {
    State { short, long, ours, is_end }
}

const STATES: [State; 8] = [
    state("PD", "PENDING", &["held", "blocked", "waiting", "booked"], false),
    state("CF", "CONFIGURING", &["offered", "staging"], false),
    state("R", "RUNNING", &["running", "open"], false),
    state("CG", "COMPLETING", &["stopping", "ending"], false),
    state("CD", "COMPLETED", &["completed"], true),
    state("F", "FAILED", &["failed"], true),
    state("TO", "TIMEOUT", &["timed-out"], true),
    state("CA", "CANCELLED", &["canceled", "lapsed", "unmet"], true),
];

/// Slurm's for one of Portolan's words.
pub(super) fn of(word: &str) -> State {
    // A word that is not known yet is no end.
    STATES.into_iter().find(|state| state.ours.contains(&word)).unwrap_or(STATES[0])
}

/// Reads a state in short or in full.
pub(super) fn read(text: &str) -> Result<State, String> {
    let upper = text.to_ascii_uppercase();
    let is_it = |state: &State| state.short == upper || state.long == upper;
    STATES.into_iter().find(is_it).ok_or_else(|| {
        let known: Vec<&str> = STATES.iter().map(|state| state.long).collect();
        format!("`{text}` is no state here; known are {}", known.join(", "))
    })
}

/// Why a job does not run, in Slurm's words: those of its center, where they are one word.
pub(super) fn reason(job: &Job) -> &str {
    if let Some(word) = job.center_says.as_deref().filter(|said| !said.contains(' ')) {
        return word;
    }
    match &*job.state {
        "held" => "JobHeldUser",
        "blocked" => "Dependency",
        "waiting" => "Resources",
        "booked" => "BeginTime",
        _ => "None",
    }
}
