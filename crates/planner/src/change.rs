//! One thing about a job that could be otherwise.

use model::job::{Duration, JobSpec, On, Part, Variant, Within};
use model::{Bytes, CenterId, Chips, Cores, DatasetId, Moment, Money, Objective, Region, Span};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use world::World;

/// One thing about a job, or about the data it reads and writes, that could be otherwise. Variants
/// are named by their index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "knob")]
pub enum Change {
    /// Fewer nodes.
    Nodes {
        /// Of which variant.
        variant: u16,
        /// As it is.
        from: u32,
        /// As it could be.
        to: u32,
    },
    /// Fewer chips on each node, or a smaller share of one.
    Chips {
        /// Of which variant.
        variant: u16,
        /// As it is.
        from: Chips,
        /// As it could be.
        to: Chips,
    },
    /// Fewer cores on each node.
    Cores {
        /// Of which variant.
        variant: u16,
        /// As it is.
        from: Cores,
        /// As it could be.
        to: Cores,
    },
    /// Less memory on each node.
    Memory {
        /// Of which variant.
        variant: u16,
        /// As it is.
        from: Bytes,
        /// As it could be.
        to: Bytes,
    },
    /// A shorter limit, so that it ends before somebody else's start.
    Limit {
        /// Of which variant, where it has a limit of its own; else the job's.
        variant: Option<u16>,
        /// As it is.
        from: Span,
        /// As it could be.
        to: Span,
    },
    /// One variant more, like the first but for these chips.
    Runs {
        /// For which chips.
        on: On,
    },
    /// All nodes need not be in one block.
    Blocks,
    /// Another center that it may run in.
    Center {
        /// Which.
        center: CenterId,
    },
    /// Another region that it may run in.
    Region {
        /// Which.
        region: Region,
    },
    /// A region in which a dataset may live.
    Residency {
        /// Which dataset: one that it reads or writes.
        dataset: DatasetId,
        /// Which region.
        region: Region,
    },
    /// A higher priority.
    Priority {
        /// As it is.
        from: i32,
        /// As it could be.
        to: i32,
    },
    /// A larger budget.
    Budget {
        /// As it is.
        from: Money,
        /// As it could be.
        to: Money,
    },
    /// A later deadline.
    Deadline {
        /// As it is.
        from: Moment,
        /// As it could be.
        to: Moment,
    },
    /// Another objective.
    Objective {
        /// As it is.
        from: Objective,
        /// As it could be.
        to: Objective,
    },
    /// No other center than this one.
    Only {
        /// Which.
        center: CenterId,
    },
}

impl Change {
    /// The job's spec with the change made.
    #[must_use]
    pub fn applied(&self, spec: &JobSpec) -> JobSpec {
        let mut spec = spec.clone();
        let variants = spec.parts.first_mut().map(|part| &mut part.variants);
        let variant = |index: u16| variants.and_then(|all| all.get_mut(usize::from(index)));
        match self {
            Self::Nodes { variant: of, to, .. } => set(variant(*of), |v| v.nodes = *to),
            Self::Chips { variant: of, to, .. } => set(variant(*of), |v| v.chips_per_node = *to),
            Self::Cores { variant: of, to, .. } => set(variant(*of), |v| v.cores = *to),
            Self::Memory { variant: of, to, .. } => set(variant(*of), |v| v.memory = *to),
            Self::Limit { variant: Some(of), to, .. } => {
                set(variant(*of), |v| v.limit = Some(*to));
            }
            Self::Limit { variant: None, to, .. } => {
                if let Duration::Limited { limit, .. } = &mut spec.duration {
                    *limit = *to;
                }
            }
            Self::Runs { on } => {
                if let Some(part) = spec.parts.first_mut() {
                    run_on(part, on);
                }
            }
            Self::Blocks => spec.together.within = Within::Center,
            Self::Center { center } => spec.centers.push(center.clone()),
            Self::Region { region } => spec.regions.push(region.clone()),
            Self::Residency { dataset, region } => {
                let limited = |output: &&mut model::job::Output| {
                    output.dataset == *dataset && !output.residency.is_empty()
                };
                let outputs = spec.outputs.iter_mut().filter(limited);
                outputs.for_each(|output| output.residency.push(region.clone()));
            }
            Self::Priority { to, .. } => spec.priority = *to,
            Self::Budget { to, .. } => spec.budget = Some(*to),
            Self::Deadline { to, .. } => spec.deadline = Some(*to),
            Self::Objective { to, .. } => spec.objective = *to,
            Self::Only { center } => {
                spec.centers = vec![center.clone()];
                spec.regions.clear();
            }
        }
        spec
    }

    /// The world with the change made to the data a job reads; `None` where it changes none.
    #[must_use]
    pub fn applied_to_data(&self, world: &World) -> Option<World> {
        let Self::Residency { dataset, region } = self else { return None };
        let mut world = world.to_plan();
        let versions = &mut Arc::make_mut(world.datasets.get_mut(dataset)?).versions;
        for version in versions {
            let registered = Arc::make_mut(&mut version.registered);
            if !registered.residency.is_empty() {
                registered.residency.push(region.clone());
            }
        }
        Some(world)
    }

