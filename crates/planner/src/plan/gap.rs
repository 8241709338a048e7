//! How far a plan is from what no plan could better.

use super::Walk;
use crate::class::{Class, ClassId};
use crate::coming::Coming;
use crate::scene::{Asked, Scene, scene};
use allocation::{Place, Run, completion_bound};
use model::{Chips, Span};
use std::collections::BTreeMap;
use std::fmt;

/// Of so many jobs it is looked at how soon they could be over: a plan is hardly to take longer for it.
const MOST: usize = 300;

/// Prices of chips for so long and so often made better; the last counts of however much is left.
const STRETCHES: f64 = 48.0;
const ROUNDS: u32 = 24;

/// What keeps jobs from being over sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bounding {
    /// Each by itself, where it is over soonest with its data, as if nobody else were there.
    EachAlone,
    /// All together, on all chips there are, each where and when that is best at chips' prices.
    AllChips,
}

impl fmt::Display for Bounding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EachAlone => "each job alone, with its data",
            Self::AllChips => "all jobs on all chips",
        })
    }
}

/// How soon the jobs that a plan gives a start are expected to be over, in the mean, and what no plan is
/// below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// How many jobs were looked at.
    pub jobs: usize,
    /// By the plan.
    pub value: Span,
    /// At the least, whoever plans.
    pub bound: Span,
    /// What makes it so.
    pub by: Bounding,
}

impl Gap {
    /// How much more than the bound it is, in thousandths of that.
    #[must_use]
    pub fn thousandths(&self) -> u64 {
        self.value.0.saturating_sub(self.bound.0).saturating_mul(1_000) / self.bound.0.max(1)
    }
}

/// When jobs of each class that were given a start are expected to be over, counted from now.
pub(super) type Ends = BTreeMap<ClassId, (u64, u128)>;

impl Walk<'_> {
    /// Takes note of when a job is expected to be over.
    pub(super) fn note_end(&mut self, id: ClassId, after: Span) {
        let given = self.plan.offers.len() + self.plan.starts.len();
        if self.plan.is_whole && given < MOST {
            let (jobs, all) = self.ends.entry(id).or_default();
            *jobs += 1;
            *all += u128::from(after.0);
        }
    }

    /// How far the plan is from what no plan could better, as runs and data are expected to take; none where
    /// nobody was given a start.
    pub(super) fn gap(&self) -> Option<Gap> {
        // What the plan books is no reason for others to be over later.
        let (before, coming) = (self.before.as_ref()?, Coming::default());
        let scene = scene(self.world, before, &coming, self.situation, self.policy);
        let mut runs = Vec::new();
        let (mut jobs, mut all, mut alone) = (0_u64, 0_u128, 0_u128);
        for (id, (count, ends)) in &self.ends {
            let Some(class) = self.view.lines.class(*id) else { continue };
            let Some((soonest, run)) = self.at_best(&scene, *id, class) else { continue };
            jobs += count;
            all += ends;
            alone += u128::from(soonest.0) * u128::from(*count);
            runs.extend((0..*count).map(|_| run.clone()));
        }
        let mean =
            |sum: u128| Span(u64::try_from(sum / u128::from(jobs.max(1))).unwrap_or(u64::MAX));
        let together = self.together(&runs);
        let (bound, by) = match together > alone {
            true => (mean(together), Bounding::AllChips),
            false => (mean(alone), Bounding::EachAlone),
        };
        let jobs = usize::try_from(jobs).ok().filter(|jobs| *jobs > 0)?;
        Some(Gap { jobs, value: mean(all), bound, by })
    }

    /// How soon a job of the class could be over with all to itself, and where it could run.
    fn at_best(&self, scene: &Scene<'_>, id: ClassId, class: &Class) -> Option<(Span, Run)> {
        let options = self.options(class);
        let asked = Asked { class: id, spec: &class.spec, options: &options };
        let inputs = scene.soonest(&class.spec)?;
        let mut kinds: BTreeMap<usize, Place> = BTreeMap::new();
        let mut soonest: Option<Span> = None;
        for choice in &options.choices {
            let kind = self.view.roster.seat(choice.pool).bands.start as usize;
            let chips = asked.options.ask(choice).gang_chips();
            let long = choice.run.0 as f64;
            let place = Place { long, uses: vec![(kind, chips.0 as f64)] };
            let known = kinds.entry(kind).or_insert_with(|| place.clone());
            if long < known.long {
                *known = place;
            }
            if soonest.is_some_and(|soonest| soonest <= choice.run) {
                continue;
            }
            if let Some((ready, _)) = scene.data_bound(choice, &inputs) {
                let end = ready.since(self.situation.now) + choice.run;
                soonest = Some(soonest.map_or(end, |soonest| soonest.min(end)));
            }
        }
        Some((soonest?, Run { from: 0.0, places: kinds.into_values().collect() }))
    }

    /// What all of them come to together at the least, in milliseconds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    fn together(&self, runs: &[Run]) -> u128 {
        let longest = |run: &Run| run.places.iter().map(|place| place.long).fold(0.0, f64::max);
        let until = runs.iter().map(longest).fold(0.0, f64::max);
        if until <= 0.0 {
            return 0;
        }
        let mut there: Vec<f64> = Vec::new();
        for (_, seat) in self.view.roster.seats() {
            let kind = seat.bands.start as usize;
            if there.len() <= kind {
                there.resize(kind + 1, 0.0);
            }
            let Chips(chips) = seat.pool().chips();
            there[kind] += chips as f64;
        }
        let stretches = (until / STRETCHES, until);
        completion_bound(&there, runs, stretches, ROUNDS).completion.clamp(0.0, 1e30) as u128
    }
}
