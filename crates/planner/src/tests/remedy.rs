//! What a change is told to do it does, and the next smaller one does not: judged by looking at
//! every choice, where the search looks best first.

use super::*;
use crate::{Change, Of, Remedies, Remedy, Transfer, remedies};
use model::Span;
use model::fact::JobOffered;
use model::job::JobSpec;
use std::cmp::Reverse;

/// Puts the plan for the whole queue in force, so that jobs run, data moves, and others wait.
fn in_force(small: &mut Small, situation: &Situation, policy: &Policy) -> Board {
    let mut board = Board::of(&small.world, NOW);
    let plan = plan(&small.world, board.view(), situation, policy);
    for offer in &plan.offers {
        let awaits = offer.transfers.iter().map(|transfer| match transfer {
            Transfer::Under(id) => *id,
            Transfer::New(staging) => {
                if let Some(under) = small.world.transfer_to(&staging.data, &staging.to) {
                    return under.transfer;
                }
                let transfer = small.world.next.transfer;
                let fact = Fact::TransferPlanned(Arc::new(model::Staging {
                    transfer,
                    ..(**staging).clone()
                }));
                small.world.fold(NOW, &fact).unwrap();
                board.apply(&small.world, NOW, &fact);
                transfer
            }
        });
        let awaits = awaits.collect();
        let placement = Arc::new(model::Placement { awaits, ..offer.placement.clone() });
        let attempt = model::AttemptId { job: offer.job, epoch: 1 };
        let fact = Fact::JobOffered(JobOffered { attempt, placement });
        small.world.fold(NOW, &fact).unwrap();
        board.apply(&small.world, NOW, &fact);
    }
    for reservation in &plan.starts {
        assert!(board.reserve(reservation));
    }
    board
}

/// A waiting job in a world, and what is asked about it.
struct Case<'a> {
    world: &'a World,
    board: &'a Board,
    situation: &'a Situation,
    policy: &'a Policy,
    job: JobId,
    at: Option<&'a CenterId>,
}

impl Case<'_> {
    fn spec(&self) -> &JobSpec {
        &self.world.job(self.job).unwrap().spec
    }

    fn remedies(&self) -> Remedies {
        let Self { world, board, situation, policy, job, at } = self;
        remedies(world, board.view(), situation, policy, Of::Job(*job), *at).unwrap()
    }

    /// The best place once the change is made, found without any search.
    fn best(&self, change: Option<&Change>) -> Option<Candidate> {
        let own = class_of(self.spec());
        let spec = change.map_or_else(|| self.spec().clone(), |change| change.applied(self.spec()));
        let changed = change.and_then(|change| change.applied_to_data(self.world));
        let world = changed.as_ref().unwrap_or(self.world);
        let mut view = self.board.view().clone();
        for (job, reservation) in self.board.view().reserved.iter() {
            let theirs = (Reverse(self.world.job(*job).unwrap().spec.priority), *job);
            let is_raised = matches!(change, Some(Change::Priority { .. }));
            if *job == self.job || (is_raised && theirs > (Reverse(spec.priority), self.job)) {
                view.lift(reservation);
            }
        }
        let options = Options::of(world, &view.roster, &spec, self.policy);
        let coming = Default::default();
        let scene = crate::scene::scene(world, &view, &coming, self.situation, self.policy);
        let asked = Asked { class: own, spec: &spec, options: &options };
        best_of_all(&scene, asked, Reach::Ever).map(|(_, found)| found)
    }

    fn is_at_once(&self, place: &Candidate) -> bool {
        let ready = place.data_ready;
        if ready <= NOW {
            place.start <= NOW
        } else {
            place.start <= ready + self.policy.stage_ahead
        }
    }

    /// Whether `place` is what the change was told for.
    fn does_it(&self, told: &Remedy, base: Option<&Candidate>, place: Option<&Candidate>) -> bool {
        let Some(place) = place else { return false };
        let stays = self.at.is_none_or(|at| place.center == *at);
        let better = match base {
            Some(base) if self.at.is_none_or(|at| base.center == *at) => match told.at_once {
                true => self.is_at_once(place),
                false => place.start < base.start,
            },
            _ => true,
        };
        stays && better
    }
}

/// The next smaller change; none where that is none at all, or the change is not a figure.
fn smaller(change: &Change, priorities: &[i32]) -> Option<Change> {
    let mut less = change.clone();
    let is_one = match &mut less {
        Change::Nodes { from, to, .. } => {
            *to += 1;
            to == from
        }
        Change::Chips { from, to, .. } => {
            to.0 += if from.0 > 1_000 { 1_000 } else { 50 };
            to >= from
        }
        Change::Cores { from, to, .. } => {
            to.0 += 1_000;
            to >= from
        }
        Change::Memory { from, to, .. } => {
            to.0 += 1 << 20;
            to >= from
        }
        Change::Limit { from, to, .. } => {
            to.0 += 1;
            to == from
        }
        Change::Budget { from, to } => {
            to.micros -= 10_000;
            to == from
        }
        Change::Deadline { from, to } => {
            to.0 -= 1;
            to == from
        }
        Change::Priority { from, to } => {
            let below = priorities.iter().filter(|p| **p + 1 < *to && **p + 1 > *from).max();
            match below {
                Some(below) => *to = below + 1,
                None => return None,
            }
            false
        }
        _ => true,
    };
    (!is_one).then_some(less)
}

#[derive(Default)]
struct Seen {
    told: BTreeMap<&'static str, usize>,
    smaller: usize,
    none: usize,
    won: usize,
}

