//! One case of a scenario: its load at one seed, to be played by whoever.

use super::file::Due;
use super::{Contender, Part, Scenario, file, files};
use crate::Error;
use crate::baseline::{self, Admission, Bounds};
use crate::load::generate::{DataRecipe, Made, Recipe, clusters};
use crate::load::{Arrival, Ask, Speeds, Stock, Tailor, delta, gavel, lists, rounded, sets, swf};
use crate::log::Nowhere;
use crate::measure::{Finished, Summary};
use crate::run::{Counts, Sample, run};
use crate::setup::START;
use audit::Violation;
use controller::Declarations;
use model::{ChipTime, JobSpec, OwnerId, Span, Tenant, TenantId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Whose the data is that a table leaves without an owner, in a network without tenants.
const NOBODY: &str = "everybody";

/// Run times of a made load are cut to this where nothing else is said.
const LONGEST: Span = Span::from_secs(30 * 86_400);

/// A load on a network, at one seed.
#[derive(Debug)]
pub struct Case<'a> {
    scenario: &'a Scenario,
    /// Its seed.
    pub seed: u64,
    /// The load it offers, in the words of the scenario.
    pub load: f64,
    /// Centers, links and tenants.
    pub network: Declarations,
    stock: Vec<Stock>,
    speeds: Arc<Speeds>,
    jobs: Jobs,
}

#[derive(Debug)]
enum Jobs {
    Listed(Vec<Arrival>),
    Made(Box<Made>),
}

/// What came of a case.
#[derive(Debug)]
pub struct Played {
    /// Who played it.
    pub contender: Contender,
    /// At which load.
    pub load: f64,
    /// At which seed.
    pub seed: u64,
    /// Its figures.
    pub summary: Summary,
    /// Its jobs, in the order of their ends.
    pub finished: Vec<Finished>,
    /// Promises of the design that did not hold; only the real thing can break any.
    pub violations: Vec<Violation>,
    /// The network now and then, where it was looked at.
    pub samples: Vec<Sample>,
    /// Why submissions were not accepted: the first few.
    pub rejections: Vec<String>,
    /// What owners lent one another, in chip time: to whom, by who lent; only the real thing keeps it.
    pub lent: BTreeMap<OwnerId, BTreeMap<String, ChipTime>>,
    /// What the real thing did.
    pub counts: Option<Counts>,
}

