//! Scenario files: a network, a load, faults, policies, measures and seeds.

mod misread;

pub use misread::Misread;
