//! Chips booked for later. A reservation is a job whose one attempt is held here: centers hear only of
//! the jobs that run in it.

use crate::dataset::may_act_for;
use crate::{Controller, Rejected};
use model::attempt::{Ended, Placement};
use model::fact::{AttemptTouched, Fact, JobEnded, JobOffered, JobTouched};
use model::job::{Job, JobKind, JobSpec};
use model::{
    Attempt, AttemptId, Bytes, JobEnd, JobId, Moment, Outcome, Phase, Principal, Span, Stop,
    TokenId,
};
use planner::Booking;
use std::sync::Arc;

impl Controller {
    /// The place for a reservation that is to be made, or why there is none.
    pub(crate) fn find_window(&mut self, spec: &JobSpec) -> Result<Placement, Rejected> {
        let JobKind::Reservation { start, .. } = spec.kind else {
            return Err(Rejected::Invalid { why: "this is no reservation".to_owned() });
        };
        // What outlives its limit at this very moment still has its chips.
        self.board.wake(&self.world, self.now);
        let (view, policy) = (self.board.view(), &self.settings.policy);
        match planner::book(&self.world, view, &self.situation(), policy, spec) {
            Booking::Free(placement) => Ok(*placement),
            Booking::Taken { earliest, standings } => {
                let then = match earliest {
                    Some((at, center)) => format!("the earliest is {at}, in {center}"),
                    None => "no later time is known at which they are".to_owned(),
                };
                let mut why = format!("nowhere are these chips free from {start} on; {then}");
                for standing in standings {
                    why.push_str(&format!("\n  {}: {}", standing.center, standing.refusal));
                }
                Err(Rejected::Conflict { why })
            }
        }
    }

    /// Has a reservation that was just submitted hold its place.
    pub(crate) fn hold_window(&mut self, job: JobId, placement: Placement) {
        let attempt = AttemptId { job, epoch: 1 };
        let placement = Arc::new(Placement { plan: self.world.next.plan, ..placement });
        self.emit(Fact::JobOffered(JobOffered { attempt, placement }));
        self.emit(Fact::AttemptAccepted(AttemptTouched { attempt }));
    }

    /// Whether a job may run in the reservation it names.
    pub(crate) fn check_inside(&self, by: &Principal, spec: &JobSpec) -> Result<(), Rejected> {
        let Some(reservation) = spec.reservation else { return Ok(()) };
        let missing = || Rejected::NotFound { what: format!("reservation {reservation}") };
        let job = self.world.job(reservation).filter(|job| job.spec.is_reservation());
        let job = job.ok_or_else(missing)?;
        let is_part = self.world.is_part_of(&spec.tenant, &job.spec.tenant);
        // A stranger's reservation is as good as none.
        if !is_part && may_act_for(by, &job.spec.tenant).is_err() {
            return Err(missing());
        }
        if !is_part {
            let (whose, tenant) = (&job.spec.tenant, &spec.tenant);
            let why = format!("{reservation} is {whose}'s, of which {tenant} is no part");
            return Err(Rejected::Forbidden { why });
        }
        let Some(window) = job.phase.attempt().filter(|attempt| !attempt.is_over()) else {
            let why = format!("{reservation} is over ({}); make a new one", job.phase.word());
            return Err(Rejected::Conflict { why });
        };
        let (from, until) = (window.placement.start.max(self.now), window.placement.until);
        let left = until.since(from);
        let limits = (0_u16..).zip(spec.parts.iter().take(1).flat_map(|part| &part.variants));
        let fits = |index| spec.limit(index).is_some_and(|limit| limit <= left);
        if !limits.into_iter().any(|(index, _)| fits(index)) {
            let why = format!(
                "{reservation} is open for {left} yet; give the job a `limit` of no more than that"
            );
            return Err(Rejected::Conflict { why });
        }
        Ok(())
    }

    /// Ends a reservation that its tenant does not want any more.
    pub(crate) fn cancel_window(
        &mut self,
        attempt: AttemptId,
        by: TokenId,
    ) -> Result<(), Rejected> {
        if let Some(inside) = self.world.inside(attempt.job).next() {
            let (own, job) = (attempt.job, inside.job);
            let why = format!("{job} runs in {own}; cancel it first, or wait until it has ended");
            return Err(Rejected::Conflict { why });
        }
        self.emit(Fact::JobCanceled(JobTouched { job: attempt.job, by }));
        self.close_window(attempt, Outcome::Stopped(Stop::Canceled));
        Ok(())
    }

