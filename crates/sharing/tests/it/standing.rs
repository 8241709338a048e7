//! Whose turn it is. A scenario is a line each:
//!
//! ```text
//! tenant lab in=net weight=2
//! @3h                                    the time of what follows
//! start lab chips=4 capability=500 cores=8 memory=64GiB bandwidth=1Gbit/s     and `stop`
//! used lab chips=4 from=0s until=2h      what was and is over
//! standing lab                           how it stands
//! next a,b                               whose turn it is of those that wait
//! ```
//!
//! The half-life is an hour; the network has 10 reference chips, 100 cores, 100 GiB, 100 Gbit/s.

use model::{Bytes, Chips, Cores, Moment, Rate, Span, Tenant, TenantId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sharing::{Draw, Error, Standings, Totals};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

const HOUR: Span = Span(3_600_000);
const TOTALS: Totals = Totals {
    standard: Chips::whole(10),
    cores: Cores(100_000),
    memory: Bytes(100 << 30),
    bandwidth: Rate(100_000_000_000),
};

fn name(text: &str) -> TenantId {
    TenantId::new(text).unwrap()
}

fn member(tenant: &str, parent: Option<&str>, weight: u32) -> Tenant {
    let (tenant, parent) = (name(tenant), parent.map(name));
    Tenant { weight, ..Tenant::new(tenant, parent) }
}

fn span(text: &str) -> Moment {
    Moment(text.parse::<Span>().unwrap().0)
}

fn draw(options: &BTreeMap<&str, &str>) -> Draw {
    let get = |name: &str| options.get(name).copied();
    let chips = get("chips").map_or(Chips::ZERO, |text| text.parse().unwrap());
    let capability = get("capability").map_or(1_000, |text| text.parse().unwrap());
    Draw {
        cores: get("cores").map_or(Cores::ZERO, |text| text.parse().unwrap()),
        memory: get("memory").map_or(Bytes::ZERO, |text| text.parse().unwrap()),
        bandwidth: get("bandwidth").map_or(Rate::ZERO, |text| text.parse().unwrap()),
        ..Draw::normalised(chips, capability)
    }
}

#[track_caller]
fn check(scenario: &str, expected: &str) {
    let mut tenants: Vec<Tenant> = Vec::new();
    let mut standings = Standings::new(&tenants, HOUR).unwrap();
    let (mut now, mut answers) = (Moment(0), String::new());
    for line in scenario.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<_> = line.split_whitespace().collect();
        let options: BTreeMap<_, _> =
            words.iter().filter_map(|word| word.split_once('=')).collect();
        let who = words.get(1).copied().unwrap_or_default();
        match words[0] {
            "tenant" => {
                let weight = options.get("weight").map_or(1, |text| text.parse().unwrap());
                tenants.retain(|tenant| tenant.tenant != name(who));
                tenants.push(member(who, options.get("in").copied(), weight));
                standings = standings.under(&tenants).unwrap();
            }
            "start" => standings.start(&name(who), &draw(&options), now).unwrap(),
            "stop" => standings.stop(&name(who), &draw(&options), now).unwrap(),
            "used" => {
                let (from, until) = (span(options["from"]), span(options["until"]));
                standings.used(&name(who), &draw(&options), from, until).unwrap();
            }
            "standing" => {
                let standing = standings.standing(&name(who), now, &TOTALS).unwrap();
                let hours = Chips::ONE.over(HOUR).0;
                let (held, part) = (standing.card_time.0 / hours, standing.card_time.0 % hours);
                writeln!(answers, "{standing}, {held}.{} card-hours", part * 10 / hours).unwrap();
            }
            "next" => {
                let waiting: Vec<_> = who.split(',').map(name).collect();
                let turn = standings.next(now, &TOTALS, &waiting).unwrap();
                let levels: Vec<_> = turn.levels.iter().map(ToString::to_string).collect();
                writeln!(answers, "{}: {}", turn.tenant, levels.join("; ")).unwrap();
            }
            time => now = span(time.strip_prefix('@').expect("a verb or a time")),
        }
    }
    let expected: Vec<_> = expected.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    assert_eq!(answers.trim_end(), expected.join("\n"), "\n{scenario}");
}

#[test]
fn use_counts_half_after_a_half_life_and_the_record_keeps_all_of_it() {
    // Half the network for one half-life is a quarter of what it could have used for ever.
    check(
        "
        tenant a
        start a chips=5
        @1h
        standing a
        stop a chips=5
        @2h
        standing a
        @6h
        standing a
        @100h
        standing a
        ",
        "
        `a` with 25.00% of all chips at weight 1, 5.0 card-hours
        `a` with 12.50% of all chips at weight 1, 5.0 card-hours
        `a` with 0.78% of all chips at weight 1, 5.0 card-hours
        `a` with 0.00% of all chips at weight 1, 5.0 card-hours
        ",
    );
}

