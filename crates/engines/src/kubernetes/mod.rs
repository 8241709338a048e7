//! Kubernetes, by its API server: each attempt is a Job whose pods start the supervisor.
//!
//! What Kubernetes really does, and what is done about it here:
//!
//! * The name of a Job is the attempt's: entered again, it is there already (409). One of that name that
//!   somebody else made is left alone.
//! * What it does not know it drops without a word, and others may change what passes: what it keeps is
//!   compared with what it was given.
//! * It places the pods of a gang one by one. Where neither Kueue nor Volcano starts it as a whole, its
//!   pods wait for each other, and it is given back when some of them have waited too long.
//! * It would start a pod again that failed or was evicted; whether a job is tried again is Portolan's to
//!   decide. A pod that it starts again all the same finds the attempt claimed.
//! * What an image that cannot be pulled waits for is never the end by itself; it is given back in time.
//! * A pod on a node that does not answer goes on being there, or is said to be deleted, while its
//!   processes may run.
//! * A Job, its pods and their exit codes and logs vanish: what counts is in the attempt's directory.

mod config;
mod job;
mod mirror;
mod nodes;
mod space;
mod state;
#[cfg(test)]
mod tests;

pub use config::{KubernetesConfig, KubernetesPool, KubernetesTenant, Volume};

use crate::batch::{Entry, Open, Queue, Seen, Ticket};
use crate::engine::in_full;
use crate::hints::lock;
use crate::{BootTime, Capacity, Error, PoolSize, RunAs};
use futures::future::try_join_all;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use mirror::Nodes;
use model::{Bytes, Cores, TenantId};
use space::Space;
use state::Sight;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// What this is called in errors.
const WHO: &str = "Kubernetes";
/// How long any one request may take, with what the client itself tries again.
const PATIENCE: Duration = Duration::from_secs(45);
/// How many nodes are listed at once.
const PAGE: u32 = 500;
/// The answers that say no, for good: the request is wrong, or too large.
const NO: [u16; 4] = [400, 405, 413, 422];

/// Kubernetes, by its API server.
pub struct Kubernetes {
    config: KubernetesConfig,
    /// The agent's own user.
    own: RunAs,
    version: String,
    client: Client,
    /// The namespace of Jobs whose tenant has none of its own.
    usual: Space,
    /// Those of tenants, by name.
    others: BTreeMap<String, Space>,
    nodes: Nodes,
    /// Since when each entry waits for what should not take long, by its number.
    waiting: Mutex<BTreeMap<String, BootTime>>,
}

