//! One run of a policy: who waits where, what runs, and what happens next.

use super::data::{Copies, Way};
use super::nodes::Typical;
use super::order::{Order, Standing};
use super::queue::{PoolQueue, Waiter};
use super::sites::{Choice, Sites};
use super::{Baseline, Policy, Stage, Steps, choices, refused};
use crate::Error;
use crate::load::{Arrival, Ending, at_speed};
use crate::measure::{Fate, Finished};
use model::{Bytes, Chips, Span, TenantId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// A job that waits or runs.
#[derive(Debug)]
struct Live {
    arrival: Arrival,
    /// Its tenant's number.
    tenant: usize,
    data: Option<usize>,
    /// How its data was brought already.
    brought: Option<Way>,
    /// The pools it waits for.
    choices: Vec<Choice>,
    /// Pools it may be sent to later, the last first.
    later: Vec<Choice>,
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

/// What happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ends,
    /// Its data has come.
    DataComes,
    /// It has waited long enough to be sent to more centers.
    Widens(Steps),
}

pub(super) struct Play<'a> {
    stage: Stage<'a>,
    baseline: Baseline,
    sites: Sites<'a>,
    copies: Copies<'a>,
    pools: Vec<PoolQueue>,
    tenants: BTreeMap<&'a TenantId, usize>,
    standing: Standing,
    /// What jobs asked for so far.
    typical: Typical,
    /// Chip-milliseconds each pool was given by limits and has not seen the end of.
    backlog: Vec<u64>,
    waiting: BTreeMap<u64, Live>,
    running: BTreeMap<u64, Running>,
    events: BinaryHeap<Reverse<(u64, Event, u64)>>,
}

impl<'a> Play<'a> {
    pub(super) fn new(stage: Stage<'a>, baseline: Baseline) -> Result<Self, Error> {
        let sites = Sites::new(stage.network);
        let pool = |size| PoolQueue::new(baseline.policy.discipline(), size);
        let pools: Vec<PoolQueue> = sites.sizes().map(pool).collect();
        let tenants = &stage.network.tenants;
        let weights = tenants.iter().map(|tenant| f64::from(tenant.weight.max(1))).collect();
        Ok(Self {
            copies: Copies::new(stage.network, stage.stock)?,
            backlog: vec![0; pools.len()],
            typical: Typical::default(),
            pools,
            tenants: tenants.iter().enumerate().map(|(n, t)| (&t.tenant, n)).collect(),
            standing: Standing::new(baseline.order, weights),
            stage,
            baseline,
            sites,
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
            events: BinaryHeap::new(),
        })
    }

    /// When something happens next.
    pub(super) fn next_event(&self) -> Option<u64> {
        self.events.peek().map(|Reverse((at, ..))| *at)
    }

    pub(super) fn arrive(&mut self, job: u64, arrival: Arrival, each: &mut dyn FnMut(Finished)) {
        let now = arrival.after.0;
        let data = arrival.spec.inputs.first().map(|input| &input.dataset.dataset);
        let data = data.and_then(|dataset| self.copies.number(dataset));
        let mut choices: Vec<Choice> = choices(&self.sites, &self.copies, &arrival, now).collect();
        self.restrict(&arrival, data, &mut choices);
        if choices.is_empty() {
            each(refused(job, &arrival));
            return;
        }
        if self.baseline.policy == Policy::EachAlone {
            each(self.alone(job, &arrival, &choices));
            return;
        }
        for choice in &mut choices {
            let way = data.and_then(|data| self.copies.way(data, choice.center, now));
            choice.longest = choice.limit.0.saturating_add(way.map_or(0, |way| way.ready - now));
        }
        choices.iter().take(1).for_each(|choice| self.typical.note(choice.shape));
        let tenant = self.tenants.get(&arrival.spec.tenant).copied().unwrap_or_default();
        let (brought, later) = (None, Vec::new());
        let mut live = Live { arrival, tenant, data, brought, choices, later };
        match self.baseline.policy {
            Policy::DataFirst if data.is_some() => self.send_data(job, live, now),
            Policy::RaceInSteps(steps) => {
                live.choices.sort_by_key(|choice| Reverse(self.sites.center(choice.center)));
                live.later = std::mem::take(&mut live.choices);
                self.widen(job, live, steps, now);
            }
            _ => self.queue(job, live, now),
        }
    }

    /// Starts the job, or has it wait where it may.
    fn queue(&mut self, job: u64, live: Live, now: u64) {
        for choice in &live.choices {
            self.backlog[choice.pool] += self.bulk(choice) / live.choices.len() as u64;
        }
        self.keep_promise(now);
        match self.pick(job, &live, now) {
            Some(choice) => self.start(job, live, choice, now),
            None => {
                for choice in &live.choices {
                    let waiter = self.waiter(job, &live, choice);
                    self.pools[choice.pool].wait(waiter, choice.longest);
                }
                self.waiting.insert(job, live);
            }
        }
    }

    /// What a job is to a pool, in chip-milliseconds.
    fn bulk(&self, choice: &Choice) -> u64 {
        choice.shape.each.saturating_mul(choice.shape.nodes.into()) / 1_000 * choice.limit.0
    }

