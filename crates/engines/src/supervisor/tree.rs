//! The command and everything it started.
//!
//! The supervisor is the subreaper of the tree: whoever loses its parent becomes the supervisor's
//! child. So to end the tree it kills its own children, and as they go theirs become its own,
//! until it has none.

use crate::{Exit, Launch, Usage};
use model::Span;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group};
use std::fs;

pub(super) struct Tree<'a> {
    main: Pid,
    main_is_ours: bool,
    launch: &'a Launch,
}

impl<'a> Tree<'a> {
    pub(super) const fn new(main: Pid, launch: &'a Launch) -> Self {
        Self { main, main_is_ours: true, launch }
    }

    /// The command itself: in a sandbox the child of its first process. One that has not begun it yet is
    /// told in its stead.
    fn command(&self) -> Pid {
        let child = |pid: Pid| children(pid).first().copied();
        let is_sandbox = self.launch.enclosure.is_sandbox();
        let inside = is_sandbox.then(|| child(self.main).and_then(child)).flatten();
        inside.unwrap_or(self.main)
    }

    /// Reaps all that has ended. Tells how the command itself did, if it is among them.
    pub(super) fn reap(&mut self) -> Option<Exit> {
        let mut main_exit = None;
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            main_exit = main_exit.or(self.note(pid, status));
        }
        main_exit
    }

    fn note(&mut self, pid: Pid, status: WaitStatus) -> Option<Exit> {
        if pid != self.main {
            return None;
        }
        self.main_is_ours = false;
        let exited = status.exit_status().map(Exit::Exited);
        exited.or(status.terminating_signal().map(Exit::Signaled))
    }

    /// TERM to the command's process group, whose number is taken for as long as its leader has
    /// not been reaped. CONT, so that a stopped one hears it.
    pub(super) fn ask_to_end(&self) {
        if self.main_is_ours && !self.launch.enclosure.signal(self.launch, Signal::TERM) {
            let command = self.command();
            let group = rustix::process::getpgid(Some(command)).unwrap_or(self.main);
            let _ = kill_process_group(group, Signal::TERM);
            let _ = kill_process_group(group, Signal::CONT);
        }
    }

    /// A signal to the command itself that means something to it alone: what it started might not
    /// be ready for it, and die.
    pub(super) fn ask(&self, signal: Signal) {
        if self.main_is_ours && !self.launch.enclosure.signal(self.launch, signal) {
            let _ = kill_process(self.command(), signal);
        }
    }

    /// Kills and reaps until nothing is left. Tells how the command itself did, if it was still
    /// there. Takes as long as the kernel needs to end the last of them.
    pub(super) fn kill_all(&mut self) -> Option<Exit> {
        if self.main_is_ours {
            let _ = kill_process_group(self.main, Signal::KILL);
        }
        let mut main_exit = self.reap();
        loop {
            for child in children(rustix::process::getpid()) {
                let _ = kill_process(child, Signal::KILL);
            }
            match rustix::process::wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) => main_exit = main_exit.or(self.note(pid, status)),
                Ok(None) | Err(Errno::INTR) => {}
                Err(_) => return main_exit,
            }
        }
    }
}

/// A single-threaded process's children.
fn children(of: Pid) -> Vec<Pid> {
    let of = of.as_raw_pid();
    match fs::read_to_string(format!("/proc/{of}/task/{of}/children")) {
        Ok(list) => list.split_ascii_whitespace().filter_map(parse_pid).collect(),
        Err(_) => children_by_search(of),
    }
}

/// For kernels that keep no list of children.
fn children_by_search(of: i32) -> Vec<Pid> {
    let parent_of = |pid: &str| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        fields.split_ascii_whitespace().nth(1)?.parse::<i32>().ok()
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|pid| parent_of(pid) == Some(of)).filter_map(|pid| parse_pid(&pid)).collect()
}

/// A signal that may ask for a checkpoint, by its name. TERM asks for the end as well, and needs no
/// asking before.
pub(super) fn signal(name: &str) -> Option<Signal> {
    match name {
        "USR1" => Some(Signal::USR1),
        "USR2" => Some(Signal::USR2),
        "HUP" => Some(Signal::HUP),
        "INT" => Some(Signal::INT),
        "ALRM" => Some(Signal::ALARM),
        "CONT" => Some(Signal::CONT),
        _ => None,
    }
}

fn parse_pid(text: &str) -> Option<Pid> {
    text.parse().ok().and_then(Pid::from_raw)
}

/// What all reaped children, and the descendants they reaped, have used.
pub(super) fn usage() -> Usage {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return Usage::default() };
    let span = |millis: i64| Span(u64::try_from(millis).unwrap_or(0));
    Usage {
        user: span(usage.user_time().num_milliseconds()),
        system: span(usage.system_time().num_milliseconds()),
        max_rss: u64::try_from(usage.max_rss()).unwrap_or(0).saturating_mul(1_024),
    }
}
