//! Who runs where until the next round boundary.
//!
//! At a boundary everything that may be stopped is up for choice again. The [`Goal`] says who ought to
//! have what; what does not fit into whole gangs is made up for later: who had less than it ought to
//! comes first. Nothing is left idle that anybody who may run could use.

mod gavel;

pub use gavel::Gavel;

use crate::timeline::{Counts, Task, moments, timeline};
use crate::{Choice, Class, Error, Problem, Stage, even, fair_from};
use gavel::Pasts;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// What everybody's shares are to bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Goal {
    /// Nobody has less than needs be: weighted lexicographic max-min.
    Fair,
    /// Jobs are done as soon as can be in the mean.
    MeanCompletion,
    /// All that is there is done as soon as can be.
    Makespan,
    /// Everybody has an even part of every resource, whatever it is worth to whom: what the others are
    /// compared with.
    Isolated,
    /// What others' policies want, rounds made of it as they do.
    Gavel(Gavel),
}

impl Goal {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Fair,
        Self::MeanCompletion,
        Self::Makespan,
        Self::Isolated,
        Self::Gavel(Gavel::Las),
        Self::Gavel(Gavel::FinishTime),
        Self::Gavel(Gavel::Makespan),
    ];

    /// Its name, as people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fair => "fair",
            Self::MeanCompletion => "mean-completion",
            Self::Makespan => "makespan",
            Self::Isolated => "isolated",
            Self::Gavel(Gavel::Las) => "gavel-las",
            Self::Gavel(Gavel::FinishTime) => "gavel-finish-time",
            Self::Gavel(Gavel::Makespan) => "gavel-makespan",
        }
    }
}

/// A job that waits or runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Active {
    /// Who it is, for as long as it is there.
    pub id: u64,
    /// What is left of it, in units of the choices' rates.
    pub left: f64,
    /// The throughput that counts as one: what it would have of an even share.
    pub even_rate: f64,
    /// How much it counts.
    pub weight: f64,
    /// Where it can run: what is done in one unit of time, and the resources that takes.
    pub choices: Vec<Choice>,
}

/// What was decided and given, from boundary to boundary.
#[derive(Debug, Clone)]
pub struct Rounds {
    goal: Goal,
    /// How long a round is.
    long: f64,
    /// What jobs ought to have had, less what they had, in rounds of each of their choices.
    owed: Vec<(u64, Vec<f64>)>,
    /// Prices that mattered last.
    stages: Vec<Stage>,
    /// Jobs as they would be if everybody had just its fair share from its first round on.
    fair: Vec<Active>,
    /// Who was ever among these.
    known: BTreeSet<u64>,
    /// What jobs had so far, where Gavel's policies are played.
    pasts: Pasts,
}

impl Rounds {
    /// Rounds of this length towards this goal.
    #[must_use]
    pub const fn new(goal: Goal, long: f64) -> Self {
        Self {
            goal,
            long,
            owed: Vec::new(),
            stages: Vec::new(),
            fair: Vec::new(),
            known: BTreeSet::new(),
            pasts: Pasts::new(),
        }
    }

    /// Who runs in the next round, by place among the jobs, each with the choice it runs in.
    ///
    /// # Errors
    ///
    /// When a number cannot be meant, or a solver gives up.
    pub fn next(
        &mut self,
        capacities: &[f64],
        jobs: &[Active],
    ) -> Result<Vec<(usize, usize)>, Error> {
        let shares = match self.goal {
            Goal::Makespan => self.shares(capacities, jobs)?,
            Goal::Fair | Goal::MeanCompletion => self.first_of_timeline(capacities, jobs)?,
            Goal::Isolated => jobs.iter().map(|job| even_share(capacities, job, jobs)).collect(),
            Goal::Gavel(of) => self.gavel_shares(of, capacities, jobs)?,
        };
        let wishes = match self.goal {
            Goal::Makespan | Goal::Isolated => self.by_what_is_owed(jobs, &shares),
            Goal::MeanCompletion => by_what_is_left(jobs, &shares),
            Goal::Gavel(_) => self.by_what_was_had(jobs, &shares),
            Goal::Fair => {
                let pressing = self.pressing(capacities, jobs)?;
                let mut wishes = by_what_is_left(jobs, &shares);
                wishes.iter_mut().for_each(|wish| wish.rank[0] = pressing[wish.at]);
                wishes
            }
        };
        let chosen = fill(capacities, jobs, wishes);
        match self.goal {
            Goal::Gavel(_) => self.note_round(jobs, &chosen),
            _ => self.settle(jobs, &shares, &chosen),
        }
        Ok(chosen)
    }

