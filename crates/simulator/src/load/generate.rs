//! Loads that are made up, calibrated on what is published of real clusters.
//!
//! Jobs belong to *workloads*: programs that somebody runs again and again, with a tenant, a gang
//! size, chips they can run on and perhaps a dataset of their own. How often a workload is run
//! follows Zipf's law. Gang sizes are powers of two whose frequencies fall geometrically, at the rate
//! that gives the cluster's mean. Run times are lognormal with the cluster's mean and median (sigma² =
//! 2 ln(mean/median)); half of the variance is between workloads, half within. Jobs that are canceled
//! or fail run longer or shorter than others as their share of GPU time says. Arrivals are Poisson
//! with a rate that swings over the day.

mod cluster;

pub use cluster::{Cluster, clusters};

use super::lists::round_limit;
use super::rows::rounded;
use super::{Actual, Allowed, Arrival, Ending, Stock, Tailor, Wish, delta};
use controller::Declarations;
use model::{Bytes, CenterId, ChipClass, DatasetId, JobSpec, Region, Span, Tenant, TenantId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a load is to be like.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// How many jobs.
    pub jobs: u64,
    /// Over how long they arrive.
    pub over: Span,
    /// Chips × time at speed 1 of all jobs together, in chip-seconds: run times are stretched to
    /// give it. As drawn where this is none.
    pub chip_seconds: Option<f64>,
    /// How many tenants.
    pub tenants: u32,
    /// How many workloads.
    pub workloads: u32,
    /// The clusters it is like, each with its share of the workloads.
    pub like: Vec<(Cluster, f64)>,
    /// How much the rate of arrivals swings about its mean over a day, from 0 to 1.
    pub swing: f64,
    /// The time of day at which it is highest.
    pub peak: Span,
    /// Gangs are cut to this many chips.
    pub largest: u64,
    /// Run times are cut to this, before they are stretched.
    pub longest: Span,
    /// Share of the workloads whose jobs may be stopped and requeued.
    pub preemptible: f64,
    /// Whether those say how often they keep their progress.
    pub checkpoints: bool,
    /// The data that jobs read.
    pub data: Option<DataRecipe>,
}

/// What data is to be like.
#[derive(Debug, Clone, PartialEq)]
pub struct DataRecipe {
    /// How many datasets.
    pub sets: u32,
    /// Share of the jobs that read one.
    pub share: f64,
    /// The n-th most popular is read as often as the first, divided by n to this power.
    pub zipf: f64,
    /// Half of the sets are smaller.
    pub median: Bytes,
    /// Standard deviation of the logarithm of their sizes.
    pub sigma: f64,
}

/// A load made after a recipe. Equal recipes, networks and seeds give equal loads. It holds the
/// workloads, never the jobs.
#[derive(Debug)]
pub struct Made {
    recipe: Recipe,
    seed: u64,
    workloads: Vec<Workload>,
    /// Running sums of how often each is run.
    often: Vec<f64>,
    tenants: Vec<Tenant>,
    stock: Vec<Stock>,
    /// What run times are multiplied with.
    stretch: f64,
    /// Sum of the gaps between arrivals, in whatever unit they are drawn.
    gaps: f64,
}

/// Something that is run again and again.
#[derive(Debug)]
struct Workload {
    wish: Wish,
    cluster: usize,
    /// Logarithm of its median run time, in seconds.
    log_median: f64,
}

/// Streams of one seed, so that one may be drawn again without the others.
enum Stream {
    Workloads,
    Jobs,
    Arrivals,
}

fn rng(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream as u64 + 1);
    rng
}

impl Made {
    /// Makes a load for a network.
    #[must_use]
    pub fn new(recipe: Recipe, network: &Declarations, seed: u64) -> Self {
        let mut rng = rng(seed, Stream::Workloads);
        let homes: Vec<&CenterId> = network.centers.iter().map(|center| &center.center).collect();
        let tenants = tenants(recipe.tenants, &homes);
        let stock = recipe.data.as_ref().map(|data| stock(data, &homes, &tenants, &mut rng));
        let mut made = Self {
            seed,
            workloads: Vec::new(),
            often: Vec::new(),
            tenants,
            stock: stock.unwrap_or_default(),
            stretch: 1.0,
            gaps: 0.0,
            recipe,
        };
        made.invent(&classes(network), &mut rng);
        let all: f64 = made.draws().map(|draw| draw.chip_seconds).sum();
        made.stretch = made.recipe.chip_seconds.map_or(1.0, |wanted| wanted / all);
        made.gaps = made.gaps().take(places(made.recipe.jobs) + 1).sum();
        made
    }

    /// How many jobs there are.
    #[must_use]
    pub fn jobs(&self) -> u64 {
        self.recipe.jobs
    }

    /// Who submits.
    #[must_use]
    pub fn tenants(&self) -> &[Tenant] {
        &self.tenants
    }

    /// The data there is at the start.
    #[must_use]
    pub fn stock(&self) -> &[Stock] {
        &self.stock
    }

