//! Whole networks for tests: the real `portolan` binary, a process for the server and one for each
//! agent, on loopback.
//!
//! The one door is [`Net`]. It starts a network in a directory of its own, speaks to it over plain
//! HTTP as any program would, kills and restarts its processes, cuts and mends its lines, and takes
//! every process down with it. What happened is judged afterwards from the log, by [`Records`], and
//! from what the jobs themselves wrote down, by [`Witnesses`].
//!
//! Deliberately absent: the crate `client`. What is tested is what goes over the wire, whoever sends
//! it. Functions here panic when the network does not do what they are for: they are tests' hands.

#![allow(clippy::panic, reason = "a test that cannot go on should stop and say why")]

mod caller;
pub mod crash;
mod facts;
pub mod load;
mod net;
mod program;
mod proxy;
mod put;
mod records;
mod report;
mod strays;
mod witness;

pub use caller::{Answer, Caller};
pub use net::{LAPTOP, Net, Plan, sh};
pub use program::{Finished, portolan};
pub use proxy::Proxy;
pub use records::Records;
pub use report::{Distribution, report};
pub use witness::Witnesses;