    /// Opens windows whose time has come.
    pub(crate) fn open_windows(&mut self) {
        let is_due = |id: JobId| {
            let attempt = self.world.job(id)?.phase.attempt()?;
            let is_due = attempt.state.started().is_none() && attempt.placement.start <= self.now;
            is_due.then_some(attempt.attempt)
        };
        let due: Vec<AttemptId> = self.board.view().reservations().filter_map(is_due).collect();
        for attempt in due {
            self.emit(Fact::AttemptStarted(AttemptTouched { attempt }));
        }
    }

    /// Closes windows whose time is over. What outlasted them took more of its tenant's budget than they
    /// were to: so they close before chips are given to others.
    pub(crate) fn close_past_windows(&mut self) {
        self.close_windows(|window, now| window.placement.until <= now);
    }

    /// Closes windows in which nothing ran for too long. Who can be placed in one now has been.
    pub(crate) fn close_unused_windows(&mut self) {
        self.close_windows(|_, _| true);
    }

    fn close_windows(&mut self, closes: impl Fn(&Attempt, Moment) -> bool) {
        let is_due = |id: JobId| {
            let job = self.world.job(id)?;
            let attempt = job.phase.attempt().filter(|window| closes(window, self.now))?;
            let (_, outcome) = self.closing(job).filter(|(at, _)| *at <= self.now)?;
            Some((attempt.attempt, outcome))
        };
        let due: Vec<(AttemptId, Outcome)> =
            self.board.view().reservations().filter_map(is_due).collect();
        for (attempt, outcome) in due {
            self.close_window(attempt, outcome);
        }
    }

    /// When an open window closes if nothing happens, and how. `None` while something runs in it.
    fn closing(&self, job: &Job) -> Option<(Moment, Outcome)> {
        let JobKind::Reservation { lapse_after, .. } = job.spec.kind else { return None };
        let attempt = job.phase.attempt()?;
        if self.world.inside(job.job).next().is_some() {
            return None;
        }
        let (opened, until) = (attempt.state.started()?, attempt.placement.until);
        let used = self.world.used(job.job);
        let lapses = used.map_or(opened, |used| used.last.max(opened)) + lapse_after;
        // Nobody can come where the center does not answer.
        let is_silent = self.situation().silent.contains_key(attempt.placement.center());
        Some(match used {
            _ if lapses < until && !is_silent => (lapses, Outcome::Stopped(Stop::Lapsed)),
            Some(_) => (until, Outcome::Exited { code: 0 }),
            None => (until, Outcome::Stopped(Stop::Lapsed)),
        })
    }

    /// When there is something to do for a reservation at the latest, if nothing happens before.
    pub(crate) fn next_window(&self) -> Option<Moment> {
        let all = self.board.view().reservations();
        let next = |id| {
            let job = self.world.job(id)?;
            let attempt = job.phase.attempt()?;
            match attempt.state.started() {
                None => Some(attempt.placement.start),
                Some(_) => self.closing(job).map(|(at, _)| at),
            }
        };
        all.filter_map(next).min()
    }

    /// Ends a reservation and what still waits to run in it.
    fn close_window(&mut self, attempt: AttemptId, outcome: Outcome) {
        let started = self.world.live_attempt(attempt).and_then(|live| live.state.started());
        let ran = started.map_or(Span::ZERO, |started| self.now.since(started));
        let ended = Ended { outcome, ran, cpu: Span::ZERO, memory: Bytes::ZERO };
        self.end_attempt(attempt, ended);
    }

    /// Ends the jobs that wait for a reservation which is over.
    pub(crate) fn end_waiting_inside(&mut self, reservation: JobId) {
        let waits = |job: &&Arc<Job>| {
            job.spec.reservation == Some(reservation)
                && matches!(job.phase, Phase::Held | Phase::Blocked | Phase::Waiting { .. })
        };
        let left: Vec<JobId> = self.world.jobs.iter().filter(waits).map(|job| job.job).collect();
        for job in left {
            self.emit(Fact::JobEnded(JobEnded { job, end: JobEnd::Lapsed }));
        }
    }

    /// Whether the reservation a job names is over.
    pub(crate) fn is_shut_out(&self, job: &Job) -> bool {
        job.spec.reservation.is_some_and(|reservation| {
            let attempt = self.world.job(reservation).and_then(|job| job.phase.attempt());
            attempt.is_none_or(Attempt::is_over)
        })
    }
}
