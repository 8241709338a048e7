//! Small networks, made up from a seed, in which everything goes wrong.

mod lending;
mod quotas;
mod relations;
mod reservations;

use super::{Fault, Faults, Mishaps, Planned, Sabotage};
use crate::load::{Actual, Arrival, Ending, Stock};
use crate::setup::{Audit, Setup, Timing};
use controller::{Command, Declarations, Settings};
use model::job::{Checkpoint, Duration, Input, InputMode, JobKind, On, Output, Together, Within};
use model::{
    Bytes, Capability, CarbonIntensity, Center, CenterId, Chip, ChipClass, ChipId, Chips, Cores,
    Currency, DatasetId, DatasetRef, DatasetVersion, Digest, EngineKind, Exchange, ExchangeId,
    JobSpec, Keeping, Link, LinkId, Money, Objective, OwnerId, Part, Pool, PoolId, Rate, Region,
    Site, SiteId, Span, Tenant, TenantId, Variant, WhenCutOff,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How long things go wrong.
const STORM: Span = Span::from_secs(300);
/// Both classes of chips there are.
const CLASSES: [&str; 2] = ["cann", "cuda"];
/// Who submits.
const TENANTS: [&str; 2] = ["lab", "startup"];
/// The one exchange.
const EXCHANGE: &str = "ix";

/// A network, its load and its faults, all from the seed.
pub(super) fn made(seed: u64, sabotage: Option<Sabotage>) -> (Setup, Vec<Arrival>) {
    let mut maker = Maker { rng: ChaCha8Rng::seed_from_u64(seed) };
    let centers = maker.rng.random_range(2..=5);
    let centers: Vec<Center> = (0..centers).map(|n| maker.center(n)).collect();
    let names: Vec<CenterId> = centers.iter().map(|center| center.center.clone()).collect();
    let data = maker.data(&names);
    let mut setup = Setup::new(Declarations {
        chips: CLASSES.iter().map(|class| chip(class)).collect(),
        links: names.iter().map(|name| maker.link(name)).collect(),
        centers,
        exchanges: vec![exchange()],
        tenants: TENANTS.iter().map(|name| tenant(name)).collect(),
        ..Declarations::default()
    });
    setup.timing = maker.timing();
    setup.settings = maker.settings();
    setup.faults = maker.faults(&names);
    setup.audit = Audit::Everything;
    setup.sabotage = sabotage;
    setup.wishes = maker.wishes(&names, &data);
    setup.data = data;
    let jobs = maker.rng.random_range(10..=40);
    let mut arrivals: Vec<Arrival> = (0..jobs).map(|n| maker.arrival(n, &setup)).collect();
    arrivals.sort_by_key(|arrival| arrival.after);
    maker.shut_doors(&mut setup);
    quotas::draw(seed, &mut setup);
    lending::draw(seed, &mut setup);
    reservations::draw(seed, &setup, &mut arrivals);
    relations::draw(seed, &mut arrivals);
    (setup, arrivals)
}

struct Maker {
    rng: ChaCha8Rng,
}

impl Maker {
    fn millis(&mut self, from: u64, to: u64) -> Span {
        Span(self.rng.random_range(from..=to))
    }

    /// Once in so many times.
    fn once_in(&mut self, times: u32) -> bool {
        self.rng.random_range(0..times) == 0
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.rng.random_range(0..all.len())]
    }

    fn center(&mut self, number: usize) -> Center {
        let name = format!("c{number}");
        let class = if number < 2 { CLASSES[number] } else { self.one_of(&CLASSES) };
        Center {
            center: CenterId::new(&name).expect("a letter and a digit"),
            owner: OwnerId::new("owner").expect("a word"),
            sites: vec![Site {
                region: region("cn"),
                latitude_micro: 31_000_000,
                longitude_micro: 121_000_000,
                time_zone: "Asia/Shanghai".to_owned(),
            }],
            engine: EngineKind::Process,
            pools: vec![Pool {
                pool: PoolId::new("p").expect("a letter"),
                chip: Some(ChipId::new(class).expect("a word")),
                nodes: self.rng.random_range(1..=3),
                chips_per_node: self.one_of(&[2, 4, 8]),
                cores: Cores(16_000),
                memory: Bytes(64 << 30),
                nodes_per_block: 0,
                price_per_hour: Money { micros: 5_000_000, currency: Currency::CNY },
                capability: Capability::default(),
                lending: None,
            }],
            // Some are full of what they start with.
            store: Some(Bytes(self.one_of(&[8, 12, 20, 1_024]) << 30)),
            relay: None,
            data_url: None,
            pue_thousandths: 1_200,
            carbon: CarbonIntensity::default(),
            lend_percent: 100,
            recall_notice: Span::from_secs(600),
            lend_to: model::Guests::default(),
            lend_windows: Vec::new(),
            partners: Vec::new(),
            only_tenants: Vec::new(),
            external_ids: Vec::new(),
        }
    }

    fn link(&mut self, center: &CenterId) -> Link {
        Link {
            link: LinkId::new(&format!("{center}--{EXCHANGE}")).expect("names joined by dashes"),
            a: SiteId::Center(center.clone()),
            b: SiteId::Exchange(exchange().exchange),
            capacity: Rate(self.rng.random_range(1..=10) * 1_000_000_000),
            latency_us: 1_000,
            carrier: OwnerId::new("carrier").expect("a word"),
            price_per_gbps_hour: Money { micros: 1_000_000, currency: Currency::CNY },
            risk_group: None,
            sla: model::quality::Sla::default(),
        }
    }

    fn data(&mut self, centers: &[CenterId]) -> Vec<Stock> {
        let count = self.rng.random_range(0..=3);
        let mut stock = Vec::new();
        for number in 0..count {
            let name = format!("d{number}");
            let version = Digest::of(name.as_bytes());
            let first = self.rng.random_range(0..centers.len());
            let mut at = vec![centers[first].clone()];
            if self.once_in(2) {
                at.push(centers[(first + 1) % centers.len()].clone());
            }
            stock.push(Stock {
                data: DatasetVersion { dataset: dataset(&name), version },
                bytes: Bytes(self.rng.random_range(1..=20) * (1 << 30) / 4),
                tenant: TenantId::new("lab").expect("a word"),
                residency: Vec::new(),
                at,
            });
        }
        stock
    }

    /// In every other network some centers have no door, and another lends them room in passing: enough
    /// for the largest data there is, or little more.
    fn shut_doors(&mut self, setup: &mut Setup) {
        if self.once_in(2) {
            return;
        }
        let centers = &mut setup.declarations.centers;
        let relay = self.rng.random_range(0..centers.len());
        let shut = centers.iter().enumerate().filter(|(at, _)| *at != relay && !self.once_in(3));
        setup.doorless = shut.map(|(_, center)| center.center.clone()).collect();
        let relay = &mut centers[relay];
        // What waits for it must not wait for ever.
        relay.store = Some(Bytes(1_024 << 30));
        relay.relay = Some(Bytes(self.one_of(&[5, 7, 20]) << 30));
    }

    /// What people want of the data meanwhile; much of it cannot be had.
    fn wishes(&mut self, centers: &[CenterId], data: &[Stock]) -> Vec<(Span, Command)> {
        let mut wishes = Vec::new();
        for _ in 0..self.rng.random_range(0..=2) {
            let cut = self.one_of(&[true, false, false]);
            let center = centers[self.rng.random_range(0..centers.len())].clone();
            let link = self.link(&center).link;
            let (from, lasts) = (self.millis(0, STORM.0 / 2), self.millis(1_000, STORM.0 / 2));
            if cut {
                wishes.push((from, Command::CutLink(link.clone())));
                wishes.push((from + lasts, Command::MendLink(link.clone())));
                // What was asked in vain while the server was down may come in another order.
                wishes.push((STORM + STORM, Command::MendLink(link)));
            }
        }
        for stock in data {
            for _ in 0..self.rng.random_range(0..=6) {
                let after = self.millis(0, STORM.0);
                wishes.push((after, self.wish(centers, &stock.data.dataset)));
            }
        }
        wishes
    }

    fn wish(&mut self, centers: &[CenterId], dataset: &DatasetId) -> Command {
        let center = centers[self.rng.random_range(0..centers.len())].clone();
        let data = DatasetRef { dataset: dataset.clone(), version: None };
        match self.rng.random_range(0..4) {
            0 => {
                let copies = self.rng.random_range(1..=3);
                let pinned =
                    if self.once_in(2) { BTreeSet::from([center]) } else { BTreeSet::new() };
                let keeping = Keeping { copies, pinned, ..Keeping::default() };
                Command::Keep { dataset: dataset.clone(), keeping }
            }
            1 => Command::Copy { data, to: center },
            2 => Command::Evict { data, center },
            _ => {
                let (dataset, center) = (Some(dataset.clone()), self.once_in(2).then_some(center));
                Command::Scrub { dataset, center }
            }
        }
    }

    fn timing(&mut self) -> Timing {
        Timing {
            latency: self.millis(1, 200),
            jitter: self.millis(0, 500),
            beat: Span(1),
            poll: self.millis(1_000, 8_000),
            patience: self.millis(500, 3_000),
            tick: self.millis(500, 1_500),
            solve: self.millis(10, 3_000),
            dying: self.millis(0, 8_000),
            sample: None,
        }
    }

    fn settings(&mut self) -> Settings {
        Settings {
            silent_after: self.millis(9_000, 20_000),
            keep_ended: self.millis(20_000, 200_000),
            solve_every: self.millis(100, 5_000),
            tend_every: self.millis(1_000, 30_000),
            scrub_every: self.millis(10_000, 300_000),
            keep_free_percent: self.one_of(&[0, 10, 50]),
            policy: planner::Policy {
                // Waits are short here: what is worth it in a network would never be.
                preempting: Some(planner::Preempting {
                    worth: self.millis(0, 20_000),
                    most: self.rng.random_range(1..=4),
                    ..planner::Preempting::default()
                }),
                ..planner::Policy::default().towards(self.one_of(&planner::Aim::ALL))
            },
            ..Settings::default()
        }
    }

    fn faults(&mut self, centers: &[CenterId]) -> Faults {
        let count = self.rng.random_range(2..=8);
        let planned = (0..count).map(|_| self.planned(centers)).collect();
        // Each kind of mishap is absent from many runs: what one hides another may show.
        let mut at_most = |most: u32| {
            if self.once_in(2) { 0 } else { self.rng.random_range(0..=most) }
        };
        let mishaps = Mishaps {
            lost: at_most(80),
            doubled: at_most(100),
            late: at_most(80),
            not_started: at_most(60),
            cut_short: at_most(60),
            broken_copies: at_most(150),
            damaged_copies: at_most(80),
            drift_ppm: at_most(3_000),
            latest: self.millis(500, 20_000),
        };
        Faults { planned, mishaps, until: STORM }
    }

    fn planned(&mut self, centers: &[CenterId]) -> Planned {
        let after = self.millis(1_000, STORM.0 - 20_000);
        let center = centers[self.rng.random_range(0..centers.len())].clone();
        let fault = match self.rng.random_range(0..8) {
            0 => Fault::AgentDies { center, back: self.millis(100, 60_000) },
            1 => {
                let declared =
                    if self.once_in(2) { Some(self.millis(1_000, 30_000)) } else { None };
                let (back, wiped) = (self.millis(5_000, 90_000), self.once_in(3));
                Fault::HostsDie { center, back, declared, wiped }
            }
            2 | 3 => {
                let (lasts, holds) = (self.millis(1_000, 90_000), self.once_in(3));
                Fault::Cut { center, lasts, holds }
            }
            4 => Fault::Slow { center, lasts: self.millis(500, 60_000) },
            5 => Fault::Rot { center },
            _ => Fault::ServerDies { back: self.millis(100, 20_000) },
        };
        Planned { after, fault }
    }

    fn arrival(&mut self, number: usize, setup: &Setup) -> Arrival {
        let limit = self.millis(3_000, 80_000);
        let work = match self.rng.random_range(0..10) {
            0 => limit + self.millis(1, 60_000),
            1 => Span(limit.0.saturating_sub(self.rng.random_range(0..=1_000)).max(1)),
            _ => self.millis(1, limit.0),
        };
        let ending = match self.rng.random_range(0..10) {
            0 => Ending::Canceled,
            1 => Ending::Failure,
            _ => Ending::Success,
        };
        let spec = self.spec(number, limit, setup);
        let after = self.millis(0, STORM.0 * 2 / 3);
        Arrival { after, spec: Arc::new(spec), actual: Actual { work, kind: 0, ending } }
    }

    fn spec(&mut self, number: usize, limit: Span, setup: &Setup) -> JobSpec {
        let (centers, data) = (&setup.declarations.centers, &setup.data);
        let mut inputs = Vec::new();
        for stock in data {
            if self.once_in(4) {
                let mode = match self.once_in(3) {
                    true => {
                        InputMode::Streamed { rate: Rate(self.rng.random_range(1..400_000_000)) }
                    }
                    false => InputMode::Staged,
                };
                let dataset = DatasetRef { dataset: stock.data.dataset.clone(), version: None };
                inputs.push(Input { name: stock.data.dataset.to_string(), dataset, mode });
            }
        }
        let output = self.once_in(6).then(|| Output {
            name: "out".to_owned(),
            dataset: dataset(&format!("o{number}")),
            residency: Vec::new(),
        });
        let when_cut_off = if self.once_in(2) {
            WhenCutOff::Move { lease: self.millis(12_000, 60_000) }
        } else {
            WhenCutOff::Hold
        };
        JobSpec {
            parts: vec![Part { name: "main".to_owned(), variants: self.variants(centers) }],
            inputs,
            outputs: output.into_iter().collect(),
            objective: self.one_of(&[Objective::Fastest, Objective::Cheapest, Objective::Balanced]),
            priority: self.rng.random_range(-1..=1),
            preemptible: self.once_in(2),
            checkpoint: self.checkpoint(),
            hold: self.once_in(10),
            when_cut_off,
            retries: self.rng.random_range(0..=2),
            ..plain(self.one_of(&TENANTS), limit)
        }
    }

    /// Every second job keeps its progress, by itself or when it is asked to.
    fn checkpoint(&mut self) -> Option<Checkpoint> {
        let asked = self.once_in(2);
        let interval = (!asked || self.once_in(2)).then(|| self.millis(500, 20_000));
        let grace = self.millis(1_000, 20_000);
        self.once_in(2).then(|| Checkpoint {
            path: "checkpoint".to_owned(),
            interval,
            signal: asked.then(|| "USR1".to_owned()),
            grace,
        })
    }

    /// Ways to run a gang that at least one center has room for when it is empty.
    fn variants(&mut self, centers: &[Center]) -> Vec<Variant> {
        let fits = &centers[self.rng.random_range(0..centers.len())].pools[0];
        let per_node = u64::from(fits.chips_per_node);
        let (nodes, chips) = match self.rng.random_range(0..8) {
            0 | 1 => (1, Chips(self.one_of(&[250, 500, 1_000]))),
            2 => (fits.nodes, Chips::whole(self.rng.random_range(1..=per_node))),
            _ => (1, Chips::whole(self.rng.random_range(1..=per_node))),
        };
        let own = fits.chip.as_ref().map(ToString::to_string).unwrap_or_default();
        let other = CLASSES.into_iter().find(|class| *class != own).filter(|_| self.once_in(2));
        let variant = |class: &str| Variant {
            on: On::Class(ChipClass::new(class).expect("a word")),
            nodes,
            chips_per_node: chips,
            cores: Cores(1_000),
            memory: Bytes(1 << 30),
            command: vec!["run".to_owned()],
            image: None,
            env: BTreeMap::new(),
            speed_thousandths: None,
            limit: None,
        };
        other.into_iter().map(variant).chain([variant(&own)]).collect()
    }
}