impl fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kubernetes").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Kubernetes {
    /// Finds out whether its API server is there, in which version, and whether Jobs can be listed.
    /// `base` is the directory of all attempts.
    pub async fn find(config: KubernetesConfig, base: &Path) -> Result<Self, Error> {
        let wrong = |error: &dyn std::error::Error| {
            Error::Setup(format!("Kubernetes cannot be used: {}", in_full(error)))
        };
        let context = config.context.clone();
        let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
        let reached = match &config.kubeconfig {
            Some(file) => {
                let all = Kubeconfig::read_from(file).map_err(|error| wrong(&error))?;
                Config::from_custom_kubeconfig(all, &options)
                    .await
                    .map_err(|error| wrong(&error))?
            }
            None if config.context.is_some() => {
                Config::from_kubeconfig(&options).await.map_err(|error| wrong(&error))?
            }
            None => Config::infer().await.map_err(|error| wrong(&error))?,
        };
        let client = Client::try_from(reached).map_err(|error| wrong(&error))?;
        Self::at(client, config, base).await
    }

    /// The same for an API server that is reached by `client`.
    pub async fn at(client: Client, config: KubernetesConfig, base: &Path) -> Result<Self, Error> {
        config.check(base)?;
        let own =
            RunAs { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
        let namespace = config.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
        let wrong = |trouble: Trouble| {
            let said = Error::from(trouble).in_full();
            Error::Setup(format!("{said}; docs/kubernetes.md says what the agent needs"))
        };
        let version = ask(client.apiserver_version()).await.map_err(wrong)?.git_version;
        let usual = Space::new(&client, &namespace);
        let names = config.tenants.values().filter_map(|tenant| tenant.namespace.as_ref());
        let names: BTreeSet<&String> = names.filter(|name| **name != namespace).collect();
        let space = |name: &String| (name.clone(), Space::new(&client, name));
        let others: BTreeMap<String, Space> = names.into_iter().map(space).collect();
        usual.try_listing().await.map_err(wrong)?;
        for space in others.values() {
            // A tenant's trouble is not the center's.
            if let Err(trouble) = space.try_listing().await {
                let (namespace, said) = (&space.name, Error::from(trouble).in_full());
                tracing::warn!(namespace, said, "a tenant's Jobs cannot be made there yet");
            }
        }
        let (nodes, waiting) = (Nodes::default(), Mutex::default());
        Ok(Self { config, own, version, client, usual, others, nodes, waiting })
    }

    /// All namespaces that Jobs are in.
    fn spaces(&self) -> impl Iterator<Item = &Space> {
        std::iter::once(&self.usual).chain(self.others.values())
    }

    fn tenant(&self, tenant: Option<&TenantId>) -> Option<&KubernetesTenant> {
        self.config.tenants.get(tenant?)
    }

    /// The namespace of a tenant's Jobs.
    fn space(&self, tenant: Option<&TenantId>) -> &Space {
        let name = self.tenant(tenant).and_then(|tenant| tenant.namespace.as_ref());
        name.and_then(|name| self.others.get(name)).unwrap_or(&self.usual)
    }

    /// What a Job and its pods are as an entry.
    fn entry(&self, job: &Job, pods: &[&Pod]) -> Entry {
        let number = job.metadata.uid.clone().unwrap_or_default();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut sight = Sight { job, pods, now: now.as_secs().cast_signed(), is_late: false };
        let mut waiting = lock(&self.waiting);
        if sight.is_on_the_clock() {
            let now = BootTime::now();
            let since = *waiting.entry(number.clone()).or_insert(now);
            sight.is_late = now.since(since) >= self.config.patience;
        } else {
            waiting.remove(&number);
        }
        let name = job.metadata.name.clone().unwrap_or_default();
        Entry { number, name, phase: sight.phase() }
    }

    /// Makes the pod group of a gang that Volcano is to start.
    async fn make_group(&self, space: &Space, job: &Job, queue: &str) -> Result<(), Error> {
        let group = job::pod_group(job, queue);
        let path =
            format!("/apis/scheduling.volcano.sh/v1beta1/namespaces/{}/podgroups", space.name);
        let request = kube::core::Request::new(path);
        let request = request.create(&PostParams::default(), group.to_string().into_bytes());
        let request = request.map_err(|error| Error::Setup(in_full(&error)))?;
        match ask(self.client.request::<serde_json::Value>(request)).await {
            Ok(_) | Err(Trouble::Conflict(_)) => Ok(()),
            // Volcano may be on its way, or its rights; the Job waits for its group.
            Err(Trouble::NotThere(said)) => {
                let said = format!("Volcano is not there ({said})");
                Err(Error::Silent { who: WHO, said })
            }
            Err(other) => Err(other.into()),
        }
    }
}

