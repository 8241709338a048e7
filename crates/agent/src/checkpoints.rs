//! Jobs' progress: directories that outlive the attempts that write into them.

use engines::{Cause, Exit, State};
use model::{AttemptId, JobId, Moment, NetworkUid, Span};
use reconciler::Event;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The server is told of a checkpoint no sooner than this after the one before.
const TOLD_EVERY: Span = Span::from_secs(30);
/// Files looked at for the newest; who writes more has one of these among the newest.
const LOOKED_AT: usize = 10_000;
/// Progress nobody touched for so long is removed when the agent starts.
const KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);

/// The directories of one network's jobs.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    base: PathBuf,
    attempts: BTreeMap<AttemptId, Looked>,
}

/// What is known of an attempt.
#[derive(Debug, Clone, Copy, Default)]
struct Looked {
    /// How far the server was last told that its work is kept.
    told: Option<Span>,
    /// It is over: what it left was looked at for the last time.
    over: bool,
    /// It completed: its job needs no progress any more.
    completed: bool,
}

impl Checkpoints {
    pub(crate) fn new(checkpoints: &Path, network: NetworkUid) -> Self {
        Self { base: checkpoints.join(network.to_string()), attempts: BTreeMap::new() }
    }

    /// The directory of a job, for its attempts here; the engine makes it.
    pub(crate) fn dir(&self, job: JobId) -> Result<PathBuf, String> {
        use std::os::unix::fs::PermissionsExt;
        let base = std::path::absolute(&self.base).map_err(|e| e.to_string())?;
        // Attempts that run as users of their own pass through to their own, and see no other.
        fs::create_dir_all(&base)
            .and_then(|()| fs::set_permissions(&base, fs::Permissions::from_mode(0o711)))
            .map_err(|e| format!("{} cannot be made: {e}", base.display()))?;
        Ok(base.join(job.to_string()))
    }

    /// Looks how far an attempt's work is kept; an event when that is worth telling.
    pub(crate) fn look(&mut self, attempt: AttemptId, state: &State) -> Option<Event> {
        let (started, over) = match state {
            State::Running { started } => (*started, false),
            State::Ended(outcome) => (outcome.started, true),
            State::Starting { .. } | State::Unattended | State::Lost { .. } => return None,
        };
        let looked = self.attempts.entry(attempt).or_default();
        if looked.over {
            return None;
        }
        looked.over = over;
        looked.completed = matches!(state, State::Ended(outcome)
            if outcome.cause == Cause::Finished && outcome.exit == Some(Exit::Exited(0)));
        if looked.completed {
            return None;
        }
        let after = newest(&self.base.join(attempt.job.to_string()))?.since(started);
        let news = match looked.told {
            None => after > Span::ZERO,
            Some(told) => after > told && (over || after >= told + TOLD_EVERY),
        };
        news.then(|| {
            looked.told = Some(after);
            Event::Checkpointed { attempt, after }
        })
    }

    /// The server knows how the attempt ended. Where it completed its job's progress goes, unless
    /// another attempt of it was made since.
    pub(crate) fn settled(&mut self, attempt: AttemptId) {
        let completed = self.attempts.get(&attempt).is_some_and(|looked| looked.completed);
        let newer = AttemptId { epoch: attempt.epoch + 1, ..attempt };
        let last = AttemptId { epoch: u32::MAX, ..attempt };
        if completed && self.attempts.range(newer..=last).next().is_none() {
            remove(&self.base.join(attempt.job.to_string()));
        }
    }

    /// Nothing of the attempt is kept here any more.
    pub(crate) fn forgotten(&mut self, attempt: AttemptId) {
        self.attempts.remove(&attempt);
    }

    /// Removes what was left for so long that nobody will come for it.
    pub(crate) fn sweep(&self, alive: &BTreeSet<JobId>) {
        let entries = fs::read_dir(&self.base).into_iter().flatten().flatten();
        let old = SystemTime::now().checked_sub(KEPT_FOR).map_or(Moment::ZERO, moment);
        for entry in entries {
            let job = entry.file_name().to_str().and_then(|name| name.parse::<JobId>().ok());
            let untouched = newest(&entry.path()).is_none_or(|newest| newest < old);
            let touched = entry.metadata().and_then(|m| m.modified()).map(moment);
            if job.is_some_and(|job| !alive.contains(&job))
                && untouched
                && touched.is_ok_and(|touched| touched < old)
            {
                remove(&entry.path());
            }
        }
    }
}

fn remove(dir: &Path) {
    match fs::remove_dir_all(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(dir = %dir.display(), %error, "a checkpoint could not be removed");
        }
    }
}

/// When the newest file below a directory was written.
fn newest(dir: &Path) -> Option<Moment> {
    let (mut newest, mut left, mut dirs) = (None, LOOKED_AT, vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).ok()?.flatten() {
            left = left.checked_sub(1)?;
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                dirs.push(entry.path());
            } else if let Ok(written) = metadata.modified() {
                newest = newest.max(Some(moment(written)));
            }
        }
    }
    newest
}

fn moment(at: SystemTime) -> Moment {
    let since = at.duration_since(std::time::UNIX_EPOCH);
    Moment(since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}
