//! The stage: the real controller, world, planner and reconcilers in virtual time.
//!
//! A scenario names a network, a load, faults and a policy; the simulator plays it through the very
//! code that a server runs, and replaces only the clock, the store, the wire and the engines. What
//! it sees is measured and judged by `audit`. The one door is [`run`](run::run): a [`Setup`] and a
//! load in, a [`Run`] out; [`fault::fault_run`] makes up a small network in which everything goes
//! wrong and says whether the promises held; [`whatif::WhatIf`] plays a log's past again under
//! another network.
//!
//! Deliberately absent: any decision of its own about where a job runs, real time, and threads.

mod agent;
pub mod baseline;
mod engine;
mod error;
pub mod fault;
pub mod floor;
pub mod instance;
mod judge;
pub mod load;
pub mod log;
pub mod measure;
mod outcome;
pub mod packing;
mod post;
pub mod report;
pub mod rounds;
pub mod run;
pub mod scenario;
mod server;
mod setup;
mod tally;
mod tenant;
mod truth;
pub mod whatif;

pub use error::Error;
pub use run::Run;
pub use setup::{Audit, LARGE, Setup, Timing};
