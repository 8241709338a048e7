//! Other policies, in a lean simulation of their own: what centers do without one joint plan.
//!
//! The one door is [`run`]. Every policy sees what a planner would see: specs with their limits, never
//! what jobs turn out to be. A job runs as one gang in one pool, for its work divided by the chip's
//! speed, at most for its limit there; a job with data runs once a copy is at its center, copies stay
//! until the store is full, and bandwidth for transfers is booked as the planner books it.
//!
//! Deliberately simple: cores and memory are not counted, shares of a chip are counted by node,
//! nobody is preempted, and nothing fails that does not fail by itself. Guests have at most what an
//! owner lends, and nobody is recalled.

mod bounds;
mod data;
mod moved;
mod nodes;
mod order;
mod play;
mod queue;
mod sites;

pub use bounds::{Bound, Bounds, bounds};
pub use order::Order;

use crate::Error;
use crate::load::{Arrival, Speeds, Stock};
use crate::measure::{Fate, Finished};
use crate::setup::START;
use controller::Declarations;
use data::Copies;
use model::{Bytes, ChipTime, Chips};
use play::Play;
use queue::Discipline;
use sites::{Choice, Sites};
use std::borrow::Cow;

/// A policy, named for what it imitates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// Nobody is in anybody's way: every job starts at once, on the chips that run it soonest, and
    /// costs what it would where it is cheapest. Not a policy but a bound: none does better.
    EachAlone,
    /// Nobody shares: a tenant's jobs run in its home center, or not at all; EASY backfill.
    EveryCenterAlone,
    /// All wait in one queue for all centers, as in one cluster: EASY backfill, where only the first
    /// of all must not be delayed.
    OneQueue,
    /// Every job queues in all centers that will do, as in a federation of Slurm clusters or under
    /// MultiKueue's dispatcher for all at once; the first that can start it wins. Each has EASY
    /// backfill.
    RaceToAll,
    /// The same, in a few more centers by name every few minutes that it waits, as MultiKueue's
    /// incremental dispatcher does.
    RaceInSteps(Steps),
    /// Every job goes to the cheapest place that has room, as brokers of clouds do; where none has,
    /// it is tried again whenever something ends.
    CheapestFirst,
    /// Every job goes to the pool with room that has least to spare, as packers of one large cluster do;
    /// where none has, it is tried again whenever something ends.
    BestFit,
    /// The same where least is left that typical jobs cannot use: fragmentation gradient descent (FGD,
    /// ATC 2023) between pools, best fit within one.
    LeastFragments,
    /// Every job queues where a copy of its data is, and goes elsewhere only if no place with a copy
    /// could ever run it; else as [`Self::RaceToAll`].
    LocalityOnly,
    /// Data first, then chips: where a job's data goes is decided as it comes, so that expected
    /// demand is even, and it is sent there at once; the job queues there when it has come. After the
    /// decoupling in MAST (OSDI 2024).
    DataFirst,
}

/// In how many more centers a job queues each time it is dispatched anew, and how often that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Steps {
    /// So many centers more.
    pub centers: u8,
    /// Minutes between.
    pub minutes: u8,
}

impl Steps {
    /// Kueue's defaults, `race-by-threes`.
    pub const USUAL: Self = Self { centers: 3, minutes: 5 };

    /// Those of a name such as `race-by-2-every-10m`.
    fn named(name: &str) -> Option<Self> {
        let (centers, minutes) = name.strip_prefix("race-by-")?.split_once("-every-")?;
        let minutes = minutes.strip_suffix('m')?.parse().ok()?;
        let steps = Self { centers: centers.parse().ok()?, minutes };
        (steps.centers > 0 && steps.minutes > 0).then_some(steps)
    }
}

impl Policy {
    /// All of them, their own knobs as they are shipped.
    pub const ALL: [Self; 10] = [
        Self::EachAlone,
        Self::EveryCenterAlone,
        Self::OneQueue,
        Self::RaceToAll,
        Self::RaceInSteps(Steps::USUAL),
        Self::CheapestFirst,
        Self::BestFit,
        Self::LeastFragments,
        Self::LocalityOnly,
        Self::DataFirst,
    ];

    /// Its name in scenarios and tables.
    #[must_use]
    pub fn name(self) -> Cow<'static, str> {
        let name = match self {
            Self::EachAlone => "each-alone",
            Self::EveryCenterAlone => "every-center-alone",
            Self::OneQueue => "one-queue",
            Self::RaceToAll => "race-to-all",
            Self::RaceInSteps(Steps::USUAL) => "race-by-threes",
            Self::RaceInSteps(Steps { centers, minutes }) => {
                return format!("race-by-{centers}-every-{minutes}m").into();
            }
            Self::CheapestFirst => "cheapest-first",
            Self::BestFit => "best-fit",
            Self::LeastFragments => "fgd",
            Self::LocalityOnly => "locality-only",
            Self::DataFirst => "data-first",
        };
        name.into()
    }

    const fn discipline(self) -> Discipline {
        match self {
            Self::CheapestFirst | Self::BestFit | Self::LeastFragments => Discipline::FirstFit,
            Self::OneQueue => Discipline::EasyForOne,
            Self::EachAlone
            | Self::EveryCenterAlone
            | Self::RaceToAll
            | Self::RaceInSteps(_)
            | Self::LocalityOnly
            | Self::DataFirst => Discipline::Easy,
        }
    }
}

