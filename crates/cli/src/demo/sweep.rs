//! Ending what an earlier demo left behind, by id.

use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the kernel may take to end killed processes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Kills every process of a demo in `dir`: its server, agents and supervisors, known by their
/// arguments, and their attempts, known by the mark in their environment. Returns how many there
/// were.
pub(crate) fn sweep(dir: &Path) -> usize {
    let started = Instant::now();
    let mut killed = std::collections::BTreeSet::new();
    loop {
        let left = leftovers(dir);
        if left.is_empty() || started.elapsed() > PATIENCE {
            return killed.len();
        }
        for pid in left {
            // It may have ended by itself meanwhile.
            if kill_process(pid, Signal::KILL).is_ok() {
                killed.insert(pid.as_raw_nonzero());
            }
        }
        std::thread::yield_now();
    }
}

fn leftovers(dir: &Path) -> Vec<Pid> {
    let own = rustix::process::getpid();
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let ids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(Pid::from_raw).filter(|pid| *pid != own && belongs(*pid, dir)).collect()
}

fn belongs(pid: Pid, dir: &Path) -> bool {
    let proc = Path::new("/proc").join(pid.as_raw_nonzero().to_string());
    let words = |file: &str| {
        let text = std::fs::read(proc.join(file)).unwrap_or_default();
        text.split(|byte| *byte == 0)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect::<Vec<_>>()
    };
    let inside = |text: &str| Path::new(text).starts_with(dir);
    let command = words("cmdline");
    let ours = matches!(command.get(1).map(String::as_str), Some("serve" | "agent" | "supervise"));
    if ours && command.iter().any(|word| inside(word)) {
        return true;
    }
    let environment = words("environ");
    let value = |name: &str| {
        environment.iter().find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
    };
    value("PORTOLAN_ATTEMPT").is_some() && value("HOME").is_some_and(inside)
}
