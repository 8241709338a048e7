//! What a plan is drawn up before, and who is asked about.

use crate::class::{Class, ClassId};
use crate::coming::Coming;
use crate::options::Options;
use crate::view::View;
use crate::{Policy, Situation};
use model::job::JobSpec;
use model::{Moment, Span};
use world::World;

/// What all candidates of all classes are judged against.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) world: &'a World,
    pub(crate) view: &'a View,
    pub(crate) coming: &'a Coming,
    pub(crate) situation: &'a Situation,
    pub(crate) policy: &'a Policy,
}

/// The class that is asked about.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) class: ClassId,
    pub(crate) spec: &'a JobSpec,
    pub(crate) options: &'a Options,
}

/// How far ahead a candidate may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// So soon that it can be offered at once, or not at all.
    Now,
    /// So soon that it can be offered at once, with data that is there by this moment.
    Brought(Moment),
    /// At whatever time it fits.
    Ever,
}

impl Scene<'_> {
    /// How long the first job of a class has waited.
    pub(crate) fn waited(&self, class: &Class) -> Span {
        let first = class.jobs.first().and_then(|job| self.world.job(*job));
        first.map_or(Span::ZERO, |job| self.situation.now.since(job.submitted))
    }
}

/// What candidates are judged against who are looked for now.
pub(crate) const fn scene<'a>(
    world: &'a World,
    view: &'a View,
    coming: &'a Coming,
    situation: &'a Situation,
    policy: &'a Policy,
) -> Scene<'a> {
    Scene { world, view, coming, situation, policy }
}