impl Seen {
    fn judge(&mut self, seed: u64, case: &Case<'_>) {
        let base = case.best(None);
        let answer = case.remedies();
        assert!(answer.complete, "seed {seed}");
        assert!(answer.found.is_sorted_by_key(|remedy| remedy.size), "seed {seed}");
        self.none += usize::from(answer.found.is_empty());
        let job = |id: JobId| case.world.job(id).unwrap();
        let waiting = case.world.waiting().filter(|id| *id != case.job);
        let priorities: Vec<i32> = waiting.map(|id| job(id).spec.priority).collect();
        for told in &answer.found {
            *self.told.entry(told.change.token()).or_default() += 1;
            self.won += usize::from(case.at.is_some());
            let place = case.best(Some(&told.change));
            let what = format!("seed {seed}, {}, at {:?}: {told:?}", case.job, case.at);
            assert_eq!(place.as_ref(), Some(&told.place), "{what}");
            assert!(case.does_it(told, base.as_ref(), place.as_ref()), "{what}");
            if let Some(less) = smaller(&told.change, &priorities) {
                self.smaller += 1;
                let place = case.best(Some(&less));
                assert!(!case.does_it(told, base.as_ref(), place.as_ref()), "{less:?} {what}");
            }
        }
    }
}

#[test]
fn a_told_change_does_what_is_told_of_it_and_the_next_smaller_one_does_not() {
    let mut seen = Seen::default();
    for seed in 0..250 {
        let mut small = Small::draw(seed, 14);
        let situation = Situation { now: NOW, silent: BTreeMap::new() };
        let policy = Policy { reservations: small.rng.random_range(0..4), ..Policy::default() };
        let board = in_force(&mut small, &situation, &policy);
        let world = &small.world;
        for job in world.waiting().take(4) {
            let named = world.centers.keys().map(Some).take(2);
            for at in [None].into_iter().chain(named) {
                let case =
                    Case { world, board: &board, situation: &situation, policy: &policy, job, at };
                seen.judge(seed, &case);
            }
        }
    }
    let Seen { told, smaller, none, won } = &seen;
    for token in ["nodes", "chips", "limit", "variant", "regions", "priority", "budget", "centers"]
    {
        assert!(told.contains_key(token), "{token} was never told: {told:?}");
    }
    assert!(*smaller > 100 && *none > 10 && *won > 100, "{told:?} {smaller} {none} {won}");
}

/// A job of one hour in front of which a node is free for 40 minutes.
#[test]
fn a_limit_is_found_that_fits_a_gap_to_the_millisecond() {
    let rng = ChaCha8Rng::seed_from_u64(0);
    let mut small = Small { world: World::default(), rng, is_hasty: false };
    small.tell(&Fact::NetworkCreated(NetworkCreated { network: NetworkUid::from_bytes([1; 8]) }));
    let catalog = Catalog::read(&CHIPS).unwrap();
    catalog.chips().for_each(|c| small.tell(&Fact::ChipDeclared(Arc::new(c.clone()))));
    let text = "[[center]]\ncenter = \"c0\"\nowner = \"o0\"\nregion = \"cn/east\"\n\
                latitude = 30\nlongitude = 120\ntime_zone = \"Asia/Shanghai\"\nengine = \"timer\"\n\
                [[center.pool]]\npool = \"p0\"\nchip = \"nvidia-h20\"\nnodes = 1\n\
                chips_per_node = 2\ncores = 16\nmemory = \"64 GiB\"\n\
                price_per_chip_hour = \"1 CNY\"\n[[tenant]]\ntenant = \"t0\"\n";
    let file = model::file::network::read(&[("network.toml", text)], &catalog).unwrap();
    file.centers.into_iter().for_each(|c| small.tell(&Fact::CenterDeclared(Arc::new(c))));
    file.tenants.into_iter().for_each(|t| small.tell(&Fact::TenantDeclared(Arc::new(t))));
    while small.world.centers.values().any(|center| center.agent.is_none()) {
        small.join_some();
    }
    let mut submit = |limit: &str, chips: u32| {
        let text = format!(
            "name = \"j\"\ncommand = [\"true\"]\non = \"cuda\"\nchips = {chips}\nlimit = \"{limit}\"\n"
        );
        let file = model::file::job::read("job.toml", &text, Format::Toml).unwrap();
        let spec = Arc::new(file.spec(TenantId::new("t0").unwrap(), NOW).unwrap());
        let (job, by) = (small.world.next.job, TokenId::new(1));
        small.tell(&Fact::JobSubmitted(Arc::new(JobSubmitted { job, spec, by, key: None })));
        job
    };
    // One runs for 40 minutes on one chip, the next takes both after it; the third wants one chip.
    let (_, _, third) = (submit("40m", 1), submit("2h", 2), submit("1h", 1));
    let situation = Situation { now: NOW, silent: BTreeMap::new() };
    let policy = Policy::default();
    let board = in_force(&mut small, &situation, &policy);
    let world = &small.world;
    let case =
        Case { world, board: &board, situation: &situation, policy: &policy, job: third, at: None };
    let told = case.remedies();
    let [limit, ..] = &told.found[..] else { panic!("{told:?}") };
    let (from, to) = (Span::from_secs(3_600), Span::from_secs(2_400));
    assert_eq!(limit.change, Change::Limit { variant: None, from, to });
    assert!(limit.at_once);
    assert_eq!(limit.change.to_string(), "limit: 40m 0s instead of 1h 0m");
}
