//! Who judges a run: the audit, and what the simulated engines know.

use audit::{History, Promise, Violation};
use controller::Command;
use model::{AttemptId, CenterId, Digest, Fact, JobId, Moment, Record};
use std::collections::{BTreeMap, BTreeSet};
use world::World;

/// How many violations are kept; one is enough to fail, a few help to understand.
const KEPT: usize = 16;

/// Watches a run from its first fact on.
#[derive(Default)]
pub(crate) struct Judge {
    history: History,
    /// Where each job runs that does, by the engines' own books.
    alive: BTreeMap<JobId, (AttemptId, CenterId)>,
    /// Attempts that were ever launched; only kept where agents may forget.
    launched: Option<BTreeSet<AttemptId>>,
    /// By the log: the key each job was submitted under.
    submitted: BTreeMap<JobId, Digest>,
    /// Submissions whose acknowledgment left the server.
    acknowledged: BTreeMap<u64, JobId>,
    /// How often each job ended, by the log.
    ended: BTreeMap<JobId, u32>,
    pub(crate) found: Vec<Violation>,
}

impl Judge {
    /// A judge who also remembers all that ended, for small runs in which things go wrong.
    pub(crate) fn of_everything() -> Self {
        Self { launched: Some(BTreeSet::new()), ..Self::default() }
    }

    pub(crate) fn say(&mut self, promise: Promise, what: String) {
        if self.found.len() < KEPT {
            self.found.push(Violation { promise, what });
        }
    }

    pub(crate) fn take(&mut self, mut found: Vec<Violation>) {
        // Where reports are late and overtake each other, which chips the server takes to be in use
        // proves nothing: the engines' own books do, at every launch.
        if self.launched.is_some() {
            found.retain(|violation| violation.promise != Promise::InUse);
        }
        let room = KEPT.saturating_sub(self.found.len());
        self.found.extend(found.into_iter().take(room));
    }

    /// An engine started an attempt; `wrong` says what is wrong with where it did.
    pub(crate) fn launched(
        &mut self,
        center: &CenterId,
        attempt: AttemptId,
        wrong: Option<String>,
    ) {
        if let Some(wrong) = wrong {
            self.say(Promise::Capacity, format!("{attempt} runs at {center} {wrong}"));
        }
        if self.launched.as_mut().is_some_and(|launched| !launched.insert(attempt)) {
            self.say(Promise::Fencing, format!("{attempt} was launched twice, now at {center}"));
        }
        if let Some((other, there)) = self.alive.insert(attempt.job, (attempt, center.clone())) {
            let what = format!("{attempt} runs at {center} while {other} runs at {there}");
            self.say(Promise::Fencing, what);
        }
    }

    /// An attempt is over in its engine.
    pub(crate) fn over(&mut self, attempt: AttemptId) {
        if self.alive.get(&attempt.job).is_some_and(|(alive, _)| *alive == attempt) {
            self.alive.remove(&attempt.job);
        }
    }

    /// What runs at a center, by its engine's own books.
    pub(crate) fn running_at(&self, center: &CenterId) -> impl Iterator<Item = AttemptId> {
        let here = self.alive.values().filter(move |(_, at)| at == center);
        here.map(|(attempt, _)| *attempt)
    }

    /// Whether so much went wrong that there is no point in going on.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.found.len() >= KEPT
    }

    /// Whether nothing runs anywhere.
    pub(crate) fn is_quiet(&self) -> bool {
        self.alive.is_empty()
    }

    /// Facts become durable.
    pub(crate) fn facts(&mut self, at: Moment, facts: &[Fact]) {
        for fact in facts {
            let found = self.history.take(at, fact);
            self.take(found);
            if self.launched.is_none() {
                continue;
            }
            match fact {
                Fact::JobSubmitted(f) => {
                    let key = f.key.as_ref().map_or(model::fact::GENESIS, |key| key.key);
                    self.submitted.insert(f.job, key);
                }
                Fact::JobEnded(f) => *self.ended.entry(f.job).or_default() += 1,
                _ => {}
            }
        }
    }

    /// The server acknowledges a submission.
    pub(crate) fn acknowledged(&mut self, arrival: u64, job: JobId) {
        if self.launched.is_none() {
            return;
        }
        if let Some(before) = self.acknowledged.insert(arrival, job)
            && before != job
        {
            let what = format!("submission {arrival} was acknowledged as {before} and as {job}");
            self.say(Promise::Idempotence, what);
        }
    }

    /// Judges what is left when a run is over. `open` are jobs that should have ended.
    pub(crate) fn finish(&mut self, world: &World, records: &[Record], settled: bool) {
        self.take(audit::world(world));
        if self.launched.is_none() {
            return;
        }
        self.take(audit::replay(world, records));
        if !settled {
            let waiting: Vec<String> = self.history.unfinished().map(|j| j.to_string()).collect();
            let what = format!("nothing becomes of {}", waiting.join(", "));
            self.say(Promise::NoLoss, what);
        }
        for (arrival, job) in std::mem::take(&mut self.acknowledged) {
            let key = Digest::of(&arrival.to_le_bytes());
            // Where nothing is ever repeated, jobs are submitted without a key.
            let under = self.submitted.get(&job);
            if under.is_none_or(|under| *under != key && *under != model::fact::GENESIS) {
                let what = format!("submission {arrival} was acknowledged as {job} and is lost");
                self.say(Promise::NoLoss, what);
            }
            let ended = self.ended.get(&job).copied().unwrap_or(0);
            if settled && ended != 1 {
                self.say(
                    Promise::NoLoss,
                    format!("{job} was acknowledged and ended {ended} times"),
                );
            }
        }
    }

    /// Judges the world a restarted server found against the one that died, if it took all of its
    /// facts with it.
    pub(crate) fn recovered(&mut self, found: &World, died: Option<&World>) {
        if died.is_some_and(|died| died != found) {
            let what = "the world after a crash is not the one before it".to_owned();
            self.say(Promise::Replay, what);
        }
    }
}

/// Whether a command may reach the server twice or late without harm. The operator's word that
/// nothing runs in a center, or that a link is cut, holds at the moment it is given, and is given in
/// person.
pub(crate) const fn may_stray(command: &Command) -> bool {
    !matches!(command, Command::DeclareLost(_) | Command::CutLink(_) | Command::MendLink(_))
}
