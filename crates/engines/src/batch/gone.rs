//! Attempts that went without a word of their own.

use crate::attempt_dir::{AttemptDir, wall_clock};
use crate::{BootTime, Cause, Error, Exit, Outcome, State};
use model::Span;

/// How long a supervisor must have said nothing until it is believed that it is gone, when the batch
/// system says so: three of its beats.
pub(super) const SILENT: Span = Span::from_secs(15);

/// How an attempt has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// With all its processes.
    Over,
    /// With all its processes, for their memory.
    OutOfMemory,
    /// Where nobody hears of it.
    OutOfReach,
}

/// Whether an attempt ended by no doing of its own, nor of the network's.
pub(super) const fn was_taken_away(state: &State) -> bool {
    matches!(state, State::Lost { .. } | State::Ended(Outcome { cause: Cause::Evicted, .. }))
}

/// Whether nothing of an attempt lives that the batch system says is gone. It may have been started
/// twice, and only the second be over; it may run on where nobody hears of it until its lease passes.
pub(super) fn is_dead(place: &AttemptDir, how: Gone) -> Result<bool, Error> {
    let silent = place.silent_for()?.is_none_or(|silent| silent >= SILENT);
    let lease = place.read_lease(None)?.filter(|_| how == Gone::OutOfReach);
    Ok(silent && lease.is_none_or(|until| until <= BootTime::now()))
}

/// Notes that an attempt and its supervisor were killed for their memory.
pub(super) fn end_for_memory(place: &AttemptDir) -> Result<State, Error> {
    let now = wall_clock();
    let started = place.read_running()?.map_or(now, |running| running.started);
    let killed = Some(Exit::Signaled(9));
    let outcome = Outcome { exit: killed, started, ..Outcome::never_ran(Cause::OutOfMemory, now) };
    place.write_result(&outcome)?;
    Ok(State::Ended(outcome))
}
