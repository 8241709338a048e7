//! A log judged fact by fact, by a memory of its own.
//!
//! Deliberately not a [`World`](world::World): a mistake in the fold must not excuse itself here.
//! It remembers a line for each job that is not archived, and each key that is not forgotten.

use crate::copies::Copies;
use crate::promise::{Findings, Promise, Violation};
use crate::relation::Relations;
use model::fact::JobSubmitted;
use model::{AttemptId, Digest, Fact, JobId, Moment, TenantId};
use std::collections::{BTreeMap, BTreeSet};

/// Takes a log's facts from the first on and tells what cannot be.
///
/// What it watches over: time never goes back; numbers are given once; a key makes one submission;
/// an offer is only for a submitted job that is neither held nor ended and has no live attempt, and
/// its epoch is the next; an attempt is live from its offer to its end, and only of a live one is
/// anything told; room is made only by preemptible jobs, for waiting ones of higher priority; a job
/// ends once, with nothing of it alive, and nothing follows but its archiving; a copy of data goes
/// only where enough others are whole, or for a reason its dataset's rules give; a job is offered a place
/// when those have ended that it is to come after, and no more of an array at once than it says.
#[derive(Debug, Clone, Default)]
pub struct History {
    at: Moment,
    newest: Option<JobId>,
    jobs: BTreeMap<JobId, Line>,
    keys: BTreeMap<Digest, (JobId, Moment)>,
    copies: Copies,
    relations: Relations,
    tenants: BTreeSet<TenantId>,
    /// Whether a tenant's policies, or its home, ever let it take back what others use, whatever the
    /// priorities, or there was ever another to have its share beside.
    takes_back: bool,
}

/// A job in short.
#[derive(Debug, Clone, Copy)]
struct Line {
    epoch: u32,
    state: State,
    priority: i32,
    preemptible: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Held,
    Blocked,
    Waiting,
    Live,
    /// Its attempt is over; what comes of it has not been said.
    Over,
    Ended,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Held => "is held",
            Self::Blocked => "waits for others",
            Self::Waiting => "waits",
            Self::Live => "has a live attempt",
            Self::Over => "has an attempt that is over",
            Self::Ended => "has ended",
        }
    }
}

impl History {
    /// Takes the next fact, which happened at `at`, and returns what is wrong with it. It goes on
    /// after a violation as though the fact were right, so that one mistake is told once.
    pub fn take(&mut self, at: Moment, fact: &Fact) -> Vec<Violation> {
        let mut found = Findings::default();
        found.judge(Promise::Replay, at >= self.at, || {
            format!("{} happened at {at}, after a fact of {}", fact.kind(), self.at)
        });
        self.at = self.at.max(at);
        self.relations.take(fact, &mut found);
        match fact {
            Fact::JobSubmitted(f) => self.submitted(at, f, &mut found),
            Fact::TenantDeclared(f) => {
                self.tenants.insert(f.tenant.clone());
                let shares = self.tenants.len() > 1;
                self.takes_back |= f.preemption.is_some() || f.home.is_some() || shares;
            }
            Fact::KeysForgotten(f) => self.keys.retain(|_, (_, used)| *used >= f.before),
            Fact::JobsArchived(f) => {
                for job in &f.jobs {
                    let ended = self.jobs.remove(job).is_some_and(|l| l.state == State::Ended);
                    found.judge(Promise::NoLoss, ended, || {
                        format!("{job} is archived and had not ended")
                    });
                }
            }
            _ => {
                self.copies.take(at, fact, &mut found);
                if let Some(id) = fact.job() {
                    self.about(id, fact, &mut found);
                }
            }
        }
        found.list
    }

    /// Jobs that were submitted and have not ended, in order.
    pub fn unfinished(&self) -> impl Iterator<Item = JobId> {
        self.jobs.iter().filter(|(_, line)| line.state != State::Ended).map(|(id, _)| *id)
    }

    fn submitted(&mut self, at: Moment, fact: &JobSubmitted, found: &mut Findings) {
        let id = fact.job;
        found.judge(Promise::NoLoss, self.newest.is_none_or(|newest| newest < id), || {
            format!("{id} was submitted when its number had been handed out")
        });
        self.newest = self.newest.max(fact.jobs().last());
        if let Some(key) = &fact.key {
            let before = self.keys.insert(key.key, (id, at));
            found.judge(Promise::Idempotence, before.is_none(), || {
                let before = before.map(|(job, _)| job.to_string()).unwrap_or_default();
                format!("{id} was submitted under the key of {before}")
            });
        }
        let (priority, preemptible) = (fact.spec.priority, fact.spec.preemptible);
        for (place, id) in (0..).zip(fact.jobs()) {
            let state = match () {
                () if fact.spec.hold => State::Held,
                () if fact.spec.begins_blocked(place) => State::Blocked,
                () => State::Waiting,
            };
            self.jobs.insert(id, Line { epoch: 0, state, priority, preemptible });
        }
    }

