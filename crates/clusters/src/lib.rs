//! Real Slurm clusters on loopback, for tests: a controller, a few nodes with made-up chips, all of them
//! daemons of Debian's packages in a directory of their own; with accounting or without, and reached by
//! REST as well as by Slurm's commands.
//!
//! The door is [`Cluster::boot`]. A cluster has its own name, key and ports, so that any number of them
//! run beside each other and beside a real one; it takes everything with it when it is dropped, the
//! processes of jobs whose node daemon was killed too.
//!
//! Needs root: nodes start jobs as other users, and chips are device nodes. No part of the product links
//! this crate.

mod daemons;
mod files;

use daemons::{DATABASE, Daemons, REST};
use files::Ports;
use rustix::process::Signal;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a cluster may take to boot, and to answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often something is looked for that nothing announces.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What [`Cluster::boot`] needs: a file, and the package of Debian that has it.
pub const NEEDS: [(&str, &str); 10] = [
    ("/usr/sbin/slurmctld", "slurmctld"),
    ("/usr/sbin/slurmd", "slurmd"),
    ("/usr/bin/sbatch", "slurm-client"),
    ("/usr/sbin/munged", "munge"),
    ("/usr/sbin/slurmrestd", "slurmrestd"),
    ("/usr/sbin/slurmdbd", "slurmdbd"),
    ("/usr/share/doc/slurm-wlm-jwt-plugin", "slurm-wlm-jwt-plugin"),
    ("/usr/share/doc/slurm-wlm-mysql-plugin", "slurm-wlm-mysql-plugin"),
    (SYSTEM_TABLES, "mariadb-server-core"),
    ("/usr/bin/mariadb", "mariadb-client-core"),
];

/// What makes the tables that a database needs for itself.
const SYSTEM_TABLES: &str = "/usr/share/mysql/mysql_system_tables.sql";

/// Where groups are made that limit memory.
const MEMORY_GROUPS: &str = "/sys/fs/cgroup/memory";

/// The account that jobs may be charged to on a cluster with accounting.
pub const ACCOUNT: &str = "portolan";

/// The user whom jobs may run as on such a cluster: the one that every machine has.
pub const USER: &str = "nobody";

/// Why a cluster does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be made.
    #[error("cannot make {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the machine said.
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("cannot start {program}; is it installed?")]
    Start {
        /// Which.
        program: String,
        /// What the machine said.
        source: std::io::Error,
    },
    /// Something did not come about in time.
    #[error("{what} did not come about in {PATIENCE:?}; see {}:\n{log}", dir.display())]
    Late {
        /// What was waited for.
        what: String,
        /// The cluster's directory.
        dir: PathBuf,
        /// The end of its controller's log.
        log: String,
    },
}

/// What a cluster is like.
#[derive(Debug, Clone, Copy)]
pub struct Shape<'a> {
    /// Its nodes; each claims 64 cores and 500 GB.
    pub nodes: u16,
    /// The type of the generic resource `gpu` that each node has eight of.
    pub chip: &'a str,
    /// Whether it keeps accounts, in a database of its own: then there is one by the name of
    /// [`ACCOUNT`].
    pub accounting: bool,
    /// Whether its nodes keep jobs to the memory they ask for; see [`can_limit_memory`]. One cluster at a
    /// time may: the control groups of its nodes are known by the nodes' names.
    pub limits_memory: bool,
}

/// A cluster that runs.
#[derive(Debug)]
pub struct Cluster {
    name: String,
    nodes: u16,
    daemons: Daemons,
    /// Gone after the daemons, which are in them.
    _groups: Groups,
    dir: TempDir,
}

/// Control groups that daemons make and leave; gone with this.
#[derive(Debug)]
struct Groups(Vec<PathBuf>);