    fn waiter(&self, job: u64, live: &Live, choice: &Choice) -> Waiter {
        let turn = self.standing.turn(job, live.arrival.spec.priority);
        Waiter { tenant: self.standing.line(live.tenant), turn, shape: choice.shape }
    }

    /// Decides where the job's data goes, and with it the job: where it is expected to be over
    /// soonest, by what each pool is to do before and if nothing else were on the way.
    fn send_data(&mut self, job: u64, mut live: Live, now: u64) {
        let expected = |choice: &Choice| {
            let chips = self.sites.chips(choice.pool).max(1);
            let busy = self.backlog[choice.pool].saturating_mul(1_000) / chips;
            choice.longest.saturating_add(busy)
        };
        let best = live.choices.iter().min_by_key(|choice| expected(choice)).cloned();
        let (Some(best), Some(data)) = (best, live.data) else { return };
        live.brought = self.copies.bring(data, best.center, now);
        live.choices.retain(|choice| choice.center == best.center);
        for choice in &mut live.choices {
            choice.longest = choice.limit.0;
        }
        let ready = live.brought.map_or(now, |way| way.ready);
        if ready <= now {
            return self.queue(job, live, now);
        }
        self.waiting.insert(job, live);
        self.events.push(Reverse((ready, Event::DataComes, job)));
    }

    /// Sends a job that waits to the next few centers.
    fn widen(&mut self, job: u64, mut live: Live, steps: Steps, now: u64) {
        for choice in &live.choices {
            self.backlog[choice.pool] -= self.bulk(choice) / live.choices.len() as u64;
            let waiter = self.waiter(job, &live, choice);
            self.pools[choice.pool].leave(waiter);
        }
        let mut centers = BTreeSet::new();
        while let Some(next) = live.later.pop() {
            if centers.len() == usize::from(steps.centers) && !centers.contains(&next.center) {
                live.later.push(next);
                break;
            }
            centers.insert(next.center);
            live.choices.push(next);
        }
        if !live.later.is_empty() {
            let then = now + u64::from(steps.minutes) * 60_000;
            self.events.push(Reverse((then, Event::Widens(steps), job)));
        }
        self.queue(job, live, now);
    }