#[test]
fn chips_count_by_their_capability_and_the_record_by_number() {
    check(
        "
        tenant a
        tenant b
        used a chips=4 capability=500 from=0s until=1h
        used b chips=3 from=0s until=1h
        @1h
        standing a
        standing b
        next a,b
        ",
        "
        `a` with 10.00% of all chips at weight 1, 4.0 card-hours
        `b` with 15.00% of all chips at weight 1, 3.0 card-hours
        a: in the network: `a` with 10.00% of all chips at weight 1 \
        comes before `b` with 15.00% of all chips at weight 1
        "
        .replace("        comes", "comes")
        .as_str(),
    );
}

#[test]
fn the_dominant_resource_decides() {
    check(
        "
        tenant a
        tenant b
        tenant c
        used a chips=1 cores=30 from=0s until=1h
        used b chips=2 memory=10GiB from=0s until=1h
        used c bandwidth=80Gbit/s from=0s until=1h
        @1h
        standing a
        standing c
        next a,b,c
        ",
        "
        `a` with 15.00% of all cores at weight 1, 1.0 card-hours
        `c` with 40.00% of all bandwidth at weight 1, 0.0 card-hours
        b: in the network: `b` with 10.00% of all chips at weight 1 comes before `a` with 15.00% of all cores at weight 1
        ",
    );
}

#[test]
fn siblings_come_by_weight_level_by_level_from_the_root() {
    // `big` has used more than `small`, but for its weight less; in it, `y` has used least. What `x`
    // alone would deserve in the whole network does not matter.
    check(
        "
        tenant big weight=3
        tenant small
        tenant x in=big
        tenant y in=big
        used x chips=4 from=0s until=1h
        used y chips=1 from=0s until=1h
        used small chips=2 from=0s until=1h
        @1h
        next x,small
        next x,y,small
        next small
        tenant big weight=2
        next x,y,small
        tenant small weight=0
        next x,small
        ",
        "
        x: in the network: `big` with 25.00% of all chips at weight 3 comes before `small` with 10.00% of all chips at weight 1; in `big`: `x` with 20.00% of all chips at weight 1 is alone
        y: in the network: `big` with 25.00% of all chips at weight 3 comes before `small` with 10.00% of all chips at weight 1; in `big`: `y` with 5.00% of all chips at weight 1 comes before `x` with 20.00% of all chips at weight 1
        small: in the network: `small` with 10.00% of all chips at weight 1 is alone
        small: in the network: `small` with 10.00% of all chips at weight 1 comes before `big` with 25.00% of all chips at weight 2
        x: in the network: `big` with 25.00% of all chips at weight 2 comes before `small` with 10.00% of all chips at weight 0; in `big`: `x` with 20.00% of all chips at weight 1 is alone
        ",
    );
}

#[test]
fn a_tenants_own_jobs_stand_among_its_childrens() {
    check(
        "
        tenant uni weight=7
        tenant cs in=uni weight=2
        used uni chips=1 from=0s until=1h
        used cs chips=1.5 from=0s until=1h
        @1h
        next uni,cs
        next uni
        ",
        "
        cs: in the network: `uni` with 12.50% of all chips at weight 7 is alone; in `uni`: `cs` with 7.50% of all chips at weight 2 comes before `uni` with 5.00% of all chips at weight 1
        uni: in the network: `uni` with 12.50% of all chips at weight 7 is alone
        ",
    );
}

