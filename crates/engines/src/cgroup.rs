//! Control groups: memory and processor limits, and killing a whole tree at once.
//!
//! An attempt's groups are made below the groups its supervisor is in, never beside them, so that
//! whatever limits the agent itself still holds. Version 1 hierarchies, version 2, and the mixed
//! layout (limits in version 1, `cgroup.kill` in version 2) are found from `/proc`.

use crate::{Enforcement, Launch};
use model::{AttemptId, Bytes, Cores, NetworkUid};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The group of version 2 that holds agent and supervisors, where they have one of their own:
/// a group with children cannot hold processes there once it hands out controllers.
const KEEPERS: &str = "portolan-agent";

/// That of every new group, which version 1 need not be told.
const CPU_PERIOD_MICROS: u64 = 100_000;
const CPU_QUOTA_MIN_MICROS: u64 = 1_000;

/// The groups this process is in.
#[derive(Debug, Default)]
pub(crate) struct Cgroups {
    memory_v1: Option<PathBuf>,
    cpu_v1: Option<PathBuf>,
    unified: Option<PathBuf>,
}

impl Cgroups {
    /// Where this process is. Empty if the machine has no control groups.
    pub(crate) fn of_this_process() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self::parse(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
    }

    /// From the text of `/proc/self/cgroup` (`4:memory:/path`) and `/proc/self/mountinfo`
    /// (`… … … ROOT MOUNTPOINT … - cgroup SOURCE OPTIONS`).
    fn parse(membership: &str, mounts: &str) -> Self {
        let mut groups = Self::default();
        for line in membership.lines() {
            let mut fields = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(path)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let has = |name: &str| controllers.split(',').any(|c| c == name);
            if controllers.is_empty() {
                groups.unified = below_mount(mounts, "cgroup2", None, path);
            } else if has("memory") {
                groups.memory_v1 = below_mount(mounts, "cgroup", Some("memory"), path);
            } else if has("cpu") {
                groups.cpu_v1 = below_mount(mounts, "cgroup", Some("cpu"), path);
            }
        }
        groups
    }

    /// How many processes the kernel has killed for want of memory in the group that this process is in.
    pub(crate) fn oom_kills(&self) -> u64 {
        self.memory().map_or(0, oom_kills)
    }

    /// Whether the group of this name limits this process' memory, or one in it does. Each process is in the
    /// one without a name, whose limit need not be known.
    pub(crate) fn is_limited_in(&self, name: &str) -> bool {
        let Some(group) = self.memory().filter(|_| !name.is_empty()) else {
            return self.memory().is_some();
        };
        let named = group.ancestors().find(|above| above.file_name().is_some_and(|is| is == name));
        let Some(named) = named else { return false };
        group.ancestors().take_while(|within| within.starts_with(named)).any(limits_memory)
    }

    /// The group by which this process' memory is limited.
    fn memory(&self) -> Option<&Path> {
        self.memory_v1.as_deref().or(self.unified.as_deref())
    }

    /// What limits this process can set, found out by making a group and removing it.
    pub(crate) fn enforcement(&self) -> Enforcement {
        let can_make = |parent: &Path| {
            let probe = parent.join(format!("portolan-probe-{}", std::process::id()));
            let made = fs::create_dir(&probe).is_ok();
            made && fs::remove_dir(&probe).is_ok()
        };
        if let (Some(memory), Some(cpu)) = (&self.memory_v1, &self.cpu_v1) {
            if can_make(memory) && can_make(cpu) {
                return Enforcement::CgroupV1;
            }
        } else if let Some(unified) = self.limiting_parent()
            && can_make(unified)
        {
            return Enforcement::CgroupV2;
        }
        Enforcement::ProcessGroup
    }

    /// Where version 2 only: moves this process aside, so that the attempts' groups can be
    /// children of its present group, and hands the memory and processor controllers down to
    /// them. Supervisors started later are born aside. Fails silently where not permitted;
    /// [`Self::enforcement`] then says so.
    pub(crate) fn prepare(&self) {
        let Some(unified) = self.limiting_parent() else { return };
        let control = unified.join("cgroup.subtree_control");
        if lists(&control, &["memory", "cpu"]) || fs::write(&control, "+memory +cpu").is_ok() {
            return;
        }
        let keepers = unified.join(KEEPERS);
        let _ = fs::create_dir(&keepers);
        if fs::write(keepers.join("cgroup.procs"), "0").is_ok() {
            let _ = fs::write(&control, "+memory +cpu");
        }
    }

    /// The version 2 group below which limits can be set, if it has the controllers.
    fn limiting_parent(&self) -> Option<&Path> {
        let parent = self.unified_parent()?;
        lists(&parent.join("cgroup.controllers"), &["memory", "cpu"]).then_some(parent)
    }

