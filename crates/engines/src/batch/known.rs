//! What the batch engine remembers of attempts.

use super::gone::Gone;
use super::{Entry, Phase};
use crate::{BootTime, Outcome, State};

/// What the engine remembers of an attempt; its files are the truth.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Its final state, once seen.
    pub(super) verdict: Option<State>,
    /// What the batch system last said of it.
    pub(super) said: Said,
    /// What it calls it, by the last entry that it had there.
    pub(super) called: Option<String>,
    /// When its entry is to be ended by force.
    pub(super) cancel_at: Option<BootTime>,
}

impl Known {
    /// Why it does not run, as far as the batch system says so.
    pub(super) fn waits(&self) -> Option<&String> {
        match &self.said {
            Said::NotNow { why } | Said::Active(Entry { phase: Phase::Waiting(why), .. }) => {
                Some(why)
            }
            Said::Nothing | Said::Active(_) | Said::Gone { .. } => None,
        }
    }

    /// What may wait still of one that is over without having run.
    pub(super) fn left_waiting(&self) -> Left {
        match (&self.verdict, &self.said) {
            (Some(State::Ended(Outcome { exit: None, .. })), Said::Active(entry)) => {
                Left::Entry(entry.clone())
            }
            (Some(State::Ended(Outcome { exit: None, .. })), Said::NotNow { .. }) => Left::Perhaps,
            _ => Left::Nothing,
        }
    }
}

/// What an attempt that is over left waiting in the batch system.
#[derive(Debug)]
pub(super) enum Left {
    Nothing,
    Entry(Entry),
    /// What may have been entered: that was not answered.
    Perhaps,
}

/// What a batch system last said of an attempt.
#[derive(Debug, Default)]
pub(super) enum Said {
    /// It was not entered yet, or nobody asked since.
    #[default]
    Nothing,
    /// It would not take it yet.
    NotNow { why: String },
    /// It has this entry.
    Active(Entry),
    /// It has none any more.
    Gone { why: String, how: Gone },
}
