//! Small random worlds in which everything is taken: whose place is cheapest, found twice.

use super::{Cost, HANDING_OVER, Victim, without};
use crate::options::Options;
use crate::packing::Typical;
use crate::{Board, Plan, Policy, Situation, plan};
use model::fact::{
    AgentJoined, AttemptCheckpointed, AttemptPreempted, AttemptTouched, Fact, JobOffered,
    JobSubmitted, NetworkCreated,
};
use model::file::chip::Catalog;
use model::file::job::Format;
use model::{
    AttemptId, EngineKind, JobId, Moment, Money, NetworkUid, PartPlacement, Placement, PlanId,
    Span, TenantId, TokenId,
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::sync::Arc;
use world::World;

const CHIP: &str = include_str!("../../../../catalog/chips/nvidia-h20.toml");
const NOW: Moment = Moment(10_000_000);

struct Full {
    world: World,
    board: Board,
    rng: ChaCha8Rng,
    at: Moment,
}

impl Full {
    /// Two centers, drawn from the seed, in which as much runs as there is room for.
    fn draw(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let catalog = Catalog::read(&[("h20", CHIP)]).unwrap();
        let mut text = String::from("[[tenant]]\ntenant = \"t\"\n");
        for c in 0..2 {
            let (nodes, chips) = (rng.random_range(1..=3), rng.random_range(1..=4));
            let block = rng.random_range(0..=2);
            text += &format!(
                "[[center]]\ncenter = \"c{c}\"\nowner = \"o\"\nregion = \"cn\"\nlatitude = 30\n\
                 longitude = 120\ntime_zone = \"Asia/Shanghai\"\nengine = \"timer\"\n\
                 [[center.pool]]\npool = \"p\"\nchip = \"nvidia-h20\"\nnodes = {nodes}\n\
                 chips_per_node = {chips}\ncores = 16\nmemory = \"64 GiB\"\n\
                 nodes_per_block = {block}\nprice_per_chip_hour = \"1 CNY\"\n"
            );
        }
        let file = model::file::network::read(&[("n.toml", &text)], &catalog).unwrap();
        let world = World::default();
        let board = Board::of(&world, Moment(1));
        let mut full = Self { world, board, rng, at: Moment(1) };
        let network = NetworkUid::from_bytes([1; 8]);
        full.tell(&Fact::NetworkCreated(NetworkCreated { network }));
        catalog.chips().for_each(|c| full.tell(&Fact::ChipDeclared(Arc::new(c.clone()))));
        for center in file.centers {
            let name = center.center.clone();
            full.tell(&Fact::CenterDeclared(Arc::new(center)));
            full.tell(&Fact::AgentJoined(Arc::new(AgentJoined {
                center: name,
                agent: NetworkUid::from_bytes([2; 8]),
                engine: EngineKind::Timer,
                engine_version: String::new(),
                enforcement: String::new(),
                data_url: None,
                probe_address: None,
                version: String::new(),
            })));
        }
        for _ in 0..12 {
            full.run_one();
        }
        full.at = NOW;
        full
    }

    fn tell(&mut self, fact: &Fact) {
        self.world.fold(self.at, fact).unwrap();
        self.board.apply(&self.world, self.at, fact);
    }

    fn submit(&mut self, text: &str) -> JobId {
        let text = format!("name = \"j\"\ncommand = [\"true\"]\nlimit = \"4h\"\n{text}");
        let file = model::file::job::read("job.toml", &text, Format::Toml).unwrap();
        let spec = Arc::new(file.spec(TenantId::new("t").unwrap(), self.at).unwrap());
        let (job, by) = (self.world.next.job, TokenId::new(1));
        self.tell(&Fact::JobSubmitted(Arc::new(JobSubmitted { job, spec, by, key: None })));
        job
    }

    /// Runs a job on one node that has room, if any has.
    fn run_one(&mut self) {
        self.at = Moment(NOW.0 - self.rng.random_range(1..4_000) * 1_000);
        let priority = self.rng.random_range(0..4);
        let preemptible = self.rng.random_bool(0.8);
        let chips = ["0.5", "1", "1", "2"][self.rng.random_range(0..4)];
        let mut text = format!("priority = {priority}\npreemptible = {preemptible}\n");
        text += &format!("[[variant]]\non = \"cuda\"\nchips = {chips}\n");
        if self.rng.random_bool(0.5) {
            text += "[checkpoint]\npath = \"ck\"\ninterval = \"10m\"\ngrace = \"10s\"\n";
        }
        let at = std::mem::replace(&mut self.at, Moment(2));
        let job = self.submit(&text);
        self.at = at;
        let spec = Arc::clone(&self.world.job(job).unwrap().spec);
        let until = at + Span::from_secs(4 * 3_600);
        let ask = crate::ask::Ask::of(&spec, &spec.parts[0].variants[0]);
        let centers: Vec<_> = self.world.centers.keys().cloned().collect();
        let pool = model::PoolId::new("p").unwrap();
        let found = centers.into_iter().find_map(|center| {
            let board = self.board.view().pool(&center, &pool)?;
            Some((
                center,
                board.bind(at, NOW + Span::from_secs(40_000), (&ask, &Typical::default()))?,
            ))
        });
        let Some((center, nodes)) = found else { return };
        let attempt = AttemptId { job, epoch: 1 };
        let price = Money { micros: 0, currency: model::Currency::CNY };
        let part = PartPlacement { center, pool, variant: 0, nodes, flavor: None, worth: 1_000 };
        let (parts, plan) = (vec![part], PlanId::new(1));
        let (inputs, awaits) = (Vec::new(), Vec::new());
        let streams = Vec::new();
        let (start, finish) = (at, until);
        let placement = Placement {
            plan,
            parts,
            start,
            until,
            finish,
            price,
            inputs,
            awaits,
            streams,
            inside: None,
        };
        let placement = Arc::new(placement);
        self.tell(&Fact::JobOffered(JobOffered { attempt, placement }));
        if self.rng.random_bool(0.9) {
            self.tell(&Fact::AttemptStarted(AttemptTouched { attempt }));
            if self.rng.random_bool(0.2) {
                let at = Moment(at.0 + self.rng.random_range(0..100_000));
                self.tell(&Fact::AttemptCheckpointed(AttemptCheckpointed { attempt, at }));
            }
        }
    }

    fn plan(&self, policy: &Policy) -> Plan {
        let situation = Situation { now: NOW, silent: BTreeMap::new() };
        plan(&self.world, self.board.view(), &situation, policy)
    }

    /// The least any set of attempts costs that lets the job start, by trying them all.
    fn cheapest(&self, job: JobId) -> Option<Cost> {
        let spec = &self.world.job(job).unwrap().spec;
        let view = self.board.view();
        let options = Options::of(&self.world, &view.roster, spec, &Policy::default());
        let start = NOW + spec.grace() + HANDING_OVER;
        let mut costs = Vec::new();
        for choice in &options.choices {
            let here = view.victims.in_pool(choice.pool);
            let below = here.filter(|(_, priority)| *priority < spec.priority);
            let victims: Vec<Victim<'_>> = below
                .filter_map(|(attempt, _)| {
                    let job = self.world.job(attempt.job)?;
                    Victim::of(job, job.phase.attempt()?, NOW)
                })
                .collect();
            let (until, ask) = (start + options.limit(choice), options.ask(choice));
            for set in 1..1_u32 << victims.len() {
                let is_in = |i: &usize| set >> i & 1 == 1;
                let going: Vec<_> = (0..victims.len()).filter(is_in).map(|i| victims[i]).collect();
                let held = going.iter().map(|v| (v.attempt, v.slots));
                let board = without(&view.pools[choice.pool as usize], held);
                if board.bind(start, until, (ask, &Typical::default())).is_some() {
                    costs.extend(cost(&going));
                }
            }
        }
        costs.into_iter().min()
    }

    fn cost_of(&self, going: &[AttemptId]) -> Option<Cost> {
        let victims: Vec<Victim<'_>> = going
            .iter()
            .map(|id| {
                let job = self.world.job(id.job).unwrap();
                Victim::of(job, job.phase.attempt().unwrap(), NOW).unwrap()
            })
            .collect();
        cost(&victims)
    }
}

fn cost(victims: &[Victim<'_>]) -> Option<Cost> {
    Some(Cost {
        priority: victims.iter().map(|v| v.priority).max()?,
        lost: victims.iter().map(|v| v.lost).sum(),
        attempts: victims.len(),
    })
}

#[test]
fn the_cheapest_make_room_and_nobody_else() {
    let (mut made, mut kept) = (0, 0);
    for seed in 0..1_500 {
        let mut full = Full::draw(seed);
        for job in full.world.waiting().collect::<Vec<_>>() {
            // Nobody else is in line.
            let by = TokenId::new(1);
            full.tell(&Fact::JobHeld(model::fact::JobTouched { job, by }));
        }
        let chips = full.rng.random_range(1..=3);
        let nodes = full.rng.random_range(1..=2);
        let within = ["center", "block"][full.rng.random_range(0..2)];
        let priority = full.rng.random_range(1..5);
        let job = full.submit(&format!(
            "priority = {priority}\n[checkpoint]\npath = \"c\"\ngrace = \"10s\"\n\
             [together]\nwithin = \"{within}\"\n\
             [[variant]]\non = \"cuda\"\nchips = {chips}\nnodes = {nodes}\n"
        ));
        let plan = full.plan(&Policy::default());
        let offer = plan.offers.iter().find(|offer| offer.job == job);
        if offer.is_some_and(|offer| offer.preempts.is_empty()) {
            continue;
        }
        let found = offer.and_then(|offer| full.cost_of(&offer.preempts));
        assert_eq!(found, full.cheapest(job), "seed {seed}: {:?}", offer.map(|o| &o.preempts));
        match offer {
            None => kept += 1,
            Some(offer) => {
                made += 1;
                let (until, at) = (offer.placement.start, NOW + Span::from_secs(15));
                assert_eq!(until, at, "seed {seed}");
                let policy = Policy { preempting: None, ..Policy::default() };
                assert!(full.plan(&policy).offers.iter().all(|o| o.preempts.is_empty()));
                for attempt in offer.preempts.clone() {
                    full.tell(&Fact::AttemptPreempted(AttemptPreempted {
                        attempt,
                        by: Some(job),
                        until,
                    }));
                }
                let situation = Situation { now: NOW, silent: BTreeMap::new() };
                let offer = plan.offers.iter().find(|offer| offer.job == job).unwrap();
                let late = super::retimed(&full.world, full.board.view(), &situation, offer);
                assert!(late.preempts.is_empty(), "whoever was told is not told again");
                let holds = crate::still_holds(&full.world, full.board.view(), &situation, &late);
                assert!(holds, "seed {seed}: its place is kept for whom they leave it to");
            }
        }
    }
    assert!(made > 300 && kept > 50, "{made} made room, {kept} could not be helped");
}
