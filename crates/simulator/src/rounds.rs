//! A cluster in rounds: at each boundary everything is stopped and placed anew, at no cost.
//!
//! That is the setting in which Gavel (OSDI '20) and those after it are measured: chips of several
//! kinds, jobs of several chips of one kind, throughputs known, rounds of six minutes. Who runs is
//! decided by [`allocation::Rounds`] alone. What ends within a round leaves its chips idle until the
//! next.

use crate::Error;
use crate::load::gavel::{Listed, Throughputs};
use crate::measure::{mean, quantile};
use allocation::{
    Active, Binding, Choice, Counts, Goal, Rounds, Task, moments, soonest_end, timeline,
};
use model::ChipId;
use smallvec::smallvec;

/// A cluster and what comes to it.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// How many chips there are of each kind.
    pub chips: Vec<(ChipId, f64)>,
    /// How long a round is, in seconds.
    pub round_s: f64,
    /// Who comes, in the order of time.
    pub jobs: Vec<Comes>,
}

/// A job that comes.
#[derive(Debug, Clone, PartialEq)]
pub struct Comes {
    /// When, in seconds.
    pub at_s: f64,
    /// How much work it is.
    pub work: f64,
    /// What of that its gang does in a second on each kind of chip.
    pub rates: Vec<f64>,
    /// How many chips its gang has.
    pub scale: f64,
}

/// How a policy did.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Whose.
    pub goal: Goal,
    /// From submission to end, of each job in the order in which they came, in hours.
    pub completions_h: Vec<f64>,
    /// When the last job was over, in hours.
    pub makespan_h: f64,
    /// The share of all chips that ran jobs until then.
    pub in_use: f64,
}

impl Outcome {
    /// The mean time from submission to end, in hours.
    #[must_use]
    pub fn mean_h(&self) -> f64 {
        mean(self.completions_h.iter().copied())
    }

    /// What 99 % of the jobs do not exceed, in hours.
    #[must_use]
    pub fn p99_h(&self) -> f64 {
        quantile_of(self.completions_h.clone())
    }

    /// How long jobs took beside another outcome, each job for itself: the mean, and what 99 % do not
    /// exceed.
    #[must_use]
    pub fn beside(&self, other: &Self) -> (f64, f64) {
        let pairs = self.completions_h.iter().zip(&other.completions_h);
        let ratios: Vec<f64> = pairs.map(|(ours, theirs)| ours / theirs).collect();
        (mean(ratios.iter().copied()), quantile_of(ratios))
    }
}

fn quantile_of(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.99)
}

/// What no policy does better than.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// When the last job is over, in hours.
    pub makespan_h: f64,
    /// What keeps it from being over sooner.
    pub makespan_by: Binding,
    /// The mean time from submission to end, in hours.
    pub mean_h: f64,
}

impl Cluster {
    /// A list of Gavel's on so many chips of each kind.
    #[must_use]
    pub fn of(
        list: &[Listed],
        throughputs: &Throughputs,
        chips: Vec<(ChipId, f64)>,
        round_s: f64,
    ) -> Self {
        let comes = |job: &Listed| Comes {
            at_s: job.arrival_s,
            work: job.steps,
            rates: chips.iter().map(|(chip, _)| throughputs.rate(chip, job.kind)).collect(),
            scale: job.scale as f64,
        };
        let mut jobs: Vec<Comes> = list.iter().map(comes).collect();
        jobs.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        Self { chips, round_s, jobs }
    }

    fn capacities(&self) -> Vec<f64> {
        self.chips.iter().map(|(_, count)| *count).collect()
    }

    fn choices(&self, job: &Comes) -> Vec<Choice> {
        let rates = job.rates.iter().enumerate();
        rates.map(|(at, rate)| Choice { rate: *rate, uses: smallvec![(at, job.scale)] }).collect()
    }

    /// What a job does in a second if it has an even share of all chips.
    fn even_rate(&self, job: &Comes) -> f64 {
        let all: f64 = self.chips.iter().map(|(_, count)| count).sum();
        job.rates.iter().zip(&self.chips).map(|(rate, (_, count))| rate * count / all).sum()
    }

