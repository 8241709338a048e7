//! Processes that outlive their parents on purpose: supervisors, and what they run.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Processes that work in `dir` or are told of it by argument or environment. Names of directories
/// are random, so no stranger is among them. Zombies are not listed: nothing of them runs.
pub(crate) fn of(dir: &Path) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    pids.filter(|pid| *pid != own && knows(*pid, dir)).collect()
}

/// Those of them that hold attempts.
pub(crate) fn supervisors(dir: &Path) -> Vec<i32> {
    let is_one = |pid: &i32| {
        // `portolan-supervise DIR` or, where that is not there, `portolan supervise DIR`.
        words(*pid).iter().any(|word| word.ends_with(b"supervise"))
            && !starts_supervisors(*pid, dir)
    };
    of(dir).into_iter().filter(is_one).collect()
}

/// Whether it only starts supervisors: those forked by it are in directories of their own.
pub(crate) fn starts_supervisors(pid: i32, dir: &Path) -> bool {
    words(pid).iter().any(|word| word == b"--on-request") && !works_in(pid, dir)
}

fn words(pid: i32) -> Vec<Vec<u8>> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

/// Kills one of them.
pub(crate) fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        // It may have ended since.
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn knows(pid: i32, dir: &Path) -> bool {
    let file = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    works_in(pid, dir) || has(&file("cmdline"), dir) || has(&file("environ"), dir)
}

fn works_in(pid: i32, dir: &Path) -> bool {
    let place = fs::read_link(format!("/proc/{pid}/cwd"));
    place.is_ok_and(|place| has(place.as_os_str().as_bytes(), dir))
}

fn has(text: &[u8], dir: &Path) -> bool {
    let dir = dir.as_os_str().as_bytes();
    text.windows(dir.len()).any(|part| part == dir)
}

/// Kills them all, and those they start meanwhile.
pub(crate) fn end(dir: &Path) {
    for _ in 0..1_000 {
        let strays = of(dir);
        if strays.is_empty() {
            return;
        }
        strays.into_iter().for_each(kill);
        std::thread::yield_now();
    }
    eprintln!("processes of {} will not die: {:?}", dir.display(), of(dir));
}
