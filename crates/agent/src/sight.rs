//! What an engine sees, in the words of an agent's decisions.

use engines::{Cause, State};
use model::attempt::Ended;
use model::{Bytes, Outcome, Span, Stop};
use reconciler::Seen;

/// What the engine says, in the reconciler's words.
pub(crate) fn sight(state: State) -> Seen {
    let outcome = match state {
        State::Starting { .. } => return Seen::Starting,
        State::Unattended => return Seen::Unattended,
        State::Running { .. } => return Seen::Running,
        State::Lost { why } => {
            let outcome = Outcome::Lost { why };
            let none = Span::ZERO;
            return Seen::Ended(Ended { outcome, ran: none, cpu: none, memory: Bytes::ZERO });
        }
        State::Ended(outcome) => outcome,
    };
    let ran = outcome.ended.since(outcome.started);
    let usage = outcome.usage;
    let how = match (outcome.cause, outcome.exit) {
        (Cause::TimeLimit, _) => Outcome::TimedOut,
        (Cause::Stopped, _) => Outcome::Stopped(Stop::Withdrawn),
        (Cause::LeaseExpired, _) => Outcome::LeaseExpired,
        (Cause::Evicted, _) => Outcome::Lost { why: "the center's own engine ended it".to_owned() },
        (Cause::OutOfMemory, _) => Outcome::OutOfMemory,
        (Cause::CouldNotStart(why), _) => Outcome::NotStarted { why },
        (Cause::Finished, Some(engines::Exit::Exited(code))) => Outcome::Exited { code },
        (Cause::Finished, Some(engines::Exit::Signaled(signal))) => Outcome::Signaled { signal },
        (Cause::Finished, None) => Outcome::Lost { why: "it left no exit code".to_owned() },
    };
    Seen::Ended(Ended {
        outcome: how,
        // A run too short to measure was a run nevertheless.
        ran: if outcome.exit.is_some() { ran.max(Span(1)) } else { ran },
        cpu: usage.user + usage.system,
        memory: Bytes(usage.max_rss),
    })
}
