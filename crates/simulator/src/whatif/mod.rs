//! What if: a load of the past, or what waits now, under another network or policy.
//!
//! A [`Past`] is read from a log. [`WhatIf::of`] makes of one of its periods a load: who asked for
//! what when, and how long each job really took. [`WhatIf::play`] plays it twice with the planner
//! that a server runs, once on the network as it was and once with the [`Changes`]; all else is
//! equal, so what differs is the changes' doing. What really happened stands beside, and tells how
//! far the simulation is to be trusted.
//!
//! Deliberately absent: files and sockets. Whoever asks reads the log.

mod change;
mod figures;
mod life;
mod past;
mod replay;

pub use change::{ChangeFile, Changes};
pub use figures::{CenterFigures, Figures, TenantFigures, Times};
pub use past::Past;

use crate::load::{Arrival, Stock};
use crate::measure::mean;
use crate::run::run;
use crate::{Error, Setup};
use controller::Declarations;
use figures::{Measured, Scene, times};
use life::{Life, Lives};
use model::file::Catalog;
use model::{CenterId, Chips, JobId, Moment};
use past::Network;
use planner::Policy;
use replay::Replay;
use serde::Serialize;
use std::collections::BTreeMap;

/// A half-open stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Period {
    /// From this moment on.
    #[serde(rename = "from_ms")]
    pub from: Moment,
    /// Until this one, which is not within. A period that ends where it begins is the present: what
    /// is there goes on, and nobody arrives.
    #[serde(rename = "to_ms")]
    pub to: Moment,
}

impl Period {
    fn contains(&self, at: Moment) -> bool {
        self.from <= at && at < self.to
    }

    fn is_ahead(&self) -> bool {
        self.from >= self.to
    }
}

/// A load of the past, ready to be played.
#[derive(Debug)]
pub struct WhatIf<'a> {
    period: Period,
    network: Network,
    stock: Vec<Stock>,
    replay: Replay<'a>,
    withheld: u64,
}

/// What came of playing it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The period whose load was played.
    pub period: Period,
    /// Whether what is there now was played on, rather than the past again.
    pub ahead: bool,
    /// What the load was made of.
    pub load: LoadFigures,
    /// The seed.
    pub seed: u64,
    /// The changes, in words.
    pub changes: Vec<String>,
    /// What to bear in mind.
    pub notes: Vec<String>,
    /// What really happened; absent where that lies ahead.
    pub really: Option<Figures>,
    /// What the simulation makes of the load on the network as it was.
    pub as_it_was: Figures,
    /// How far that lies from what really happened.
    pub fidelity: Option<Fidelity>,
    /// What it makes of the load after the changes; absent where there are none.
    pub changed: Option<Figures>,
}

/// What a load was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LoadFigures {
    /// Jobs whose figures count.
    pub jobs: u64,
    /// Jobs beside them that ran when the period began, and held their chips.
    pub running_before: u64,
    /// Jobs beside them that waited when it began.
    pub waiting_before: u64,
    /// Jobs, of all these, whose real run time is known.
    pub known: u64,
    /// Jobs whose run time is an estimate: they had not ended when the log did.
    pub estimated: u64,
}

/// How far the simulation of the past is from the past, over the jobs that ran in both.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fidelity {
    /// How many jobs that is.
    pub jobs: u64,
    /// How long they really waited, on average.
    pub real_mean_wait_s: f64,
    /// How long they waited in the simulation.
    pub simulated_mean_wait_s: f64,
    /// How long until they had really ended, on average, over those that did.
    pub real_mean_completion_s: f64,
    /// The same in the simulation.
    pub simulated_mean_completion_s: f64,
    /// How far the two waits of a job are apart, whichever is longer, on average.
    pub mean_wait_apart_s: f64,
    /// Share of them that ran in the same center.
    pub same_center: f64,
}

/// What one simulated run came to.
struct Simulated {
    /// By place in the load.
    jobs: BTreeMap<usize, JobId>,
    lives: Lives,
    chips: BTreeMap<CenterId, Chips>,
}

impl<'a> WhatIf<'a> {
    /// The load of a period of the past.
    ///
    /// # Errors
    ///
    /// When nothing was submitted then, or nothing is left to do.
    pub fn of(past: &'a Past, period: Period) -> Result<Self, Error> {
        let replay = Replay::of(past, period)?;
        if !replay.jobs.iter().any(|job| job.counts) {
            return Err(nothing(past, period));
        }
        let inside = replay.jobs.iter().map(|job| job.life);
        let fresh = inside.clone().filter(|life| life.since >= Some(period.from));
        let first = fresh.map(|life| life.number).min();
        let network = past.network(period, first);
        let stock = past.data(period, inside);
        Ok(Self { period, network, stock, replay, withheld: past.withheld })
    }