    /// How much of what is there it changes, in thousandths, rounded up; what is not a figure is
    /// changed as a whole, and the narrower of two regions is the smaller change.
    #[must_use]
    pub fn size(&self, now: Moment) -> u64 {
        let part = |from: u64, to: u64| {
            let size = u128::from(from.abs_diff(to)) * 1_000;
            u64::try_from(size.div_ceil(u128::from(from.max(1)))).unwrap_or(u64::MAX)
        };
        match self {
            Self::Nodes { from, to, .. } => part((*from).into(), (*to).into()),
            Self::Chips { from, to, .. } => part(from.0, to.0),
            Self::Cores { from, to, .. } => part(from.0, to.0),
            Self::Memory { from, to, .. } => part(from.0, to.0),
            Self::Limit { from, to, .. } => part(from.0, to.0),
            Self::Budget { from, to } => part(from.micros.unsigned_abs(), to.micros.unsigned_abs()),
            Self::Deadline { from, to } => part(from.since(now).0, to.since(now).0),
            Self::Priority { from, to } => {
                let was = u64::from(from.unsigned_abs());
                part(was, was + u64::from(from.abs_diff(*to)))
            }
            Self::Residency { region, .. } => 1_000 + breadth(region),
            Self::Runs { .. }
            | Self::Blocks
            | Self::Center { .. }
            | Self::Region { .. }
            | Self::Objective { .. } => 1_000,
            Self::Only { .. } => 2_000,
        }
    }

    /// What it would be, where it is a figure, in the unit of its type.
    #[must_use]
    pub fn figure(&self) -> Option<i64> {
        let signed = |unsigned: u64| i64::try_from(unsigned).unwrap_or(i64::MAX);
        match self {
            Self::Nodes { to, .. } => Some((*to).into()),
            Self::Chips { to, .. } => Some(signed(to.0)),
            Self::Cores { to, .. } => Some(signed(to.0)),
            Self::Memory { to, .. } => Some(signed(to.0)),
            Self::Limit { to, .. } => Some(signed(to.0)),
            Self::Deadline { to, .. } => Some(signed(to.0)),
            Self::Priority { to, .. } => Some((*to).into()),
            Self::Budget { to, .. } => Some(to.micros),
            _ => None,
        }
    }

    /// The one token machines know it by: the job file's field, where it has one.
    #[must_use]
    pub const fn token(&self) -> &'static str {
        match self {
            Self::Nodes { .. } => "nodes",
            Self::Chips { .. } => "chips",
            Self::Cores { .. } => "cores",
            Self::Memory { .. } => "memory",
            Self::Limit { .. } => "limit",
            Self::Runs { .. } => "variant",
            Self::Blocks => "together",
            Self::Center { .. } | Self::Only { .. } => "centers",
            Self::Region { .. } => "regions",
            Self::Residency { .. } => "residency",
            Self::Priority { .. } => "priority",
            Self::Budget { .. } => "budget",
            Self::Deadline { .. } => "deadline",
            Self::Objective { .. } => "objective",
        }
    }
}

fn set(variant: Option<&mut Variant>, change: impl FnOnce(&mut Variant)) {
    if let Some(variant) = variant {
        change(variant);
    }
}

fn run_on(part: &mut Part, on: &On) {
    if let Some(first) = part.variants.first() {
        let more = Variant { on: on.clone(), speed_thousandths: None, ..first.clone() };
        part.variants.push(more);
    }
}

/// More for a region of fewer names: it is the larger one.
fn breadth(region: &Region) -> u64 {
    let names = region.as_str().split('/').count();
    100_u64.saturating_sub(names.try_into().unwrap_or(u64::MAX))
}

/// The variant a change is about, where a person has to be told which.
fn of(variant: u16) -> String {
    if variant == 0 { String::new() } else { format!(" of variant {}", variant + 1) }
}

/// An amount of money rounded up to a hundredth, so that it is enough.
fn enough(money: Money) -> Money {
    let micros = money.micros.saturating_add(9_999).div_euclid(10_000).saturating_mul(10_000);
    Money { micros, ..money }
}

impl fmt::Display for Change {
    /// As a person would be told, in the words of a job file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes { variant, from, to } => {
                write!(f, "nodes{}: {to} instead of {from}", of(*variant))
            }
            Self::Chips { variant, from, to } => {
                write!(f, "chips{}: {to} instead of {from} on each node", of(*variant))
            }
            Self::Cores { variant, from, to } => {
                write!(f, "cores{}: {to} instead of {from} on each node", of(*variant))
            }
            Self::Memory { variant, from, to } => {
                write!(f, "memory{}: {to} instead of {from} on each node", of(*variant))
            }
            Self::Limit { variant, from, to } => {
                write!(f, "limit{}: {to} instead of {from}", variant.map_or(String::new(), of))
            }
            Self::Runs { on } => write!(f, "a variant more, on: {on}"),
            Self::Blocks => write!(f, "together: not all nodes in one block"),
            Self::Center { center } => write!(f, "centers: {center} too"),
            Self::Region { region } => write!(f, "regions: {region} too"),
            Self::Residency { dataset, region } => {
                write!(f, "residency of dataset {dataset}: {region} too")
            }
            Self::Priority { from, to } => write!(f, "priority: {to} instead of {from}"),
            Self::Budget { from, to } => write!(f, "budget: {} instead of {from}", enough(*to)),
            Self::Deadline { from, to } => {
                write!(f, "deadline: {} later, {to}", to.since(*from))
            }
            Self::Objective { from, to } => {
                write!(f, "objective: {} instead of {}", word(*to), word(*from))
            }
            Self::Only { center } => write!(f, "centers: {center} alone"),
        }
    }
}

const fn word(objective: Objective) -> &'static str {
    match objective {
        Objective::Fastest => "fastest",
        Objective::Cheapest => "cheapest",
        Objective::Balanced => "balanced",
        Objective::Greenest => "greenest",
    }
}