    /// A fact about a job that should be known.
    fn about(&mut self, id: JobId, fact: &Fact, found: &mut Findings) {
        let kind = fact.kind();
        let by = match fact {
            Fact::AttemptPreempted(f) => f.by.and_then(|by| self.jobs.get(&by).copied()),
            _ => None,
        };
        let takes_back = self.takes_back;
        let Some(line) = self.jobs.get_mut(&id) else {
            found.say(Promise::NoLoss, format!("{kind} is about {id}, which is not there"));
            return;
        };
        if line.state == State::Ended {
            found.say(Promise::NoLoss, format!("{kind} is about {id}, which has ended"));
            return;
        }
        match fact {
            Fact::AttemptPreempted(f) => {
                line.told(f.attempt, kind, found);
                let yields = match (f.by, by) {
                    (None, _) => line.preemptible,
                    (Some(_), by) => by.is_some_and(|by| line.yields_to(by, takes_back)),
                };
                found.judge(Promise::Preemption, yields, || {
                    let by = f.by.map_or("its owner".to_owned(), |by| by.to_string());
                    format!("{} makes room for {by}, for which it does not", f.attempt)
                });
            }
            Fact::AttemptCheckpointed(f) => {
                line.told(f.attempt, kind, found);
            }
            Fact::AttemptRerouted(f) => {
                line.told(f.attempt, kind, found);
            }
            Fact::AttemptEntered(f) => {
                line.told(f.attempt, kind, found);
            }
            Fact::JobOffered(f) => line.offered(f.attempt, found),
            Fact::AttemptAccepted(f) | Fact::AttemptStarted(f) => {
                line.told(f.attempt, kind, found);
            }
            Fact::AttemptStopping(f) => {
                line.told(f.attempt, kind, found);
            }
            Fact::AttemptEnded(f) => line.over(f.attempt, kind, found),
            Fact::JobHeld(_) => {
                line.go(id, kind, &[State::Waiting, State::Blocked], State::Held, found);
            }
            Fact::JobReleased(f) => {
                let next = if f.blocked { State::Blocked } else { State::Waiting };
                line.go(id, kind, &[State::Held], next, found);
            }
            Fact::JobUnblocked(_) => line.go(id, kind, &[State::Blocked], State::Waiting, found),
            Fact::JobRequeued(f) => {
                let next = if f.held { State::Held } else { State::Waiting };
                line.go(id, kind, &[State::Over], next, found);
            }
            Fact::JobEnded(_) => {
                let from = [State::Held, State::Blocked, State::Waiting, State::Over];
                line.go(id, kind, &from, State::Ended, found);
            }
            _ => {}
        }
    }
}

impl Line {
    /// Whether it makes room for another that waits. What is taken back of quotas and shares is for who
    /// knows them to judge.
    fn yields_to(&self, other: Self, takes_back: bool) -> bool {
        let comes_after = self.priority < other.priority || takes_back;
        self.preemptible && comes_after && other.state == State::Waiting
    }

    fn offered(&mut self, attempt: AttemptId, found: &mut Findings) {
        let AttemptId { job, epoch } = attempt;
        found.judge(Promise::Fencing, self.state == State::Waiting, || {
            format!("{attempt} is offered when {job} {}", self.state.word())
        });
        found.judge(Promise::Fencing, Some(epoch) == self.epoch.checked_add(1), || {
            format!("{attempt} is offered after {job}.{}", self.epoch)
        });
        *self = Self { epoch, state: State::Live, ..*self };
    }

    /// Whether what is told of an attempt is of the live one.
    fn told(&self, attempt: AttemptId, kind: &str, found: &mut Findings) -> bool {
        let AttemptId { job, epoch } = attempt;
        let live = self.state == State::Live && epoch == self.epoch;
        found.judge(Promise::Fencing, live, || {
            let state = self.state.word();
            format!("{kind} is about {attempt}, when {job} {state}, epoch {}", self.epoch)
        });
        live
    }

    fn over(&mut self, attempt: AttemptId, kind: &str, found: &mut Findings) {
        if self.told(attempt, kind, found) {
            self.state = State::Over;
        }
    }

    fn go(&mut self, job: JobId, kind: &str, from: &[State], to: State, found: &mut Findings) {
        found.judge(Promise::Fencing, from.contains(&self.state), || {
            format!("{kind} is about {job}, which {}", self.state.word())
        });
        self.state = to;
    }
}