impl Scenario {
    /// Reads or makes the load of a seed. `load` is what it is to offer; as it is where that is none.
    pub fn case(&self, load: Option<f64>, seed: u64) -> Result<Case<'_>, Error> {
        let load = load.unwrap_or(self.load.offers);
        if !(load.is_finite() && load > 0.0) {
            return Err(Error::Unfit {
                said: format!("a load of {load} cannot be offered"),
                help: "give a number above zero, such as 0.9".to_owned(),
            });
        }
        let mut network = (*self.network).clone();
        let mut speeds = Arc::clone(&self.speeds);
        let mut stock = Vec::new();
        let jobs = if let Some(made) = &self.load.made {
            let made = Made::new(self.recipe(made)?, &network, seed);
            stock.extend_from_slice(made.stock());
            welcome(&mut network, made.tenants().iter().cloned());
            Jobs::Made(Box::new(made))
        } else {
            let asks = self.asks(seed, &network, &mut speeds, &mut stock)?;
            let asks = self.pressed(asks);
            let names: BTreeSet<TenantId> =
                asks.iter().map(|ask| ask.wish.tenant.clone()).collect();
            let owners = stock.iter().map(|data| data.tenant.clone());
            welcome(
                &mut network,
                names.into_iter().chain(owners).map(|tenant| Tenant::new(tenant, None)),
            );
            let mut tailor = self.tailor(&network, &speeds);
            Jobs::Listed(asks.iter().map(|ask| tailor.arrival(ask)).collect())
        };
        Ok(Case { scenario: self, seed, load, network, stock, speeds, jobs })
    }

    fn tailor(&self, network: &Declarations, speeds: &Arc<Speeds>) -> Tailor {
        Tailor::new(network, Arc::clone(speeds), self.load.objective)
    }

    /// The jobs of a list, as they stand there.
    fn asks(
        &self,
        seed: u64,
        network: &Declarations,
        speeds: &mut Arc<Speeds>,
        stock: &mut Vec<Stock>,
    ) -> Result<Vec<Ask>, Error> {
        let file::Load { delta, csv, philly, openb, gavel, swf, sets, limit_factor, .. } =
            &self.load;
        let factor = *limit_factor;
        let read = |name: &str| match &self.jobs {
            Some(path) => files::read(path),
            None => self.folders.read(&name.replace("{seed}", &seed.to_string())),
        };
        if let Some(delta) = delta {
            let owner = network.tenants.first().map(|tenant| tenant.tenant.clone());
            let owner = owner.unwrap_or_else(|| TenantId::new(NOBODY).expect("a slug"));
            let (file, text) = self.folders.read(&delta.datasets)?;
            stock.extend(delta::stock(&file, &text, network, &owner)?);
            let (file, text) = read(&delta.jobs)?;
            return delta::jobs(&file, &text, speeds);
        }
        if let Some(csv) = csv {
            let (file, text) = read(&csv.file)?;
            return lists::csv(&file, &text, csv.columns.as_ref(), speeds, factor);
        }
        if let Some(philly) = philly {
            let (file, text) = read(&philly.file)?;
            return lists::philly(&file, &text, factor);
        }
        if let Some(openb) = openb {
            let (file, text) = read(&openb.file)?;
            return lists::openb(&file, &text, &openb.chips, factor);
        }
        if let Some(gavel) = gavel {
            let (file, text) = self.folders.read(&gavel.throughputs)?;
            let throughputs = gavel::Throughputs::read(&file, &text, &gavel.chips)?;
            let (file, text) = read(&gavel.file)?;
            let rate = gavel.jobs_per_hour.unwrap_or(1.0);
            let asks = gavel::jobs(&file, &text, &throughputs, rate, factor)?;
            *speeds = Arc::new(throughputs.speeds);
            return Ok(asks);
        }
        if let Some(swf) = swf {
            let (file, text) = read(&swf.file)?;
            return swf::jobs(&file, &text, swf.processors_per_chip, factor);
        }
        if let Some(sets) = sets {
            return Ok(sets::jobs(&self.sets(sets), seed, factor));
        }
        let said = "there are no jobs";
        Err(self.misread(0..0, format!("{said}: give one of the forms under `[load]`")))
    }

    /// The jobs of the window that is asked for, in the time that is asked for.
    fn pressed(&self, mut asks: Vec<Ask>) -> Vec<Ask> {
        let load = &self.load;
        let from = load.from.map_or(Span::ZERO, |from| *from);
        let until = load.until.map_or(Span::MAX, |until| *until);
        asks.retain(|ask| ask.after >= from && ask.after < until);
        asks.truncate(load.first.unwrap_or(usize::MAX));
        // A window begins with its first job; a whole list where it says.
        let cut = load.from.is_some() || load.until.is_some() || load.first.is_some();
        let start = asks.first().filter(|_| cut).map_or(Span::ZERO, |ask| ask.after);
        let longest = load.longest.map_or(Span::MAX, |longest| *longest);
        for ask in &mut asks {
            ask.wish.checkpoint = ask.wish.checkpoint.filter(|_| load.checkpoints);
            ask.after = divided(ask.after.saturating_sub(start), load.arrivals_divided_by);
            for span in [&mut ask.actual.work, &mut ask.wish.limit] {
                *span = divided(*span, load.durations_divided_by).clamp(Span(1), longest);
            }
        }
        asks
    }

    fn sets(&self, file: &file::Sets) -> sets::Sets {
        let set = |set: &file::SetFile| sets::Set {
            workload: set.workload.clone(),
            count: set.count,
            from: *set.from,
            every: *set.every,
            chips: *set.chips,
            run: (*set.run, set.to.map_or(*set.run, |to| *to)),
            limit: set.limit.map(|limit| *limit),
            priority: set.priority,
            preemptible: set.preemptible,
            classes: set.classes.clone(),
        };
        let tenants = match &file.tenants {
            file::Tenants::Count(count) => sets::numbered(*count),
            file::Tenants::Named(names) => names.clone(),
        };
        sets::Sets { tenants, sets: file.jobs.iter().map(set).collect() }
    }

    fn recipe(&self, made: &file::MadeLoad) -> Result<Recipe, Error> {
        let (file, text) = self.folders.read(&made.clusters)?;
        let known = clusters(&file, &text)?;
        let like = made.like.iter().map(|(name, share)| {
            let found = known.iter().find(|cluster| cluster.name == *name);
            let cluster = found.cloned().ok_or_else(|| {
                let names: Vec<_> = known.iter().map(|cluster| &*cluster.name).collect();
                let said = format!("{file} has no cluster `{name}` but {}", names.join(", "));
                self.misread(0..0, said)
            })?;
            Ok((cluster, *share))
        });
        let data = made.data.as_ref().map(|data| DataRecipe {
            sets: data.sets,
            share: data.share,
            zipf: data.zipf,
            median: *data.median,
            sigma: data.sigma,
        });
        Ok(Recipe {
            jobs: made.jobs,
            over: *made.over,
            chip_seconds: made.chip_seconds,
            tenants: made.tenants,
            workloads: made.workloads,
            like: like.collect::<Result<_, Error>>()?,
            swing: made.swing,
            peak: made.peak.map_or(Span::from_secs(43_200), |peak| *peak),
            largest: made.largest.unwrap_or(u64::MAX),
            longest: made.longest.map_or(LONGEST, |longest| *longest),
            preemptible: made.preemptible,
            checkpoints: self.load.checkpoints,
            data,
        })
    }
}

/// Divided, to the nearest millisecond.
fn divided(span: Span, by: f64) -> Span {
    rounded(span.0 as f64 / by.max(f64::MIN_POSITIVE)).map_or(Span::MAX, Span)
}

