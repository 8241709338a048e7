//! Where attempts really run: one trait, [`Engine`], over every kind of engine a center may own,
//! and one [`conformance`] suite that each must pass.
//!
//! [`ProcessEngine`] runs attempts as processes of this machine. Each has a small supervisor
//! process of its own ([`supervise`]) that outlives the agent, holds the lease and writes the
//! result; the files in the attempt's directory are the truth, and every wake-up is only a hint
//! to look at them. [`BatchEngine`] has a batch system such as Slurm start the same supervisors on
//! nodes of its own: what it takes is a [`batch::Queue`], and a file system that all share.
//! [`TimerEngine`] runs attempts as timers in memory, for load and soak runs.
//!
//! Deliberately absent: deciding what should run (the reconciler does), choosing chip slots,
//! staging inputs and publishing outputs (the agent does), and any word about the network beyond
//! attempt ids: an engine knows commands, limits and leases.

mod any;
mod attempt_dir;
pub mod batch;
mod boot_time;
mod cgroup;
pub mod conformance;
mod enclosure;
mod engine;
mod furnish;
mod ground;
mod hints;
mod host;
pub mod kubernetes;
mod launch;
mod process;
pub mod ray;
mod remains;
pub mod slurm;
mod state;
mod supervisor;
pub mod task_spooler;
pub mod timer;

pub use any::AnyEngine;
pub use batch::{BatchConfig, BatchEngine, Queue};
pub use boot_time::BootTime;
pub use enclosure::{Container, Enclosures, Isolation, Runtime};
pub use engine::{Capabilities, Capacity, Enforcement, Engine, Error, LogChunk, PoolSize, Stream};
pub use host::is_root;
pub use launch::{CheckpointDir, ChipSlots, InputLink, Launch, Place, RunAs, Secret, SecretFile};
pub use process::{
    Limits, ProcessConfig, ProcessEngine, ProcessOptions, SupervisorCommand, UidRange,
};
pub use state::{Cause, Exit, Observation, Outcome, State, Usage};
pub use supervisor::supervise;
pub use timer::TimerEngine;