    /// How many jobs each run plays.
    #[must_use]
    pub fn jobs(&self) -> u64 {
        self.replay.jobs.len() as u64
    }

    /// Plays it as it was and, where there are changes, with them. `each` is told of every job that
    /// arrives in either run. Chips of added centers are those of the network and of `catalog`.
    ///
    /// # Errors
    ///
    /// When changes name what is not there, the changed network is not accepted, or a run breaks a
    /// promise of the design: then its figures are worth nothing.
    pub fn play(
        &self,
        changes: &Changes,
        catalog: &Catalog,
        seed: u64,
        each: &mut dyn FnMut(),
    ) -> Result<Answer, Error> {
        let mut changed_network = self.network.declared.clone();
        let mut changed_policy = Policy::default();
        let said = changes.make(&mut changed_network, &mut changed_policy, catalog)?;
        let mut notes = self.notes();
        let was = self.simulate(&self.network.declared, &Policy::default(), seed, each)?;
        let changed = match changes.is_empty() {
            true => None,
            false => Some(self.simulate(&changed_network, &changed_policy, seed, each)?),
        };
        for stock in self.lost_data(&changed_network).filter(|_| changed.is_some()) {
            notes.push(format!(
                "all copies of {} would be lost: jobs that read it never run",
                stock.data.dataset
            ));
        }
        let really = (!self.period.is_ahead()).then(|| self.really());
        Ok(Answer {
            period: self.period,
            ahead: self.period.is_ahead(),
            load: self.load(),
            seed,
            changes: said,
            notes,
            fidelity: really.as_ref().and_then(|_| self.fidelity(&was)),
            really,
            as_it_was: self.scene(&was).figures(),
            changed: changed.map(|changed| self.scene(&changed).figures()),
        })
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for center in &self.network.absent {
            notes.push(format!("center {center} never had an agent and is left out"));
        }
        if self.network.changes > 0 {
            let times = match self.network.changes {
                1 => "once".to_owned(),
                many => format!("{many} times"),
            };
            notes.push(format!(
                "the network was changed {times} during the period; it is played as it was when \
                 the first job came"
            ));
        }
        if self.withheld > 0 {
            let count = self.withheld;
            notes.push(format!("{count} facts were withheld or erased and are left out"));
        }
        notes
    }

    fn load(&self) -> LoadFigures {
        let jobs = &self.replay.jobs;
        let count = |of: &dyn Fn(&replay::Job<'_>) -> bool| {
            jobs.iter().filter(|job| of(job)).count() as u64
        };
        let known = count(&|job| job.truth.known);
        LoadFigures {
            jobs: count(&|job| job.counts),
            running_before: count(&|job| !job.counts && job.runs_before()),
            waiting_before: count(&|job| !job.counts && !job.runs_before()),
            known,
            estimated: jobs.len() as u64 - known,
        }
    }

    /// Data that some center had, and none of those that this network leaves.
    fn lost_data<'s>(&'s self, network: &'s Declarations) -> impl Iterator<Item = &'s Stock> {
        let has = |network: &Declarations, stock: &Stock| {
            network.centers.iter().any(|center| stock.at.contains(&center.center))
        };
        let was = &self.network.declared;
        self.stock.iter().filter(move |stock| has(was, stock) && !has(network, stock))
    }

    fn simulate(
        &self,
        network: &Declarations,
        policy: &Policy,
        seed: u64,
        each: &mut dyn FnMut(),
    ) -> Result<Simulated, Error> {
        let mut setup = Setup::new(network.clone());
        setup.start = self.replay.start;
        setup.settings.policy = policy.clone();
        setup.speeds = self.replay.speeds.clone();
        let there = |center: &CenterId| network.centers.iter().any(|c| c.center == *center);
        for stock in &self.stock {
            let at = stock.at.iter().filter(|center| there(center)).cloned().collect();
            setup.data.push(Stock { at, ..stock.clone() });
        }
        setup.data.retain(|stock| !stock.at.is_empty());
        let (places, arrivals): (Vec<usize>, Vec<Arrival>) =
            self.replay.arrivals(network).into_iter().unzip();
        let mut lives = Lives::default();
        let played = run(&setup, &mut arrivals.into_iter().inspect(|_| each()), seed, &mut lives)?;
        if let Some(violation) = played.violations.first() {
            return Err(Error::Unfit {
                said: format!("the simulated network broke a promise: {violation}"),
                help: "its figures are worth nothing; please report this".to_owned(),
            });
        }
        if lives.jobs.len() != places.len() {
            let refused = places.len() - lives.jobs.len();
            let why = played.rejections.first().map_or("no reason was given", String::as_str);
            return Err(Error::Unfit {
                said: format!("the network does not accept {refused} of the jobs: {why}"),
                help: "choose a period or changes without them".to_owned(),
            });
        }
        // Jobs are numbered as they are accepted, which is the order in which they arrive.
        let jobs = places.into_iter().zip(lives.jobs.keys().copied()).collect();
        Ok(Simulated { jobs, lives, chips: chips(network) })
    }