    fn unified_parent(&self) -> Option<&Path> {
        let own = self.unified.as_deref()?;
        if own.file_name().is_some_and(|name| name == KEEPERS) { own.parent() } else { Some(own) }
    }

    /// Makes the groups this launch needs and sets its limits. None if it asks for none, or if
    /// none can be made here: enforcement is promised by the engine's capabilities, not here.
    pub(crate) fn make(&self, launch: &Launch) -> Option<AttemptGroups> {
        if launch.memory.is_none() && launch.cpu.is_none() {
            return None;
        }
        let name = group_name(launch.network, launch.attempt);
        let mut made = AttemptGroups::default();
        if let (Some(parent), Some(limit)) = (&self.memory_v1, launch.memory) {
            made.memory = made.add(parent, parent, &name, |group| limit_memory_v1(group, limit));
        }
        if let (Some(parent), Some(limit)) = (&self.cpu_v1, launch.cpu) {
            made.add(parent, parent, &name, |group| limit_cpu_v1(group, limit));
        }
        if let (Some(own), Some(parent)) = (&self.unified, self.unified_parent()) {
            let limits = self.limiting_parent().is_some();
            made.kill = made.add(own, parent, &name, |group| match limits {
                true => limit_v2(group, launch),
                false => Ok(()),
            });
            if limits {
                made.memory.clone_from(&made.kill);
            }
        }
        (!made.groups.is_empty()).then_some(made)
    }

    /// Kills what is left in an attempt's groups, by a process that is not in them, and removes
    /// them.
    pub(crate) fn sweep(&self, network: NetworkUid, attempt: AttemptId) {
        let name = group_name(network, attempt);
        let parents = [self.memory_v1.as_deref(), self.cpu_v1.as_deref(), self.unified_parent()];
        for group in parents.into_iter().flatten().map(|parent| parent.join(&name)) {
            let _ = fs::write(group.join("cgroup.kill"), "1");
            let _ = fs::remove_dir(&group);
        }
    }
}

fn group_name(network: NetworkUid, attempt: AttemptId) -> String {
    format!("portolan-{network}-{}-{}", attempt.job.number(), attempt.epoch)
}

/// The directory of group `path` in the mounted hierarchy of this type and controller.
fn below_mount(mounts: &str, kind: &str, controller: Option<&str>, path: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (place, source) = line.split_once(" - ")?;
        let mut source = source.split(' ');
        let options = (source.next()? == kind).then(|| source.nth(1))??;
        if controller.is_some_and(|c| options.split(',').all(|option| option != c)) {
            return None;
        }
        let mut place = place.split(' ').skip(3);
        let (root, point) = (place.next()?, place.next()?);
        let inside = Path::new(path).strip_prefix(root).ok()?;
        Some(Path::new(point).join(inside))
    })
}

/// Whether a controller list names all of `wanted`.
fn lists(file: &Path, wanted: &[&str]) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    wanted.iter().all(|name| text.split_ascii_whitespace().any(|word| word == *name))
}

fn limit_memory_v1(group: &Path, limit: Bytes) -> io::Result<()> {
    fs::write(group.join("memory.limit_in_bytes"), limit.0.to_string())?;
    // Only where swap is accounted; it may not be below the memory limit, hence second.
    let _ = fs::write(group.join("memory.memsw.limit_in_bytes"), limit.0.to_string());
    Ok(())
}

fn limit_cpu_v1(group: &Path, limit: Cores) -> io::Result<()> {
    fs::write(group.join("cpu.cfs_quota_us"), quota_micros(limit).to_string())
}

fn limit_v2(group: &Path, launch: &Launch) -> io::Result<()> {
    if let Some(limit) = launch.memory {
        fs::write(group.join("memory.max"), limit.0.to_string())?;
        let _ = fs::write(group.join("memory.swap.max"), "0");
    }
    if let Some(limit) = launch.cpu {
        let max = format!("{} {CPU_PERIOD_MICROS}", quota_micros(limit));
        fs::write(group.join("cpu.max"), max)?;
    }
    Ok(())
}

const fn quota_micros(limit: Cores) -> u64 {
    let quota = limit.0.saturating_mul(CPU_PERIOD_MICROS / 1_000);
    if quota < CPU_QUOTA_MIN_MICROS { CPU_QUOTA_MIN_MICROS } else { quota }
}

/// The groups of one attempt.
#[derive(Debug, Default)]
pub(crate) struct AttemptGroups {
    /// Each with the group its supervisor belongs to.
    groups: Vec<(PathBuf, PathBuf)>,
    memory: Option<PathBuf>,
    kill: Option<PathBuf>,
}

