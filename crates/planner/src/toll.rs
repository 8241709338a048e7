//! What it costs all others that a job has chips, or links.
//!
//! Where jobs are to be over soon in the mean, a chip that many could use well has a price: the time by
//! which others are over later for an hour of it. Prices are the duals of a linear program: what came
//! lately and what waits runs, as if divided at will, where all together run least, on the chips there
//! are. Guests have no more of them than is lent, and pay for that beside; who is at home does not.
//! Bandwidth has no program of its own: data that has to come counts once for its job and once for those
//! whose data comes behind it.
//!
//! A job whose places are ranked so waits rather than take one that is much worse than its best, counted
//! with what that costs others: fast chips are left to those that win most by them, and slow ones to
//! those that lose least. For a better place it waits no longer than what was to be lost by not having
//! it: who knows nothing of when something better comes free loses so at most twice that (the rule of
//! renting skis).
//!
//! A price is for the time that a chip would be others': where some are [idle](crate::idle), runs cost less.
//!
//! Prices put places in order and are shown as indicative prices; no fact rests on them.

use crate::demand::{Shape, demand};
use crate::options::Choice;
use crate::roster::{BandNumber, Roster};
use crate::scene::{Asked, Scene};
use crate::supply::{Supply, supply};
use crate::{Aim, Policy, View};
use allocation::{Program, Row};
use model::job::On;
use model::{CenterId, Chips, JobSpec, Moment, Objective, PoolId, Span};
use std::collections::BTreeMap;
use std::sync::Arc;
use world::World;

/// For so long prices are good.
const GOOD_FOR: Span = Span::from_secs(1_800);

/// A job that finds no chips in the program counts as if it ran so many times as long as it could.
const WAITING: f64 = 10.0;

/// A place where a job would run no longer than in its best is left when it costs others so much more, in
/// thousandths of its run in its best.
const TOO_DEAR: u64 = 500;

/// A place where it would run longer is left when that and what it costs others is so much more.
const TOO_SLOW: u64 = 1_500;

/// What a chip of a family costs others for a time, in millionths of that time by which they are over
/// later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Price {
    /// Wherever it is.
    chip: u64,
    /// Where it is lent, beside that.
    lent: u64,
}

/// Prices by kind of chip and flavor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tolls {
    /// As of when; none where there are none yet.
    at: Option<Moment>,
    /// By the first band of each family.
    by_family: BTreeMap<BandNumber, Price>,
}

impl Tolls {
    /// Prices for what came lately, unless those there are good still or nobody wants any.
    pub(crate) fn renewed(
        world: &World,
        view: &View,
        policy: &Policy,
        now: Moment,
    ) -> Option<Arc<Self>> {
        let is_good = view.tolls.at.is_some_and(|at| now.since(at) < GOOD_FOR);
        if policy.aim != Aim::MeanCompletion || !policy.prices || is_good {
            return None;
        }
        let by_family = prices(&demand(world, view, now)?, &view.roster)?;
        Some(Arc::new(Self { at: Some(now), by_family }))
    }

    /// Whether there are any yet.
    pub(crate) const fn are_there(&self) -> bool {
        self.at.is_some()
    }

    /// What a run on chips of a family costs others, in milliseconds.
    pub(crate) fn of(&self, (family, is_lent): (BandNumber, bool), chips: Chips, run: Span) -> u64 {
        let Price { chip, lent } = self.by_family.get(&family).copied().unwrap_or_default();
        let price = if is_lent { chip.saturating_add(lent) } else { chip };
        let toll = u128::from(price) * u128::from(chips.0) * u128::from(run.0) / 1_000_000_000;
        u64::try_from(toll).unwrap_or(u64::MAX)
    }
}

/// The chips of a family, as rows of a program.
struct Family {
    all: Row,
    /// What owners lend of them.
    lent: Row,
    /// What there is of them in centers that lend not all, by center.
    own: BTreeMap<CenterId, Row>,
}

/// The least time that all that is wanted runs together, on the chips there are: what one more chip of
/// each family would take off it. None where the solver gives up.
fn prices(demand: &BTreeMap<Shape, f64>, roster: &Roster) -> Option<BTreeMap<BandNumber, Price>> {
    let mut program = Program::default();
    let families = families(&mut program, roster);
    for (shape, running) in &merged(demand, &families, roster) {
        let placed = program.exactly(1.0);
        let mut least = f64::INFINITY;
        for (on, chips, thousandths) in &shape.ways {
            let times = *thousandths as f64 / 1e3;
            least = least.min(times);
            let used = running * times * chips.0 as f64 / 1e3;
            for family in
                roster.families(on).iter().filter_map(|family| families.get(&family.start))
            {
                let rows = |row| [(placed, 1.0), (family.all, used), (row, used)];
                program.unknown(running * times, rows(family.lent));
                for own in shape.homes.iter().filter_map(|home| family.own.get(home)) {
                    program.unknown(running * times, rows(*own));
                }
            }
        }
        program.unknown(running * least * WAITING, [(placed, 1.0)]);
    }
    let found = program.least().ok()?;
    let millionths = |row| whole(found.price(row) * 1e6);
    let price = |of: Family| Price { chip: millionths(of.all), lent: millionths(of.lent) };
    Some(families.into_iter().map(|(family, of)| (family, price(of))).collect())
}

