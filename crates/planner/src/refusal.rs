//! Why a candidate will not do.

use crate::lending::NotLent;
use model::{
    Bytes, CenterId, Chips, Cores, DatasetId, JobId, Moment, Money, Rate, Readiness, Refused,
    Region, Span,
};
use serde::Serialize;
use sharing::Denied;
use std::fmt;

/// Why a center, or one of its pools, will not do for a job. Each reason says what stands against
/// what, so that a person sees what would have to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Refusal {
    /// Its agent has never come.
    NoAgent,
    /// It has not shown what the network asks of it.
    NotReady {
        /// Requirements it has met, of how many; none where it has shown no check.
        shows: Option<(u32, u32)>,
        /// What is asked.
        asks: Readiness,
    },
    /// Its agent has not been heard of for a while.
    Silent {
        /// Since when.
        since: Moment,
    },
    /// The job names other centers or regions.
    NotAsked {
        /// Where the center is.
        region: Region,
    },
    /// The job runs in a reservation, which is elsewhere or over.
    Reserved {
        /// Which.
        reservation: JobId,
        /// Where it is; none when it is over.
        at: Option<CenterId>,
    },
    /// The owner admits other tenants only.
    NotAdmitted,
    /// No pool has a chip that a variant of the job runs on.
    WrongChip {
        /// What the pools have.
        has: String,
        /// What the variants run on.
        wants: String,
    },
    /// A chip of this model comes in multiples only.
    AllocationUnit {
        /// The multiple.
        unit: u32,
    },
    /// Its nodes have fewer chips than the gang wants on each.
    NodeTooSmall {
        /// Chips of a node.
        has: Chips,
        /// Chips wanted on each node.
        wants: Chips,
    },
    /// Its nodes have fewer cores than the gang wants on each.
    TooFewCores {
        /// Cores of a node.
        has: Cores,
        /// Cores wanted on each node.
        wants: Cores,
    },
    /// Its nodes have less memory than the gang wants on each.
    TooLittleMemory {
        /// Memory of a node.
        has: Bytes,
        /// Memory wanted on each node.
        wants: Bytes,
    },
    /// It has fewer nodes than the gang wants.
    TooFewNodes {
        /// Nodes of the pool.
        has: u32,
        /// Nodes wanted.
        wants: u32,
    },
    /// The dataset does not exist.
    NoDataset {
        /// Which.
        dataset: DatasetId,
    },
    /// The dataset may not be brought there.
    Residency {
        /// Which dataset.
        dataset: DatasetId,
        /// Where it may be.
        allowed: Vec<Region>,
    },
    /// No center that can be reached has a copy of the dataset.
    NoReplica {
        /// Which dataset.
        dataset: DatasetId,
    },
    /// The center that has a copy of the dataset has no door, nor has this one to have it sent to, and no
    /// relay takes it.
    NoDoor {
        /// Which dataset.
        dataset: DatasetId,
        /// Who has a copy, or one of those who do.
        from: CenterId,
        /// Where it would be brought; none where it is to be read over the network, which takes a door
        /// at the copy.
        to: Option<CenterId>,
    },
    /// The dataset is on its way to a center with a door, and can be had from there.
    InPassing {
        /// Which dataset.
        dataset: DatasetId,
        /// Where it comes to.
        relay: CenterId,
        /// When it is planned to be there.
        arrives: Moment,
    },
    /// No path leads there from a copy of the dataset, or only through a forbidden region.
    NoPath {
        /// Which dataset.
        dataset: DatasetId,
    },
    /// No way there from a copy of the dataset has the rate for as long as the job may run.
    NoRate {
        /// Which dataset.
        dataset: DatasetId,
        /// The rate it is to be read at.
        rate: Rate,
    },
    /// It keeps no store, so data cannot be brought there.
    NoStore,
    /// It would cost more than the job may.
    OverBudget {
        /// What it would cost.
        price: Money,
        /// What it may.
        budget: Money,
    },
    /// Its owner does not lend it, or not as much, or not then.
    NotLent {
        /// What of its rules stands against it.
        rule: NotLent,
    },
    /// The tenant's quota does not allow it now.
    Quota {
        /// What does not.
        denied: Denied,
    },
    /// It refused the job before; asked again later.
    Declined {
        /// In its own words.
        why: Refused,
        /// Not asked again before.
        until: Moment,
    },
    /// Portolan cannot plan this yet.
    NotSupported {
        /// What.
        what: String,
    },
    /// It would do, but no window was found within the planner's horizon.
    NoWindow,
    /// It would do; another is better.
    Worse {
        /// When the job would start here.
        start: Moment,
        /// How much later it would finish than at the chosen one.
        later: Span,
        /// What it would cost here.
        price: Money,
    },
    /// It is the best place, but not free before then.
    Busy {
        /// When the job can start.
        start: Moment,
        /// What it will cost.
        price: Money,
    },
    /// It would run so much longer there than in the best place, counted with what that costs others, that
    /// the job waits for one of the better places.
    FarFromBest {
        /// How many thousandths of the best.
        thousandths: u64,
    },
    /// Not looked at: this plan's work units were spent on jobs before this one.
    NotReached,
}

