//! Two network namespaces with a line between them, gone when the test ends.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::{Command, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// What the first sends to the second through.
pub(crate) const DEVICE: &str = "to-west";

pub(crate) struct Pair {
    pub(crate) east: Namespace,
    pub(crate) west: Namespace,
}

pub(crate) struct Namespace {
    name: String,
    pub(crate) address: Ipv4Addr,
}

impl Pair {
    /// None, and a word to whoever runs the tests, where there can be none.
    pub(crate) fn new() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if let Some(why) = obstacle() {
            let name = thread::current().name().unwrap_or_default().to_owned();
            writeln!(std::io::stderr(), "skipped {name}: {why}").unwrap();
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let new = |side: &str, last: u8| {
            let name = format!("portolan-transfer-{}-{number}-{side}", id());
            ip(&format!("netns add {name}"));
            Namespace { name, address: Ipv4Addr::new(10, 0, 0, last) }
        };
        let pair = Self { east: new("east", 1), west: new("west", 2) };
        let (east, west) = (&pair.east.name, &pair.west.name);
        ip(&format!("-n {east} link add {DEVICE} type veth peer name to-east netns {west}"));
        for (site, device) in [(&pair.east, DEVICE), (&pair.west, "to-east")] {
            ip(&format!("-n {} address add {}/24 dev {device}", site.name, site.address));
            ip(&format!("-n {} link set {device} up", site.name));
        }
        Some(pair)
    }
}

impl Namespace {
    /// A program to be run there.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// What `tc` says there.
    pub(crate) fn tc(&self, words: &str) -> String {
        let ran = self.command("tc").args(words.split(' ')).output().unwrap();
        assert!(ran.status.success(), "{words}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    /// Runs `work` in a thread that is there, as are those it starts.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            let door = File::open(format!("/run/netns/{}", self.name)).unwrap();
            move_into_link_name_space(door.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        };
        let ended = thread::scope(|scope| scope.spawn(enter).join());
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&format!("netns delete {}", self.name));
    }
}

fn obstacle() -> Option<&'static str> {
    let lacks = |program: &str| Command::new(program).arg("-V").output().is_err();
    if !rustix::process::geteuid().is_root() {
        return Some("only root may make network namespaces; run it with sudo");
    }
    (lacks("ip") || lacks("tc")).then_some("`ip` or `tc` is missing; install iproute2")
}

fn ip(words: &str) {
    let ran = Command::new("ip").args(words.split(' ')).output().unwrap();
    assert!(ran.status.success(), "ip {words}: {}", String::from_utf8_lossy(&ran.stderr));
}
