//! What is to be done about what has changed.

use crate::attempt::{Attempt, Standing, Turn};
use crate::{Abilities, Action, Reconciler, Seen, never_ran};
use model::attempt::{Ended, Outcome, Stop};
use model::{AttemptId, DatasetVersion, Refused, Span};
use wire::{MadeOutput, Report, Run, RunInput};

/// What can be said of an attempt that waits.
enum Judged {
    Start,
    /// Its slots are taken, or its data is on its way.
    Later,
    /// This data lies in an external store, and is to be brought.
    Bring(DatasetVersion),
    /// Only the answer to a poll is missing.
    Fenced,
    Refuse(Refused),
}

impl Reconciler {
    /// Changes an attempt and sees to it that everything about it is looked at again.
    pub(crate) fn change(&mut self, id: AttemptId, change: impl FnOnce(&mut Attempt)) {
        let attempt = self.attempts.entry(id).or_default();
        let before = attempt.standing();
        change(attempt);
        let after = attempt.standing();
        if attempt.is_leased() {
            if self.index.leased.insert(id) {
                self.index.extend_from = 0;
            }
        } else {
            self.index.leased.remove(&id);
        }
        self.index.stirred.insert(id);
        if before != after
            && let Some(run) = &attempt.run
        {
            self.index.leave(before, run);
            self.index.enter(after, run);
        }
    }

    /// The server orders an attempt, perhaps again.
    pub(crate) fn ordered(&mut self, run: Box<Run>) {
        let id = run.attempt;
        let known = self.attempts.get_mut(&id).and_then(|attempt| {
            let standing = attempt.standing();
            Some((standing, attempt.run.take()?))
        });
        if let Some((standing, old)) = known {
            self.index.leave(standing, &old);
            self.index.drop_lease(&old);
        }
        if let Some(lease) = run.lease {
            *self.index.leases.entry(lease).or_default() += 1;
        }
        self.change(id, |attempt| attempt.run = Some(run));
    }

    /// The server knows how an attempt ended.
    pub(crate) fn forget(&mut self, id: AttemptId) {
        let Some(attempt) = self.attempts.remove(&id) else { return };
        self.index.stirred.remove(&id);
        self.index.leased.remove(&id);
        if let Some(run) = &attempt.run {
            self.index.leave(attempt.standing(), run);
            self.index.drop_lease(run);
        }
    }

    pub(crate) fn decide(&mut self, now: u64, actions: &mut Vec<Action>) {
        if !self.observed || !self.complete {
            return;
        }
        while let Some(id) = self.index.stirred.pop_first() {
            self.settle(id, now, actions);
        }
        while let Some(turn) = self.index.doubtful.pop_first() {
            self.consider(turn, now, actions);
        }
        // Settling and starting leave nothing to be settled: what they change they have told.
        self.index.stirred.clear();
        self.extend_leases(actions);
    }

    /// Brings one attempt nearer to what is ordered. What waits for its turn is launched by
    /// [`consider`](Self::consider).
    fn settle(&mut self, id: AttemptId, now: u64, actions: &mut Vec<Action>) {
        let Some(attempt) = self.attempts.get_mut(&id).filter(|attempt| !attempt.told) else {
            return;
        };
        if attempt.run.is_none() {
            // Running without an order: of a time the server no longer counts.
            attempt.stop.get_or_insert(Stop::Withdrawn);
        }
        // Its engine has taken it, and lets it wait.
        if matches!(attempt.seen, Some(Seen::Starting | Seen::Unattended))
            && attempt.stop.is_none()
            && !attempt.accepted
        {
            attempt.accepted = true;
            self.outbox.push_back(Report::Accepted { attempt: id });
        }
        if matches!(attempt.seen, Some(Seen::Running)) && !attempt.started {
            attempt.started = true;
            self.outbox.push_back(Report::Started { attempt: id });
        }
        if let Some(after) = attempt.saved.take_if(|_| attempt.started) {
            self.outbox.push_back(Report::Checkpointed { attempt: id, after });
        }
        match (&attempt.seen, attempt.stop) {
            (Some(Seen::Ended(ended)), stop) => {
                let outputs = attempt.run.as_ref().map_or(Vec::new(), |r| r.outputs.clone());
                if ended.outcome != (Outcome::Exited { code: 0 }) || outputs.is_empty() {
                    let ended = named(ended, stop);
                    self.tell_end(id, ended, Vec::new());
                } else if !attempt.keeping {
                    attempt.keeping = true;
                    actions.push(Action::KeepOutputs { attempt: id, outputs });
                }
            }
            (_, Some(why)) if attempt.is_untouched() => {
                self.tell_end(id, never_ran(Outcome::Stopped(why)), Vec::new());
            }
            (_, Some(_)) if !attempt.stopped => {
                attempt.stopped = true;
                let grace = attempt.run.as_ref().map_or(Span::ZERO, |r| r.grace);
                actions.push(Action::Stop { attempt: id, grace });
            }
            // It has its data and its slots already.
            (Some(Seen::Unattended), None) if !attempt.launching => {
                match attempt.run.clone().filter(|run| !self.is_fenced(run, now)) {
                    Some(run) => actions.push(self.launch(run)),
                    None => _ = self.index.unattended.insert(id),
                }
            }
            (None, None) if attempt.is_untouched() => {
                let refused = attempt.run.as_ref().and_then(|run| refusal(self.abilities, run));
                if let Some(why) = refused {
                    self.refuse(id, why);
                }
            }
            _ => {}
        }
    }

    /// Puts an attempt's end into the outbox.
    pub(crate) fn tell_end(&mut self, id: AttemptId, ended: Ended, outputs: Vec<MadeOutput>) {
        self.outbox.push_back(Report::Ended { attempt: id, ended, outputs });
        self.change(id, |attempt| attempt.told = true);
    }

