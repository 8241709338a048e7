//! Looking jobs up.

use super::{Found, archived, find, newest_placement, show};
use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::extract::{Id, Query, read_text};
use crate::gate::ArchiveQuery;
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use controller::Controller;
use model::job::Job;
use model::{CenterId, JobId, Phase, Role, TenantId};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;
use wire::view;

/// How many jobs a page has where nothing is said.
const USUAL_PAGE: usize = 100;
/// How many jobs are looked at between two steps of the loop.
const LOOKED_AT: usize = 10_000;
/// How many pages of the archive are gone through for one page of an answer.
const ARCHIVE_PAGES: usize = 20;
/// Every word a job's state can be.
const STATES: [&str; 16] = [
    "booked",
    "open",
    "lapsed",
    "held",
    "blocked",
    "waiting",
    "offered",
    "staging",
    "running",
    "stopping",
    "ending",
    "completed",
    "failed",
    "timed-out",
    "canceled",
    "unmet",
];
/// Those of them that are ends.
const ENDS: [&str; 6] = ["completed", "failed", "timed-out", "canceled", "lapsed", "unmet"];

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Of this tenant.
    #[param(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// In this state, or `live` or `ended`.
    state: Option<String>,
    /// Whose name contains this, whatever the case of ASCII letters.
    name: Option<String>,
    /// Whose newest attempt is or was in this center.
    #[param(value_type = Option<String>)]
    center: Option<CenterId>,
    /// Of the array with this first job.
    array: Option<String>,
    /// At most so many; 100 where nothing is said.
    limit: Option<usize>,
    /// Submitted before this one.
    before: Option<String>,
}

/// What a job must be to be listed.
#[derive(Debug, Clone)]
struct Filter {
    tenant: Option<TenantId>,
    state: Stage,
    name: Option<String>,
    center: Option<CenterId>,
    array: Option<JobId>,
}

#[derive(Debug, Clone)]
enum Stage {
    Any,
    Live,
    Ended,
    Word(String),
}

impl Stage {
    fn read(word: Option<String>) -> Result<Self, Problem> {
        match word {
            None => Ok(Self::Any),
            Some(word) if word == "live" => Ok(Self::Live),
            Some(word) if word == "ended" => Ok(Self::Ended),
            Some(word) if STATES.contains(&&*word) => Ok(Self::Word(word)),
            Some(word) => {
                let states = STATES.join(", ");
                Err(Problem::malformed(format!(
                    "`{word}` is not `live`, `ended` or one of {states}"
                )))
            }
        }
    }

    fn fits(&self, job: &Job) -> bool {
        let phase = &job.phase;
        match self {
            Self::Any => true,
            Self::Live => !matches!(phase, Phase::Ended { .. }),
            Self::Ended => matches!(phase, Phase::Ended { .. }),
            Self::Word(word) => job.word() == word,
        }
    }

    /// Whether a job in the archive can fit.
    fn may_be_over(&self) -> bool {
        match self {
            Self::Any | Self::Ended => true,
            Self::Live => false,
            Self::Word(word) => ENDS.contains(&&**word),
        }
    }
}

impl Filter {
    fn fits(&self, job: &Job) -> bool {
        let name = |part: &String| contains(&job.spec.name, part);
        let center = |wanted: &CenterId| {
            newest_placement(job).is_some_and(|p| p.parts.iter().any(|p| p.center == *wanted))
        };
        self.tenant.as_ref().is_none_or(|tenant| job.spec.tenant == *tenant)
            && self.state.fits(job)
            && self.name.as_ref().is_none_or(name)
            && self.center.as_ref().is_none_or(center)
            && self.array.is_none_or(|array| job.first() == array)
    }
}

/// Whether `text` contains `part`, whatever the case of ASCII letters.
fn contains(text: &str, part: &str) -> bool {
    text.to_ascii_lowercase().contains(&part.to_ascii_lowercase())
}

/// Whose jobs are to be listed: those of the tenant named, else a tenant's own, else all, if the asker may.
pub(crate) fn whose(
    api: &Api,
    who: &Who,
    named: Option<TenantId>,
) -> Result<Option<TenantId>, Problem> {
    let tenant = match (named, &who.0.role) {
        (None, Role::Tenant(own)) => Some(own.clone()),
        (named, _) => named,
    };
    match tenant.clone() {
        Some(tenant) => who.must(api, Action::ListJobs, Resource::Tenant(tenant))?,
        None => who.must(api, Action::ListAllJobs, Resource::Network)?,
    }
    Ok(tenant)
}

