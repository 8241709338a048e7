//! What waits to be taken in by the loop.

use api::gate::{Call, Lanes};
use controller::Command;
use tokio::sync::mpsc::{self, Receiver};

/// How many calls may wait in a lane; whoever comes later waits at the door.
const WAITING: usize = 8_192;
/// How many calls of a lane one step takes in at most.
const CALLS: usize = 1_024;
/// How many jobs one step takes in before it leaves the rest to the next: a step stays short
/// enough for those who wait for its answers.
const JOBS: usize = 2_000;

/// The receiving end of both lanes.
pub(crate) struct Inbox {
    centers: Receiver<Call>,
    people: Receiver<Call>,
}

impl Inbox {
    /// An inbox, and the lanes that lead to it.
    pub(crate) fn new() -> (Lanes, Self) {
        let (to_centers, centers) = mpsc::channel(WAITING);
        let (to_people, people) = mpsc::channel(WAITING);
        (Lanes { centers: to_centers, people: to_people }, Self { centers, people })
    }

    /// Waits for a call; none when all gates are gone. Nothing is lost when the wait is given up.
    pub(crate) async fn next(&mut self) -> Option<Call> {
        tokio::select! {
            biased;
            call = self.centers.recv() => call,
            call = self.people.recv() => call,
        }
    }

    /// Adds what else is waiting to what a step takes in: every center's calls, then as many of
    /// the others as leave the step short.
    pub(crate) fn fill(&mut self, calls: &mut Vec<Call>) {
        let mut jobs: usize = calls.iter().map(jobs_in).sum();
        let waiting = std::iter::from_fn(|| self.centers.try_recv().ok());
        calls.extend(waiting.take(CALLS));
        let full = calls.len() + CALLS;
        while jobs < JOBS && calls.len() < full {
            let Ok(call) = self.people.try_recv() else { return };
            jobs += jobs_in(&call);
            calls.push(call);
        }
    }
}

fn jobs_in(call: &Call) -> usize {
    match call {
        Call::Command(_, Command::Submit { jobs, .. }, _) => jobs.len(),
        _ => 0,
    }
}
