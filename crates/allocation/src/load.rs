//! How heavy a set of throughputs weighs on the resources.
//!
//! The load of throughputs is the least `l` such that `l` times every capacity would do for them. By
//! duality it is the most they cost at any prices at which all capacities together cost one:
//! everybody is as cheap as can be at given prices, and the prices are made as dear as can be.

use crate::Choice;
use crate::linear::{Program, Row, Unsolved};
use crate::price::Market;

/// The prices at which throughputs cost most.
#[derive(Debug, Clone)]
pub(crate) struct Heaviest {
    /// What they cost there, where all capacities together cost one.
    pub(crate) load: f64,
    pub(crate) prices: Vec<f64>,
}

/// Up to so many resources, prices are found by cutting planes in as many dimensions; beyond, by one
/// program with all choices of all classes in it. Both find the same; the first takes a few
/// microseconds a class and plane, but ever more planes.
const FEW: usize = 8;

/// How far from the highest a load may be, of its size.
const PRECISION: f64 = 1e-9;

/// A resource all there is of which is worth less than this part of everything is worth nothing.
const NOTHING: f64 = 1e-9;

/// After so many planes the best found is what it is.
const PLANES: usize = 400;

/// Weighs throughputs, and remembers prices that mattered before.
#[derive(Debug)]
pub(crate) struct Scales<'a> {
    market: &'a Market<'a>,
    /// Prices worth a look before others are sought.
    known: Vec<Vec<f64>>,
}

/// Prices whose mixes together load nothing more than the heaviest do, with the part of each.
type Parts = Vec<(Vec<f64>, f64)>;

/// A price vector, and what everybody uses at it.
struct Plane {
    prices: Vec<f64>,
    /// The usage of each resource, as a share of its capacity.
    loads: Vec<f64>,
}

impl<'a> Scales<'a> {
    pub(crate) const fn new(market: &'a Market<'a>, known: Vec<Vec<f64>>) -> Self {
        Self { market, known }
    }