/// Jobs, newest first
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs", params(Wanted),
    responses((status = OK, body = view::Jobs)))]
pub(crate) async fn list_jobs(
    State(api): State<Api>,
    who: Who,
    Query(wanted): Query<Wanted>,
) -> Result<Json<view::Jobs>, Problem> {
    let tenant = whose(&api, &who, wanted.tenant)?;
    let limit = api.page(wanted.limit, USUAL_PAGE)?;
    let before = wanted.before.as_deref().map(read_text::<JobId>).transpose()?;
    let state = Stage::read(wanted.state)?;
    let array = wanted.array.as_deref().map(read_text::<JobId>).transpose()?;
    let filter = Filter { tenant, state, name: wanted.name, center: wanted.center, array };

    // First the world, then the archive: a job that moves meanwhile is found twice, never missed.
    let mut jobs = in_world(&api, &filter, before, limit).await?;
    let mut is_full = jobs.len() == limit;
    let mut searched_to = None;
    if filter.state.may_be_over() {
        let (over, to) = in_archive(&api, &filter, before, limit).await?;
        jobs.extend(over);
        jobs.retain(|found| to.is_none_or(|to| found.job.job >= to));
        jobs.sort_by_key(|found| std::cmp::Reverse(found.job.job));
        jobs.dedup_by_key(|found| found.job.job);
        is_full |= jobs.len() > limit;
        jobs.truncate(limit);
        searched_to = to;
    }
    let last = jobs.last().map(|found| found.job.job);
    let next = match searched_to {
        Some(to) if jobs.len() < limit => Some(to),
        Some(_) => last,
        None => last.filter(|_| is_full),
    };
    let next = next.map(|job| job.to_string());
    Ok(Json(view::Jobs {
        jobs: jobs.iter().map(|found| show::job(found, &api.under_way)).collect(),
        next,
    }))
}

/// At most `limit` jobs of the world, newest first.
async fn in_world(
    api: &Api,
    filter: &Filter,
    before: Option<JobId>,
    limit: usize,
) -> Result<Vec<Found>, Problem> {
    let mut found = Vec::new();
    let mut below = before.map_or(u64::MAX, JobId::number);
    loop {
        let (filter, missing) = (filter.clone(), limit - found.len());
        let look = move |c: &Controller| {
            let (mut seen, mut fit) = (0, Vec::new());
            for job in c.world().jobs.before(below).take(LOOKED_AT) {
                (seen, below) = (seen + 1, job.job.number());
                if filter.fits(job) {
                    fit.push(Found::new(c.world(), Arc::clone(job)));
                    if fit.len() == missing {
                        break;
                    }
                }
            }
            (fit, (seen == LOOKED_AT).then_some(below))
        };
        let (fit, go_on) = api.gate.look(look).await?;
        found.extend(fit);
        match go_on {
            Some(number) if found.len() < limit => below = number,
            _ => return Ok(found),
        }
    }
}

/// At least `limit` jobs of the archive, newest first, or as many as there are; and down to which
/// job it was searched, where that is not all of it.
async fn in_archive(
    api: &Api,
    filter: &Filter,
    before: Option<JobId>,
    limit: usize,
) -> Result<(Vec<Found>, Option<JobId>), Problem> {
    let (mut found, mut before) = (Vec::new(), before);
    for _ in 0..ARCHIVE_PAGES {
        let query = ArchiveQuery::List {
            tenant: filter.tenant.clone(),
            state: match &filter.state {
                Stage::Word(word) => Some(word.clone()),
                Stage::Any | Stage::Live | Stage::Ended => None,
            },
            name: filter.name.clone(),
            before,
            limit,
        };
        let page = archived(api, query).await?;
        let is_last = page.len() < limit;
        before = page.last().map(|found| found.job.job).or(before);
        found.extend(page.into_iter().filter(|found| filter.fits(&found.job)));
        if is_last {
            return Ok((found, None));
        }
        if found.len() >= limit {
            break;
        }
    }
    Ok((found, before))
}

/// A job with all that is known of it
#[utoipa::path(get, path = "/v1/jobs/{job}", tag = "jobs", params(("job" = String, Path)),
    responses((status = OK, body = view::JobDetail)))]
pub(crate) async fn get_job(
    State(api): State<Api>,
    who: Who,
    Id(job): Id<JobId>,
) -> Result<Json<view::JobDetail>, Problem> {
    let found = find(&api, &who, Action::GetJob, job).await?;
    Ok(Json(show::detail(&found, &api.under_way)))
}