    /// Puts the refusal of an attempt into the outbox.
    pub(crate) fn refuse(&mut self, id: AttemptId, why: Refused) {
        self.outbox.push_back(Report::Refused { attempt: id, why });
        self.change(id, |attempt| attempt.told = true);
    }

    /// Launches an attempt if it has its data, its slots and its turn.
    fn consider(&mut self, turn: Turn, now: u64, actions: &mut Vec<Action>) {
        let id = turn.1;
        let Some(attempt) = self.attempts.get(&id) else { return };
        let (Standing::Waits, Some(run)) = (attempt.standing(), &attempt.run) else { return };
        match self.judge(run, now) {
            Judged::Start => {
                let run = run.clone();
                actions.push(self.launch(run));
                return;
            }
            Judged::Refuse(why) => {
                self.refuse(id, why);
                return;
            }
            Judged::Fenced => {
                self.index.fenced.insert(turn);
            }
            Judged::Bring(data) => {
                if self.bringing.insert(data.clone()) {
                    actions.push(Action::Bring { data });
                }
            }
            Judged::Later => {}
        }
        if let Some(attempt) = self.attempts.get_mut(&id).filter(|attempt| !attempt.accepted) {
            attempt.accepted = true;
            self.outbox.push_back(Report::Accepted { attempt: id });
        }
    }

    fn judge(&self, run: &Run, now: u64) -> Judged {
        let is_at_hand = |input: &RunInput| {
            self.data.contains(&input.data)
                || (input.streamed
                    && (input.read.is_some() || self.in_place.contains_key(&input.data)))
        };
        let missing = run.inputs.iter().find(|input| !is_at_hand(input));
        if let Some(input) = missing {
            let data = &input.data;
            if self.fetching.values().any(|stage| stage.data == *data) {
                return Judged::Later;
            }
            if self.in_place.contains_key(data) {
                return Judged::Bring(data.clone());
            }
            // It was here when this was planned, and nobody brings it again.
            let why = format!("{data} is not in the store any more");
            return Judged::Refuse(Refused::NoData { why });
        }
        if !self.index.floor.is_free(run) {
            return Judged::Later;
        }
        if self.is_fenced(run, now) { Judged::Fenced } else { Judged::Start }
    }

    /// Until when it may run without a further answer to a poll.
    fn lease_of(&self, run: &Run) -> Option<u64> {
        run.lease.map(|lease| self.renewed.unwrap_or(0) + lease.0)
    }

    /// Whether its lease would be out before it began.
    fn is_fenced(&self, run: &Run, now: u64) -> bool {
        self.lease_of(run).is_some_and(|until| until <= now)
    }

    fn launch(&mut self, run: Box<Run>) -> Action {
        let lease = self.lease_of(&run);
        self.change(run.attempt, |attempt| {
            attempt.launching = true;
            attempt.lease_until = lease;
        });
        Action::Launch { run, lease }
    }

    /// Passes on what the last answered poll allows, once a good part of a lease has gone by.
    fn extend_leases(&mut self, actions: &mut Vec<Action>) {
        let Some(renewed) = self.renewed.filter(|renewed| *renewed >= self.index.extend_from)
        else {
            return;
        };
        let mut next = u64::MAX;
        for id in &self.index.leased {
            let Some(attempt) = self.attempts.get_mut(id) else { continue };
            let Some(lease) = attempt.run.as_ref().and_then(|run| run.lease) else { continue };
            let until = renewed + lease.0;
            if attempt.lease_until.is_none_or(|known| until >= known + lease.0 / 6) {
                attempt.lease_until = Some(until);
                actions.push(Action::ExtendLease { attempt: *id, until });
            }
            let known = attempt.lease_until.unwrap_or(0);
            next = next.min((known + lease.0 / 6).saturating_sub(lease.0));
        }
        self.index.extend_from = next;
    }
}

impl crate::Index {
    fn enter(&mut self, standing: Standing, run: &Run) {
        match standing {
            Standing::Waits => {
                let turn = (run.start, run.attempt);
                self.waiting.insert(turn);
                self.doubtful.insert(turn);
                self.floor.line_up(run);
            }
            Standing::Holds => self.floor.take(run),
            Standing::Aside => {}
        }
    }

    fn leave(&mut self, standing: Standing, run: &Run) {
        match standing {
            Standing::Waits => {
                let turn = (run.start, run.attempt);
                self.waiting.remove(&turn);
                self.doubtful.remove(&turn);
                self.fenced.remove(&turn);
                self.floor.step_out(run, &mut self.doubtful);
            }
            Standing::Holds => self.floor.release(run, &mut self.doubtful),
            Standing::Aside => {}
        }
    }

    fn drop_lease(&mut self, run: &Run) {
        let Some(lease) = run.lease else { return };
        if let Some(count) = self.leases.get_mut(&lease) {
            *count -= 1;
            if *count == 0 {
                self.leases.remove(&lease);
            }
        }
    }
}

/// The engine knows that it stopped an attempt as it was told; the order says why.
fn named(ended: &Ended, stop: Option<Stop>) -> Ended {
    match (&ended.outcome, stop) {
        (Outcome::Stopped(_), Some(why)) => {
            Ended { outcome: Outcome::Stopped(why), ..ended.clone() }
        }
        _ => ended.clone(),
    }
}

fn refusal(abilities: Abilities, run: &Run) -> Option<Refused> {
    if abilities.draining {
        return Some(Refused::Drained);
    }
    let image = run.image.as_ref().filter(|_| !abilities.images)?;
    let what = format!("container image {image}: no container runtime is configured");
    Some(Refused::Unsupported { what })
}
