//! How long a tenant waits at most that others go before: no longer than they take to use as much as it
//! did.

use model::{Chips, Moment, Span, Tenant, TenantId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sharing::{Draw, Standings, Totals};
use std::collections::BTreeSet;

/// Tenants that always have jobs waiting, and one that comes and goes.
struct Crowd {
    rng: ChaCha8Rng,
    tenants: Vec<Tenant>,
    standings: Standings,
    totals: Totals,
    half_life: Span,
    longest: Span,
    /// When each running job ends, and whose it is.
    running: BTreeSet<(Moment, usize, TenantId)>,
    started: usize,
}

impl Crowd {
    /// With some use in the past, and every chip taken by a job of somebody who always waits.
    fn of(seed: u64) -> (Self, Moment) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let count = rng.random_range(2..=6);
        let tenant = |(number, weight)| Tenant {
            weight,
            ..Tenant::new(TenantId::new(&format!("t{number}")).unwrap(), None)
        };
        let weights: Vec<u32> = (0..count).map(|_| rng.random_range(1..=4)).collect();
        let tenants: Vec<Tenant> = weights.into_iter().enumerate().map(tenant).collect();
        let half_life = Span::from_secs(rng.random_range(600..=7_200));
        let mut standings = Standings::new(&tenants, half_life).unwrap();
        let standard = Chips::whole(rng.random_range(1..=8));
        let now = Moment(rng.random_range(1..=half_life.0 * 6));
        for tenant in &tenants {
            let from = Moment(rng.random_range(0..now.0));
            let chips = Chips(rng.random_range(0..=standard.0));
            standings.used(&tenant.tenant, &Draw::normalised(chips, 1_000), from, now).unwrap();
        }
        let totals = Totals { standard, ..Totals::default() };
        let longest = Span::from_secs(rng.random_range(1..=3_600));
        let running = BTreeSet::new();
        (Self { rng, tenants, standings, totals, half_life, longest, running, started: 0 }, now)
    }

    /// Gives each free chip to whose turn it is, with who comes and goes among them or not. When
    /// its job ends if it got one.
    fn fill(&mut self, now: Moment, waits: bool) -> Option<Moment> {
        let waiting: Vec<&TenantId> =
            self.tenants.iter().skip(usize::from(!waits)).map(|tenant| &tenant.tenant).collect();
        while (self.running.len() as u64) < self.totals.standard.0 / 1_000 {
            let turn = self.standings.next(now, &self.totals, waiting.iter().copied()).unwrap();
            let ends = now + Span(self.rng.random_range(1..=self.longest.0));
            self.standings.start(&turn.tenant, &one(), now).unwrap();
            self.started += 1;
            let is_it = waits && turn.tenant == self.tenants[0].tenant;
            self.running.insert((ends, self.started, turn.tenant));
            if is_it {
                return Some(ends);
            }
        }
        None
    }

    /// What is documented: three half-lives of what the others may yet use until they stand where it
    /// does, and of each of them and of what runs the longest job.
    fn bound(&self, now: Moment) -> f64 {
        let share = |tenant: &Tenant| {
            let standing = self.standings.standing(&tenant.tenant, now, &self.totals).unwrap();
            standing.share.ppb() as f64 / 1e9
        };
        let it = &self.tenants[0];
        let per_weight = share(it) / f64::from(it.weight);
        let others = &self.tenants[1..];
        let short = |tenant: &Tenant| per_weight * f64::from(tenant.weight) - share(tenant);
        let short: f64 = others.iter().map(|tenant| short(tenant).max(0.0)).sum();
        let longest = self.longest.0 as f64;
        // A millisecond for what shares are rounded by.
        3.0 * self.half_life.0 as f64 * short + (others.len() + 1) as f64 * longest + 1.0
    }
}

fn one() -> Draw {
    Draw::normalised(Chips::ONE, 1_000)
}

/// The longest wait of one that comes a few times, as a share of what it may be.
fn worst(seed: u64) -> f64 {
    let (mut crowd, mut now) = Crowd::of(seed);
    crowd.fill(now, false);
    let (mut came, mut comes, mut worst) = (None, now, 0.0_f64);
    let mut times = 0;
    while times < 4 && crowd.started < 400 {
        let (ends, ..) = crowd.running.first().cloned().unwrap();
        if came.is_none() && comes < ends {
            now = comes;
            came = Some((now, crowd.bound(now)));
            continue;
        }
        let (_, _, of) = crowd.running.pop_first().unwrap();
        now = ends;
        crowd.standings.stop(&of, &one(), now).unwrap();
        let got = crowd.fill(now, came.is_some());
        if let Some((since, bound)) = came {
            worst = worst.max(now.since(since).0 as f64 / bound);
            if let Some(ends) = got {
                (came, times) = (None, times + 1);
                comes = ends + Span(crowd.rng.random_range(0..=crowd.longest.0 * 4));
                crowd.fill(now, false);
            }
        }
    }
    worst
}

#[test]
fn nobody_waits_longer_than_others_take_to_use_as_much() {
    let all: Vec<(u64, f64)> = (0..10_000).map(|seed| (seed, worst(seed))).collect();
    let over: Vec<_> = all.iter().filter(|(_, share)| *share > 1.0).collect();
    assert!(over.is_empty(), "{over:?}");
    // The bound is no idle one: some come near to it.
    let most = all.iter().map(|(_, share)| *share).fold(0.0, f64::max);
    assert!(most > 0.3, "{most}");
}
