//! Residency: no byte of a dataset is planned, moved or kept where it may not be.
//!
//! A center keeps data at its first site, where its links end.

use crate::link::across;
use crate::promise::{Findings, Promise};
use model::job::Job;
use model::{Attempt, CenterId, Region, SiteId, Staging};
use world::{Version, World};

/// Judges where the copies of a version are.
pub(crate) fn judge_replicas(world: &World, version: &Version, found: &mut Findings) {
    let registered = &version.registered;
    for center in version.holders() {
        let site = SiteId::Center(center.clone());
        judge_place(world, &registered.residency, &site, found, || {
            format!("{} has a copy", registered.data)
        });
    }
}

/// Judges every site a transfer touches.
pub(crate) fn judge_staging(world: &World, staging: &Staging, found: &mut Findings) {
    let (id, data) = (staging.transfer, &staging.data);
    let Some(version) = world.exact(data) else {
        let what = format!("{id} moves {data}, which is not registered: nobody knows where to");
        found.say(Promise::Residency, what);
        return;
    };
    let residency = &version.registered.residency;
    let mut sites = vec![SiteId::Center(staging.to.clone())];
    for (from, hops, _) in staging.legs() {
        let mut here = SiteId::Center(from.clone());
        sites.push(here.clone());
        for hop in hops {
            // A path that breaks off is told by the links.
            let Some(next) = across(world, hop, &here) else { break };
            sites.push(next.clone());
            here = next;
        }
    }
    sites.sort_unstable();
    sites.dedup();
    for site in &sites {
        judge_place(world, residency, site, found, || format!("{id} takes {data}"));
    }
}

/// Judges whether a job is where its inputs may be read and its outputs may be kept.
pub(crate) fn judge_attempt(world: &World, job: &Job, attempt: &Attempt, found: &mut Findings) {
    let (id, settled) = (attempt.attempt, &attempt.placement.inputs);
    let inputs = job.spec.inputs.iter().map(|input| &input.dataset);
    let answers = inputs.len() == settled.len()
        && inputs.zip(settled).all(|(asked, data)| {
            asked.dataset == data.dataset && asked.version.is_none_or(|v| v == data.version)
        });
    found.judge(Promise::Residency, answers, || {
        let settled: Vec<_> = settled.iter().map(ToString::to_string).collect();
        format!("{id} is to read [{}], which is not what it asked for", settled.join(", "))
    });
    for center in centers(attempt) {
        let site = SiteId::Center(center.clone());
        // What was removed since was judged when the offer was made.
        for version in settled.iter().filter_map(|data| world.exact(data)) {
            judge_place(world, &version.registered.residency, &site, found, || {
                format!("{id} reads {}", version.registered.data)
            });
        }
        for output in &job.spec.outputs {
            judge_place(world, &output.residency, &site, found, || {
                format!("{id} writes {}", output.dataset)
            });
        }
    }
}

fn centers(attempt: &Attempt) -> Vec<&CenterId> {
    let mut centers: Vec<_> = attempt.placement.parts.iter().map(|part| &part.center).collect();
    centers.sort_unstable();
    centers.dedup();
    centers
}

fn judge_place(
    world: &World,
    residency: &[Region],
    site: &SiteId,
    found: &mut Findings,
    doing: impl FnOnce() -> String,
) {
    let region = region(world, site);
    let allowed = residency.is_empty()
        || region.is_some_and(|region| residency.iter().any(|allowed| allowed.contains(region)));
    found.judge(Promise::Residency, allowed, || {
        let region = region.map_or("an unknown place", Region::as_str);
        let only: Vec<_> = residency.iter().map(Region::as_str).collect();
        format!("{} at {site} in {region}, allowed only in {}", doing(), only.join(", "))
    });
}

fn region<'a>(world: &'a World, site: &SiteId) -> Option<&'a Region> {
    match site {
        SiteId::Center(center) => Some(&world.centers.get(center)?.center.site()?.region),
        SiteId::Exchange(exchange) => Some(&world.exchanges.get(exchange)?.region),
    }
}
