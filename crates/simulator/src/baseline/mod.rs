//! Other policies, in a lean simulation of their own: what centers do without one joint plan.
//!
//! The one door is [`run`]. Every policy sees what a planner would see: specs with their limits, never
//! what jobs turn out to be. A job runs as one gang in one pool, for its work divided by the chip's
//! speed, at most for its limit there; a job with data runs once a copy is at its center, copies stay
//! until the store is full, and each transfer gets the same share of the network, however many there
//! are.
//!
//! Deliberately simple: cores and memory are not counted, shares of a chip are counted by node,
//! nobody is preempted, and nothing fails that does not fail by itself. Guests have at most what an
//! owner lends, and nobody is recalled.

mod data;
mod nodes;
mod queue;
mod sites;

use crate::Error;
use crate::load::{Arrival, Ending, Speeds, Stock, at_speed};
use crate::measure::{Fate, Finished};
use controller::Declarations;
use data::{Copies, Way};
use model::{Bytes, ChipTime, Chips, Rate, Span};
use queue::{Discipline, PoolQueue};
use sites::{Choice, Sites};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// A policy, named for what it imitates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// Nobody shares: a tenant's jobs run in its home center, first come, first served, with EASY
    /// backfill, or not at all.
    EveryCenterAlone,
    /// Every job queues in all centers that will do, as in a federation of clusters; the first that
    /// can start it wins. Each is first come, first served, with EASY backfill.
    FirstComeRace,
    /// Every job goes to the cheapest place that has room, as brokers of clouds do; where none has,
    /// it is tried again whenever something ends.
    CheapestFirst,
    /// Every job queues where a copy of its data is, and goes elsewhere only if no place with a copy
    /// could ever run it; else as [`Self::FirstComeRace`].
    LocalityOnly,
    /// Nobody is in anybody's way: every job starts at once, on the chips that run it soonest, and
    /// costs what it would where it is cheapest. Not a policy but a bound: none does better.
    EachAlone,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::EachAlone,
        Self::EveryCenterAlone,
        Self::FirstComeRace,
        Self::CheapestFirst,
        Self::LocalityOnly,
    ];

    /// Its name in scenarios and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EveryCenterAlone => "every-center-alone",
            Self::FirstComeRace => "first-come-race",
            Self::CheapestFirst => "cheapest-first",
            Self::LocalityOnly => "locality-only",
            Self::EachAlone => "each-alone",
        }
    }

    /// The policy of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }

    const fn discipline(self) -> Discipline {
        match self {
            Self::CheapestFirst => Discipline::FirstFit,
            Self::EveryCenterAlone | Self::FirstComeRace | Self::LocalityOnly | Self::EachAlone => {
                Discipline::Easy
            }
        }
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
    /// The rate of each transfer.
    pub share: Rate,
}

