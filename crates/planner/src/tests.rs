//! Small random worlds, planned twice: best first, and by looking at everything.

use crate::ask::Ask;
use crate::candidate::Candidate;
use crate::options::{self, Options};
use crate::rank::Rank;
use crate::scene::{Asked, Reach, Scene};
use crate::stream::bookings;
use crate::toll::Tolls;
use crate::{Aim, Board, Bounding, Plan, Policy, Situation, Transfer, View, class_of, plan};
use calendar::Work;
use model::fact::{
    AgentJoined, DatasetRegistered, Fact, JobSubmitted, NetworkCreated, ReplicaInPlace,
    ReplicaTouched,
};
use model::file::chip::Catalog;
use model::file::job::Format;
use model::job::Variant;
use model::{
    Bytes, CenterId, DatasetId, DatasetVersion, Digest, EngineKind, JobId, JobSpec, Lies, Moment,
    NetworkUid, Rate, TenantId, Tier, TokenId,
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use world::World;

mod entitled;
mod gap;
mod green;
mod remedy;
mod toll;

const CHIPS: [(&str, &str); 3] = [
    ("a100", include_str!("../../../catalog/chips/nvidia-a100-sxm4-80.toml")),
    ("ascend", include_str!("../../../catalog/chips/ascend-910b3.toml")),
    ("h20", include_str!("../../../catalog/chips/nvidia-h20.toml")),
];
const NOW: Moment = Moment(1_000_000);

/// A world of few centers, links, datasets and jobs, all drawn from the seed.
struct Small {
    world: World,
    rng: ChaCha8Rng,
    /// Little data, slow links and short runs: all of it happens within a few seconds.
    is_hasty: bool,
}

impl Small {
    fn draw(seed: u64, most: u32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let is_hasty = rng.random_bool(0.2);
        let mut small = Self { world: World::default(), rng, is_hasty };
        small.tell(&Fact::NetworkCreated(NetworkCreated {
            network: NetworkUid::from_bytes([1; 8]),
        }));
        let catalog = Catalog::read(&CHIPS).unwrap();
        catalog.chips().for_each(|c| small.tell(&Fact::ChipDeclared(Arc::new(c.clone()))));
        let text = small.network();
        let file = model::file::network::read(&[("network.toml", &text)], &catalog).unwrap();
        file.centers.into_iter().for_each(|c| small.tell(&Fact::CenterDeclared(Arc::new(c))));
        file.links.into_iter().for_each(|l| small.tell(&Fact::LinkDeclared(Arc::new(l))));
        file.tenants.into_iter().for_each(|t| small.tell(&Fact::TenantDeclared(Arc::new(t))));
        small.join_some();
        small.register_data();
        let jobs = small.rng.random_range(1..most);
        (0..jobs).for_each(|_| small.submit());
        small
    }

    fn tell(&mut self, fact: &Fact) {
        self.world.fold(NOW, fact).unwrap();
    }

    fn any<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.rng.random_range(0..of.len())]
    }

    /// The same, or this in a hurry.
    fn either<'t>(&mut self, of: &[&'t str], hasty: &[&'t str]) -> &'t str {
        self.any(if self.is_hasty { hasty } else { of })
    }

    fn network(&mut self) -> String {
        let centers = self.rng.random_range(1..5);
        let mut text = String::new();
        for c in 0..centers {
            let region = self.any(&["cn/east", "cn/west"]);
            let carbon = match self.rng.random_bool(0.5) {
                true => format!("{:?}", [(); 24].map(|()| self.rng.random_range(1..900))),
                false => self.rng.random_range(1..900).to_string(),
            };
            text += &format!(
                "[[center]]\ncenter = \"c{c}\"\nowner = \"o{c}\"\nregion = \"{region}\"\n\
                 latitude = 30\nlongitude = 120\ntime_zone = \"Asia/Shanghai\"\n\
                 engine = \"timer\"\npue = 1.2\ncarbon = {carbon}\nstore = \"10 TiB\"\n"
            );
            for p in 0..self.rng.random_range(1..3) {
                let chip = ["nvidia-a100-sxm4-80", "ascend-910b3", "nvidia-h20"];
                let chip = self.either(&chip, &chip[..2]);
                let nodes = self.rng.random_range(1..5);
                let chips = self.rng.random_range(1..9);
                let block = self.rng.random_range(0..3);
                let price = self.rng.random_range(1..9);
                text += &format!(
                    "[[center.pool]]\npool = \"p{p}\"\nchip = \"{chip}\"\nnodes = {nodes}\n\
                     chips_per_node = {chips}\ncores = 16\nmemory = \"64 GiB\"\n\
                     nodes_per_block = {block}\nprice_per_chip_hour = \"{price} CNY\"\n"
                );
            }
        }
        for c in 1..centers {
            let gbps = self.rng.random_range(1..20);
            let latency = self.either(&["1 ms"], &["200 ms", "700 ms", "1300 ms"]);
            text += &format!(
                "[[link]]\nlink = \"l{c}\"\na = \"c{}\"\nb = \"c{c}\"\ncarrier = \"x\"\n\
                 capacity = \"{gbps} Gbit/s\"\nlatency = \"{latency}\"\n\
                 price_per_gbps_hour = \"{gbps} CNY\"\n",
                self.rng.random_range(0..c)
            );
        }
        text + "[[tenant]]\ntenant = \"t0\"\n[[tenant]]\ntenant = \"t1\"\n"
    }

    fn join_some(&mut self) {
        for center in self.world.centers.keys().cloned().collect::<Vec<_>>() {
            let door = self.rng.random_bool(0.8);
            if self.rng.random_bool(0.9) {
                self.tell(&Fact::AgentJoined(Arc::new(AgentJoined {
                    center,
                    agent: NetworkUid::from_bytes([2; 8]),
                    engine: EngineKind::Timer,
                    engine_version: String::new(),
                    enforcement: String::new(),
                    data_url: door.then(|| "http://c".into()),
                    probe_address: None,
                    version: String::new(),
                })));
            }
        }
    }

    fn register_data(&mut self) {
        let centers: Vec<CenterId> = self.world.centers.keys().cloned().collect();
        for d in 0..3_u8 {
            let dataset = DatasetId::new(&format!("d{d}")).unwrap();
            let data = DatasetVersion { dataset, version: Digest::of(&[d]) };
            let residency = match self.any(&["", "", "cn/east"]) {
                "" => Vec::new(),
                region => vec![region.parse().unwrap()],
            };
            let unit = if self.is_hasty { 10 } else { 30 };
            let bytes = Bytes(self.rng.random_range(1..2_000) << unit);
            self.tell(&Fact::DatasetRegistered(Arc::new(DatasetRegistered {
                data: data.clone(),
                bytes,
                files: 1,
                residency,
                tenant: TenantId::new("t0").unwrap(),
                made_by: None,
            })));
            let center = centers[self.rng.random_range(0..centers.len())].clone();
            if self.rng.random_bool(0.3) {
                let lies = self.lies();
                let also_own = self.rng.random_bool(0.2);
                self.tell(&Fact::ReplicaInPlace(ReplicaInPlace {
                    data: data.clone(),
                    center,
                    lies,
                    also_own,
                }));
                if self.rng.random_bool(0.5) {
                    continue;
                }
            } else {
                self.tell(&Fact::ReplicaAdded(ReplicaTouched { data: data.clone(), center }));
            }
            // Some have a second copy.
            let center = centers[self.rng.random_range(0..centers.len())].clone();
            if self.rng.random_bool(0.2) && !self.world.exact(&data).unwrap().is_held_at(&center) {
                self.tell(&Fact::ReplicaAdded(ReplicaTouched { data, center }));
            }
        }
    }

    /// How data lies in some external store.
    fn lies(&mut self) -> Lies {
        let recall = self.either(&["0s", "5m", "4h"], &["0s", "100ms", "900ms"]);
        let gbps = self.rng.random_range(0..20);
        Lies {
            store: "archive".parse().unwrap(),
            tier: Tier::Cold,
            recall: recall.parse().unwrap(),
            rate: (gbps > 0).then_some(Rate(gbps * 1_000_000_000)),
            archived: true,
        }
    }

    fn submit(&mut self) {
        let on = |on: &str, chips: &str, nodes: u32| {
            format!("[[variant]]\non = \"{on}\"\nchips = {chips}\nnodes = {nodes}\n")
        };
        let mut text = String::from("name = \"j\"\ncommand = [\"true\"]\n");
        let limit = self.either(&["10m", "1h", "2h", "5h"], &["1s", "2s"]);
        let objective = self.any(&["fastest", "fastest", "cheapest", "balanced", "greenest"]);
        let priority = self.any(&["0", "0", "0", "5"]);
        text += &format!(
            "limit = \"{limit}\"\nobjective = \"{objective}\"\npriority = {priority}\n\
             cores = 2\nmemory = \"1 GiB\"\n"
        );
        if self.rng.random_bool(0.2) {
            text += "budget = \"40 CNY\"\n";
        }
        if self.rng.random_bool(0.2) {
            text += "regions = [\"cn/east\"]\n";
        }
        let chips = self.any(&["0.25", "1", "2", "4", "8"]);
        let nodes = if chips == "0.25" { 1 } else { self.rng.random_range(1..3) };
        let mut variants = on("cuda", chips, nodes);
        if self.rng.random_bool(0.4) {
            let speed = self.either(&["0.7"], &["1.0"]);
            variants += &format!("{}speed = {speed}\n", on("cann", chips, nodes));
        }
        if self.rng.random_bool(0.5) {
            let dataset = self.any(&["d0", "d1", "d2"]);
            variants += &format!("[[input]]\nname = \"in\"\ndataset = \"{dataset}\"\n");
            if self.rng.random_bool(0.3) {
                let gbps = self.rng.random_range(1..9);
                variants += &format!("stream = \"{gbps} Gbit/s\"\n");
            }
            if self.rng.random_bool(0.3) {
                let stream = self.any(&["", "stream = \"500 Mbit/s\"\n"]);
                variants += &format!("[[input]]\nname = \"too\"\ndataset = \"d0\"\n{stream}");
            }
        }
        if self.rng.random_bool(0.2) {
            variants += "[together]\nwithin = \"block\"\n";
        }
        let file = model::file::job::read("job.toml", &(text + &variants), Format::Toml).unwrap();
        let tenant = TenantId::new(self.any(&["t0", "t1"])).unwrap();
        let spec = Arc::new(file.spec(tenant, NOW).unwrap());
        let job = self.world.next.job;
        self.tell(&Fact::JobSubmitted(Arc::new(JobSubmitted {
            job,
            spec,
            by: TokenId::new(1),
            key: None,
        })));
    }
}