    fn capacities(&self) -> &'a [f64] {
        &self.market.problem.capacities
    }

    /// The resources there is anything of.
    fn resources(&self) -> impl Iterator<Item = usize> + '_ {
        self.capacities().iter().enumerate().filter(|(_, c)| **c > 0.0).map(|(at, _)| at)
    }

    /// The heaviest prices for these throughputs; or, where they cost more than `enough`, prices that
    /// are no further from the heaviest than from that.
    pub(crate) fn heaviest(&self, throughputs: &[f64], enough: f64) -> Result<Heaviest, Unsolved> {
        let count = self.resources().count();
        match count {
            0 => Ok(Heaviest { load: 0.0, prices: vec![0.0; self.capacities().len()] }),
            1..=FEW => Ok(self.by_planes(throughputs, enough)?.0),
            _ => Ok(self.by_program(throughputs)?.0),
        }
    }

    /// Prices that are worth a look next time.
    pub(crate) fn remember(&mut self, prices: Vec<f64>) {
        self.known.push(prices);
    }

    /// How the members of each class divide their time among its choices for these throughputs, which
    /// are to weigh no more than one.
    pub(crate) fn divide(&self, throughputs: &[f64]) -> Result<Vec<Vec<f64>>, Unsolved> {
        let classes = &self.market.problem.classes;
        let mut shares: Vec<Vec<f64>> =
            classes.iter().map(|class| vec![0.0; class.choices.len()]).collect();
        let count = self.resources().count();
        if count > FEW {
            for (class, choice, time) in self.by_program(throughputs)?.1 {
                shares[class][choice] += time;
            }
            // The program may give more than was asked for where it loads nothing.
            for ((class, shares), wanted) in classes.iter().zip(&mut shares).zip(throughputs) {
                let rates = class.choices.iter().zip(&*shares).map(|(c, time)| c.rate * time);
                let had: f64 = rates.sum();
                if had > *wanted {
                    shares.iter_mut().for_each(|time| *time *= wanted / had);
                }
            }
            return Ok(shares);
        }
        for (prices, part) in self.by_planes(throughputs, f64::INFINITY)?.1 {
            for (class, wanted) in throughputs.iter().enumerate() {
                for (choice, time) in self.market.mix(class, &prices, *wanted) {
                    if time > 0.0 {
                        shares[class][choice] += part * time;
                    }
                }
            }
        }
        Ok(shares)
    }

    /// By cutting planes: what everybody uses at some prices says how much the same would cost at any
    /// others, which is the least that is certain of these. Beside the heaviest, the prices whose
    /// mixes together load nothing more than it, with the part of each.
    fn by_planes(&self, throughputs: &[f64], enough: f64) -> Result<(Heaviest, Parts), Unsolved> {
        let resources: Vec<usize> = self.resources().collect();
        let mut best = Heaviest { load: -1.0, prices: Vec::new() };
        let mut planes = Vec::new();
        for prices in self.first_prices(&resources) {
            let load = self.cut(prices, throughputs, &mut planes);
            take(&mut best, load, &planes);
        }
        loop {
            let (above, prices, parts) = self.dearest(&resources, &planes)?;
            let is_done = above - best.load <= PRECISION * above.max(1.0);
            let is_enough = best.load - enough > (above - best.load).max(0.0);
            if is_done || is_enough || planes.len() >= PLANES {
                let parts = planes.into_iter().map(|plane| plane.prices).zip(parts);
                return Ok((best, parts.collect()));
            }
            let load = self.cut(prices, throughputs, &mut planes);
            take(&mut best, load, &planes);
        }
    }

    /// Prices known from before, each resource alone, and all alike.
    fn first_prices(&self, resources: &[usize]) -> impl Iterator<Item = Vec<f64>> {
        let none = vec![0.0; self.capacities().len()];
        let alone = |resource: usize| {
            let mut prices = none.clone();
            prices[resource] = 1.0 / self.capacities()[resource];
            prices
        };
        let mut first: Vec<Vec<f64>> = self.known.iter().rev().take(6).cloned().collect();
        first.extend(resources.iter().map(|resource| alone(*resource)));
        let mut alike = none.clone();
        for resource in resources {
            alike[*resource] = 1.0 / (self.capacities()[*resource] * resources.len() as f64);
        }
        first.push(alike);
        first.into_iter()
    }

    fn cut(&self, prices: Vec<f64>, throughputs: &[f64], planes: &mut Vec<Plane>) -> f64 {
        let mut loads = vec![0.0; prices.len()];
        let load = self.market.usage(&prices, throughputs, &mut loads);
        for (load, capacity) in loads.iter_mut().zip(self.capacities()) {
            *load = if *capacity > 0.0 { *load / capacity } else { 0.0 };
        }
        planes.push(Plane { prices, loads });
        load
    }

    /// The prices that cost most by the planes, how much, and the part of each plane in that.
    fn dearest(
        &self,
        resources: &[usize],
        planes: &[Plane],
    ) -> Result<(f64, Vec<f64>, Vec<f64>), Unsolved> {
        let mut program = Program::default();
        let together = program.exactly(1.0);
        let rows: Vec<Row> = planes.iter().map(|_| program.at_most(0.0)).collect();
        let cost = program.unknown(-1.0, rows.iter().map(|row| (*row, 1.0)));
        for resource in resources {
            let loads = rows.iter().zip(planes).map(|(row, plane)| (*row, -plane.loads[*resource]));
            program.unknown(0.0, loads.chain([(together, 1.0)]));
        }
        let found = program.least()?;
        let worth = scarce(&found.values[cost + 1..]);
        let sum: f64 = worth.iter().sum();
        let mut prices = vec![0.0; self.capacities().len()];
        for (resource, worth) in resources.iter().zip(&worth) {
            prices[*resource] = worth / sum / self.capacities()[*resource];
        }
        let parts: Vec<f64> = found.prices[1..].iter().map(|part| part.max(0.0)).collect();
        let whole: f64 = parts.iter().sum();
        Ok((found.values[cost], prices, parts.iter().map(|part| part / whole).collect()))
    }

    /// By one program. Beside the heaviest, who has how much time in which choice.
    #[expect(clippy::type_complexity, reason = "class, choice and time are said once, here")]
    fn by_program(
        &self,
        throughputs: &[f64],
    ) -> Result<(Heaviest, Vec<(usize, usize, f64)>), Unsolved> {
        let mut program = Program::default();
        let capacities = self.capacities();
        let rows: Vec<Row> = capacities.iter().map(|_| program.at_most(0.0)).collect();
        let load = program.unknown(1.0, self.resources().map(|at| (rows[at], -1.0)));
        let mut whose = Vec::new();
        for (at, class) in self.market.problem.classes.iter().enumerate() {
            if throughputs[at] <= 0.0 {
                continue;
            }
            let time = program.at_most(1.0);
            let wanted = program.at_most(-1.0);
            for choice in self.market.choices(at) {
                let Choice { rate, uses } = &class.choices[*choice];
                let used = uses
                    .iter()
                    .filter(|(_, amount)| *amount > 0.0)
                    .map(|(r, amount)| (rows[*r], class.count * amount / capacities[*r]));
                let has = [(time, 1.0), (wanted, -rate / throughputs[at])];
                program.unknown(0.0, has.into_iter().chain(used));
                whose.push((at, *choice));
            }
        }
        let found = program.least()?;
        let worth = scarce(&found.prices[..rows.len()]);
        let sum: f64 = worth.iter().sum();
        let price = |(worth, capacity): (&f64, &f64)| match *capacity > 0.0 && sum > 0.0 {
            true => worth / sum / capacity,
            false => 0.0,
        };
        let prices = worth.iter().zip(capacities).map(price).collect();
        let times = whose.into_iter().zip(&found.values[load + 1..]);
        let shares = times.map(|((class, choice), time)| (class, choice, *time)).collect();
        Ok((Heaviest { load: found.values[load], prices }, shares))
    }
}

/// What resources are worth, without what is there by rounding alone.
fn scarce(worth: &[f64]) -> Vec<f64> {
    worth.iter().map(|worth| if *worth > NOTHING { *worth } else { 0.0 }).collect()
}

fn take(best: &mut Heaviest, load: f64, planes: &[Plane]) {
    if load > best.load
        && let Some(plane) = planes.last()
    {
        *best = Heaviest { load, prices: plane.prices.clone() };
    }
}
