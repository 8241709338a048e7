//! The files that a cluster's daemons read.

use crate::{Error, Shape};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Chips of a node.
const CHIPS: u16 = 8;

/// Writes all of them. `ports` are the controller's and then those of the nodes.
pub(super) fn write(dir: &Path, name: &str, shape: Shape<'_>, ports: &[u16]) -> Result<(), Error> {
    fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    }
    let open = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
    // Jobs run as another user, and find what is theirs below.
    open(dir, 0o711).map_err(file(dir))?;
    let spools = (1..=shape.nodes).map(|node| format!("spool/n{node}"));
    for below in ["dev", "state", "munge", "shared"].map(str::to_owned).into_iter().chain(spools) {
        let path = dir.join(below);
        fs::create_dir_all(&path).map_err(file(&path))?;
    }
    for (below, mode) in [("munge", 0o700), ("spool", 0o755), ("shared", 0o711)] {
        let path = dir.join(below);
        open(&path, mode).map_err(file(&path))?;
    }
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
    let mut key = [0; 128];
    let random = Path::new("/dev/urandom");
    fs::File::open(random)
        .and_then(|mut urandom| std::io::Read::read_exact(&mut urandom, &mut key))
        .map_err(file(random))?;
    let key_file = dir.join("munge/key");
    fs::write(&key_file, key).and_then(|()| open(&key_file, 0o600)).map_err(file(&key_file))?;
    put("slurm.conf", &slurm_conf(dir, name, shape, ports), 0o644)?;
    let chips = format!(
        "NodeName=n[1-{}] Name=gpu Type={} File={}/dev/chip[0-{}]\n",
        shape.nodes,
        shape.chip,
        dir.display(),
        CHIPS - 1
    );
    put("gres.conf", &chips, 0o644)?;
    put("cgroup.conf", "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n", 0o644)
}

/// `slurm.conf`: nothing leaves loopback, decisions come at once, and a silent node is given up soon.
fn slurm_conf(dir: &Path, name: &str, shape: Shape<'_>, ports: &[u16]) -> String {
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
         CommunicationParameters=NoInAddrAny,NoCtldInAddrAny\n\
         StateSaveLocation={dir}/state\n\
         SlurmdSpoolDir={dir}/spool/%n\n\
         SlurmctldPidFile={dir}/slurmctld.pid\n\
         SlurmdPidFile={dir}/%n.pid\n\
         SlurmctldLogFile={dir}/slurmctld.log\n\
         SlurmdLogFile={dir}/%n.log\n\
         ProctrackType=proctrack/linuxproc\n\
         TaskPlugin=task/none\n\
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
         GresTypes=gpu\n\
         AccountingStorageType=accounting_storage/none\n",
        ports[0],
    );
    for (node, port) in (1..=shape.nodes).zip(&ports[1..]) {
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
