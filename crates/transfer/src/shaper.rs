//! Rates kept by the kernel: an HTB class for each transfer at one network device, set up with `tc`.
//!
//! The device's root becomes `50:`, an HTB. All classes are in `50:ffff`, which carries what the line
//! behind the device does. A transfer's class has what is planned for it as rate and as ceiling; all
//! other traffic is in class `50:1`, which comes after the transfers and takes what they leave. So
//! that packets wait here, where this order holds, and not further on, the line's rate is to be said
//! where it is less than the device's. A packet finds its class by its socket's priority
//! (`SO_PRIORITY`), so no filter is needed and no port is set aside.

use crate::TransferError;
use model::Rate;
use nix::sys::socket::{setsockopt, sockopt};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

/// The handle of the root, as `tc` writes it: in hexadecimal.
const ROOT: &str = "50:";
const MAJOR: i32 = 0x50;
/// The class all others are in.
const ALL: u16 = 0xffff;
/// The class of whatever is no transfer.
const OTHERS: u16 = 1;
/// More than any device carries.
const NO_LIMIT: Rate = Rate(1_000_000_000_000);
/// What a class has for certain while the plan says nothing: acknowledgments and farewells.
const LEAST: Rate = Rate(64_000);
/// How much of a class's time may be made up for when the kernel was late; one packet at least, of
/// those of 64 KiB the kernel cuts up later.
const BURST_MILLIS: u64 = 10;
const BURST_BYTES: u64 = 128 << 10;
const BURST_MOST: u64 = 1 << 30;
/// How much a class sends before the next of its kind has its turn. HTB's own reckoning, a share of
/// the rate, is far off where rates are large or small, and it complains.
const QUANTUM: u64 = 60_000;

/// Owns a device's root. Dropping it puts the kernel's own root back; what one that was killed left
/// is removed by the next.
#[derive(Debug)]
pub struct Shaper {
    classes: Classes,
    /// Nobody else shapes the device while this is bound.
    _alone: UnixListener,
}

/// Where classes at a device are made. Clones share it; it makes none once its [`Shaper`] is gone.
#[derive(Debug, Clone)]
pub struct Classes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    device: String,
    taken: Mutex<BTreeSet<u16>>,
}

/// The class of one transfer; dropping it removes it, which may block for some milliseconds.
#[derive(Debug)]
pub struct Class {
    of: Classes,
    minor: u16,
}

/// What `tc -j qdisc show` tells of a queueing discipline.
#[derive(Debug, Deserialize)]
struct Qdisc {
    kind: String,
    handle: String,
    #[serde(default)]
    root: bool,
}

impl Shaper {
    /// Takes over the root of `device`, behind which a line carries `uplink`, or as much as the device
    /// does. Needs root or `CAP_NET_ADMIN`, and `tc` (Debian: `iproute2`). An error where somebody
    /// else's queueing discipline is there, or another shaper. Blocks for some milliseconds.
    pub fn begin(device: &str, uplink: Option<Rate>) -> Result<Self, TransferError> {
        let alone = alone(device)?;
        match root(device)? {
            Some(found) if found.kind == "htb" && found.handle == ROOT => remove(device)?,
            Some(Qdisc { kind, handle, .. }) => {
                let device = device.to_owned();
                return Err(TransferError::ForeignQdisc { device, kind, handle });
            }
            None => {}
        }
        let others = format!("{OTHERS:x}");
        tc(device, &["qdisc", "add"], &["root", "handle", ROOT, "htb", "default", &others])?;
        let taken = Mutex::new(BTreeSet::new());
        let classes = Classes(Arc::new(Shared { device: device.to_owned(), taken }));
        let shaper = Self { classes, _alone: alone };
        let uplink = uplink.unwrap_or(NO_LIMIT);
        shaper.classes.replace(ROOT, ALL, (uplink, uplink), "0")?;
        shaper.classes.replace(&id(ALL), OTHERS, (LEAST, uplink), "1")?;
        Ok(shaper)
    }

    /// Where classes are made.
    #[must_use]
    pub fn classes(&self) -> Classes {
        self.classes.clone()
    }
}

impl Drop for Shaper {
    fn drop(&mut self) {
        let device = &self.classes.0.device;
        if let Err(error) = remove(device) {
            tracing::warn!(device, %error, "the queueing discipline could not be removed");
        }
    }
}

