//! The files that a cluster's daemons read.

use crate::{Error, Shape};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Chips of a node.
const CHIPS: u16 = 8;

/// The user and the group of whom every machine has one, by number.
const NOBODY: u32 = 65_534;

/// The ports that a cluster's daemons listen on.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) controller: u16,
    pub(super) accounting: u16,
    pub(super) nodes: Vec<u16>,
}

/// Writes all of them.
pub(super) fn write(dir: &Path, name: &str, shape: Shape<'_>, ports: &Ports) -> Result<(), Error> {
    fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    }
    let open = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
    // Jobs run as another user, and find what is theirs below.
    open(dir, 0o711).map_err(file(dir))?;
    let spools = (1..=shape.nodes).map(|node| format!("spool/n{node}"));
    let plain = ["dev", "state", "munge", "shared", "rest", "database/mysql"];
    for below in plain.map(str::to_owned).into_iter().chain(spools) {
        let path = dir.join(below);
        fs::create_dir_all(&path).map_err(file(&path))?;
    }
    let modes = [("munge", 0o700), ("spool", 0o755), ("shared", 0o711), ("database", 0o700)];
    for (below, mode) in modes {
        let path = dir.join(below);
        open(&path, mode).map_err(file(&path))?;
    }
    // Its REST server does not run as root, and has to make its socket.
    let rest = dir.join("rest");
    std::os::unix::fs::chown(&rest, Some(NOBODY), Some(NOBODY)).map_err(file(&rest))?;
    let put = |name: &str, text: &str, mode| {
        let path = dir.join(name);
        fs::write(&path, text).and_then(|()| open(&path, mode)).map_err(file(&path))
    };
    // Slurm counts chips only where they are devices; the null device will do.
    for chip in 0..CHIPS {
        let path = dir.join(format!("dev/chip{chip}"));
        let mode = Mode::from_raw_mode(0o666);
        mknodat(CWD, &path, FileType::CharacterDevice, mode, makedev(1, 3))
            .map_err(std::io::Error::from)
            .map_err(file(&path))?;
    }
    for name in ["munge/key", "jwt.key"] {
        let mut key = [0; 128];
        let random = Path::new("/dev/urandom");
        fs::File::open(random)
            .and_then(|mut urandom| std::io::Read::read_exact(&mut urandom, &mut key))
            .map_err(file(random))?;
        let path = dir.join(name);
        fs::write(&path, key).and_then(|()| open(&path, 0o600)).map_err(file(&path))?;
    }
    put("slurm.conf", &slurm_conf(dir, name, shape, ports), 0o644)?;
    if shape.accounting {
        put("slurmdbd.conf", &slurmdbd_conf(dir, ports.accounting), 0o600)?;
    }
    let chips = format!(
        "NodeName=n[1-{}] Name=gpu Type={} File={}/dev/chip[0-{}]\n",
        shape.nodes,
        shape.chip,
        dir.display(),
        CHIPS - 1
    );
    put("gres.conf", &chips, 0o644)?;
    let limits = if shape.limits_memory { "yes" } else { "no" };
    let groups =
        format!("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\nConstrainRAMSpace={limits}\n");
    put("cgroup.conf", &groups, 0o644)
}

/// `slurm.conf`: nothing leaves loopback, decisions come at once, and a silent node is given up soon.
fn slurm_conf(dir: &Path, name: &str, shape: Shape<'_>, ports: &Ports) -> String {
    let dir = dir.display();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host = host.split('.').next().unwrap_or_default();
    let mut text = format!(
        "ClusterName={name}\n\
         SlurmctldHost=localhost(127.0.0.1)\n\
         SlurmctldPort={}\n\
         SlurmUser=root\n\
         SlurmdUser=root\n\
         AuthType=auth/munge\n\
         AuthInfo=socket={dir}/munge.sock\n\
         CredType=cred/munge\n\
         AuthAltTypes=auth/jwt\n\
         AuthAltParameters=jwt_key={dir}/jwt.key\n\
         CommunicationParameters=NoInAddrAny,NoCtldInAddrAny\n\
         StateSaveLocation={dir}/state\n\
         SlurmdSpoolDir={dir}/spool/%n\n\
         SlurmctldPidFile={dir}/slurmctld.pid\n\
         SlurmdPidFile={dir}/%n.pid\n\
         SlurmctldLogFile={dir}/slurmctld.log\n\
         SlurmdLogFile={dir}/%n.log\n\
         ProctrackType=proctrack/linuxproc\n\
         TaskPlugin=task/{}\n\
         JobAcctGatherType=jobacct_gather/none\n\
         MpiDefault=none\n\
         SwitchType=switch/none\n\
         SlurmdParameters=config_overrides\n\
         ReturnToService=2\n\
         SlurmctldTimeout=30\n\
         SlurmdTimeout=10\n\
         KillWait=5\n\
         MinJobAge=300\n\
         MessageTimeout=20\n\
         BatchStartTimeout=20\n\
         CompleteWait=0\n\
         SchedulerType=sched/backfill\n\
         SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,bf_interval=5\n\
         SelectType=select/cons_tres\n\
         SelectTypeParameters=CR_Core_Memory\n\
         PriorityType=priority/basic\n\
         PreemptType=preempt/partition_prio\n\
         PreemptMode=REQUEUE\n\
         JobRequeue=1\n\
         GresTypes=gpu\n",
        ports.controller,
        if shape.limits_memory { "cgroup" } else { "none" },
    );
    if shape.accounting {
        // Without the socket its commands wait for minutes, and then fail.
        text.push_str(&format!(
            "AccountingStorageType=accounting_storage/slurmdbd\n\
             AccountingStorageHost=127.0.0.1\n\
             AccountingStoragePort={}\n\
             AccountingStoragePass={dir}/munge.sock\n\
             AccountingStorageTRES=gres/gpu,gres/gpu:{}\n",
            ports.accounting, shape.chip,
        ));
    } else {
        text.push_str("AccountingStorageType=accounting_storage/none\n");
    }
    for (node, port) in (1..=shape.nodes).zip(&ports.nodes) {
        text.push_str(&format!(
            "NodeName=n{node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=64 Sockets=2 \
             CoresPerSocket=32 ThreadsPerCore=1 RealMemory=512000 Gres=gpu:{}:{CHIPS}\n",
            shape.chip
        ));
    }
    text.push_str(
        "PartitionName=train Nodes=ALL Default=YES MaxTime=1-0 DefaultTime=10 PriorityTier=10 \
         PreemptMode=off DefMemPerCPU=100\n\
         PartitionName=spot Nodes=ALL MaxTime=12:0:0 DefaultTime=10 PriorityTier=1 \
         PreemptMode=requeue GraceTime=0 DefMemPerCPU=100\n",
    );
    text
}

/// `slurmdbd.conf`: its database is found by the socket that its environment names.
fn slurmdbd_conf(dir: &Path, port: u16) -> String {
    let dir = dir.display();
    format!(
        "AuthType=auth/munge\n\
         AuthInfo=socket={dir}/munge.sock\n\
         AuthAltTypes=auth/jwt\n\
         AuthAltParameters=jwt_key={dir}/jwt.key\n\
         DbdHost=localhost\n\
         DbdAddr=127.0.0.1\n\
         DbdPort={port}\n\
         SlurmUser=root\n\
         LogFile={dir}/slurmdbd.log\n\
         PidFile={dir}/slurmdbd.pid\n\
         StorageType=accounting_storage/mysql\n\
         StorageHost=localhost\n\
         StorageUser=slurm\n\
         StorageLoc=accounting\n"
    )
}