/// A policy, and in which order those who wait under it have their turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Baseline {
    /// Where jobs go.
    pub policy: Policy,
    /// Whose turn it is.
    pub order: Order,
}

impl Baseline {
    /// Each policy in each order; nobody waits where each is alone.
    pub fn all() -> impl Iterator<Item = Self> {
        Policy::ALL.into_iter().flat_map(|policy| {
            let orders = Order::ALL.into_iter().map(move |order| Self { policy, order });
            orders.filter(|this| this.policy != Policy::EachAlone || this.order == Order::FirstCome)
        })
    }

    /// The one of this name, which may set a policy's own knobs (`race-by-2-every-10m`).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let (policy, order) = name.split_once('/').unwrap_or((name, Order::FirstCome.name()));
        let known = Policy::ALL.into_iter().find(|known| known.name() == policy);
        let policy = known.or_else(|| Steps::named(policy).map(Policy::RaceInSteps))?;
        let order = Order::ALL.into_iter().find(|known| known.name() == order)?;
        let this = Self { policy, order };
        (this.name() == name && (policy != Policy::EachAlone || order == Order::FirstCome))
            .then_some(this)
    }

    /// Its name in scenarios and tables: the policy's, and the order's where that is not first come.
    #[must_use]
    pub fn name(self) -> String {
        match self.order {
            Order::FirstCome => self.policy.name().into_owned(),
            order => format!("{}/{}", self.policy.name(), order.name()),
        }
    }
}

impl From<Policy> for Baseline {
    fn from(policy: Policy) -> Self {
        Self { policy, order: Order::FirstCome }
    }
}

/// What a policy plays on.
#[derive(Debug, Clone, Copy)]
pub struct Stage<'a> {
    /// Centers, links and tenants.
    pub network: &'a Declarations,
    /// Data that lies in stores at the start.
    pub stock: &'a [Stock],
    /// How fast chips really are.
    pub speeds: &'a Speeds,
}

/// Plays the arrivals, which come in the order of time, until the last job is over; tells `each` job
/// as it is over. Deterministic.
pub fn run(
    stage: Stage<'_>,
    baseline: Baseline,
    arrivals: impl Iterator<Item = Arrival>,
    each: &mut dyn FnMut(Finished),
) -> Result<(), Error> {
    let mut play = Play::new(stage, baseline)?;
    let mut arrivals = arrivals.enumerate().peekable();
    loop {
        let next = play.next_event();
        let comes = arrivals.peek().map(|(_, arrival)| arrival.after.0);
        // What ends makes room for what comes at the same moment.
        match (next, comes) {
            (Some(next), comes) if comes.is_none_or(|comes| next <= comes) => play.go_on(each),
            (_, Some(_)) => {
                if let Some((number, arrival)) = arrivals.next() {
                    play.arrive(number as u64, arrival, each);
                }
            }
            (_, None) => return Ok(()),
        }
    }
}

/// Whether any pool of the network could ever run the job, its data and owners' rules considered.
#[derive(Debug)]
pub struct Admission<'a> {
    sites: Sites<'a>,
    copies: Copies<'a>,
}

impl<'a> Admission<'a> {
    /// For the network and data of this stage.
    pub fn new(stage: Stage<'a>) -> Result<Self, Error> {
        let copies = Copies::new(stage.network, stage.stock)?;
        Ok(Self { sites: Sites::new(stage.network), copies })
    }

    /// Whether the job can run anywhere.
    #[must_use]
    pub fn admits(&self, arrival: &Arrival) -> bool {
        choices(&self.sites, &self.copies, arrival, 0).next().is_some()
    }
}

/// Where a job could run, now or later.
fn choices<'c>(
    sites: &'c Sites<'_>,
    copies: &'c Copies<'_>,
    arrival: &'c Arrival,
    now: u64,
) -> impl Iterator<Item = Choice> + 'c {
    let input = arrival.spec.inputs.first();
    let data = input.map(|input| copies.number(&input.dataset.dataset));
    sites.choices(&arrival.spec).filter(move |choice| match data {
        None => true,
        Some(data) => data.is_some_and(|data| copies.way(data, choice.center, now).is_some()),
    })
}

/// What is left of a job that nobody runs.
#[must_use]
pub fn refused(number: u64, arrival: &Arrival) -> Finished {
    let spec = &arrival.spec;
    let variant = spec.parts.first().and_then(|part| part.variants.first());
    Finished {
        arrival: number,
        tenant: spec.tenant.clone(),
        submitted: arrival.after,
        promised: None,
        due: spec.deadline.map(|deadline| deadline.since(START)),
        first_started: None,
        started: None,
        ended: arrival.after,
        fate: Fate::Refused,
        work: arrival.actual.work,
        chips: variant.map_or(Chips::ZERO, |v| v.chips_per_node.times(v.nodes.into())),
        center: None,
        held: ChipTime::ZERO,
        price_micros: 0,
        energy_mwh: 0,
        carbon_mg: 0,
        moved: Bytes::ZERO,
    }
}
