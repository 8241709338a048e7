//! The stage: the real controller, world, planner and reconcilers in virtual time.
//!
//! A scenario names a network, a load, faults and a policy; the simulator plays it through the very
//! code that a server runs, and replaces only the clock, the store, the wire and the engines. What
//! it sees is measured and judged by `audit`.
//!
//! Deliberately absent: any decision of its own about where a job runs, real time, and threads.

pub mod baseline;
mod error;
pub mod load;
pub mod measure;
pub mod report;
pub mod scenario;

pub use error::Error;