/// What a plan says of each job, in its own order.
fn told(plan: &Plan) -> Vec<String> {
    let offers = plan.offers.iter().map(|o| {
        let part = &o.placement.parts[0];
        let (start, finish) = (o.placement.start, o.placement.finish);
        let (price, transfers) = (o.placement.price, o.transfers.len());
        let streams = &o.placement.streams;
        format!("{} {part:?} {start} {finish} {price} {transfers} {streams:?}", o.job)
    });
    let starts = plan.starts.iter().map(|r| format!("{} waits {r:?}", r.job));
    offers.chain(starts).collect()
}

/// Whether all that a plan moves and reads over the links fits there together.
fn fits_the_links(view: &View, plan: &Plan) -> bool {
    let mut links = view.links.clone();
    let transfers = plan.offers.iter().flat_map(|offer| &offer.transfers);
    let new = transfers.filter_map(|transfer| match transfer {
        Transfer::New(staging) => Some((&staging.data, &staging.to, staging)),
        Transfer::Under(_) => None,
    });
    // Jobs that want the same copy name the same transfer.
    let mut known = BTreeSet::new();
    let new = new.filter(|(data, to, _)| known.insert((*data, *to)));
    let moves = new.flat_map(|(.., staging)| crate::staging::bookings(staging));
    let reads = plan.offers.iter().flat_map(|offer| {
        let place = &offer.placement;
        bookings(&place.streams, (place.start, place.until))
    });
    let reserved = plan.starts.iter().flat_map(|r| bookings(&r.streams, (r.start, r.until)));
    moves.chain(reads).chain(reserved).all(|booking| links.book(&booking).is_ok())
}