/// Plays the arrivals, which come in the order of time, until the last job is over; tells `each` job
/// as it is over. Deterministic.
pub fn run(
    stage: Stage<'_>,
    policy: Policy,
    arrivals: impl Iterator<Item = Arrival>,
    each: &mut dyn FnMut(Finished),
) -> Result<(), Error> {
    let mut play = Play::new(stage, policy)?;
    let mut arrivals = arrivals.enumerate().peekable();
    loop {
        let ends = play.events.peek().map(|Reverse((at, _))| *at);
        let comes = arrivals.peek().map(|(_, arrival)| arrival.after.0);
        // What ends makes room for what comes at the same moment.
        match (ends, comes) {
            (Some(ends), comes) if comes.is_none_or(|comes| ends <= comes) => play.end(each),
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
        let copies = Copies::new(stage.network, stage.stock, stage.share)?;
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

/// A job that waits or runs.
#[derive(Debug)]
struct Live {
    arrival: Arrival,
    data: Option<usize>,
    /// The pools it waits for.
    choices: Vec<Choice>,
}

/// A job that holds chips.
#[derive(Debug)]
struct Running {
    live: Live,
    choice: Choice,
    held_from: u64,
    started: u64,
    /// Until when its pool takes it to run at the latest.
    latest: u64,
    fate: Fate,
    moved: Bytes,
}

struct Play<'a> {
    stage: Stage<'a>,
    policy: Policy,
    sites: Sites<'a>,
    copies: Copies<'a>,
    pools: Vec<PoolQueue>,
    waiting: BTreeMap<u64, Live>,
    running: BTreeMap<u64, Running>,
    /// When which job ends.
    events: BinaryHeap<Reverse<(u64, u64)>>,
}

impl<'a> Play<'a> {
    fn new(stage: Stage<'a>, policy: Policy) -> Result<Self, Error> {
        let sites = Sites::new(stage.network);
        let pool = |size| PoolQueue::new(policy.discipline(), size);
        Ok(Self {
            copies: Copies::new(stage.network, stage.stock, stage.share)?,
            pools: sites.sizes().map(pool).collect(),
            stage,
            policy,
            sites,
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
            events: BinaryHeap::new(),
        })
    }

    fn arrive(&mut self, job: u64, arrival: Arrival, each: &mut dyn FnMut(Finished)) {
        let now = arrival.after.0;
        let data = arrival.spec.inputs.first().map(|input| &input.dataset.dataset);
        let data = data.and_then(|dataset| self.copies.number(dataset));
        let mut choices: Vec<Choice> = choices(&self.sites, &self.copies, &arrival, now).collect();
        self.restrict(&arrival, data, &mut choices);
        if choices.is_empty() {
            each(refused(job, &arrival));
            return;
        }
        if self.policy == Policy::EachAlone {
            each(self.alone(job, &arrival, &choices));
            return;
        }
        for choice in &mut choices {
            let way = data.and_then(|data| self.copies.way(data, choice.center, now));
            choice.longest = choice.limit.0.saturating_add(way.map_or(0, |way| way.ready - now));
        }
        let live = Live { arrival, data, choices };
        match self.pick(job, &live, now) {
            Some(choice) => self.start(job, live, choice, now),
            None => {
                for choice in &live.choices {
                    self.pools[choice.pool].wait(job, choice.shape, choice.longest);
                }
                self.waiting.insert(job, live);
            }
        }
    }

    /// What the job comes to at the least: by time, by chips, by price, each where that is least.
    fn alone(&self, job: u64, arrival: &Arrival, choices: &[Choice]) -> Finished {
        let runs = |choice: &Choice| self.runs(arrival, choice);
        let least = choices.iter().min_by_key(|choice| runs(choice));
        let chips = |choice: &Choice| Chips(choice.shape.each).times(choice.shape.nodes.into());
        let held = choices.iter().map(|choice| chips(choice).over(runs(choice).0)).min();
        let price = choices.iter().map(|choice| self.sites.price(choice, runs(choice).0));
        let price = price.min_by(f64::total_cmp).unwrap_or_default();
        let (ran, fate) = least.map_or((Span::ZERO, Fate::Refused), runs);
        Finished {
            first_started: Some(arrival.after),
            started: Some(arrival.after),
            ended: arrival.after + ran,
            fate,
            chips: least.map_or(Chips::ZERO, chips),
            center: least.map(|choice| self.sites.center(choice.center).clone()),
            held: held.unwrap_or_default(),
            price_micros: micros(price),
            ..refused(job, arrival)
        }
    }

    /// How long a job runs, and how it ends.
    fn runs(&self, arrival: &Arrival, choice: &Choice) -> (Span, Fate) {
        let actual = arrival.actual;
        let chip = self.sites.chip(choice.pool);
        let runs = at_speed(actual.work, self.stage.speeds.thousandths(chip, actual.kind));
        match actual.ending {
            _ if runs > choice.limit => (choice.limit, Fate::TimedOut),
            Ending::Success => (runs, Fate::Completed),
            Ending::Failure => (runs, Fate::Failed),
            Ending::Canceled | Ending::Withdrawn => (runs, Fate::Canceled),
        }
    }

    /// Leaves the pools that the policy allows.
    fn restrict(&self, arrival: &Arrival, data: Option<usize>, choices: &mut Vec<Choice>) {
        match self.policy {
            Policy::EveryCenterAlone => {
                let home = self.sites.home(&arrival.spec.tenant);
                choices.retain(|choice| Some(choice.center) == home);
            }
            Policy::LocalityOnly => {
                let Some(data) = data else { return };
                let now = arrival.after.0;
                let near = |choice: &Choice| self.copies.is_at(data, choice.center, now);
                if choices.iter().any(near) {
                    choices.retain(near);
                }
            }
            Policy::FirstComeRace | Policy::CheapestFirst | Policy::EachAlone => {}
        }
    }

    /// Where the job starts at once, if anywhere.
    fn pick(&mut self, job: u64, live: &Live, now: u64) -> Option<Choice> {
        let mut able = Vec::new();
        for choice in &live.choices {
            if self.pools[choice.pool].could_start(now, choice.shape, choice.longest) {
                able.push(choice);
            }
        }
        if self.policy == Policy::CheapestFirst {
            let price = |choice: &Choice| {
                let way = live.data.and_then(|data| self.copies.way(data, choice.center, now));
                self.sites.price(choice, choice.limit) + way.map_or(0.0, |way| way.price)
            };
            return able.into_iter().min_by(|a, b| price(a).total_cmp(&price(b))).cloned();
        }
        // Of those that could start it at once whoever has the data does; else chance decides, for
        // which the job's number stands in.
        let turn = |choice: &Choice| {
            let pools = self.pools.len() as u64;
            (choice.longest - choice.limit.0, (choice.pool as u64 + job) % pools)
        };
        able.into_iter().min_by_key(|choice| turn(choice)).cloned()
    }

    /// Starts a job that waits nowhere. Its chips are held while its data is on its way.
    fn start(&mut self, job: u64, live: Live, choice: Choice, now: u64) {
        let way = live.data.and_then(|data| {
            let way = self.copies.way(data, choice.center, now)?;
            self.copies.bring(data, choice.center, &way, now);
            Some(way)
        });
        let way = way.unwrap_or(Way { ready: now, moved: Bytes::ZERO, price: 0.0 });
        let (runs, fate) = self.runs(&live.arrival, &choice);
        let latest = way.ready.saturating_add(choice.limit.0);
        self.pools[choice.pool].start(job, choice.shape, latest);
        self.events.push(Reverse((way.ready.saturating_add(runs.0), job)));
        let running = Running {
            held_from: now,
            started: way.ready,
            latest,
            fate,
            moved: way.moved,
            choice,
            live,
        };
        self.running.insert(job, running);
    }

    /// Starts whoever can in pools where something changed.
    fn settle(&mut self, mut dirty: BTreeSet<usize>, now: u64) {
        while let Some(pool) = dirty.pop_first() {
            while let Some(job) = self.pools[pool].next(now) {
                let live = self.waiting.remove(&job).expect("who waits for a pool waits");
                for other in &live.choices {
                    if self.pools[other.pool].leave(job, other.shape) {
                        dirty.insert(other.pool);
                    }
                }
                let choice = live.choices.iter().find(|choice| choice.pool == pool).cloned();
                let choice = choice.expect("who waits for a pool chose it");
                self.start(job, live, choice, now);
            }
        }
    }

    /// Ends the job that ends next.
    fn end(&mut self, each: &mut dyn FnMut(Finished)) {
        let Some(Reverse((now, job))) = self.events.pop() else { return };
        let Some(running) = self.running.remove(&job) else { return };
        let pool = running.choice.pool;
        self.pools[pool].end(job, running.latest);
        if let Some(data) = running.live.data {
            self.copies.release(data, running.choice.center, now);
        }
        each(self.finished(job, &running, now));
        self.settle(BTreeSet::from([pool]), now);
    }

    fn finished(&self, job: u64, running: &Running, now: u64) -> Finished {
        let Running { choice, live, .. } = running;
        let held = Span(now - running.held_from);
        let chips = Chips(choice.shape.each).times(choice.shape.nodes.into());
        Finished {
            first_started: Some(Span(running.started)),
            started: Some(Span(running.started)),
            ended: Span(now),
            fate: running.fate,
            chips,
            center: Some(self.sites.center(choice.center).clone()),
            held: chips.over(held),
            price_micros: micros(self.sites.price(choice, held)),
            moved: running.moved,
            ..refused(job, &live.arrival)
        }
    }
}

/// To the whole millionth.
fn micros(price: f64) -> i64 {
    let whole = crate::load::rounded(price).and_then(|price| i64::try_from(price).ok());
    whole.unwrap_or(i64::MAX)
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
        first_started: None,
        started: None,
        ended: arrival.after,
        fate: Fate::Refused,
        work: arrival.actual.work,
        chips: variant.map_or(Chips::ZERO, |v| v.chips_per_node.times(v.nodes.into())),
        center: None,
        held: ChipTime::ZERO,
        price_micros: 0,
        moved: Bytes::ZERO,
    }
}