impl Drop for Groups {
    fn drop(&mut self) {
        fn remove(group: &Path) {
            let below = std::fs::read_dir(group).into_iter().flatten().flatten();
            below
                .map(|entry| entry.path())
                .filter(|path| path.is_dir())
                .for_each(|path| remove(&path));
            // One that is not there, or that another cluster is in, is none of ours.
            let _ = std::fs::remove_dir(group);
        }
        self.0.iter().for_each(|group| remove(group));
    }
}

/// Whether clusters can be booted here.
#[must_use]
pub fn can_boot() -> bool {
    rustix::process::geteuid().is_root() && NEEDS.iter().all(|(file, _)| Path::new(file).exists())
}

/// Whether a cluster can keep jobs to their memory here: it takes control groups of version 1, and leave to
/// make some.
#[must_use]
pub fn can_limit_memory() -> bool {
    let tried = Path::new(MEMORY_GROUPS).join(format!("tried-by-{}", std::process::id()));
    let is_made = std::fs::create_dir(&tried).is_ok();
    let is_limited = tried.join("memory.limit_in_bytes").exists();
    is_made && std::fs::remove_dir(&tried).is_ok() && is_limited
}

impl Cluster {
    /// Boots a cluster and waits until all its nodes are idle: the partition `train`, whose jobs take
    /// the places of those in `spot`.
    pub fn boot(shape: Shape<'_>) -> Result<Self, Error> {
        let dir = tempfile::Builder::new().prefix("slurm-").tempdir();
        let dir = dir.map_err(|source| Error::File { path: std::env::temp_dir(), source })?;
        // Two clusters of one name would find each other's processes.
        let name = format!("c{}n{}", std::process::id(), free_port());
        let ports = Ports {
            controller: free_port(),
            accounting: free_port(),
            nodes: (0..shape.nodes).map(|_| free_port()).collect(),
        };
        files::write(dir.path(), &name, shape, &ports)?;
        let daemons = Daemons::new(dir.path().to_owned(), name.clone());
        let nodes = (1..=shape.nodes).filter(|_| shape.limits_memory);
        let group = |node| PathBuf::from(format!("{MEMORY_GROUPS}/slurm_n{node}"));
        let groups = Groups(nodes.map(group).collect());
        let mut cluster = Self { name, nodes: shape.nodes, daemons, _groups: groups, dir };
        cluster.daemons.start_munge()?;
        let socket = cluster.dir.path().join("munge.sock");
        cluster.until("the socket of munge", |_| socket.exists())?;
        if shape.accounting {
            cluster.start_accounting(ports.accounting)?;
        }
        cluster.start_controller()?;
        for node in 1..=shape.nodes {
            cluster.start_node(node)?;
        }
        cluster.start_rest()?;
        if shape.accounting {
            cluster.add_account()?;
        }
        let idle = format!("{}:idle", shape.nodes);
        cluster.until("all nodes idle", |cluster| {
            cluster.says("sinfo", &["-h", "-p", "train", "-o", "%D:%t"]).trim() == idle
        })?;
        Ok(cluster)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its `slurm.conf`.
    #[must_use]
    pub fn conf(&self) -> PathBuf {
        self.dir.path().join("slurm.conf")
    }

    /// A directory beside it that jobs may reach.
    #[must_use]
    pub fn shared(&self) -> PathBuf {
        self.dir.path().join("shared")
    }

    /// Runs one of Slurm's commands on it.
    pub fn command(&self, program: &str, arguments: &[&str]) -> std::io::Result<Output> {
        Command::new(program).args(arguments).env("SLURM_CONF", self.conf()).output()
    }

    /// What a command says; nothing if it fails.
    #[must_use]
    pub fn says(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program, arguments).ok().filter(|o| o.status.success());
        output.map_or_else(String::new, |o| String::from_utf8_lossy(&o.stdout).into_owned())
    }

    /// Starts the controller and waits until it answers.
    pub fn start_controller(&mut self) -> Result<(), Error> {
        self.daemons.start_controller()?;
        self.until("an answer of the controller", |cluster| {
            cluster.says("scontrol", &["ping"]).contains("is UP")
        })
    }

