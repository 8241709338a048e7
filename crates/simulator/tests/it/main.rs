//! Whole runs: what becomes of jobs, that a run is the same twice, that promises hold whatever goes
//! wrong, and that a planted bug is noticed.

mod aim;
mod entitlement;
mod fault;
mod run;
mod scenario;
mod whatif;
