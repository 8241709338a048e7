//! A network of national size, drawn from a seed: centers, links, data, and who is running and
//! waiting in it.

use model::center::{Capability, Center, Pool, Site};
use model::fact::{AgentJoined, DatasetRegistered, Fact, JobOffered, JobSubmitted, ReplicaTouched};
use model::file::chip::Catalog;
use model::job::{Duration, Input, InputMode, JobKind, On, Together, Variant, WhenCutOff};
use model::link::{Exchange, SiteId};
use model::{
    AttemptId, Bytes, CenterId, Chips, Cores, Currency, DatasetId, DatasetRef, DatasetVersion,
    Digest, EngineKind, ExchangeId, JobId, JobSpec, Link, LinkId, Moment, Money, NetworkUid,
    Objective, OwnerId, Part, PoolId, Rate, Span, Tenant, TenantId, TokenId,
};
use planner::Policy;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::sync::Arc;
use world::World;

/// When everything is measured.
pub(crate) const NOW: Moment = Moment(1_800_000_000_000);

const CENTERS: usize = 1_000;
const EXCHANGES: usize = 40;
const TENANTS: usize = 200;
const DATASETS: usize = 500;
/// Of each pool.
const NODES: u32 = 16;
const CHIPS_PER_NODE: u16 = 8;
/// How much of all chips is busy.
const BUSY: f64 = 0.9;
/// Chips that pools are made of; a job of a class runs on one or two of them.
const CHIPS: [&str; 8] = [
    "nvidia-a100-sxm4-80",
    "nvidia-a800-sxm4-80",
    "nvidia-h800-sxm5",
    "nvidia-h20",
    "ascend-910b3",
    "ascend-910b2",
    "metax-c550",
    "hygon-k100-ai",
];

const CATALOG: [(&str, &str); 8] = [
    ("a100", include_str!("../../../catalog/chips/nvidia-a100-sxm4-80.toml")),
    ("a800", include_str!("../../../catalog/chips/nvidia-a800-sxm4-80.toml")),
    ("h800", include_str!("../../../catalog/chips/nvidia-h800-sxm5.toml")),
    ("h20", include_str!("../../../catalog/chips/nvidia-h20.toml")),
    ("910b3", include_str!("../../../catalog/chips/ascend-910b3.toml")),
    ("910b2", include_str!("../../../catalog/chips/ascend-910b2.toml")),
    ("c550", include_str!("../../../catalog/chips/metax-c550.toml")),
    ("k100", include_str!("../../../catalog/chips/hygon-k100-ai.toml")),
];

/// A nation under way.
pub(crate) struct Nation {
    pub(crate) world: World,
    rng: ChaCha8Rng,
    classes: Vec<Arc<JobSpec>>,
}

fn id<T, E: std::fmt::Debug>(made: Result<T, E>) -> T {
    made.expect("names made here are names")
}

impl Nation {
    /// The network with its data, nobody in it.
    pub(crate) fn found(seed: u64, classes: usize) -> Self {
        let world = World::default();
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let mut nation = Self { world, rng, classes: Vec::new() };
        let network = NetworkUid::from_bytes([1; 8]);
        nation.tell(&Fact::NetworkCreated(model::fact::NetworkCreated { network }));
        nation.declare_chips();
        nation.declare_centers();
        nation.declare_links();
        for t in 0..TENANTS {
            let tenant = Tenant::new(id(TenantId::new(&format!("t{t:03}"))), None);
            nation.tell(&Fact::TenantDeclared(Arc::new(tenant)));
        }
        nation.register_data();
        nation.classes = (0..classes).map(|c| Arc::new(nation.class(c))).collect();
        nation
    }

    fn tell(&mut self, fact: &Fact) {
        self.world.fold(NOW, fact).expect("what is made here makes sense");
    }

    fn declare_chips(&mut self) {
        let catalog = Catalog::read(&CATALOG).expect("the shipped catalog is sound");
        for chip in catalog.chips() {
            self.tell(&Fact::ChipDeclared(Arc::new(chip.clone())));
        }
    }