/// Declares the tenants that the network does not have. Those who say nothing else are at home in
/// one center after the other.
fn welcome(network: &mut Declarations, tenants: impl Iterator<Item = Tenant>) {
    let mut homes = network.centers.iter().map(|center| &center.center).cycle();
    for tenant in tenants {
        if !network.tenants.iter().any(|known| known.tenant == tenant.tenant) {
            let home = tenant.home.clone().or_else(|| homes.next().cloned());
            network.tenants.push(Tenant { home, ..tenant });
        }
    }
}

impl Case<'_> {
    /// How many jobs arrive.
    #[must_use]
    pub fn jobs(&self) -> u64 {
        match &self.jobs {
            Jobs::Listed(arrivals) => arrivals.len() as u64,
            Jobs::Made(made) => made.jobs(),
        }
    }

    /// The jobs as they arrive, those of a made load drawn as they are asked for.
    pub fn arrivals(&self) -> Box<dyn Iterator<Item = Arrival> + '_> {
        let stretch = self.load / self.scenario.load.offers;
        let stretched =
            move |arrival: Arrival| Arrival { after: divided(arrival.after, stretch), ..arrival };
        let due = self.due();
        match &self.jobs {
            Jobs::Listed(arrivals) => Box::new(arrivals.iter().cloned().map(stretched).map(due)),
            Jobs::Made(made) => {
                let tailor = self.scenario.tailor(&self.network, &self.speeds);
                Box::new(made.arrivals(tailor).map(stretched).map(due))
            }
        }
    }

    /// Gives jobs their deadlines, one after the other.
    fn due(&self) -> impl FnMut(Arrival) -> Arrival + use<> {
        let due = self.scenario.load.due;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        move |arrival| {
            let Some(Due { share, from, to }) = due else { return arrival };
            let (is_due, times) = (rng.random_bool(share), rng.random_range(from..=to));
            let Some(limit) = arrival.spec.limit(0).filter(|_| is_due) else { return arrival };
            let deadline = START + arrival.after + divided(limit, 1.0 / times);
            let spec = JobSpec { deadline: Some(deadline), ..(*arrival.spec).clone() };
            Arrival { spec: Arc::new(spec), ..arrival }
        }
    }

    /// Plays it; `each` is told of every job that arrives.
    pub fn play(&self, contender: Contender, each: &mut dyn FnMut()) -> Result<Played, Error> {
        let arrivals = self.arrivals().inspect(|_| each());
        let mut played = Played {
            contender,
            load: self.load,
            seed: self.seed,
            summary: Summary::of(&[], model::Chips::ZERO),
            finished: Vec::new(),
            violations: Vec::new(),
            samples: Vec::new(),
            rejections: Vec::new(),
            lent: BTreeMap::new(),
            counts: None,
        };
        match contender {
            Contender::Portolan { aim, without } => {
                self.play_portolan((aim, without), arrivals, &mut played)?;
            }
            Contender::Baseline(baseline) => {
                let finished = &mut played.finished;
                baseline::run(self.stage(), baseline, arrivals, &mut |job| finished.push(job))?;
            }
        }
        played.summary = Summary::of(&played.finished, self.scenario.chips());
        Ok(played)
    }

    /// What no schedule of it does better than in which each job runs at a stretch; none where
    /// nobody can run anything.
    pub fn bounds(&self) -> Result<Option<Bounds>, Error> {
        baseline::bounds(self.stage(), self.arrivals())
    }

    fn stage(&self) -> baseline::Stage<'_> {
        baseline::Stage { network: &self.network, stock: &self.stock, speeds: &self.speeds }
    }

    /// Plays it through the real thing. Jobs that nobody could ever run are refused at the door, as
    /// the other policies do: nobody waits for them.
    fn play_portolan(
        &self,
        (aim, without): (Option<planner::Aim>, Option<Part>),
        arrivals: impl Iterator<Item = Arrival>,
        played: &mut Played,
    ) -> Result<(), Error> {
        let admission = Admission::new(self.stage())?;
        let mut setup = self.scenario.setup();
        if let Some(aim) = aim {
            setup.settings.policy = setup.settings.policy.towards(aim);
        }
        if let Some(part) = without {
            part.leave_out(&mut setup.settings);
        }
        setup.declarations = self.network.clone();
        setup.data.clone_from(&self.stock);
        setup.speeds = (*self.speeds).clone();
        let refused = &mut played.finished;
        let mut admitted = arrivals.enumerate().filter_map(|(number, arrival)| {
            if admission.admits(&arrival) {
                return Some(arrival);
            }
            refused.push(baseline::refused(number as u64, &arrival));
            None
        });
        let run = run(&setup, &mut admitted, self.seed, &mut Nowhere)?;
        drop(admitted);
        played.finished.extend(run.finished);
        played.violations = run.violations;
        played.rejections = run.rejections;
        played.samples = run.samples;
        played.lent = run.lent;
        played.counts = Some(run.counts);
        Ok(())
    }
}
