//! Attempts as timers: everything else of the network is real, for load and soak runs.

use crate::attempt_dir::wall_clock;
use crate::{
    BootTime, Capabilities, Capacity, Cause, Enforcement, Engine, Error, Exit, Launch, LogChunk,
    Observation, Outcome, State, Stream, Usage,
};
use model::{AttemptId, Moment, NetworkUid, Span};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The variable that says how many milliseconds an attempt takes. Without it a command that ends
/// in `sleep SECONDS` takes that long, and any other none.
pub const RUN_TIME: &str = "TIMER_MS";
/// The variable that says with which code an attempt ends; without it, with 0.
pub const EXIT_CODE: &str = "TIMER_EXIT";

/// The signal that would have stopped a real command.
const TERM: i32 = 15;

/// Runs attempts as timers in memory: time limits, leases and stops work as usual, but nothing
/// runs, and nothing survives the engine. An attempt that had started and that a new engine does
/// not know is lost.
///
/// No task of its own: time passes when it is asked. Starting, finding and ending an attempt
/// costs O(log n).
#[derive(Debug)]
pub struct TimerEngine {
    network: NetworkUid,
    capacity: Capacity,
    board: Mutex<Board>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Board {
    timers: BTreeMap<AttemptId, Timer>,
    /// When to look at a timer again, soonest first; never later than it is due.
    due: BinaryHeap<Reverse<(BootTime, AttemptId)>>,
    changed: BTreeSet<AttemptId>,
}

#[derive(Debug)]
enum Timer {
    Running(Run),
    Ended(Outcome),
}

#[derive(Debug)]
struct Run {
    began: BootTime,
    started: Moment,
    finish_at: BootTime,
    exit_code: i32,
    limit_at: Option<BootTime>,
    lease_at: Option<BootTime>,
}

impl Run {
    /// When it will end if nothing changes, and why.
    fn end(&self) -> (BootTime, Cause) {
        let mut end = (self.finish_at, Cause::Finished);
        for (at, cause) in [(self.limit_at, Cause::TimeLimit), (self.lease_at, Cause::LeaseExpired)]
        {
            if let Some(at) = at.filter(|&at| at < end.0) {
                end = (at, cause);
            }
        }
        end
    }

    fn outcome(&self, at: BootTime, cause: Cause) -> Outcome {
        let exit = match cause {
            Cause::Finished => Exit::Exited(self.exit_code),
            _ => Exit::Signaled(TERM),
        };
        Outcome {
            exit: Some(exit),
            cause,
            started: self.started,
            ended: self.started + at.since(self.began),
            usage: Usage::default(),
            truncated: false,
        }
    }
}

impl Board {
    /// Lets time pass until `now`.
    fn settle(&mut self, now: BootTime) {
        while let Some(&Reverse((at, attempt))) = self.due.peek() {
            if at > now {
                return;
            }
            self.due.pop();
            let Some(timer) = self.timers.get_mut(&attempt) else { continue };
            let Timer::Running(run) = timer else { continue };
            let (end, cause) = run.end();
            if end > now {
                self.due.push(Reverse((end, attempt)));
            } else {
                *timer = Timer::Ended(run.outcome(end, cause));
                self.changed.insert(attempt);
            }
        }
    }

    fn state(timer: &Timer) -> State {
        match timer {
            Timer::Running(run) => State::Running { started: run.started },
            Timer::Ended(outcome) => State::Ended(outcome.clone()),
        }
    }
}

impl TimerEngine {
    /// An engine with no attempts that claims this capacity.
    #[must_use]
    pub fn new(network: NetworkUid, capacity: Capacity) -> Self {
        Self { network, capacity, board: Mutex::default(), bell: Notify::new() }
    }

    /// The board as it is now.
    fn board(&self) -> MutexGuard<'_, Board> {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        board.settle(BootTime::now());
        board
    }
}

