//! Ray, by the jobs API of its dashboard: each attempt is a job whose entrypoint starts the supervisor.
//!
//! What Ray really does (2.60.0), and what is done about it here:
//!
//! * The id of a job is the attempt's name, so that it is entered once. Entered again, it is there already,
//!   which Ray tells by 500 and a traceback: then it is read.
//! * What no node could ever take waits all the same, until Ray gives every job up that has waited for
//!   fifteen minutes (`RAY_JOB_START_TIMEOUT_SECONDS`). What waits is compared with what the nodes have, and
//!   given back with the reason. Lists do not say what a job asks for: its metadata does.
//! * A job that waits cannot be ended: stopping it is answered by "stopped", and it waits on. Its
//!   attempt is claimed by then, and what starts all the same ends at once.
//! * A job that is over for Ray may run on: it lost its node, or killed the entrypoint's process group and
//!   nothing else. No end that Ray tells of is one; the attempt's own files are, its silence and its lease.
//! * It kills three seconds after its TERM, unless a job asks for longer, as ours do.
//! * All jobs are in every list, those of others and those that are over, about half a kilobyte each (one
//!   that failed up to 20 kB: the end of its output). It is one call all the same: Ray is for few, long
//!   jobs, and lists know no filter. Ours that are over are deleted after a while, so that it stays short;
//!   ids are never used again.
//! * A head that restarts has forgotten all jobs unless it keeps them in Redis.

mod api;
mod config;
mod job;
mod nodes;
#[cfg(test)]
mod tests;

pub use config::{RayConfig, RayPool};

use crate::batch::{Entry, Open, Phase, Queue, Seen, Ticket};
use crate::hints::lock;
use crate::{BootTime, Capacity, Error, PoolSize, RunAs};
use api::{Api, Version, silent};
use job::Job;
use model::{Span, TenantId};
use nodes::{ALIVE, CPU, Listed, Node};
use reqwest::{Method, StatusCode};
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// What this is called in errors.
const WHO: &str = "Ray";
/// Where jobs are, below the dashboard's address.
const JOBS: &str = "/api/jobs/";
/// How long a job that is over is kept in Ray's list, and how many are deleted in a look.
const KEPT: Span = Span::from_secs(300);
const DELETED_AT_ONCE: usize = 16;

/// Ray, as one cluster runs it.
#[derive(Debug)]
pub struct Ray {
    config: RayConfig,
    user: RunAs,
    version: String,
    api: Api,
    since: Mutex<Since>,
}

/// Since when jobs are what they are, by name.
#[derive(Debug, Default)]
struct Since {
    infeasible: BTreeMap<String, BootTime>,
    over: BTreeMap<String, BootTime>,
}

impl Ray {
    /// Finds out whether its dashboard is there, in which version, and whether jobs can be listed.
    pub async fn find(config: RayConfig) -> Result<Self, Error> {
        let user = config.check()?;
        let api = Api::new(&config)?;
        let unusable = |error: Error| {
            Error::Setup(format!("{}; docs/ray.md says what the agent needs", error.in_full()))
        };
        let found: Version = api.expect("/api/version").await.map_err(unusable)?;
        let ray = Self { config, user, version: found.ray_version, api, since: Mutex::default() };
        ray.alive().await.map_err(unusable)?;
        ray.jobs().await.map_err(unusable)?;
        Ok(ray)
    }

    /// All jobs that Ray knows, over or not.
    async fn jobs(&self) -> Result<Vec<Job>, Error> {
        self.api.expect(JOBS).await
    }

    async fn job(&self, name: &str) -> Result<Option<Job>, Error> {
        self.api.read(&format!("{JOBS}{name}")).await
    }

    async fn alive(&self) -> Result<Vec<Node>, Error> {
        Ok(self.api.expect::<Listed>(ALIVE).await?.alive())
    }