    /// How much each job needs to run now to be done no later than with just its fair share all the
    /// time: above zero where it does, the more the greater.
    ///
    /// Fair shares alone would have everybody wait for everybody. So they are run beside, in thought
    /// (Friedman and Henderson's fair sojourn protocol): who would be late by that runs first, and all
    /// others as they are done soonest in the mean.
    fn pressing(&mut self, capacities: &[f64], jobs: &[Active]) -> Result<Vec<f64>, Error> {
        for job in jobs {
            if self.known.insert(job.id) {
                self.fair.push(job.clone());
            }
        }
        let fair = std::mem::take(&mut self.fair);
        let shares = self.shares(capacities, &fair)?;
        let rate = |(job, shares): (&Active, &Vec<f64>)| {
            job.choices.iter().zip(shares).map(|(choice, share)| choice.rate * share).sum::<f64>()
        };
        let rates: Vec<f64> = fair.iter().zip(&shares).map(rate).collect();
        let needs = |job: &Active| {
            let best = job.choices.iter().map(|choice| choice.rate).fold(0.0, f64::max);
            let takes = job.left / best;
            match fair.iter().position(|there| there.id == job.id) {
                Some(at) => takes + self.long - fair[at].left / rates[at],
                None => takes + self.long,
            }
        };
        let pressing = jobs.iter().map(needs).map(|needs| needs.max(0.0)).collect();
        let later = fair.into_iter().zip(rates).filter_map(|(mut job, rate)| {
            job.left -= rate * self.long;
            (job.left > 0.0).then_some(job)
        });
        self.fair = later.collect();
        Ok(pressing)
    }

    /// The time each job ought to have in each of its choices, as a share.
    fn shares(&mut self, capacities: &[f64], jobs: &[Active]) -> Result<Vec<Vec<f64>>, Error> {
        let problem = evened(capacities, jobs, |job| match self.goal {
            Goal::Makespan => job.left,
            Goal::Fair | Goal::MeanCompletion | Goal::Isolated | Goal::Gavel(_) => job.even_rate,
        });
        if self.goal == Goal::Makespan {
            self.stages = vec![even(&problem, &self.stages)?];
        }
        let found = fair_from(&problem, &self.stages)?;
        self.stages = found.stages;
        Ok(found.shares)
    }

    /// The time each job has in the first stretch of a timeline.
    fn first_of_timeline(
        &self,
        capacities: &[f64],
        jobs: &[Active],
    ) -> Result<Vec<Vec<f64>>, Error> {
        let task = |job: &Active| Task {
            count: 1.0,
            weight: job.weight,
            from: 0.0,
            work: job.left,
            choices: job.choices.clone(),
        };
        let tasks: Vec<Task> = jobs.iter().map(task).collect();
        // One after the other they are certainly done by then.
        let all: f64 = tasks.iter().map(Task::shortest).filter(|run| run.is_finite()).sum();
        let moments = moments(0.0, self.long, 1.3, all.max(self.long));
        let found = timeline(capacities, &tasks, &moments, Counts::ByItsMiddle)?;
        let first = |times: &Vec<Vec<f64>>| {
            times.iter().map(|stretches| stretches[0] / self.long).collect()
        };
        Ok(found.times.iter().map(first).collect())
    }

    /// Who had least of what it ought to have comes first, in the choice in which it had least.
    fn by_what_is_owed(&self, jobs: &[Active], shares: &[Vec<f64>]) -> Vec<Wish> {
        let mut wishes = Vec::new();
        for (at, (job, shares)) in jobs.iter().zip(shares).enumerate() {
            let owed = self.owed.iter().find(|(id, _)| *id == job.id).map(|(_, owed)| owed);
            for (choice, share) in shares.iter().enumerate() {
                let owed = owed.map_or(0.0, |owed| owed[choice]) + share;
                let rate = job.choices[choice].rate;
                wishes.push(Wish { rank: [0.0, owed, rate / job.left], at, choice });
            }
        }
        wishes
    }

