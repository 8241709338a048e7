//! Slurm, by its REST server where the center has one and says so, and else by its commands.
//!
//! What Slurm really does, and what is done about it here:
//!
//! * Names are not unique and job numbers are used again after a crash of the controller: an entry is
//!   known by its name, which holds the network, the job and the epoch, and only ended by number where
//!   the name fits.
//! * Every list holds all jobs of the cluster or of a user: who is known by number is asked about by
//!   number, so many at a time, and lists are for the first look and for what got lost.
//! * A job that was preempted or lost its node would go back to the queue under the same number; whether
//!   a job is tried again is Portolan's to decide, so that entries are not requeued.
//! * Which chips a partition's generic resources are is said by the center for each pool, never guessed
//!   from a label.

mod cli;
mod rest;
mod state;

pub use rest::RestConfig;

use crate::batch::{Entry, Open, Queue, Seen, Ticket, list, quoted};
use crate::{Capacity, Error, PoolSize, RunAs};
use cli::Cli;
use model::{Bytes, Cores, TenantId};
use rest::Rest;
use serde::Deserialize;
use state::count_gres;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// How a center's Slurm is used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlurmConfig {
    /// The cluster's `slurm.conf`, where its commands do not find it by themselves.
    pub conf: Option<PathBuf>,
    /// The user whom entries run as; needs an agent that Slurm lets submit for others. None for the
    /// agent's own, who must not be root.
    pub user: Option<String>,
    /// How its REST server is reached, where that is to be used; its commands then stand in while it
    /// does not answer.
    pub rest: Option<RestConfig>,
    /// What each pool is in Slurm; one that is not named here is the partition of its name.
    pub pools: BTreeMap<String, SlurmPool>,
    /// What tenants are in Slurm; jobs of one that is not named here are as their pool says.
    pub tenants: BTreeMap<TenantId, SlurmTenant>,
}

/// What a tenant is in Slurm: what is said here counts, whatever a job's pool says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlurmTenant {
    /// The account that is charged for its jobs.
    pub account: Option<String>,
    /// The quality of service of its jobs.
    pub qos: Option<String>,
    /// The user whom its jobs run as, for an agent that is root and uses Slurm's commands.
    pub user: Option<String>,
}

/// What a pool is in Slurm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlurmPool {
    /// Its partition, if not of the pool's name.
    pub partition: Option<String>,
    /// The generic resource that its chips are, such as `gpu:ascend910b`; needed where it has chips.
    pub gres: Option<String>,
    /// The account that is charged.
    pub account: Option<String>,
    /// The quality of service.
    pub qos: Option<String>,
    /// What nodes must have.
    pub constraint: Option<String>,
    /// Further options of `sbatch`, as they are.
    pub options: Vec<String>,
}

impl SlurmPool {
    /// The partition of a pool of this name.
    fn partition<'a>(&'a self, pool: &'a str) -> &'a str {
        self.partition.as_deref().unwrap_or(pool)
    }
}

/// A node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NodeSeen {
    partitions: Vec<String>,
    cores: Cores,
    memory: Bytes,
    /// Its generic resources, as Slurm writes them.
    gres: String,
    /// Whether it is given new jobs, now or when others are over.
    is_in_order: bool,
    /// Whether it counts as one of its pool's nodes: it is in order, or what holds it is still there.
    takes_work: bool,
}

/// Whose entries they are.
#[derive(Debug)]
struct Who {
    /// The user's name.
    name: String,
    /// Where that is another user than the agent's.
    other: Option<RunAs>,
}

/// Slurm, as one cluster runs it.
#[derive(Debug)]
pub struct Slurm {
    config: SlurmConfig,
    /// Those of all tenants but these.
    who: Who,
    tenants: BTreeMap<TenantId, Who>,
    /// Its commands, where they are there.
    cli: Option<Cli>,
    /// Its REST server, where it is to be used.
    rest: Option<Rest>,
    version: String,
}