    /// These jobs as entries, those of other names left out.
    async fn entries(&self, jobs: &[Job], prefix: &str) -> Result<Vec<Entry>, Error> {
        let ours = |job: &&Job| job.submission_id.as_ref().is_some_and(|id| id.starts_with(prefix));
        let ours: Vec<&Job> = jobs.iter().filter(ours).collect();
        let nodes = match ours.iter().any(|job| job.waits()) {
            true => self.alive().await?,
            false => Vec::new(),
        };
        Ok(ours.into_iter().filter_map(|job| self.entry(job, &nodes)).collect())
    }

    /// A job as an entry, where its cluster has these nodes.
    fn entry(&self, job: &Job, nodes: &[Node]) -> Option<Entry> {
        let name = job.submission_id.clone()?;
        let mut since = lock(&self.since);
        let phase = match job.is_infeasible(nodes) {
            Some(why) => {
                let now = BootTime::now();
                let first = *since.infeasible.entry(name.clone()).or_insert(now);
                if now.since(first) >= self.config.patience {
                    Phase::Hopeless(why)
                } else {
                    Phase::Waiting(format!("waits for a node: {why}"))
                }
            }
            None => {
                since.infeasible.remove(&name);
                job.phase()
            }
        };
        Some(Entry { number: name.clone(), name, phase })
    }

    /// Those of our jobs that have been over for a while, and that nobody asks about.
    fn to_delete(&self, jobs: &[Job], prefix: &str, open: &[Open], now: BootTime) -> Vec<String> {
        let open: BTreeSet<&str> = open.iter().map(|one| one.name.as_str()).collect();
        let over =
            jobs.iter().filter(|job| job.is_over()).filter_map(|job| job.submission_id.as_ref());
        let over = over.filter(|id| id.starts_with(prefix) && !open.contains(id.as_str()));
        let mut since = lock(&self.since);
        since.infeasible.retain(|name, _| {
            jobs.iter().any(|job| job.waits() && job.submission_id.as_ref() == Some(name))
        });
        let before = std::mem::take(&mut since.over);
        let first = |id: &String| (id.clone(), before.get(id).copied().unwrap_or(now));
        since.over = over.map(first).collect();
        let old = since.over.iter().filter(|(_, first)| now.since(**first) >= KEPT);
        old.take(DELETED_AT_ONCE).map(|(id, _)| id.clone()).collect()
    }

    /// What there is of each pool that has its nodes for good.
    fn of_pools<T>(&self, what: impl Fn(&RayPool) -> T) -> BTreeMap<String, T> {
        let pools = self.config.pools.iter().filter(|(_, pool)| !pool.on_demand);
        pools.map(|(name, pool)| (name.clone(), what(pool))).collect()
    }

    fn is_of_a_pool(&self, node: &Node) -> bool {
        self.config.pools.is_empty() || self.config.pools.values().any(|pool| pool.has(node))
    }
}

impl RayPool {
    /// Whether a node is one of this pool's: it has something of all that its attempts take, cores too.
    fn has(&self, node: &Node) -> bool {
        let chips = self.resource.iter().map(|resource| (resource.clone(), 1.0));
        let further = self.resources.iter().map(|(name, amount)| (name.clone(), *amount));
        node.amount(CPU) > 0.0 && node.fits(&chips.chain(further).collect())
    }

    /// How many of its chips a node has, where it says what they are.
    fn chips(&self, node: &Node) -> Option<u16> {
        let chips = nodes::whole(node.amount(self.resource.as_ref()?));
        Some(u16::try_from(chips).unwrap_or(u16::MAX))
    }
}

