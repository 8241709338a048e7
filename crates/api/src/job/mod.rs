//! Jobs: submitting, listing, changing and explaining them, and their logs.

pub(crate) mod change;
pub(crate) mod list;
pub(crate) mod log;
mod show;
pub(crate) mod submit;
pub(crate) mod why;

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::gate::{ArchiveQuery, Call};
use crate::problem::{Problem, Slug};
use model::job::Job;
use model::{ChipId, JobId, Placement};
use std::sync::Arc;
use world::World;

/// A job with what the world says beside it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) job: Arc<Job>,
    /// The chip of the pool its newest attempt is or was in.
    pub(crate) chip: Option<ChipId>,
}

impl Found {
    /// `job`, looked at in `world`.
    pub(crate) fn new(world: &World, job: Arc<Job>) -> Self {
        let part = newest_placement(&job).and_then(|place| place.parts.first());
        let chip = part.and_then(|part| {
            world.centers.get(&part.center)?.center.pool(&part.pool)?.chip.clone()
        });
        Self { job, chip }
    }
}

/// Where the newest attempt is or was.
pub(crate) fn newest_placement(job: &Job) -> Option<&Arc<Placement>> {
    let live = job.phase.attempt().map(|attempt| &attempt.placement);
    live.or_else(|| job.past.last().map(|past| &past.placement))
}

/// The job, wherever it is kept, if `who` may do `action` to it. One that is not theirs is as good
/// as none.
pub(crate) async fn find(
    api: &Api,
    who: &Who,
    action: Action,
    id: JobId,
) -> Result<Found, Problem> {
    let look = move |c: &controller::Controller| {
        c.world().job(id).map(|job| Found::new(c.world(), Arc::clone(job)))
    };
    let found = match api.gate.look(look).await? {
        Some(found) => Some(found),
        None => archived(api, ArchiveQuery::Job(id)).await?.pop(),
    };
    let own = |found: &Found| who.may(api, action, Resource::Job(found.job.spec.tenant.clone()));
    found.filter(own).ok_or_else(|| Problem::not_found(id))
}

/// Jobs from the archive.
pub(crate) async fn archived(api: &Api, query: ArchiveQuery) -> Result<Vec<Found>, Problem> {
    let jobs = api.gate.call(|reply| Call::Archive(query, reply)).await?;
    let jobs = jobs.map_err(|why| {
        tracing::error!(why, "the archive cannot be read");
        Problem::new(Slug::Broken, "the archive cannot be read; the server's log says more")
    })?;
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let look = move |c: &controller::Controller| {
        jobs.into_iter().map(|job| Found::new(c.world(), job)).collect()
    };
    Ok(api.gate.look(look).await?)
}
