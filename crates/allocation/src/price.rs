//! What a throughput costs at given prices.

use crate::{Problem, ResourceNumber};

/// A choice, its price beside it.
#[derive(Debug, Clone, Copy)]
struct Priced {
    rate: f64,
    price: f64,
    choice: usize,
}

/// Classes with the choices that are open to them at all.
#[derive(Debug)]
pub(crate) struct Market<'a> {
    pub(crate) problem: &'a Problem,
    /// For each class, the choices that give anything and use only what there is something of.
    choices: Vec<Vec<usize>>,
}

/// How a member divides its time: at most two choices, with the share of time of each.
pub(crate) type Mix = [(usize, f64); 2];

impl<'a> Market<'a> {
    pub(crate) fn new(problem: &'a Problem) -> Self {
        let there_is = |(resource, amount): &(ResourceNumber, f64)| {
            *amount <= 0.0 || problem.capacities[*resource] > 0.0
        };
        let open = |class: &crate::Class| {
            let choices = class.choices.iter().enumerate();
            let open = choices.filter(|(_, c)| c.rate > 0.0 && c.uses.iter().all(there_is));
            open.map(|(at, _)| at).collect()
        };
        Self { problem, choices: problem.classes.iter().map(open).collect() }
    }

    /// The open choices of a class.
    pub(crate) fn choices(&self, class: usize) -> &[usize] {
        &self.choices[class]
    }

    /// The most throughput a member of a class can have of choices that use none of the closed
    /// resources.
    pub(crate) fn best_rate(&self, class: usize, closed: &[bool]) -> f64 {
        let all = &self.problem.classes[class].choices;
        let is_open = |choice: &&crate::Choice| {
            choice.uses.iter().all(|(resource, amount)| *amount <= 0.0 || !closed[*resource])
        };
        let open = self.choices[class].iter().map(|at| &all[*at]).filter(is_open);
        open.map(|choice| choice.rate).fold(0.0, f64::max)
    }

    /// What everybody's throughput costs together, each as cheaply as can be.
    pub(crate) fn cost(&self, prices: &[f64], throughputs: &[f64]) -> f64 {
        let mut priced = Vec::new();
        let mut sum = 0.0;
        for (at, (class, wanted)) in self.problem.classes.iter().zip(throughputs).enumerate() {
            sum += class.count * self.cheapest(at, prices, *wanted, &mut priced).0;
        }
        sum
    }

    /// The same, with how much of each resource is used that way.
    pub(crate) fn usage(&self, prices: &[f64], throughputs: &[f64], used: &mut [f64]) -> f64 {
        used.fill(0.0);
        let mut priced = Vec::new();
        let mut sum = 0.0;
        for (at, (class, wanted)) in self.problem.classes.iter().zip(throughputs).enumerate() {
            let (cost, mix) = self.cheapest(at, prices, *wanted, &mut priced);
            sum += class.count * cost;
            for (choice, time) in mix.into_iter().filter(|(_, time)| *time > 0.0) {
                for (resource, amount) in &class.choices[choice].uses {
                    used[*resource] += class.count * time * amount;
                }
            }
        }
        sum
    }

    /// The least that a member's throughput costs, and how it divides its time for it: a step along
    /// the lower hull of its choices in the plane of throughput and price, idleness among them.
    fn cheapest(
        &self,
        class: usize,
        prices: &[f64],
        wanted: f64,
        priced: &mut Vec<Priced>,
    ) -> (f64, Mix) {
        let idle = Priced { rate: 0.0, price: 0.0, choice: usize::MAX };
        let mut mix = [(0, 0.0); 2];
        if wanted <= 0.0 {
            return (0.0, mix);
        }
        let all = &self.problem.classes[class].choices;
        priced.clear();
        priced.extend(self.choices[class].iter().map(|at| {
            let uses = all[*at].uses.iter();
            let price = uses.map(|(resource, amount)| prices[*resource] * amount).sum();
            Priced { rate: all[*at].rate, price, choice: *at }
        }));
        let mut from = idle;
        loop {
            let mut next: Option<(f64, Priced)> = None;
            for to in priced.iter().filter(|to| to.rate > from.rate) {
                let slope = (to.price - from.price) / (to.rate - from.rate);
                if next.is_none_or(|(least, best)| {
                    slope < least || slope <= least && to.rate > best.rate
                }) {
                    next = Some((slope, *to));
                }
            }
            // No more is to be had; rounding alone can ask for it.
            let Some((slope, to)) = next else { break };
            if to.rate >= wanted {
                let time = (wanted - from.rate) / (to.rate - from.rate);
                mix = [(to.choice, time), (from.choice, 1.0 - time)];
                if from.choice == usize::MAX {
                    mix[1] = (0, 0.0);
                }
                return (from.price + slope * (wanted - from.rate), mix);
            }
            from = to;
        }
        if from.choice != usize::MAX {
            mix[0] = (from.choice, 1.0);
        }
        (from.price, mix)
    }

    /// How a member of a class divides its time at these prices for this throughput.
    pub(crate) fn mix(&self, class: usize, prices: &[f64], wanted: f64) -> Mix {
        self.cheapest(class, prices, wanted, &mut Vec::new()).1
    }
}
