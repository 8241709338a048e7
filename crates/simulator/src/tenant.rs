//! Those who want something: submissions, cancellations, an operator's word. Each is asked for
//! until it is answered.

use crate::load::{Actual, Arrival, Ending};
use crate::post::{AskId, Call, Happening, Post};
use controller::{Answer, Change, Command, Key, Of};
use model::job::Dependency;
use model::{Digest, JobId, JobSpec, Span};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a held job waits for its release at the most.
const HELD: Span = Span::from_secs(30);

/// What is asked for and has not been answered.
pub(crate) struct Ask {
    pub(crate) command: Command,
    /// For a submission: its place among the arrivals and what nobody knows.
    pub(crate) arrival: Option<(u64, Actual)>,
    held: bool,
}

/// Everybody who asks.
#[derive(Default)]
pub(crate) struct Tenants {
    asks: BTreeMap<AskId, Ask>,
    next: AskId,
    /// Arrivals so far.
    pub(crate) arrived: u64,
    /// What was submitted and refused; only kept where what is asked for may come twice.
    refused: BTreeMap<AskId, (u64, Actual)>,
    /// The jobs that others may name, by their place among the arrivals.
    named: BTreeMap<u64, JobId>,
}

impl Tenants {
    /// Submits an arrival. With a key, so that repeating it is harmless, where repeats can occur.
    pub(crate) fn submit(&mut self, arrival: &Arrival, post: &mut Post) {
        let number = self.arrived;
        self.arrived += 1;
        let key = post.needs_patience.then(|| {
            let digest = Digest::of(&number.to_le_bytes());
            Key { key: digest, content: digest }
        });
        let mut spec = Arc::clone(&arrival.spec);
        if let Some(arrival) = spec.reservation {
            // One that was refused cannot be named: then the job runs wherever it can.
            let booked = self.named.get(&arrival.number()).copied();
            Arc::make_mut(&mut spec).reservation = booked;
        }
        if !spec.after.is_empty() {
            let named = |after: &Dependency| {
                let job = self.named.get(&after.job.number())?;
                Some(Dependency { job: *job, when: after.when })
            };
            let after = spec.after.iter().filter_map(named).collect();
            Arc::make_mut(&mut spec).after = after;
        }
        let command = Command::Submit { jobs: vec![spec], key };
        self.ask(command, Some((number, arrival.actual)), post);
    }

    pub(crate) fn ask(
        &mut self,
        command: Command,
        arrival: Option<(u64, Actual)>,
        post: &mut Post,
    ) {
        self.next += 1;
        let held = match &command {
            Command::Submit { jobs, .. } => jobs.iter().any(|spec| spec.hold),
            _ => false,
        };
        self.asks.insert(self.next, Ask { command, arrival, held });
        self.send(self.next, post);
    }

    /// Asks, again if it was before.
    pub(crate) fn send(&self, id: AskId, post: &mut Post) {
        let Some(ask) = self.asks.get(&id) else { return };
        post.call(None, Call::Command { ask: id, command: ask.command.clone() });
        if post.needs_patience {
            let timing = post.timing;
            let due = timing.latency + timing.latency + timing.patience;
            post.after(due, Happening::AskAgain(id));
        }
    }

    pub(crate) fn get(&self, id: AskId) -> Option<&Ask> {
        self.asks.get(&id)
    }

    /// What is submitted, or was and was refused: one that was asked for twice may be accepted after all.
    pub(crate) fn arrival(&self, id: AskId) -> Option<(u64, Actual)> {
        let refused = || self.refused.get(&id).copied();
        self.asks.get(&id).map_or_else(refused, |ask| ask.arrival)
    }

    /// What is submitted.
    pub(crate) fn spec(&self, id: AskId) -> Option<&JobSpec> {
        match &self.asks.get(&id)?.command {
            Command::Submit { jobs, .. } => jobs.first().map(AsRef::as_ref),
            _ => None,
        }
    }

    /// The answer came.
    pub(crate) fn answered(&mut self, id: AskId, job: Option<JobId>, post: &mut Post) {
        let Some(ask) = self.asks.remove(&id) else { return };
        if let (Some(arrival), None, true) = (ask.arrival, job, post.needs_patience) {
            self.refused.insert(id, arrival);
        }
        if let (Some((arrival, _)), Some(job), Command::Submit { jobs, .. }) =
            (ask.arrival, job, &ask.command)
            && (post.needs_patience || jobs.iter().any(|spec| spec.is_reservation()))
        {
            self.named.insert(arrival, job);
        }
        if let (true, Some(job)) = (ask.held, job) {
            let span = post.some(HELD);
            post.after(
                span,
                Happening::Want(Box::new(Command::Change(Of::Array(job), Change::Release))),
            );
        }
        if let (Some((_, actual)), Some(job)) = (ask.arrival, job)
            && actual.ending == Ending::Withdrawn
        {
            post.after(
                actual.work,
                Happening::Want(Box::new(Command::Change(Of::Array(job), Change::Cancel))),
            );
        }
    }

    /// Whether somebody still waits for an answer.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.asks.is_empty()
    }

    /// Whether the operator is about to declare this center lost.
    pub(crate) fn declares(&self, center: &model::CenterId) -> bool {
        let lost = |ask: &Ask| matches!(&ask.command, Command::DeclareLost(c) if c == center);
        self.asks.values().any(lost)
    }
}

/// The job an answer gives a number to.
pub(crate) fn numbered(answer: &Answer) -> Option<JobId> {
    match answer {
        Answer::Submitted { first, .. } => Some(*first),
        _ => None,
    }
}
