//! The processes of a cluster.

use crate::Error;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Marks all that a cluster's daemons start, jobs apart: those bear the cluster's own name.
const MARK: &str = "PORTOLAN_TEST_CLUSTER";

/// The socket of its database, below a cluster's directory.
pub(super) const DATABASE: &str = "database.sock";
/// The socket of its REST server, below a cluster's directory.
pub(super) const REST: &str = "rest/socket";

/// The daemons by name; all that they started goes with them.
#[derive(Debug)]
pub(super) struct Daemons {
    dir: PathBuf,
    cluster: String,
    running: BTreeMap<String, Child>,
}

impl Daemons {
    pub(super) const fn new(dir: PathBuf, cluster: String) -> Self {
        Self { dir, cluster, running: BTreeMap::new() }
    }

    pub(super) fn start_munge(&mut self) -> Result<(), Error> {
        let in_dir = |name: &str| self.dir.join(name).display().to_string();
        let arguments = [
            "--force".to_owned(),
            "--foreground".to_owned(),
            format!("--key-file={}", in_dir("munge/key")),
            format!("--socket={}", in_dir("munge.sock")),
            format!("--pid-file={}", in_dir("munge/pid")),
            format!("--log-file={}", in_dir("munge/log")),
            format!("--seed-file={}", in_dir("munge/seed")),
            "--num-threads=2".to_owned(),
        ];
        self.start("munged", "/usr/sbin/munged", &arguments)
    }

    pub(super) fn start_controller(&mut self) -> Result<(), Error> {
        let conf = self.dir.join("slurm.conf").display().to_string();
        self.start("slurmctld", "/usr/sbin/slurmctld", &["-D".to_owned(), "-f".to_owned(), conf])
    }

    pub(super) fn start_node(&mut self, node: u16) -> Result<(), Error> {
        let name = format!("n{node}");
        let conf = self.dir.join("slurm.conf").display().to_string();
        // By this very path: Slurm's programs go by the name they were called by.
        let step = "/usr/sbin/slurmstepd".to_owned();
        let arguments = ["-D", "-N", &name, "-d", &step, "-f", &conf].map(str::to_owned);
        self.start(&name, "/usr/sbin/slurmd", &arguments)
    }

    /// A database of its own, which nobody reaches but by its socket.
    pub(super) fn start_database(&mut self) -> Result<(), Error> {
        let in_dir = |name: &str| self.dir.join(name).display().to_string();
        let arguments = [
            "--no-defaults".to_owned(),
            "--user=root".to_owned(),
            format!("--datadir={}", in_dir("database")),
            format!("--socket={}", in_dir(DATABASE)),
            format!("--pid-file={}", in_dir("database.pid")),
            "--skip-networking".to_owned(),
            "--skip-grant-tables".to_owned(),
            "--innodb-buffer-pool-size=32M".to_owned(),
            "--innodb-log-file-size=4M".to_owned(),
            "--innodb-lock-wait-timeout=900".to_owned(),
            "--innodb-flush-log-at-trx-commit=0".to_owned(),
        ];
        self.start("mariadbd", "/usr/sbin/mariadbd", &arguments)
    }

    pub(super) fn start_accounting(&mut self) -> Result<(), Error> {
        self.start("slurmdbd", "/usr/sbin/slurmdbd", &["-D".to_owned()])
    }

    pub(super) fn start_rest(&mut self) -> Result<(), Error> {
        // It does not remove what an earlier one left.
        let socket = self.dir.join(REST);
        let _ = fs::remove_file(&socket);
        let socket = format!("unix:{}", socket.display());
        // It refuses to run as root, and to speak of accounts where there are none.
        let who = ["-u", "nobody", "-g", "nogroup", "-a", "rest_auth/jwt"];
        let arguments = [&who[..], &["-s", "openapi/v0.0.38", &socket]].concat();
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        self.start("slurmrestd", "/usr/sbin/slurmrestd", &arguments)
    }

