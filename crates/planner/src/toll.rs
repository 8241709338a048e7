//! What it costs all others that a job has chips, or links.
//!
//! Where jobs are to be over soon in the mean, a chip that many could use well has a price: the time by
//! which others are over later for an hour of it. Prices are the duals of a linear program: what came
//! lately runs, as if divided at will, where all together run least, on as many chips as are lent. Who
//! can do without nothing better pays most. Bandwidth has no program of its own: data that has to come
//! counts once for its job and once for those whose data comes behind it.
//!
//! A job whose places are ranked so waits rather than take one that is much worse than its best, counted
//! with what that costs others: fast chips are left to those that win most by them, and slow ones to
//! those that lose least. It waits no longer than what it would have lost: who knows nothing of when
//! something better comes free loses so at most twice what was to be lost (the rule of renting skis).
//!
//! Prices put places in order and are shown as indicative prices; no fact rests on them.

use crate::estimate::estimate;
use crate::options::Choice;
use crate::roster::{BandNumber, Roster, Seat};
use crate::scene::{Asked, Scene};
use crate::{Aim, Policy, View};
use allocation::{Program, Row};
use model::job::On;
use model::{CenterId, Chips, JobSpec, Moment, Objective, PoolId, Span};
use std::collections::BTreeMap;
use std::sync::Arc;
use world::World;

/// What came counts half after so long.
const HALF_LIFE: Span = Span::from_secs(12 * 3_600);

/// For so long prices are good.
const GOOD_FOR: Span = Span::from_secs(600);

/// A job that finds no chips in the program counts as if it ran so many times as long as it could.
const WAITING: f64 = 10.0;

/// A place where a job would run no longer than in its best is left when it costs others so much more, in
/// thousandths of its run in its best.
const TOO_DEAR: u64 = 500;

/// A place where it would run longer is left when that and what it costs others is so much more.
const TOO_SLOW: u64 = 2_500;

/// Where jobs that differ only in how long they run could run: by chips of which kinds, how many, and
/// how many thousandths of the shortest run it takes there.
type Shape = Vec<(On, Chips, u64)>;

/// What came lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offered {
    /// Shortest runs by shape, in milliseconds; the later, the more they count.
    runs: BTreeMap<Shape, f64>,
    /// Since when, and what counts as one now.
    since: Option<Moment>,
}

impl Offered {
    /// Takes note of a job that came.
    pub(crate) fn note(&mut self, world: &World, spec: &JobSpec, now: Moment) {
        if spec.is_reservation() || spec.reservation.is_some() {
            return;
        }
        let lessons = world.lessons_of(&spec.tenant, spec.workload.as_deref());
        let variants = || (0_u16..).zip(spec.parts.iter().take(1).flat_map(|part| &part.variants));
        let run = |index| estimate(lessons, spec, index, None).0.0.max(1);
        let Some(least) = variants().map(|(index, _)| run(index)).min() else { return };
        let shape = variants().map(|(index, variant)| {
            let chips = variant.chips_per_node.times(variant.nodes.into());
            (variant.on.clone(), chips, rounded(run(index).saturating_mul(1_000) / least))
        });
        let weight = self.weight(now);
        *self.runs.entry(shape.collect()).or_default() += weight * least as f64;
    }

    /// What one that comes now counts.
    fn weight(&mut self, now: Moment) -> f64 {
        let since = *self.since.get_or_insert(now);
        let weight = (now.since(since).0 as f64 / HALF_LIFE.0 as f64).exp2();
        // Beyond this what came first counts nothing, and numbers would grow for ever.
        if weight < 1e12 {
            return weight;
        }
        self.runs.values_mut().for_each(|run| *run /= weight);
        self.runs.retain(|_, run| *run > 1.0);
        self.since = Some(now);
        1.0
    }

    /// For how long it came, as runs are counted, in milliseconds.
    fn long(&self, now: Moment) -> f64 {
        let Some(since) = self.since else { return 0.0 };
        let lives = now.since(since).0 as f64 / HALF_LIFE.0 as f64;
        HALF_LIFE.0 as f64 / std::f64::consts::LN_2 * (lives.exp2() - 1.0)
    }
}

/// Runs that are about as long relative to each other count as the same.
fn rounded(thousandths: u64) -> u64 {
    thousandths / 50 * 50
}

/// Prices by kind of chip and flavor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tolls {
    /// As of when; none where there are none yet.
    at: Option<Moment>,
    /// By the first band of each family, in millionths: of a millisecond by which others are over later,
    /// for a chip and a millisecond.
    by_family: BTreeMap<BandNumber, u64>,
}

impl Tolls {
    /// Prices for what came lately, unless those there are good still or nobody wants any.
    pub(crate) fn renewed(view: &View, policy: &Policy, now: Moment) -> Option<Arc<Self>> {
        let is_good = view.tolls.at.is_some_and(|at| now.since(at) < GOOD_FOR);
        if policy.aim != Aim::MeanCompletion || is_good {
            return None;
        }
        let by_family = prices(&view.offered, &view.roster, now)?;
        Some(Arc::new(Self { at: Some(now), by_family }))
    }