impl Queue for Kubernetes {
    fn kind(&self) -> &'static str {
        "kubernetes"
    }

    fn version(&self) -> &str {
        &self.version
    }

    /// What images and device plugins say to those who use chips and libraries, and to a gang.
    fn keeps(&self) -> &'static [&'static str] {
        &[
            "JOB_COMPLETION_INDEX",
            "LD_LIBRARY_PATH",
            "PYTHONPATH",
            "NVIDIA_",
            "CUDA_",
            "ASCEND_",
            "CAMBRICON_",
            "MLU_",
            "HIP_",
            "ROCR_",
        ]
    }

    /// A device plugin shows a container no other chips; what it says of them by variables is theirs on the
    /// node, or an image's.
    fn numbers_chips_anew(&self) -> bool {
        true
    }

    /// In a container of its own, of which its supervisor is the first process and may live on.
    fn own_group(&self) -> Option<&'static str> {
        Some("")
    }

    fn runs_images(&self) -> bool {
        true
    }

    fn starts_everywhere(&self) -> bool {
        true
    }

    fn user(&self, tenant: Option<&TenantId>) -> Option<RunAs> {
        self.tenant(tenant).and_then(|tenant| tenant.run_as).or(self.config.run_as)
    }

    fn has_users(&self) -> bool {
        let mut tenants = self.config.tenants.values();
        self.config.run_as.is_some() || tenants.any(|tenant| tenant.run_as.is_some())
    }

    async fn submit(&self, ticket: &Ticket<'_>) -> Result<Entry, Error> {
        let space = self.space(ticket.tenant);
        let user = self.user(ticket.tenant).unwrap_or(self.own);
        let wanted = job::job(ticket, &self.config, user)?;
        let kept = space.make(&wanted).await?;
        if let Some(difference) = job::difference(&wanted, &kept) {
            self.cancel(&self.entry(&kept, &[])).await?;
            let said = format!("it kept another Job than it was given: {difference}");
            return Err(Error::Rejected { who: WHO, said });
        }
        let queue = self.config.pools.get(ticket.pool).and_then(|pool| pool.volcano_queue.as_ref());
        if let Some(queue) = queue.filter(|_| ticket.nodes > 1) {
            self.make_group(space, &kept, queue).await?;
        }
        Ok(self.entry(&kept, &[]))
    }

    async fn named(&self, name: &str) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        for space in self.spaces() {
            entries.extend(self.named_in(space, name).await?);
        }
        Ok(entries)
    }

    /// In the namespace that it would be made in; whatever another namespace has, only one of them runs.
    async fn entered(&self, ticket: &Ticket<'_>) -> Result<Vec<Entry>, Error> {
        match self.named_in(self.space(ticket.tenant), ticket.name).await {
            // Nor could it be made: who cannot see it gives it back, and if it is there, it does not run.
            Err(Trouble::NotAllowed(said)) => Err(Error::Rejected { who: WHO, said }),
            found => Ok(found?.into_iter().collect()),
        }
    }

    async fn active(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        let all = try_join_all(self.spaces().map(|space| self.active_in(space, prefix))).await?;
        Ok(all.into_iter().flatten().collect())
    }

    async fn look_over(&self, prefix: &str, open: &[Open]) -> Result<Seen, Error> {
        self.look(prefix, open).await
    }

    /// Where a namespace cannot be looked into, what is not found in the others was not asked about.
    async fn look(&self, prefix: &str, open: &[Open]) -> Result<Seen, Error> {
        let (mut seen, mut asked) = (Seen::default(), Vec::new());
        let mut trouble = None;
        for space in self.spaces() {
            match self.active_in(space, prefix).await {
                Ok(entries) => {
                    seen.entries.extend(entries);
                    asked.push(space);
                }
                Err(error) => {
                    let namespace = &space.name;
                    tracing::warn!(namespace, %error, "it is unknown what became of attempts there");
                    trouble = Some(error);
                }
            }
        }
        let is_blind = trouble.is_some();
        if let (true, Some(error)) = (asked.is_empty(), trouble) {
            return Err(error);
        }
        let found: BTreeSet<String> = seen.entries.iter().map(|entry| entry.name.clone()).collect();
        for Open { name, .. } in open.iter().filter(|one| !found.contains(&one.name)) {
            let (mut entries, mut is_blind) = (Vec::new(), is_blind);
            for space in &asked {
                match self.named_in(space, name).await {
                    Ok(found) => entries.extend(found),
                    Err(trouble) => {
                        let error = Error::from(trouble);
                        tracing::warn!(name, %error, "it is unknown what became of it");
                        is_blind = true;
                    }
                }
            }
            if is_blind && entries.is_empty() {
                seen.unasked.insert(name.clone());
            }
            seen.entries.extend(entries);
        }
        Ok(seen)
    }

    fn called<'a>(&self, name: &'a str, _uid: &'a str) -> &'a str {
        name
    }

    async fn cancel(&self, entry: &Entry) -> Result<(), Error> {
        let mut trouble = None;
        for space in self.spaces() {
            match space.delete(entry).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => trouble = Some(error),
            }
        }
        trouble.map_or(Ok(()), Err)
    }

    async fn nodes(&self) -> Result<BTreeMap<String, u32>, Error> {
        let mut counts = self.on_demand();
        if counts.len() == self.config.pools.len() {
            return Ok(counts);
        }
        let all = self.nodes.all(&Api::all(self.client.clone())).await?;
        let mut in_use = BTreeSet::new();
        for space in self.spaces() {
            // Of one that cannot be looked into nothing holds a node.
            in_use.extend(space.mirror.in_use().await.unwrap_or_default());
        }
        let takes_work = |node: &&Node| {
            // One that is closed counts until what it runs is over.
            let name = node.metadata.name.as_ref();
            let is_held = name.is_some_and(|name| in_use.contains(name));
            nodes::is_ready(node) && (!nodes::is_closed(node) || is_held)
        };
        let up: Vec<&Node> = all.iter().map(Arc::as_ref).filter(takes_work).collect();
        let count = |pool: &KubernetesPool| {
            let own = |node: &&&Node| nodes::is_of(node, pool) && nodes::offers_chips(node, pool);
            u32::try_from(up.iter().filter(own).count()).unwrap_or(u32::MAX)
        };
        counts.extend(self.of_pools(count));
        Ok(counts)
    }

    async fn pools(&self) -> Result<BTreeMap<String, PoolSize>, Error> {
        let all = self.all_nodes().await?;
        let size = |pool: &KubernetesPool| {
            let own = all.iter().filter(|node| nodes::is_of(node, pool));
            PoolSize::of(own.map(|node| (nodes::gives(node), nodes::chips(node, pool))))
        };
        Ok(self.of_pools(size))
    }

    async fn capacity(&self) -> Result<Capacity, Error> {
        let all = self.all_nodes().await?;
        let usable = |node: &&Node| {
            nodes::is_ready(node) && !nodes::is_closed(node) && self.is_of_a_pool(node)
        };
        let mut sum = Capacity { cpu: Cores(0), memory: Bytes::ZERO };
        for given in all.iter().filter(usable).map(nodes::gives) {
            sum.cpu = Cores(sum.cpu.0.saturating_add(given.cpu.0));
            sum.memory += given.memory;
        }
        Ok(sum)
    }
}