    /// Starts its database and what keeps accounts there.
    fn start_accounting(&mut self, port: u16) -> Result<(), Error> {
        self.daemons.start_database()?;
        self.until("a database", Self::make_tables)?;
        self.daemons.start_accounting()?;
        self.until("accounting", |_| TcpStream::connect(("127.0.0.1", port)).is_ok())
    }

    /// Makes the database's own tables; false while it does not answer.
    fn make_tables(&self) -> bool {
        let Ok(tables) = std::fs::File::open(SYSTEM_TABLES) else { return false };
        let socket = format!("--socket={}", self.dir.path().join(DATABASE).display());
        let made = Command::new("/usr/bin/mariadb")
            .args(["--no-defaults", "--user=root", &socket, "mysql"])
            .stdin(tables)
            .output();
        made.is_ok_and(|output| output.status.success())
    }

    /// Makes [`ACCOUNT`] and lets [`USER`] charge it, once there is somebody to do so.
    fn add_account(&self) -> Result<(), Error> {
        let (cluster, account) = (format!("cluster={}", self.name), format!("account={ACCOUNT}"));
        let all: [&[&str]; 2] =
            [&["account", ACCOUNT, &cluster], &["user", USER, &account, &cluster]];
        all.into_iter().try_for_each(|what| {
            let add = [&["--immediate", "--quiet", "add"], what].concat();
            self.until("an account", |cluster| {
                cluster.command("sacctmgr", &add).is_ok_and(|output| output.status.success())
            })
        })
    }

    /// The socket of its REST server, which takes tokens from `scontrol token`.
    #[must_use]
    pub fn rest(&self) -> PathBuf {
        self.dir.path().join(REST)
    }

    /// Starts its REST server and waits for its socket.
    pub fn start_rest(&mut self) -> Result<(), Error> {
        self.daemons.start_rest()?;
        self.until("the socket of the REST server", |cluster| cluster.rest().exists())
    }

    /// Kills its REST server at once.
    pub fn kill_rest(&mut self) {
        self.daemons.kill("slurmrestd");
    }

    /// Stops its REST server as it is: who asks it hears nothing until it is [thawed](Self::thaw_rest).
    pub fn freeze_rest(&self) {
        self.daemons.signal("slurmrestd", Signal::STOP);
    }

    /// Lets a frozen REST server go on.
    pub fn thaw_rest(&self) {
        self.daemons.signal("slurmrestd", Signal::CONT);
    }

    /// Kills the controller at once, as a crash does.
    pub fn kill_controller(&mut self) {
        self.daemons.kill("slurmctld");
    }

    /// Starts a node's daemon; nodes are counted from 1.
    pub fn start_node(&mut self, node: u16) -> Result<(), Error> {
        self.daemons.start_node(node)
    }

    /// Kills a node's daemon at once; what it runs goes on.
    pub fn kill_node(&mut self, node: u16) {
        self.daemons.kill(&format!("n{node}"));
    }

    /// Kills all of a node at once: its daemon and every job on it.
    pub fn burn_node(&mut self, node: u16) {
        self.daemons.burn(node);
    }

    /// How many nodes it has.
    #[must_use]
    pub const fn nodes(&self) -> u16 {
        self.nodes
    }

    /// Waits until something is so.
    pub fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            if Instant::now() > deadline {
                return Err(self.late(what));
            }
            // tidy: daemons announce nothing
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn late(&self, what: &str) -> Error {
        let log = std::fs::read_to_string(self.dir.path().join("slurmctld.log"));
        let log = log.unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(20)..].join("\n");
        Error::Late { what: what.to_owned(), dir: self.dir.path().to_owned(), log: end }
    }
}

/// A port of loopback that nobody listens on.
fn free_port() -> u16 {
    let bound = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    bound.map_or(0, |address| address.port())
}