fn region(text: &str) -> Region {
    text.parse().expect("a region")
}

fn dataset(name: &str) -> DatasetId {
    DatasetId::new(name).expect("a letter and a number")
}

fn exchange() -> Exchange {
    Exchange {
        exchange: ExchangeId::new(EXCHANGE).expect("a word"),
        region: region("cn"),
        latitude_micro: 31_000_000,
        longitude_micro: 121_000_000,
    }
}

fn tenant(name: &str) -> Tenant {
    Tenant::new(TenantId::new(name).expect("a word"), None)
}

fn chip(class: &str) -> Chip {
    Chip {
        chip: ChipId::new(class).expect("a word"),
        vendor: "made up".to_owned(),
        model: class.to_owned(),
        class: ChipClass::new(class).expect("a word"),
        stack: class.to_owned(),
        memory: None,
        memory_kind: None,
        memory_bandwidth: None,
        interconnect: None,
        interconnect_bandwidth: None,
        peak_milli_tflops: BTreeMap::new(),
        power_watts: None,
        allocation_unit: 1,
        visible_devices: "VISIBLE".to_owned(),
        kubernetes_resources: Vec::new(),
        slurm_gres: None,
        pci_vendor: None,
        source: "made up".to_owned(),
        confidence: "C".to_owned(),
        notes: None,
    }
}

/// A job that asks for nothing yet.
fn plain(tenant: &str, limit: Span) -> JobSpec {
    JobSpec {
        name: "job".to_owned(),
        tenant: TenantId::new(tenant).expect("a word"),
        workload: None,
        kind: JobKind::Batch,
        reservation: None,
        parts: Vec::new(),
        together: Together { within: Within::Center, bandwidth: None, latency_us: None },
        duration: Duration::Limited { limit, expected: None },
        inputs: Vec::new(),
        outputs: Vec::new(),
        objective: Objective::Fastest,
        deadline: None,
        budget: None,
        priority: 0,
        priority_class: None,
        preemptible: false,
        hold: false,
        checkpoint: None,
        when_cut_off: WhenCutOff::Hold,
        retries: 0,
        array: None,
        after: Vec::new(),
        secrets: Vec::new(),
        centers: Vec::new(),
        regions: Vec::new(),
    }
}