impl Refusal {
    /// How near the candidate came to being chosen, higher is nearer: of a center's pools the
    /// nearest speaks for it.
    #[must_use]
    pub const fn nearness(&self) -> u8 {
        match self {
            Self::NotAsked { .. } | Self::Reserved { .. } | Self::NotAdmitted | Self::NoAgent => 0,
            Self::NotLent { rule: NotLent::To { .. } } => 1,
            Self::NotLent { .. } => 7,
            Self::NotSupported { .. } | Self::NoDataset { .. } => 1,
            Self::WrongChip { .. } => 2,
            Self::AllocationUnit { .. } => 3,
            Self::NodeTooSmall { .. }
            | Self::TooFewCores { .. }
            | Self::TooLittleMemory { .. }
            | Self::TooFewNodes { .. } => 4,
            Self::Residency { .. } | Self::NoStore => 5,
            Self::NoReplica { .. }
            | Self::NoDoor { .. }
            | Self::NoPath { .. }
            | Self::NoRate { .. } => 6,
            Self::OverBudget { .. } | Self::Quota { .. } => 7,
            Self::NotReady { .. }
            | Self::Silent { .. }
            | Self::Declined { .. }
            | Self::InPassing { .. }
            | Self::NoWindow => 8,
            Self::FarFromBest { .. } | Self::NotReached => 9,
            Self::Worse { .. } => 10,
            Self::Busy { .. } => 11,
        }
    }