    /// What a run on chips of a family costs others, in milliseconds.
    fn of(&self, family: BandNumber, chips: Chips, run: Span) -> u64 {
        let price = self.by_family.get(&family).copied().unwrap_or(0);
        let toll = u128::from(price) * u128::from(chips.0) * u128::from(run.0) / 1_000_000_000;
        u64::try_from(toll).unwrap_or(u64::MAX)
    }
}

/// The least time that all that came lately runs together, on the chips there are: what one more chip of
/// each family would take off it. None while nothing came, or where the solver gives up.
fn prices(offered: &Offered, roster: &Roster, now: Moment) -> Option<BTreeMap<BandNumber, u64>> {
    let long = offered.long(now);
    if long <= 0.0 {
        return None;
    }
    let mut program = Program::default();
    let mut families: BTreeMap<BandNumber, Row> = BTreeMap::new();
    for (_, seat) in roster.seats() {
        families.entry(seat.bands.start).or_insert_with(|| {
            let pools = seat.bands.clone().flat_map(|band| &roster.band(band).pools);
            // Nearly everybody is a guest nearly everywhere.
            let lent = |seat: &Seat| seat.lending.most(seat.pool().chips());
            let chips = pools.map(|pool| lent(roster.seat(*pool)).0 as f64 / 1e3);
            program.at_most(chips.sum())
        });
    }
    for (shape, runs) in &offered.runs {
        let all = program.exactly(1.0);
        let running = runs / long;
        let mut least = f64::INFINITY;
        for (on, chips, thousandths) in shape {
            let times = *thousandths as f64 / 1e3;
            least = least.min(times);
            for family in roster.families(on) {
                let Some(row) = families.get(&family.start) else { continue };
                let used = running * times * chips.0 as f64 / 1e3;
                program.unknown(running * times, [(all, 1.0), (*row, used)]);
            }
        }
        program.unknown(running * least * WAITING, [(all, 1.0)]);
    }
    let found = program.least().ok()?;
    let price = |(family, row): (BandNumber, Row)| (family, whole(found.price(row) * 1e6));
    Some(families.into_iter().map(price).collect())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
fn whole(number: f64) -> u64 {
    number.clamp(0.0, 1e15).round() as u64
}

impl View {
    /// The indicative price of a chip of this pool: by how long all others together are over later for an
    /// hour of it. None where the policy counts no such thing, or nothing came yet.
    #[must_use]
    pub fn indicative_price(&self, center: &CenterId, pool: &PoolId) -> Option<Span> {
        let seat = self.roster.seat(self.roster.number(center, pool)?);
        let price = self.tolls.by_family.get(&seat.bands.start)?;
        Some(Span(price.saturating_mul(3_600_000) / 1_000_000))
    }

    /// What a choice's run costs others, in milliseconds; nothing where nobody counts that.
    fn toll(&self, asked: Asked<'_>, choice: &Choice) -> u64 {
        let family = self.roster.seat(choice.pool).bands.start;
        self.tolls.of(family, asked.options.ask(choice).gang_chips(), choice.run)
    }
}

impl Scene<'_> {
    /// What it costs others that a job of the class runs on so many chips of a family, and that its data
    /// is there at `ready`, in milliseconds; nothing where nobody counts that.
    pub(crate) fn toll(
        &self,
        asked: Asked<'_>,
        (family, chips, run): (BandNumber, Chips, Span),
        ready: Moment,
    ) -> u64 {
        if !pays(asked.spec, self.policy) {
            return 0;
        }
        let moved = ready.since(self.situation.now).0;
        self.view.tolls.of(family, chips, run).saturating_add(moved)
    }

    /// How many thousandths of the best there is a choice costs, counted with what it costs others, where
    /// that is so many that the job waits for something better.
    pub(crate) fn is_poor(&self, asked: Asked<'_>, choice: &Choice) -> Option<u64> {
        if !pays(asked.spec, self.policy) || self.view.tolls.at.is_none() {
            return None;
        }
        let cost =
            |choice: &Choice| choice.run.0.saturating_add(self.view.toll(asked, choice)).max(1);
        let first = self.view.lines.class(asked.class).and_then(|class| class.jobs.first());
        let submitted = first.and_then(|job| Some(self.world.job(*job)?.submitted));
        let waited = submitted.map_or(Span::ZERO, |submitted| self.situation.now.since(submitted));
        let own = cost(choice);
        let is_better = |other: &&Choice| {
            let most = if choice.run > other.run { TOO_SLOW } else { TOO_DEAR };
            let bearable = other.run.0.saturating_mul(most) / 1_000;
            cost(other).saturating_add(bearable.max(waited.0)) < own
                && self.shut(asked.class, self.view.roster.seat(other.pool)).is_ok()
                && self.within_quota(asked, other).is_ok()
        };
        let best = asked.options.choices.iter().filter(is_better).map(cost).min()?;
        Some(own.saturating_mul(1_000) / best)
    }
}

/// Whether a job's places are ranked by when they have all jobs over.
fn pays(spec: &JobSpec, policy: &Policy) -> bool {
    policy.aim == Aim::MeanCompletion
        && spec.objective == Objective::Fastest
        && spec.reservation.is_none()
        && !spec.is_reservation()
}
