//! How long a job is expected to run.

use model::job::JobSpec;
use model::{ChipId, Span};
use serde::Serialize;
use world::{LessonsOf, Taught};

/// What the time a job is expected to run rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Basis {
    /// The tenant's own figure, beside the speed it gives this variant.
    Told {
        /// The variant's speed, in thousandths.
        speed_thousandths: u32,
        /// The pool's speed beside the fastest of its chip, in thousandths.
        pace_thousandths: u32,
    },
    /// Finished jobs of the same tenant and workload.
    Learned {
        /// How many, older ones counting less.
        jobs: u32,
        /// The share of their limit they ran, in thousandths.
        of_limit_thousandths: u64,
        /// How far to trust it, in thousandths.
        confidence_thousandths: u64,
        /// Whether they ran on this chip; else on any.
        on_this_chip: bool,
    },
    /// The limit alone, beside the speed the tenant gives this variant: nothing is known.
    Limit {
        /// The variant's speed, in thousandths.
        speed_thousandths: u32,
        /// The pool's speed beside the fastest of its chip, in thousandths.
        pace_thousandths: u32,
    },
}

/// How long the job is expected to run as this variant on this chip: its tenant's figure where
/// there is one, scaled by the variant's speed; else the limit, scaled by what was learned from
/// finished jobs of the same tenant and workload with about the same limit. What does not rest on jobs
/// that ran is the longer the slower the pool has shown its chips to be, by its `pace` in thousandths of
/// the fastest. Never more than the limit. With it comes what it rests on.
pub(crate) fn estimate(
    lessons: Option<LessonsOf<'_>>,
    spec: &JobSpec,
    index: u16,
    (chip, pace): (Option<&ChipId>, u32),
) -> (Span, Basis) {
    let limit = spec.limit(index).unwrap_or(Span::MAX);
    let told = match spec.duration {
        model::job::Duration::Limited { expected, .. } => expected,
        model::job::Duration::Open => None,
    };
    let variant = spec.parts.first().and_then(|p| p.variants.get(usize::from(index)));
    let speed = variant.and_then(|v| v.speed_thousandths).filter(|speed| *speed > 0);
    let taught = || lessons?.on(chip, spec);
    // At so many thousandths of a speed, of a pool that is so many thousandths as fast as others.
    let at = |run: Span, speed: u32| run.scaled(1_000_000, u64::from(speed) * u64::from(pace));
    let (run, basis) = match (told, speed) {
        (Some(told), speed) => {
            let speed = speed.unwrap_or(1_000);
            let basis = Basis::Told { speed_thousandths: speed, pace_thousandths: pace };
            (at(told, speed), basis)
        }
        (None, _) => match taught() {
            Some(Taught { lesson, on_this_chip }) => {
                let learned = Basis::Learned {
                    jobs: lesson.jobs,
                    of_limit_thousandths: lesson.thousandths(),
                    confidence_thousandths: lesson.confidence(),
                    on_this_chip,
                };
                (limit.scaled(lesson.thousandths(), 1_000), learned)
            }
            None => {
                let own = variant.is_some_and(|v| v.limit.is_some());
                let speed = speed.filter(|_| !own).unwrap_or(1_000);
                let basis = Basis::Limit { speed_thousandths: speed, pace_thousandths: pace };
                (at(limit, speed), basis)
            }
        },
    };
    (run.min(limit), basis)
}
