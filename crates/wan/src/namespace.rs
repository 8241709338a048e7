//! Network namespaces: making, entering and removing them, and what is set up inside.

use crate::WanError;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

/// Where `ip netns` keeps them.
const NAMED: &str = "/run/netns";

/// Why nobody can emulate a network here, and what to do; none where it can be done.
pub(crate) fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root may make network namespaces; run it with sudo".to_owned());
    }
    if !Path::new("/dev/net/tun").exists() {
        return Some("/dev/net/tun is missing; load the kernel's `tun` module".to_owned());
    }
    let ip = Command::new("ip").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match ip {
        Ok(status) if status.success() => None,
        _ => Some("the program `ip` is missing; install iproute2".to_owned()),
    }
}

/// Makes namespaces of these names.
pub(crate) fn create(names: &[String]) -> Result<(), WanError> {
    let lines = names.iter().map(|name| format!("netns add {name}"));
    batch(&[], &lines.collect::<Vec<_>>())
}

/// Runs `ip` commands, without the word itself, inside a namespace.
pub(crate) fn configure(namespace: &str, lines: &[String]) -> Result<(), WanError> {
    batch(&["-n", namespace], lines)
}

fn batch(options: &[&str], lines: &[String]) -> Result<(), WanError> {
    if lines.is_empty() {
        return Ok(());
    }
    let shown = || {
        let words: Vec<_> = ["ip"].iter().chain(options).chain(&["-batch", "-"]).copied().collect();
        words.join(" ")
    };
    let failed = |said: String| WanError::Ip { command: shown(), said };
    let run = || {
        let mut ip = Command::new("ip")
            .args(options)
            .args(["-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = ip.stdin.take() {
            // A refused line ends `ip` early; what it said tells more than the broken pipe.
            let _ = input.write_all((lines.join("\n") + "\n").as_bytes());
        }
        ip.wait_with_output()
    };
    let output = run().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// Runs `work` in a thread that is inside the namespace.
pub(crate) fn inside<T: Send>(
    namespace: &str,
    doing: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> Result<T, WanError> {
    let enter_and_work = || {
        let door = File::open(path(namespace))?;
        move_into_link_name_space(door.as_fd(), Some(LinkNameSpaceType::Network))?;
        work()
    };
    // The namespace belongs to the thread and goes with it; ours stays what it was.
    let done = thread::scope(|scope| scope.spawn(enter_and_work).join());
    let done = done.unwrap_or_else(|_| Err(io::Error::other("its thread panicked")));
    done.map_err(|source| WanError::Namespace { doing, namespace: namespace.to_owned(), source })
}

/// Makes a host and router of the namespace: packets are passed on, may come and go on different
/// ways, and buffers are those of a host that moves data far. No IPv6, so that the only packets are
/// those somebody sent.
pub(crate) fn prepare(namespace: &str) -> Result<(), WanError> {
    const SETTINGS: [(&str, &str); 8] = [
        ("ipv4/ip_forward", "1"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
        ("ipv4/tcp_rmem", "4096 131072 67108864"),
        ("ipv4/tcp_wmem", "4096 65536 67108864"),
        // What an earlier connection learned would change how the next one starts.
        ("ipv4/tcp_no_metrics_save", "1"),
        ("ipv6/conf/all/disable_ipv6", "1"),
        ("ipv6/conf/default/disable_ipv6", "1"),
    ];
    inside(namespace, "set up the kernel", || {
        let folder = Path::new("/proc/sys/net");
        for (key, value) in SETTINGS {
            let file = folder.join(key);
            // A kernel without IPv6 has no switch for it.
            if file.exists() {
                std::fs::write(file, value)?;
            }
        }
        Ok(())
    })
}

/// Kills what still runs in the namespaces and removes them. Those that are gone are passed over;
/// the first error is given once everything has been tried.
pub(crate) fn remove(names: &[String]) -> Result<(), WanError> {
    let mut done = Ok(());
    for name in names.iter().filter(|name| path(name).exists()) {
        kill_inside(name);
        done = done.and(batch(&[], &[format!("netns delete {name}")]));
    }
    done
}

/// Ends every process but ours that is in the namespace.
fn kill_inside(name: &str) {
    let pids = Command::new("ip").args(["netns", "pids", name]).output();
    let pids = pids.map(|output| output.stdout).unwrap_or_default();
    let ours = rustix::process::getpid();
    let pids = String::from_utf8_lossy(&pids);
    for pid in pids.lines().filter_map(|line| Pid::from_raw(line.trim().parse().ok()?)) {
        if pid != ours {
            // One that has ended meanwhile needs no killing.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(NAMED).join(name)
}