    /// Plays it until the last job is over.
    ///
    /// # Errors
    ///
    /// When a job can run nowhere, or nothing can be decided.
    pub fn play(&self, goal: Goal) -> Result<Outcome, Error> {
        self.check()?;
        let capacities = self.capacities();
        let all: f64 = capacities.iter().sum();
        let mut rounds = Rounds::new(goal, self.round_s);
        let mut left: Vec<f64> = self.jobs.iter().map(|job| job.work).collect();
        let mut ended = vec![0.0; self.jobs.len()];
        let (mut now, mut come, mut busy) = (0.0, 0, 0.0);
        let mut active: Vec<usize> = Vec::new();
        loop {
            while let Some(job) = self.jobs.get(come).filter(|job| job.at_s <= now) {
                if job.work > 0.0 {
                    active.push(come);
                }
                ended[come] = job.at_s;
                come += 1;
            }
            if active.is_empty() {
                let Some(next) = self.jobs.get(come) else { break };
                now = (next.at_s / self.round_s).ceil() * self.round_s;
                continue;
            }
            let jobs: Vec<Active> = active.iter().map(|at| self.active(*at, left[*at])).collect();
            let chosen = rounds.next(&capacities, &jobs).map_err(|why| unsolved(&why))?;
            for (nth, choice) in chosen {
                let at = active[nth];
                let job = &self.jobs[at];
                let takes = left[at] / job.rates[choice];
                let ran = takes.min(self.round_s);
                busy += ran * job.scale;
                left[at] -= ran * job.rates[choice];
                if takes <= self.round_s {
                    (left[at], ended[at]) = (0.0, now + takes);
                }
            }
            active.retain(|at| left[*at] > 0.0);
            now += self.round_s;
        }
        let hours = |(ended, job): (&f64, &Comes)| (ended - job.at_s) / 3_600.0;
        let end = ended.iter().copied().fold(0.0, f64::max);
        Ok(Outcome {
            goal,
            completions_h: ended.iter().zip(&self.jobs).map(hours).collect(),
            makespan_h: end / 3_600.0,
            in_use: busy / (all * end).max(f64::MIN_POSITIVE),
        })
    }

    fn active(&self, at: usize, left: f64) -> Active {
        let job = &self.jobs[at];
        Active {
            id: at as u64,
            left,
            even_rate: self.even_rate(job),
            weight: 1.0,
            choices: self.choices(job),
        }
    }

    fn check(&self) -> Result<(), Error> {
        let runs = |job: &Comes| {
            let places = job.rates.iter().zip(&self.chips);
            places.into_iter().any(|(rate, (_, count))| *rate > 0.0 && job.scale <= *count)
        };
        match self.jobs.iter().position(|job| !runs(job)) {
            None => Ok(()),
            Some(at) => Err(Error::Unfit {
                said: format!("job {at} of {} chips runs nowhere here", self.jobs[at].scale),
                help: "give the cluster enough chips of a kind it runs on, or leave it out"
                    .to_owned(),
            }),
        }
    }

    /// What no policy does better than, whoever knows everything beforehand.
    ///
    /// # Errors
    ///
    /// When a job can run nowhere, or a program is not solved.
    pub fn bounds(&self) -> Result<Bounds, Error> {
        self.check()?;
        let tasks: Vec<Task> = self
            .jobs
            .iter()
            .map(|job| Task {
                count: 1.0,
                weight: 1.0,
                from: job.at_s,
                work: job.work,
                choices: self.choices(job),
            })
            .collect();
        let capacities = self.capacities();
        let (makespan, by) = soonest_end(&capacities, &tasks, 100).map_err(|why| unsolved(&why))?;
        let last = tasks.iter().map(|task| task.from).fold(0.0, f64::max);
        let until = last + 2.0 * makespan;
        let moments = moments(0.0, self.round_s * 3.0, 1.02, until);
        let found = timeline(&capacities, &tasks, &moments, Counts::FromItsBeginning);
        let came: f64 = tasks.iter().map(|task| task.from).sum();
        let completion = found.map_err(|why| unsolved(&why))?.completion - came;
        Ok(Bounds {
            makespan_h: makespan / 3_600.0,
            makespan_by: by,
            mean_h: completion / tasks.len() as f64 / 3_600.0,
        })
    }
}

fn unsolved(why: &allocation::Error) -> Error {
    Error::Unfit { said: why.to_string(), help: "look at the numbers of the load".to_owned() }
}