    /// The jobs, sorted by time, drawn as they are asked for.
    pub fn arrivals(&self, tailor: Tailor) -> impl Iterator<Item = Arrival> + '_ {
        let mut specs = Specs { tailor, made: BTreeMap::new() };
        let mut clock = Clock::new(&self.recipe);
        let mut passed = 0.0;
        self.draws().zip(self.gaps()).map(move |(draw, gap)| {
            passed += gap;
            let work = rounded(draw.seconds * self.stretch * 1_000.0).map_or(Span(1), Span);
            let limit = round_limit(Span(rounded(work.0 as f64 * draw.caution).unwrap_or(work.0)));
            let wish = &self.workloads[draw.workload].wish;
            Arrival {
                after: clock.at(passed / self.gaps),
                spec: specs.get(draw.workload, wish, limit),
                actual: Actual { work: work.max(Span(1)), kind: 0, ending: draw.ending },
            }
        })
    }

    /// Makes up the workloads.
    fn invent(&mut self, classes: &[(ChipClass, f64)], rng: &mut ChaCha8Rng) {
        let recipe = &self.recipe;
        let shares = running(recipe.like.iter().map(|(_, share)| *share));
        let mut readers = Readers::new(recipe.data.as_ref());
        let mut sum = 0.0;
        for number in 0..recipe.workloads {
            let often = 1.0 / f64::from(number + 1).powf(0.5);
            let cluster = pick(&shares, rng.random());
            let of = &recipe.like[cluster].0;
            let tenant = &self.tenants[rng.random_range(0..self.tenants.len())].tenant;
            let chips = of.chips(recipe.largest, rng.random());
            let name = format!("{}-{number}", of.name.to_lowercase());
            let mut wish = Wish::plain(tenant.clone(), &name, chips, Span::ZERO);
            wish.on = allowed(classes, rng);
            wish.dataset = readers.next(often, rng).map(|set| self.stock[set].data.dataset.clone());
            wish.preemptible = rng.random_bool(recipe.preemptible.clamp(0.0, 1.0));
            wish.checkpoint =
                (wish.preemptible && recipe.checkpoints).then_some(Span::from_secs(1_800));
            let log_median = of.median_s.ln() + of.sigma() * 0.5_f64.sqrt() * normal(rng);
            self.workloads.push(Workload { wish, cluster, log_median });
            sum += often;
            self.often.push(sum);
        }
    }

    /// What is drawn for each job, before it is stretched.
    fn draws(&self) -> impl Iterator<Item = Draw> + '_ {
        let mut rng = rng(self.seed, Stream::Jobs);
        let longest = self.recipe.longest.0 as f64 / 1_000.0;
        (0..self.recipe.jobs).map(move |_| {
            let workload = pick(&self.often, rng.random());
            let Workload { wish, cluster, log_median } = &self.workloads[workload];
            let cluster = &self.recipe.like[*cluster].0;
            let (ending, longer) = cluster.ending(rng.random());
            let log = log_median + cluster.sigma() * 0.5_f64.sqrt() * normal(&mut rng);
            let seconds = (log.exp() * longer).min(longest);
            let caution = 1.2 + 2.8 * rng.random::<f64>();
            let chip_seconds = seconds * wish.chips.0 as f64 / 1_000.0;
            Draw { workload, ending, seconds, caution, chip_seconds }
        })
    }

    /// Gaps of a Poisson process of rate 1.
    fn gaps(&self) -> impl Iterator<Item = f64> + use<> {
        let mut rng = rng(self.seed, Stream::Arrivals);
        std::iter::repeat_with(move || -(1.0 - rng.random::<f64>()).ln())
    }
}

struct Draw {
    workload: usize,
    ending: Ending,
    seconds: f64,
    /// How many times what it needs its tenant asks for at least.
    caution: f64,
    chip_seconds: f64,
}

/// Specs by workload and limit, made once.
struct Specs {
    tailor: Tailor,
    made: BTreeMap<(usize, Span), Arc<JobSpec>>,
}

impl Specs {
    fn get(&mut self, workload: usize, wish: &Wish, limit: Span) -> Arc<JobSpec> {
        let tailor = &mut self.tailor;
        let spec = || tailor.spec(&Wish { limit, ..wish.clone() });
        Arc::clone(self.made.entry((workload, limit)).or_insert_with(spec))
    }
}

/// From shares of all arrivals to the times at which they have come.
struct Clock {
    /// Arrivals that have come by each minute, the rate being 1 on average.
    by_minute: Vec<f64>,
    minute: usize,
}

impl Clock {
    fn new(recipe: &Recipe) -> Self {
        let day = 86_400_000.0;
        let peak = recipe.peak.0 as f64;
        let minutes = usize::try_from(recipe.over.0.div_ceil(60_000)).unwrap_or(usize::MAX).max(1);
        let swing = recipe.swing.clamp(0.0, 1.0);
        let rate = |minute: usize| {
            let at = (minute as f64 + 0.5) * 60_000.0;
            1.0 + swing * ((at - peak) / day * std::f64::consts::TAU).cos()
        };
        let mut by_minute = running((0..minutes).map(rate));
        by_minute.insert(0, 0.0);
        Self { by_minute, minute: 0 }
    }