impl Classes {
    /// Makes a class that carries so much on the wire. Blocks for some milliseconds.
    pub fn open(&self, rate: Rate) -> Result<Class, TransferError> {
        let minor = {
            let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let free = (OTHERS + 1..ALL).find(|minor| !taken.contains(minor));
            let free = free.ok_or_else(|| refused("class add", "all classes are taken"))?;
            taken.insert(free);
            free
        };
        let class = Class { of: self.clone(), minor };
        class.set(rate)?;
        Ok(class)
    }

    /// Makes a class or changes it: what it has for certain, and the most it may take.
    fn replace(
        &self,
        parent: &str,
        minor: u16,
        (rate, most): (Rate, Rate),
        prio: &str,
    ) -> Result<(), TransferError> {
        let burst = |rate: Rate| (rate.0 / 8_000 * BURST_MILLIS).clamp(BURST_BYTES, BURST_MOST);
        let limits = format!(
            "parent {parent} classid {} htb prio {prio} quantum {QUANTUM} rate {}bit burst {} \
             ceil {}bit cburst {}",
            id(minor),
            rate.0,
            burst(rate),
            most.0,
            burst(most)
        );
        let words: Vec<&str> = limits.split(' ').collect();
        tc(&self.0.device, &["class", "replace"], &words)
    }
}

/// A class as `tc` names it: in hexadecimal.
fn id(minor: u16) -> String {
    format!("{ROOT}{minor:x}")
}

impl Class {
    /// From now on it carries so much on the wire. Blocks for some milliseconds.
    pub fn set(&self, rate: Rate) -> Result<(), TransferError> {
        let rate = rate.max(LEAST);
        self.of.replace(&id(ALL), self.minor, (rate, rate), "0")
    }

    /// Puts what a socket of this network namespace sends from now on into the class.
    pub fn enter(&self, socket: &impl AsFd) -> io::Result<()> {
        Ok(setsockopt(socket, sockopt::Priority, &(MAJOR << 16 | i32::from(self.minor)))?)
    }
}

/// Puts what a socket sends from now on where all other traffic is.
pub(crate) fn leave(socket: &impl AsFd) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::Priority, &0)?)
}

impl Drop for Class {
    fn drop(&mut self) {
        let (device, id) = (&self.of.0.device, id(self.minor));
        if let Err(error) = tc(device, &["class", "del"], &["classid", &id]) {
            // The root may be gone before its classes, and they with it.
            tracing::debug!(device, id, %error, "the class could not be removed");
        }
        let mut taken = self.of.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.minor);
    }
}

/// Keeps other shapers away from a device of this network namespace for as long as it is held. An
/// abstract socket is such a lock: it belongs to the namespace, and goes with the process.
fn alone(device: &str) -> Result<UnixListener, TransferError> {
    let bind = || {
        let name = SocketAddr::from_abstract_name(format!("portolan-shape-{device}"))?;
        UnixListener::bind_addr(&name)
    };
    bind().map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => TransferError::Shaped { device: device.to_owned() },
        _ => refused("lock", &error.to_string()),
    })
}

/// What somebody put at the root of a device; the kernel's own has no handle.
fn root(device: &str) -> Result<Option<Qdisc>, TransferError> {
    let shown = output(&["-j", "qdisc", "show", "dev", device])?;
    let all: Vec<Qdisc> = serde_json::from_slice(&shown)
        .map_err(|error| refused("-j qdisc show", &format!("not understood: {error}")))?;
    Ok(all.into_iter().find(|qdisc| qdisc.root && qdisc.handle != "0:"))
}

fn remove(device: &str) -> Result<(), TransferError> {
    tc(device, &["qdisc", "del"], &["root", "handle", ROOT])
}

fn tc(device: &str, what: &[&str], rest: &[&str]) -> Result<(), TransferError> {
    output(&[what, &["dev", device], rest].concat()).map(drop)
}

fn output(words: &[&str]) -> Result<Vec<u8>, TransferError> {
    let command = words.join(" ");
    let ran = Command::new("tc").args(words).output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => refused(&command, "there is no `tc`; install iproute2"),
        _ => refused(&command, &error.to_string()),
    })?;
    if ran.status.success() {
        return Ok(ran.stdout);
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    if said.contains("not permitted") {
        return Err(refused(&command, "not permitted; it needs root or CAP_NET_ADMIN"));
    }
    Err(refused(&command, said.trim()))
}

fn refused(command: &str, said: &str) -> TransferError {
    TransferError::Tc { command: command.to_owned(), said: said.to_owned() }
}
