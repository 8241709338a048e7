//! Alike jobs become one class.

use crate::{Choice, Class, NodeNumber, Problem};
use std::collections::BTreeMap;

/// Classes gathered job by job.
#[derive(Debug, Clone, Default)]
pub struct Gathering {
    /// The classes so far.
    pub classes: Vec<Class>,
    known: BTreeMap<Box<[u64]>, usize>,
    key: Vec<u64>,
}

impl Gathering {
    /// Takes a job in and says which class it is of: that of another with the same node, weight and
    /// choices, bit by bit, or a new one.
    pub fn add(&mut self, of: Option<NodeNumber>, weight: f64, choices: &[Choice]) -> usize {
        self.key.clear();
        self.key.extend([of.map_or(u64::MAX, |of| of as u64), weight.to_bits()]);
        for choice in choices {
            self.key.extend([choice.rate.to_bits(), choice.uses.len() as u64]);
            for (resource, amount) in &choice.uses {
                self.key.extend([*resource as u64, amount.to_bits()]);
            }
        }
        if let Some(class) = self.known.get(self.key.as_slice()) {
            self.classes[*class].count += 1.0;
            return *class;
        }
        let number = self.classes.len();
        self.classes.push(Class { count: 1.0, of, weight, choices: choices.to_vec() });
        self.known.insert(self.key.as_slice().into(), number);
        number
    }

    /// The problem of these classes, where there is so much of each resource and tenants are not told
    /// apart.
    #[must_use]
    pub fn problem(self, capacities: Vec<f64>) -> Problem {
        Problem { capacities, nodes: Vec::new(), classes: self.classes }
    }
}