    /// When this share has come; asked in rising order.
    fn at(&mut self, share: f64) -> Span {
        let all = self.by_minute.last().copied().unwrap_or(1.0);
        let come = share * all;
        let last = self.by_minute.len() - 2;
        while self.minute < last && self.by_minute[self.minute + 1] < come {
            self.minute += 1;
        }
        let (from, to) = (self.by_minute[self.minute], self.by_minute[self.minute + 1]);
        let part = ((come - from) / (to - from)).clamp(0.0, 1.0);
        Span(rounded((self.minute as f64 + part) * 60_000.0).unwrap_or_default())
    }
}

/// Gives datasets to workloads, so that the wanted share of jobs reads one.
struct Readers<'a> {
    data: Option<&'a DataRecipe>,
    popular: Vec<f64>,
    jobs: f64,
    reading: f64,
}

impl<'a> Readers<'a> {
    fn new(data: Option<&'a DataRecipe>) -> Self {
        let zipf = |data: &DataRecipe| {
            let exponent = data.zipf;
            running((1..=data.sets).map(move |n| 1.0 / f64::from(n).powf(exponent)))
        };
        let popular = data.map(zipf).unwrap_or_default();
        Self { data, popular, jobs: 0.0, reading: 0.0 }
    }

    fn next(&mut self, often: f64, rng: &mut ChaCha8Rng) -> Option<usize> {
        let share = self.data?.share;
        self.jobs += often;
        // Whichever comes nearer to the wanted share: reading, or not.
        if self.popular.is_empty() || self.reading + often / 2.0 > share * self.jobs {
            return None;
        }
        self.reading += often;
        Some(pick(&self.popular, rng.random()))
    }
}

/// The name of a tenant that has none of its own.
pub(super) fn numbered(number: u32) -> TenantId {
    TenantId::new(&format!("t{number:03}")).expect("a letter and a number are a slug")
}

fn tenants(count: u32, homes: &[&CenterId]) -> Vec<Tenant> {
    let tenant = |number: u32| Tenant {
        home: homes.iter().cycle().nth(number as usize).map(|home| (*home).clone()),
        ..Tenant::new(numbered(number), None)
    };
    (0..count.max(1)).map(tenant).collect()
}

fn stock(
    data: &DataRecipe,
    homes: &[&CenterId],
    tenants: &[Tenant],
    rng: &mut ChaCha8Rng,
) -> Vec<Stock> {
    let mut one = |number: u32| {
        let dataset = DatasetId::new(&format!("set-{number:04}")).expect("a word and a number");
        let size = data.median.0 as f64 * (data.sigma * normal(rng)).exp();
        let mut any = || homes[rng.random_range(0..homes.len())].clone();
        let mut at = vec![any(), any()];
        at.dedup();
        Stock {
            data: delta::version(dataset),
            bytes: Bytes(rounded(size).unwrap_or(data.median.0).max(1)),
            tenant: tenants[rng.random_range(0..tenants.len())].tenant.clone(),
            at,
            residency: Vec::<Region>::new(),
        }
    };
    if homes.is_empty() { Vec::new() } else { (0..data.sets).map(&mut one).collect() }
}

/// The network's classes of chips, with how many chips it has of each.
fn classes(network: &Declarations) -> Vec<(ChipClass, f64)> {
    let mut classes: BTreeMap<ChipClass, f64> = BTreeMap::new();
    for pool in network.centers.iter().flat_map(|center| &center.pools) {
        let chip = network.chips.iter().find(|chip| Some(&chip.chip) == pool.chip.as_ref());
        if let Some(chip) = chip {
            *classes.entry(chip.class.clone()).or_default() += pool.chips().0 as f64;
        }
    }
    classes.into_iter().collect()
}

/// On which chips a workload can run: two in five have a build for all; the others for one to three
/// classes, those of which there is more before those of which there is less.
fn allowed(classes: &[(ChipClass, f64)], rng: &mut ChaCha8Rng) -> Allowed {
    if classes.len() < 2 || rng.random_bool(0.4) {
        return Allowed::Any;
    }
    let mut left = classes.to_vec();
    let count = rng.random_range(1..=3_usize).min(left.len());
    let mut take = || {
        let shares = running(left.iter().map(|(_, chips)| *chips));
        left.remove(pick(&shares, rng.random())).0
    };
    let mut chosen: Vec<ChipClass> = (0..count).map(|_| take()).collect();
    chosen.sort();
    Allowed::Classes(chosen)
}

/// Running sums.
fn running(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let sum = |sum: &mut f64, value: f64| {
        *sum += value;
        Some(*sum)
    };
    values.scan(0.0, sum).collect()
}

/// Which of those with these running sums a number from 0 to 1 falls on.
fn pick(sums: &[f64], at: f64) -> usize {
    let all = sums.last().copied().unwrap_or_default();
    sums.partition_point(|sum| *sum <= at * all).min(sums.len().saturating_sub(1))
}

/// A number of the standard normal distribution (Box and Muller).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn places(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX - 1)
}