    /// Sends a daemon a signal.
    pub(super) fn signal(&self, name: &str, signal: Signal) {
        let pid = self.running.get(name).map(Pid::from_child);
        let _ = pid.map(|pid| kill_process(pid, signal));
    }

    fn start(&mut self, name: &str, program: &str, arguments: &[String]) -> Result<(), Error> {
        let path = self.dir.join(format!("{name}.out"));
        let log = File::create(&path).and_then(|log| Ok((log.try_clone()?, log)));
        let (out, err) = log.map_err(|source| Error::File { path, source })?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("SLURM_CONF", self.dir.join("slurm.conf"))
            .env("MYSQL_UNIX_PORT", self.dir.join(DATABASE))
            .env(MARK, &self.cluster)
            // Takes tokens instead of what the other daemons show each other.
            .envs((name == "slurmrestd").then_some(("SLURM_JWT", "daemon")))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        let child = command.spawn();
        let child = child.map_err(|source| Error::Start { program: program.to_owned(), source })?;
        self.running.insert(name.to_owned(), child);
        Ok(())
    }

    /// Kills a daemon at once.
    pub(super) fn kill(&mut self, name: &str) {
        if let Some(mut child) = self.running.remove(name) {
            let _ = child.kill().and_then(|()| child.wait());
        }
    }

    /// Kills all of a node at once: its daemon, the steps that it runs, and what they run.
    pub(super) fn burn(&mut self, node: u16) {
        self.kill(&format!("n{node}"));
        let node_name = format!("SLURMD_NODENAME=n{node}");
        let marks = [format!("SLURM_CLUSTER_NAME={}", self.cluster), node_name];
        let jobs = marked(|entries| marks.iter().all(|mark| entries.contains(&mark.as_bytes())));
        // The steps first: they would tell the controller that their jobs are over.
        let steps = steps(&self.dir.join(format!("n{node}.log")));
        steps.into_iter().chain(jobs).for_each(end);
    }

    /// Kills what the daemons left behind: jobs outlive them. True if there was anything.
    fn sweep(&self) -> bool {
        let marks =
            [format!("{MARK}={}", self.cluster), format!("SLURM_CLUSTER_NAME={}", self.cluster)];
        let left = marked(|entries| marks.iter().any(|mark| entries.contains(&mark.as_bytes())));
        let left: Vec<Pid> = left.into_iter().chain(steps(&self.dir)).collect();
        let any = !left.is_empty();
        left.into_iter().for_each(end);
        any
    }
}

/// All processes of this machine.
fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.parse().ok()).filter_map(Pid::from_raw)
}

fn of(pid: Pid, what: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/{what}", pid.as_raw_pid()))
}

/// The processes that were born with an environment such as this.
fn marked(is_such: impl Fn(&[&[u8]]) -> bool) -> Vec<Pid> {
    let is_marked = |pid: &Pid| {
        let environ = fs::read(of(*pid, "environ")).unwrap_or_default();
        let entries: Vec<&[u8]> = environ.split(|&byte| byte == 0).collect();
        is_such(&entries)
    };
    processes().filter(is_marked).collect()
}

/// The processes that look after jobs and write to this log, or to one below this directory. They write
/// over their environment.
fn steps(log: &Path) -> Vec<Pid> {
    let writes = |pid: &Pid| {
        let open = fs::read_dir(of(*pid, "fd")).into_iter().flatten().flatten();
        open.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|path| path.starts_with(log))
    };
    let is_step = |pid: &Pid| {
        fs::read_to_string(of(*pid, "comm")).is_ok_and(|name| name.starts_with("slurmstepd"))
    };
    processes().filter(is_step).filter(writes).collect()
}

fn end(pid: Pid) {
    let _ = kill_process(pid, Signal::KILL);
}

impl Drop for Daemons {
    fn drop(&mut self) {
        let names: Vec<String> = self.running.keys().cloned().collect();
        names.iter().for_each(|name| self.kill(name));
        for _ in 0..20 {
            if !self.sweep() {
                return;
            }
            // tidy: the kernel takes a moment to end what is none of our children
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}