/// The same plan by looking at every choice for every job.
fn exhaustive(world: &World, view: &View, situation: &Situation, policy: &Policy) -> Plan {
    let mut walk = plan::Walk::new(world, view, situation, policy, u64::MAX);
    let turn = |id: JobId| {
        let spec = &world.job(id)?.spec;
        Some((&spec.tenant, (std::cmp::Reverse(spec.priority), id, class_of(spec))))
    };
    let turns: Vec<_> = world.waiting().filter_map(turn).collect();
    let turns = turns.iter().map(|(tenant, turn)| (*tenant, turn));
    walk.queue = crate::queue::Queue::new((world, view, policy), situation.now, turns);
    while let Some((_, id, id_of)) = walk.queue.pop() {
        let class = Arc::clone(view.lines.class(id_of).unwrap());
        let options = Options::of(world, &view.roster, &class.spec, policy);
        assert_eq!(places(&options), places_by_hand(view, &class.spec));
        let asked = Asked { class: id_of, spec: &class.spec, options: &options };
        let best = best_of_all(&walk.scene(), asked, walk.reach(id, &class));
        walk.settle(id, id_of, &class, best);
    }
    walk.done()
}

/// The pools among the choices, each with the variants it may take.
fn places(options: &Options) -> BTreeSet<(u32, u16)> {
    let seen = options.numbers().map(|number| &options.choices[number as usize]);
    let seen = seen.map(|choice| (choice.pool, choice.variant)).collect::<BTreeSet<_>>();
    assert_eq!(seen.len(), options.choices.len(), "each choice has one number");
    seen
}