impl AttemptGroups {
    fn add(
        &mut self,
        home: &Path,
        parent: &Path,
        name: &str,
        limit: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Option<PathBuf> {
        let group = parent.join(name);
        fs::create_dir(&group).ok()?;
        if limit(&group).is_err() {
            let _ = fs::remove_dir(&group);
            return None;
        }
        self.groups.push((group.clone(), home.to_owned()));
        Some(group)
    }

    /// Puts this process in, so that what it spawns is born inside.
    pub(crate) fn enter(&self) -> io::Result<()> {
        self.groups.iter().try_for_each(|(group, _)| fs::write(group.join("cgroup.procs"), "0"))
    }

    /// Puts this process back where it was.
    pub(crate) fn leave(&self) -> io::Result<()> {
        self.groups.iter().try_for_each(|(_, home)| fs::write(home.join("cgroup.procs"), "0"))
    }

    /// Kills all inside at once, where the kernel can; the caller must have left.
    pub(crate) fn kill(&self) {
        if let Some(group) = &self.kill {
            let _ = fs::write(group.join("cgroup.kill"), "1");
        }
    }

    /// How many processes the kernel killed in it for want of memory.
    pub(crate) fn oom_kills(&self) -> u64 {
        self.memory.as_ref().map_or(0, |group| oom_kills(group))
    }

    /// Removes the groups; they are empty once the attempt's processes have been reaped.
    pub(crate) fn remove(&self) {
        for (group, _) in &self.groups {
            let _ = fs::remove_dir(group);
        }
    }
}

/// Whether a group has a limit of memory: `memory.max` (version 2), or a `memory.limit_in_bytes` (version 1)
/// that is not the largest there is.
fn limits_memory(group: &Path) -> bool {
    let read = |file: &str| fs::read_to_string(group.join(file)).unwrap_or_default();
    let limit = |text: String| text.trim().parse::<u64>().is_ok_and(|limit| limit < 1 << 60);
    limit(read("memory.max")) || limit(read("memory.limit_in_bytes"))
}

/// What a group says of how many processes the kernel killed in it for want of memory: `oom_kill` of
/// `memory.oom_control` (version 1) or `memory.events` (version 2).
fn oom_kills(group: &Path) -> u64 {
    let text = fs::read_to_string(group.join("memory.events"))
        .or_else(|_| fs::read_to_string(group.join("memory.oom_control")))
        .unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = "\
        25 20 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
        26 25 0:23 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
        27 25 0:24 /box /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        28 25 0:25 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    #[test]
    fn groups_are_found_below_their_mounts() {
        let groups = Cgroups::parse("4:memory:/box/inner\n1:cpu,cpuacct:/\n0::/a\n", MIXED);
        assert_eq!(groups.memory_v1, Some("/sys/fs/cgroup/memory/inner".into()));
        assert_eq!(groups.cpu_v1, Some("/sys/fs/cgroup/cpu/".into()));
        assert_eq!(groups.unified, Some("/sys/fs/cgroup/unified/a".into()));
    }

    #[test]
    fn memory_is_limited_by_a_group_of_a_name_or_one_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path().join("slurm_n1/job_12/step_batch/task_0");
        fs::create_dir_all(&group).unwrap();
        let mounts = MIXED.replace("/sys/fs/cgroup/memory", &dir.path().display().to_string());
        let membership = "4:memory:/box/slurm_n1/job_12/step_batch/task_0\n";
        let groups = Cgroups::parse(membership, &mounts);
        let limited = |names: [&str; 4]| names.map(|name| groups.is_limited_in(name));
        let names = ["", "job_12", "job_1", "slurm_n1"];
        let limit = |of: &str, bytes: &str| {
            fs::write(dir.path().join(of).join("memory.limit_in_bytes"), bytes).unwrap();
        };
        limit("slurm_n1", "1048576\n");
        limit("slurm_n1/job_12", "9223372036854771712\n");
        assert_eq!(limited(names), [true, false, false, true]);
        limit("slurm_n1/job_12", "1048576\n");
        assert_eq!(limited(names), [true, true, false, true]);
        assert!(!Cgroups::default().is_limited_in(""));
    }

    #[test]
    fn a_group_outside_what_is_mounted_is_not_found() {
        let groups = Cgroups::parse("4:memory:/elsewhere\ngarbage\n", MIXED);
        assert_eq!(groups.memory_v1, None);
        assert_eq!(Cgroups::parse("0::/a", "").unified, None);
    }

    #[test]
    fn supervisors_set_aside_make_groups_beside_themselves() {
        let aside = Cgroups::parse(&format!("0::/a/{KEEPERS}"), MIXED);
        assert_eq!(aside.unified_parent(), Some(Path::new("/sys/fs/cgroup/unified/a")));
    }

    #[test]
    fn a_processor_quota_is_never_below_what_the_kernel_takes() {
        assert_eq!(quota_micros(Cores(1_500)), 150_000);
        assert_eq!(quota_micros(Cores(1)), 1_000);
    }
}
