//! What is left of an attempt whose supervisor was killed.
//!
//! Nobody holds its lease any more, so it must not live on. Its processes are known by the marks
//! in the environment they were born with (`PORTOLAN_NETWORK`, `PORTOLAN_ATTEMPT`).

use crate::cgroup::Cgroups;
use model::{AttemptId, NetworkUid};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;

/// How long to wait for each killed process to be gone, locks, files and all.
const DYING: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Kills what is left of the attempt; true if nothing was found, so that it is gone for sure.
pub(crate) fn kill(network: NetworkUid, attempt: AttemptId) -> bool {
    let marks = [format!("PORTOLAN_NETWORK={network}"), format!("PORTOLAN_ATTEMPT={attempt}")];
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut found = false;
    for pid in names.filter_map(|name| name.parse().ok()).filter_map(Pid::from_raw) {
        if !bears(pid, &marks) {
            continue;
        }
        found = true;
        // The number may have been used again since: what is held open is looked at once more.
        if let Ok(held) = pidfd_open(pid, PidfdFlags::empty())
            && bears(pid, &marks)
        {
            let _ = pidfd_send_signal(&held, Signal::KILL);
            let _ = poll(&mut [PollFd::new(&held, PollFlags::IN)], Some(&DYING));
        }
    }
    Cgroups::of_this_process().sweep(network, attempt);
    !found
}

/// Whether the process was born with all these marks. A zombie has no environment.
fn bears(pid: Pid, marks: &[String]) -> bool {
    let environ = fs::read(format!("/proc/{}/environ", pid.as_raw_pid())).unwrap_or_default();
    let entries: Vec<&[u8]> = environ.split(|&byte| byte == 0).collect();
    marks.iter().all(|mark| entries.contains(&mark.as_bytes()))
}