#[test]
fn what_runs_counts_as_time_passes() {
    check(
        "
        tenant a
        tenant b
        used a chips=1 from=0s until=1h
        @1h
        start b chips=1
        next a,b
        @2h
        next a,b
        ",
        "
        b: in the network: `b` with 0.00% of all chips at weight 1 comes before `a` with 5.00% of all chips at weight 1
        a: in the network: `a` with 2.50% of all chips at weight 1 comes before `b` with 5.00% of all chips at weight 1
        ",
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let mut standings = Standings::new(&[member("a", None, 1)], HOUR).unwrap();
    let some = Draw::normalised(Chips::ONE, 1_000);
    let unknown = Err(Error::UnknownTenant { tenant: name("b") });
    assert_eq!(standings.start(&name("b"), &some, Moment(0)), unknown);
    assert!(matches!(standings.stop(&name("a"), &some, Moment(0)), Err(Error::NotHeld { .. })));
    standings.start(&name("a"), &some, Moment(0)).unwrap();
    assert!(matches!(standings.under(&[]), Err(Error::StillUsed { .. })));
    assert!(matches!(Standings::new(&[], Span::ZERO), Err(Error::HalfLife)));
    assert_eq!(standings.next(Moment(0), &TOTALS, &[name("b")]), None);
}

/// A job's interval with what it drew.
#[derive(Clone, Copy)]
struct Ran {
    tenant: usize,
    draw: Draw,
    from: Moment,
    until: Moment,
}

struct Trial {
    tenants: Vec<Tenant>,
    jobs: Vec<Ran>,
    half_life: Span,
    now: Moment,
}

fn trial(rng: &mut ChaCha8Rng) -> Trial {
    let half_life = Span([1, 1_000, 3_600_000, 604_800_000][rng.random_range(0..4)]);
    let tenants: Vec<_> = (0..rng.random_range(1..9))
        .map(|number: usize| {
            let parent = (number > 0 && rng.random()).then(|| rng.random_range(0..number));
            let parent = parent.map(|parent| format!("t{parent}"));
            member(&format!("t{number}"), parent.as_deref(), rng.random_range(1..5))
        })
        .collect();
    let start = 1_700_000_000_000;
    let long = half_life.0 * 10 + 10;
    let jobs = (0..rng.random_range(1..30)).map(|_| {
        let from = start + rng.random_range(0..long);
        let until = from + rng.random_range(0..long);
        let chips = Chips(rng.random_range(0..9_000));
        let cores = Cores(rng.random_range(0..9_000));
        let draw = Draw { cores, ..Draw::normalised(chips, rng.random_range(100..3_000)) };
        let tenant = rng.random_range(0..tenants.len());
        Ran { tenant, draw, from: Moment(from), until: Moment(until) }
    });
    let jobs: Vec<_> = jobs.collect();
    let now = Moment(start + 2 * long + rng.random_range(0..long));
    Trial { tenants, jobs, half_life, now }
}

/// All standings, as text that shows every bit.
fn all(standings: &Standings, trial: &Trial) -> Vec<String> {
    let read = |t: &Tenant| standings.standing(&t.tenant, trial.now, &TOTALS).unwrap();
    trial.tenants.iter().map(|tenant| format!("{:?}", read(tenant))).collect()
}

#[test]
fn the_same_use_gives_the_same_standing_in_any_order_and_pieces() {
    for seed in 0..500 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let trial = trial(&mut rng);
        let who = |job: &Ran| &trial.tenants[job.tenant].tenant;
        let mut whole = Standings::new(&trial.tenants, trial.half_life).unwrap();
        for job in &trial.jobs {
            whole.used(who(job), &job.draw, job.from, job.until).unwrap();
        }
        // In pieces, the last job first.
        let mut pieces = Standings::new(&trial.tenants, trial.half_life).unwrap();
        for job in trial.jobs.iter().rev() {
            let mut from = job.from;
            while from < job.until {
                let left = job.until.since(from).0;
                let until = from + Span(rng.random_range(1..=left.div_ceil(2)));
                pieces.used(who(job), &job.draw, from, until).unwrap();
                from = until;
            }
        }
        assert_eq!(all(&whole, &trial), all(&pieces, &trial), "seed {seed}");
        // As jobs start and stop, in the order of time and in another, and with the tree built anew.
        let mut events: Vec<_> = trial.jobs.iter().map(|job| (job.from, 0, job)).collect();
        events.extend(trial.jobs.iter().map(|job| (job.until, 1, job)));
        let sorted = seed % 2 == 0;
        events.sort_by_key(|(at, kind, _)| if sorted { (at.0, *kind) } else { (*kind, 0) });
        let mut live = Standings::new(&trial.tenants, trial.half_life).unwrap();
        for (at, kind, job) in events {
            match kind {
                0 => live.start(who(job), &job.draw, at).unwrap(),
                _ => live.stop(who(job), &job.draw, at).unwrap(),
            }
            if rng.random_range(0..8) == 0 {
                live = live.under(&trial.tenants).unwrap();
            }
        }
        assert_eq!(all(&whole, &trial), all(&live, &trial), "seed {seed}");
    }
}