    fn declare_centers(&mut self) {
        for e in 0..EXCHANGES {
            self.tell(&Fact::ExchangeDeclared(Arc::new(Exchange {
                exchange: id(ExchangeId::new(&format!("x{e:02}"))),
                region: id(format!("cn/p{e:02}").parse()),
                latitude_micro: 30_000_000,
                longitude_micro: 120_000_000,
            })));
        }
        for c in 0..CENTERS {
            let center = id(CenterId::new(&format!("c{c:04}")));
            let pools = (0..4).map(|p| self.pool(p)).collect();
            self.tell(&Fact::CenterDeclared(Arc::new(Center {
                center: center.clone(),
                owner: id(OwnerId::new(&format!("o{c:04}"))),
                sites: vec![Site {
                    region: id(format!("cn/p{:02}/c{c:04}", c % EXCHANGES).parse()),
                    latitude_micro: 30_000_000,
                    longitude_micro: 120_000_000,
                    time_zone: "Asia/Shanghai".to_owned(),
                }],
                engine: EngineKind::Timer,
                pools,
                store: Some(Bytes(1 << 50)),
                relay: None,
                data_url: None,
                pue_thousandths: 1_200,
                carbon: model::CarbonIntensity::default(),
                lend_percent: 100,
                recall_notice: Span::from_secs(600),
                lend_to: model::Guests::default(),
                lend_windows: Vec::new(),
                partners: Vec::new(),
                only_tenants: Vec::new(),
                external_ids: Vec::new(),
            })));
            self.tell(&Fact::AgentJoined(Arc::new(AgentJoined {
                center,
                agent: NetworkUid::from_bytes([2; 8]),
                engine: EngineKind::Timer,
                engine_version: String::new(),
                enforcement: String::new(),
                data_url: Some("http://store".to_owned()),
                probe_address: None,
                version: String::new(),
            })));
        }
    }

    fn pool(&mut self, number: usize) -> Pool {
        let chip = CHIPS[self.rng.random_range(0..CHIPS.len())];
        Pool {
            pool: id(PoolId::new(&format!("p{number}"))),
            chip: Some(id(model::ChipId::new(chip))),
            nodes: NODES,
            chips_per_node: CHIPS_PER_NODE,
            cores: Cores(128_000),
            memory: Bytes(1 << 40),
            nodes_per_block: 8,
            price_per_hour: Money {
                micros: self.rng.random_range(2_000_000..15_000_000),
                currency: Currency::CNY,
            },
            capability: Capability::default(),
            lending: None,
        }
    }

    fn declare_links(&mut self) {
        let link = |name: String, a: SiteId, b: SiteId, gbps: u64, latency_us: u64| Link {
            link: id(LinkId::new(&name)),
            a,
            b,
            capacity: Rate(gbps * 1_000_000_000),
            latency_us,
            carrier: id(OwnerId::new("carrier")),
            price_per_gbps_hour: Money { micros: 12_000_000, currency: Currency::CNY },
            risk_group: None,
            sla: model::quality::Sla::default(),
        };
        let exchange = |e: usize| SiteId::Exchange(id(ExchangeId::new(&format!("x{e:02}"))));
        for c in 0..CENTERS {
            let center = SiteId::Center(id(CenterId::new(&format!("c{c:04}"))));
            let gbps = [25, 25, 100][self.rng.random_range(0..3)];
            let name = format!("access-{c:04}");
            self.tell(&Fact::LinkDeclared(Arc::new(link(
                name,
                center,
                exchange(c % EXCHANGES),
                gbps,
                500,
            ))));
        }
        for e in 0..EXCHANGES {
            for step in [1, 7] {
                let (name, to) = (format!("trunk-{e:02}-{step}"), (e + step) % EXCHANGES);
                let trunk = link(name, exchange(e), exchange(to), 400, 2_000);
                self.tell(&Fact::LinkDeclared(Arc::new(trunk)));
            }
        }
    }

    fn register_data(&mut self) {
        for d in 0..DATASETS {
            let dataset = id(DatasetId::new(&format!("d{d:03}")));
            let data = DatasetVersion { dataset, version: Digest::of(&d.to_le_bytes()) };
            let bytes = Bytes(self.rng.random_range(10..2_000) << 30);
            self.tell(&Fact::DatasetRegistered(Arc::new(DatasetRegistered {
                data: data.clone(),
                tenant: id(TenantId::new("t000")),
                bytes,
                files: 1,
                residency: Vec::new(),
                made_by: None,
            })));
            for _ in 0..self.rng.random_range(2..6) {
                let number = self.rng.random_range(0..CENTERS);
                let center = id(CenterId::new(&format!("c{number:04}")));
                let data = data.clone();
                self.tell(&Fact::ReplicaAdded(ReplicaTouched { data, center }));
            }
        }
    }

