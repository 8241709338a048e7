//! What came lately and what waits: by how many chips of which kinds it would be running.

use crate::View;
use crate::estimate::estimate;
use crate::lending::Guest;
use crate::roster::ALL_OF_IT;
use model::job::On;
use model::{CenterId, Chips, JobSpec, Moment, Span};
use std::collections::BTreeMap;
use world::World;

/// What came counts half after so long: prices follow the time of day.
const HALF_LIFE: Span = Span::from_secs(3 * 3_600);

/// Within so long what waits is to be over.
const WITHIN: Span = Span::from_secs(6 * 3_600);

/// Where jobs that differ only in how long they run could run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    /// By chips of which kinds, how many, and how many thousandths of the shortest run it takes there.
    pub(crate) ways: Vec<(On, Chips, u64)>,
    /// Where they are at home.
    pub(crate) homes: Vec<CenterId>,
}

/// What came lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offered {
    /// Shortest runs by shape, in milliseconds; the later, the more they count.
    runs: BTreeMap<Shape, f64>,
    /// Chips wanted, and for how many milliseconds all together.
    chips: (f64, f64),
    /// Since when, and what counts as one now.
    since: Option<Moment>,
}

impl Offered {
    /// Takes note of a job that came.
    pub(crate) fn note(&mut self, world: &World, spec: &JobSpec, now: Moment) {
        let Some((shape, least)) = shape_of(world, spec) else { return };
        let weight = self.weight(now);
        let fastest = shape.ways.iter().min_by_key(|(_, _, thousandths)| *thousandths);
        let chips = weight * fastest.map_or(0.0, |(_, chips, _)| chips.0 as f64);
        self.chips = (self.chips.0 + chips, self.chips.1 + chips * least);
        *self.runs.entry(shape).or_default() += weight * least;
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
        self.chips = (self.chips.0 / weight, self.chips.1 / weight);
        self.runs.retain(|_, run| *run > 1.0);
        self.since = Some(now);
        1.0
    }

    /// For how long a chip is held on average that somebody gets, in milliseconds.
    pub(crate) fn held_for(&self) -> f64 {
        let (chips, long) = self.chips;
        if chips > 0.0 { long / chips } else { 0.0 }
    }

    /// For how long it came, as runs are counted, in milliseconds.
    fn long(&self, now: Moment) -> f64 {
        let Some(since) = self.since else { return 0.0 };
        let lives = now.since(since).0 as f64 / HALF_LIFE.0 as f64;
        HALF_LIFE.0 as f64 / std::f64::consts::LN_2 * (lives.exp2() - 1.0)
    }
}

/// How many of each shape would be running at any time, each where it runs shortest, if what comes went
/// on as it came lately and what waits were to be over soon. None while nothing came.
pub(crate) fn demand(world: &World, view: &View, now: Moment) -> Option<BTreeMap<Shape, f64>> {
    let long = view.offered.long(now);
    if long <= 0.0 {
        return None;
    }
    let mut demand = view.offered.runs.clone();
    demand.values_mut().for_each(|runs| *runs /= long);
    for (_, class) in view.lines.classes() {
        if let Some((shape, least)) = shape_of(world, &class.spec) {
            *demand.entry(shape).or_default() += least * class.jobs.len() as f64 / WITHIN.0 as f64;
        }
    }
    Some(demand)
}

/// The shape of a job that takes chips from others, and its shortest run in milliseconds.
pub(crate) fn shape_of(world: &World, spec: &JobSpec) -> Option<(Shape, f64)> {
    if spec.is_reservation() || spec.reservation.is_some() {
        return None;
    }
    let lessons = world.lessons_of(&spec.tenant, spec.workload.as_deref());
    let variants = || (0_u16..).zip(spec.parts.iter().take(1).flat_map(|part| &part.variants));
    let run = |index| estimate(lessons, spec, index, (None, ALL_OF_IT)).0.0.max(1);
    let least = variants().map(|(index, _)| run(index)).min()?;
    let ways = variants().map(|(index, variant)| {
        let chips = variant.chips_per_node.times(variant.nodes.into());
        (variant.on.clone(), chips, rounded(run(index).saturating_mul(1_000) / least))
    });
    let homes = Guest::of(world, &spec.tenant).homes().cloned().collect();
    Some((Shape { ways: ways.collect(), homes }, least as f64))
}

/// Runs that are about as long relative to each other count as the same.
fn rounded(thousandths: u64) -> u64 {
    thousandths / 50 * 50
}
