//! What it costs all others that a job has chips.
//!
//! Where jobs are to be over soon in the mean, a chip that everybody could use well has a price: the
//! time by which others are over later for an hour of it. Prices are the duals of a linear program: who
//! came lately runs, as if divided at will, where all together run least, on as many chips as there
//! are. Who can wait for nothing better pays most.
//!
//! They put candidates in order and are shown as indicative prices; no fact rests on them.

use crate::estimate::estimate;
use crate::options::Choice;
use crate::roster::{BandNumber, Roster, Seat};
use crate::scene::{Asked, Scene};
use crate::{Aim, Policy, View};
use allocation::{Program, Row};
use model::job::On;
use model::{Chips, JobSpec, Moment, Objective, Span};
use std::collections::BTreeMap;
use std::sync::Arc;
use world::World;

/// What came counts half after so long.
const HALF_LIFE: Span = Span::from_secs(12 * 3_600);

/// For so long prices are good.
const GOOD_FOR: Span = Span::from_secs(600);

/// A job that finds no chips in the program counts as if it ran so many times as long as it could.
const WAITING: f64 = 10.0;

/// A job waits rather than that it runs, counted with what that costs others, so many times as long as
/// where that is least.
pub static WORTH: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| std::env::var("WORTH").map_or(3, |w| w.parse().unwrap()));

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
    pub(crate) fn renewed(
        view: &View,
        policy: &Policy,
        now: Moment,
    ) -> Option<Arc<Self>> {
        let is_good = view.tolls.at.is_some_and(|at| now.since(at) < GOOD_FOR);
        if policy.aim != Aim::MeanCompletion || is_good {
            return None;
        }
        let by_family = prices(&view.offered, &view.roster, now)?;
        Some(Arc::new(Self { at: Some(now), by_family }))
    }

    /// What a run on chips of a family costs others, in milliseconds.
    pub(crate) fn of(&self, family: BandNumber, chips: Chips, run: Span) -> u64 {
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
    let tolls: BTreeMap<_, _> = families.into_iter().map(price).collect();
    Some(tolls)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
fn whole(number: f64) -> u64 {
    number.clamp(0.0, 1e15).round() as u64
}

impl View {
    /// What a choice's run costs others, in milliseconds; nothing where nobody counts that.
    pub(crate) fn toll(&self, asked: Asked<'_>, choice: &Choice, policy: &Policy) -> u64 {
        if !pays(asked.spec, policy) {
            return 0;
        }
        let family = self.roster.seat(choice.pool).bands.start;
        self.tolls.of(family, asked.options.ask(choice).gang_chips(), choice.run)
    }

    /// How many thousandths of where that is least a choice costs, counted with what it costs others,
    /// where it is so many that the job waits for something better that is there.
    pub(crate) fn is_poor(
        &self,
        asked: Asked<'_>,
        choice: &Choice,
        policy: &Policy,
        is_there: impl Fn(&Choice) -> bool,
    ) -> Option<u64> {
        if !pays(asked.spec, policy) || self.tolls.at.is_none() {
            return None;
        }
        let cost = |choice: &Choice| {
            choice.run.0.saturating_add(self.toll(asked, choice, policy)).max(1)
        };
        let own = cost(choice);
        let is_better = |other: &&Choice| cost(other).saturating_mul(*WORTH) < own && is_there(other);
        let best = asked.options.choices.iter().filter(is_better).map(cost).min()?;
        Some(own.saturating_mul(1_000) / best)
    }
}

impl Scene<'_> {
    /// What a run of the class on so many chips of a family costs others, in milliseconds.
    pub(crate) fn toll(
        &self,
        asked: Asked<'_>,
        (family, chips, run): (BandNumber, Chips, Span),
    ) -> u64 {
        match pays(asked.spec, self.policy) {
            true => self.view.tolls.of(family, chips, run),
            false => 0,
        }
    }
}

/// Whether a job's places are ranked by when they have all jobs over.
fn pays(spec: &JobSpec, policy: &Policy) -> bool {
    policy.aim == Aim::MeanCompletion
        && spec.objective == Objective::Fastest
        && spec.reservation.is_none()
        && !spec.is_reservation()
}
