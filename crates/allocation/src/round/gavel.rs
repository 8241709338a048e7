//! Rounds as Gavel gives them (Narayanan et al., OSDI 2020): what its policies want, and the way its
//! scheduler makes rounds of that. What the others are compared with.
//!
//! A policy says which part of its time each job should have on each kind of chip. Who comes first in a
//! round is who had least of that: its part by what it had so far. Nothing is made up for.

use super::{Active, Rounds, Wish, even_share, evened};
use crate::{Error, fair_from};
use std::collections::BTreeMap;

/// What one of its policies wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gavel {
    /// Nobody has less throughput beside an even share than needs be: least attained service, on chips of
    /// several kinds, as water that fills up.
    Las,
    /// Nobody is over later beside an even share of its own than needs be (as Themis, NSDI 2020).
    FinishTime,
    /// All that is there is done as soon as can be.
    Makespan,
}

/// Times finish-time fairness is halved to find what everybody can have.
const HALVINGS: usize = 24;

/// What is known of a job.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    /// Rounds it had in each of its choices.
    had: Vec<f64>,
    rounds: f64,
    /// How long it would have run so far with an even share, by what is done of it.
    alone: f64,
    left: f64,
}

/// All jobs that are there, by their ids.
pub(super) type Pasts = BTreeMap<u64, Past>;

impl Rounds {
    /// The part of its time each job should have in each of its choices.
    pub(super) fn gavel_shares(
        &mut self,
        of: Gavel,
        capacities: &[f64],
        jobs: &[Active],
    ) -> Result<Vec<Vec<f64>>, Error> {
        self.look_back(capacities, jobs);
        match of {
            // What counts is chips had, not time: a gang of two is to have half the time.
            Gavel::Las => {
                let problem = evened(capacities, jobs, |job| job.even_rate / gang(job));
                Ok(fair_from(&problem, &[])?.shares)
            }
            Gavel::Makespan => {
                Ok(fair_from(&evened(capacities, jobs, |job| job.left), &[])?.shares)
            }
            Gavel::FinishTime => self.finish_time(capacities, jobs),
        }
    }

    /// Takes note of what was done of jobs since the last round, and forgets who is gone.
    fn look_back(&mut self, capacities: &[f64], jobs: &[Active]) {
        let mut before = std::mem::take(&mut self.pasts);
        for job in jobs {
            let mut past = before.remove(&job.id).unwrap_or_else(|| Past {
                had: vec![0.0; job.choices.len()],
                left: job.left,
                ..Past::default()
            });
            past.alone += (past.left - job.left) / alone(capacities, job, jobs);
            past.left = job.left;
            self.pasts.insert(job.id, past);
        }
    }

    /// Everybody's time from first to last, beside what it would be with an even share all the time, is at
    /// most a factor that is as small as can be.
    fn finish_time(&self, capacities: &[f64], jobs: &[Active]) -> Result<Vec<Vec<f64>>, Error> {
        let passed = |job: &Active| self.pasts[&job.id].rounds * self.long;
        let alone =
            |job: &Active| self.pasts[&job.id].alone + job.left / alone(capacities, job, jobs);
        let needs = |factor: f64| {
            let rate = move |job: &Active| {
                let time = factor * alone(job) - passed(job);
                job.left / time.max(self.long * 1e-3)
            };
            evened(capacities, jobs, rate)
        };
        let (mut low, mut high) = (0.0, 1.0);
        let can = |factor: f64| -> Result<bool, Error> {
            Ok(crate::even(&needs(factor), &[])?.level >= 1.0)
        };
        while !can(high)? && high < 1e6 {
            (low, high) = (high, high * 2.0);
        }
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if can(middle)? { high = middle } else { low = middle }
        }
        Ok(fair_from(&needs(high), &[])?.shares)
    }

    /// Who had least of what it should have comes first.
    pub(super) fn by_what_was_had(&self, jobs: &[Active], shares: &[Vec<f64>]) -> Vec<Wish> {
        let mut wishes = Vec::new();
        for (at, (job, shares)) in jobs.iter().zip(shares).enumerate() {
            let past = &self.pasts[&job.id];
            for (choice, share) in shares.iter().enumerate() {
                let part = past.had[choice] / past.rounds.max(1.0);
                let rank = if part > 0.0 { share / part } else { share * 1e9 };
                wishes.push(Wish { rank: [rank, *share, 0.0], at, choice });
            }
        }
        wishes
    }

    /// Takes note of who had this round.
    pub(super) fn note_round(&mut self, jobs: &[Active], chosen: &[(usize, usize)]) {
        for past in self.pasts.values_mut() {
            past.rounds += 1.0;
        }
        for (at, choice) in chosen {
            if let Some(past) = self.pasts.get_mut(&jobs[*at].id) {
                past.had[*choice] += 1.0;
            }
        }
    }
}

/// How much of resources a job has at a time at the most: the chips of its gang.
fn gang(job: &Active) -> f64 {
    let uses = job.choices.iter().flat_map(|choice| &choice.uses).map(|(_, by)| *by);
    uses.fold(f64::MIN_POSITIVE, f64::max)
}

/// What a job does in a unit of time with an even share of everything.
fn alone(capacities: &[f64], job: &Active, jobs: &[Active]) -> f64 {
    let shares = even_share(capacities, job, jobs);
    job.choices.iter().zip(shares).map(|(choice, share)| choice.rate * share).sum()
}
