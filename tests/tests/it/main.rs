//! Whole networks of real processes, driven from outside.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop where they cannot go on")]

mod access;
mod across;
mod arrays;
mod commands;
mod crash;
mod cut_off;
mod data;
mod deploy;
mod docs;
mod documents;
mod enclosure;
#[cfg(feature = "long")]
mod fault_runs;
mod golden;
mod in_place;
mod jobs;
mod keeping;
mod kubernetes;
mod line;
mod link_tests;
mod load;
mod log;
#[cfg(feature = "long")]
mod million;
#[cfg(feature = "long")]
mod philly;
mod preemption;
mod quality;
mod quota;
mod ray;
mod relay;
mod sbatch;
mod secrets;
mod slurm;
mod streams;
mod task_spooler;
mod whatif;
mod why;