/// The same with only those homes that make a difference.
fn merged(
    demand: &BTreeMap<Shape, f64>,
    families: &BTreeMap<BandNumber, Family>,
    roster: &Roster,
) -> BTreeMap<Shape, f64> {
    let mut merged: BTreeMap<Shape, f64> = BTreeMap::new();
    for (shape, running) in demand {
        let of = |(on, ..): &(On, Chips, u64)| roster.families(on).iter();
        let is_own = |home: &CenterId| {
            let mut families =
                shape.ways.iter().flat_map(of).filter_map(|family| families.get(&family.start));
            families.any(|family| family.own.contains_key(home))
        };
        let homes = shape.homes.iter().filter(|home| is_own(home)).cloned().collect();
        *merged.entry(Shape { ways: shape.ways.clone(), homes }).or_default() += running;
    }
    merged
}

fn families(program: &mut Program, roster: &Roster) -> BTreeMap<BandNumber, Family> {
    let mut row = |chips: u64| program.at_most(chips as f64 / 1e3);
    let mut family = |of: Supply| {
        // A little more than there is: of one center's chips those of the family have the price, not these.
        let own = of.own.into_iter().map(|(center, chips)| (center, row(chips.0 + chips.0 / 100)));
        let own = own.collect();
        Family { all: row(of.all.0), lent: row(of.lent.0), own }
    };
    supply(roster).into_iter().map(|(number, of)| (number, family(of))).collect()
}

/// What a solver found, as a whole number; none below zero.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
pub(crate) fn whole(number: f64) -> u64 {
    number.clamp(0.0, 1e15).round() as u64
}

impl View {
    /// The indicative price of a chip of this pool: by how long all others together are over later for an
    /// hour of it. None where the policy counts no such thing, or nothing came yet.
    #[must_use]
    pub fn indicative_price(&self, center: &CenterId, pool: &PoolId) -> Option<Span> {
        let seat = self.roster.seat(self.roster.number(center, pool)?);
        let Price { chip, lent } = *self.tolls.by_family.get(&seat.bands.start)?;
        Some(Span(chip.saturating_add(lent).saturating_mul(3_600_000) / 1_000_000))
    }

    /// What a choice's run costs others, in milliseconds; nothing where nobody counts that.
    fn toll(&self, asked: Asked<'_>, choice: &Choice) -> u64 {
        let family = self.roster.seat(choice.pool).bands.start;
        let chips = asked.options.ask(choice).gang_chips();
        self.toll_now((family, choice.is_lent), chips, choice.run)
    }

    /// What a run that begins soon costs others on chips of a family, in milliseconds: not so long as
    /// the chips would be nobody's.
    fn toll_now(&self, family: (BandNumber, bool), chips: Chips, run: Span) -> u64 {
        self.tolls.of(family, chips, run.saturating_sub(self.idle.of(family.0)))
    }
}

impl Scene<'_> {
    /// What it costs others that a job of the class runs on so many chips of a family, and that its data
    /// is there at `ready`, in milliseconds; nothing where nobody counts that.
    pub(crate) fn toll(
        &self,
        asked: Asked<'_>,
        (family, chips, run): ((BandNumber, bool), Chips, Span),
        ready: Moment,
    ) -> u64 {
        if !pays(asked.spec, self.policy) {
            return 0;
        }
        let moved = ready.since(self.situation.now).0;
        self.view.toll_now(family, chips, run).saturating_add(moved)
    }

    /// How many thousandths of the best there is a choice costs, counted with what it costs others, where
    /// that is so many that the job waits for something better.
    pub(crate) fn is_poor(&self, asked: Asked<'_>, choice: &Choice) -> Option<u64> {
        if !pays(asked.spec, self.policy) || !self.view.tolls.are_there() {
            return None;
        }
        let cost =
            |choice: &Choice| choice.run.0.saturating_add(self.view.toll(asked, choice)).max(1);
        let class = self.view.lines.class(asked.class);
        let waited = class.map_or(Span::ZERO, |class| self.waited(class));
        let own = cost(choice);
        let is_better = |other: &&Choice| {
            let most = if choice.run > other.run { TOO_SLOW } else { TOO_DEAR };
            let bearable = (other.run.0.saturating_mul(most) / 1_000).max(waited.0);
            cost(other).saturating_add(bearable) < own
                && self.shut(asked.class, self.view.roster.seat(other.pool)).is_ok()
                && self.within_quota(asked, other).is_ok()
        };
        let best = asked.options.choices.iter().filter(is_better).map(cost).min()?;
        Some(own.saturating_mul(1_000) / best)
    }
}

/// Whether a job's places are ranked by when they have all jobs over.
pub(crate) fn pays(spec: &JobSpec, policy: &Policy) -> bool {
    policy.aim == Aim::MeanCompletion
        && spec.objective == Objective::Fastest
        && spec.reservation.is_none()
        && !spec.is_reservation()
}
