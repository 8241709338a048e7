//! The processes of a cluster.

use crate::Error;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Marks all that a cluster's daemons start, jobs apart: those bear the cluster's own name.
const MARK: &str = "PORTOLAN_TEST_CLUSTER";

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

    fn start(&mut self, name: &str, program: &str, arguments: &[String]) -> Result<(), Error> {
        let path = self.dir.join(format!("{name}.out"));
        let log = File::create(&path).and_then(|log| Ok((log.try_clone()?, log)));
        let (out, err) = log.map_err(|source| Error::File { path, source })?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("SLURM_CONF", self.dir.join("slurm.conf"))
            .env(MARK, &self.cluster)
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

    /// Kills what the daemons left behind: jobs outlive them. True if there was anything.
    fn sweep(&self) -> bool {
        let marks =
            [format!("{MARK}={}", self.cluster), format!("SLURM_CLUSTER_NAME={}", self.cluster)];
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut any = false;
        for pid in names.filter_map(|name| name.parse().ok()).filter_map(Pid::from_raw) {
            let environ = fs::read(format!("/proc/{}/environ", pid.as_raw_pid()));
            let environ = environ.unwrap_or_default();
            let mut entries = environ.split(|&byte| byte == 0);
            if entries.any(|entry| marks.iter().any(|mark| mark.as_bytes() == entry)) {
                any = true;
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        any
    }
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