/// A tenant's decayed share of chips and of cores, from the definition, in floats.
#[expect(clippy::cast_precision_loss, reason = "a second implementation in floats")]
fn naive(trial: &Trial, at: usize) -> f64 {
    let below = |mut tenant: usize| loop {
        if tenant == at {
            return true;
        }
        let Some(parent) = &trial.tenants[tenant].parent else { return false };
        tenant = trial.tenants.iter().position(|t| t.tenant == *parent).unwrap();
    };
    let half = trial.half_life.0 as f64;
    let left = |moment: Moment| (-(trial.now.since(moment).0 as f64) / half).exp2();
    let sum = |of: &dyn Fn(&Draw) -> u64, total: u64| {
        let jobs = trial.jobs.iter().filter(|job| below(job.tenant));
        let each = jobs.map(|job| of(&job.draw) as f64 * (left(job.until) - left(job.from)));
        each.sum::<f64>() / total as f64
    };
    let chips = sum(&|draw| draw.standard.0, TOTALS.standard.0);
    chips.max(sum(&|draw| draw.cores.0, TOTALS.cores.0))
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "compared with floats")]
fn standings_are_those_of_the_definition_and_the_next_has_least_for_its_weight() {
    for seed in 0..500 {
        let trial = trial(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut standings = Standings::new(&trial.tenants, trial.half_life).unwrap();
        for job in &trial.jobs {
            let tenant = &trial.tenants[job.tenant].tenant;
            standings.used(tenant, &job.draw, job.from, job.until).unwrap();
        }
        let share = |at: usize| naive(&trial, at);
        // What is rounded off of each half-life is less than a 65,536th of a thousandth of a chip for
        // a millisecond; that counts only where half-lives are a few of those.
        let off = 1e-11 + 64.0 / (65_536.0 * TOTALS.standard.0 as f64 * trial.half_life.0 as f64);
        for (at, tenant) in trial.tenants.iter().enumerate() {
            let got = standings.standing(&tenant.tenant, trial.now, &TOTALS).unwrap();
            let got = got.share.0 as f64 / (1_u64 << 40) as f64;
            assert!(
                (got - share(at)).abs() <= 1e-5 * share(at) + off,
                "seed {seed}: {got} for {}",
                share(at)
            );
        }
        // Those without children wait; at each level nobody has less for its weight than the chosen.
        let parent =
            |name: &TenantId| trial.tenants.iter().any(|t| t.parent.as_ref() == Some(name));
        let waiting: Vec<_> =
            trial.tenants.iter().map(|t| &t.tenant).filter(|t| !parent(t)).collect();
        let turn = standings.next(trial.now, &TOTALS, waiting).unwrap();
        assert!(!parent(&turn.tenant));
        for level in &turn.levels {
            let members = trial.tenants.iter().enumerate().filter(|(_, t)| t.parent == level.of);
            let weighed = |(at, t): (usize, &Tenant)| share(at) / f64::from(t.weight);
            let least = members.map(weighed).fold(f64::MAX, f64::min);
            let chosen =
                trial.tenants.iter().position(|t| t.tenant == level.chosen.tenant).unwrap();
            let chosen = weighed((chosen, &trial.tenants[chosen]));
            assert!(chosen <= least * 1.000_01 + off, "seed {seed}: {level}");
        }
    }
}

#[test]
fn a_round_goes_on_as_a_fresh_one_would_begin() {
    let (mut turns, mut seen) = (0, BTreeSet::new());
    for seed in 0..500 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let trial = trial(&mut rng);
        let mut standings = Standings::new(&trial.tenants, trial.half_life).unwrap();
        for job in &trial.jobs {
            let tenant = &trial.tenants[job.tenant].tenant;
            standings.used(tenant, &job.draw, job.from, job.until).unwrap();
        }
        let mut waiting: BTreeSet<&TenantId> = BTreeSet::new();
        let mut round = standings.round(trial.now, &TOTALS, []);
        for _ in 0..40 {
            let tenant = &trial.tenants[rng.random_range(0..trial.tenants.len())].tenant;
            match rng.random_range(0..4) {
                0 => {
                    round.leave(tenant);
                    waiting.remove(tenant);
                }
                1 => {
                    let draw = trial.jobs[rng.random_range(0..trial.jobs.len())].draw;
                    let span = Span(rng.random_range(0..trial.half_life.0 * 3));
                    let from = Moment(trial.now.0 - span.0);
                    standings.used(tenant, &draw, from, trial.now).unwrap();
                    round.charge(tenant, &draw, span).unwrap();
                }
                _ => {
                    round.join(tenant);
                    waiting.insert(tenant);
                }
            }
            let fresh = standings.next(trial.now, &TOTALS, waiting.iter().copied());
            assert_eq!(round.turn(), fresh, "seed {seed}");
            assert_eq!(fresh.is_none(), waiting.is_empty(), "seed {seed}");
            turns += 1;
            seen.extend(fresh.map(|turn| (turn.levels.len(), turn.tenant)));
        }
    }
    assert!(turns == 20_000 && seen.len() > 20, "{seen:?}");
}