impl Kubernetes {
    /// All Jobs of a namespace that are not over, and whose names begin so.
    async fn active_in(&self, space: &Space, prefix: &str) -> Result<Vec<Entry>, Error> {
        let all = space.mirror.entries(prefix).await?;
        let entry = |(job, pods): &(Arc<Job>, Vec<Arc<Pod>>)| {
            self.entry(job, &pods.iter().map(Arc::as_ref).collect::<Vec<_>>())
        };
        let is_active = |entry: &Entry| entry.phase.is_active();
        Ok(all.iter().map(entry).filter(is_active).collect())
    }

    /// The Job of this name in a namespace, over or not.
    async fn named_in(&self, space: &Space, name: &str) -> Result<Option<Entry>, Trouble> {
        let Some(job) = space.own(name).await? else { return Ok(None) };
        let pods = space.pods(name).await?;
        Ok(Some(self.entry(&job, &pods.iter().collect::<Vec<_>>())))
    }

    async fn all_nodes(&self) -> Result<Vec<Node>, Error> {
        let mut all = Vec::new();
        let api: Api<Node> = Api::all(self.client.clone());
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let nodes = ask(api.list(&page)).await?;
            all.extend(nodes.items);
            match nodes.metadata.continue_.filter(|more| !more.is_empty()) {
                Some(more) => page.continue_token = Some(more),
                None => return Ok(all),
            }
        }
    }

    /// Of each pool whose nodes are started on demand as many as were declared.
    fn on_demand(&self) -> BTreeMap<String, u32> {
        let pools = self.config.pools.iter().filter(|(_, pool)| pool.on_demand);
        pools.map(|(name, _)| (name.clone(), u32::MAX)).collect()
    }

    /// What there is of each pool that has its nodes for good.
    fn of_pools<T>(&self, what: impl Fn(&KubernetesPool) -> T) -> BTreeMap<String, T> {
        let pools = self.config.pools.iter().filter(|(_, pool)| !pool.on_demand);
        pools.map(|(name, pool)| (name.clone(), what(pool))).collect()
    }

    /// Whether any pool may use a node; all may where no pool says which.
    fn is_of_a_pool(&self, node: &Node) -> bool {
        let mut pools = self.config.pools.values();
        self.config.pools.is_empty() || pools.any(|pool| nodes::is_of(node, pool))
    }
}

/// What came instead of what was asked for.
#[derive(Debug)]
enum Trouble {
    /// No such thing.
    NotThere(String),
    /// There is one already, or another one.
    Conflict(String),
    /// It will never be done.
    No(String),
    /// Who asks may not, or not now.
    NotAllowed(String),
    /// Nobody knows.
    Silent(String),
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::No(said) => Self::Rejected { who: WHO, said },
            Trouble::NotAllowed(said) => Self::Silent { who: WHO, said: format!("{said} (403)") },
            Trouble::NotThere(said) | Trouble::Conflict(said) | Trouble::Silent(said) => {
                Self::Silent { who: WHO, said }
            }
        }
    }
}

/// Sends a request, and waits for its answer only so long. What is too much for the API server now (429)
/// or finds it away (503, 504) the client itself has tried again by then, when it was told to.
async fn ask<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Trouble> {
    match tokio::time::timeout(PATIENCE, call).await {
        Err(_) => Err(Trouble::Silent(format!("its API server took longer than {PATIENCE:?}"))),
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => {
            let said = status.message.clone();
            Err(match status.code {
                403 => Trouble::NotAllowed(said),
                404 => Trouble::NotThere(said),
                409 => Trouble::Conflict(said),
                code if NO.contains(&code) => Trouble::No(said),
                code => Trouble::Silent(format!("{said} ({code})")),
            })
        }
        Ok(Err(error)) => Err(Trouble::Silent(in_full(&error))),
    }
}