    /// What the job comes to at the least: by time, by chips, by price, each where that is least.
    fn alone(&self, job: u64, arrival: &Arrival, choices: &[Choice]) -> Finished {
        let runs = |choice: &Choice| self.runs(arrival, choice);
        let least = choices.iter().min_by_key(|choice| runs(choice));
        let chips = |choice: &Choice| Chips(choice.shape.each).times(choice.shape.nodes.into());
        let held = choices.iter().map(|choice| chips(choice).over(runs(choice).0)).min();
        let price = choices.iter().map(|choice| self.sites.price(choice, runs(choice).0));
        let price = price.min_by(f64::total_cmp).unwrap_or_default();
        let energy = |choice: &Choice| {
            self.sites.energy(choice, chips(choice), arrival.after, runs(choice).0)
        };
        let (ran, fate) = least.map_or((Span::ZERO, Fate::Refused), runs);
        Finished {
            first_started: Some(arrival.after),
            started: Some(arrival.after),
            ended: arrival.after + ran,
            fate,
            chips: least.map_or(Chips::ZERO, chips),
            center: least.map(|choice| self.sites.center(choice.center).clone()),
            held: held.unwrap_or_default(),
            energy_mwh: choices.iter().map(|c| energy(c).0).min().unwrap_or_default(),
            carbon_mg: choices.iter().map(|c| energy(c).1).min().unwrap_or_default(),
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
        match self.baseline.policy {
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
            Policy::EachAlone
            | Policy::OneQueue
            | Policy::RaceToAll
            | Policy::RaceInSteps(_)
            | Policy::CheapestFirst
            | Policy::BestFit
            | Policy::LeastFragments
            | Policy::DataFirst => {}
        }
    }

    /// Where the job starts at once, if anywhere.
    fn pick(&mut self, job: u64, live: &Live, now: u64) -> Option<Choice> {
        let mut able = Vec::new();
        for choice in &live.choices {
            let what = (choice.shape, choice.longest);
            if self.pools[choice.pool].could_start(now, what, &self.standing) {
                able.push(choice);
            }
        }
        let score: &dyn Fn(&Choice) -> f64 = match self.baseline.policy {
            Policy::CheapestFirst => &|choice| {
                let way = live.data.and_then(|data| self.copies.way(data, choice.center, now));
                self.sites.price(choice, choice.limit) + way.map_or(0.0, |way| way.price)
            },
            Policy::BestFit => &|choice| self.pools[choice.pool].nodes().all_free() as f64,
            Policy::LeastFragments => {
                &|choice| self.typical.fragments(self.pools[choice.pool].nodes(), choice.shape)
            }
            // Of those that could start it at once whoever has the data does; else chance decides, for
            // which the job's number stands in.
            _ => {
                let turn = |choice: &&&Choice| {
                    let pools = self.pools.len() as u64;
                    (choice.longest - choice.limit.0, (choice.pool as u64 + job) % pools)
                };
                return able.iter().min_by_key(turn).copied().cloned();
            }
        };
        let better = |a: &&&Choice, b: &&&Choice| score(a).total_cmp(&score(b));
        able.iter().min_by(better).copied().cloned()
    }

    /// Starts a job that waits nowhere. Its chips are held while its data is on its way.
    fn start(&mut self, job: u64, live: Live, choice: Choice, now: u64) {
        let bring = |data| self.copies.bring(data, choice.center, now);
        let way = live.brought.or_else(|| live.data.and_then(bring));
        let way = way.unwrap_or(Way { ready: now, moved: Bytes::ZERO, price: 0.0 });
        let ready = way.ready.max(now);
        let (runs, fate) = self.runs(&live.arrival, &choice);
        let latest = ready.saturating_add(choice.limit.0);
        self.pools[choice.pool].start(job, choice.shape, latest);
        self.standing.changes(live.tenant, chips(&choice), now);
        self.events.push(Reverse((ready.saturating_add(runs.0), Event::Ends, job)));
        let (held_from, started, moved) = (now, ready, way.moved);
        let running = Running { held_from, started, latest, fate, moved, choice, live };
        self.running.insert(job, running);
    }

    /// Keeps the first of all who wait from being delayed where it can start soonest, if that is what
    /// the policy promises.
    fn keep_promise(&mut self, now: u64) {
        if self.baseline.policy != Policy::OneQueue {
            return;
        }
        self.pools.iter_mut().for_each(|pool| pool.promise(None, now));
        let standing = &self.standing;
        let turn = |(job, live): &(&u64, &Live)| {
            let turn = standing.turn(**job, live.arrival.spec.priority);
            (standing.of(standing.line(live.tenant)), turn)
        };
        let first = match self.baseline.order {
            Order::FirstCome => self.waiting.iter().next(),
            Order::Priority | Order::FairShare => self.waiting.iter().min_by_key(turn),
        };
        let Some((job, live)) = first else { return };
        let soonest = |choice: &&Choice| self.pools[choice.pool].could_at(choice.shape, now);
        let Some(choice) = live.choices.iter().min_by_key(soonest) else { return };
        self.pools[choice.pool].promise(Some((*job, choice.shape)), now);
    }

    /// Starts whoever can in pools where something changed.
    fn settle(&mut self, mut dirty: BTreeSet<usize>, now: u64) {
        self.keep_promise(now);
        while let Some(pool) = dirty.pop_first() {
            while let Some(job) = self.pools[pool].next(now, &self.standing) {
                let live = self.waiting.remove(&job).expect("who waits for a pool waits");
                let mut minded = false;
                for other in &live.choices {
                    let waiter = self.waiter(job, &live, other);
                    if self.pools[other.pool].leave(waiter) {
                        dirty.insert(other.pool);
                        minded = true;
                    }
                }
                let choice = live.choices.iter().find(|choice| choice.pool == pool).cloned();
                let choice = choice.expect("who waits for a pool chose it");
                self.start(job, live, choice, now);
                if minded {
                    self.keep_promise(now);
                }
            }
        }
    }

    /// Has happen what happens next.
    pub(super) fn go_on(&mut self, each: &mut dyn FnMut(Finished)) {
        match self.events.pop() {
            Some(Reverse((now, Event::Ends, job))) => self.end(job, now, each),
            Some(Reverse((now, Event::DataComes, job))) => {
                if let Some(live) = self.waiting.remove(&job) {
                    self.queue(job, live, now);
                }
            }
            Some(Reverse((now, Event::Widens(steps), job))) => {
                if let Some(live) = self.waiting.remove(&job) {
                    self.widen(job, live, steps, now);
                }
            }
            None => {}
        }
    }

    fn end(&mut self, job: u64, now: u64, each: &mut dyn FnMut(Finished)) {
        let Some(running) = self.running.remove(&job) else { return };
        let pool = running.choice.pool;
        self.pools[pool].end(job, running.latest);
        self.standing.changes(running.live.tenant, -chips(&running.choice), now);
        for choice in &running.live.choices {
            self.backlog[choice.pool] -= self.bulk(choice) / running.live.choices.len() as u64;
        }
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
        let from = Span(running.held_from);
        let (energy_mwh, carbon_mg) = self.sites.energy(choice, chips, from, held);
        Finished {
            first_started: Some(Span(running.started)),
            started: Some(Span(running.started)),
            ended: Span(now),
            fate: running.fate,
            chips,
            center: Some(self.sites.center(choice.center).clone()),
            held: chips.over(held),
            energy_mwh,
            carbon_mg,
            price_micros: micros(self.sites.price(choice, held)),
            moved: running.moved,
            ..refused(job, &live.arrival)
        }
    }
}

/// The chips of a choice.
fn chips(choice: &Choice) -> f64 {
    choice.shape.each as f64 * f64::from(choice.shape.nodes) / 1e3
}

/// To the whole millionth.
fn micros(price: f64) -> i64 {
    let whole = crate::load::rounded(price).and_then(|price| i64::try_from(price).ok());
    whole.unwrap_or(i64::MAX)
}
