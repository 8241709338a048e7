//! A wide-area network on one machine: real kernel networking between network namespaces, with the
//! delay, rate, queue, loss and cuts of links emulated in user space, so that it works on kernels
//! without netem.
//!
//! One door, [`Wan::start`], which takes a [`Topology`]:
//!
//! ```no_run
//! use wan::{Options, Topology, Wan};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let topology = Topology::read("catalog/wan/two-ways.toml".as_ref())?;
//! let wan = Wan::start(&topology, Options::default())?;
//! let west = wan.site("west")?.address().to_string();
//! let ping = wan.site("east")?.command("ping").args(["-c", "3", &west]).status()?;
//! assert!(ping.success());
//! wan.link("east", "west")?.cut()?;
//! # Ok(())
//! # }
//! ```
//!
//! A site is a network namespace and a router, with one address of its own. A link is a TUN device
//! at each end; for each direction one thread reads packets from one device, keeps them as long as a
//! link would, and writes them to the other. Routes are static, by least delay.
//!
//! Deliberately absent: anything that decides (no route is learned, no rate shared out), IPv6,
//! several links between two sites, and reordering. A packet's time holds as well as the machine
//! keeps up; [`Counters::latest_nanos`] says how well it did.

mod amount;
mod capture;
mod error;
mod line;
mod live;
mod namespace;
mod owner;
mod packet;
mod pump;
mod quality;
mod route;
mod topology;
mod wan;

pub use amount::{Delay, Loss};
pub use capture::Capture;
pub use error::WanError;
pub use line::Counters;
pub use live::{Direction, Link, Site};
pub use owner::clean;
pub use quality::Quality;
pub use topology::{LinkPlan, Packets, Topology};
pub use wan::{Options, Wan};