fn variable<'a>(launch: &'a Launch, name: &str) -> Option<&'a str> {
    launch.env.iter().rfind(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn run_time(launch: &Launch) -> Result<Span, String> {
    if let Some(text) = variable(launch, RUN_TIME) {
        let wrong = || format!("its {RUN_TIME} is `{text}`, not a number of milliseconds");
        return text.parse().map(Span).map_err(|_| wrong());
    }
    let mut words = launch.command.iter().rev().flat_map(|word| word.split_whitespace().rev());
    let (last, before) = (words.next(), words.next());
    let seconds = last.filter(|_| before == Some("sleep"));
    Ok(seconds.and_then(|text| format!("{text}s").parse().ok()).unwrap_or(Span::ZERO))
}

fn exit_code(launch: &Launch) -> Result<i32, String> {
    let Some(text) = variable(launch, EXIT_CODE) else { return Ok(0) };
    text.parse().map_err(|_| format!("its {EXIT_CODE} is `{text}`, not an exit code"))
}

impl Engine for TimerEngine {
    async fn launch(&self, launch: &Launch) -> Result<(), Error> {
        launch.check()?;
        let attempt = launch.attempt;
        let refuse = |why| Error::Refused { attempt, why };
        if launch.network != self.network {
            let why = format!("it belongs to network {}, not {}", launch.network, self.network);
            return Err(refuse(why));
        }
        let (run_time, exit_code) =
            (run_time(launch).map_err(refuse)?, exit_code(launch).map_err(refuse)?);
        let began = BootTime::now();
        let run = Run {
            began,
            started: wall_clock(),
            finish_at: began.after(run_time),
            exit_code,
            limit_at: launch.limit.map(|limit| began.after(limit)),
            lease_at: launch.lease,
        };
        let mut board = self.board();
        if !board.timers.contains_key(&attempt) {
            board.due.push(Reverse((run.end().0, attempt)));
            board.timers.insert(attempt, Timer::Running(run));
            board.changed.insert(attempt);
            self.bell.notify_one();
        }
        Ok(())
    }

    async fn find(&self, attempt: AttemptId) -> Result<Option<State>, Error> {
        Ok(self.board().timers.get(&attempt).map(Board::state))
    }

    async fn observe(&self) -> Result<Vec<Observation>, Error> {
        let board = self.board();
        let all = board.timers.iter();
        Ok(all.map(|(&attempt, t)| Observation { attempt, state: Board::state(t) }).collect())
    }

    async fn stop(&self, attempt: AttemptId, _grace: Span) -> Result<(), Error> {
        let mut board = self.board();
        let timer = board.timers.get_mut(&attempt).ok_or(Error::Unknown(attempt))?;
        if let Timer::Running(run) = timer {
            *timer = Timer::Ended(run.outcome(BootTime::now(), Cause::Stopped));
            board.changed.insert(attempt);
            self.bell.notify_one();
        }
        Ok(())
    }

    async fn extend_lease(&self, attempt: AttemptId, deadline: BootTime) -> Result<(), Error> {
        let mut board = self.board();
        let timer = board.timers.get_mut(&attempt).ok_or(Error::Unknown(attempt))?;
        if let Timer::Running(run) = timer
            && run.lease_at.is_some()
        {
            let earlier = run.lease_at > Some(deadline);
            run.lease_at = Some(deadline);
            if earlier {
                board.due.push(Reverse((deadline, attempt)));
                self.bell.notify_one();
            }
        }
        Ok(())
    }

    async fn logs(
        &self,
        attempt: AttemptId,
        _stream: Stream,
        _offset: u64,
        _max: usize,
    ) -> Result<LogChunk, Error> {
        let board = self.board();
        let timer = board.timers.get(&attempt).ok_or(Error::Unknown(attempt))?;
        Ok(LogChunk { data: Vec::new(), complete: matches!(timer, Timer::Ended(_)) })
    }

    async fn capacity(&self) -> Result<Capacity, Error> {
        Ok(self.capacity)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            engine: "timer",
            version: env!("CARGO_PKG_VERSION").to_owned(),
            enforcement: Enforcement::Simulated,
            own_uid: false,
            images: true,
        }
    }

    fn workdir(&self, _attempt: AttemptId) -> Option<PathBuf> {
        None
    }

    async fn forget(&self, attempt: AttemptId) -> Result<(), Error> {
        let mut board = self.board();
        if let Some(Timer::Running(_)) = board.timers.get(&attempt) {
            return Err(Error::Alive(attempt));
        }
        board.timers.remove(&attempt);
        board.changed.remove(&attempt);
        Ok(())
    }

    async fn changed(&self) -> Vec<AttemptId> {
        loop {
            let next = {
                let mut board = self.board();
                if !board.changed.is_empty() {
                    return std::mem::take(&mut board.changed).into_iter().collect();
                }
                board.due.peek().map(|&Reverse((at, _))| at.since(BootTime::now()))
            };
            match next {
                None => self.bell.notified().await,
                Some(wait) => tokio::select! {
                    () = self.bell.notified() => {}
                    () = tokio::time::sleep(wait.to_std()) => {}
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::JobId;

    fn launch(command: &[&str], env: &[(&str, &str)]) -> Launch {
        let attempt = AttemptId { job: JobId::new(1), epoch: 1 };
        let command = command.iter().map(ToString::to_string).collect();
        let mut launch = Launch::new(NetworkUid::from_bytes([7; 8]), attempt, command);
        launch.env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        launch
    }

    #[test]
    fn the_run_time_is_read_from_the_variable_else_from_a_final_sleep() {
        let check = |command: &[&str], env: &[(&str, &str)], expected| {
            assert_eq!(run_time(&launch(command, env)), expected, "{command:?} {env:?}");
        };
        check(&["train"], &[], Ok(Span::ZERO));
        check(&["sleep", "2"], &[], Ok(Span(2_000)));
        check(&["sh", "-c", "echo hello; sleep 0.25"], &[], Ok(Span(250)));
        check(&["sleep", "2"], &[(RUN_TIME, "7")], Ok(Span(7)));
        check(&["sleep", "soon"], &[], Ok(Span::ZERO));
        let wrong = format!("its {RUN_TIME} is `-1`, not a number of milliseconds");
        check(&["sleep", "2"], &[(RUN_TIME, "-1")], Err(wrong));
    }

    #[test]
    fn an_attempt_ends_by_whatever_comes_first() {
        let run = Run {
            began: BootTime(100),
            started: Moment(5_000),
            finish_at: BootTime(200),
            exit_code: 3,
            limit_at: Some(BootTime(150)),
            lease_at: Some(BootTime(160)),
        };
        assert_eq!(run.end(), (BootTime(150), Cause::TimeLimit));
        assert_eq!(run.outcome(BootTime(150), Cause::TimeLimit).ended, Moment(5_050));
        let unlimited = Run { limit_at: None, lease_at: None, ..run };
        assert_eq!(unlimited.end(), (BootTime(200), Cause::Finished));
        let exit = unlimited.outcome(BootTime(200), Cause::Finished).exit;
        assert_eq!(exit, Some(Exit::Exited(3)));
    }
}
