//! What plans are to bring about for all jobs together, and in which order that puts them.

use crate::class::{ClassId, Turn};
use crate::options::Options;
use crate::{Policy, View};
use model::{JobId, JobSpec, Moment, Span};
use std::fmt;
use std::str::FromStr;
use world::World;

/// What the network's plans are to bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Aim {
    /// Tenants have of the network what is theirs by weight; each decides by priority whose job is
    /// first.
    #[default]
    Fair,
    /// Jobs are over as soon as can be in the mean, whosever they are: who needs little comes before
    /// who needs much, and nobody takes what costs all others more than it wins.
    MeanCompletion,
    /// All that waits is over as soon as can be: who needs much comes first.
    Makespan,
    /// Whoever is due first comes first.
    DeadlineFirst,
}

/// What a job of a chip and an hour is overtaken for at most: one that needs so many times as much lets
/// others pass for so many times as long, however many there are. A job that counts double by its
/// priority is due in half the time.
const OVERTAKEN: Span = Span::from_secs(8 * 3_600);

/// Priorities beyond this count no more.
const MOST_DOUBLED: i32 = 16;

impl Aim {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Fair, Self::MeanCompletion, Self::Makespan, Self::DeadlineFirst];

    /// Its name, as people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fair => "fair",
            Self::MeanCompletion => "mean-completion",
            Self::Makespan => "makespan",
            Self::DeadlineFirst => "deadline-first",
        }
    }

    /// Whether who has the higher priority takes the place of others. Where all are to be over soon, who
    /// comes later by its priority alone loses nothing by it.
    pub(crate) const fn minds_priority(self) -> bool {
        !matches!(self, Self::MeanCompletion)
    }

    /// Where a job of the class stands among those of all tenants: who is less comes first. None where
    /// that is up to tenants' shares.
    pub(crate) fn place(self, spec: &JobSpec, options: &Options, submitted: Moment) -> Option<u64> {
        let needs = options.needs;
        match self {
            Self::Fair => None,
            Self::MeanCompletion => {
                let doubled = spec.priority.clamp(-MOST_DOUBLED, MOST_DOUBLED);
                let patience = u128::from(OVERTAKEN.0) * u128::from(needs) / 1_000;
                let patience = match u32::try_from(doubled) {
                    Ok(doubled) => patience >> doubled,
                    Err(_) => patience << doubled.unsigned_abs(),
                };
                let patience = u64::try_from(patience).unwrap_or(u64::MAX);
                Some(submitted.0.saturating_add(patience))
            }
            Self::Makespan => Some(u64::MAX - needs),
            Self::DeadlineFirst => Some(spec.deadline.map_or(u64::MAX, |deadline| deadline.0)),
        }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Aim {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|aim| aim.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            format!("there is no policy `{name}`; known are {}", known.join(", "))
        })
    }
}

/// In which order classes have their turns where not tenants' shares decide.
pub(crate) fn placed(
    (world, view, policy): (&World, &View, &Policy),
    turn: Turn,
) -> Option<(u64, JobId, ClassId)> {
    let (_, job, id) = turn;
    if policy.aim == Aim::Fair {
        return None;
    }
    let class = view.lines.class(id)?;
    let submitted = world.job(job).map_or(Moment::ZERO, |job| job.submitted);
    let options = class.options(world, &view.roster, policy);
    Some((policy.aim.place(&class.spec, &options, submitted)?, job, id))
}

/// How many jobs in line come before one that is there by `place`.
pub(crate) fn ahead(known: (&World, &View, &Policy), place: u64, job: JobId) -> usize {
    let (_, view, _) = known;
    let turns = view.lines.turns().filter_map(|(_, turn)| placed(known, *turn));
    let before = turns.filter(|(theirs, head, _)| (*theirs, *head) < (place, job));
    before
        .filter_map(|(_, _, id)| Some(view.lines.class(id)?.jobs.range(..job).count().max(1)))
        .sum()
}
