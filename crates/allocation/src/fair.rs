//! Weighted lexicographic max-min, exactly.
//!
//! Water rises in the tree of tenants until some resources have no more to give. Who could rise
//! further only with what these have stays; whoever can do with others rises on. By duality each such
//! stop names prices at which what everybody has costs all there is; who stays is who pays for more,
//! and a resource with a price never gives again. So there are at most as many stages as resources,
//! however many classes there are and however differently they run.
//!
//! At a level, the prices are sought at which throughputs cost most ([`Scales`]); where that is more
//! than there is, the highest level that can be paid at these prices is the next to try. Levels fall to
//! the right one in a few steps, for prices are few (Newton's method on a concave function).

use crate::load::Scales;
use crate::price::Market;
use crate::water::Water;
use crate::{Error, Problem};

/// How much more than there is may be used, of its size; ten times as much where rounding stops the
/// water though nothing runs out that had not before, up to the last.
const SLACK: f64 = 1e-9;
const MOST_SLACK: f64 = 1e-6;

/// A resource all there is of which costs less than this part of everything may have its price by
/// rounding alone.
const SMALL: f64 = 1e-2;

/// How much higher water is thought to rise to see what forbids it, of its level.
const STEP: f64 = 1e-3;

/// What solvers round costs by, of all there is.
const ROUNDING: f64 = 1e-7;

/// A moment at which resources had no more to give.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// How high the water stood.
    pub level: f64,
    /// What one of each resource costs there, where all there is of all costs one.
    pub prices: Vec<f64>,
}

/// Who ought to get what.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fair {
    /// The throughput of a member of each class.
    pub throughputs: Vec<f64>,
    /// The time a member of each class has in each of its choices, together at most one.
    pub shares: Vec<Vec<f64>>,
    /// Where the water stopped, from the lowest level up.
    pub stages: Vec<Stage>,
}

impl Fair {
    /// What one more of each resource is worth to those who first want for it, where all there is of
    /// everything costs one in each stage: the price of the first stage in which it has one. Zero where
    /// it never runs out.
    #[must_use]
    pub fn prices(&self) -> Vec<f64> {
        let count = self.stages.first().map_or(0, |stage| stage.prices.len());
        let first = |at: usize| {
            let mut with = self.stages.iter().map(|stage| stage.prices[at]);
            with.find(|price| *price > 0.0).unwrap_or(0.0)
        };
        (0..count).map(first).collect()
    }
}

/// The fair throughputs of a problem, and how they are had.
///
/// # Errors
///
/// A number that cannot be meant, or a linear program the solver gave up on.
pub fn fair(problem: &Problem) -> Result<Fair, Error> {
    fair_from(problem, &[])
}

/// The same, sooner where the stages of a similar problem are known.
///
/// # Errors
///
/// As [`fair()`].
pub fn fair_from(problem: &Problem, before: &[Stage]) -> Result<Fair, Error> {
    problem.check()?;
    let market = Market::new(problem);
    let mut rise = Rise::new(&market, before);
    while rise.stage()? {}
    let throughputs = rise.caps;
    let shares = rise.scales.divide(&throughputs)?;
    Ok(Fair { throughputs, shares, stages: rise.stages })
}

/// How high everybody's throughput can be at once: the level of the first stage, or at which the first
/// class can use no more. Classes that can run nowhere are left out.
///
/// # Errors
///
/// As [`fair()`].
pub fn even(problem: &Problem, before: &[Stage]) -> Result<Stage, Error> {
    problem.check()?;
    let market = Market::new(problem);
    let mut rise = Rise::new(&market, before);
    let first_full = Water::new(problem, &rise.caps).first_full();
    let top = if first_full.is_finite() { first_full } else { 0.0 };
    let (level, prices) = rise.highest(top)?;
    Ok(Stage { level, prices })
}

/// Water that has risen so far.
struct Rise<'a> {
    market: &'a Market<'a>,
    scales: Scales<'a>,
    /// The most throughput each class can still come to.
    caps: Vec<f64>,
    /// Resources with no more to give.
    closed: Vec<bool>,
    level: f64,
    slack: f64,
    stages: Vec<Stage>,
}

impl<'a> Rise<'a> {
    fn new(market: &'a Market<'a>, before: &[Stage]) -> Self {
        let problem = market.problem;
        let closed = vec![false; problem.capacities.len()];
        let fits = |stage: &&Stage| stage.prices.len() == closed.len();
        let known = before.iter().filter(fits);
        let known = known.map(|stage| scaled(&stage.prices, &problem.capacities)).collect();
        let classes = 0..problem.classes.len();
        Self {
            market,
            scales: Scales::new(market, known),
            caps: classes.map(|class| market.best_rate(class, &closed)).collect(),
            closed,
            level: 0.0,
            slack: SLACK,
            stages: Vec::new(),
        }
    }