    /// A class of jobs: a shape, a limit, one or two chips, and for three in ten a dataset.
    fn class(&mut self, number: usize) -> JobSpec {
        let rng = &mut self.rng;
        let (nodes, chips) = [(1, 1), (1, 1), (1, 2), (1, 4), (1, 8), (2, 8), (4, 8), (8, 8)]
            [rng.random_range(0..8)];
        let minutes = [10, 30, 60, 120, 240, 480, 1_440][rng.random_range(0..7)];
        let limit = Span::from_secs(60 * (minutes + rng.random_range(0..10)));
        let first = rng.random_range(0..CHIPS.len());
        let chosen = [first, (first + rng.random_range(0..3)) % CHIPS.len()];
        let chosen = if chosen[0] == chosen[1] { &chosen[..1] } else { &chosen[..] };
        let variant = |chip: &usize| Variant {
            on: On::Chip(id(model::ChipId::new(CHIPS[*chip]))),
            nodes,
            chips_per_node: Chips::whole(chips),
            cores: Cores(chips * 8_000),
            memory: Bytes(chips << 35),
            command: vec!["true".to_owned()],
            image: None,
            env: BTreeMap::new(),
            speed_thousandths: None,
            limit: None,
        };
        let variants = chosen.iter().map(variant).collect();
        let dataset = format!("d{:03}", rng.random_range(0..DATASETS));
        let input = rng.random_bool(0.3).then(|| Input {
            name: "in".to_owned(),
            dataset: DatasetRef { dataset: id(DatasetId::new(&dataset)), version: None },
            mode: InputMode::Staged,
        });
        let objectives = [Objective::Fastest, Objective::Fastest, Objective::Balanced];
        JobSpec {
            name: format!("class-{number}"),
            tenant: id(TenantId::new(&format!("t{:03}", number % TENANTS))),
            workload: None,
            kind: JobKind::Batch,
            reservation: None,
            parts: vec![Part { name: "main".to_owned(), variants }],
            together: Together::default(),
            duration: Duration::Limited { limit, expected: None },
            inputs: input.into_iter().collect(),
            outputs: Vec::new(),
            objective: objectives[rng.random_range(0..3)],
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

    /// Fills the pools until so much of all chips is busy, with jobs that began a while ago.
    pub(crate) fn fill(&mut self) {
        let whole: Vec<(CenterId, PoolId, model::ChipId)> = self
            .world
            .centers
            .values()
            .flat_map(|state| {
                let center = &state.center;
                let chip = |pool: &Pool| pool.chip.clone().expect("every pool here has chips");
                center.pools.iter().map(move |p| (center.center.clone(), p.pool.clone(), chip(p)))
            })
            .collect();
        let pool = self.world.centers.values().next().expect("there are centers");
        let pool = pool.center.pools[0].clone();
        for (center, name, chip) in whole {
            let mut board = planner::PoolBoard::new(&pool);
            let mut busy = 0.0;
            let chips = f64::from(NODES) * f64::from(CHIPS_PER_NODE);
            while busy < BUSY * chips {
                let Some(taken) = self.begin(&mut board, &center, &name, &chip) else { break };
                busy += taken;
            }
        }
    }

    /// Begins a job of some class in a pool; returns its chips.
    fn begin(
        &mut self,
        board: &mut planner::PoolBoard,
        center: &CenterId,
        pool: &PoolId,
        chip: &model::ChipId,
    ) -> Option<f64> {
        let class = self.rng.random_range(0..self.classes.len());
        let mut spec = (*self.classes[class]).clone();
        spec.inputs.clear();
        let variant = &mut spec.parts[0].variants[0];
        variant.on = On::Chip(chip.clone());
        let ask = planner::Ask {
            nodes: variant.nodes,
            chips: variant.chips_per_node,
            cores: variant.cores,
            memory: variant.memory,
            one_block: false,
        };
        let limit = spec.duration.limit().expect("every class has one");
        let start = Moment(NOW.0 - self.rng.random_range(0..limit.0));
        let until = start + limit;
        let slots = board.bind(start, until, (&ask, &planner::packing::Typical::default()))?;
        let job = self.submit(Arc::new(spec));
        let attempt = AttemptId { job, epoch: 1 };
        board.hold(attempt, &slots, start, until);
        let placement = model::Placement {
            plan: model::PlanId::new(1),
            parts: vec![model::PartPlacement {
                center: center.clone(),
                pool: pool.clone(),
                variant: 0,
                nodes: slots,
                flavor: None,
                worth: 1_000,
            }],
            start,
            until,
            finish: until,
            price: Money::zero(Currency::CNY),
            inputs: Vec::new(),
            awaits: Vec::<model::TransferId>::new(),
            streams: Vec::new(),
            inside: None,
        };
        let placement = Arc::new(placement);
        self.tell(&Fact::JobOffered(JobOffered { attempt, placement }));
        Some(f64::from(ask.nodes) * ask.chips.0 as f64 / 1_000.0)
    }

    /// Puts `count` jobs in line, of every class about as many.
    pub(crate) fn queue(&mut self, count: usize) {
        for _ in 0..count {
            let class = self.rng.random_range(0..self.classes.len());
            let spec = Arc::clone(&self.classes[class]);
            self.submit(spec);
        }
    }

    /// The spec of a class drawn at random.
    pub(crate) fn draw(&mut self) -> Arc<JobSpec> {
        Arc::clone(&self.classes[self.rng.random_range(0..self.classes.len())])
    }

    pub(crate) fn submit(&mut self, spec: Arc<JobSpec>) -> JobId {
        let job = self.world.next.job;
        let by = TokenId::new(1);
        self.tell(&Fact::JobSubmitted(Arc::new(JobSubmitted { job, spec, by, key: None })));
        job
    }

    pub(crate) fn policy() -> Policy {
        Policy { background_work: u64::MAX, ..Policy::default() }
    }
}