/// The same, pool by pool.
fn places_by_hand(view: &View, spec: &JobSpec) -> BTreeSet<(u32, u16)> {
    let variants = || (0_u16..).zip(&spec.parts[0].variants);
    let pools = view.roster.seats().flat_map(|(pool, seat)| {
        let admitted = options::center(spec, &seat.center).is_ok();
        let will_do = move |(_, variant): &(u16, &Variant)| {
            let ask = Ask::of(spec, variant);
            admitted && options::pool(spec, seat, variant, &ask).is_ok()
        };
        variants().filter(will_do).map(move |(variant, _)| (pool, variant))
    });
    pools.collect()
}

fn best_of_all(scene: &Scene<'_>, asked: Asked<'_>, reach: Reach) -> Option<(Rank, Candidate)> {
    let open = |(number, choice)| {
        let found = scene.open(asked, choice, (reach, None), &mut Work::unbounded()).ok()?;
        let rank = scene.rank_found(asked, choice, &found);
        Some(((rank, number), found))
    };
    let all = asked.options.choices.iter().enumerate().filter_map(open);
    all.min_by_key(|(rank, _)| *rank).map(|((rank, _), found)| (rank, found))
}

/// Draws worlds of fewer than `most` jobs and has them judged.
fn check(
    seeds: std::ops::Range<u64>,
    most: u32,
    judge: &mut impl FnMut(u64, &Small, &Board, &Situation, &Policy),
) {
    for seed in seeds {
        let mut small = Small::draw(seed, most);
        let reservations = small.rng.random_range(0..4);
        let board = Board::of(&small.world, NOW);
        let situation = Situation { now: NOW, silent: BTreeMap::new() };
        let policy = Policy { reservations, ..Policy::default() };
        judge(seed, &small, &board, &situation, &policy);
    }
}

#[test]
fn best_first_finds_what_looking_at_everything_finds() {
    let (mut offered, mut reserved, mut moved, mut read) = (0, 0, 0, 0);
    let (mut bounded, mut together) = (0, 0);
    let mut judge = |seed: u64, small: &Small, board: &Board, at: &Situation, policy: &Policy| {
        let (world, mut view) = (&small.world, board.view().clone());
        if let Some(tolls) = Tolls::renewed(world, &view, policy, at.now) {
            view.tolls = tolls;
        }
        let found = plan(world, &view, at, policy);
        let all = exhaustive(world, &view, at, policy);
        assert_eq!(told(&found), told(&all), "seed {seed}");
        assert_eq!(found.left, 0);
        assert!(fits_the_links(&view, &found), "seed {seed}");
        if let Some(gap) = found.gap {
            // Solvers round.
            assert!(gap.bound.0 <= gap.value.0 + 1, "seed {seed}: {gap:?}");
            bounded += usize::from(gap.bound == gap.value);
            together += usize::from(gap.by == Bounding::AllChips);
        }
        // What comes into force later is not read before.
        let later = Situation { now: at.now + model::Span::from_secs(1), ..at.clone() };
        let late = found.offers.iter().map(|o| crate::retimed(world, &view, &later, o));
        let streams = late.flat_map(|offer| offer.placement.streams);
        assert!(streams.into_iter().all(|stream| stream.since >= later.now), "seed {seed}");
        read += found.offers.iter().filter(|o| !o.placement.streams.is_empty()).count();
        offered += found.offers.len();
        reserved += found.starts.len();
        moved += found.offers.iter().filter(|o| !o.transfers.is_empty()).count();
    };
    check(0..4_000, 14, &mut judge);
    // Where many queue, choices are come back to again and again.
    check(4_000..4_150, 300, &mut judge);
    check(5_000..6_000, 14, &mut |seed, small, board, at, policy| {
        judge(seed, small, board, at, &policy.clone().towards(Aim::MeanCompletion));
    });
    // Worlds in which nothing happens would prove nothing.
    let enough = offered > 8_000 && reserved > 1_000 && moved > 500 && read > 200;
    assert!(enough, "{offered} {reserved} {moved} {read}");
    assert!(bounded > 500 && together > 50, "{bounded} {together}");
}
