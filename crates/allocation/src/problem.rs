//! Classes of alike jobs, what they may choose, and what that uses.

use crate::Error;
use smallvec::SmallVec;

/// A resource, by its place among the capacities.
pub type ResourceNumber = usize;

/// A node of the tree, by its place.
pub type NodeNumber = usize;

/// What one member of a class uses of resources while it has all its time in a choice: at most a pool,
/// what its owner lends of it and a link or two.
pub type Uses = SmallVec<[(ResourceNumber, f64); 2]>;

/// One way in which a class may run.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The throughput of a member that has all its time here, in whatever unit throughput is compared
    /// in.
    pub rate: f64,
    /// What it uses meanwhile.
    pub uses: Uses,
}

/// Jobs that are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// How many there are; more than zero.
    pub count: f64,
    /// Which node they are of; none where they are compared with the nodes that have no parent.
    pub of: Option<NodeNumber>,
    /// How much a member's throughput counts beside that of its siblings; more than zero.
    pub weight: f64,
    /// Where its members may run. Each has at most all its time, divided among these as it likes.
    pub choices: Vec<Choice>,
}

/// A tenant, or whatever else stands between classes and the whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Node {
    /// What it is a part of; none for the whole. It comes before its parts.
    pub parent: Option<NodeNumber>,
    /// How much the throughput of all that is below counts beside its siblings'; more than zero.
    pub weight: f64,
}

/// Who wants what of how much.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Problem {
    /// How much there is of each resource. What uses one of which there is nothing is no choice.
    pub capacities: Vec<f64>,
    /// The tree, parents before what is below them.
    pub nodes: Vec<Node>,
    /// The classes.
    pub classes: Vec<Class>,
}

const ABOVE: &str = "a number above zero";
const NOT_BELOW: &str = "zero or more";

impl Problem {
    /// Whether all its numbers can be meant.
    ///
    /// # Errors
    ///
    /// The first number that cannot.
    pub fn check(&self) -> Result<(), Error> {
        for (at, capacity) in self.capacities.iter().enumerate() {
            not_below(*capacity, || format!("the capacity of resource {at}"))?;
        }
        for (at, node) in self.nodes.iter().enumerate() {
            above(node.weight, || format!("the weight of node {at}"))?;
            if let Some(parent) = node.parent.filter(|parent| *parent >= at) {
                return Err(Error::Order { node: at, parent });
            }
        }
        for (at, class) in self.classes.iter().enumerate() {
            above(class.weight, || format!("the weight of class {at}"))?;
            above(class.count, || format!("the count of class {at}"))?;
            known(class.of, self.nodes.len(), || format!("class {at}, its node"))?;
            for choice in &class.choices {
                not_below(choice.rate, || format!("a rate of class {at}"))?;
                for (resource, amount) in &choice.uses {
                    let what = || format!("class {at}, a resource");
                    known(Some(*resource), self.capacities.len(), what)?;
                    not_below(*amount, || format!("what class {at} uses of resource {resource}"))?;
                }
            }
        }
        Ok(())
    }
}

fn above(found: f64, what: impl FnOnce() -> String) -> Result<(), Error> {
    match found.is_finite() && found > 0.0 {
        true => Ok(()),
        false => Err(Error::Number { what: what(), found, expected: ABOVE }),
    }
}

fn not_below(found: f64, what: impl FnOnce() -> String) -> Result<(), Error> {
    match found.is_finite() && found >= 0.0 {
        true => Ok(()),
        false => Err(Error::Number { what: what(), found, expected: NOT_BELOW }),
    }
}

fn known(number: Option<usize>, count: usize, what: impl FnOnce() -> String) -> Result<(), Error> {
    match number {
        Some(number) if number >= count => Err(Error::Unknown { what: what(), number, count }),
        _ => Ok(()),
    }
}