    /// Whether waiting alone may cure it.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Quota { denied } => return denied.could_ever_fit(),
            Self::NotLent { rule } => return rule.may_pass(),
            _ => {}
        }
        matches!(
            self,
            Self::Silent { .. }
                | Self::Declined { .. }
                | Self::Worse { .. }
                | Self::Busy { .. }
                | Self::FarFromBest { .. }
                | Self::NotReached
                | Self::NoReplica { .. }
                | Self::NoDoor { .. }
                | Self::InPassing { .. }
        )
    }

    /// The one token machines and metrics know it by.
    #[must_use]
    pub const fn token(&self) -> &'static str {
        match self {
            Self::NoAgent => "no-agent",
            Self::NotReady { .. } => "not-ready",
            Self::Silent { .. } => "silent",
            Self::NotAsked { .. } => "not-asked",
            Self::Reserved { .. } => "reserved",
            Self::NotAdmitted => "not-admitted",
            Self::WrongChip { .. } => "wrong-chip",
            Self::AllocationUnit { .. } => "allocation-unit",
            Self::NodeTooSmall { .. } => "node-too-small",
            Self::TooFewCores { .. } => "too-few-cores",
            Self::TooLittleMemory { .. } => "too-little-memory",
            Self::TooFewNodes { .. } => "too-few-nodes",
            Self::NoDataset { .. } => "no-dataset",
            Self::Residency { .. } => "residency",
            Self::NoReplica { .. } => "no-replica",
            Self::NoDoor { .. } => "no-door",
            Self::InPassing { .. } => "in-passing",
            Self::NoPath { .. } => "no-path",
            Self::NoRate { .. } => "no-rate",
            Self::NoStore => "no-store",
            Self::OverBudget { .. } => "over-budget",
            Self::NotLent { .. } => "not-lent",
            Self::Quota { .. } => "quota",
            Self::Declined { .. } => "declined",
            Self::NotSupported { .. } => "not-supported",
            Self::NoWindow => "no-window",
            Self::Worse { .. } => "worse",
            Self::Busy { .. } => "busy",
            Self::FarFromBest { .. } => "far-from-best",
            Self::NotReached => "not-reached",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAgent => write!(f, "its agent has never joined"),
            Self::NotReady { shows, asks } => not_ready(f, *shows, asks),
            Self::Silent { since } => write!(f, "not heard of since {since}"),
            Self::NotAsked { region } => {
                write!(f, "the job asks for other centers or regions than {region}")
            }
            Self::Reserved { reservation, at } => reserved(f, *reservation, at.as_ref()),
            Self::NotAdmitted => write!(f, "its owner does not admit this tenant"),
            Self::WrongChip { has, wants } => write!(f, "has {has}, the job runs on {wants}"),
            Self::AllocationUnit { unit } => write!(f, "its chips come in multiples of {unit}"),
            Self::NodeTooSmall { has, wants } => {
                write!(f, "a node has {has} chips, the job wants {wants} on each")
            }
            Self::TooFewCores { has, wants } => {
                write!(f, "a node has {has} cores, the job wants {wants} on each")
            }
            Self::TooLittleMemory { has, wants } => {
                write!(f, "a node has {has} of memory, the job wants {wants} on each")
            }
            Self::TooFewNodes { has, wants } => too_few_nodes(f, *has, *wants),
            Self::NoDataset { dataset } => write!(f, "there is no dataset {dataset}"),
            Self::Residency { dataset, allowed } => {
                let allowed: Vec<_> = allowed.iter().map(Region::as_str).collect();
                write!(f, "dataset {dataset} may not leave {}", allowed.join(", "))
            }
            Self::NoReplica { dataset } => write!(f, "no center within reach has {dataset}"),
            Self::NoDoor { dataset, from, to } => {
                write!(f, "dataset {dataset} is in {from}, which has no door")?;
                let whom = match to {
                    Some(to) => {
                        write!(f, ", and neither has {to}")?;
                        "one of them"
                    }
                    None => "it",
                };
                write!(
                    f,
                    "; no relay has taken it: give {whom} a door (`portolan agent --data-listen`), or a \
                     center with one `relay = …` in the network file"
                )
            }
            Self::InPassing { dataset, relay, arrives } => {
                write!(
                    f,
                    "dataset {dataset} is on its way to {relay}, to be had from there: planned for \
                     {arrives}"
                )
            }
            Self::NoPath { dataset } => {
                write!(f, "no path that dataset {dataset} may take leads there")
            }
            Self::NoRate { dataset, rate } => {
                write!(
                    f,
                    "no way there from a copy of dataset {dataset} ever has {rate} for so long"
                )
            }
            Self::NoStore => write!(f, "it keeps no store to bring data to"),
            Self::OverBudget { price, budget } => {
                write!(f, "it would cost {price}, the budget is {budget}")
            }
            Self::NotLent { rule } => rule.fmt(f),
            Self::Quota { denied } => denied.fmt(f),
            Self::Declined { why, until } => write!(f, "it declined ({why}); asked again {until}"),
            Self::NotSupported { what } => write!(f, "not supported yet: {what}"),
            Self::NoWindow => write!(f, "no window long enough"),
            Self::Worse { later, price, .. } => {
                write!(f, "would finish {later} later than the best, for {price}")
            }
            Self::Busy { start, .. } => write!(f, "the best place, free {start}"),
            Self::FarFromBest { thousandths } => far_from_best(f, *thousandths),
            Self::NotReached => write!(f, "not looked at yet: jobs before it took all the time"),
        }
    }
}

/// Where a candidate stands for a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The center.
    pub center: CenterId,
    /// Why it will not do, or not yet.
    pub refusal: Refusal,
}

fn too_few_nodes(f: &mut fmt::Formatter<'_>, has: u32, wants: u32) -> fmt::Result {
    match has {
        0 => f.write_str("none of its nodes is there to plan with"),
        has => write!(f, "it has {has} nodes together, the gang wants {wants}"),
    }
}

fn reserved(f: &mut fmt::Formatter<'_>, reservation: JobId, at: Option<&CenterId>) -> fmt::Result {
    let place = at.map_or("over".to_owned(), |at| format!("in {at}"));
    write!(f, "the job runs in {reservation}, which is {place}")
}

fn not_ready(
    f: &mut fmt::Formatter<'_>,
    shows: Option<(u32, u32)>,
    asks: &Readiness,
) -> fmt::Result {
    match shows {
        Some((met, asked)) => write!(f, "not admitted: shows {met} of {asked}, {asks} are asked"),
        None => write!(f, "not admitted: no check was handed in, {asks} are asked"),
    }
}

fn far_from_best(f: &mut fmt::Formatter<'_>, thousandths: u64) -> fmt::Result {
    let times = thousandths as f64 / 1e3;
    write!(f, "with what that costs others {times:.1} times the best place: waits for a better one")
}