    /// Takes down what jobs ought to have had and what they had.
    fn settle(&mut self, jobs: &[Active], shares: &[Vec<f64>], chosen: &[(usize, usize)]) {
        let mut owed: Vec<(u64, Vec<f64>)> = Vec::with_capacity(jobs.len());
        for (job, shares) in jobs.iter().zip(shares) {
            let before = self.owed.iter().find(|(id, _)| *id == job.id).map(|(_, owed)| owed);
            let add =
                |(choice, share): (usize, &f64)| before.map_or(0.0, |owed| owed[choice]) + share;
            owed.push((job.id, shares.iter().enumerate().map(add).collect()));
        }
        for (at, choice) in chosen {
            owed[*at].1[*choice] -= 1.0;
        }
        self.owed = owed;
    }
}

/// Jobs as classes of a problem, each with its own unit of throughput.
fn evened(capacities: &[f64], jobs: &[Active], unit: impl Fn(&Active) -> f64) -> Problem {
    let class = |job: &Active| {
        let choice =
            |choice: &Choice| Choice { rate: choice.rate / unit(job), uses: choice.uses.clone() };
        let choices = job.choices.iter().map(choice).collect();
        Class { count: 1.0, of: None, weight: job.weight, choices }
    };
    Problem {
        capacities: capacities.to_vec(),
        nodes: Vec::new(),
        classes: jobs.iter().map(class).collect(),
    }
}

/// The time a job has in each of its choices if everybody has as much of each resource.
fn even_share(capacities: &[f64], job: &Active, jobs: &[Active]) -> Vec<f64> {
    let most = |choice: &Choice| {
        let parts = choice.uses.iter().map(|(resource, by)| capacities[*resource] / by);
        parts.fold(f64::INFINITY, f64::min) / jobs.len() as f64
    };
    let times: Vec<f64> = job.choices.iter().map(most).collect();
    let all: f64 = times.iter().sum();
    times.iter().map(|time| time / all.max(1.0)).collect()
}

/// A job that could run in one of its choices.
#[derive(Debug, Clone, Copy)]
struct Wish {
    /// The greatest comes first; compared from the left.
    rank: [f64; 3],
    at: usize,
    choice: usize,
}

impl Wish {
    fn order(&self, other: &Self) -> Ordering {
        let ranks = self.rank.iter().zip(&other.rank).map(|(a, b)| b.total_cmp(a));
        let by_rank = ranks.fold(Ordering::Equal, Ordering::then);
        by_rank.then((self.at, self.choice).cmp(&(other.at, other.choice)))
    }
}

/// Who has time in the first stretch comes first; among these, and among all others, who is done with
/// least use of resources.
fn by_what_is_left(jobs: &[Active], shares: &[Vec<f64>]) -> Vec<Wish> {
    let mut wishes = Vec::new();
    for (at, (job, shares)) in jobs.iter().zip(shares).enumerate() {
        for (choice, share) in shares.iter().enumerate() {
            let Choice { rate, uses } = &job.choices[choice];
            let scale: f64 = uses.iter().map(|(_, by)| by).sum();
            let by = job.weight * rate / (job.left * scale.max(f64::MIN_POSITIVE));
            let first = f64::from(*share > 0.01);
            wishes.push(Wish { rank: [0.0, first, by], at, choice });
        }
    }
    wishes
}

/// Gives wishes what they want, the first first, while there is enough of it.
fn fill(capacities: &[f64], jobs: &[Active], mut wishes: Vec<Wish>) -> Vec<(usize, usize)> {
    wishes.retain(|wish| jobs[wish.at].choices[wish.choice].rate > 0.0);
    wishes.sort_by(Wish::order);
    let mut free = capacities.to_vec();
    let mut runs = vec![false; jobs.len()];
    let mut chosen = Vec::new();
    for wish in wishes {
        let uses = &jobs[wish.at].choices[wish.choice].uses;
        let fits = uses.iter().all(|(resource, by)| *by <= free[*resource] * (1.0 + 1e-9));
        if !runs[wish.at] && fits {
            uses.iter().for_each(|(resource, by)| free[*resource] -= by);
            runs[wish.at] = true;
            chosen.push((wish.at, wish.choice));
        }
    }
    chosen
}