    /// What a simulated run is measured by.
    fn scene<'s>(&'s self, run: &'s Simulated) -> Scene<'s> {
        let measured = |(place, job): (usize, &'s replay::Job<'_>)| {
            let life = run.jobs.get(&place).and_then(|job| run.lives.jobs.get(job));
            job.counts.then(|| measured(job, life))
        };
        let jobs: Vec<_> = self.replay.jobs.iter().enumerate().filter_map(measured).collect();
        let all: Vec<&Life> = run.lives.jobs.values().collect();
        let period = match self.period.is_ahead() {
            true => Period { to: last_end(&all).unwrap_or(self.period.to), ..self.period },
            false => self.period,
        };
        Scene { jobs, all, chips: run.chips.clone(), period }
    }

    fn really(&self) -> Figures {
        let counted = self.replay.jobs.iter().filter(|job| job.counts);
        let scene = Scene {
            jobs: counted.map(|job| measured(job, Some(job.life))).collect(),
            all: self.replay.jobs.iter().map(|job| job.life).collect(),
            chips: chips(&self.network.declared),
            period: self.period,
        };
        scene.figures()
    }

    /// How far a simulated run is from what really happened.
    fn fidelity(&self, run: &Simulated) -> Option<Fidelity> {
        let simulated = self.scene(run);
        let counted = self.replay.jobs.iter().filter(|job| job.counts);
        let real = counted.map(|job| measured(job, Some(job.life)));
        let pairs: Vec<(Measured<'_>, &Measured<'_>)> = real
            .zip(&simulated.jobs)
            .filter(|(real, simulated)| real.waited().is_some() && simulated.waited().is_some())
            .collect();
        let ended = || pairs.iter().filter(|(r, s)| r.took().is_some() && s.took().is_some());
        let apart = pairs.iter().filter_map(|(real, simulated)| {
            Some(real.waited()?.0.abs_diff(simulated.waited()?.0) as f64 / 1e3)
        });
        let apart: Vec<f64> = apart.collect();
        let same = pairs.iter().filter(|(real, simulated)| real.center() == simulated.center());
        (!pairs.is_empty()).then(|| Fidelity {
            jobs: pairs.len() as u64,
            real_mean_wait_s: times(pairs.iter().filter_map(|(real, _)| real.waited())).mean_s,
            simulated_mean_wait_s: times(pairs.iter().filter_map(|(_, s)| s.waited())).mean_s,
            real_mean_completion_s: times(ended().filter_map(|(real, _)| real.took())).mean_s,
            simulated_mean_completion_s: times(ended().filter_map(|(_, s)| s.took())).mean_s,
            mean_wait_apart_s: mean(apart.iter().copied()),
            same_center: same.count() as f64 / pairs.len() as f64,
        })
    }
}

fn measured<'s>(job: &'s replay::Job<'_>, life: Option<&'s Life>) -> Measured<'s> {
    Measured { tenant: &job.life.spec.tenant, life, work: job.truth.work }
}

/// Chips of each center.
fn chips(network: &Declarations) -> BTreeMap<CenterId, Chips> {
    let center = |center: &model::Center| {
        let pools = center.pools.iter();
        let chips = pools.fold(Chips::ZERO, |sum, pool| sum.saturating_add(pool.chips()));
        (center.center.clone(), chips)
    };
    network.centers.iter().map(center).collect()
}

fn last_end(lives: &[&Life]) -> Option<Moment> {
    lives.iter().filter_map(|life| life.ended.as_ref().map(|(at, _)| *at)).max()
}

/// Why there is nothing to play.
fn nothing(past: &Past, period: Period) -> Error {
    let whole = past.whole();
    if period.is_ahead() {
        return Error::Unfit {
            said: "nothing waits at the end of the log".to_owned(),
            help: "leave out `--ahead` to play the past again".to_owned(),
        };
    }
    let (said, help) = match whole {
        None => ("the log has no jobs".to_owned(), "submit some first".to_owned()),
        Some(Period { from, to }) => (
            format!("no job was submitted from {} to {}", period.from, period.to),
            format!("the log's {} jobs came from {from} to {to}", past.jobs()),
        ),
    };
    Error::Unfit { said, help }
}