    /// Lets the water rise until it stops; false once everybody has all it can come to.
    fn stage(&mut self) -> Result<bool, Error> {
        let water = Water::new(self.market.problem, &self.caps);
        let top = water.top();
        if top <= self.level {
            return Ok(false);
        }
        let (level, prices) = self.highest(top)?;
        if level >= top {
            return Ok(false);
        }
        let capacities = &self.market.problem.capacities;
        let runs_out = |at: &usize| prices[*at] * capacities[*at] > ROUNDING && !self.closed[*at];
        let run_out: Vec<usize> = (0..prices.len()).filter(runs_out).collect();
        if run_out.is_empty() && self.slack < MOST_SLACK {
            self.slack *= 10.0;
            return Ok(true);
        }
        for at in &run_out {
            self.closed[*at] = true;
        }
        let mut throughputs = vec![0.0; self.caps.len()];
        water.at(level, &mut throughputs);
        for (class, has) in throughputs.into_iter().enumerate() {
            let free = match run_out.is_empty() {
                true => 0.0,
                false => self.market.best_rate(class, &self.closed),
            };
            self.caps[class] = self.caps[class].min(free.max(has));
        }
        (self.level, self.slack) = (level, SLACK);
        self.scales.remember(prices.clone());
        self.stages.push(Stage { level, prices });
        Ok(true)
    }

    /// The highest level up to `top` that resources allow, and the prices that forbid any higher.
    fn highest(&mut self, top: f64) -> Result<(f64, Vec<f64>), Error> {
        let water = Water::new(self.market.problem, &self.caps);
        let mut throughputs = vec![0.0; self.caps.len()];
        // What stopped the water before weighs one, but for rounding, which is nobody's to pay for.
        let most = match self.level > 0.0 {
            true => {
                water.at(self.level, &mut throughputs);
                self.scales.heaviest(&throughputs, f64::INFINITY)?.load.max(1.0)
            }
            false => 1.0,
        };
        let mut level = top;
        let mut forbids: Option<Vec<f64>> = None;
        loop {
            water.at(level, &mut throughputs);
            let found = self.scales.heaviest(&throughputs, most + self.slack)?;
            if found.load <= most + self.slack {
                let prices = forbids.unwrap_or(found.prices);
                return Ok((level, self.needed(&water, prices, level)));
            }
            let below = self.payable(&water, (&found.prices, most), level, &mut throughputs);
            // Rounding alone is left where prices forbid a level and hardly any lower one.
            if below >= level * (1.0 - self.slack) {
                return Ok((below, self.needed(&water, found.prices, below)));
            }
            self.scales.remember(found.prices.clone());
            (level, forbids) = (below, Some(found.prices));
        }
    }

    /// The prices without those that are so small that the others forbid to rise as much without them:
    /// a solver's rounding, not scarcity.
    fn needed(&self, water: &Water<'_>, prices: Vec<f64>, level: f64) -> Vec<f64> {
        let capacities = &self.market.problem.capacities;
        let worth = |prices: &[f64], at: usize| prices[at] * capacities[at];
        let is_small = |at: &usize| (f64::MIN_POSITIVE..SMALL).contains(&worth(&prices, *at));
        let mut small: Vec<usize> = (0..prices.len()).filter(is_small).collect();
        if small.is_empty() {
            return prices;
        }
        small.sort_by(|a, b| worth(&prices, *a).total_cmp(&worth(&prices, *b)));
        let (mut here, mut above) = (vec![0.0; self.caps.len()], vec![0.0; self.caps.len()]);
        water.at(level, &mut here);
        water.at(level * (1.0 + STEP), &mut above);
        let costs = |prices: &[f64]| {
            let cost = self.market.cost(prices, &here);
            (cost, self.market.cost(prices, &above) - cost)
        };
        let (cost, step) = costs(&prices);
        let mut needed = prices;
        for at in small {
            let mut without = needed.clone();
            without[at] = 0.0;
            let without = scaled(&without, capacities);
            let (costs, steps) = costs(&without);
            if costs >= cost - ROUNDING && steps >= step * 0.9 {
                needed = without;
            }
        }
        needed
    }

    /// The highest level below `above` that costs at these prices no more than so much.
    fn payable(
        &self,
        water: &Water<'_>,
        (prices, most): (&[f64], f64),
        above: f64,
        throughputs: &mut [f64],
    ) -> f64 {
        let mut over = |level: f64| {
            water.at(level, throughputs);
            self.market.cost(prices, throughputs) - most
        };
        let (mut low, mut high) = (self.level, above);
        let (mut at_low, mut at_high) = (over(low).min(0.0), over(high).max(0.0));
        // False position, its stale end halved each time (the Illinois rule).
        for _ in 0..100 {
            if high - low <= high * 1e-13 || at_low >= 0.0 {
                break;
            }
            let middle = (low * at_high - high * at_low) / (at_high - at_low);
            let middle = middle.clamp(low, high);
            let at_middle = over(middle);
            if at_middle.abs() <= 1e-13 {
                return middle;
            }
            if at_middle < 0.0 {
                (low, at_low, at_high) = (middle, at_middle, at_high / 2.0);
            } else {
                (high, at_high, at_low) = (middle, at_middle, at_low / 2.0);
            }
        }
        low
    }
}

/// Prices at which all there is costs one.
fn scaled(prices: &[f64], capacities: &[f64]) -> Vec<f64> {
    let worth: f64 = prices.iter().zip(capacities).map(|(price, has)| price * has).sum();
    let scale = if worth > 0.0 { worth.recip() } else { 0.0 };
    prices.iter().map(|price| price * scale).collect()
}
