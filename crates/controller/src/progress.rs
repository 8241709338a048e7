//! What centers tell of attempts that are not over.

use crate::Controller;
use model::attempt::AttemptState;
use model::fact::{AttemptCheckpointed, AttemptEntered, AttemptTouched, Fact};
use model::{AttemptId, CenterId, Span};

/// How many bytes of what a batch system calls an attempt are kept.
const CALLED_MOST: usize = 256;

impl Controller {
    /// Whether an attempt is a center's to run: reservations are not.
    pub(crate) fn runs_there(&self, attempt: AttemptId) -> bool {
        self.world.job(attempt.job).is_some_and(|job| !job.spec.is_reservation())
    }

    /// Whether the attempt is its job's live one, in this center. Reports about any other change
    /// nothing.
    pub(crate) fn is_live_at(&self, center: &CenterId, attempt: AttemptId) -> bool {
        let live = self.world.live_attempt(attempt);
        live.is_some_and(|a| a.placement.parts.iter().any(|p| p.center == *center))
            && self.runs_there(attempt)
    }

    pub(crate) fn accepted(&mut self, center: &CenterId, attempt: AttemptId) {
        let offered = self.world.live_attempt(attempt).map(|a| &a.state);
        if offered == Some(&AttemptState::Offered) && self.is_live_at(center, attempt) {
            self.emit(Fact::AttemptAccepted(AttemptTouched { attempt }));
        }
    }

    /// Notes what a center's batch system calls an attempt, if that can be shown on a line.
    pub(crate) fn entered(&mut self, center: &CenterId, attempt: AttemptId, mut called: String) {
        let is_shown = !called.is_empty() && !called.contains(char::is_control);
        if !is_shown || !self.is_live_at(center, attempt) {
            return;
        }
        called.truncate(called.floor_char_boundary(CALLED_MOST));
        let live = self.world.live_attempt(attempt);
        if live.is_some_and(|live| live.called.as_deref() != Some(&called)) {
            let center = center.clone();
            self.emit(Fact::AttemptEntered(AttemptEntered { attempt, center, called }));
        }
    }

    pub(crate) fn started(&mut self, center: &CenterId, attempt: AttemptId) {
        if !self.is_live_at(center, attempt) {
            return;
        }
        let state = self.world.live_attempt(attempt).map(|a| &a.state);
        if state.is_some_and(|s| s.started().is_none()) {
            self.emit(Fact::AttemptStarted(AttemptTouched { attempt }));
        }
    }

    /// Notes how far an attempt's work is kept. The center counts from its start, which the server
    /// heard of a little later; nothing is kept that has not happened yet.
    pub(crate) fn checkpointed(&mut self, center: &CenterId, attempt: AttemptId, after: Span) {
        if !self.is_live_at(center, attempt) {
            return;
        }
        let Some(live) = self.world.live_attempt(attempt) else { return };
        let Some(started) = live.state.started() else { return };
        let at = (started + after).min(self.now);
        if live.saved.is_none_or(|saved| saved < at) {
            self.emit(Fact::AttemptCheckpointed(AttemptCheckpointed { attempt, at }));
        }
    }
}
