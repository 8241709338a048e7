//! In which order those who wait have their turns.

use std::cmp::Reverse;

/// In half of this what a tenant had counts half, as in Slurm by default.
const HALF_LIFE_MS: f64 = 7.0 * 24.0 * 3.6e6;

/// The order of those who wait, as schedulers of centers offer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Order {
    /// Who came first.
    #[default]
    FirstCome,
    /// Who is of the highest priority; of those, who came first.
    Priority,
    /// Whose tenant had least beside its weight, what is long past counting less; of its jobs as by
    /// priority.
    FairShare,
}

impl Order {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::FirstCome, Self::Priority, Self::FairShare];

    /// Its name in scenarios and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FirstCome => "first-come",
            Self::Priority => "priority",
            Self::FairShare => "fair-share",
        }
    }
}

/// A job's turn among those of its tenant, or of all where tenants make no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    priority: Reverse<i32>,
    pub(super) job: u64,
}

/// How tenants stand: who is less has its turn first.
#[derive(Debug)]
pub(super) struct Standing {
    order: Order,
    weights: Vec<f64>,
    /// What each had beside its weight, as of `at`, and what it has.
    had: Vec<f64>,
    has: Vec<f64>,
    at: u64,
    places: Vec<usize>,
}

impl Standing {
    /// Of tenants that had nothing yet, with their weights.
    pub(super) fn new(order: Order, weights: Vec<f64>) -> Self {
        let none = vec![0.0; weights.len()];
        let places = vec![0; weights.len()];
        Self { order, weights, had: none.clone(), has: none, at: 0, places }
    }

    /// A job's turn.
    pub(super) fn turn(&self, job: u64, priority: i32) -> Turn {
        let counts = self.order != Order::FirstCome;
        Turn { priority: Reverse(if counts { priority } else { 0 }), job }
    }

    /// Which of the tenants waits in a line of its own; all wait in one where they make no difference.
    pub(super) fn line(&self, tenant: usize) -> usize {
        if self.order == Order::FairShare { tenant } else { 0 }
    }

    /// Where those in a line stand.
    pub(super) fn of(&self, line: usize) -> usize {
        self.places.get(line).copied().unwrap_or_default()
    }

    /// A tenant has so many chips more from now on, or fewer.
    pub(super) fn changes(&mut self, tenant: usize, chips: f64, now: u64) {
        if self.order != Order::FairShare {
            return;
        }
        let passed = (now - self.at) as f64;
        let fades = (-passed / HALF_LIFE_MS).exp2();
        for ((had, has), weight) in self.had.iter_mut().zip(&self.has).zip(&self.weights) {
            *had = *had * fades + has * passed / weight;
        }
        self.at = now;
        if let Some(has) = self.has.get_mut(tenant) {
            *has += chips;
        }
        let mut order: Vec<usize> = (0..self.had.len()).collect();
        order.sort_by(|a, b| self.had[*a].total_cmp(&self.had[*b]));
        order.into_iter().enumerate().for_each(|(place, tenant)| self.places[tenant] = place);
    }
}