impl Slurm {
    /// The nodes of each pool: those of its partition, and of pools with chips only those that have any. A
    /// partition that no pool of its name is declared for is one too.
    fn by_pool<'a>(&self, all: &'a [NodeSeen]) -> BTreeMap<String, Vec<&'a NodeSeen>> {
        let mut partitions: BTreeMap<&str, Vec<&NodeSeen>> = BTreeMap::new();
        for node in all {
            for partition in &node.partitions {
                partitions.entry(partition).or_default().push(node);
            }
        }
        let own = |partition: &&str| !self.config.pools.contains_key(*partition);
        let named = self.config.pools.iter().map(|(pool, is)| (pool.clone(), is.partition(pool)));
        let others = partitions.keys().copied().filter(own).map(|own| (own.to_owned(), own));
        let nodes = |(pool, partition): (String, &str)| {
            let chips = |node: &&&NodeSeen| self.pool_chips(&pool, node) != Some(0);
            let nodes = partitions.get(partition)?.iter().filter(chips).copied().collect();
            Some((pool, nodes))
        };
        named.chain(others).filter_map(nodes).collect()
    }

    /// How many of a pool's chips a node has, where the pool has a generic resource.
    fn pool_chips(&self, pool: &str, node: &NodeSeen) -> Option<u16> {
        let gres = self.config.pools.get(pool)?.gres.as_ref()?;
        Some(count_gres(gres, &node.gres))
    }

    /// Finds out whether Slurm is there and in which version. A REST server that does not answer now is
    /// asked again later, if there are commands to go on with.
    pub async fn find(config: SlurmConfig) -> Result<Self, Error> {
        let who = who(&config)?;
        let tenants = tenants(&config)?;
        let cli = Cli::find(config.conf.clone()).await;
        let rest = config.rest.clone().map(|rest| Rest::open(rest, &who.name, config.conf.clone()));
        let rest = rest.transpose()?;
        let spoken = match &rest {
            Some(rest) => Some(rest.version().await),
            None => None,
        };
        let version = match (&cli, spoken) {
            (Ok(cli), None) => cli.version.clone(),
            (Ok(cli), Some(Ok(version))) => format!("{}, by REST {version}", cli.version),
            (Ok(cli), Some(Err(error))) => {
                tracing::warn!(%error, "Slurm's REST server cannot be used yet: its commands are");
                cli.version.clone()
            }
            (Err(_), Some(Ok(version))) => format!("slurm, by REST {version}"),
            (Err(_), Some(Err(error))) => {
                let why = format!("Slurm's REST server cannot be used: {}", error.in_full());
                return Err(Error::Setup(why));
            }
            (Err(error), None) => {
                return Err(Error::Setup(format!("Slurm's commands cannot be used: {error}")));
            }
        };
        let cli = cli.ok();
        let told = config.pools.iter().find(|(_, pool)| !pool.options.is_empty());
        if let (None, Some((pool, _))) = (&cli, told) {
            let why = format!(
                "`options` of pool `{pool}` are for sbatch, which is not there: take them out, or \
                 install Slurm's commands"
            );
            return Err(Error::Setup(why));
        }
        Ok(Self { config, who, tenants, cli, rest, version })
    }

    /// What a ticket's pool is for its tenant.
    fn pool(&self, ticket: &Ticket<'_>) -> SlurmPool {
        let mut pool = self.config.pools.get(ticket.pool).cloned().unwrap_or_default();
        if let Some(own) = ticket.tenant.and_then(|tenant| self.config.tenants.get(tenant)) {
            pool.account = own.account.clone().or(pool.account);
            pool.qos = own.qos.clone().or(pool.qos);
        }
        pool
    }

    fn who(&self, tenant: Option<&TenantId>) -> &Who {
        tenant.and_then(|tenant| self.tenants.get(tenant)).unwrap_or(&self.who)
    }

    /// The REST server, where it is to be asked now: always, if there is nobody else to ask.
    fn rest(&self) -> Option<&Rest> {
        self.rest.as_ref().filter(|rest| self.cli.is_none() || !rest.is_away())
    }

    async fn all_nodes(&self) -> Result<Vec<NodeSeen>, Error> {
        if let Some(rest) = self.rest() {
            let said = rest.nodes().await;
            if self.is_settled(&said) {
                return said;
            }
        }
        self.cli()?.nodes().await
    }

    fn cli(&self) -> Result<&Cli, Error> {
        let none = || Error::Silent { who: "Slurm", said: "there is nobody to ask".to_owned() };
        self.cli.as_ref().ok_or_else(none)
    }

    /// Whether this is an answer of whom it was asked, so that nobody else needs to be.
    fn is_settled<T>(&self, answer: &Result<T, Error>) -> bool {
        answer.is_ok() || self.rest().is_some() || self.cli.is_none()
    }
}

/// Whom entries run as.
fn who(config: &SlurmConfig) -> Result<Who, Error> {
    let wrong = |why: String| Err(Error::Setup(why));
    let user = match &config.user {
        Some(name) => match nix::unistd::User::from_name(name) {
            Ok(Some(user)) => user,
            _ => return wrong(format!("there is no user `{name}` here; name one in `user`")),
        },
        None => match nix::unistd::User::from_uid(nix::unistd::geteuid()) {
            Ok(Some(user)) => user,
            _ => return wrong("the agent's user has no name; name one in `user`".to_owned()),
        },
    };
    if user.uid.is_root() {
        let why = "tenants' jobs would run as root: name the user that they are to run as in \
                   `user`, or start the agent as that user";
        return wrong(why.to_owned());
    }
    let run_as = RunAs { uid: user.uid.as_raw(), gid: user.gid.as_raw() };
    let other = (user.uid != nix::unistd::geteuid()).then_some(run_as);
    Ok(Who { name: user.name, other })
}