impl Queue for Ray {
    fn kind(&self) -> &'static str {
        "ray"
    }

    fn version(&self) -> &str {
        &self.version
    }

    /// By which a command finds the cluster it runs in, and its libraries; not the cluster's token.
    fn keeps(&self) -> &'static [&'static str] {
        &["RAY_ADDRESS", "RAY_JOB_CONFIG_JSON_ENV_VAR", "LD_LIBRARY_PATH", "PYTHONPATH"]
    }

    /// Ray names the chips that it knows how to tell apart; of a custom resource it only counts them.
    fn chips_in(&self) -> &'static [&'static str] {
        &[
            "ASCEND_RT_VISIBLE_DEVICES",
            "CUDA_VISIBLE_DEVICES",
            "HIP_VISIBLE_DEVICES",
            "HABANA_VISIBLE_MODULES",
            "NEURON_RT_VISIBLE_CORES",
            "TPU_VISIBLE_CHIPS",
        ]
    }

    /// Always somebody: what Ray starts runs as whoever started Ray, which may be root.
    fn user(&self, _: Option<&TenantId>) -> Option<RunAs> {
        Some(self.user)
    }

    async fn submit(&self, ticket: &Ticket<'_>) -> Result<Entry, Error> {
        let default = RayPool::default();
        let pool = self.config.pools.get(ticket.pool).unwrap_or(&default);
        let asks = job::asks(ticket, pool)?;
        let body = job::submission(ticket, &asks);
        let answer = self.api.ask(Method::POST, JOBS, Some(&body)).await?;
        let rejected = |said: String| Err(Error::Rejected { who: WHO, said });
        if !answer.status.is_success() {
            match self.job(ticket.name).await? {
                Some(there) if there.entrypoint == job::entrypoint(ticket.command) => {}
                Some(_) => return rejected(format!("somebody else has a job `{}`", ticket.name)),
                None if answer.status == StatusCode::BAD_REQUEST => {
                    return rejected(answer.complaint());
                }
                None => {
                    let said = format!("it says {}: {}", answer.status, answer.complaint());
                    return Err(silent(said));
                }
            }
        }
        let phase = Phase::Waiting("has just been entered".to_owned());
        Ok(Entry { number: ticket.name.to_owned(), name: ticket.name.to_owned(), phase })
    }

    async fn named(&self, name: &str) -> Result<Vec<Entry>, Error> {
        let Some(job) = self.job(name).await? else { return Ok(Vec::new()) };
        self.entries(&[job], name).await
    }

    async fn active(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        let mut entries = self.entries(&self.jobs().await?, prefix).await?;
        entries.retain(|entry| !matches!(entry.phase, Phase::OutOfReach(_)));
        Ok(entries)
    }

    /// One list answers for all, those that are over too.
    async fn look(&self, prefix: &str, open: &[Open]) -> Result<Seen, Error> {
        let jobs = self.jobs().await?;
        let entries = self.entries(&jobs, prefix).await?;
        for name in self.to_delete(&jobs, prefix, open, BootTime::now()) {
            // One that cannot be deleted now is there the next time.
            let _ = self.api.ask(Method::DELETE, &format!("{JOBS}{name}"), None).await;
        }
        Ok(Seen { entries, unasked: BTreeSet::new() })
    }

    async fn cancel(&self, entry: &Entry) -> Result<(), Error> {
        let path = format!("{JOBS}{}/stop", entry.name);
        let answer = self.api.ask(Method::POST, &path, None).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(()),
            _ => answer.good::<IgnoredAny>(&path).map(|_| ()),
        }
    }

    async fn nodes(&self) -> Result<BTreeMap<String, u32>, Error> {
        let alive = self.alive().await?;
        let count = |pool: &RayPool| alive.iter().filter(|node| pool.has(node)).count();
        let mut counts = self.of_pools(|pool| u32::try_from(count(pool)).unwrap_or(u32::MAX));
        // As many as were declared.
        let on_demand = self.config.pools.iter().filter(|(_, pool)| pool.on_demand);
        counts.extend(on_demand.map(|(name, _)| (name.clone(), u32::MAX)));
        Ok(counts)
    }

    async fn pools(&self) -> Result<BTreeMap<String, PoolSize>, Error> {
        let alive = self.alive().await?;
        let size = |pool: &RayPool| {
            let own = alive.iter().filter(|node| pool.has(node));
            PoolSize::of(own.map(|node| (nodes::has(node), pool.chips(node))))
        };
        Ok(self.of_pools(size))
    }

    async fn capacity(&self) -> Result<Capacity, Error> {
        let alive = self.alive().await?;
        Ok(nodes::sum(alive.iter().filter(|node| self.is_of_a_pool(node))))
    }
}
