//! Who has been heard of, and what happens to attempts whose center is not.

use crate::{Controller, Effect, Solve};
use model::attempt::{Ended, Outcome};
use model::fact::{Fact, JobsArchived, KeysForgotten};
use model::{AttemptId, Bytes, CenterId, JobId, Moment, Phase, Span};
use std::collections::BTreeMap;
use std::sync::Arc;

/// At most how many ended jobs go to the archive at once: many, as each time waits for all that was
/// decided before to be durable, and the archive has to keep up with whatever ends.
const ARCHIVE_AT_ONCE: usize = 4_096;
/// How many surplus ones are worth a transaction.
const ARCHIVE_AT_LEAST: usize = 200;
/// How long the archive is left alone that could not take them.
const ARCHIVE_AGAIN: Span = Span::from_secs(10);

/// What the archive is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Archiving {
    /// Nothing; it is left alone until this moment.
    Idle { until: Moment },
    /// Ended jobs have been handed to it, and it has not answered.
    UnderWay,
}

/// How often the calendars' past is dropped, and keys that are too old.
const FORGET_EVERY: Span = Span::from_secs(60);

impl Controller {
    /// Notes that a center's agent lives; false when the session is not its latest.
    pub(crate) fn heard(&mut self, center: &CenterId, session: u64) -> bool {
        let Some(known) = self.sessions.get_mut(center) else { return false };
        if known.number != session || session == 0 {
            return false;
        }
        let was_silent = self.now.since(known.heard) > self.settings.silent_after;
        known.heard = self.now;
        if was_silent {
            self.board.touch_center(center);
        }
        true
    }

    /// Centers that work can be given to, and since when the others have been silent.
    pub(crate) fn silent(&self) -> BTreeMap<CenterId, Moment> {
        let silent = |(center, session): (&CenterId, &crate::Session)| {
            let lately = self.now.since(session.heard) <= self.settings.silent_after;
            (session.number == 0 || !lately).then(|| (center.clone(), session.heard))
        };
        self.sessions.iter().filter_map(silent).collect()
    }

    pub(crate) fn tick(&mut self) {
        if self.now.since(self.forgotten) > FORGET_EVERY {
            self.forgotten = self.now;
            self.board.forget_before(self.now);
            self.forget_keys();
        }
        self.expire_leases();
        self.end_recalls();
        self.tend_if_due();
        self.test_links_if_due();
    }

    fn forget_keys(&mut self) {
        let oldest = Moment(self.now.0.saturating_sub(self.settings.keep_keys.0));
        if self.world.keys.values().any(|submission| submission.at < oldest) {
            self.emit(Fact::KeysForgotten(KeysForgotten { before: oldest }));
        }
    }

    /// Takes attempts to be over whose lease has run out at a silent center: their supervisors
    /// have stopped them by now, agent alive or not.
    fn expire_leases(&mut self) {
        // No lease is out within its margin, and a center that is heard of is not gone through.
        let margin = match self.settings.fencing {
            true => self.settings.lease_margin,
            false => self.settings.silent_after,
        };
        let centers = self.world.centers.keys();
        let silent = centers.filter(|center| self.silence_of(center) > margin);
        let live = silent.flat_map(|center| self.world.live(center).map(move |id| (center, id)));
        let expired: Vec<(CenterId, AttemptId)> = live
            .filter(|(center, attempt)| self.lease_is_out(center, *attempt))
            .map(|(center, attempt)| (center.clone(), attempt))
            .collect();
        for (center, attempt) in expired {
            let why = model::Stop::Withdrawn;
            self.attempt_over(attempt, Outcome::LeaseExpired, Span::ZERO);
            self.books.stop_stray(&center, attempt, why);
        }
    }

    /// How long nothing was heard of a center.
    fn silence_of(&self, center: &CenterId) -> Span {
        self.sessions.get(center).map_or(Span::MAX, |session| self.now.since(session.heard))
    }

    fn lease_is_out(&self, center: &CenterId, attempt: AttemptId) -> bool {
        let silent = self.silence_of(center);
        if !self.settings.fencing {
            return silent > self.settings.silent_after;
        }
        let job = self.world.job(attempt.job);
        let lease = job.and_then(|job| job.spec.when_cut_off.lease());
        lease.is_some_and(|lease| silent > lease + self.settings.lease_margin)
    }

    /// Ends an attempt by the server's own judgment and decides what becomes of the job.
    pub(crate) fn attempt_over(&mut self, attempt: AttemptId, outcome: Outcome, ran: Span) {
        let ended = Ended { outcome, ran, cpu: Span::ZERO, memory: Bytes::ZERO };
        self.end_attempt(attempt, ended);
    }

    pub(crate) fn archived(&mut self, jobs: Vec<JobId>) {
        let failed = jobs.is_empty();
        let pause = if failed { ARCHIVE_AGAIN } else { Span::ZERO };
        self.archiving = Archiving::Idle { until: self.now + pause };
        let here = |id: &JobId| {
            self.world.job(*id).is_some_and(|job| matches!(job.phase, Phase::Ended { .. }))
        };
        let jobs: Vec<JobId> = jobs.into_iter().filter(here).collect();
        if !jobs.is_empty() {
            self.emit(Fact::JobsArchived(JobsArchived { jobs }));
        }
    }

    /// Hands over ended jobs that are old, or too many.
    pub(crate) fn archive_if_due(&mut self) -> Option<Effect> {
        if !matches!(self.archiving, Archiving::Idle { until } if until <= self.now) {
            return None;
        }
        let too_many = self.world.ended_len().saturating_sub(self.settings.keep_ended_jobs);
        let oldest = Moment(self.now.0.saturating_sub(self.settings.keep_ended.0));
        let is_old = |id: JobId| match self.world.job(id).map(|job| &job.phase) {
            Some(Phase::Ended { at, .. }) => *at < oldest,
            _ => false,
        };
        let jobs: Vec<_> = (self.world.archivable().enumerate())
            .take_while(|(i, id)| *i < too_many || is_old(*id))
            .take(ARCHIVE_AT_ONCE)
            .filter_map(|(_, id)| self.world.job(id).map(Arc::clone))
            .collect();
        let worth_it = jobs.len() >= ARCHIVE_AT_LEAST;
        if !worth_it && !jobs.first().is_some_and(|job| is_old(job.job)) {
            return None;
        }
        self.archiving = Archiving::UnderWay;
        Some(Effect::Archive(jobs))
    }

    pub(crate) fn solve_if_due(&mut self) -> Option<Effect> {
        let (Solve::Due(at) | Solve::Round(at)) = self.solve else { return None };
        if self.board.nobody_waits() {
            self.solve = Solve::Idle;
            return None;
        }
        if at > self.now {
            return Some(Effect::WakeAt(at));
        }
        self.solve = Solve::Running { since: self.now, again: false };
        Some(Effect::Solve(Box::new(self.snapshot())))
    }
}