/// Whom entries of tenants run as that have users of their own.
fn tenants(config: &SlurmConfig) -> Result<BTreeMap<TenantId, Who>, Error> {
    let users = config.tenants.iter().filter_map(|(tenant, is)| Some((tenant, is.user.as_ref()?)));
    let who = |(tenant, name): (&TenantId, &String)| {
        if config.rest.is_some() {
            return Err(Error::Setup(format!(
                "tenant {tenant} cannot run as `{name}` by Slurm's REST server, whose token is one user's: \
                 take out [slurm.rest], then Slurm's commands are used"
            )));
        }
        let other = Some(RunAs::of_tenant(tenant, name)?);
        Ok((tenant.clone(), Who { name: name.clone(), other }))
    };
    users.map(who).collect()
}

impl Queue for Slurm {
    fn kind(&self) -> &'static str {
        "slurm"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn keeps(&self) -> &'static [&'static str] {
        &["SLURM_", "SLURMD_NODENAME"]
    }

    /// Where Slurm has its nodes keep jobs to their memory by control groups.
    fn own_group(&self) -> Option<&'static str> {
        Some("job_$SLURM_JOB_ID")
    }

    fn chips_in(&self) -> &'static [&'static str] {
        &["SLURM_STEP_GPUS", "SLURM_JOB_GPUS"]
    }

    fn user(&self, tenant: Option<&TenantId>) -> Option<RunAs> {
        self.who(tenant).other
    }

    fn has_users(&self) -> bool {
        self.who.other.is_some() || !self.tenants.is_empty()
    }

    async fn submit(&self, ticket: &Ticket<'_>) -> Result<Entry, Error> {
        let pool = self.pool(ticket);
        // Or tasks that the command starts by `srun` would get no more than was passed on to this script.
        let script =
            format!("#!/bin/sh\nunset SLURM_EXPORT_ENV\nexec {}\n", quoted(ticket.command));
        // Only `sbatch` knows what its options mean.
        if let Some(rest) = self.rest().filter(|_| pool.options.is_empty()) {
            // Whoever did not answer may have entered it: it is looked for before it is entered again.
            return rest.submit(ticket, &pool, &script).await;
        }
        self.cli()?.submit(ticket, &pool, self.who(ticket.tenant), &script).await
    }

    async fn named(&self, name: &str) -> Result<Vec<Entry>, Error> {
        if let Some(rest) = self.rest() {
            let said = rest.named(name).await;
            if self.is_settled(&said) {
                return said;
            }
        }
        self.cli()?.named(name).await
    }

    async fn active(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        if let Some(rest) = self.rest() {
            let said = rest.active(prefix).await;
            if self.is_settled(&said) {
                return said;
            }
        }
        let names = std::iter::once(&self.who).chain(self.tenants.values());
        let names: BTreeSet<&str> = names.map(|who| who.name.as_str()).collect();
        self.cli()?.active(prefix, &names).await
    }

    async fn look(&self, prefix: &str, open: &[Open]) -> Result<Seen, Error> {
        if let Some(rest) = self.rest() {
            let said = rest.look(open).await;
            if self.is_settled(&said) {
                return said;
            }
        }
        list(self, prefix, open).await
    }

    async fn cancel(&self, entry: &Entry) -> Result<(), Error> {
        if let Some(rest) = self.rest() {
            let said = rest.cancel(entry).await;
            if self.is_settled(&said) {
                return said;
            }
        }
        self.cli()?.cancel(entry).await
    }

    async fn nodes(&self) -> Result<BTreeMap<String, u32>, Error> {
        let all = self.all_nodes().await?;
        // One that fails altogether has none that is in order.
        let up = |nodes: Vec<&NodeSeen>| nodes.iter().map(|node| u32::from(node.takes_work)).sum();
        Ok(self.by_pool(&all).into_iter().map(|(pool, nodes)| (pool, up(nodes))).collect())
    }

    async fn pools(&self) -> Result<BTreeMap<String, PoolSize>, Error> {
        let all = self.all_nodes().await?;
        let size = |(pool, nodes): (String, Vec<&NodeSeen>)| {
            let has = |node: &NodeSeen| Capacity { cpu: node.cores, memory: node.memory };
            let nodes = nodes.into_iter().map(|node| (has(node), self.pool_chips(&pool, node)));
            let size = PoolSize::of(nodes);
            (pool, size)
        };
        Ok(self.by_pool(&all).into_iter().map(size).collect())
    }

    async fn capacity(&self) -> Result<Capacity, Error> {
        let mut sum = Capacity { cpu: Cores(0), memory: Bytes::ZERO };
        for node in self.all_nodes().await?.iter().filter(|node| node.is_in_order) {
            sum.cpu = Cores(sum.cpu.0.saturating_add(node.cores.0));
            sum.memory += node.memory;
        }
        Ok(sum)
    }
}
